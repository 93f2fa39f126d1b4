/* SPDX-License-Identifier: MIT */
/*
 * script_stream.c -- streams: everything written, pieces, peeking, conversations.
 */
#include "calls.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    LARGE = 1500 * 1000,
    LARGE_TTY = 100 * 1000, /* which hold 12 kB, and pass on 4 at a time */
    PIECES_MOST = 1024      /* IOV_MAX */
};

/* ---- writing it all ------------------------------------------------------------------------- */

/* The peer gets what a large write says; in a storm that is a part. */
static void drain_and_count(struct actor *me, struct pair *pair, struct actor *writer,
                            const struct action *action)
{
    size_t arrived = drain_for(me, pair, writer);

    join(me, writer);
    note(me, "arrived: %s",
         action->result >= 0 && arrived == (size_t)action->result ? "what was written"
                                                                  : "another number");
}

static void write_large(struct actor *me, enum kind kind, enum row row)
{
    struct action action = { .row = row,
                             .size = kind == KIND_TTY ? LARGE_TTY : LARGE,
                             .quiet_count = me->run->storm != STORM_NONE };
    struct actor *other;
    struct pair pair;

    if (!pair_open(me, kind, true, &pair))
        return;
    action.fd = pair.near;
    other = start(me, "writer", act, &action);
    (void)watch(me, other);
    drain_and_count(me, &pair, other, &action);
    pair_close(me, &pair);
}

#define LARGE_WRITE(name, kind, row)                                                     \
    static void name(struct actor *me)                                                   \
    {                                                                                    \
        write_large(me, kind, row);                                                      \
    }

LARGE_WRITE(large_write_tcp, KIND_TCP, ROW_WRITE)
LARGE_WRITE(large_writev_tcp, KIND_TCP, ROW_WRITEV)
LARGE_WRITE(large_send_tcp, KIND_TCP, ROW_SEND)
LARGE_WRITE(large_sendto_tcp, KIND_TCP, ROW_SENDTO)
LARGE_WRITE(large_sendmsg_tcp, KIND_TCP, ROW_SENDMSG)
LARGE_WRITE(large_write_unix, KIND_UNIX, ROW_WRITE)
LARGE_WRITE(large_writev_unix, KIND_UNIX, ROW_WRITEV)
LARGE_WRITE(large_sendmsg_unix, KIND_UNIX, ROW_SENDMSG)
LARGE_WRITE(large_write_pipe, KIND_PIPE, ROW_WRITE)
LARGE_WRITE(large_writev_pipe, KIND_PIPE, ROW_WRITEV)
LARGE_WRITE(large_write_tty, KIND_TTY, ROW_WRITE)

static void large_write_without_waiting(struct actor *me)
{
    struct action action = { .row = ROW_WRITE, .size = LARGE, .quiet_count = true };
    struct action send = {
        .row = ROW_SEND, .size = LARGE, .flags = MSG_DONTWAIT, .quiet_count = true
    };
    struct pair pair;

    if (!pair_open(me, KIND_TCP, true, &pair))
        return;
    send.fd = action.fd = pair.near;
    act(me, &send); /* a part */
    (void)fill(me, &pair);
    act(me, &send); /* EAGAIN */
    (void)do_fcntl(me, pair.near, F_SETFL, O_NONBLOCK);
    act(me, &action);
    pair_close(me, &pair);
}

/* The peer resets in the middle: this call says how much went, the next one why no more. */
static void write_until_the_reset(struct actor *me)
{
    struct action action = { .row = ROW_WRITE, .size = LARGE, .quiet_count = true };
    struct actor *other;
    struct pair pair;

    if (!pair_open(me, KIND_TCP, true, &pair))
        return;
    action.fd = pair.near;
    other = start(me, "writer", act, &action);
    (void)watch(me, other);
    (void)reset_by(me, pair.far);
    pair.far = -1;
    join(me, other);
    for (int i = 0; i < 3; i++)
        (void)do_write(me, pair.near, "x", 1);
    (void)do_so_error(me, pair.near);
    pair_close(me, &pair);
}

static void write_until_the_peer_closes(struct actor *me, enum kind kind, enum row row)
{
    struct action action = { .row = row, .size = LARGE, .quiet_count = true };
    struct actor *other;
    struct pair pair;

    if (!pair_open(me, kind, true, &pair))
        return;
    action.fd = pair.near;
    other = start(me, "writer", act, &action);
    (void)watch(me, other);
    (void)close(pair.far);
    pair.far = -1;
    join(me, other);
    for (int i = 0; i < 2; i++)
        (void)do_write(me, pair.near, "x", 1);
    pair_close(me, &pair);
}

static void send_until_a_unix_peer_closes(struct actor *me)
{
    write_until_the_peer_closes(me, KIND_UNIX, ROW_SEND);
}

static void writev_until_a_unix_peer_closes(struct actor *me)
{
    write_until_the_peer_closes(me, KIND_UNIX, ROW_WRITEV);
}

static void write_until_the_reader_of_a_pipe_closes(struct actor *me)
{
    write_until_the_peer_closes(me, KIND_PIPE, ROW_WRITE);
}

static void shutdown_during_a_large_write(struct actor *me)
{
    struct action action = { .row = ROW_WRITE, .size = LARGE, .quiet_count = true };
    struct actor *other;
    struct pair pair;

    if (!pair_open(me, KIND_TCP, true, &pair))
        return;
    action.fd = pair.near;
    other = start(me, "writer", act, &action);
    (void)watch(me, other);
    (void)do_shutdown(me, pair.near, SHUT_WR);
    join(me, other);
    (void)do_write(me, pair.near, "x", 1);
    pair_close(me, &pair);
}

/* ---- pieces ------------------------------------------------------------------------------------ */

static void many_pieces(struct actor *me)
{
    static struct iovec pieces[PIECES_MOST + 1];
    static char buf[PIECES_MOST + 1];
    struct msghdr message = { .msg_iov = pieces, .msg_iovlen = PIECES_MOST + 1 };
    struct pair pair;

    if (!pair_open(me, KIND_UNIX, false, &pair))
        return;
    for (int i = 0; i < PIECES_MOST + 1; i++) {
        buf[i] = (char)('A' + i % 26);
        pieces[i] = (struct iovec){ &buf[i], 1 };
    }
    (void)do_writev(me, pair.near, pieces, PIECES_MOST);
    (void)do_writev(me, pair.near, pieces, PIECES_MOST + 1);
    (void)do_writev(me, pair.near, pieces, 0);
    (void)do_writev(me, pair.near, pieces, -1);
    (void)do_sendmsg(me, pair.near, &message, 0);
    (void)do_recvmsg(me, pair.near, &message, 0);
    message.msg_iovlen = PIECES_MOST;
    (void)do_sendmsg(me, pair.near, &message, 0);
    note_received(me, pair.far, 2L * PIECES_MOST);
    memset(buf, '.', sizeof(buf));
    (void)far_puts(&pair, "abcdefghijkl", 12);
    (void)do_readv(me, pair.near, pieces, PIECES_MOST + 1);
    (void)do_readv(me, pair.near, pieces, -1);
    (void)do_readv(me, pair.near, pieces, 0);
    (void)do_readv(me, pair.near, pieces, 7);
    (void)do_readv(me, pair.near, pieces, PIECES_MOST);
    note_bytes(me, "buffer", buf, 16);
    pair_close(me, &pair);
}

static void empty_and_huge_pieces(struct actor *me, enum kind kind)
{
    char buf[8] = "........";
    struct iovec empty[] = { { buf, 0 }, { NULL, 0 } };
    struct iovec huge[] = { { buf, 4 }, { buf, (size_t)SSIZE_MAX } };
    struct iovec negative[] = { { buf, (size_t)-1 } };
    struct iovec good[] = { { buf, 0 }, { buf, 3 }, { buf + 3, 5 } };
    struct pair pair;

    if (!pair_open(me, kind, false, &pair))
        return;
    (void)do_readv(me, pair.near, empty, 2);
    (void)do_readv(me, pair.near, huge, 2);
    (void)do_readv(me, pair.near, negative, 1);
    if (kind != KIND_PIPE)
        (void)do_writev(me, pair.near, empty, 2);
    if (kind != KIND_PIPE)
        (void)do_writev(me, pair.near, negative, 1);
    (void)far_puts(&pair, "abcd", 4);
    (void)do_readv(me, pair.near, empty, 2);
    (void)do_readv(me, pair.near, good, 3);
    note_bytes(me, "buffer", buf, 8);
    pair_close(me, &pair);
}

static void odd_pieces_tcp(struct actor *me)
{
    empty_and_huge_pieces(me, KIND_TCP);
}

static void odd_pieces_unix(struct actor *me)
{
    empty_and_huge_pieces(me, KIND_UNIX);
}

static void odd_pieces_pipe(struct actor *me)
{
    empty_and_huge_pieces(me, KIND_PIPE);
}

static void odd_sizes(struct actor *me)
{
    char buf[8] = "........";
    struct pair pair;

    if (!pair_open(me, KIND_UNIX, false, &pair))
        return;
    (void)do_read(me, pair.near, buf, (size_t)SSIZE_MAX + 1);
    (void)do_write(me, pair.near, buf, (size_t)SSIZE_MAX + 1);
    (void)do_read(me, pair.near, buf, 0);
    (void)do_write(me, pair.near, buf, 0);
    (void)do_send(me, pair.near, buf, 0, 0);
    (void)do_recv(me, pair.near, buf, 0, MSG_DONTWAIT);
    (void)far_puts(&pair, "abcd", 4);
    (void)do_recv(me, pair.near, buf, 0, 0);
    (void)do_recv(me, pair.near, buf, 0, MSG_PEEK);
    (void)do_read(me, pair.near, buf, 8);
    pair_close(me, &pair);
}

/* recv of nothing on an empty TCP stream waits for something; read of nothing does not. */
static void recv_of_nothing_waits(struct actor *me)
{
    struct action action = { .row = ROW_RECV, .size = 0 };
    struct actor *other;
    struct pair pair;

    if (!pair_open(me, KIND_TCP, false, &pair))
        return;
    action.fd = pair.near;
    (void)do_read(me, pair.near, (char[1]){ 0 }, 0);
    other = start(me, "reader", act, &action);
    if (watch(me, other))
        (void)far_puts(&pair, "abc", 3);
    join(me, other);
    (void)do_recv_now(me, pair.near);
    pair_close(me, &pair);
}

/* ---- looking and leaving out --------------------------------------------------------------------- */

static void peek_and_trunc(struct actor *me, enum kind kind)
{
    char buf[16];
    struct pair pair;

    if (!pair_open(me, kind, false, &pair))
        return;
    (void)far_puts(&pair, "abcdefghij", 10);
    (void)await_input(me, pair.near, 10);
    memset(buf, '.', sizeof(buf));
    (void)do_recv(me, pair.near, buf, 4, MSG_PEEK);
    (void)do_recv(me, pair.near, buf, 16, MSG_PEEK);
    (void)do_recv(me, pair.near, buf, 0, MSG_PEEK | MSG_TRUNC);
    memset(buf, '.', sizeof(buf));
    (void)do_recv(me, pair.near, buf, 4, MSG_TRUNC);
    note_bytes(me, "buffer", buf, sizeof(buf));
    (void)do_recv(me, pair.near, NULL, 2, MSG_TRUNC);
    (void)do_recv(me, pair.near, buf, 2, 0);
    (void)do_recv(me, pair.near, buf, 16, MSG_TRUNC | MSG_DONTWAIT);
    (void)do_recv(me, pair.near, buf, 16, MSG_DONTWAIT);
    pair_close(me, &pair);
}

static void peek_and_trunc_tcp(struct actor *me)
{
    peek_and_trunc(me, KIND_TCP);
}

static void peek_and_trunc_unix(struct actor *me)
{
    peek_and_trunc(me, KIND_UNIX);
}

static void peek_offset(struct actor *me)
{
    char buf[4];
    struct pair pair;

    if (!pair_open(me, KIND_UNIX, false, &pair))
        return;
    set_int(me, pair.near, SOL_SOCKET, SO_PEEK_OFF, 2);
    (void)far_puts(&pair, "abcdefghij", 10);
    for (int i = 0; i < 3; i++)
        (void)do_recv(me, pair.near, buf, 3, MSG_PEEK);
    (void)do_recv(me, pair.near, buf, 3, 0);
    (void)do_recv(me, pair.near, buf, 3, MSG_PEEK | MSG_DONTWAIT);
    pair_close(me, &pair);
}

/* ---- several at once --------------------------------------------------------------------------------- */

static void reader_and_writer_at_once(struct actor *me)
{
    struct action read_action = { .row = ROW_READ, .size = 8 };
    struct action write_action = { .row = ROW_WRITE,
                                   .size = LARGE,
                                   .quiet_count = me->run->storm != STORM_NONE };
    struct actor *reader, *writer;
    struct pair pair;

    if (!pair_open(me, KIND_TCP, true, &pair))
        return;
    read_action.fd = write_action.fd = pair.near;
    reader = start(me, "reader", act, &read_action);
    writer = start(me, "writer", act, &write_action);
    (void)watch(me, reader);
    (void)watch(me, writer);
    (void)far_puts(&pair, "to the reader", 13);
    join(me, reader);
    drain_and_count(me, &pair, writer, &write_action);
    pair_close(me, &pair);
}

static void one_message_two_readers(struct actor *me)
{
    struct action first = { .row = ROW_READ, .size = 8 }, second = first;
    struct actor *one, *two;
    unsigned round = 0;
    struct pair pair;

    if (!pair_open(me, KIND_UNIX, false, &pair))
        return;
    first.fd = second.fd = pair.near;
    one = start(me, "one", act, &first);
    two = start(me, "two", act, &second);
    (void)watch(me, one);
    (void)watch(me, two);
    (void)far_puts(&pair, "same", 4);
    while (!atomic_load(&one->finished) && !atomic_load(&two->finished))
        me->run->way->pause(round++);
    note(me, "the other one: %s",
         watch_quietly(me, atomic_load(&one->finished) ? two : one) ? "blocked"
                                                                    : "returned");
    (void)far_puts(&pair, "same", 4);
    join(me, one);
    join(me, two);
    pair_close(me, &pair);
}

/* The notes' programs: the client writes and then reads, the server reads and then writes. */
struct talk {
    int fd;
    struct gate *served;
};

static void notes_server(struct actor *me, void *arg)
{
    struct talk *talk = arg;
    struct sockaddr_in peer;
    socklen_t size = sizeof(peer);
    int fd = do_accept(me, talk->fd, &peer, &size);
    char buf[32];
    ssize_t got;

    label(me, fd, "served");
    while ((got = do_read(me, fd, buf, sizeof(buf))) > 0)
        (void)do_write(me, fd, buf, (size_t)got);
    (void)do_close(me, fd);
}

static void notes_conversation(struct actor *me)
{
    struct sockaddr_storage address;
    socklen_t size;
    struct talk talk = { .fd = listener_open(me, KIND_TCP, 5, &address, &size) };
    struct actor *server;
    char buf[32];
    int fd;

    label(me, talk.fd, "listener");
    server = start(me, "server", notes_server, &talk);
    fd = do_socket(me, AF_INET, SOCK_STREAM, 0);
    label(me, fd, "client");
    (void)do_connect(me, fd, &address, size);
    for (int i = 0; i < 3; i++) {
        (void)do_write(me, fd, "hello, notes", 12);
        (void)do_recv(me, fd, buf, 12, MSG_WAITALL);
    }
    (void)do_shutdown(me, fd, SHUT_WR);
    (void)do_read(me, fd, buf, sizeof(buf));
    (void)do_close(me, fd);
    join(me, server);
    (void)close(talk.fd);
}

void add_stream_scripts(struct script_list *list)
{
    static const struct script scripts[] = {
        SCRIPT(WRITE, FULL, large_write_tcp),
        SCRIPT(WRITEV, FULL, large_writev_tcp),
        SCRIPT(SEND, FULL, large_send_tcp),
        SCRIPT(SENDTO, FULL, large_sendto_tcp),
        SCRIPT(SENDMSG, FULL, large_sendmsg_tcp),
        SCRIPT(WRITE, FULL, large_write_unix),
        SCRIPT(WRITEV, FULL, large_writev_unix),
        SCRIPT(SENDMSG, FULL, large_sendmsg_unix),
        SCRIPT(WRITE, FULL, large_write_pipe),
        SCRIPT(WRITEV, FULL, large_writev_pipe),
        SCRIPT(WRITE, FULL, large_write_tty),
        SCRIPT(WRITE, NONBLOCK, large_write_without_waiting),
        SCRIPT(WRITE, RESET, write_until_the_reset),
        SCRIPT(SEND, CLOSED, send_until_a_unix_peer_closes),
        SCRIPT(WRITEV, CLOSED, writev_until_a_unix_peer_closes),
        SCRIPT(WRITE, CLOSED, write_until_the_reader_of_a_pipe_closes),
        SCRIPT(WRITE, OUR_END, shutdown_during_a_large_write),
        SCRIPT(READV, OTHER, many_pieces),
        SCRIPT(READV, OTHER, odd_pieces_tcp),
        SCRIPT(READV, OTHER, odd_pieces_unix),
        SCRIPT(READV, OTHER, odd_pieces_pipe),
        SCRIPT(READ, OTHER, odd_sizes),
        SCRIPT(RECV, OTHER, recv_of_nothing_waits),
        SCRIPT(RECV, DATA, peek_and_trunc_tcp),
        SCRIPT(RECV, DATA, peek_and_trunc_unix),
        SCRIPT(RECV, DATA, peek_offset),
        SCRIPT(READ, FULL, reader_and_writer_at_once),
        SCRIPT(READ, OTHER, one_message_two_readers),
        SCRIPT(ACCEPT, OTHER, notes_conversation),
    };

    list_add_all(list, scripts, sizeof(scripts) / sizeof(scripts[0]));
}
