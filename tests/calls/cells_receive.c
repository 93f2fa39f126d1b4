/* SPDX-License-Identifier: MIT */
/*
 * cells_receive.c -- every receiving call, with every flag, in every state, on every kind.
 *
 * An actor makes the call and is watched.  If it is blocked, the peer sends 16 bytes, or, when
 * it cannot, the near end is shut down.  Then: what is left, what does poll say.
 */
#include "calls.h"

#include <stdio.h>
#include <string.h>

enum {
    ASKED = 8,       /* bytes that the call asks for */
    ROOM = 12,       /* bytes it could overwrite by mistake */
    WAITED = 40 * MS /* the time-out of pair_bring */
};

struct scene {
    const struct script *script;
    struct pair pair;
};

/* What a call returns that MSG_DONTWAIT, or its nature, never lets wait. */
static bool can_wait(int flags)
{
    return (flags & (MSG_DONTWAIT | MSG_OOB | MSG_ERRQUEUE)) == 0;
}

static ssize_t receive_message(struct actor *me, int fd, char *buf, int flags)
{
    union {
        struct cmsghdr align;
        char bytes[256];
    } control;
    struct sockaddr_storage sender;
    struct iovec pieces[] = { { buf, 3 }, { buf + 3, ASKED - 3 } };
    struct msghdr message = {
        .msg_name = &sender,
        .msg_namelen = sizeof(sender),
        .msg_iov = pieces,
        .msg_iovlen = 2,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
        .msg_flags = 0x5a5a,
    };

    return do_recvmsg(me, fd, &message, flags);
}

static ssize_t receive(struct actor *me, const struct script *script, int fd, char *buf)
{
    struct sockaddr_storage sender;
    socklen_t size = sizeof(sender);
    const struct iovec pieces[] = { { buf, 3 }, { NULL, 0 }, { buf + 3, ASKED - 3 } };

    switch (script->row) {
    case ROW_READ:
        return do_read(me, fd, buf, ASKED);
    case ROW_READV:
        return do_readv(me, fd, pieces, 3);
    case ROW_RECV:
        return do_recv(me, fd, buf, ASKED, script->flags);
    case ROW_RECVFROM:
        return do_recvfrom(me, fd, buf, ASKED, script->flags, &sender, &size);
    default:
        return receive_message(me, fd, buf, script->flags);
    }
}

static void caller(struct actor *me, void *arg)
{
    const struct scene *scene = arg;
    const struct script *script = scene->script;
    char buf[ROOM];
    ssize_t got;

    memset(buf, '.', sizeof(buf));
    got = receive(me, script, scene->pair.near, buf);
    note_bytes(me, "buffer", buf, sizeof(buf));
    if (script->state == STATE_TIMEOUT && got < 0 && errno == EAGAIN &&
        can_wait(script->flags))
        note_waited(me, WAITED);
}

static void relieve(struct actor *me, const struct pair *pair)
{
    if (far_puts(pair, "0123456789ABCDEF", 16) > 0) {
        note(me, "the peer sends");
    } else if (shutdown(pair->near, SHUT_RD) == 0) {
        note(me, "shut down");
    } else {
        (void)expect(me, false, "relieve the reader");
    }
}

/* Twice what is left, without waiting. */
static void note_rest(struct actor *me, const struct script *script,
                      const struct pair *pair)
{
    char buf[40];

    for (int i = 0; i < 2; i++) {
        memset(buf, '.', sizeof(buf));
        if (kind_is_socket(script->kind)) {
            (void)do_recv(me, pair->near, buf, 32, MSG_DONTWAIT);
        } else {
            set_nonblock(pair->near, true);
            (void)do_read(me, pair->near, buf, 32);
        }
    }
    (void)do_look(me, pair->near);
}

static void play(struct actor *me)
{
    const struct script *script = me->run->script;
    struct scene scene = { .script = script };
    struct actor *other;

    if (pair_make(me, script->kind, script->state, false, &scene.pair)) {
        other = start(me, "reader", caller, &scene);
        if (script->state != STATE_TIMEOUT && watch(me, other))
            relieve(me, &scene.pair);
        join(me, other);
        note_rest(me, script, &scene.pair);
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

        if (state_is_impossible(kind, (enum state)state, false) != NULL)
            continue;
        (void)snprintf(script.name, sizeof(script.name), "%s%s%s/%s/%s", row_name(row),
                       flag_name[0] != '\0' ? "+" : "", flag_name,
                       state_name((enum state)state), kind_name(kind));
        list_add(list, &script);
    }
}

void add_receive_cells(struct script_list *list)
{
    static const struct {
        enum row row;
        int flags;
        const char *name;
    } calls[] = {
        { ROW_RECV, 0, "" },
        { ROW_RECV, MSG_DONTWAIT, "DONTWAIT" },
        { ROW_RECV, MSG_PEEK, "PEEK" },
        { ROW_RECV, MSG_TRUNC, "TRUNC" },
        { ROW_RECV, MSG_WAITALL, "WAITALL" },
        { ROW_RECV, MSG_OOB, "OOB" },
        { ROW_RECV, MSG_ERRQUEUE, "ERRQUEUE" },
        { ROW_RECV, MSG_PEEK | MSG_TRUNC, "PEEK|TRUNC" },
        { ROW_RECV, MSG_PEEK | MSG_WAITALL, "PEEK|WAITALL" },
        { ROW_RECV, MSG_PEEK | MSG_OOB, "PEEK|OOB" },
        { ROW_RECV, MSG_PEEK | MSG_DONTWAIT, "PEEK|DONTWAIT" },
        { ROW_RECV, MSG_WAITALL | MSG_TRUNC, "WAITALL|TRUNC" },
        { ROW_RECV, MSG_WAITALL | MSG_DONTWAIT, "WAITALL|DONTWAIT" },
        { ROW_RECV, MSG_ERRQUEUE | MSG_WAITALL, "ERRQUEUE|WAITALL" },
        { ROW_RECVFROM, 0, "" },
        { ROW_RECVFROM, MSG_DONTWAIT, "DONTWAIT" },
        { ROW_RECVFROM, MSG_PEEK, "PEEK" },
        { ROW_RECVFROM, MSG_TRUNC, "TRUNC" },
        { ROW_RECVFROM, MSG_WAITALL, "WAITALL" },
        { ROW_RECVFROM, MSG_OOB, "OOB" },
        { ROW_RECVMSG, 0, "" },
        { ROW_RECVMSG, MSG_DONTWAIT, "DONTWAIT" },
        { ROW_RECVMSG, MSG_PEEK | MSG_TRUNC, "PEEK|TRUNC" },
        { ROW_RECVMSG, MSG_WAITALL, "WAITALL" },
        { ROW_RECVMSG, MSG_PEEK | MSG_WAITALL, "PEEK|WAITALL" },
        { ROW_RECVMSG, MSG_OOB, "OOB" },
        { ROW_RECVMSG, MSG_ERRQUEUE, "ERRQUEUE" },
        { ROW_RECVMSG, MSG_CMSG_CLOEXEC, "CMSG_CLOEXEC" },
    };
    static const enum kind sockets[] = { KIND_TCP, KIND_UNIX, KIND_UNIX_SEQ,
                                         KIND_UNIX_DGRAM, KIND_UDP };

    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        for (size_t k = 0; k < sizeof(sockets) / sizeof(sockets[0]); k++)
            add(list, calls[i].row, calls[i].name, calls[i].flags, sockets[k]);
    }
    for (int kind = 0; kind < KINDS; kind++) {
        add(list, ROW_READ, "", 0, (enum kind)kind);
        add(list, ROW_READV, "", 0, (enum kind)kind);
    }
}
