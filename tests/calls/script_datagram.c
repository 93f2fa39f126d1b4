/* SPDX-License-Identifier: MIT */
/*
 * script_datagram.c -- datagrams: truncation, nothing, nobody, the error queue, full receivers.
 */
#include "calls.h"

#include <arpa/inet.h>
#include <string.h>

static void truncation(struct actor *me, enum kind kind)
{
    struct sockaddr_storage sender;
    socklen_t size = sizeof(sender);
    char buf[8];
    struct iovec piece = { buf, 4 };
    struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
    struct pair pair;

    if (!pair_open(me, kind, false, &pair))
        return;
    for (int i = 0; i < 6; i++) {
        (void)expect(me, far_puts(&pair, "0123456789", 10) == 10, "send");
        (void)await_events(me, pair.near, POLLIN);
    }
    (void)do_recv(me, pair.near, buf, 4, 0);
    (void)do_recv(me, pair.near, buf, 4, MSG_PEEK | MSG_TRUNC);
    (void)do_recv(me, pair.near, buf, 4, MSG_TRUNC);
    (void)do_read(me, pair.near, buf, 4);
    (void)do_recvmsg(me, pair.near, &message, 0);
    (void)do_recvfrom(me, pair.near, buf, 0, 0, &sender, &size);
    (void)do_recv(me, pair.near, buf, 4, MSG_WAITALL | MSG_TRUNC);
    (void)do_recv(me, pair.near, buf, 4, MSG_DONTWAIT);
    pair_close(me, &pair);
}

static void truncation_udp(struct actor *me)
{
    truncation(me, KIND_UDP);
}

static void truncation_unix(struct actor *me)
{
    truncation(me, KIND_UNIX_DGRAM);
}

static void truncation_seq(struct actor *me)
{
    truncation(me, KIND_UNIX_SEQ);
}

static void nothing(struct actor *me, enum kind kind)
{
    struct action action = { .row = ROW_RECV, .size = 8 };
    struct actor *other;
    char buf[8];
    struct pair pair;

    if (!pair_open(me, kind, false, &pair))
        return;
    action.fd = pair.near;
    other = start(me, "reader", act, &action);
    (void)watch(me, other);
    (void)expect(me, far_puts(&pair, "", 0) == 0, "send nothing");
    join(me, other);
    (void)far_puts(&pair, "", 0);
    (void)far_puts(&pair, "abc", 3);
    (void)await_events(me, pair.near, POLLIN);
    (void)do_look(me, pair.near);
    (void)do_read(me, pair.near, buf, 0); /* takes nothing away */
    (void)do_recv(me, pair.near, buf, 8, 0);
    (void)do_recv(me, pair.near, buf, 0, 0); /* takes "abc" */
    (void)do_recv(me, pair.near, buf, 8, MSG_DONTWAIT);
    (void)do_write(me, pair.near, buf, 0);
    (void)do_send(me, pair.near, NULL, 0, 0);
    (void)do_writev(me, pair.near, NULL, 0);
    note_received(me, pair.far, 0);
    note_received(me, pair.far, 0);
    note_received(me, pair.far, 0);
    pair_close(me, &pair);
}

static void nothing_udp(struct actor *me)
{
    nothing(me, KIND_UDP);
}

static void nothing_unix(struct actor *me)
{
    nothing(me, KIND_UNIX_DGRAM);
}

static void nothing_seq(struct actor *me)
{
    nothing(me, KIND_UNIX_SEQ);
}

static void unconnected(struct actor *me, enum kind kind)
{
    struct sockaddr_storage address, sender;
    socklen_t size, sender_size = sizeof(sender);
    int far = bound_socket(me, kind, &address, &size), near;
    struct sockaddr_in other_family = { .sin_family = AF_INET6 };
    char buf[16];

    near = do_socket(me, kind == KIND_UDP ? AF_INET : AF_UNIX, SOCK_DGRAM, 0);
    label(me, near, "near");
    (void)do_send(me, near, "x", 1, 0);
    (void)do_write(me, near, "x", 1);
    (void)do_sendto(me, near, "to you", 6, 0, &address, size);
    (void)do_sendto(me, near, "to whom", 7, 0, &other_family, sizeof(other_family));
    (void)do_sendto(me, near, "short", 5, 0, &address, 3);
    (void)await_events(me, far, POLLIN);
    note_received(me, far, 0);
    (void)do_recvfrom(me, near, buf, sizeof(buf), MSG_DONTWAIT, &sender, &sender_size);
    (void)do_connect(me, near, &address, size);
    (void)do_send(me, near, "named", 5, 0);
    (void)do_sendto(me, near, "again", 5, 0, &address, size);
    (void)await_events(me, far, POLLIN);
    note_received(me, far, 0);
    note_received(me, far, 0);
    (void)do_connect(me, near, &(struct sockaddr){ .sa_family = AF_UNSPEC },
                     sizeof(sa_family_t));
    (void)do_send(me, near, "x", 1, 0);
    (void)close(near);
    (void)close(far);
}

static void unconnected_udp(struct actor *me)
{
    unconnected(me, KIND_UDP);
}

static void unconnected_unix(struct actor *me)
{
    unconnected(me, KIND_UNIX_DGRAM);
}

/* Waits for room at a receiver, which only a connected socket could see: [no edge]. */
static void full_receiver(struct actor *me, bool connected)
{
    struct sockaddr_storage address;
    socklen_t size;
    int far = bound_socket(me, KIND_UNIX_DGRAM, &address, &size);
    struct action action = { .row = connected ? ROW_SEND : ROW_SENDTO, .size = 6 };
    struct actor *other;
    unsigned sent = 0;

    action.fd = me->run->way->calls->socket(AF_UNIX, SOCK_DGRAM, 0);
    label(me, action.fd, "near");
    if (connected)
        (void)expect(me, reach(action.fd, &address, size) == 0, "connect");
    action.address = connected ? NULL : &address;
    action.address_size = connected ? 0 : size;
    while (sendto(action.fd, "x", 1, MSG_DONTWAIT, (void *)&address, size) == 1 &&
           sent < 9999)
        sent++;
    (void)do_sendto(me, action.fd, "x", 1, MSG_DONTWAIT, action.address,
                    action.address_size);
    other = start(me, "sender", act, &action);
    (void)watch(me, other);
    set_nonblock(far, true);
    for (unsigned i = 0; i < sent; i++)
        (void)recv(far, (char[8]){ 0 }, 8, 0);
    join(me, other);
    note_received(me, far, 6);
    (void)close(action.fd);
    (void)close(far);
}

static void full_receiver_connected(struct actor *me)
{
    full_receiver(me, true);
}

static void full_receiver_unconnected(struct actor *me)
{
    full_receiver(me, false);
}

static void full_receiver_goes(struct actor *me)
{
    struct sockaddr_storage address;
    socklen_t size;
    int far = bound_socket(me, KIND_UNIX_DGRAM, &address, &size);
    struct action action = {
        .row = ROW_SENDTO, .size = 6, .address = &address, .address_size = size
    };
    struct actor *other;

    action.fd = me->run->way->calls->socket(AF_UNIX, SOCK_DGRAM, 0);
    label(me, action.fd, "near");
    while (sendto(action.fd, "x", 1, MSG_DONTWAIT, (void *)&address, size) == 1)
        ;
    other = start(me, "sender", act, &action);
    (void)watch(me, other);
    (void)close(far);
    join(me, other);
    (void)close(action.fd);
}

static void too_large(struct actor *me, enum kind kind)
{
    static char buf[300 * 1000];
    struct pair pair;

    if (!pair_open(me, kind, true, &pair))
        return;
    (void)do_send(me, pair.near, buf, sizeof(buf), 0);
    (void)do_write(me, pair.near, buf, sizeof(buf));
    (void)do_send(me, pair.near, buf, 65508, 0);
    pair_close(me, &pair);
}

static void too_large_udp(struct actor *me)
{
    too_large(me, KIND_UDP);
}

static void too_large_unix(struct actor *me)
{
    too_large(me, KIND_UNIX_DGRAM);
}

static void too_large_seq(struct actor *me)
{
    too_large(me, KIND_UNIX_SEQ);
}

/* The answer to a datagram that nobody takes: an error of the next call, or a queued one. */
static void nobody_there(struct actor *me, bool queue)
{
    struct sockaddr_storage from;
    char buf[16], control[256];
    struct iovec piece = { buf, sizeof(buf) };
    struct msghdr message = { .msg_name = &from,
                              .msg_namelen = sizeof(from),
                              .msg_iov = &piece,
                              .msg_iovlen = 1,
                              .msg_control = control,
                              .msg_controllen = sizeof(control) };
    struct action action = { .row = ROW_RECV, .size = 8 };
    struct actor *other;
    struct pair pair;

    if (!pair_open(me, KIND_UDP, false, &pair))
        return;
    action.fd = pair.near;
    if (queue)
        set_int(me, pair.near, IPPROTO_IP, IP_RECVERR, 1);
    (void)close(pair.far);
    pair.far = -1;
    other = start(me, "reader", act, &action);
    (void)watch(me, other);
    (void)do_send(me, pair.near, "anybody?", 8, 0);
    join(me, other); /* the error ends its wait */
    (void)do_look(me, pair.near);
    (void)do_recvmsg(me, pair.near, &message, MSG_ERRQUEUE);
    message.msg_controllen = sizeof(control);
    (void)do_recvmsg(me, pair.near, &message, MSG_ERRQUEUE);
    (void)do_send(me, pair.near, "still?", 6, 0);
    (void)await_events(me, pair.near, POLLERR);
    (void)do_so_error(me, pair.near);
    (void)do_recv(me, pair.near, buf, sizeof(buf), MSG_ERRQUEUE);
    (void)do_recv(me, pair.near, buf, sizeof(buf), MSG_DONTWAIT);
    pair_close(me, &pair);
}

static void refused_by_the_next_call(struct actor *me)
{
    nobody_there(me, false);
}

static void refused_into_the_queue(struct actor *me)
{
    nobody_there(me, true);
}

/* An entry in the error queue keeps POLLERR up: a reader must go on waiting, not spin. */
static void waiting_beside_the_queue(struct actor *me)
{
    struct action action = { .row = ROW_RECVFROM, .size = 8 };
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    struct actor *other;
    int sender = socket(AF_INET, SOCK_DGRAM, 0);
    struct pair pair;

    if (!pair_open(me, KIND_UDP, false, &pair))
        return;
    action.fd = pair.near;
    (void)getsockname(pair.near, (void *)&address, &size);
    set_int(me, pair.near, IPPROTO_IP, IP_RECVERR, 1);
    (void)close(pair.far);
    pair.far = -1;
    (void)do_send(me, pair.near, "x", 1, 0);
    (void)await_events(me, pair.near, POLLERR);
    (void)do_so_error(me, pair.near);
    (void)do_look(me, pair.near);
    (void)connect(pair.near, &(struct sockaddr){ .sa_family = AF_UNSPEC },
                  sizeof(sa_family_t));
    (void)expect(me, bind(pair.near, (void *)&address, size) == 0, "bind");
    other = start(me, "reader", act, &action);
    (void)watch(me, other);
    (void)expect(me, sendto(sender, "real", 4, 0, (void *)&address, size) == 4, "send");
    join(me, other);
    (void)close(sender);
    pair_close(me, &pair);
}

static void unix_receiver_gone(struct actor *me)
{
    struct pair pair;

    if (!pair_make(me, KIND_UNIX_DGRAM, STATE_CLOSED, true, &pair))
        return;
    (void)do_send(me, pair.near, "x", 1, 0);
    (void)do_send(me, pair.near, "x", 1, 0);
    (void)do_recv(me, pair.near, (char[4]){ 0 }, 4, MSG_DONTWAIT);
    pair_close(me, &pair);
}

/* EACCES: the broadcast address is for who has asked for it. */
static void broadcast_without_permission(struct actor *me)
{
    struct sockaddr_in all = { .sin_family = AF_INET,
                               .sin_port = htons(9),
                               .sin_addr.s_addr = htonl(0x7fffffff) };
    int fd = do_socket(me, AF_INET, SOCK_DGRAM, 0);

    label(me, fd, "near");
    (void)do_sendto(me, fd, "x", 1, 0, &all, sizeof(all));
    set_int(me, fd, SOL_SOCKET, SO_BROADCAST, 1);
    (void)do_sendto(me, fd, "x", 1, 0, &all, sizeof(all));
    (void)close(fd);
}

void add_datagram_scripts(struct script_list *list)
{
    static const struct script scripts[] = {
        SCRIPT(RECV, DATA, truncation_udp),
        SCRIPT(RECV, DATA, truncation_unix),
        SCRIPT(RECV, DATA, truncation_seq),
        SCRIPT(RECV, OTHER, nothing_udp),
        SCRIPT(RECV, OTHER, nothing_unix),
        SCRIPT(RECV, OTHER, nothing_seq),
        SCRIPT(SENDTO, OTHER, unconnected_udp),
        SCRIPT(SENDTO, OTHER, unconnected_unix),
        SCRIPT(SEND, FULL, full_receiver_connected),
        SCRIPT(SENDTO, FULL, full_receiver_unconnected),
        SCRIPT(SENDTO, FULL, full_receiver_goes),
        SCRIPT(SEND, OTHER, too_large_udp),
        SCRIPT(SEND, OTHER, too_large_unix),
        SCRIPT(SEND, OTHER, too_large_seq),
        SCRIPT(RECVMSG, RESET, refused_by_the_next_call),
        SCRIPT(RECVMSG, RESET, refused_into_the_queue),
        SCRIPT(RECVFROM, OTHER, waiting_beside_the_queue),
        SCRIPT(SEND, CLOSED, unix_receiver_gone),
        SCRIPT(SENDTO, OTHER, broadcast_without_permission),
    };

    list_add_all(list, scripts, sizeof(scripts) / sizeof(scripts[0]));
}
