/* SPDX-License-Identifier: MIT */
/*
 * plain.c -- the calls that never wait: the kernel's own, through the seam.
 */
#include <errno.h>
#include <stdarg.h>

#include "fd/call.h"
#include "fd/fd.h"
#include "task/park.h"

int tn_fd_socket(int domain, int type, int protocol)
{
    int saved = errno;

    return (int)answer(os_socket(task_os(), domain, type, protocol), saved);
}

int tn_fd_socketpair(int domain, int type, int protocol, int pair[2])
{
    int saved = errno;

    return (int)answer(os_socketpair(task_os(), domain, type, protocol, pair), saved);
}

int tn_fd_bind(int fd, const struct sockaddr *address, socklen_t size)
{
    int saved = errno;

    return (int)answer(os_bind(task_os(), fd, address, size), saved);
}

int tn_fd_listen(int fd, int backlog)
{
    int saved = errno;

    return (int)answer(os_listen(task_os(), fd, backlog), saved);
}

int tn_fd_shutdown(int fd, int how)
{
    int saved = errno;

    return (int)answer(os_shutdown(task_os(), fd, how), saved);
}

/* The third argument is a number or a pointer, as the command has it, or missing; it is passed
 * on as it was, as the C library does. */
int tn_fd_fcntl(int fd, int command, ...)
{
    int saved = errno;
    va_list args;
    long argument;

    va_start(args, command);
    argument = va_arg(args, long);
    va_end(args);
    return (int)answer(os_fcntl(task_os(), fd, command, argument), saved);
}

int tn_fd_ioctl(int fd, unsigned long request, ...)
{
    int saved = errno;
    va_list args;
    void *argument;

    va_start(args, request);
    argument = va_arg(args, void *);
    va_end(args);
    return (int)answer(os_ioctl(task_os(), fd, request, argument), saved);
}

int tn_fd_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    int saved = errno;
    int result = os_setsockopt(task_os(), fd, level, name, value, size);

    if (result == 0 && level == SOL_SOCKET && name == SO_RCVLOWAT)
        fd_note_low_mark();
    return (int)answer(result, saved);
}

int tn_fd_getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
    int saved = errno;

    return (int)answer(os_getsockopt(task_os(), fd, level, name, value, size), saved);
}
