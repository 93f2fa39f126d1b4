/* SPDX-License-Identifier: MIT */
/*
 * script_message.c -- sendmsg and recvmsg: descriptors, credentials, truncation.
 */
#include "message.h"

#include <stdlib.h>
#include <string.h>

/* One message with descriptors of /dev/null-like pipes beside TEXT. */
static void pass(struct actor *me, int fd, const char *text, const int *fds, size_t count)
{
    union room control = { .align = 0 };
    struct iovec piece = { (void *)(uintptr_t)text, strlen(text) };
    struct msghdr message = { .msg_iov = &piece,
                              .msg_iovlen = 1,
                              .msg_control = control.bytes,
                              .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);

    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(part), fds, count * sizeof(int));
    (void)expect(me, sendmsg(fd, &message, MSG_DONTWAIT) == (ssize_t)strlen(text),
                 "pass");
}

static void close_received(struct msghdr *message)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
         part = CMSG_NXTHDR(message, part)) {
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(part) + i * sizeof(fd), sizeof(fd));
            (void)close(fd);
        }
    }
}

void receiver(struct actor *me, void *arg)
{
    const struct receiver *how = arg;

    for (int i = 0; i < how->times; i++) {
        union room control;
        char buf[64];
        struct iovec piece = { buf, how->size };
        struct msghdr message = { .msg_iov = &piece,
                                  .msg_iovlen = 1,
                                  .msg_control = how->room > 0 ? control.bytes : NULL,
                                  .msg_controllen = how->room };

        memset(buf, '.', sizeof(buf));
        memset(&control, 0, sizeof(control));
        if (do_recvmsg(me, how->fd, &message, how->flags) >= 0 && how->room > 0)
            close_received(&message);
    }
}

/* COUNT descriptors come while a receiver with ROOM for control data waits. */
static void receive_rights(struct actor *me, enum kind kind, size_t count, size_t room,
                           int flags)
{
    struct receiver how = { .size = 16, .room = room, .flags = flags, .times = 1 };
    struct actor *other;
    struct pair pair;
    int fds[4] = { -1, -1, -1, -1 };

    if (!pair_open(me, kind, false, &pair) || !expect(me, pipe(fds) == 0, "pipe") ||
        !expect(me, pipe(fds + 2) == 0, "pipe"))
        return;
    how.fd = pair.near;
    other = start(me, "receiver", receiver, &how);
    (void)watch(me, other);
    pass(me, pair.far, "with", fds, count);
    join(me, other);
    (void)do_recv_now(me, pair.near);
    for (int i = 0; i < 4; i++)
        (void)close(fds[i]);
    pair_close(me, &pair);
}

#define RIGHTS(name, kind, count, room, flags)                                           \
    static void name(struct actor *me)                                                   \
    {                                                                                    \
        receive_rights(me, kind, count, room, flags);                                    \
    }

RIGHTS(rights_one, KIND_UNIX, 1, sizeof(union room), 0)
RIGHTS(rights_cloexec, KIND_UNIX, 2, sizeof(union room), MSG_CMSG_CLOEXEC)
RIGHTS(rights_four_seq, KIND_UNIX_SEQ, 4, sizeof(union room), 0)
RIGHTS(rights_datagram, KIND_UNIX_DGRAM, 2, sizeof(union room), MSG_CMSG_CLOEXEC)
RIGHTS(rights_cut, KIND_UNIX, 4, CMSG_SPACE(2 * sizeof(int)), 0)
RIGHTS(rights_cut_to_a_header, KIND_UNIX, 1, CMSG_LEN(0), 0)
RIGHTS(rights_no_room, KIND_UNIX, 1, 0, 0)
RIGHTS(rights_tiny_room, KIND_UNIX_DGRAM, 1, 4, 0)
RIGHTS(rights_peeked, KIND_UNIX, 1, sizeof(union room), MSG_PEEK)
RIGHTS(rights_of_all, KIND_UNIX, 1, sizeof(union room), MSG_WAITALL)

/* Descriptors end a gathering call, wherever they stand in the stream. */
static void gather_around_rights(struct actor *me, size_t room, int flags)
{
    struct receiver how = { .size = 16, .room = room, .flags = flags, .times = 2 };
    struct actor *other;
    struct pair pair;
    int fds[2];

    if (!pair_open(me, KIND_UNIX, false, &pair) || !expect(me, pipe(fds) == 0, "pipe"))
        return;
    how.fd = pair.near;
    other = start(me, "receiver", receiver, &how);
    (void)watch(me, other);
    (void)far_puts(&pair, "abc", 3);
    (void)watch(me, other);
    pass(me, pair.far, "def", fds, 1);
    (void)watch(me, other);
    (void)far_puts(&pair, "0123456789abcdefgh", 18);
    join(me, other);
    (void)do_recv_now(me, pair.near);
    (void)close(fds[0]);
    (void)close(fds[1]);
    pair_close(me, &pair);
}

static void gather_stops_at_rights(struct actor *me)
{
    gather_around_rights(me, sizeof(union room), MSG_WAITALL);
}

static void gather_stops_at_lost_rights(struct actor *me)
{
    gather_around_rights(me, 0, MSG_WAITALL);
}

static void recv_of_all_stops_at_rights(struct actor *me)
{
    struct action action = { .row = ROW_RECV, .size = 16, .flags = MSG_WAITALL };
    struct actor *other;
    struct pair pair;
    int fds[2];

    if (!pair_open(me, KIND_UNIX, false, &pair) || !expect(me, pipe(fds) == 0, "pipe"))
        return;
    action.fd = pair.near;
    other = start(me, "reader", act, &action);
    (void)watch(me, other);
    (void)far_puts(&pair, "abc", 3);
    (void)watch(me, other);
    pass(me, pair.far, "def", fds, 1);
    join(me, other);
    (void)close(fds[0]);
    (void)close(fds[1]);
    pair_close(me, &pair);
}

/* ---- sending -------------------------------------------------------------------------------------- */

struct sender {
    int fd, flags;
    size_t size;
    const void *control;
    size_t control_size;
};

static void sender(struct actor *me, void *arg)
{
    const struct sender *how = arg;
    char *buf = calloc(1, how->size + 1);
    struct iovec piece = { buf, how->size };
    struct msghdr message = { .msg_iov = &piece,
                              .msg_iovlen = 1,
                              .msg_control = (void *)(uintptr_t)how->control,
                              .msg_controllen = how->control_size };

    memset(buf, 's', how->size);
    (void)do_sendmsg(me, how->fd, &message, how->flags);
    free(buf);
}

static size_t make_rights(union room *control, const int *fds, size_t count)
{
    struct msghdr message = { .msg_control = control,
                              .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
    struct cmsghdr *part;

    memset(control, 0, sizeof(*control));
    part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(part), fds, count * sizeof(int));
    return message.msg_controllen;
}

static void note_message(struct actor *me, int fd)
{
    struct receiver how = {
        .fd = fd, .size = 8, .room = sizeof(union room), .flags = MSG_DONTWAIT, .times = 1
    };

    receiver(me, &how);
}

/* Receives until WRITER has returned and nothing is left, and counts the messages that still
 * bring descriptors. */
static int more_rights(struct actor *me, int fd, struct actor *writer)
{
    static char buf[65536];
    union room control;
    int64_t start_ns = clock_ns();
    int with_rights = 0;
    bool ended = false;
    unsigned round = 0;
    ssize_t got = 1;

    while (got > 0 || !ended) {
        struct iovec piece = { buf, sizeof(buf) };
        struct msghdr message = { .msg_iov = &piece,
                                  .msg_iovlen = 1,
                                  .msg_control = &control,
                                  .msg_controllen = sizeof(control) };

        ended = atomic_load(&writer->finished); /* before the look that finds nothing */
        got = recvmsg(fd, &message, MSG_DONTWAIT);
        if (got > 0) {
            with_rights += CMSG_FIRSTHDR(&message) != NULL ? 1 : 0;
            close_received(&message);
        } else if (!ended) {
            me->run->way->pause(round++);
        }
        if (!expect(me, clock_ns() - start_ns < (int64_t)LIMIT_MS * MS, "drain in time"))
            break;
    }
    return with_rights;
}

/* More than fits: the descriptor goes once, with the first bytes. */
static void large_send_with_rights(struct actor *me)
{
    static union room control;
    struct sender how = { .size = 400 * 1000, .control = &control };
    struct actor *other;
    struct pair pair;
    int fds[2];

    if (!pair_open(me, KIND_UNIX, true, &pair) || !expect(me, pipe(fds) == 0, "pipe"))
        return;
    how.fd = pair.near;
    how.control_size = make_rights(&control, fds, 1);
    other = start(me, "sender", sender, &how);
    (void)watch(me, other);
    note_message(me, pair.far);
    note_message(me, pair.far);
    note(me, "with more descriptors: %d", more_rights(me, pair.far, other));
    join(me, other);
    (void)close(fds[0]);
    (void)close(fds[1]);
    pair_close(me, &pair);
}

static void blocked_send_with_rights(struct actor *me)
{
    static union room control;
    struct sender how = { .size = 6, .control = &control };
    struct actor *other;
    struct pair pair;
    int fds[2];

    if (!pair_make(me, KIND_UNIX, STATE_FULL, true, &pair) ||
        !expect(me, pipe(fds) == 0, "pipe"))
        return;
    how.fd = pair.near;
    how.control_size = make_rights(&control, fds, 2);
    other = start(me, "sender", sender, &how);
    (void)watch(me, other);
    drain_for(me, &pair, other);
    join(me, other);
    sender(me, &how);
    note_message(me, pair.far);
    (void)close(fds[0]);
    (void)close(fds[1]);
    pair_close(me, &pair);
}

static void bad_control_data(struct actor *me)
{
    union room control;
    struct sender how = { .size = 3, .control = &control };
    struct cmsghdr header;
    struct pair pair;
    int fds[] = { 900, 901 };

    if (!pair_open(me, KIND_UNIX, true, &pair))
        return;
    how.fd = pair.near;
    how.control_size = make_rights(&control, fds, 2); /* not open */
    sender(me, &how);
    memcpy(&header, &control, sizeof(header));
    header.cmsg_len = 3; /* shorter than its own header */
    memcpy(&control, &header, sizeof(header));
    sender(me, &how);
    header.cmsg_len = 5000; /* longer than there is */
    memcpy(&control, &header, sizeof(header));
    sender(me, &how);
    header.cmsg_len = CMSG_LEN(4);
    header.cmsg_type = 77;
    memcpy(&control, &header, sizeof(header));
    sender(me, &how);
    how.control_size = 1; /* less than a header */
    sender(me, &how);
    how.size = 0;
    how.control_size = make_rights(&control, &pair.near, 1); /* no byte beside */
    sender(me, &how);
    note_received(me, pair.far, 0);
    pair_close(me, &pair);
}

/* ---- credentials ------------------------------------------------------------------------------------ */

static void credentials(struct actor *me, enum kind kind, int flags)
{
    struct receiver how = {
        .size = 8, .room = sizeof(union room), .flags = flags, .times = 2
    };
    struct actor *other;
    struct pair pair;

    if (!pair_open(me, kind, false, &pair))
        return;
    how.fd = pair.near;
    set_int(me, pair.near, SOL_SOCKET, SO_PASSCRED, 1);
    other = start(me, "receiver", receiver, &how);
    (void)watch(me, other);
    (void)far_puts(&pair, "12345678", 8);
    (void)watch(me, other);
    (void)far_puts(&pair, "12345678", 8);
    join(me, other);
    pair_close(me, &pair);
}

static void credentials_stream(struct actor *me)
{
    credentials(me, KIND_UNIX, 0);
}

static void credentials_seq(struct actor *me)
{
    credentials(me, KIND_UNIX_SEQ, 0);
}

static void credentials_datagram(struct actor *me)
{
    credentials(me, KIND_UNIX_DGRAM, MSG_TRUNC);
}

static void credentials_of_all(struct actor *me)
{
    credentials(me, KIND_UNIX, MSG_WAITALL);
}

static void credentials_of_another(struct actor *me)
{
    struct ucred self = { .pid = getpid(), .uid = getuid(), .gid = getgid() };
    union room control = { .align = 0 };
    struct sender how = { .size = 3, .control = &control };
    struct msghdr message = { .msg_control = &control,
                              .msg_controllen = CMSG_SPACE(sizeof(self)) };
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    struct pair pair;

    if (!pair_open(me, KIND_UNIX, true, &pair))
        return;
    part->cmsg_len = CMSG_LEN(sizeof(self));
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_CREDENTIALS;
    memcpy(CMSG_DATA(part), &self, sizeof(self));
    how.fd = pair.near;
    how.control_size = message.msg_controllen;
    (void)setsockopt(pair.far, SOL_SOCKET, SO_PASSCRED, &(int){ 1 }, sizeof(int));
    sender(me, &how);
    note_message(me, pair.far);
    self.pid = 999999; /* no such process */
    memcpy(CMSG_DATA(part), &self, sizeof(self));
    sender(me, &how);
    pair_close(me, &pair);
}

void add_message_scripts(struct script_list *list)
{
    static const struct script scripts[] = {
        SCRIPT(RECVMSG, OTHER, rights_one),
        SCRIPT(RECVMSG, OTHER, rights_cloexec),
        SCRIPT(RECVMSG, OTHER, rights_four_seq),
        SCRIPT(RECVMSG, OTHER, rights_datagram),
        SCRIPT(RECVMSG, OTHER, rights_cut),
        SCRIPT(RECVMSG, OTHER, rights_cut_to_a_header),
        SCRIPT(RECVMSG, OTHER, rights_no_room),
        SCRIPT(RECVMSG, OTHER, rights_tiny_room),
        SCRIPT(RECVMSG, OTHER, rights_peeked),
        SCRIPT(RECVMSG, OTHER, rights_of_all),
        SCRIPT(RECVMSG, OTHER, gather_stops_at_rights),
        SCRIPT(RECVMSG, OTHER, gather_stops_at_lost_rights),
        SCRIPT(RECV, OTHER, recv_of_all_stops_at_rights),
        SCRIPT(SENDMSG, FULL, large_send_with_rights),
        SCRIPT(SENDMSG, FULL, blocked_send_with_rights),
        SCRIPT(SENDMSG, OTHER, bad_control_data),
        SCRIPT(RECVMSG, OTHER, credentials_stream),
        SCRIPT(RECVMSG, OTHER, credentials_seq),
        SCRIPT(RECVMSG, OTHER, credentials_datagram),
        SCRIPT(RECVMSG, OTHER, credentials_of_all),
        SCRIPT(SENDMSG, OTHER, credentials_of_another),
    };

    list_add_all(list, scripts, sizeof(scripts) / sizeof(scripts[0]));
}
