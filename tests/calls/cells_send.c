/* SPDX-License-Identifier: MIT */
/*
 * cells_send.c -- every sending call, with every flag, in every state, on every kind.
 *
 * An actor makes the call and is watched.  If it is blocked, the peer reads until it is not.
 * Where an earlier event decides the answer (the peer's end, a reset), the call is made three
 * times: the first write after a reset and the second differ.
 */
#include "calls.h"

#include <stdio.h>
#include <string.h>

enum { WAITED = 40 * MS /* the time-out of pair_bring */ };

struct scene {
    const struct script *script;
    struct pair pair;
};

static ssize_t send_message(struct actor *me, int fd, char *text, size_t size, int flags)
{
    struct iovec pieces[] = { { text, 1 }, { text + 1, size - 1 } };
    const struct msghdr message = { .msg_iov = pieces, .msg_iovlen = 2 };

    return do_sendmsg(me, fd, &message, flags);
}

static ssize_t put(struct actor *me, const struct script *script, int fd, int flags)
{
    static uint64_t one = 1;
    static char hello[] = "hello!";
    char *text = script->kind == KIND_EVENTFD ? (char *)&one : hello;
    size_t size = script->kind == KIND_EVENTFD ? sizeof(one) : 6;
    const struct iovec pieces[] = { { (char *)text,
                                      script->kind == KIND_EVENTFD ? size : 2 },
                                    { NULL, 0 },
                                    { text + 2, 4 } };

    switch (script->row) {
    case ROW_WRITE:
        return do_write(me, fd, text, size);
    case ROW_WRITEV:
        return do_writev(me, fd, pieces, script->kind == KIND_EVENTFD ? 1 : 3);
    case ROW_SEND:
        return do_send(me, fd, text, size, flags);
    case ROW_SENDTO:
        return do_sendto(me, fd, text, size, flags, NULL, 0);
    default:
        return send_message(me, fd, text, size, flags);
    }
}

static void caller(struct actor *me, void *arg)
{
    const struct scene *scene = arg;
    const struct script *script = scene->script;
    ssize_t sent = put(me, script, scene->pair.near, script->flags);

    if (script->state == STATE_TIMEOUT && sent < 0 && errno == EAGAIN &&
        (script->flags & (MSG_DONTWAIT | MSG_OOB)) == 0)
        note_waited(me, WAITED);
}

/* A write to a closed peer brings its answer: wait for that before the next one. */
static void await_answer(struct actor *me, const struct script *script,
                         const struct pair *pair)
{
    bool more = (script->flags & MSG_MORE) != 0;

    if (script->state != STATE_CLOSED || (more && script->kind == KIND_UDP))
        return; /* a datagram never leaves then; TCP's bytes do, by a timer of 0.2 s */
    if (script->kind == KIND_UDP)
        (void)await_events(me, pair->near, POLLERR);
    else if (script->kind == KIND_TCP || script->kind == KIND_TCP6)
        (void)await_events(me, pair->near, POLLERR | POLLHUP);
}

/* Records what came of it at the other end, or what the next calls say. */
static void follow(struct actor *me, const struct script *script, const struct pair *pair)
{
    switch (script->state) {
    case STATE_OUR_END:
    case STATE_RESET:
    case STATE_CLOSED:
        if (me->run->actors[1].error == 0)
            await_answer(me, script, pair);
        (void)put(me, script, pair->near, script->flags & ~MSG_MORE);
        (void)put(me, script, pair->near, script->flags & ~MSG_MORE);
        break;
    case STATE_FULL:
    case STATE_NONBLOCK:
    case STATE_TIMEOUT:
        break;
    default:
        if ((script->flags & MSG_MORE) != 0)
            (void)put(me, script, pair->near, script->flags & ~MSG_MORE);
        /* an urgent byte is not counted as input; a record counts alone */
        if (pair->far >= 0 && me->run->actors[1].error == 0 && script->kind != KIND_FILE)
            note_received(me, pair->far, (script->flags & MSG_OOB) != 0 ? 5 : 6);
        break;
    }
}

static void play(struct actor *me)
{
    const struct script *script = me->run->script;
    struct scene scene = { .script = script };
    struct actor *other;

    if (pair_make(me, script->kind, script->state, true, &scene.pair)) {
        other = start(me, "writer", caller, &scene);
        if (script->state != STATE_TIMEOUT && watch(me, other))
            drain_for(me, &scene.pair, other);
        join(me, other);
        follow(me, script, &scene.pair);
        if (script->state != STATE_FULL)
            (void)do_look(me, scene.pair.near);
    }
    pair_close(me, &scene.pair);
}

static void add(struct script_list *list, enum row row, const char *flag_name, int flags,
                enum kind kind)
{
    for (int state = 0; state < STATE_OTHER; state++) {
        struct script script = {
            .row = row,
            .state = (enum state)state,
            .play = play,
            .kind = kind,
            .flags = flags,
            .needs = state == STATE_TIMEOUT ? NEED_ONCE : 0,
        };

        if (state_is_impossible(kind, (enum state)state, true) != NULL)
            continue;
        (void)snprintf(script.name, sizeof(script.name), "%s%s%s/%s/%s", row_name(row),
                       flag_name[0] != '\0' ? "+" : "", flag_name,
                       state_name((enum state)state), kind_name(kind));
        list_add(list, &script);
    }
}

void add_send_cells(struct script_list *list)
{
    static const struct {
        enum row row;
        int flags;
        const char *name;
    } calls[] = {
        { ROW_SEND, 0, "" },
        { ROW_SEND, MSG_DONTWAIT, "DONTWAIT" },
        { ROW_SEND, MSG_NOSIGNAL, "NOSIGNAL" },
        { ROW_SEND, MSG_OOB, "OOB" },
        { ROW_SEND, MSG_MORE, "MORE" },
        { ROW_SEND, MSG_EOR, "EOR" },
        { ROW_SEND, MSG_DONTROUTE, "DONTROUTE" },
        { ROW_SEND, MSG_CONFIRM, "CONFIRM" },
        { ROW_SEND, MSG_DONTWAIT | MSG_NOSIGNAL, "DONTWAIT|NOSIGNAL" },
        { ROW_SEND, MSG_OOB | MSG_NOSIGNAL, "OOB|NOSIGNAL" },
        { ROW_SENDTO, 0, "" },
        { ROW_SENDTO, MSG_DONTWAIT, "DONTWAIT" },
        { ROW_SENDTO, MSG_NOSIGNAL, "NOSIGNAL" },
        { ROW_SENDMSG, 0, "" },
        { ROW_SENDMSG, MSG_DONTWAIT, "DONTWAIT" },
        { ROW_SENDMSG, MSG_NOSIGNAL, "NOSIGNAL" },
        { ROW_SENDMSG, MSG_OOB, "OOB" },
    };
    static const enum kind sockets[] = { KIND_TCP, KIND_UNIX, KIND_UNIX_SEQ,
                                         KIND_UNIX_DGRAM, KIND_UDP };

    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        for (size_t k = 0; k < sizeof(sockets) / sizeof(sockets[0]); k++)
            add(list, calls[i].row, calls[i].name, calls[i].flags, sockets[k]);
    }
    for (int kind = 0; kind < KINDS; kind++) {
        add(list, ROW_WRITE, "", 0, (enum kind)kind);
        add(list, ROW_WRITEV, "", 0, (enum kind)kind);
    }
}
