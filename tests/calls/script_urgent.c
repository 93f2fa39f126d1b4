/* SPDX-License-Identifier: MIT */
/*
 * script_urgent.c -- the urgent byte, on TCP and on Unix streams.
 *
 * Programs of a small language, each run with and without peeking first.  The cases are those
 * of the kernel's own test (tools/testing/selftests/net/af_unix/msg_oob.c) and some more.
 *
 *   s text   the peer sends it             o text   with MSG_OOB: the last byte is urgent
 *   r 5      recv of 5, not waiting        u 1      recv with MSG_OOB
 *   m        SIOCATMARK                    p        poll
 *   i        SO_OOBINLINE on               e        the peer ends its side
 */
#include "calls.h"

#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct program {
    const char *name;
    const char *text;
} programs[] = {
    { "not-urgent", "s x;u 1;p;m" },
    { "one", "o x;p;u 1;p;m;u 1;r 1" },
    { "left-alone", "o x;p;r 1;p;u 1;m" },
    { "after-data", "o hello;u 1;r 5;u 1" },
    { "break", "o hello;r 5;u 1;e;r 1" },
    { "after-data-break", "o hello;s world;u 1;r 9;r 9;u 1" },
    { "break-then-data", "o hello;s world;r 10;u 1;r 10" },
    { "break-drop", "o hello;s world;r 10;r 10;u 1" },
    { "second-demotes-first", "o hello;o wld;r 10;r 10;u 1" },
    { "second-read-first", "o hello;o wld;u 1;r 10;r 10" },
    { "second-drops-first", "o x;o y;r 1;u 1;r 1" },
    { "second-dropped-too", "o x;o y;r 1;r 1;u 1" },
    { "second-after-read", "o x;u 1;o y;u 1;r 1" },
    { "read-then-break", "o hello;u 1;o wol;r 7;r 7;u 1" },
    { "read-then-second", "o hello;o wol;u 1;o ld;r 8;r 8;u 1" },
    { "mark-after-read", "o hello;u 1;m;r 4;m;s wol;m;r 4;m" },
    { "mark", "o hello;m;r 2;m;r 3;m;u 1;m" },
    { "mark-twice", "o hello;u 1;m;o ld;m;r 6;m;r 3;m" },
    { "inline", "i;o x;p;u 1;r 1" },
    { "inline-break", "i;o hello;u 1;r 5;r 1" },
    { "inline-mark", "i;o hello;m;r 4;m;r 1;m" },
    { "inline-after-data-break", "i;o hello;s world;u 1;r 9;m;r 6" },
    { "inline-second", "i;o hello;o wol;r 10;r 10;u 1" },
    { "inline-no-drop", "i;o x;s y;u 1;r 1;r 1" },
    { "inline-drop", "i;o x;o y;u 1;r 1;r 1" },
    { "inline-mark-after", "i;o hello;u 1;r 4;m;o wol;r 4;m;r 4" },
    { "inline-late", "o hello;i;r 4;m;r 4;u 1" },
    { "and-the-end", "o hello;e;r 10;u 1;r 10;p" },
    { "long-recv", "s abc;o def;s ghi;r 20;m;r 20;r 20" },
    { "read-past", "s abc;o d;s efg;u 1;r 20;r 20;m" },
    { "zero-length", "o x;u 0;r 0;u 1" },
    { "two-in-flight", "o a;o b;o c;p;u 1;r 9;r 9;r 9" },
};

static void put(struct actor *me, struct pair *pair, const char *text, int flags)
{
    int64_t start_ns = clock_ns();
    int one = 1, queued = 1;
    unsigned round = 0;

    (void)setsockopt(pair->near, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
    (void)expect(me, send(pair->far, text, strlen(text), flags) == (ssize_t)strlen(text),
                 "send");
    /* acknowledged is arrived */
    while (pair->kind == KIND_TCP && ioctl(pair->far, SIOCOUTQ, &queued) == 0 &&
           queued > 0) {
        if (!expect(me, clock_ns() - start_ns < (int64_t)LIMIT_MS * MS, "arrive"))
            return;
        me->run->way->pause(round++);
    }
}

static void get(struct actor *me, const struct pair *pair, size_t size, int flags,
                bool peeks)
{
    char buf[32];

    memset(buf, '.', sizeof(buf));
    if (peeks)
        (void)do_recv(me, pair->near, buf, size, flags | MSG_PEEK | MSG_DONTWAIT);
    memset(buf, '.', sizeof(buf));
    (void)do_recv(me, pair->near, buf, size, flags | MSG_DONTWAIT);
}

static void run_step(struct actor *me, struct pair *pair, const char *step, bool peeks)
{
    int value = 0;

    switch (step[0]) {
    case 's':
        put(me, pair, step + 2, 0);
        break;
    case 'o':
        put(me, pair, step + 2, MSG_OOB);
        break;
    case 'r':
        get(me, pair, strtoul(step + 2, NULL, 10), 0, peeks);
        break;
    case 'u':
        get(me, pair, strtoul(step + 2, NULL, 10), MSG_OOB, peeks);
        break;
    case 'm':
        (void)do_ioctl(me, pair->near, SIOCATMARK, &value);
        break;
    case 'p':
        (void)do_look(me, pair->near);
        break;
    case 'i':
        set_int(me, pair->near, SOL_SOCKET, SO_OOBINLINE, 1);
        break;
    default:
        (void)shutdown(pair->far, SHUT_WR);
        (void)await_events(me, pair->near, POLLRDHUP);
    }
}

static void play_program(struct actor *me)
{
    const struct script *script = me->run->script;
    const struct program *program = &programs[script->flags / 2];
    char text[128], *rest = NULL;
    struct pair pair;

    if (!pair_open(me, script->kind, false, &pair))
        return;
    (void)snprintf(text, sizeof(text), "%s", program->text);
    for (char *step = strtok_r(text, ";", &rest); step != NULL;
         step = strtok_r(NULL, ";", &rest))
        run_step(me, &pair, step, script->flags % 2 == 1);
    pair_close(me, &pair);
}

/* ---- with somebody waiting ------------------------------------------------------------------ */

/* WAITER waits; then urgent bytes come, and then ordinary ones. */
static void urgent_while_waiting(struct actor *me, enum kind kind,
                                 const struct action *how, bool is_inline)
{
    struct action action = *how;
    struct actor *other;
    struct pair pair;

    if (!pair_open(me, kind, false, &pair))
        return;
    action.fd = pair.near;
    if (is_inline)
        set_int(me, pair.near, SOL_SOCKET, SO_OOBINLINE, 1);
    other = start(me, "waiter", act, &action);
    (void)watch(me, other);
    put(me, &pair, "u", MSG_OOB);
    (void)watch(me, other);
    put(me, &pair, "abc", 0);
    (void)watch(me, other);
    put(me, &pair, "defghijklmn", 0);
    (void)watch(me, other);
    (void)shutdown(pair.far, SHUT_WR);
    join(me, other);
    (void)await_events(me, pair.near, POLLRDHUP); /* and so all before the end is there */
    (void)do_recv(me, pair.near, (char[1]){ 0 }, 1, MSG_OOB);
    (void)do_recv_now(me, pair.near);
    (void)do_recv_now(me, pair.near);
    pair_close(me, &pair);
}

#define WAITING(name, kind, is_inline, ...)                                              \
    static void name(struct actor *me)                                                   \
    {                                                                                    \
        urgent_while_waiting(me, kind, &(struct action){ __VA_ARGS__ }, is_inline);      \
    }

WAITING(urgent_meets_recv_tcp, KIND_TCP, false, .row = ROW_RECV, .size = 8)
WAITING(urgent_meets_recv_unix, KIND_UNIX, false, .row = ROW_RECV, .size = 8)
WAITING(urgent_meets_inline_recv_tcp, KIND_TCP, true, .row = ROW_RECV, .size = 8)
WAITING(urgent_meets_inline_recv_unix, KIND_UNIX, true, .row = ROW_RECV, .size = 8)
WAITING(urgent_meets_read_tcp, KIND_TCP, false, .row = ROW_READ, .size = 8)
WAITING(urgent_meets_recvmsg_tcp, KIND_TCP, false, .row = ROW_RECVMSG, .size = 8)
WAITING(urgent_meets_recv_of_all_tcp, KIND_TCP, false, .row = ROW_RECV, .size = 8,
        .flags = MSG_WAITALL)
WAITING(urgent_meets_recv_of_all_unix, KIND_UNIX, false, .row = ROW_RECV, .size = 8,
        .flags = MSG_WAITALL)
WAITING(urgent_meets_peek_tcp, KIND_TCP, false, .row = ROW_RECV, .size = 8,
        .flags = MSG_PEEK)
WAITING(urgent_meets_poll_tcp, KIND_TCP, false, .row = ROW_POLL, .flags = POLLPRI,
        .timeout_ms = -1)
WAITING(urgent_meets_poll_unix, KIND_UNIX, false, .row = ROW_POLL, .flags = POLLPRI,
        .timeout_ms = -1)
WAITING(urgent_meets_poll_of_data_tcp, KIND_TCP, false, .row = ROW_POLL, .flags = POLLIN,
        .timeout_ms = -1)
WAITING(urgent_meets_poll_of_both_unix, KIND_UNIX, false, .row = ROW_POLL,
        .flags = POLLIN | POLLPRI, .timeout_ms = -1)

/* A POLLPRI waiter is not for ordinary bytes. */
static void data_does_not_wake_the_urgent_poll(struct actor *me)
{
    struct action action = { .row = ROW_POLL, .flags = POLLPRI, .timeout_ms = -1 };
    struct actor *other;
    struct pair pair;

    if (!pair_open(me, KIND_TCP, false, &pair))
        return;
    action.fd = pair.near;
    other = start(me, "waiter", act, &action);
    (void)watch(me, other);
    for (int i = 0; i < 20; i++)
        put(me, &pair, "data", 0);
    (void)watch(me, other);
    put(me, &pair, "u", MSG_OOB);
    join(me, other);
    pair_close(me, &pair);
}

static void urgent_send_waits_for_room(struct actor *me, enum kind kind)
{
    struct action action = { .row = ROW_SEND, .size = 6, .flags = MSG_OOB };
    struct actor *other;
    struct pair pair;

    if (!pair_make(me, kind, STATE_FULL, true, &pair))
        return;
    action.fd = pair.near;
    (void)do_send(me, pair.near, "x", 1, MSG_OOB | MSG_DONTWAIT);
    other = start(me, "writer", act, &action);
    (void)watch(me, other);
    set_int(me, pair.far, SOL_SOCKET, SO_OOBINLINE, 1);
    drain_for(me, &pair, other);
    join(me, other);
    pair_close(me, &pair);
}

static void urgent_send_waits_tcp(struct actor *me)
{
    urgent_send_waits_for_room(me, KIND_TCP);
}

static void urgent_send_waits_unix(struct actor *me)
{
    urgent_send_waits_for_room(me, KIND_UNIX);
}

void add_urgent_scripts(struct script_list *list)
{
    static const struct script scripts[] = {
        SCRIPT(RECV, OTHER, urgent_meets_recv_tcp),
        SCRIPT(RECV, OTHER, urgent_meets_recv_unix),
        SCRIPT(RECV, OTHER, urgent_meets_inline_recv_tcp),
        SCRIPT(RECV, OTHER, urgent_meets_inline_recv_unix),
        SCRIPT(READ, OTHER, urgent_meets_read_tcp),
        SCRIPT(RECVMSG, OTHER, urgent_meets_recvmsg_tcp),
        SCRIPT(RECV, OTHER, urgent_meets_recv_of_all_tcp),
        SCRIPT(RECV, OTHER, urgent_meets_recv_of_all_unix),
        SCRIPT(RECV, OTHER, urgent_meets_peek_tcp),
        SCRIPT(POLL, OTHER, urgent_meets_poll_tcp),
        SCRIPT(POLL, OTHER, urgent_meets_poll_unix),
        SCRIPT(POLL, OTHER, urgent_meets_poll_of_data_tcp),
        SCRIPT(POLL, OTHER, urgent_meets_poll_of_both_unix),
        SCRIPT(POLL, OTHER, data_does_not_wake_the_urgent_poll),
        SCRIPT(SEND, FULL, urgent_send_waits_tcp),
        SCRIPT(SEND, FULL, urgent_send_waits_unix),
    };
    static const enum kind kinds[] = { KIND_TCP, KIND_UNIX };

    list_add_all(list, scripts, sizeof(scripts) / sizeof(scripts[0]));
    for (int i = 0; i < (int)(sizeof(programs) / sizeof(programs[0])) * 4; i++) {
        struct script script = { .row = ROW_RECV,
                                 .state = STATE_OTHER,
                                 .play = play_program,
                                 .kind = kinds[i % 2],
                                 .flags = i / 2 };

        (void)snprintf(script.name, sizeof(script.name), "urgent/%s%s/%s",
                       programs[i / 4].name, i / 2 % 2 == 1 ? "+peek" : "",
                       kind_name(script.kind));
        list_add(list, &script);
    }
}
