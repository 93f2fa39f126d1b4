/* SPDX-License-Identifier: MIT */
/*
 * linux.c -- the seam filled with the real kernel: one function a call, no state.
 *
 * Each returns -errno and is exactly the call of its name.  Where a call's argument
 * depends on another one (fcntl, ioctl), the caller passes what the man page says.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "os/driver.h"
#include "os/linux.h"
#include "os/linux_pipe.h"
#include "os/os.h"

static int answer(long result)
{
    return result < 0 ? -errno : (int)result;
}

static ssize_t count(ssize_t result)
{
    return result < 0 ? -errno : result;
}

static ssize_t linux_read(struct os *os, int fd, void *buf, size_t size)
{
    (void)os;
    return count(read(fd, buf, size));
}

static ssize_t linux_write(struct os *os, int fd, const void *buf, size_t size)
{
    (void)os;
    return count(write(fd, buf, size));
}

static ssize_t linux_readv(struct os *os, int fd, const struct iovec *iov, int number)
{
    (void)os;
    return count(readv(fd, iov, number));
}

static ssize_t linux_writev(struct os *os, int fd, const struct iovec *iov, int number)
{
    (void)os;
    return count(writev(fd, iov, number));
}

static ssize_t linux_readv2(struct os *os, int fd, const struct iovec *iov, int number,
                            int flags)
{
    (void)os;
    return count(preadv2(fd, iov, number, -1, flags));
}

static ssize_t linux_writev2(struct os *os, int fd, const struct iovec *iov, int number,
                             int flags)
{
    (void)os;
    return count(pwritev2(fd, iov, number, -1, flags));
}

static int linux_open(struct os *os, const char *path, int flags)
{
    (void)os;
    return answer(open(path, flags));
}

static int linux_mode(struct os *os, int fd, mode_t *mode)
{
    struct stat file;

    (void)os;
    if (fstat(fd, &file) != 0)
        return -errno;
    *mode = file.st_mode;
    return 0;
}

/* Never retried: on Linux the descriptor is gone even after EINTR (close(2)). */
static int linux_close(struct os *os, int fd)
{
    (void)os;
    return answer(close(fd));
}

static int linux_fcntl(struct os *os, int fd, int command, long argument)
{
    (void)os;
    return answer(fcntl(fd, command, argument));
}

static int linux_ioctl(struct os *os, int fd, unsigned long request, void *argument)
{
    (void)os;
    return answer(ioctl(fd, request, argument));
}

static int linux_poll(struct os *os, struct pollfd *fds, nfds_t number, int timeout_ms)
{
    (void)os;
    return answer(poll(fds, number, timeout_ms));
}

static int linux_dup(struct os *os, int fd, int onto, int flags)
{
    (void)os;
    if (onto >= 0)
        return answer(dup3(fd, onto, flags));
    return answer(fcntl(fd, (flags & O_CLOEXEC) != 0 ? F_DUPFD_CLOEXEC : F_DUPFD, 0));
}

static int linux_eventfd(struct os *os, unsigned start, int flags)
{
    (void)os;
    return answer(eventfd(start, flags));
}

static int linux_signalfd(struct os *os, int fd, const sigset_t *set, int flags)
{
    (void)os;
    return answer(signalfd(fd, set, flags));
}

static int linux_blocked(struct os *os, sigset_t *mask)
{
    (void)os;
    return -pthread_sigmask(SIG_SETMASK, NULL, mask);
}

/* Signals that the running instruction raises interrupt no wait. */
static bool is_fault(int number)
{
    return number == SIGSEGV || number == SIGBUS || number == SIGFPE ||
           number == SIGILL || number == SIGTRAP || number == SIGSYS;
}

static unsigned linux_handlers(struct os *os, sigset_t *interrupting)
{
    struct sigaction action;
    unsigned found = 0;
    sigset_t blocked;

    (void)sigemptyset(interrupting);
    if (linux_blocked(os, &blocked) < 0)
        return 0;
    for (int number = 1; number < NSIG; number++) {
        if (is_fault(number) || sigismember(&blocked, number) == 1 ||
            sigaction(number, NULL, &action) != 0)
            continue;
        if ((action.sa_flags & SA_SIGINFO) == 0 &&
            (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN))
            continue;
        if ((action.sa_flags & SA_RESTART) != 0) {
            found |= OS_HANDLERS_RESTART;
        } else {
            found |= OS_HANDLERS_INTERRUPT;
            (void)sigaddset(interrupting, number);
        }
    }
    return found;
}

static int linux_socket(struct os *os, int domain, int type, int protocol)
{
    (void)os;
    return answer(socket(domain, type, protocol));
}

static int linux_socketpair(struct os *os, int domain, int type, int protocol, int fds[2])
{
    (void)os;
    return answer(socketpair(domain, type, protocol, fds));
}

static int linux_bind(struct os *os, int fd, const struct sockaddr *addr, socklen_t size)
{
    (void)os;
    return answer(bind(fd, addr, size));
}

static int linux_listen(struct os *os, int fd, int backlog)
{
    (void)os;
    return answer(listen(fd, backlog));
}

static int linux_accept(struct os *os, int fd, struct sockaddr *addr, socklen_t *size,
                        int flags)
{
    (void)os;
    return answer(accept4(fd, addr, size, flags));
}

static int linux_connect(struct os *os, int fd, const struct sockaddr *addr,
                         socklen_t size)
{
    (void)os;
    return answer(connect(fd, addr, size));
}

static int linux_shutdown(struct os *os, int fd, int how)
{
    (void)os;
    return answer(shutdown(fd, how));
}

static ssize_t linux_recvfrom(struct os *os, int fd, void *buf, size_t size, int flags,
                              struct sockaddr *addr, socklen_t *addr_size)
{
    (void)os;
    return count(recvfrom(fd, buf, size, flags, addr, addr_size));
}

static ssize_t linux_sendto(struct os *os, int fd, const void *buf, size_t size,
                            int flags, const struct sockaddr *addr, socklen_t addr_size)
{
    (void)os;
    return count(sendto(fd, buf, size, flags, addr, addr_size));
}

static ssize_t linux_recvmsg(struct os *os, int fd, struct msghdr *message, int flags)
{
    (void)os;
    return count(recvmsg(fd, message, flags));
}

static ssize_t linux_sendmsg(struct os *os, int fd, const struct msghdr *message,
                             int flags)
{
    (void)os;
    return count(sendmsg(fd, message, flags));
}

static int linux_getsockname(struct os *os, int fd, struct sockaddr *addr,
                             socklen_t *size)
{
    (void)os;
    return answer(getsockname(fd, addr, size));
}

static int linux_getpeername(struct os *os, int fd, struct sockaddr *addr,
                             socklen_t *size)
{
    (void)os;
    return answer(getpeername(fd, addr, size));
}

static int linux_getsockopt(struct os *os, int fd, int level, int name, void *value,
                            socklen_t *size)
{
    (void)os;
    return answer(getsockopt(fd, level, name, value, size));
}

static int linux_setsockopt(struct os *os, int fd, int level, int name, const void *value,
                            socklen_t size)
{
    (void)os;
    return answer(setsockopt(fd, level, name, value, size));
}

static int linux_stat(struct os *os, const char *path, struct stat *found)
{
    (void)os;
    return answer(lstat(path, found));
}

static int linux_chmod(struct os *os, const char *path, unsigned mode)
{
    (void)os;
    return answer(chmod(path, mode));
}

static int linux_unlink(struct os *os, const char *path)
{
    (void)os;
    return answer(unlink(path));
}

static int64_t clock_read(clockid_t clock)
{
    struct timespec time;

    CHECK(clock_gettime(clock, &time) == 0); /* cannot fail for these clocks */
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int64_t linux_now(struct os *os)
{
    (void)os;
    return clock_read(CLOCK_MONOTONIC);
}

/* The coarse clock is of the last tick, at most 10 ms ago (CONFIG_HZ=100). */
static int64_t linux_late_now(struct os *os)
{
    (void)os;
    return clock_read(CLOCK_MONOTONIC_COARSE) + 10000000;
}

static int64_t linux_preemptions(struct os *os)
{
    struct rusage usage;

    (void)os;
    CHECK(getrusage(RUSAGE_THREAD, &usage) == 0); /* cannot fail with good arguments */
    return usage.ru_nivcsw;
}

static int linux_driver_open(struct os *os, const char *name,
                             const struct os_driver_options *options,
                             struct os_driver **driver)
{
    if (strcmp(name, "epoll") == 0)
        return epoll_driver_open(os, options, driver);
    if (strcmp(name, "uring") == 0)
        return uring_driver_open(os, options, driver);
    return -EINVAL;
}

static const struct os_calls linux_calls = {
    .name = "linux",
    .read = linux_read,
    .write = linux_write,
    .readv = linux_readv,
    .writev = linux_writev,
    .readv2 = linux_readv2,
    .writev2 = linux_writev2,
    .open = linux_open,
    .mode = linux_mode,
    .close = linux_close,
    .fcntl = linux_fcntl,
    .ioctl = linux_ioctl,
    .poll = linux_poll,
    .dup = linux_dup,
    .eventfd = linux_eventfd,
    .pipe = linux_pipe,
    .splice_in = linux_splice_in,
    .splice_out = linux_splice_out,
    .signalfd = linux_signalfd,
    .handlers = linux_handlers,
    .blocked = linux_blocked,
    .socket = linux_socket,
    .socketpair = linux_socketpair,
    .bind = linux_bind,
    .listen = linux_listen,
    .accept = linux_accept,
    .connect = linux_connect,
    .shutdown = linux_shutdown,
    .recvfrom = linux_recvfrom,
    .sendto = linux_sendto,
    .recvmsg = linux_recvmsg,
    .sendmsg = linux_sendmsg,
    .getsockname = linux_getsockname,
    .getpeername = linux_getpeername,
    .getsockopt = linux_getsockopt,
    .setsockopt = linux_setsockopt,
    .stat = linux_stat,
    .chmod = linux_chmod,
    .unlink = linux_unlink,
    .now = linux_now,
    .late_now = linux_late_now,
    .preemptions = linux_preemptions,
    .allocate = linux_allocate,
    .release = linux_release,
    .map = linux_map,
    .unmap = linux_unmap,
    .guard = linux_guard,
    .copy = linux_copy,
    .discard = linux_discard,
    .resident = linux_resident,
    .driver_open = linux_driver_open,
};

struct os os_linux = { &linux_calls };
