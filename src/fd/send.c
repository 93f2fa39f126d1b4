/* SPDX-License-Identifier: MIT */
/*
 * send.c -- write, writev, send, sendto, sendmsg.
 *
 * A blocking call on a stream ends when the kernel has taken everything.  What the first try
 * leaves over is sent on; an error that comes then is not this call's, which has moved bytes
 * already, but the next one's: it must stay where it is, and raise no SIGPIPE.
 */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>

#include "fd/call.h"
#include "fd/fd.h"
#include "fd/file.h"
#include "fd/rest.h"
#include "task/park.h"

static bool may_wait(int flags)
{
    return (flags & MSG_DONTWAIT) == 0;
}

/* Has the wait found a TCP connection that is over?  Asking by a send would take the error. */
static bool is_over(const struct call *call)
{
    struct tcp_info info = { 0 };
    socklen_t size = sizeof(info);

    if ((call->revents & (POLLERR | POLLHUP)) == 0)
        return false;
    return os_getsockopt(call->os, call->fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
           info.tcpi_state == TCP_CLOSE;
}

/* Control data of MESSAGE for the bytes after the first: all but descriptors, which have
 * been passed.  Works in place on a copy of SIZE bytes; returns its new length. */
static size_t without_rights(void *control, size_t size)
{
    struct msghdr message = { .msg_control = control, .msg_controllen = size };
    unsigned char *to = control;
    struct cmsghdr *part, *next;

    for (part = CMSG_FIRSTHDR(&message); part != NULL; part = next) {
        size_t length = CMSG_ALIGN(part->cmsg_len);
        size_t left = size - (size_t)((unsigned char *)part - (unsigned char *)control);

        next = CMSG_NXTHDR(&message, part);
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS)
            continue;
        if (length > left)
            length = left;
        memmove(to, part, length);
        to += length;
    }
    return (size_t)(to - (unsigned char *)control);
}

/* Sends what MESSAGE has beyond its first DONE bytes.  Returns how many went in the end. */
static ssize_t send_on(struct call *call, const struct msghdr *message, int flags,
                       size_t done)
{
    size_t total = pieces_size(message->msg_iov, message->msg_iovlen);
    struct msghdr next = { .msg_controllen = 0 };
    struct rest rest;
    ssize_t sent;

    if (rest_make(&rest, call->os, message->msg_iov, message->msg_iovlen, done) < 0)
        return (ssize_t)done;
    if (message->msg_controllen > 0) {
        next.msg_control = os_allocate(call->os, message->msg_controllen);
        if (next.msg_control != NULL) {
            memcpy(next.msg_control, message->msg_control, message->msg_controllen);
            next.msg_controllen =
                without_rights(next.msg_control, message->msg_controllen);
        }
    }
    call_moved(call);
    while (done < total && call_wait(call) == 0 && !is_over(call)) {
        next.msg_iov = rest.pieces;
        next.msg_iovlen = rest.count;
        sent = os_sendmsg(call->os, call->fd, &next, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent == -EAGAIN)
            continue;
        if (sent <= 0)
            break;
        call_moved(call);
        rest_skip(&rest, (size_t)sent);
        done += (size_t)sent;
    }
    os_release(call->os, next.msg_control);
    rest_release(&rest);
    return (ssize_t)done;
}

/* A Unix socket's send that had to wait for room and then finds the end, raises no SIGPIPE:
 * the kernel does that for those only that find it at once (unix_stream_sendmsg, 6.18). */
static int quiet_after_wait(const struct call *call)
{
    return call_option(call, SO_DOMAIN, 0) == AF_UNIX ? MSG_NOSIGNAL : 0;
}

/*
 * What the first try of a call that may wait has answered: is it to be made again?  After
 * MSG_FASTOPEN the connection has to stand first.
 */
static int wait_to_send(struct call *call, ssize_t sent, int *flags)
{
    if (sent == -EINPROGRESS && (*flags & MSG_FASTOPEN) != 0)
        *flags &= ~MSG_FASTOPEN;
    else if (sent != -EAGAIN)
        return 0;
    if (!may_wait(*flags))
        return 0;
    int result = call_wait(call);
    *flags |= quiet_after_wait(call);
    return result < 0 ? result : 1;
}

ssize_t fd_sendto(int fd, const void *buf, size_t size, int flags,
                  const struct sockaddr *address, socklen_t address_size)
{
    struct call call = call_begin(fd, POLLOUT);
    struct iovec piece = { (void *)(uintptr_t)buf, size };
    struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
    ssize_t sent;
    int again;

    if (task_self() == NULL)
        return os_sendto(call.os, fd, buf, size, flags, address, address_size);
    do {
        sent = os_sendto(call.os, fd, buf, size, flags | MSG_DONTWAIT, address,
                         address_size);
        again = wait_to_send(&call, sent, &flags);
    } while (again > 0);
    if (again < 0)
        return again;
    if (sent > 0 && (size_t)sent < size && may_wait(flags))
        sent = send_on(&call, &message, flags, (size_t)sent);
    task_spend();
    return sent;
}

ssize_t fd_sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct call call = call_begin(fd, POLLOUT);
    ssize_t sent;
    int again;

    if (task_self() == NULL)
        return os_sendmsg(call.os, fd, message, flags);
    do {
        sent = os_sendmsg(call.os, fd, message, flags | MSG_DONTWAIT);
        again = wait_to_send(&call, sent, &flags);
    } while (again > 0);
    if (again < 0)
        return again;
    if (sent > 0 && may_wait(flags) &&
        (size_t)sent < pieces_size(message->msg_iov, message->msg_iovlen))
        sent = send_on(&call, message, flags, (size_t)sent);
    task_spend();
    return sent;
}

static ssize_t socket_writev(int fd, const struct iovec *pieces, int count)
{
    struct call call = call_begin(fd, POLLOUT);
    struct iovec *same =
        (struct iovec *)(uintptr_t)pieces; /* sendmsg leaves them alone */
    struct msghdr message = { .msg_iov = same, .msg_iovlen = (size_t)count };
    ssize_t put = os_writev2(call.os, fd, pieces, count, RWF_NOWAIT);
    int again, flags = 0;

    /* From the second try on, and before Linux 6.4 from the first, by sendmsg, which has the
     * flags for it; only writev itself knows how to refuse bad pieces. */
    if (put == -EOPNOTSUPP)
        put = os_sendmsg(call.os, fd, &message, MSG_DONTWAIT);
    while ((again = wait_to_send(&call, put, &flags)) > 0)
        put = os_sendmsg(call.os, fd, &message, flags | MSG_DONTWAIT);
    if (again < 0)
        return again;
    if (put > 0 && (size_t)put < pieces_size(pieces, (size_t)count))
        put = send_on(&call, &message, 0, (size_t)put);
    task_spend();
    return put;
}

ssize_t fd_writev(int fd, const struct iovec *pieces, int count)
{
    mode_t mode;
    int result;

    if (task_self() == NULL || count <= 0)
        return os_writev(task_os(), fd, pieces, count);
    result = os_mode(task_os(), fd, &mode);
    if (result < 0)
        return result;
    return S_ISSOCK(mode) ? socket_writev(fd, pieces, count)
                          : file_writev(fd, mode, pieces, count);
}

ssize_t fd_write(int fd, const void *buf, size_t size)
{
    const struct iovec piece = { (void *)(uintptr_t)buf, size };
    mode_t mode;
    ssize_t put;
    int result;

    if (task_self() == NULL || size > SSIZE_MAX)
        return os_write(task_os(), fd, buf, size);
    put = fd_sendto(fd, buf, size, 0, NULL, 0);
    if (put != -ENOTSOCK)
        return put;
    if (size == 0)
        return os_write(task_os(), fd, buf, size);
    result = os_mode(task_os(), fd, &mode);
    return result < 0 ? result : file_writev(fd, mode, &piece, 1);
}

/* ---- with errno ------------------------------------------------------------------------ */

ssize_t tn_fd_write(int fd, const void *buf, size_t size)
{
    int saved = errno;

    return answer(fd_write(fd, buf, size), saved);
}

ssize_t tn_fd_writev(int fd, const struct iovec *pieces, int count)
{
    int saved = errno;

    return answer(fd_writev(fd, pieces, count), saved);
}

ssize_t tn_fd_send(int fd, const void *buf, size_t size, int flags)
{
    int saved = errno;

    return answer(fd_sendto(fd, buf, size, flags, NULL, 0), saved);
}

ssize_t tn_fd_sendto(int fd, const void *buf, size_t size, int flags,
                     const struct sockaddr *address, socklen_t address_size)
{
    int saved = errno;

    return answer(fd_sendto(fd, buf, size, flags, address, address_size), saved);
}

ssize_t tn_fd_sendmsg(int fd, const struct msghdr *message, int flags)
{
    int saved = errno;

    return answer(fd_sendmsg(fd, message, flags), saved);
}
