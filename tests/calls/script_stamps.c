/* SPDX-License-Identifier: MIT */
/*
 * script_stamps.c -- the times of arrival, as control data.
 */
#include "message.h"

/* The kernel begins to stamp some time after the first socket has asked for it: waits until
 * it does.  It goes on while the returned socket is open. */
static int await_stamps(struct actor *me)
{
    struct sockaddr_storage address;
    int64_t start_ns = clock_ns();
    socklen_t size;
    int fd = bound_socket(me, KIND_UDP, &address, &size);
    unsigned round = 0;
    union room control;

    (void)setsockopt(fd, SOL_SOCKET, SO_TIMESTAMP, &(int){ 1 }, sizeof(int));
    (void)setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &(int){ 1 << 3 | 1 << 4 },
                     sizeof(int));
    do {
        struct iovec piece = { &control.align, 1 };
        struct msghdr message = { .msg_iov = &piece,
                                  .msg_iovlen = 1,
                                  .msg_control = control.bytes + 64,
                                  .msg_controllen = 512 };

        (void)sendto(fd, "x", 1, 0, (void *)&address, size);
        (void)await_events(me, fd, POLLIN);
        /* software stamps are made up at reception when the packet had none: the detailed
         * one shows whether it had */
        if (recvmsg(fd, &message, 0) == 1 && message.msg_controllen >= CMSG_SPACE(16) * 2)
            return fd;
        me->run->way->pause(round++);
    } while (clock_ns() - start_ns < (int64_t)LIMIT_MS * MS);
    (void)expect(me, false, "stamps");
    return fd;
}

static void stamps(struct actor *me, enum kind kind, int option, int value)
{
    struct receiver how = { .size = 8, .room = sizeof(union room), .times = 1 };
    int stamper = await_stamps(me);
    struct actor *other;
    struct pair pair;

    if (!pair_open(me, kind, false, &pair))
        return;
    how.fd = pair.near;
    set_int(me, pair.near, SOL_SOCKET, option, value);
    other = start(me, "receiver", receiver, &how);
    (void)watch(me, other);
    (void)far_puts(&pair, "12345678", 8);
    join(me, other);
    pair_close(me, &pair);
    (void)close(stamper);
}

static void stamps_udp(struct actor *me)
{
    stamps(me, KIND_UDP, SO_TIMESTAMP, 1);
}

static void stamps_nano_udp(struct actor *me)
{
    stamps(me, KIND_UDP, SO_TIMESTAMPNS, 1);
}

static void stamps_tcp(struct actor *me)
{
    stamps(me, KIND_TCP, SO_TIMESTAMPNS, 1);
}

static void stamps_unix(struct actor *me)
{
    stamps(me, KIND_UNIX_DGRAM, SO_TIMESTAMP, 1);
}

static void stamps_detailed(struct actor *me)
{
    stamps(me, KIND_UDP, SO_TIMESTAMPING, 1 << 3 | 1 << 4); /* RX_SOFTWARE, SOFTWARE */
}

static void stamps_cut(struct actor *me)
{
    struct receiver how = { .size = 8, .room = 20, .times = 1 };
    struct pair pair;

    if (!pair_open(me, KIND_UDP, false, &pair))
        return;
    how.fd = pair.near;
    set_int(me, pair.near, SOL_SOCKET, SO_TIMESTAMP, 1);
    (void)far_puts(&pair, "12345678", 8);
    (void)await_events(me, pair.near, POLLIN);
    receiver(me, &how);
    pair_close(me, &pair);
}

static void gathered_stamps(struct actor *me)
{
    struct receiver how = {
        .size = 12, .room = sizeof(union room), .flags = MSG_WAITALL, .times = 1
    };
    int stamper = await_stamps(me);
    struct actor *other;
    struct pair pair;

    if (!pair_open(me, KIND_TCP, false, &pair))
        return;
    how.fd = pair.near;
    set_int(me, pair.near, SOL_SOCKET, SO_TIMESTAMP, 1);
    other = start(me, "receiver", receiver, &how);
    (void)watch(me, other);
    (void)far_puts(&pair, "12345678", 8);
    (void)watch(me, other);
    (void)far_puts(&pair, "12345678", 8);
    join(me, other);
    pair_close(me, &pair);
    (void)close(stamper);
}

void add_stamp_scripts(struct script_list *list)
{
    static const struct script scripts[] = {
        SCRIPT(RECVMSG, OTHER, stamps_udp),      SCRIPT(RECVMSG, OTHER, stamps_nano_udp),
        SCRIPT(RECVMSG, OTHER, stamps_tcp),      SCRIPT(RECVMSG, OTHER, stamps_unix),
        SCRIPT(RECVMSG, OTHER, stamps_detailed), SCRIPT(RECVMSG, OTHER, stamps_cut),
        SCRIPT(RECVMSG, OTHER, gathered_stamps),
    };

    list_add_all(list, scripts, sizeof(scripts) / sizeof(scripts[0]));
}
