/* SPDX-License-Identifier: MIT */
/*
 * script_signals.c -- EINTR, SA_RESTART, SIGPIPE, SIGURG, and what errno holds meanwhile.
 *
 * SIGUSR1 has no SA_RESTART once handle_interrupting() has been called, and then is the only
 * handler there is; before that, all handlers have it.
 */
#include "calls.h"

#include <stdio.h>
#include <string.h>

/* Signal NUMBER hits ACTION; if that waits on, RELIEVE helps it out. */
static void hit(struct actor *me, struct actor *other, int number)
{
    (void)watch(me, other);
    interrupt(me, other, number);
    (void)watch(me, other);
}

static void interrupt_receive(struct actor *me, enum kind kind, enum row row, int flags,
                              int number, int64_t timeout_ns)
{
    struct action action = { .row = row, .size = 8, .flags = flags, .timeout_ms = -1 };
    struct actor *other;
    struct pair pair;

    if (!pair_open(me, kind, false, &pair))
        return;
    action.fd = pair.near;
    if (timeout_ns != 0)
        set_timeout(me, pair.near, SO_RCVTIMEO, timeout_ns);
    other = start(me, "reader", act, &action);
    hit(me, other, number);
    (void)far_puts(&pair, "12345678", 8);
    join(me, other);
    if (kind_is_socket(kind))
        (void)do_recv_now(me, pair.near);
    pair_close(me, &pair);
}

#define INTERRUPTED(name, kind, row, flags)                                              \
    static void name##_is_interrupted(struct actor *me)                                  \
    {                                                                                    \
        handle_interrupting();                                                           \
        interrupt_receive(me, kind, row, flags, SIGUSR1, 0);                             \
    }                                                                                    \
    static void name##_is_restarted(struct actor *me)                                    \
    {                                                                                    \
        interrupt_receive(me, kind, row, flags, SIGUSR2, 0);                             \
    }

INTERRUPTED(recv_tcp, KIND_TCP, ROW_RECV, 0)
INTERRUPTED(recv_unix, KIND_UNIX, ROW_RECV, 0)
INTERRUPTED(recv_all, KIND_TCP, ROW_RECV, MSG_WAITALL)
INTERRUPTED(recvfrom_udp, KIND_UDP, ROW_RECVFROM, 0)
INTERRUPTED(recvmsg_seq, KIND_UNIX_SEQ, ROW_RECVMSG, 0)
INTERRUPTED(read_tcp, KIND_TCP, ROW_READ, 0)
INTERRUPTED(readv_unix, KIND_UNIX, ROW_READV, 0)
INTERRUPTED(read_pipe, KIND_PIPE, ROW_READ, 0)
INTERRUPTED(read_tty, KIND_TTY, ROW_READ, 0)
INTERRUPTED(read_eventfd, KIND_EVENTFD, ROW_READ, 0)
INTERRUPTED(poll_tcp, KIND_TCP, ROW_POLL, 0)
INTERRUPTED(poll_pipe, KIND_PIPE, ROW_POLL, 0)

/* With a time-out on the socket nothing is restarted, whatever the handler says: signal(7). */
static void recv_with_a_time_out_is_never_restarted(struct actor *me)
{
    interrupt_receive(me, KIND_TCP, ROW_RECV, 0, SIGUSR2, 15000 * (int64_t)MS);
}

static void read_with_a_time_out_is_never_restarted(struct actor *me)
{
    interrupt_receive(me, KIND_UNIX_DGRAM, ROW_READ, 0, SIGUSR2, 15000 * (int64_t)MS);
}

static void accept_interrupted(struct actor *me, int number, int64_t timeout_ns)
{
    struct sockaddr_storage address;
    struct action action = { .row = ROW_ACCEPT };
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    struct actor *other;
    socklen_t size;

    action.fd = listener_open(me, KIND_UNIX, 3, &address, &size);
    label(me, action.fd, "listener");
    if (timeout_ns != 0)
        set_timeout(me, action.fd, SO_RCVTIMEO, timeout_ns);
    other = start(me, "accepter", act, &action);
    hit(me, other, number);
    (void)expect(me, reach(client, &address, size) == 0, "connect");
    join(me, other);
    (void)close(client);
    (void)close(action.fd);
}

static void accept_is_interrupted(struct actor *me)
{
    handle_interrupting();
    accept_interrupted(me, SIGUSR1, 0);
}

static void accept_is_restarted(struct actor *me)
{
    accept_interrupted(me, SIGUSR2, 0);
}

static void accept_with_a_time_out_is_never_restarted(struct actor *me)
{
    accept_interrupted(me, SIGUSR2, 15000 * (int64_t)MS);
}

/* A TCP connect that waits for an answer: interrupted, it goes on in the kernel. */
static void connect_interrupted(struct actor *me, int number, int64_t timeout_ns)
{
    struct sockaddr_storage address;
    socklen_t size;
    struct action action = { .row = ROW_CONNECT };
    int listener = listener_open(me, KIND_TCP, 0, &address, &size);
    int filler = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), accepted;
    struct actor *other;

    (void)reach(filler, &address, size); /* the backlog is full */
    (void)await_events(me, listener, POLLIN);
    action.fd = me->run->way->calls->socket(AF_INET, SOCK_STREAM, 0);
    action.address = &address;
    action.address_size = size;
    label(me, action.fd, "client");
    if (timeout_ns != 0)
        set_timeout(me, action.fd, SO_SNDTIMEO, timeout_ns);
    other = start(me, "connecter", act, &action);
    hit(me, other, number);
    accepted = accept(listener, NULL, NULL);
    join(me, other);
    if (timeout_ns != 0)
        set_timeout(me, action.fd, SO_SNDTIMEO, 0);
    act(me, &action); /* waits for the first one, unless that had gone through */
    act(me, &action);
    (void)close(filler);
    (void)close(accepted);
    (void)close(action.fd);
    (void)close(listener);
}

static void connect_is_interrupted(struct actor *me)
{
    handle_interrupting();
    connect_interrupted(me, SIGUSR1, 0);
}

static void connect_is_restarted(struct actor *me)
{
    connect_interrupted(me, SIGUSR2, 0);
}

static void connect_with_a_time_out_is_never_restarted(struct actor *me)
{
    connect_interrupted(me, SIGUSR2, 15000 * (int64_t)MS);
}

static void send_interrupted(struct actor *me, enum kind kind, enum row row, int number,
                             int64_t timeout_ns)
{
    struct action action = { .row = row, .size = 8 };
    struct actor *other;
    struct pair pair;

    if (!pair_make(me, kind, STATE_FULL, true, &pair))
        return;
    action.fd = pair.near;
    if (timeout_ns != 0)
        set_timeout(me, pair.near, SO_SNDTIMEO, timeout_ns);
    other = start(me, "writer", act, &action);
    hit(me, other, number);
    drain_for(me, &pair, other);
    join(me, other);
    pair_close(me, &pair);
}

static void send_is_interrupted(struct actor *me)
{
    handle_interrupting();
    send_interrupted(me, KIND_TCP, ROW_SEND, SIGUSR1, 0);
}

static void send_is_restarted(struct actor *me)
{
    send_interrupted(me, KIND_TCP, ROW_SEND, SIGUSR2, 0);
}

static void send_with_a_time_out_is_never_restarted(struct actor *me)
{
    send_interrupted(me, KIND_UNIX, ROW_SENDMSG, SIGUSR2, 15000 * (int64_t)MS);
}

static void write_pipe_is_interrupted(struct actor *me)
{
    handle_interrupting();
    send_interrupted(me, KIND_PIPE, ROW_WRITE, SIGUSR1, 0);
}

static void write_pipe_is_restarted(struct actor *me)
{
    send_interrupted(me, KIND_PIPE, ROW_WRITEV, SIGUSR2, 0);
}

/* What has moved is reported; the signal is not. */
static void a_part_counts_more_than_a_signal(struct actor *me)
{
    struct action action = { .row = ROW_RECV, .size = 8, .flags = MSG_WAITALL };
    struct actor *other;
    struct pair pair;

    handle_interrupting();
    if (!pair_open(me, KIND_TCP, false, &pair))
        return;
    action.fd = pair.near;
    (void)far_puts(&pair, "abc", 3);
    (void)await_input(me, pair.near, 3);
    other = start(me, "reader", act, &action);
    hit(me, other, SIGUSR1);
    join(me, other);
    pair_close(me, &pair);
}

static void a_written_part_counts_more_than_a_signal(struct actor *me)
{
    struct action action = { .row = ROW_WRITE, .size = 500 * 1000, .quiet_count = true };
    struct actor *other;
    struct pair pair;

    handle_interrupting();
    if (!pair_open(me, KIND_UNIX, true, &pair))
        return;
    action.fd = pair.near;
    other = start(me, "writer", act, &action);
    hit(me, other, SIGUSR1);
    join(me, other);
    pair_close(me, &pair);
}

static void one_of_two_kinds_of_handlers(struct actor *me)
{
    struct sigaction action = { .sa_flags = 0 };

    /* SIGUSR1 interrupts, SIGUSR2 restarts: which was it? */
    (void)sigaction(SIGUSR1, NULL, &action);
    action.sa_flags &= ~SA_RESTART;
    (void)sigaction(SIGUSR1, &action, NULL);
    interrupt_receive(me, KIND_TCP, ROW_RECV, 0, SIGUSR2, 0);
    interrupt_receive(me, KIND_TCP, ROW_RECV, 0, SIGUSR1, 0);
}

/* ---- SIGPIPE ---------------------------------------------------------------------------------- */

static void sigpipe_ignored(struct actor *me)
{
    struct pair pair;

    (void)signal(SIGPIPE, SIG_IGN);
    if (!pair_make(me, KIND_UNIX, STATE_CLOSED, true, &pair))
        return;
    (void)do_write(me, pair.near, "x", 1);
    (void)do_send(me, pair.near, "x", 1, 0);
    pair_close(me, &pair);
}

static void sigpipe_blocked(struct actor *me)
{
    sigset_t pipes, pending;
    struct pair pair;

    (void)sigemptyset(&pipes);
    (void)sigaddset(&pipes, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &pipes, NULL);
    if (!pair_make(me, KIND_PIPE, STATE_CLOSED, true, &pair))
        return;
    (void)do_write(me, pair.near, "x", 1);
    (void)sigpending(&pending);
    note(me, "pending: %d", sigismember(&pending, SIGPIPE));
    pair_close(me, &pair);
}

/* By default it ends the program: a child shows that. */
static void sigpipe_kills(struct actor *me)
{
    struct pair pair;
    pid_t child;

    if (!pair_make(me, KIND_TCP, STATE_RESET, true, &pair))
        return;
    child = helper_fork(me);
    if (child == 0) {
        (void)signal(SIGPIPE, SIG_DFL);
        for (int i = 0; i < 2; i++) {
            if (me->run->way->calls->write(pair.near, "x", 1) >= 0)
                _exit(1);
        }
        _exit(0);
    }
    note(me, "child: %d", helper_wait(me, child));
    pair_close(me, &pair);
}

/* ---- errno ------------------------------------------------------------------------------------- */

static void fail_again_and_again(struct actor *me, void *arg)
{
    struct gate *gate = arg;

    (void)do_read(me, -1, NULL, 0);
    gate_wait(me, gate);
    (void)do_fcntl(me, -1, F_GETFL, 0);
}

/* What a call has left in errno is there after others have run. */
static void errno_survives_a_park(struct actor *me)
{
    static struct gate gate;
    struct action action = { .row = ROW_RECV, .size = 8 };
    struct actor *other, *failing;
    struct pair pair;
    char text[64] = "";
    FILE *memory;

    if (!pair_open(me, KIND_TCP, false, &pair))
        return;
    action.fd = pair.near;
    failing = start(me, "failing", fail_again_and_again, &gate);
    (void)watch_quietly(me, failing);
    (void)do_connect(me, pair.near, &(struct sockaddr_in){ .sin_family = AF_INET },
                     sizeof(struct sockaddr_in));
    other = start(me, "reader", act, &action);
    gate_open(&gate);
    errno = EISCONN;
    me->run->way->pause(30); /* the others run */
    note(me, "errno: %s", strerrorname_np(errno));
    memory = fmemopen(text, sizeof(text), "w");
    errno = EISCONN;
    me->run->way->pause(30);
    (void)fprintf(memory, "connect: %s", strerror(errno));
    (void)fclose(memory);
    note(me, "%s", text);
    (void)far_puts(&pair, "abc", 3);
    join(me, other);
    join(me, failing);
    pair_close(me, &pair);
}

static void urgent_data_raises_sigurg(struct actor *me)
{
    unsigned before = signals_taken(SIGURG), round = 0;
    int64_t start_ns = clock_ns();
    struct pair pair;

    if (!pair_open(me, KIND_TCP, false, &pair))
        return;
    (void)do_fcntl(me, pair.near, F_SETOWN, getpid());
    (void)send(pair.far, "u", 1, MSG_OOB);
    while (signals_taken(SIGURG) == before && clock_ns() - start_ns < 2000 * (int64_t)MS)
        me->run->way->pause(round++);
    note(me, "SIGURG: %u", signals_taken(SIGURG) - before);
    pair_close(me, &pair);
}

void add_signal_scripts(struct script_list *list)
{
#define BOTH(row, name)                                                                  \
    CALM(row, OTHER, name##_is_interrupted), CALM(row, OTHER, name##_is_restarted)
    static const struct script scripts[] = {
        BOTH(RECV, recv_tcp),
        BOTH(RECV, recv_unix),
        BOTH(RECV, recv_all),
        BOTH(RECVFROM, recvfrom_udp),
        BOTH(RECVMSG, recvmsg_seq),
        BOTH(READ, read_tcp),
        BOTH(READV, readv_unix),
        BOTH(READ, read_pipe),
        BOTH(READ, read_tty),
        BOTH(READ, read_eventfd),
        BOTH(POLL, poll_tcp),
        BOTH(POLL, poll_pipe),
        BOTH(ACCEPT, accept),
        BOTH(CONNECT, connect),
        BOTH(SEND, send),
        BOTH(WRITE, write_pipe),
        SCRIPT(RECV, TIMEOUT, recv_with_a_time_out_is_never_restarted),
        SCRIPT(READ, TIMEOUT, read_with_a_time_out_is_never_restarted),
        SCRIPT(ACCEPT, TIMEOUT, accept_with_a_time_out_is_never_restarted),
        SCRIPT(CONNECT, TIMEOUT, connect_with_a_time_out_is_never_restarted),
        SCRIPT(SENDMSG, TIMEOUT, send_with_a_time_out_is_never_restarted),
        CALM(RECV, OTHER, a_part_counts_more_than_a_signal),
        CALM(WRITE, OTHER, a_written_part_counts_more_than_a_signal),
        SCRIPT(RECV, OTHER, one_of_two_kinds_of_handlers),
        SCRIPT(WRITE, CLOSED, sigpipe_ignored),
        SCRIPT(WRITE, CLOSED, sigpipe_blocked),
        SCRIPT(WRITE, RESET, sigpipe_kills),
        SCRIPT(CONNECT, OTHER, errno_survives_a_park),
        SCRIPT(RECV, OTHER, urgent_data_raises_sigurg),
    };

    list_add_all(list, scripts, sizeof(scripts) / sizeof(scripts[0]));
}
