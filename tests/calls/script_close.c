/* SPDX-License-Identifier: MIT */
/*
 * script_close.c -- what ends a descriptor, or a direction of it, while somebody uses it.
 */
#include "calls.h"

#include <string.h>

/* ---- close while another one waits: the named difference [closed] ----------------------------- */

/* OTHER waits on FD, which is closed.  RELIEVE brings what it waits for. */
static void close_under(struct actor *me, struct actor *other, int fd)
{
    (void)watch(me, other);
    (void)do_close(me, fd);
    (void)watch(me, other);
}

static void close_during(struct actor *me, enum kind kind, enum row row, int flags)
{
    struct action action = { .row = row, .size = 8, .flags = flags, .timeout_ms = -1 };
    struct actor *other;
    struct pair pair;

    if (!pair_open(me, kind, false, &pair))
        return;
    action.fd = pair.near;
    other = start(me, "reader", act, &action);
    close_under(me, other, pair.near);
    (void)far_puts(&pair, "12345678", 8);
    join(me, other);
    (void)do_close(me, pair.near);
    pair.near = -1;
    pair_close(me, &pair);
}

static void close_during_recv(struct actor *me)
{
    close_during(me, KIND_TCP, ROW_RECV, 0);
}

static void close_during_recv_of_all(struct actor *me)
{
    close_during(me, KIND_UNIX, ROW_RECV, MSG_WAITALL);
}

static void close_during_recvmsg(struct actor *me)
{
    close_during(me, KIND_UNIX_SEQ, ROW_RECVMSG, 0);
}

static void close_during_recvfrom(struct actor *me)
{
    close_during(me, KIND_UNIX_DGRAM, ROW_RECVFROM, 0);
}

static void close_during_read_of_a_pipe(struct actor *me)
{
    close_during(me, KIND_PIPE, ROW_READ, 0);
}

static void close_during_readv_of_a_terminal(struct actor *me)
{
    close_during(me, KIND_TTY, ROW_READV, 0);
}

static void close_during_poll(struct actor *me)
{
    close_during(me, KIND_TCP, ROW_POLL, 0);
}

static void close_during_send(struct actor *me)
{
    struct action action = { .row = ROW_SEND, .size = 8 };
    struct actor *other;
    struct pair pair;

    if (!pair_make(me, KIND_UNIX, STATE_FULL, true, &pair))
        return;
    action.fd = pair.near;
    other = start(me, "writer", act, &action);
    close_under(me, other, pair.near);
    pair.near = -1;
    drain_for(me, &pair, other);
    join(me, other);
    pair_close(me, &pair);
}

static void close_during_accept(struct actor *me)
{
    struct sockaddr_storage address;
    socklen_t size;
    struct action action = { .row = ROW_ACCEPT };
    int client = socket(AF_INET, SOCK_STREAM, 0);
    struct actor *other;

    action.fd = listener_open(me, KIND_TCP, 3, &address, &size);
    label(me, action.fd, "listener");
    other = start(me, "accepter", act, &action);
    close_under(me, other, action.fd);
    set_nonblock(client, true);
    (void)reach(client, &address, size);
    join(me, other);
    (void)do_accept(me, action.fd, NULL, NULL);
    (void)close(client);
}

/* A Unix connect that waits for room in the backlog. */
static void close_during_connect(struct actor *me)
{
    struct sockaddr_storage address;
    socklen_t size;
    int fillers[2], listener = listener_open(me, KIND_UNIX, 0, &address, &size);
    struct action action = { .row = ROW_CONNECT,
                             .address = &address,
                             .address_size = size };
    struct actor *other;

    for (int i = 0; i < 2; i++) {
        fillers[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)reach(fillers[i], &address, size);
    }
    action.fd = me->run->way->calls->socket(AF_UNIX, SOCK_STREAM, 0);
    label(me, action.fd, "client");
    other = start(me, "connecter", act, &action);
    close_under(me, other, action.fd);
    (void)close(accept(listener, NULL, NULL));
    join(me, other);
    (void)close(fillers[0]);
    (void)close(fillers[1]);
    (void)close(listener);
}

static void dup2_over_a_waited_one(struct actor *me)
{
    struct action action = { .row = ROW_RECV, .size = 8 };
    struct pair pair, spare;
    struct actor *other;

    if (!pair_open(me, KIND_UNIX, false, &pair) ||
        !pair_open(me, KIND_UNIX, false, &spare))
        return;
    label(me, spare.near, "spare");
    action.fd = pair.near;
    other = start(me, "reader", act, &action);
    (void)watch(me, other);
    (void)do_dup2(me, -1, pair.near); /* fails, and takes nothing away */
    (void)watch(me, other);
    (void)do_dup2(me, spare.near, pair.near);
    (void)watch(me, other);
    (void)far_puts(&pair, "12345678", 8);
    join(me, other);
    (void)far_puts(&spare, "spare", 5);
    (void)do_recv(me, pair.near, (char[8]){ 0 }, 8, 0);
    pair_close(me, &spare);
    pair_close(me, &pair);
}

/* ---- shutdown while another one waits ------------------------------------------------------------ */

static void shut_under(struct actor *me, enum kind kind, int how, enum row row)
{
    bool writes = row >= ROW_WRITE;
    struct action action = { .row = row, .size = 8 };
    struct actor *other;
    struct pair pair;

    if (!pair_make(me, kind, writes ? STATE_FULL : STATE_FRESH, writes, &pair))
        return;
    action.fd = pair.near;
    other = start(me, writes ? "writer" : "reader", act, &action);
    (void)watch(me, other);
    (void)do_shutdown(me, pair.near, how);
    join(me, other);
    act(me, &action);
    pair_close(me, &pair);
}

static void shutdown_wakes_a_reader(struct actor *me)
{
    shut_under(me, KIND_TCP, SHUT_RD, ROW_RECV);
}

static void shutdown_of_both_wakes_a_reader(struct actor *me)
{
    shut_under(me, KIND_UNIX, SHUT_RDWR, ROW_READ);
}

static void shutdown_wakes_a_datagram_reader(struct actor *me)
{
    shut_under(me, KIND_UDP, SHUT_RD, ROW_RECVMSG);
}

static void shutdown_wakes_a_writer(struct actor *me)
{
    shut_under(me, KIND_TCP, SHUT_WR, ROW_SEND);
}

static void shutdown_of_both_wakes_a_writer(struct actor *me)
{
    shut_under(me, KIND_UNIX, SHUT_RDWR, ROW_WRITE);
}

static void shutdown_wakes_an_accepter(struct actor *me)
{
    struct sockaddr_storage address;
    socklen_t size;
    struct action action = { .row = ROW_ACCEPT };
    struct actor *other;

    action.fd = listener_open(me, KIND_TCP, 3, &address, &size);
    label(me, action.fd, "listener");
    other = start(me, "accepter", act, &action);
    (void)watch(me, other);
    (void)do_shutdown(me, action.fd, SHUT_RD);
    join(me, other);
    (void)close(action.fd);
}

static void shutdown_wakes_a_poller(struct actor *me)
{
    struct action action = { .row = ROW_POLL,
                             .flags = POLLIN | POLLRDHUP,
                             .timeout_ms = -1 };
    struct actor *other;
    struct pair pair;

    if (!pair_open(me, KIND_TCP, false, &pair))
        return;
    action.fd = pair.near;
    other = start(me, "poller", act, &action);
    (void)watch(me, other);
    (void)do_shutdown(me, pair.near, SHUT_RD);
    join(me, other);
    pair_close(me, &pair);
}

/* ---- references ------------------------------------------------------------------------------------ */

static void the_last_reference_closes(struct actor *me)
{
    struct pair pair;
    int copy;

    if (!pair_open(me, KIND_TCP, false, &pair))
        return;
    copy = dup(pair.near);
    label(me, copy, "copy");
    (void)do_close(me, pair.near);
    (void)do_look(me, pair.far);
    (void)do_send(me, copy, "still here", 10, 0);
    note_received(me, pair.far, 10);
    (void)do_close(me, copy);
    (void)await_events(me, pair.far, POLLRDHUP);
    (void)do_look(me, pair.far);
    note_received(me, pair.far, 0);
    pair.near = -1;
    pair_close(me, &pair);
}

static void a_duplicate_half_closed(struct actor *me)
{
    struct pair pair;
    int copy;

    if (!pair_open(me, KIND_TCP, false, &pair))
        return;
    copy = dup(pair.near);
    label(me, copy, "copy");
    (void)do_shutdown(me, copy, SHUT_WR);
    (void)await_events(me, pair.far, POLLRDHUP);
    (void)do_send(me, pair.near, "x", 1, 0);
    (void)far_puts(&pair, "reply", 5);
    (void)do_recv(me, copy, (char[8]){ 0 }, 8, 0);
    (void)do_close(me, copy);
    (void)far_puts(&pair, "more", 4);
    (void)do_recv(me, pair.near, (char[8]){ 0 }, 8, 0);
    (void)do_look(me, pair.near);
    pair_close(me, &pair);
}

/* The child has no loop: there the calls are the plain ones, and wait plainly. */
static void child_reads(struct actor *me, const struct pair *pair, int start_fd)
{
    const struct calls *calls = me->run->way->calls;
    char byte;

    (void)close(pair->far);
    if (read(start_fd, &byte, 1) == 1 && calls->read(pair->near, &byte, 1) == 1)
        _exit(byte);
    _exit(1);
}

static void fork_while_blocked(struct actor *me)
{
    struct action action = { .row = ROW_RECV, .size = 8 };
    struct actor *other;
    struct pair pair;
    int start_pipe[2];
    pid_t child;

    if (!pair_open(me, KIND_TCP, false, &pair) ||
        !expect(me, pipe(start_pipe) == 0, "pipe"))
        return;
    action.fd = pair.near;
    other = start(me, "reader", act, &action);
    (void)watch(me, other);
    child = helper_fork(me);
    if (child == 0)
        child_reads(me, &pair, start_pipe[0]);
    (void)watch(me, other);
    (void)far_puts(&pair, "parent", 6);
    join(me, other);
    (void)far_puts(&pair, "A", 1);
    (void)expect(me, write(start_pipe[1], "", 1) == 1, "start the child");
    note(me, "child: %d", helper_wait(me, child));
    (void)do_recv_now(me, pair.near);
    (void)close(start_pipe[0]);
    (void)close(start_pipe[1]);
    pair_close(me, &pair);
}

static void a_child_keeps_it_open(struct actor *me)
{
    struct pair pair;
    pid_t child;

    if (!pair_open(me, KIND_TCP, false, &pair))
        return;
    child = helper_fork(me);
    if (child == 0) {
        (void)close(pair.far);
        for (;;)
            (void)pause();
    }
    (void)do_close(me, pair.near);
    (void)do_look(me, pair.far);
    helper_end(me, child);
    (void)await_events(me, pair.far, POLLRDHUP);
    (void)do_look(me, pair.far);
    pair.near = -1;
    pair_close(me, &pair);
}

/* ---- lingering --------------------------------------------------------------------------------------- */

/* close waits for a peer that does not read, and nobody else does. */
static void linger_while_others_run(struct actor *me)
{
    const struct linger five = { .l_onoff = 1, .l_linger = 5 };
    struct action action = { .row = ROW_CLOSE, .waited_ns = 5000 * (int64_t)MS };
    struct pair pair, others;
    struct actor *other;

    if (!pair_make(me, KIND_TCP, STATE_FULL, true, &pair) ||
        !pair_open(me, KIND_UNIX, false, &others))
        return;
    action.fd = pair.near;
    (void)do_setsockopt(me, pair.near, SOL_SOCKET, SO_LINGER, &five, sizeof(five));
    other = start(me, "closer", act, &action);
    (void)watch(me, other);
    for (int i = 0; i < 3; i++) {
        (void)far_puts(&others, "ping", 4);
        (void)do_recv(me, others.near, (char[8]){ 0 }, 8, 0);
    }
    (void)watch(me, other);
    join(me, other);
    pair.near = -1;
    pair_close(me, &others);
    pair_close(me, &pair);
}

/* close comes back as soon as the peer has everything. */
static void linger_until_all_is_read(struct actor *me)
{
    const struct linger long_time = { .l_onoff = 1, .l_linger = 30 };
    struct action action = { .row = ROW_CLOSE };
    struct actor *other;
    struct pair pair;

    if (!pair_make(me, KIND_TCP, STATE_FULL, true, &pair))
        return;
    action.fd = pair.near;
    (void)do_setsockopt(me, pair.near, SOL_SOCKET, SO_LINGER, &long_time,
                        sizeof(long_time));
    other = start(me, "closer", act, &action);
    (void)watch(me, other);
    pair.near = -1;
    drain_for(me, &pair, other);
    join(me, other);
    pair_close(me, &pair);
}

static void linger_zero_resets(struct actor *me)
{
    const struct linger none = { .l_onoff = 1, .l_linger = 0 };
    struct pair pair;

    if (!pair_open(me, KIND_TCP, true, &pair))
        return;
    (void)do_setsockopt(me, pair.near, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    (void)do_close(me, pair.near);
    (void)await_events(me, pair.far, POLLERR | POLLHUP);
    note_received(me, pair.far, 0);
    pair.near = -1;
    pair_close(me, &pair);
}

/* ---- numbers --------------------------------------------------------------------------------------- */

static void descriptor_zero(struct actor *me)
{
    struct action action = { .row = ROW_RECV, .size = 8 };
    struct actor *other;
    struct pair pair;
    int fd;

    if (!pair_open(me, KIND_UNIX, false, &pair))
        return;
    (void)close(0);
    fd = do_socket(me, AF_INET, SOCK_STREAM, 0);
    note(me, "the new socket is %s", fd == 0 ? "descriptor 0" : "another one");
    (void)do_close(me, fd);
    (void)do_dup2(me, pair.near, 0);
    label(me, 0, "zero");
    action.fd = 0;
    other = start(me, "reader", act, &action);
    (void)watch(me, other);
    (void)far_puts(&pair, "to zero", 7);
    join(me, other);
    (void)do_write(me, 0, "from zero", 9);
    note_received(me, pair.far, 9);
    (void)do_close(me, 0);
    (void)do_close(me, 0);
    pair_close(me, &pair);
}

static void bad_descriptors(struct actor *me)
{
    static const enum row rows[] = { ROW_ACCEPT,   ROW_READ,    ROW_READV,   ROW_RECV,
                                     ROW_RECVFROM, ROW_RECVMSG, ROW_WRITE,   ROW_WRITEV,
                                     ROW_SEND,     ROW_SENDTO,  ROW_SENDMSG, ROW_CLOSE,
                                     ROW_POLL };
    static const int fds[] = { -1, -100, 900, 1 << 30 };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t k = 0; k < sizeof(fds) / sizeof(fds[0]); k++) {
            struct action action = { .row = rows[i], .fd = fds[k], .size = 4 };

            act(me, &action);
        }
    }
    (void)do_dup2(me, 900, 901);
    (void)do_dup2(me, 1, -1);
    (void)do_dup3(me, 1, -1, 0);
    (void)do_dup3(me, -1, -1, 0);
    (void)do_dup2(me, -1, -1);
    (void)do_fcntl(me, 900, F_GETFL, 0);
    (void)do_shutdown(me, 900, SHUT_WR);
}

void add_close_scripts(struct script_list *list)
{
    /* The first ones are CALM: a plain call that a signal makes begin again finds nothing
     * under the number, or whatever has got it since. */
    static const struct script scripts[] = {
        CALM(CLOSE, OTHER, close_during_recv),
        CALM(CLOSE, OTHER, close_during_recv_of_all),
        CALM(CLOSE, OTHER, close_during_recvmsg),
        CALM(CLOSE, OTHER, close_during_recvfrom),
        CALM(CLOSE, OTHER, close_during_read_of_a_pipe),
        CALM(CLOSE, OTHER, close_during_readv_of_a_terminal),
        CALM(CLOSE, OTHER, close_during_poll),
        CALM(CLOSE, FULL, close_during_send),
        CALM(CLOSE, OTHER, close_during_accept),
        CALM(CLOSE, OTHER, close_during_connect),
        CALM(DUP2, OTHER, dup2_over_a_waited_one),
        SCRIPT(SHUTDOWN, OTHER, shutdown_wakes_a_reader),
        SCRIPT(SHUTDOWN, OTHER, shutdown_of_both_wakes_a_reader),
        SCRIPT(SHUTDOWN, OTHER, shutdown_wakes_a_datagram_reader),
        SCRIPT(SHUTDOWN, FULL, shutdown_wakes_a_writer),
        SCRIPT(SHUTDOWN, FULL, shutdown_of_both_wakes_a_writer),
        SCRIPT(SHUTDOWN, OTHER, shutdown_wakes_an_accepter),
        SCRIPT(SHUTDOWN, OTHER, shutdown_wakes_a_poller),
        SCRIPT(CLOSE, DUP, the_last_reference_closes),
        SCRIPT(SHUTDOWN, DUP, a_duplicate_half_closed),
        SCRIPT(RECV, FORKED, fork_while_blocked),
        SCRIPT(CLOSE, FORKED, a_child_keeps_it_open),
        SCRIPT(CLOSE, TIMEOUT, linger_while_others_run),
        SCRIPT(CLOSE, FULL, linger_until_all_is_read),
        SCRIPT(CLOSE, OTHER, linger_zero_resets),
        SCRIPT(SOCKET, OTHER, descriptor_zero),
        SCRIPT(READ, OTHER, bad_descriptors),
    };

    list_add_all(list, scripts, sizeof(scripts) / sizeof(scripts[0]));
}
