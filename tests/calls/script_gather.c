/* SPDX-License-Identifier: MIT */
/*
 * script_gather.c -- receives that want more than has come, and what ends them.
 */
#include "calls.h"

/* A reader of 8 gets 3, then what ENDS it. */
static void gather_until(struct actor *me, enum kind kind, enum row row, int flags,
                         void (*ends)(struct actor *me, struct pair *pair))
{
    struct action action = { .row = row, .size = 8, .flags = flags };
    struct actor *other;
    struct pair pair;

    if (!pair_open(me, kind, false, &pair))
        return;
    action.fd = pair.near;
    other = start(me, "reader", act, &action);
    (void)watch(me, other);
    (void)far_puts(&pair, "abc", 3);
    (void)watch(me, other);
    ends(me, &pair);
    join(me, other);
    (void)do_recv_now(me, pair.near);
    (void)do_recv_now(me, pair.near);
    (void)do_so_error(me, pair.near);
    pair_close(me, &pair);
}

static void by_more(struct actor *me, struct pair *pair)
{
    (void)me;
    (void)far_puts(pair, "defghijkl", 9);
}

static void by_the_end(struct actor *me, struct pair *pair)
{
    (void)shutdown(pair->far, SHUT_WR);
    (void)await_events(me, pair->near, POLLRDHUP);
}

static void by_a_reset(struct actor *me, struct pair *pair)
{
    (void)reset_by(me, pair->far);
    pair->far = -1;
    (void)await_events(me, pair->near, POLLHUP);
}

static void by_a_close(struct actor *me, struct pair *pair)
{
    (void)close(pair->far);
    pair->far = -1;
    (void)await_events(me, pair->near, POLLRDHUP);
}

static void by_a_unix_reset(struct actor *me, struct pair *pair)
{
    (void)send(pair->near, "unread", 6, MSG_DONTWAIT);
    by_a_close(me, pair);
}

static void by_our_shutdown(struct actor *me, struct pair *pair)
{
    (void)do_shutdown(me, pair->near, SHUT_RD);
}

static void by_urgent(struct actor *me, struct pair *pair)
{
    (void)send(pair->far, "u", 1, MSG_OOB);
    (void)await_events(me, pair->near, POLLPRI);
}

#define GATHER(name, kind, row, flags, ends)                                             \
    static void name(struct actor *me)                                                   \
    {                                                                                    \
        gather_until(me, kind, row, flags, ends);                                        \
    }

GATHER(gather_tcp_more, KIND_TCP, ROW_RECV, MSG_WAITALL, by_more)
GATHER(gather_tcp_end, KIND_TCP, ROW_RECV, MSG_WAITALL, by_the_end)
GATHER(gather_tcp_reset, KIND_TCP, ROW_RECV, MSG_WAITALL, by_a_reset)
GATHER(gather_tcp_shutdown, KIND_TCP, ROW_RECV, MSG_WAITALL, by_our_shutdown)
GATHER(gather_tcp_urgent, KIND_TCP, ROW_RECV, MSG_WAITALL, by_urgent)
GATHER(gather_tcp_recvfrom, KIND_TCP, ROW_RECVFROM, MSG_WAITALL, by_more)
GATHER(gather_tcp_recvmsg, KIND_TCP, ROW_RECVMSG, MSG_WAITALL, by_more)
GATHER(gather_tcp_trunc, KIND_TCP, ROW_RECV, MSG_WAITALL | MSG_TRUNC, by_more)
GATHER(gather_unix_more, KIND_UNIX, ROW_RECV, MSG_WAITALL, by_more)
GATHER(gather_unix_end, KIND_UNIX, ROW_RECVMSG, MSG_WAITALL, by_the_end)
GATHER(gather_unix_reset, KIND_UNIX, ROW_RECV, MSG_WAITALL, by_a_unix_reset)
GATHER(gather_unix_close, KIND_UNIX, ROW_RECV, MSG_WAITALL, by_a_close)
GATHER(gather_unix_urgent, KIND_UNIX, ROW_RECV, MSG_WAITALL, by_urgent)
GATHER(peek_all_tcp_more, KIND_TCP, ROW_RECV, MSG_PEEK | MSG_WAITALL, by_more)
GATHER(peek_all_tcp_end, KIND_TCP, ROW_RECV, MSG_PEEK | MSG_WAITALL, by_the_end)
GATHER(peek_all_tcp_reset, KIND_TCP, ROW_RECV, MSG_PEEK | MSG_WAITALL, by_a_reset)
GATHER(peek_all_tcp_urgent, KIND_TCP, ROW_RECV, MSG_PEEK | MSG_WAITALL, by_urgent)
GATHER(peek_all_tcp_recvmsg, KIND_TCP, ROW_RECVMSG, MSG_PEEK | MSG_WAITALL, by_more)
GATHER(peek_all_unix, KIND_UNIX, ROW_RECV, MSG_PEEK | MSG_WAITALL, by_more)
GATHER(gather_seq, KIND_UNIX_SEQ, ROW_RECV, MSG_WAITALL, by_more)
GATHER(gather_unix_errqueue, KIND_UNIX, ROW_RECV, MSG_WAITALL | MSG_ERRQUEUE, by_more)

void add_gather_scripts(struct script_list *list)
{
    static const struct script scripts[] = {
        SCRIPT(RECV, OTHER, gather_tcp_more),
        SCRIPT(RECV, PEER_END, gather_tcp_end),
        SCRIPT(RECV, RESET, gather_tcp_reset),
        SCRIPT(RECV, DEAF, gather_tcp_shutdown),
        SCRIPT(RECV, OTHER, gather_tcp_urgent),
        SCRIPT(RECVFROM, OTHER, gather_tcp_recvfrom),
        SCRIPT(RECVMSG, OTHER, gather_tcp_recvmsg),
        SCRIPT(RECV, OTHER, gather_tcp_trunc),
        SCRIPT(RECV, OTHER, gather_unix_more),
        SCRIPT(RECVMSG, PEER_END, gather_unix_end),
        SCRIPT(RECV, RESET, gather_unix_reset),
        SCRIPT(RECV, CLOSED, gather_unix_close),
        SCRIPT(RECV, OTHER, gather_unix_urgent),
        SCRIPT(RECV, OTHER, peek_all_tcp_more),
        SCRIPT(RECV, PEER_END, peek_all_tcp_end),
        SCRIPT(RECV, RESET, peek_all_tcp_reset),
        SCRIPT(RECV, OTHER, peek_all_tcp_urgent),
        SCRIPT(RECVMSG, OTHER, peek_all_tcp_recvmsg),
        SCRIPT(RECV, OTHER, peek_all_unix),
        SCRIPT(RECV, OTHER, gather_seq),
        SCRIPT(RECV, OTHER, gather_unix_errqueue),
    };

    list_add_all(list, scripts, sizeof(scripts) / sizeof(scripts[0]));
}
