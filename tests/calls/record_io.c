/* SPDX-License-Identifier: MIT */
/*
 * record_io.c -- the recorded calls that move bytes, and the modes.
 */
#include "record.h"

#include <stdio.h>
#include <string.h>

#define SECOND         INT64_C(1000000000)
#define STORM_TIME_OUT (10 * SECOND)

static void open_line(struct actor *me, struct attempt *attempt, const char *call, int fd)
{
    text_add(&attempt->line, "%s(", call);
    text_add_fd(&attempt->line, me->run, fd);
}

/* What a receiving call of SIZE bytes left in BUF; with TRUNC the result may be more. */
static void add_got(struct attempt *attempt, const void *buf, size_t size)
{
    size_t got = attempt->result > 0 ? (size_t)attempt->result : 0;

    if (got > size)
        got = size;
    if (got == 0 || buf == NULL) /* MSG_TRUNC on TCP needs no buffer */
        return;
    text_add(&attempt->line, " ");
    text_add_bytes(&attempt->line, buf, got);
}

static void add_got_pieces(struct attempt *attempt, const struct iovec *pieces,
                           size_t count)
{
    size_t left = attempt->result > 0 ? (size_t)attempt->result : 0;

    for (size_t i = 0; i < count && left > 0; i++) {
        size_t size = pieces[i].iov_len < left ? pieces[i].iov_len : left;

        if (size == 0)
            continue;
        text_add(&attempt->line, " ");
        text_add_bytes(&attempt->line, pieces[i].iov_base, size);
        left -= size;
    }
}

ssize_t do_read(struct actor *me, int fd, void *buf, size_t size)
{
    struct attempt attempt;

    do
        begin(me, &attempt, "read");
    while (end(me, &attempt, me->run->way->calls->read(fd, buf, size)));
    open_line(me, &attempt, "read", fd);
    text_add(&attempt.line, ", %zu)", size);
    text_add_result(me, &attempt);
    add_got(&attempt, buf, size);
    finish(me, &attempt);
    return attempt.result;
}

ssize_t do_readv(struct actor *me, int fd, const struct iovec *pieces, int count)
{
    struct attempt attempt;

    do
        begin(me, &attempt, "readv");
    while (end(me, &attempt, me->run->way->calls->readv(fd, pieces, count)));
    open_line(me, &attempt, "readv", fd);
    text_add(&attempt.line, ", %d pieces)", count);
    text_add_result(me, &attempt);
    if (count > 0)
        add_got_pieces(&attempt, pieces, (size_t)count);
    finish(me, &attempt);
    return attempt.result;
}

ssize_t do_write(struct actor *me, int fd, const void *buf, size_t size)
{
    struct attempt attempt;

    do
        begin(me, &attempt, "write");
    while (end(me, &attempt, me->run->way->calls->write(fd, buf, size)));
    open_line(me, &attempt, "write", fd);
    text_add(&attempt.line, ", %zu)", size);
    text_add_result(me, &attempt);
    finish(me, &attempt);
    return attempt.result;
}

ssize_t do_writev(struct actor *me, int fd, const struct iovec *pieces, int count)
{
    struct attempt attempt;

    do
        begin(me, &attempt, "writev");
    while (end(me, &attempt, me->run->way->calls->writev(fd, pieces, count)));
    open_line(me, &attempt, "writev", fd);
    text_add(&attempt.line, ", %d pieces)", count);
    text_add_result(me, &attempt);
    finish(me, &attempt);
    return attempt.result;
}

/*
 * At the mark of an urgent byte Linux answers a receive that must not wait with EAGAIN while a
 * signal is pending, whatever stands behind the mark (tcp_recvmsg_locked, 6.18): in a storm
 * that is one call of some thousands, and of every way.  So there it takes STOPS in a row.
 */
static bool stopped_by_signal(const struct actor *me, int fd, int flags,
                              const struct attempt *attempt, unsigned *stops)
{
    enum { STOPS = 8 };
    int at = 0;

    return me->run->storm != STORM_NONE && attempt->result < 0 &&
           attempt->error == EAGAIN && (flags & MSG_OOB) == 0 &&
           ioctl(fd, SIOCATMARK, &at) == 0 && at != 0 && ++*stops < STOPS;
}

ssize_t do_recv(struct actor *me, int fd, void *buf, size_t size, int flags)
{
    struct attempt attempt;
    unsigned stops = 0;

    do
        begin(me, &attempt, "recv");
    while (end(me, &attempt, me->run->way->calls->recv(fd, buf, size, flags)) ||
           stopped_by_signal(me, fd, flags, &attempt, &stops));
    open_line(me, &attempt, "recv", fd);
    text_add(&attempt.line, ", %zu, ", size);
    text_add_message_flags(&attempt.line, flags);
    text_add(&attempt.line, ")");
    text_add_result(me, &attempt);
    add_got(&attempt, buf, size);
    finish(me, &attempt);
    return attempt.result;
}

static void add_sender(struct actor *me, struct attempt *attempt, const void *address,
                       socklen_t size, socklen_t room)
{
    if (attempt->result < 0 || address == NULL)
        return;
    text_add(&attempt->line, " from ");
    if (size == 0)
        text_add(&attempt->line, "nobody");
    else
        text_add_address(&attempt->line, me->run, address, size < room ? size : room);
    text_add(&attempt->line, " of %u", size);
}

ssize_t do_recvfrom(struct actor *me, int fd, void *buf, size_t size, int flags,
                    void *address, socklen_t *address_size)
{
    struct attempt attempt;
    socklen_t room = 0;

    if (address_size != NULL && is_readable(address_size, sizeof(room)))
        room = *address_size;
    do
        begin(me, &attempt, "recvfrom");
    while (
        end(me, &attempt,
            me->run->way->calls->recvfrom(fd, buf, size, flags, address, address_size)));
    open_line(me, &attempt, "recvfrom", fd);
    text_add(&attempt.line, ", %zu, ", size);
    text_add_message_flags(&attempt.line, flags);
    text_add(&attempt.line, ")");
    text_add_result(me, &attempt);
    add_got(&attempt, buf, size);
    if (attempt.result >= 0 && address_size != NULL)
        add_sender(me, &attempt, address, *address_size, room);
    finish(me, &attempt);
    return attempt.result;
}

static void add_message(struct actor *me, struct attempt *attempt, struct msghdr *message,
                        socklen_t room)
{
    add_got_pieces(attempt, message->msg_iov, message->msg_iovlen);
    add_sender(me, attempt, message->msg_name, message->msg_namelen, room);
    text_add(&attempt->line, " flags ");
    text_add_message_flags(&attempt->line, message->msg_flags);
    if (message->msg_control != NULL)
        text_add_control(&attempt->line, me->run, message);
    else if (message->msg_controllen != 0)
        text_add(&attempt->line, " control length %zu", (size_t)message->msg_controllen);
}

static bool is_as_before(const struct msghdr *before, const struct msghdr *now)
{
    return before->msg_name == now->msg_name && before->msg_namelen == now->msg_namelen &&
           before->msg_iov == now->msg_iov && before->msg_iovlen == now->msg_iovlen &&
           before->msg_control == now->msg_control &&
           before->msg_controllen == now->msg_controllen &&
           before->msg_flags == now->msg_flags;
}

ssize_t do_recvmsg(struct actor *me, int fd, struct msghdr *message, int flags)
{
    bool readable = is_readable(message, sizeof(*message));
    struct msghdr before = { 0 };
    struct attempt attempt;

    if (readable)
        before = *message;
    do
        begin(me, &attempt, "recvmsg");
    while (end(me, &attempt, me->run->way->calls->recvmsg(fd, message, flags)));
    open_line(me, &attempt, "recvmsg", fd);
    text_add(&attempt.line, ", ");
    text_add_message_flags(&attempt.line, flags);
    text_add(&attempt.line, ")");
    text_add_result(me, &attempt);
    if (attempt.result >= 0)
        add_message(me, &attempt, message, before.msg_namelen);
    else if (readable && !is_as_before(&before, message))
        text_add(&attempt.line, " message touched");
    finish(me, &attempt);
    return attempt.result;
}

ssize_t do_send(struct actor *me, int fd, const void *buf, size_t size, int flags)
{
    struct attempt attempt;

    do
        begin(me, &attempt, "send");
    while (end(me, &attempt, me->run->way->calls->send(fd, buf, size, flags)));
    open_line(me, &attempt, "send", fd);
    text_add(&attempt.line, ", %zu, ", size);
    text_add_message_flags(&attempt.line, flags);
    text_add(&attempt.line, ")");
    text_add_result(me, &attempt);
    finish(me, &attempt);
    return attempt.result;
}

ssize_t do_sendto(struct actor *me, int fd, const void *buf, size_t size, int flags,
                  const void *address, socklen_t address_size)
{
    struct attempt attempt;

    do
        begin(me, &attempt, "sendto");
    while (end(me, &attempt,
               me->run->way->calls->sendto(fd, buf, size, flags, address, address_size)));
    open_line(me, &attempt, "sendto", fd);
    text_add(&attempt.line, ", %zu, ", size);
    text_add_message_flags(&attempt.line, flags);
    text_add(&attempt.line, "%s)", address != NULL ? ", address" : "");
    text_add_result(me, &attempt);
    finish(me, &attempt);
    return attempt.result;
}

ssize_t do_sendmsg(struct actor *me, int fd, const struct msghdr *message, int flags)
{
    struct attempt attempt;

    do
        begin(me, &attempt, "sendmsg");
    while (end(me, &attempt, me->run->way->calls->sendmsg(fd, message, flags)));
    open_line(me, &attempt, "sendmsg", fd);
    text_add(&attempt.line, ", ");
    text_add_message_flags(&attempt.line, flags);
    text_add(&attempt.line, ")");
    text_add_result(me, &attempt);
    finish(me, &attempt);
    return attempt.result;
}

/* ---- modes ----------------------------------------------------------------------------- */

int do_fcntl(struct actor *me, int fd, int command, long value)
{
    struct attempt attempt;

    do
        begin(me, &attempt, "fcntl");
    while (end(me, &attempt, me->run->way->calls->fcntl(fd, command, value)));
    open_line(me, &attempt, "fcntl", fd);
    text_add(&attempt.line, ", %d, %ld)", command, command == F_SETOWN ? 0 : value);
    if (attempt.result >= 0 && (command == F_DUPFD || command == F_DUPFD_CLOEXEC))
        text_add(&attempt.line, " = ok");
    else if (attempt.result >= 0 && command == F_GETFL)
        text_add(&attempt.line, " = %#zo", (size_t)attempt.result);
    else
        text_add_result(me, &attempt);
    finish(me, &attempt);
    return (int)attempt.result;
}

int do_ioctl(struct actor *me, int fd, unsigned long request, int *value)
{
    struct attempt attempt;

    do
        begin(me, &attempt, "ioctl");
    while (end(me, &attempt, me->run->way->calls->ioctl(fd, request, value)));
    open_line(me, &attempt, "ioctl", fd);
    text_add(&attempt.line, ", %#lx)", request);
    text_add_result(me, &attempt);
    if (attempt.result >= 0 && value != NULL)
        text_add(&attempt.line, " value %d", *value);
    finish(me, &attempt);
    return (int)attempt.result;
}

int do_setsockopt(struct actor *me, int fd, int level, int name, const void *value,
                  socklen_t size)
{
    struct attempt attempt;

    do
        begin(me, &attempt, "setsockopt");
    while (
        end(me, &attempt, me->run->way->calls->setsockopt(fd, level, name, value, size)));
    open_line(me, &attempt, "setsockopt", fd);
    text_add(&attempt.line, ", %d, %d, %u)", level, name, size);
    text_add_result(me, &attempt);
    finish(me, &attempt);
    return (int)attempt.result;
}

int do_getsockopt(struct actor *me, int fd, int level, int name, void *value,
                  socklen_t *size)
{
    struct attempt attempt;

    do
        begin(me, &attempt, "getsockopt");
    while (
        end(me, &attempt, me->run->way->calls->getsockopt(fd, level, name, value, size)));
    open_line(me, &attempt, "getsockopt", fd);
    text_add(&attempt.line, ", %d, %d)", level, name);
    text_add_result(me, &attempt);
    if (attempt.result >= 0 && level == SOL_SOCKET && name == SO_ERROR) {
        int error = *(int *)value;

        text_add(&attempt.line, " %s", error != 0 ? strerrorname_np(error) : "none");
    } else if (attempt.result >= 0) {
        text_add(&attempt.line, " ");
        text_add_bytes(&attempt.line, value, *size);
    }
    finish(me, &attempt);
    return (int)attempt.result;
}

int do_poll(struct actor *me, struct pollfd *entries, nfds_t count, int timeout_ms)
{
    bool again,
        by_luck = me->run->storm && timeout_ms == 0; /* a pending signal is EINTR */
    struct attempt attempt;

    do {
        begin(me, &attempt, "poll");
        again = end(me, &attempt, me->run->way->calls->poll(entries, count, timeout_ms));
    } while (again || (by_luck && attempt.result < 0 && attempt.error == EINTR));
    text_add(&attempt.line, "poll(%zu, %d ms)", (size_t)count, timeout_ms);
    text_add_result(me, &attempt);
    for (nfds_t i = 0; attempt.result >= 0 && i < count && i < 8; i++) {
        text_add(&attempt.line, " ");
        text_add_fd(&attempt.line, me->run, entries[i].fd);
        text_add(&attempt.line, ":");
        text_add_events(&attempt.line, entries[i].revents);
    }
    finish(me, &attempt);
    return (int)attempt.result;
}

/* ---- short forms ----------------------------------------------------------------------- */

ssize_t do_recv_now(struct actor *me, int fd)
{
    char buf[32];

    memset(buf, '.', sizeof(buf));
    return do_recv(me, fd, buf, sizeof(buf), MSG_DONTWAIT);
}

short do_look(struct actor *me, int fd)
{
    struct pollfd entry = { .fd = fd, .events = POLLIN | POLLPRI | POLLOUT | POLLRDHUP };

    (void)do_poll(me, &entry, 1, 0);
    return entry.revents;
}

int do_so_error(struct actor *me, int fd)
{
    int error = 0;
    socklen_t size = sizeof(error);

    (void)do_getsockopt(me, fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
}

void set_timeout(struct actor *me, int fd, int name, int64_t ns)
{
    struct timeval limit;

    if (me->run->storm && ns < STORM_TIME_OUT) /* a signal has to come first */
        ns = STORM_TIME_OUT;
    limit = (struct timeval){ .tv_sec = (time_t)(ns / SECOND),
                              .tv_usec = (suseconds_t)(ns / 1000 % 1000000) };
    (void)expect(
        me,
        me->run->way->calls->setsockopt(fd, SOL_SOCKET, name, &limit, sizeof(limit)) == 0,
        "set a time-out");
}

void set_int(struct actor *me, int fd, int level, int name, int value)
{
    (void)expect(
        me, me->run->way->calls->setsockopt(fd, level, name, &value, sizeof(value)) == 0,
        "set an option");
}

void note_bytes(struct actor *me, const char *what, const void *buf, size_t size)
{
    struct text line = { 0 };

    text_add(&line, "%s: ", what);
    text_add_bytes(&line, buf, size);
    note(me, "%s", line.bytes);
}
