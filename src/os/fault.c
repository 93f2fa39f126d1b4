/* SPDX-License-Identifier: MIT */
/*
 * fault.c -- making calls of a system fail; see fault.h.
 *
 * A call that is to fail is not made at all, but for close, which on Linux has closed the
 * descriptor whatever it answers, and a connect that goes on (connect(2): EINPROGRESS,
 * EINTR).
 */
#include "os/fault.h"

#include <string.h>

#include "base/check.h"

#define FAULT_CALL_ROW(name, text, error) [FAULT_##name] = { text, error },

static const struct {
    const char *text;
    int typical;
} names[] = { FAULT_CALLS(FAULT_CALL_ROW) };

const char *fault_text(enum fault_call call)
{
    return names[call].text;
}

static struct fault *self_of(struct os *os)
{
    return CONTAINER(os, struct fault, os);
}

static struct os *inner_of(struct os *os)
{
    return self_of(os)->inner;
}

/* splitmix64: small, and good enough to choose with. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Count a call; whether it shall fail, and in *ERROR with what if not typically. */
static bool chosen(struct fault *fault, enum fault_call call, int *error)
{
    bool fails = false;

    if ((fault->spared & UINT64_C(1) << call) != 0)
        return false;
    fault->calls++;
    fault->calls_of[call]++;
    if (fault->nth > 0 && --fault->nth == 0) {
        *error = fault->nth_error;
        fails = true;
    }
    if (fault->name == call && fault->name_from > 1) {
        fault->name_from--;
    } else if (fault->name == call && fault->name_times > 0) {
        fault->name_times--;
        *error = fault->name_error;
        fails = true;
    }
    if (fault->chance > 0 && next_random(&fault->seed) % 1000000 < fault->chance) {
        *error = fault->seed_error;
        fails = true;
    }
    return fails;
}

int fault_hit(struct os *os, enum fault_call call)
{
    struct fault *fault = self_of(os);
    int error = 0;

    if (!chosen(fault, call, &error))
        return 0;
    fault->failed++;
    fault->failed_of[call]++;
    fault->last = call;
    fault->last_error = error != 0 ? error : names[call].typical;
    return -fault->last_error;
}

static ssize_t fault_read(struct os *os, int fd, void *buf, size_t size)
{
    int result = fault_hit(os, FAULT_READ);
    return result < 0 ? result : os_read(inner_of(os), fd, buf, size);
}

static ssize_t fault_write(struct os *os, int fd, const void *buf, size_t size)
{
    int result = fault_hit(os, FAULT_WRITE);
    return result < 0 ? result : os_write(inner_of(os), fd, buf, size);
}

static ssize_t fault_readv(struct os *os, int fd, const struct iovec *iov, int count)
{
    int result = fault_hit(os, FAULT_READV);
    return result < 0 ? result : os_readv(inner_of(os), fd, iov, count);
}

static ssize_t fault_writev(struct os *os, int fd, const struct iovec *iov, int count)
{
    int result = fault_hit(os, FAULT_WRITEV);
    return result < 0 ? result : os_writev(inner_of(os), fd, iov, count);
}

static ssize_t fault_readv2(struct os *os, int fd, const struct iovec *iov, int count,
                            int flags)
{
    int result = fault_hit(os, FAULT_READV2);
    return result < 0 ? result : os_readv2(inner_of(os), fd, iov, count, flags);
}

static ssize_t fault_writev2(struct os *os, int fd, const struct iovec *iov, int count,
                             int flags)
{
    int result = fault_hit(os, FAULT_WRITEV2);
    return result < 0 ? result : os_writev2(inner_of(os), fd, iov, count, flags);
}

static int fault_open(struct os *os, const char *path, int flags)
{
    int result = fault_hit(os, FAULT_OPEN);
    return result < 0 ? result : os_open(inner_of(os), path, flags);
}

static int fault_mode(struct os *os, int fd, mode_t *mode)
{
    int result = fault_hit(os, FAULT_MODE);
    return result < 0 ? result : os_mode(inner_of(os), fd, mode);
}

static unsigned fault_handlers(struct os *os, sigset_t *interrupting)
{
    return os_handlers(inner_of(os), interrupting);
}

static int fault_blocked(struct os *os, sigset_t *mask)
{
    return os_blocked(inner_of(os), mask);
}

static int fault_copy(struct os *os, void *to, const void *from, size_t size)
{
    return os_copy(inner_of(os), to, from, size);
}

static int fault_close(struct os *os, int fd)
{
    int result = fault_hit(os, FAULT_CLOSE);
    int closed = os_close(inner_of(os), fd);
    return result < 0 ? result : closed;
}

static int fault_fcntl(struct os *os, int fd, int command, long argument)
{
    int result = fault_hit(os, FAULT_FCNTL);
    return result < 0 ? result : os_fcntl(inner_of(os), fd, command, argument);
}

static int fault_ioctl(struct os *os, int fd, unsigned long request, void *argument)
{
    int result = fault_hit(os, FAULT_IOCTL);
    return result < 0 ? result : os_ioctl(inner_of(os), fd, request, argument);
}

static int fault_poll(struct os *os, struct pollfd *fds, nfds_t count, int timeout_ms)
{
    int result = fault_hit(os, FAULT_POLL);
    return result < 0 ? result : os_poll(inner_of(os), fds, count, timeout_ms);
}

static int fault_dup(struct os *os, int fd, int onto, int flags)
{
    int result = fault_hit(os, FAULT_DUP);
    return result < 0 ? result : os_dup(inner_of(os), fd, onto, flags);
}

static int fault_eventfd(struct os *os, unsigned start, int flags)
{
    int result = fault_hit(os, FAULT_EVENTFD);
    return result < 0 ? result : os_eventfd(inner_of(os), start, flags);
}

static int fault_pipe(struct os *os, size_t size, int fds[2])
{
    int result = fault_hit(os, FAULT_PIPE);
    return result < 0 ? result : os_pipe(inner_of(os), size, fds);
}

static ssize_t fault_splice_in(struct os *os, int fd, int pipe, size_t size)
{
    int result = fault_hit(os, FAULT_SPLICE_IN);
    return result < 0 ? result : os_splice_in(inner_of(os), fd, pipe, size);
}

static ssize_t fault_splice_out(struct os *os, int pipe, int fd, size_t size)
{
    int result = fault_hit(os, FAULT_SPLICE_OUT);
    return result < 0 ? result : os_splice_out(inner_of(os), pipe, fd, size);
}

static int fault_signalfd(struct os *os, int fd, const sigset_t *set, int flags)
{
    int result = fault_hit(os, FAULT_SIGNALFD);
    return result < 0 ? result : os_signalfd(inner_of(os), fd, set, flags);
}

static int fault_socket(struct os *os, int domain, int type, int protocol)
{
    int result = fault_hit(os, FAULT_SOCKET);
    return result < 0 ? result : os_socket(inner_of(os), domain, type, protocol);
}

static int fault_socketpair(struct os *os, int domain, int type, int protocol, int fds[2])
{
    int result = fault_hit(os, FAULT_SOCKETPAIR);
    return result < 0 ? result : os_socketpair(inner_of(os), domain, type, protocol, fds);
}

static int fault_bind(struct os *os, int fd, const struct sockaddr *addr, socklen_t size)
{
    int result = fault_hit(os, FAULT_BIND);
    return result < 0 ? result : os_bind(inner_of(os), fd, addr, size);
}

static int fault_listen(struct os *os, int fd, int backlog)
{
    int result = fault_hit(os, FAULT_LISTEN);
    return result < 0 ? result : os_listen(inner_of(os), fd, backlog);
}

static int fault_accept(struct os *os, int fd, struct sockaddr *addr, socklen_t *size,
                        int flags)
{
    int result = fault_hit(os, FAULT_ACCEPT);
    return result < 0 ? result : os_accept(inner_of(os), fd, addr, size, flags);
}

static int fault_connect(struct os *os, int fd, const struct sockaddr *addr,
                         socklen_t size)
{
    int result = fault_hit(os, FAULT_CONNECT), made;

    if (result < 0 && result != -EINPROGRESS && result != -EINTR)
        return result;
    made = os_connect(inner_of(os), fd, addr, size);
    /* What has succeeded does not go on; but a signal may have come first. */
    return made == 0 && result == -EINTR ? result : made;
}

static int fault_shutdown(struct os *os, int fd, int how)
{
    int result = fault_hit(os, FAULT_SHUTDOWN);
    return result < 0 ? result : os_shutdown(inner_of(os), fd, how);
}

static ssize_t fault_recvfrom(struct os *os, int fd, void *buf, size_t size, int flags,
                              struct sockaddr *addr, socklen_t *addr_size)
{
    int result = fault_hit(os, FAULT_RECVFROM);
    return result < 0 ? result
                      : os_recvfrom(inner_of(os), fd, buf, size, flags, addr, addr_size);
}

static ssize_t fault_sendto(struct os *os, int fd, const void *buf, size_t size,
                            int flags, const struct sockaddr *addr, socklen_t addr_size)
{
    int result = fault_hit(os, FAULT_SENDTO);
    return result < 0 ? result
                      : os_sendto(inner_of(os), fd, buf, size, flags, addr, addr_size);
}

static ssize_t fault_recvmsg(struct os *os, int fd, struct msghdr *message, int flags)
{
    int result = fault_hit(os, FAULT_RECVMSG);
    return result < 0 ? result : os_recvmsg(inner_of(os), fd, message, flags);
}

static ssize_t fault_sendmsg(struct os *os, int fd, const struct msghdr *message,
                             int flags)
{
    int result = fault_hit(os, FAULT_SENDMSG);
    return result < 0 ? result : os_sendmsg(inner_of(os), fd, message, flags);
}

static int fault_getsockname(struct os *os, int fd, struct sockaddr *addr,
                             socklen_t *size)
{
    int result = fault_hit(os, FAULT_GETSOCKNAME);
    return result < 0 ? result : os_getsockname(inner_of(os), fd, addr, size);
}

static int fault_getpeername(struct os *os, int fd, struct sockaddr *addr,
                             socklen_t *size)
{
    int result = fault_hit(os, FAULT_GETPEERNAME);
    return result < 0 ? result : os_getpeername(inner_of(os), fd, addr, size);
}

static int fault_getsockopt(struct os *os, int fd, int level, int name, void *value,
                            socklen_t *size)
{
    int result = fault_hit(os, FAULT_GETSOCKOPT);
    return result < 0 ? result
                      : os_getsockopt(inner_of(os), fd, level, name, value, size);
}

static int fault_setsockopt(struct os *os, int fd, int level, int name, const void *value,
                            socklen_t size)
{
    int result = fault_hit(os, FAULT_SETSOCKOPT);
    return result < 0 ? result
                      : os_setsockopt(inner_of(os), fd, level, name, value, size);
}

static int fault_stat(struct os *os, const char *path, struct stat *found)
{
    int result = fault_hit(os, FAULT_STAT);
    return result < 0 ? result : os_stat(inner_of(os), path, found);
}

static int fault_chmod(struct os *os, const char *path, unsigned mode)
{
    int result = fault_hit(os, FAULT_CHMOD);
    return result < 0 ? result : os_chmod(inner_of(os), path, mode);
}

static int fault_unlink(struct os *os, const char *path)
{
    int result = fault_hit(os, FAULT_UNLINK);
    return result < 0 ? result : os_unlink(inner_of(os), path);
}

static int64_t fault_now(struct os *os)
{
    return os_now(inner_of(os));
}

static int64_t fault_late_now(struct os *os)
{
    return os_late_now(inner_of(os));
}

static int64_t fault_preemptions(struct os *os)
{
    return os_preemptions(inner_of(os));
}

static void *fault_allocate(struct os *os, size_t size)
{
    return fault_hit(os, FAULT_ALLOCATE) < 0 ? NULL : os_allocate(inner_of(os), size);
}

static void fault_release(struct os *os, void *memory)
{
    os_release(inner_of(os), memory);
}

static void *fault_map(struct os *os, size_t size)
{
    return fault_hit(os, FAULT_MAP) < 0 ? NULL : os_map(inner_of(os), size);
}

static void fault_unmap(struct os *os, void *pages, size_t size)
{
    os_unmap(inner_of(os), pages, size);
}

static int fault_guard(struct os *os, void *pages, size_t size)
{
    int result = fault_hit(os, FAULT_GUARD);
    return result < 0 ? result : os_guard(inner_of(os), pages, size);
}

static void fault_discard(struct os *os, void *pages, size_t size)
{
    os_discard(inner_of(os), pages, size);
}

static size_t fault_resident(struct os *os, const void *pages, size_t size)
{
    return os_resident(inner_of(os), pages, size);
}

static const struct os_calls fault_calls = {
    .name = "fault",
    .one_thread = true,
    .read = fault_read,
    .write = fault_write,
    .readv = fault_readv,
    .writev = fault_writev,
    .readv2 = fault_readv2,
    .writev2 = fault_writev2,
    .open = fault_open,
    .mode = fault_mode,
    .close = fault_close,
    .fcntl = fault_fcntl,
    .ioctl = fault_ioctl,
    .poll = fault_poll,
    .dup = fault_dup,
    .eventfd = fault_eventfd,
    .pipe = fault_pipe,
    .splice_in = fault_splice_in,
    .splice_out = fault_splice_out,
    .signalfd = fault_signalfd,
    .handlers = fault_handlers,
    .blocked = fault_blocked,
    .socket = fault_socket,
    .socketpair = fault_socketpair,
    .bind = fault_bind,
    .listen = fault_listen,
    .accept = fault_accept,
    .connect = fault_connect,
    .shutdown = fault_shutdown,
    .recvfrom = fault_recvfrom,
    .sendto = fault_sendto,
    .recvmsg = fault_recvmsg,
    .sendmsg = fault_sendmsg,
    .getsockname = fault_getsockname,
    .getpeername = fault_getpeername,
    .getsockopt = fault_getsockopt,
    .setsockopt = fault_setsockopt,
    .stat = fault_stat,
    .chmod = fault_chmod,
    .unlink = fault_unlink,
    .now = fault_now,
    .late_now = fault_late_now,
    .preemptions = fault_preemptions,
    .allocate = fault_allocate,
    .release = fault_release,
    .map = fault_map,
    .unmap = fault_unmap,
    .guard = fault_guard,
    .copy = fault_copy,
    .discard = fault_discard,
    .resident = fault_resident,
    .driver_open = fault_driver_open,
};

void fault_init(struct fault *fault, struct os *inner)
{
    *fault = (struct fault){ .os = { &fault_calls }, .inner = inner };
}

void fault_nth(struct fault *fault, uint64_t nth, int error)
{
    fault->nth = nth;
    fault->nth_error = error;
}

void fault_name(struct fault *fault, enum fault_call name, uint64_t from, uint64_t times,
                int error)
{
    fault->name = name;
    fault->name_from = from;
    fault->name_times = times;
    fault->name_error = error;
}

void fault_seed(struct fault *fault, uint64_t seed, uint32_t chance, int error)
{
    fault->seed = seed;
    fault->chance = chance;
    fault->seed_error = error;
}

void fault_off(struct fault *fault)
{
    fault->nth = 0;
    fault->name_from = fault->name_times = 0;
    fault->chance = 0;
}
