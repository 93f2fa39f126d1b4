/* SPDX-License-Identifier: MIT */
/*
 * receive.c -- read, readv, recv, recvfrom, recvmsg.
 *
 * Most calls are over with the first bytes.  Those that want more (MSG_WAITALL, SO_RCVLOWAT)
 * gather them here as the kernel's blocking calls do: each try takes what is there, and the
 * call ends early where theirs ends early: at the end of the stream, an error (which stays for
 * the next call), an urgent byte, descriptors that were passed, the time-out, a signal.
 */
#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "fd/call.h"
#include "fd/fd.h"
#include "fd/file.h"
#include "fd/rest.h"
#include "task/park.h"

/* The most that Linux moves in one call (MAX_RW_COUNT). */
#define CALL_MOST ((size_t)0x7ffff000)

static atomic_bool low_mark_noted;

void fd_note_low_mark(void)
{
    atomic_store(&low_mark_noted, true);
}

bool fd_low_mark_noted(void)
{
    return atomic_load(&low_mark_noted);
}

/*
 * After EAGAIN: may a call with FLAGS wait?  MSG_OOB and MSG_ERRQUEUE never do, whatever the
 * mode, where the protocol knows them; but UDP ignores the one, Unix sockets the other.
 */
static bool may_wait(const struct call *call, int flags)
{
    if ((flags & MSG_DONTWAIT) != 0)
        return false;
    if ((flags & MSG_ERRQUEUE) != 0 && call_option(call, SO_DOMAIN, 0) != AF_UNIX)
        return false;
    return (flags & MSG_OOB) == 0 || call_option(call, SO_TYPE, 0) == SOCK_DGRAM;
}

/*
 * Waits for a receive with FLAGS: 0 to try again, or -errno.
 *
 * What is below SO_RCVLOWAT does not wake anybody, but whom a signal wakes, takes it.
 *
 * A datagram socket that is shut down for reading answers blocking calls with 0, and others
 * with EAGAIN for ever.  It cannot block any more, so then the next try is the plain call:
 * *NOW, the flag that keeps tries from blocking, goes.
 */
static int wait_to_receive(struct call *call, int flags, int *now)
{
    int result = -EAGAIN;

    if (!call->known)
        call->looks = fd_low_mark_noted() && call_option(call, SO_RCVLOWAT, 1) > 1;
    if (may_wait(call, flags))
        result = call_wait(call);
    if (result != -ESHUTDOWN)
        return result;
    *now = 0;
    return 0;
}

static bool gathers(int flags)
{
    return (flags & (MSG_DONTWAIT | MSG_OOB)) == 0 &&
           ((flags & MSG_WAITALL) != 0 || fd_low_mark_noted());
}

/* How much a gathering receive of SIZE bytes must get before it may return. */
static size_t target_of(const struct call *call, size_t size, int flags)
{
    int mark;

    if ((flags & MSG_WAITALL) != 0)
        return size;
    mark = call_option(call, SO_RCVLOWAT, 1);
    return mark > 1 && (size_t)mark < size ? (size_t)mark : (mark > 1 ? size : 1);
}

/* ---- gathering ------------------------------------------------------------------------ */

struct gathering {
    struct call *call;
    struct msghdr *now; /* what the next try receives into; ours */
    struct rest rest;   /* its pieces */
    int flags;
    size_t done;
    bool is_unix;
};

static int waiting_bytes(const struct call *call)
{
    int bytes = 0;

    return os_ioctl(call->os, call->fd, SIOCINQ, &bytes) < 0 ? 0 : bytes;
}

static bool at_mark(const struct call *call)
{
    int at = 0;

    return os_ioctl(call->os, call->fd, SIOCATMARK, &at) == 0 && at != 0;
}

/* Peeking at DONE bytes: is that all there will be before something else happens? */
static bool peek_is_final(const struct call *call, size_t done)
{
    struct pollfd entry = { .fd = call->fd, .events = POLLPRI | POLLRDHUP };

    return os_poll(call->os, &entry, 1, 0) > 0 && (size_t)waiting_bytes(call) <= done;
}

/* After bytes have come: does the call end here, although it wanted more? */
static bool ends_early(const struct gathering *gathering)
{
    const struct call *call = gathering->call;

    /* The rest of a Unix stream belongs to other descriptors than those just received; and
     * the kernel does not wait there for more to peek at. */
    if (gathering->is_unix) {
        if ((gathering->flags & MSG_PEEK) != 0)
            return true;
        if ((gathering->now->msg_flags & MSG_CTRUNC) != 0)
            return true;
        for (struct cmsghdr *part = CMSG_FIRSTHDR(gathering->now); part != NULL;
             part = CMSG_NXTHDR(gathering->now, part)) {
            if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS)
                return true;
        }
    }
    if ((gathering->flags & MSG_PEEK) != 0)
        return peek_is_final(call, gathering->done);
    return at_mark(call);
}

/* TCP keeps an error for the next call if this one has bytes; asking would take it away. */
static bool error_waits(const struct gathering *gathering)
{
    return !gathering->is_unix && (gathering->call->revents & POLLERR) != 0 &&
           waiting_bytes(gathering->call) == 0;
}

/* Receive until TARGET bytes are there; some are already.  CONTROL_ROOM is what the caller
 * gave for control data.  Returns how many bytes there are in the end. */
static size_t gather(struct gathering *gathering, size_t target, size_t control_room)
{
    struct call *call = gathering->call;
    struct msghdr *now = gathering->now;
    bool peeks = (gathering->flags & MSG_PEEK) != 0;
    ssize_t got;

    call_moved(call);
    call->events |= POLLPRI; /* an urgent byte ends it too */
    while (gathering->done < target && call->signalled == 0 && !ends_early(gathering) &&
           call_wait(call) == 0) {
        struct msghdr next = *now;

        if (call->signalled != 0 || error_waits(gathering) || (!peeks && at_mark(call)))
            break;
        next.msg_controllen = control_room;
        next.msg_iov = gathering->rest.pieces;
        next.msg_iovlen = gathering->rest.count;
        got = os_recvmsg(call->os, call->fd, &next, gathering->flags | MSG_DONTWAIT);
        if (got == -EAGAIN)
            continue;
        if (got <= 0)
            break;
        now->msg_controllen = next.msg_controllen;
        now->msg_flags = next.msg_flags;
        if (peeks) {
            if ((size_t)got > gathering->done)
                call_moved(call);
            gathering->done = (size_t)got;
        } else {
            call_moved(call);
            rest_skip(&gathering->rest, (size_t)got);
            gathering->done += (size_t)got;
        }
    }
    return gathering->done;
}

/*
 * The first try has brought GOT bytes of a call that gathers: get the others.  MESSAGE is as
 * the kernel left it, and ROOM what there was for control data.
 */
static ssize_t gather_rest(struct call *call, struct msghdr *message, size_t room,
                           int flags, ssize_t got)
{
    struct gathering gathering = {
        .call = call, .now = message, .flags = flags, .done = (size_t)got
    };
    size_t size = pieces_size(message->msg_iov, message->msg_iovlen);
    size_t target = target_of(call, size, flags);
    size_t skip = (flags & MSG_PEEK) != 0 ? 0 : (size_t)got;

    if ((size_t)got >= target || call_option(call, SO_TYPE, 0) != SOCK_STREAM)
        return got;
    gathering.is_unix = call_option(call, SO_DOMAIN, 0) == AF_UNIX;
    if ((flags & MSG_ERRQUEUE) != 0 && !gathering.is_unix)
        return got;
    if (rest_make(&gathering.rest, call->os, message->msg_iov, message->msg_iovlen,
                  skip) < 0)
        return got;
    got = (ssize_t)gather(&gathering, target, room);
    rest_release(&gathering.rest);
    return got;
}

/* ---- the calls ------------------------------------------------------------------------- */

/* One receive, in a task, by recvmsg: -EAGAIN means wait. */
static ssize_t receive_message(struct call *call, struct msghdr *message, int flags)
{
    int now = MSG_DONTWAIT, result;
    ssize_t got;

    for (;;) {
        got = os_recvmsg(call->os, call->fd, message, flags | now);
        if (got != -EAGAIN)
            return got;
        result = wait_to_receive(call, flags, &now);
        if (result < 0)
            return result;
    }
}

/* recv that gathers.  The room for credentials tells these from descriptors cut off. */
static ssize_t recv_gathering(struct call *call, void *buf, size_t size, int flags)
{
    union {
        size_t align;
        unsigned char bytes[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct iovec piece = { buf, size < CALL_MOST ? size : CALL_MOST };
    struct msghdr message = { .msg_iov = &piece,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof(control) };
    ssize_t got = receive_message(call, &message, flags);

    if (got > 0)
        got = gather_rest(call, &message, sizeof(control), flags, got);
    return got;
}

ssize_t fd_recvfrom(int fd, void *buf, size_t size, int flags, struct sockaddr *address,
                    socklen_t *address_size)
{
    struct call call = call_begin(fd, POLLIN);
    int now = MSG_DONTWAIT, result;
    ssize_t got;

    if (task_self() == NULL)
        return os_recvfrom(call.os, fd, buf, size, flags, address, address_size);
    if (gathers(flags) && address == NULL) {
        got = recv_gathering(&call, buf, size, flags);
        task_spend();
        return got;
    }
    for (;;) {
        got = os_recvfrom(call.os, fd, buf, size, flags | now, address, address_size);
        if (got != -EAGAIN)
            break;
        result = wait_to_receive(&call, flags, &now);
        if (result < 0)
            return result;
    }
    if (got > 0 && (size_t)got < size && gathers(flags)) {
        struct iovec piece = { buf, size < CALL_MOST ? size : CALL_MOST };
        struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };

        got = gather_rest(&call, &message, 0, flags, got);
    }
    task_spend();
    return got;
}

ssize_t fd_recvmsg(int fd, struct msghdr *message, int flags)
{
    struct call call = call_begin(fd, POLLIN);
    bool whole = gathers(flags);
    struct msghdr before;
    ssize_t got;

    if (task_self() == NULL)
        return os_recvmsg(call.os, fd, message, flags);
    /* The kernel will overwrite what is needed again; but MESSAGE may be a bad pointer. */
    if (whole && os_copy(call.os, &before, message, sizeof(before)) < 0)
        whole = false;
    got = receive_message(&call, message, flags);
    if (got > 0 && whole)
        got = gather_rest(&call, message, before.msg_controllen, flags, got);
    task_spend();
    return got;
}

/* A socket's readv, where RWF_NOWAIT is not known (before Linux 6.4): by recvmsg. */
static ssize_t try_readv(const struct call *call, const struct iovec *pieces, int count,
                         int now)
{
    ssize_t got = os_readv2(call->os, call->fd, pieces, count, now != 0 ? RWF_NOWAIT : 0);
    struct iovec *copy =
        (struct iovec *)(uintptr_t)pieces; /* recvmsg leaves them alone */
    struct msghdr message = { .msg_iov = copy, .msg_iovlen = (size_t)count };

    if (got != -EOPNOTSUPP)
        return got;
    return os_recvmsg(call->os, call->fd, &message, now);
}

static ssize_t socket_readv(int fd, const struct iovec *pieces, int count)
{
    struct call call = call_begin(fd, POLLIN);
    struct iovec *same = (struct iovec *)(uintptr_t)pieces;
    struct msghdr message = { .msg_iov = same, .msg_iovlen = (size_t)count };
    int now = MSG_DONTWAIT, result;
    ssize_t got;

    while ((got = try_readv(&call, pieces, count, now)) == -EAGAIN) {
        result = wait_to_receive(&call, 0, &now);
        if (result < 0)
            return result;
    }
    if (got > 0 && gathers(0))
        got = gather_rest(&call, &message, 0, 0, got);
    task_spend();
    return got;
}

ssize_t fd_readv(int fd, const struct iovec *pieces, int count)
{
    mode_t mode;
    int result;

    if (task_self() == NULL || count <= 0)
        return os_readv(task_os(), fd, pieces, count);
    result = os_mode(task_os(), fd, &mode);
    if (result < 0)
        return result;
    return S_ISSOCK(mode) ? socket_readv(fd, pieces, count)
                          : file_readv(fd, mode, pieces, count);
}

ssize_t fd_read(int fd, void *buf, size_t size)
{
    const struct iovec piece = { buf, size };
    mode_t mode;
    ssize_t got;
    int result;

    /* Of no bytes a recv would take a datagram; too many are EINVAL here only. */
    if (task_self() == NULL || size == 0 || size > SSIZE_MAX)
        return os_read(task_os(), fd, buf, size);
    got = fd_recvfrom(fd, buf, size, 0, NULL, NULL);
    if (got != -ENOTSOCK)
        return got;
    result = os_mode(task_os(), fd, &mode);
    return result < 0 ? result : file_readv(fd, mode, &piece, 1);
}

/* ---- with errno ------------------------------------------------------------------------ */

ssize_t tn_fd_read(int fd, void *buf, size_t size)
{
    int saved = errno;

    return answer(fd_read(fd, buf, size), saved);
}

ssize_t tn_fd_readv(int fd, const struct iovec *pieces, int count)
{
    int saved = errno;

    return answer(fd_readv(fd, pieces, count), saved);
}

ssize_t tn_fd_recv(int fd, void *buf, size_t size, int flags)
{
    int saved = errno;

    return answer(fd_recvfrom(fd, buf, size, flags, NULL, NULL), saved);
}

ssize_t tn_fd_recvfrom(int fd, void *buf, size_t size, int flags,
                       struct sockaddr *address, socklen_t *address_size)
{
    int saved = errno;

    return answer(fd_recvfrom(fd, buf, size, flags, address, address_size), saved);
}

ssize_t tn_fd_recvmsg(int fd, struct msghdr *message, int flags)
{
    int saved = errno;

    return answer(fd_recvmsg(fd, message, flags), saved);
}
