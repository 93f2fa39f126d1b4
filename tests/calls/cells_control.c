/* SPDX-License-Identifier: MIT */
/*
 * cells_control.c -- the calls that do not move bytes, in every state, on every kind.
 *
 * Each call is made on the near end, and then it is seen what that did: to the near end and to
 * the far one.
 */
#include "calls.h"

#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <linux/sockios.h>

static void note_far(struct actor *me, const struct pair *pair)
{
    char buf[16];
    ssize_t got;

    if (pair->far < 0 || pair->kind == KIND_FILE || pair->kind == KIND_EVENTFD)
        return;
    set_nonblock(pair->far, true);
    got = read(pair->far, buf, sizeof(buf));
    if (got < 0)
        note(me, "far reads: %s", strerrorname_np(errno));
    else
        note_bytes(me, "far reads", buf, (size_t)got);
    set_nonblock(pair->far, false);
}

/* What NEAR still does: reads and writes that do not wait. */
static void use_near(struct actor *me, const struct script *script,
                     const struct pair *pair)
{
    char buf[16];

    if (!kind_is_socket(script->kind) || script->state == STATE_FULL)
        return;
    memset(buf, '.', sizeof(buf));
    (void)do_recv(me, pair->near, buf, sizeof(buf), MSG_DONTWAIT);
    (void)do_send(me, pair->near, "w", 1, MSG_DONTWAIT);
    (void)do_look(me, pair->near);
}

static void try_shutdown(struct actor *me, const struct script *script, struct pair *pair)
{
    (void)do_shutdown(me, pair->near, script->flags);
    use_near(me, script, pair);
    if (script->kind == KIND_TCP && script->state == STATE_FRESH &&
        (script->flags == SHUT_WR || script->flags == SHUT_RDWR))
        (void)await_events(me, pair->far, POLLRDHUP);
    if (script->state != STATE_FULL && kind_is_unix(script->kind))
        note_far(me, pair);
    (void)do_shutdown(me, pair->near, script->flags);
}

/* What the peer sees of our close: the end, or, if we leave something unread, a reset. */
static void try_close(struct actor *me, const struct script *script, struct pair *pair)
{
    int near = pair->near;

    pair->near = -1;
    (void)do_close(me, near);
    if (pair->far >= 0 && kind_is_stream(script->kind) && script->state != STATE_FORKED &&
        script->state != STATE_DUP && script->state != STATE_FULL) {
        (void)await_events(me, pair->far, POLLRDHUP);
        note_far(me, pair);
        note_far(me, pair);
    } else if (script->state != STATE_FULL) {
        note_far(me, pair);
    }
    (void)do_close(me, near);
}

static void try_dup2(struct actor *me, const struct script *script, struct pair *pair)
{
    int spare = fcntl(pair->near, F_DUPFD, 100);
    char buf[4];

    label(me, spare, "spare");
    (void)do_dup2(me, pair->near, spare);
    (void)do_dup2(me, pair->near, pair->near);
    (void)do_dup2(me, -1, spare);
    (void)do_dup3(me, pair->near, spare, O_CLOEXEC);
    (void)do_dup3(me, pair->near, spare, O_NONBLOCK);
    (void)do_dup3(me, pair->near, pair->near, 0);
    (void)do_fcntl(me, spare, F_GETFL, 0);
    if (kind_is_socket(script->kind))
        (void)do_recv(me, spare, buf, sizeof(buf), MSG_DONTWAIT);
    (void)do_close(me, spare);
    (void)do_fcntl(me, pair->near, F_GETFD, 0);
}

static void try_fcntl(struct actor *me, const struct script *script, struct pair *pair)
{
    long flags = do_fcntl(me, pair->near, F_GETFL, 0);
    int copy = dup(pair->near);

    label(me, copy, "copy");
    (void)do_fcntl(me, pair->near, F_SETFL, flags | O_NONBLOCK);
    (void)do_fcntl(me, copy, F_GETFL, 0); /* the mode is shared */
    if (kind_is_socket(script->kind) && script->state != STATE_FULL) {
        (void)do_recv(me, copy, (char[8]){ 0 }, 8, 0);
        (void)do_recv(me, copy, (char[64]){ 0 }, 64, 0);
    }
    (void)do_fcntl(me, copy, F_SETFL, flags & ~O_NONBLOCK);
    (void)do_fcntl(me, pair->near, F_GETFL, 0);
    (void)do_fcntl(me, pair->near, F_SETFD, FD_CLOEXEC);
    (void)do_fcntl(me, pair->near, F_GETFD, 0);
    (void)do_fcntl(me, copy, F_GETFD, 0);
    (void)close(do_fcntl(me, pair->near, F_DUPFD, 200));
    (void)close(do_fcntl(me, pair->near, F_DUPFD_CLOEXEC, 200));
    (void)do_fcntl(me, pair->near, 12345, 0);
    (void)close(copy);
}

static void try_ioctl(struct actor *me, const struct script *script, struct pair *pair)
{
    int value = 1;

    (void)do_ioctl(me, pair->near, FIONBIO, &value);
    (void)do_fcntl(me, pair->near, F_GETFL, 0);
    value = 0;
    (void)do_ioctl(me, pair->near, FIONBIO, &value);
    (void)do_fcntl(me, pair->near, F_GETFL, 0);
    if (script->state != STATE_FULL)
        (void)do_ioctl(me, pair->near, FIONREAD, &value);
    if (kind_is_stream(script->kind))
        (void)do_ioctl(me, pair->near, SIOCATMARK, &value);
    (void)do_ioctl(me, pair->near, 0x12345678, &value);
    (void)do_ioctl(me, -1, FIONREAD, &value);
}

static void try_setsockopt(struct actor *me, const struct script *script,
                           struct pair *pair)
{
    struct timeval limit = { .tv_usec = 500 * 1000 };
    socklen_t size = sizeof(limit);
    int on = 1;

    (void)script;
    /* 500 ms are 500 ms, of SOL_SOCKET only: 20 and 21 are memberships on other levels */
    (void)do_setsockopt(me, pair->near, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    (void)do_setsockopt(me, pair->near, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    (void)do_setsockopt(me, pair->near, IPPROTO_IPV6, 20, &limit, sizeof(limit));
    (void)do_setsockopt(me, pair->near, IPPROTO_IP, SO_RCVTIMEO, &limit, sizeof(limit));
    memset(&limit, 0, sizeof(limit));
    (void)do_getsockopt(me, pair->near, SOL_SOCKET, SO_RCVTIMEO, &limit, &size);
    (void)do_getsockopt(me, pair->near, SOL_SOCKET, SO_SNDTIMEO, &limit, &size);
    (void)do_setsockopt(me, pair->near, SOL_SOCKET, SO_RCVTIMEO, &limit, 3);
    limit.tv_usec = 1000 * 1000;
    (void)do_setsockopt(me, pair->near, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    (void)do_setsockopt(me, pair->near, SOL_SOCKET, SO_RCVLOWAT, &on, sizeof(on));
    (void)do_setsockopt(me, pair->near, SOL_SOCKET, 9999, &on, sizeof(on));
    (void)do_setsockopt(me, pair->near, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
    (void)do_setsockopt(me, pair->near, SOL_SOCKET, SO_KEEPALIVE, &on, 1);
    (void)do_setsockopt(me, -1, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

static void try_getsockopt(struct actor *me, const struct script *script,
                           struct pair *pair)
{
    static const int names[] = { SO_TYPE,       SO_DOMAIN,   SO_PROTOCOL,
                                 SO_ACCEPTCONN, SO_RCVLOWAT, SO_RCVTIMEO,
                                 SO_SNDTIMEO,   SO_LINGER,   SO_KEEPALIVE };
    char value[32];
    socklen_t size;

    (void)script;
    (void)do_so_error(me, pair->near); /* takes a pending error away */
    (void)do_so_error(me, pair->near);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size = sizeof(value);
        (void)do_getsockopt(me, pair->near, SOL_SOCKET, names[i], value, &size);
    }
    size = 2;
    (void)do_getsockopt(me, pair->near, SOL_SOCKET, SO_TYPE, value, &size);
    size = (socklen_t)-1;
    (void)do_getsockopt(me, pair->near, SOL_SOCKET, SO_TYPE, value, &size);
    size = sizeof(value);
    (void)do_getsockopt(me, pair->near, SOL_SOCKET, 9999, value, &size);
    (void)do_getsockopt(me, -1, SOL_SOCKET, SO_TYPE, value, &size);
}

static void try_bind(struct actor *me, const struct script *script, struct pair *pair)
{
    struct sockaddr_in in = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "bound" };

    if (script->kind != KIND_TCP6)
        (void)do_bind(me, pair->near, &in, sizeof(in));
    (void)do_bind(me, pair->near, &un, sizeof(un));
    (void)do_bind(me, pair->near, &un, sizeof(un));
    (void)do_bind(me, pair->near, &in, 3);
    (void)do_bind(me, -1, &in, sizeof(in));
}

static void try_listen(struct actor *me, const struct script *script, struct pair *pair)
{
    (void)do_listen(me, pair->near, 3);
    if (kind_is_socket(script->kind))
        (void)do_accept4(me, pair->near, NULL, NULL, SOCK_NONBLOCK | 1);
    (void)do_listen(me, -1, 3);
}

/* accept on what does not listen, and socket calls beside it: none disturbs it. */
static void try_accept(struct actor *me, const struct script *script, struct pair *pair)
{
    if (script->row == ROW_ACCEPT)
        (void)do_accept(me, pair->near, NULL, NULL);
    else
        (void)do_accept4(me, pair->near, NULL, NULL, script->flags);
    use_near(me, script, pair);
}

static void try_now(struct actor *me, struct pair *pair, short events)
{
    struct pollfd entry = { .fd = pair->near, .events = events };

    (void)do_poll(me, &entry, 1, 0);
}

struct poller {
    struct pair *pair;
    int timeout_ms;
};

static void poller(struct actor *me, void *arg)
{
    const struct poller *how = arg;
    struct pollfd entries[] = { { .fd = how->pair->near, .events = POLLIN | POLLPRI },
                                { .fd = -1, .events = POLLIN },
                                { .fd = how->pair->near, .events = POLLRDHUP } };

    (void)do_poll(me, entries, 3, how->timeout_ms);
}

/* In a storm the signal has to come first. */
static int time_out_ms(const struct actor *me)
{
    return me->run->storm ? 1000 : 20;
}

static void try_poll(struct actor *me, const struct script *script, struct pair *pair)
{
    static const short events[] = { 0,         POLLIN,
                                    POLLOUT,   POLLPRI,
                                    POLLRDHUP, POLLIN | POLLOUT | POLLPRI | POLLRDHUP };
    struct poller how = { .pair = pair,
                          .timeout_ms =
                              script->state == STATE_TIMEOUT ? time_out_ms(me) : -1 };
    struct actor *other;

    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
        try_now(me, pair, events[i]);
    other = start(me, "poller", poller, &how);
    if (how.timeout_ms < 0 && watch(me, other)) {
        if (far_puts(pair, "0123456789ABCDEF", 16) > 0)
            note(me, "the peer sends");
        else if (shutdown(pair->near, SHUT_RDWR) == 0)
            note(me, "shut down");
    }
    join(me, other);
}

static void play(struct actor *me)
{
    static void (*const tries[ROWS])(struct actor *, const struct script *,
                                     struct pair *) = {
        [ROW_SHUTDOWN] = try_shutdown,
        [ROW_CLOSE] = try_close,
        [ROW_DUP2] = try_dup2,
        [ROW_FCNTL] = try_fcntl,
        [ROW_IOCTL] = try_ioctl,
        [ROW_SETSOCKOPT] = try_setsockopt,
        [ROW_GETSOCKOPT] = try_getsockopt,
        [ROW_BIND] = try_bind,
        [ROW_LISTEN] = try_listen,
        [ROW_ACCEPT] = try_accept,
        [ROW_ACCEPT4] = try_accept,
        [ROW_POLL] = try_poll,
    };
    const struct script *script = me->run->script;
    struct pair pair;

    if (pair_make(me, script->kind, script->state, false, &pair))
        tries[script->row](me, script, &pair);
    pair_close(me, &pair);
}

/* ---- making ----------------------------------------------------------------------------- */

static void play_socket(struct actor *me)
{
    static const struct {
        int domain, type, protocol;
    } wanted[] = {
        { AF_INET, SOCK_STREAM, 0 },
        { AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP },
        { AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0 },
        { AF_INET6, SOCK_STREAM, 0 },
        { AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0 },
        { AF_NETLINK, SOCK_RAW, 0 },
        { AF_INET, SOCK_SEQPACKET, 0 },
        { AF_INET, 77, 0 },
        { 9999, SOCK_STREAM, 0 },
        { AF_INET, SOCK_STREAM, IPPROTO_UDP },
        { AF_UNIX, SOCK_STREAM, 99 },
    };

    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        int fd = do_socket(me, wanted[i].domain, wanted[i].type, wanted[i].protocol);

        if (fd >= 0)
            (void)close(fd);
    }
}

static void play_socketpair(struct actor *me)
{
    static const int types[] = { SOCK_STREAM, SOCK_DGRAM | SOCK_NONBLOCK,
                                 SOCK_SEQPACKET | SOCK_CLOEXEC, 77 };
    int pair[2];

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (do_socketpair(me, AF_UNIX, types[i], 0, pair) != 0)
            continue;
        label(me, pair[0], "one");
        label(me, pair[1], "two");
        (void)do_fcntl(me, pair[0], F_GETFL, 0);
        (void)do_fcntl(me, pair[1], F_GETFD, 0);
        (void)do_send(me, pair[0], "x", 1, MSG_DONTWAIT);
        (void)do_recv_now(me, pair[1]);
        (void)close(pair[0]);
        (void)close(pair[1]);
    }
    (void)do_socketpair(me, AF_INET, SOCK_STREAM, 0, pair);
}

/* ---- the list --------------------------------------------------------------------------- */

static void add(struct script_list *list, enum row row, const char *flag_name, int flags,
                enum kind kind)
{
    for (int state = 0; state < STATE_OTHER; state++) {
        struct script script = { .row = row,
                                 .state = (enum state)state,
                                 .play = play,
                                 .kind = kind,
                                 .flags = flags,
                                 .needs = state == STATE_TIMEOUT ? NEED_ONCE : 0 };

        if (state_is_impossible(kind, (enum state)state, false) != NULL)
            continue;
        (void)snprintf(script.name, sizeof(script.name), "%s%s%s%s/%s/%s", row_name(row),
                       flag_name[0] != '\0' ? "+" : "", flag_name,
                       row == ROW_ACCEPT || row == ROW_ACCEPT4 ? "-no-listener" : "",
                       state_name((enum state)state), kind_name(kind));
        list_add(list, &script);
    }
}

void add_control_cells(struct script_list *list)
{
    static const enum row rows[] = { ROW_CLOSE,   ROW_DUP2,       ROW_FCNTL,
                                     ROW_IOCTL,   ROW_SETSOCKOPT, ROW_GETSOCKOPT,
                                     ROW_BIND,    ROW_LISTEN,     ROW_ACCEPT,
                                     ROW_ACCEPT4, ROW_POLL };
    static const struct script made[] = {
        { .name = "socket/fresh", .row = ROW_SOCKET, .play = play_socket },
        { .name = "socketpair/fresh", .row = ROW_SOCKETPAIR, .play = play_socketpair },
    };

    for (int kind = 0; kind < KINDS; kind++) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
            add(list, rows[i], "", 0, (enum kind)kind);
        if (!kind_is_socket((enum kind)kind))
            continue;
        add(list, ROW_SHUTDOWN, "RD", SHUT_RD, (enum kind)kind);
        add(list, ROW_SHUTDOWN, "WR", SHUT_WR, (enum kind)kind);
        add(list, ROW_SHUTDOWN, "RDWR", SHUT_RDWR, (enum kind)kind);
        add(list, ROW_SHUTDOWN, "bad", 99, (enum kind)kind);
    }
    list_add_all(list, made, sizeof(made) / sizeof(made[0]));
}
