/* SPDX-License-Identifier: MIT */
/*
 * script_modes.c -- O_NONBLOCK, SO_RCVTIMEO, SO_SNDTIMEO, SO_RCVLOWAT.
 */
#include "calls.h"

#include <string.h>

/* ---- the two modes ------------------------------------------------------------------------ */

static void modes_are_one_switch(struct actor *me)
{
    struct pair pair;
    int on = 1, copy;

    if (!pair_open(me, KIND_TCP, false, &pair))
        return;
    copy = dup(pair.near);
    label(me, copy, "copy");
    (void)do_ioctl(me, pair.near, FIONBIO, &on);
    (void)do_fcntl(me, copy, F_GETFL, 0);
    (void)do_recv(me, copy, (char[4]){ 0 }, 4, 0);
    (void)do_fcntl(me, copy, F_SETFL, 0);
    (void)do_fcntl(me, pair.near, F_GETFL, 0);
    (void)close(copy);
    pair_close(me, &pair);
}

static void accepted_sockets_start_blocking(struct actor *me)
{
    struct sockaddr_storage address;
    socklen_t size;
    int listener = listener_open(me, KIND_TCP, 3, &address, &size);
    int client = do_socket(me, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), accepted;

    set_nonblock(listener, true);
    label(me, listener, "listener");
    label(me, client, "client");
    (void)do_connect(me, client, &address, size);
    (void)await_events(me, listener, POLLIN);
    accepted = do_accept(me, listener, NULL, NULL);
    label(me, accepted, "accepted");
    (void)do_fcntl(me, accepted, F_GETFL, 0);
    (void)do_accept(me, listener, NULL, NULL);
    (void)close(accepted);
    (void)close(client);
    (void)close(listener);
}

/* The mode counts when a call begins: changing it wakes nobody. */
static void mode_changes_during_a_call(struct actor *me)
{
    struct action action = { .row = ROW_RECV, .size = 8 };
    struct actor *other;
    struct pair pair;

    if (!pair_open(me, KIND_TCP, false, &pair))
        return;
    action.fd = pair.near;
    other = start(me, "reader", act, &action);
    (void)watch(me, other);
    (void)do_fcntl(me, pair.near, F_SETFL, O_NONBLOCK);
    (void)watch(me, other);
    set_timeout(me, pair.near, SO_RCVTIMEO, 1 * MS);
    (void)watch(me, other);
    (void)far_puts(&pair, "abc", 3);
    join(me, other);
    (void)do_recv(me, pair.near, (char[8]){ 0 }, 8, 0);
    pair_close(me, &pair);
}

/* ---- time-outs ------------------------------------------------------------------------------ */

static void time_out(struct actor *me, enum kind kind, enum row row, int flags,
                     int64_t ns)
{
    struct action action = { .row = row, .size = 8, .flags = flags, .waited_ns = ns };
    struct pair pair;

    if (!pair_open(me, kind, false, &pair))
        return;
    action.fd = pair.near;
    set_timeout(me, pair.near, SO_RCVTIMEO, ns);
    act(me, &action);
    pair_close(me, &pair);
}

static void half_a_second_is_not_never(struct actor *me)
{
    time_out(me, KIND_TCP, ROW_RECV, 0, 500 * MS);
}

static void a_microsecond_is_not_never(struct actor *me)
{
    time_out(me, KIND_TCP, ROW_READ, 0, 1000);
    time_out(me, KIND_UDP, ROW_RECVFROM, 0, 1000);
    time_out(me, KIND_UNIX, ROW_RECVMSG, 0, 1500);
}

static void time_out_with_more_than_a_second(struct actor *me)
{
    time_out(me, KIND_UNIX_DGRAM, ROW_RECV, MSG_WAITALL, 1001 * MS);
}

static void time_out_after_a_part(struct actor *me)
{
    struct action action = {
        .row = ROW_RECV, .size = 8, .flags = MSG_WAITALL, .waited_ns = 60 * MS
    };
    struct pair pair;

    if (!pair_open(me, KIND_TCP, false, &pair))
        return;
    action.fd = pair.near;
    set_timeout(me, pair.near, SO_RCVTIMEO, 60 * MS);
    (void)far_puts(&pair, "abc", 3);
    (void)await_input(me, pair.near, 3);
    act(me, &action);
    act(me, &action);
    pair_close(me, &pair);
}

/* The limit is one for the whole call: what comes in between does not begin it anew. */
static void time_out_is_for_the_whole_call(struct actor *me)
{
    struct action action = { .row = ROW_RECV,
                             .size = 1000 * 1000,
                             .flags = MSG_WAITALL,
                             .waited_ns = 100 * MS,
                             .quiet_count = true };
    struct actor *other;
    struct pair pair;

    if (!pair_open(me, KIND_UNIX, false, &pair))
        return;
    action.fd = pair.near;
    set_timeout(me, pair.near, SO_RCVTIMEO, 100 * MS);
    (void)far_puts(&pair, "abc", 3); /* never nothing, however late we are */
    other = start(me, "reader", act, &action);
    /* Counted in rounds, which being held up does not use up: they take 5 s at least. */
    for (int i = 0; i < 100 * 1000 && !atomic_load(&other->finished); i++) {
        (void)far_puts(&pair, "abc", 3);
        me->run->way->pause(20);
    }
    note(me, "ended while more came: %s", atomic_load(&other->finished) ? "yes" : "no");
    join(me, other);
    pair_close(me, &pair);
}

static void time_out_of_a_full_send(struct actor *me)
{
    struct action action = {
        .row = ROW_SEND, .size = 300 * 1000, .quiet_count = true, .waited_ns = 60 * MS
    };
    struct pair pair;

    if (!pair_open(me, KIND_TCP, true, &pair))
        return;
    action.fd = pair.near;
    set_timeout(me, pair.near, SO_SNDTIMEO, 60 * MS);
    act(me, &action); /* a part */
    pair_close(me, &pair);
}

static void time_out_and_not_waiting(struct actor *me)
{
    struct pair pair;

    if (!pair_open(me, KIND_TCP, false, &pair))
        return;
    set_timeout(me, pair.near, SO_RCVTIMEO, 10000 * (int64_t)MS);
    (void)do_recv(me, pair.near, (char[4]){ 0 }, 4, MSG_DONTWAIT);
    (void)do_fcntl(me, pair.near, F_SETFL, O_NONBLOCK);
    (void)do_recv(me, pair.near, (char[4]){ 0 }, 4, 0);
    (void)do_read(me, pair.near, (char[4]){ 0 }, 4);
    pair_close(me, &pair);
}

static void time_out_ends_in_time_for_data(struct actor *me)
{
    struct action action = { .row = ROW_RECV, .size = 8 };
    struct actor *other;
    struct pair pair;

    if (!pair_open(me, KIND_TCP, false, &pair))
        return;
    action.fd = pair.near;
    set_timeout(me, pair.near, SO_RCVTIMEO, 15000 * (int64_t)MS);
    other = start(me, "reader", act, &action);
    (void)watch(me, other);
    (void)far_puts(&pair, "abc", 3);
    join(me, other);
    pair_close(me, &pair);
}

/* 20 and 21 are SO_RCVTIMEO and SO_SNDTIMEO, and on another level something else. */
static void option_numbers_of_other_levels(struct actor *me)
{
    struct {
        struct in6_addr group;
        unsigned interface;
    } join_group = { .interface = 0 };
    struct action action = { .row = ROW_RECV, .size = 8 };
    struct actor *other;
    struct pair pair;

    if (!pair_open(me, KIND_TCP6, false, &pair))
        return;
    action.fd = pair.near;
    (void)do_setsockopt(me, pair.near, IPPROTO_IPV6, 20, &join_group, sizeof(join_group));
    (void)do_setsockopt(me, pair.near, IPPROTO_TCP, SO_RCVTIMEO, &(int){ 1 },
                        sizeof(int));
    other = start(me, "reader", act, &action);
    (void)watch(me, other);
    (void)far_puts(&pair, "abc", 3);
    join(me, other);
    pair_close(me, &pair);
}

static void time_out_of_accept(struct actor *me)
{
    struct action action = { .row = ROW_ACCEPT, .waited_ns = 50 * MS };
    struct sockaddr_storage address;
    socklen_t size;

    action.fd = listener_open(me, KIND_TCP, 3, &address, &size);
    set_timeout(me, action.fd, SO_RCVTIMEO, 50 * MS);
    act(me, &action);
    set_timeout(me, action.fd, SO_RCVTIMEO, 0);
    set_timeout(me, action.fd, SO_SNDTIMEO, 50 * MS); /* not of accept */
    action.waited_ns = 0;
    struct actor *other = start(me, "accepter", act, &action);
    (void)watch(me, other);
    (void)shutdown(action.fd, SHUT_RDWR);
    join(me, other);
    (void)close(action.fd);
}

/* ---- low marks -------------------------------------------------------------------------------- */

struct low {
    enum kind kind;
    enum row row;
    int mark, flags;
    size_t size;
    bool early; /* the first bytes are there before the call */
};

/* Six bytes, four, nine; after each of them: is the reader through? */
static void low_mark(struct actor *me, const struct low *low)
{
    struct action action = { .row = low->row, .size = low->size, .flags = low->flags };
    struct actor *other;
    struct pair pair;

    if (!pair_open(me, low->kind, false, &pair))
        return;
    action.fd = pair.near;
    set_int(me, pair.near, SOL_SOCKET, SO_RCVLOWAT, low->mark);
    if (low->early) {
        (void)far_puts(&pair, "abcdef", 6);
        (void)await_input(me, pair.near, 6);
    }
    other = start(me, "reader", act, &action);
    (void)watch(me, other);
    if (!low->early) {
        (void)far_puts(&pair, "abcdef", 6);
        (void)watch(me, other);
    }
    (void)far_puts(&pair, "ghij", 4);
    (void)watch(me, other);
    (void)far_puts(&pair, "klmnopqrs", 9);
    (void)watch(me, other);
    (void)shutdown(pair.far, SHUT_WR);
    join(me, other);
    (void)await_events(me, pair.near, POLLRDHUP);
    (void)do_recv_now(me, pair.near);
    pair_close(me, &pair);
}

static void low_mark_tcp(struct actor *me)
{
    low_mark(me, &(struct low){ KIND_TCP, ROW_RECV, 10, 0, 50, false });
}

static void low_mark_tcp_early(struct actor *me)
{
    low_mark(me, &(struct low){ KIND_TCP, ROW_RECV, 10, 0, 50, true });
}

static void low_mark_tcp_read(struct actor *me)
{
    low_mark(me, &(struct low){ KIND_TCP, ROW_READ, 10, 0, 50, false });
}

static void low_mark_tcp_readv(struct actor *me)
{
    low_mark(me, &(struct low){ KIND_TCP, ROW_READV, 10, 0, 50, false });
}

static void low_mark_tcp_recvmsg(struct actor *me)
{
    low_mark(me, &(struct low){ KIND_TCP, ROW_RECVMSG, 10, 0, 50, true });
}

static void low_mark_above_the_size(struct actor *me)
{
    low_mark(me, &(struct low){ KIND_TCP, ROW_RECV, 10, 0, 8, true });
}

static void low_mark_unix(struct actor *me)
{
    low_mark(me, &(struct low){ KIND_UNIX, ROW_RECV, 10, 0, 50, false });
}

static void low_mark_unix_early(struct actor *me)
{
    low_mark(me, &(struct low){ KIND_UNIX, ROW_READV, 10, 0, 50, true });
}

static void low_mark_and_not_waiting(struct actor *me)
{
    low_mark(me, &(struct low){ KIND_TCP, ROW_RECV, 10, MSG_DONTWAIT, 50, true });
}

static void low_mark_and_peek(struct actor *me)
{
    low_mark(me, &(struct low){ KIND_TCP, ROW_RECV, 10, MSG_PEEK, 50, true });
}

static void low_mark_and_waitall(struct actor *me)
{
    low_mark(me, &(struct low){ KIND_TCP, ROW_RECV, 4, MSG_WAITALL, 12, true });
}

static void low_mark_datagram(struct actor *me)
{
    low_mark(me, &(struct low){ KIND_UNIX_SEQ, ROW_RECV, 10, 0, 50, false });
}

void add_mode_scripts(struct script_list *list)
{
    static const struct script scripts[] = {
        SCRIPT(IOCTL, NONBLOCK, modes_are_one_switch),
        SCRIPT(ACCEPT, NONBLOCK, accepted_sockets_start_blocking),
        SCRIPT(FCNTL, NONBLOCK, mode_changes_during_a_call),
        ONCE(RECV, TIMEOUT, half_a_second_is_not_never),
        CALM(READ, TIMEOUT, a_microsecond_is_not_never),
        ONCE(RECV, TIMEOUT, time_out_with_more_than_a_second),
        ONCE(RECV, TIMEOUT, time_out_after_a_part),
        CALM(RECV, TIMEOUT, time_out_is_for_the_whole_call),
        SCRIPT(SEND, TIMEOUT, time_out_of_a_full_send),
        SCRIPT(RECV, TIMEOUT, time_out_and_not_waiting),
        SCRIPT(RECV, TIMEOUT, time_out_ends_in_time_for_data),
        SCRIPT(SETSOCKOPT, TIMEOUT, option_numbers_of_other_levels),
        ONCE(ACCEPT, TIMEOUT, time_out_of_accept),
        SCRIPT(RECV, OTHER, low_mark_tcp),
        SCRIPT(RECV, OTHER, low_mark_tcp_early),
        SCRIPT(READ, OTHER, low_mark_tcp_read),
        SCRIPT(READV, OTHER, low_mark_tcp_readv),
        SCRIPT(RECVMSG, OTHER, low_mark_tcp_recvmsg),
        SCRIPT(RECV, OTHER, low_mark_above_the_size),
        SCRIPT(RECV, OTHER, low_mark_unix),
        SCRIPT(READV, OTHER, low_mark_unix_early),
        SCRIPT(RECV, OTHER, low_mark_and_not_waiting),
        SCRIPT(RECV, OTHER, low_mark_and_peek),
        SCRIPT(RECV, OTHER, low_mark_and_waitall),
        SCRIPT(RECV, OTHER, low_mark_datagram),
    };

    list_add_all(list, scripts, sizeof(scripts) / sizeof(scripts[0]));
}
