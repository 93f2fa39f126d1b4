/* SPDX-License-Identifier: MIT */
/*
 * connect.c -- accept, accept4, connect: the calls that have no MSG_DONTWAIT.
 *
 * They are tried with O_NONBLOCK set for that moment.  A connect that is on its way is waited
 * for and then made again: the kernel's second call answers what its first one would have, and
 * clears the socket's error as that does.
 */
#include <errno.h>

#include "fd/call.h"
#include "fd/fd.h"
#include "task/park.h"

int fd_accept(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    struct call call = call_begin(fd, POLLIN);
    struct moment moment;
    int accepted, changed, result;

    if (task_self() == NULL)
        return os_accept(call.os, fd, address, size, flags);
    for (;;) {
        changed = moment_begin(call.os, fd, &moment);
        if (changed < 0)
            return changed;
        accepted = os_accept(call.os, fd, address, size, flags);
        if (changed == 1)
            moment_end(call.os, fd, &moment);
        if (accepted != -EAGAIN || changed == 0)
            break;
        result = call_wait(&call);
        if (result < 0)
            return result;
    }
    task_spend();
    return accepted;
}

/* Is the attempt under way, so that waiting makes sense?  EAGAIN: a Unix backlog is full; of
 * other families it means that there is no port left. */
static bool is_under_way(const struct call *call, int result)
{
    return result == -EINPROGRESS || result == -EALREADY ||
           (result == -EAGAIN && call_option(call, SO_DOMAIN, 0) == AF_UNIX);
}

int fd_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    struct call call = call_begin(fd, POLLOUT);
    int changed, first = 0, result, waited;
    struct moment moment;

    if (task_self() == NULL)
        return os_connect(call.os, fd, address, size);
    for (;;) {
        changed = moment_begin(call.os, fd, &moment);
        if (changed < 0)
            return changed;
        result = os_connect(call.os, fd, address, size);
        if (changed == 1)
            moment_end(call.os, fd, &moment);
        if (changed == 0 || !is_under_way(&call, result))
            return result;
        if (first == 0)
            first = result; /* out of time, the call says what it began with */
        waited = call_wait(&call);
        if (waited < 0)
            return waited == -EAGAIN ? first : waited;
    }
}

int tn_fd_accept(int fd, struct sockaddr *address, socklen_t *size)
{
    int saved = errno;

    return (int)answer(fd_accept(fd, address, size, 0), saved);
}

int tn_fd_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    int saved = errno;

    return (int)answer(fd_accept(fd, address, size, flags), saved);
}

int tn_fd_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    int saved = errno;

    return (int)answer(fd_connect(fd, address, size), saved);
}
