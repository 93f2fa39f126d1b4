/* SPDX-License-Identifier: MIT */
/*
 * os.h -- the one seam between the library and the system it runs on.
 *
 * Whatever the library asks of a kernel goes through a struct os: descriptors, options,
 * clocks, memory, and the driver that waits (driver.h).  linux.c fills it with the real
 * thing, sim.c with a simulated one in virtual time, and fault.c wraps either to make
 * calls fail.  So simulation and faults reach everything above.
 *
 * Calls mean what the man pages say, but answer -errno and leave errno alone.  None of
 * them knows of tasks; one that would block, blocks the thread.
 */
#ifndef OS_OS_H
#define OS_OS_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "os/linux_call.h"

struct os;
struct os_driver;
struct os_driver_options;

struct os_calls {
    const char *name;
    bool one_thread; /* only the loop's own thread may call in: nothing is offloaded */

    /* Descriptors. */
    ssize_t (*read)(struct os *, int fd, void *buf, size_t size);
    ssize_t (*write)(struct os *, int fd, const void *buf, size_t size);
    ssize_t (*readv)(struct os *, int fd, const struct iovec *iov, int count);
    ssize_t (*writev)(struct os *, int fd, const struct iovec *iov, int count);
    /* preadv2(2) and pwritev2(2) at the current offset: for RWF_NOWAIT */
    ssize_t (*readv2)(struct os *, int fd, const struct iovec *iov, int count, int flags);
    ssize_t (*writev2)(struct os *, int fd, const struct iovec *iov, int count,
                       int flags);
    int (*open)(struct os *, const char *path, int flags);
    int (*mode)(struct os *, int fd, mode_t *mode); /* st_mode of fstat(2) */
    int (*close)(struct os *, int fd);
    int (*fcntl)(struct os *, int fd, int command, long argument);
    int (*ioctl)(struct os *, int fd, unsigned long request, void *argument);
    int (*poll)(struct os *, struct pollfd *fds, nfds_t count, int timeout_ms);
    int (*dup)(struct os *, int fd, int onto, int flags); /* onto < 0: the lowest free */
    int (*eventfd)(struct os *, unsigned start, int flags);
    /* A pipe that holds SIZE bytes, or less where that is not allowed; it never blocks. */
    int (*pipe)(struct os *, size_t size, int fds[2]);
    /* splice(2) from a socket into a pipe, and out of it; no SIGPIPE is raised.  Neither
     * blocks for the pipe, nor for a socket that does not block itself. */
    ssize_t (*splice_in)(struct os *, int fd, int pipe, size_t size);
    ssize_t (*splice_out)(struct os *, int pipe, int fd, size_t size);
    int (*signalfd)(struct os *, int fd, const sigset_t *set, int flags);
    /* Which OS_HANDLERS_... this thread could run, and for what signals not to restart. */
    unsigned (*handlers)(struct os *, sigset_t *interrupting);
    int (*blocked)(struct os *, sigset_t *mask); /* what this thread blocks */

    /* Sockets. */
    int (*socket)(struct os *, int domain, int type, int protocol);
    int (*socketpair)(struct os *, int domain, int type, int protocol, int fds[2]);
    int (*bind)(struct os *, int fd, const struct sockaddr *addr, socklen_t size);
    int (*listen)(struct os *, int fd, int backlog);
    int (*accept)(struct os *, int fd, struct sockaddr *addr, socklen_t *size, int flags);
    int (*connect)(struct os *, int fd, const struct sockaddr *addr, socklen_t size);
    int (*shutdown)(struct os *, int fd, int how);
    ssize_t (*recvfrom)(struct os *, int fd, void *buf, size_t size, int flags,
                        struct sockaddr *addr, socklen_t *addr_size);
    ssize_t (*sendto)(struct os *, int fd, const void *buf, size_t size, int flags,
                      const struct sockaddr *addr, socklen_t addr_size);
    ssize_t (*recvmsg)(struct os *, int fd, struct msghdr *message, int flags);
    ssize_t (*sendmsg)(struct os *, int fd, const struct msghdr *message, int flags);
    int (*getsockname)(struct os *, int fd, struct sockaddr *addr, socklen_t *size);
    int (*getpeername)(struct os *, int fd, struct sockaddr *addr, socklen_t *size);
    int (*getsockopt)(struct os *, int fd, int level, int name, void *value,
                      socklen_t *size);
    int (*setsockopt)(struct os *, int fd, int level, int name, const void *value,
                      socklen_t size);

    /* The files of Unix sockets; stat is of a link itself (lstat(2)). */
    int (*stat)(struct os *, const char *path, struct stat *stat);
    int (*chmod)(struct os *, const char *path, unsigned mode);
    int (*unlink)(struct os *, const char *path);

    /* Clocks. */
    int64_t (*now)(struct os *);      /* CLOCK_MONOTONIC, nanoseconds, never 0 or less */
    int64_t (*late_now)(struct os *); /* now, or up to 10 ms later: a sixth of the cost */
    int64_t (*preemptions)(struct os *); /* how often this thread had to leave its core */

    /* Memory.  allocate gives zeroed bytes, from a page on aligned to 64, or NULL. */
    void *(*allocate)(struct os *, size_t size);
    void (*release)(struct os *, void *memory);
    void *(*map)(struct os *, size_t size); /* fresh pages, untouched, or NULL */
    void (*unmap)(struct os *, void *pages, size_t size);
    /* Touching these pages is SIGSEGV from now on: 0, or 1 if that took a mapping. */
    int (*guard)(struct os *, void *pages, size_t size);
    /* Copy from memory that may not be there: 0 or -EFAULT. */
    int (*copy)(struct os *, void *to, const void *from, size_t size);
    /* Give the memory of pages back, and so their content; locked ones stay. */
    void (*discard)(struct os *, void *pages, size_t size);
    size_t (*resident)(struct os *, const void *pages, size_t size); /* bytes in memory */

    /* The driver that this system has under NAME ("epoll", "uring", "sim"). */
    int (*driver_open)(struct os *, const char *name,
                       const struct os_driver_options *options,
                       struct os_driver **driver);
};

struct os {
    const struct os_calls *calls;
};

/* Kinds of signal handlers: those with SA_RESTART, and those without. */
#define OS_HANDLERS_RESTART   1U
#define OS_HANDLERS_INTERRUPT 2U

/* os_linux -- the real system; one for the whole process, without state. */
extern struct os os_linux;

/* clang-format off */
static inline ssize_t os_read(struct os *os, int fd, void *buf, size_t size)
{ return os->calls->read(os, fd, buf, size); }
static inline ssize_t os_write(struct os *os, int fd, const void *buf, size_t size)
{ return os->calls->write(os, fd, buf, size); }
static inline ssize_t os_readv(struct os *os, int fd, const struct iovec *iov, int count)
{ return os->calls->readv(os, fd, iov, count); }
static inline ssize_t os_writev(struct os *os, int fd, const struct iovec *iov, int count)
{ return os->calls->writev(os, fd, iov, count); }
static inline ssize_t os_readv2(struct os *os, int fd, const struct iovec *iov, int count, int flags)
{ return os->calls->readv2(os, fd, iov, count, flags); }
static inline ssize_t os_writev2(struct os *os, int fd, const struct iovec *iov, int count, int flags)
{ return os->calls->writev2(os, fd, iov, count, flags); }
static inline int os_open(struct os *os, const char *path, int flags)
{ return os->calls->open(os, path, flags); }
static inline int os_mode(struct os *os, int fd, mode_t *mode)
{ return os->calls->mode(os, fd, mode); }
static inline int os_close(struct os *os, int fd)
{ return os->calls->close(os, fd); }
static inline int os_fcntl(struct os *os, int fd, int command, long argument)
{ return os->calls->fcntl(os, fd, command, argument); }
static inline int os_ioctl(struct os *os, int fd, unsigned long request, void *argument)
{ return os->calls->ioctl(os, fd, request, argument); }
static inline int os_poll(struct os *os, struct pollfd *fds, nfds_t count, int timeout_ms)
{ return os->calls->poll(os, fds, count, timeout_ms); }
static inline int os_dup(struct os *os, int fd, int onto, int flags)
{ return os->calls->dup(os, fd, onto, flags); }
static inline int os_eventfd(struct os *os, unsigned start, int flags)
{ return os->calls->eventfd(os, start, flags); }
static inline int os_pipe(struct os *os, size_t size, int fds[2])
{ return os->calls->pipe(os, size, fds); }
static inline ssize_t os_splice_in(struct os *os, int fd, int pipe, size_t size)
{ return os->calls->splice_in(os, fd, pipe, size); }
static inline ssize_t os_splice_out(struct os *os, int pipe, int fd, size_t size)
{ return os->calls->splice_out(os, pipe, fd, size); }
static inline int os_signalfd(struct os *os, int fd, const sigset_t *set, int flags)
{ return os->calls->signalfd(os, fd, set, flags); }
static inline unsigned os_handlers(struct os *os, sigset_t *interrupting)
{ return os->calls->handlers(os, interrupting); }
static inline int os_blocked(struct os *os, sigset_t *mask)
{ return os->calls->blocked(os, mask); }
static inline int os_socket(struct os *os, int domain, int type, int protocol)
{ return os->calls->socket(os, domain, type, protocol); }
static inline int os_socketpair(struct os *os, int domain, int type, int protocol, int fds[2])
{ return os->calls->socketpair(os, domain, type, protocol, fds); }
static inline int os_bind(struct os *os, int fd, const struct sockaddr *addr, socklen_t size)
{ return os->calls->bind(os, fd, addr, size); }
static inline int os_listen(struct os *os, int fd, int backlog)
{ return os->calls->listen(os, fd, backlog); }
static inline int os_accept(struct os *os, int fd, struct sockaddr *addr, socklen_t *size, int flags)
{ return os->calls->accept(os, fd, addr, size, flags); }
static inline int os_connect(struct os *os, int fd, const struct sockaddr *addr, socklen_t size)
{ return os->calls->connect(os, fd, addr, size); }
static inline int os_shutdown(struct os *os, int fd, int how)
{ return os->calls->shutdown(os, fd, how); }
static inline ssize_t os_recv(struct os *os, int fd, void *buf, size_t size, int flags)
{
#if LINUX_CALL
    if (os == &os_linux)
        return linux_call6(SYS_recvfrom, fd, (long)buf, (long)size, flags, 0, 0);
#endif
    return os->calls->recvfrom(os, fd, buf, size, flags, NULL, NULL);
}
static inline ssize_t os_send(struct os *os, int fd, const void *buf, size_t size, int flags)
{
#if LINUX_CALL
    if (os == &os_linux)
        return linux_call6(SYS_sendto, fd, (long)buf, (long)size, flags, 0, 0);
#endif
    return os->calls->sendto(os, fd, buf, size, flags, NULL, 0);
}
static inline ssize_t os_recvfrom(struct os *os, int fd, void *buf, size_t size, int flags,
                                  struct sockaddr *addr, socklen_t *addr_size)
{ return os->calls->recvfrom(os, fd, buf, size, flags, addr, addr_size); }
static inline ssize_t os_sendto(struct os *os, int fd, const void *buf, size_t size, int flags,
                                const struct sockaddr *addr, socklen_t addr_size)
{ return os->calls->sendto(os, fd, buf, size, flags, addr, addr_size); }
static inline ssize_t os_recvmsg(struct os *os, int fd, struct msghdr *message, int flags)
{ return os->calls->recvmsg(os, fd, message, flags); }
static inline ssize_t os_sendmsg(struct os *os, int fd, const struct msghdr *message, int flags)
{ return os->calls->sendmsg(os, fd, message, flags); }
static inline int os_getsockname(struct os *os, int fd, struct sockaddr *addr, socklen_t *size)
{ return os->calls->getsockname(os, fd, addr, size); }
static inline int os_getpeername(struct os *os, int fd, struct sockaddr *addr, socklen_t *size)
{ return os->calls->getpeername(os, fd, addr, size); }
static inline int os_getsockopt(struct os *os, int fd, int level, int name, void *value, socklen_t *size)
{ return os->calls->getsockopt(os, fd, level, name, value, size); }
static inline int os_setsockopt(struct os *os, int fd, int level, int name, const void *value, socklen_t size)
{ return os->calls->setsockopt(os, fd, level, name, value, size); }
static inline int os_stat(struct os *os, const char *path, struct stat *stat)
{ return os->calls->stat(os, path, stat); }
static inline int os_chmod(struct os *os, const char *path, unsigned mode)
{ return os->calls->chmod(os, path, mode); }
static inline int os_unlink(struct os *os, const char *path)
{ return os->calls->unlink(os, path); }
static inline int64_t os_now(struct os *os)
{ return os->calls->now(os); }
static inline int64_t os_preemptions(struct os *os)
{ return os->calls->preemptions(os); }
static inline int64_t os_late_now(struct os *os)
{ return os->calls->late_now(os); }
static inline void *os_allocate(struct os *os, size_t size)
{ return os->calls->allocate(os, size); }
static inline void os_release(struct os *os, void *memory)
{ os->calls->release(os, memory); }
static inline void *os_map(struct os *os, size_t size)
{ return os->calls->map(os, size); }
static inline void os_unmap(struct os *os, void *pages, size_t size)
{ os->calls->unmap(os, pages, size); }
static inline int os_guard(struct os *os, void *pages, size_t size)
{ return os->calls->guard(os, pages, size); }
static inline int os_copy(struct os *os, void *to, const void *from, size_t size)
{ return os->calls->copy(os, to, from, size); }
static inline void os_discard(struct os *os, void *pages, size_t size)
{ os->calls->discard(os, pages, size); }
static inline size_t os_resident(struct os *os, const void *pages, size_t size)
{ return os->calls->resident(os, pages, size); }
/* clang-format on */

#endif
