/* SPDX-License-Identifier: MIT */
/*
 * conn_hand_test.c -- connections handed over: adopted, released, paired; their options
 * and what is known of them; and letting go in every state.
 */
#include <linux/net_tstamp.h>
#include <sys/wait.h>

#include "net/net_rig.h"

TEST_IN_TASK(a_pair_is_connected_both_ways)
{
    struct tn_conn *near = NULL, *far = NULL;
    char buf[8];
    size_t got;

    assert_ok(tn_pair(&near, &far));
    assert_ok(tn_write(near, "ping", 4, NULL, rig_patience()));
    assert_ok(tn_read(far, buf, sizeof(buf), &got, rig_patience()));
    assert_int_equal(got, 4);
    assert_ok(tn_write(far, "pong!", 5, NULL, rig_patience()));
    assert_ok(tn_read(near, buf, sizeof(buf), &got, rig_patience()));
    assert_int_equal(got, 5);
    assert_ok(tn_end(near));
    assert_kind(tn_read(far, buf, sizeof(buf), &got, rig_patience()), TN_EOF);
    tn_abort(&near);
    tn_abort(&far);
}

/* ---- adopting ---- */

static void pair_of(int family, int fds[2])
{
    tn_addr addr;
    int listener;

    if (family == AF_UNIX) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        return;
    }
    listener = raw_listen((sa_family_t)family, &addr);
    fds[0] = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    rig_connect(fds[0], &addr);
    fds[1] = raw_accept(listener);
    close(listener);
}

TEST_IN_TASK(a_connected_socket_is_adopted_with_what_it_holds)
{
    static const int families[] = { AF_INET, AF_INET6, AF_UNIX };

    for (size_t i = 0; i < COUNT_OF(families); i++) {
        struct wire wire = { .peer = -1 };
        int fds[2];

        pair_of(families[i], fds);
        wire.peer = fds[1];
        wire_send(&wire, 100);
        assert_ok(tn_adopt(&wire.conn, fds[0], NULL));
        assert_true((fcntl(fds[0], F_GETFL) & O_NONBLOCK) != 0);
        wire_take(&wire, 100);
        wire_drop(&wire);
    }
}

TEST_IN_TASK(what_is_no_connected_stream_is_not_adopted)
{
    struct tn_conn *conn = NULL;
    int fds[4], flags;
    tn_addr addr;

    fds[0] = raw_listen(AF_INET, &addr);
    fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fds[2] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    fds[3] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < 4; i++) {
        flags = fcntl(fds[i], F_GETFL);
        assert_kind(tn_adopt(&conn, fds[i], NULL), TN_INVALID);
        assert_int_equal(fcntl(fds[i], F_GETFL), flags); /* still the caller's */
        close(fds[i]);
    }
    assert_kind(tn_adopt(&conn, -1, NULL), TN_INVALID);
    assert_null(conn);
}

TEST_IN_TASK(an_adoption_that_fails_changes_nothing)
{
    struct tn_conn_options options = { .user_timeout = -5, .send_buffer = 1 };
    struct tn_conn *conn = NULL;
    int fds[2];

    pair_of(AF_INET, fds);
    assert_ok(tn_adopt(&conn, fds[0], &options)); /* nonsense is left to the kernel */
    tn_abort(&conn);
    close(fds[1]);
}

/* ---- releasing ---- */

TEST_IN_TASK(a_released_descriptor_is_whole)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        char buf[16];
        int fd = -1;

        assert_ok(tn_release(&wire.conn, &fd, rig_patience()));
        assert_null(wire.conn);
        raw_send(fd, "out", 3);
        assert_int_equal(recv(wire.peer, buf, sizeof(buf), 0), 3);
        raw_send(wire.peer, "in", 2);
        assert_int_equal(recv(fd, buf, sizeof(buf), 0), 2);
        assert_ok(tn_adopt(&wire.conn, fd, NULL)); /* and back again */
        wire_send(&wire, 10);
        wire_take(&wire, 10);
        wire_drop(&wire);
    }
}

/* They would fill the receive buffer of somebody who never looks for them. */
TEST_IN_TASK(a_released_descriptor_brings_no_stamps)
{
    struct tn_conn_options options = { .confirmable = true };
    struct wire wire = wire_open_with(AF_INET, &options);
    struct pollfd entry = { .events = POLLIN };
    struct msghdr message = { 0 };

    for (int i = 0; i < 5; i++)
        assert_ok(tn_write(wire.conn, "x", 1, NULL, rig_patience()));
    assert_ok(tn_confirm(wire.conn, NULL, rig_patience()));
    assert_ok(tn_write(wire.conn, "x", 1, NULL, rig_patience()));
    assert_ok(tn_release(&wire.conn, &entry.fd, rig_patience()));
    assert_int_equal(raw_number(entry.fd, SOL_SOCKET, SO_TIMESTAMPING), 0);
    assert_int_equal(recvmsg(entry.fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    raw_send(entry.fd, "out", 3);
    assert_int_equal(poll(&entry, 1, 0), 0);
    assert_ok(tn_adopt(&wire.conn, entry.fd, NULL));
    wire_drop(&wire);
}

/* Some may still come, without the bytes: nobody asks for more of them. */
TEST_IN_TASK(what_is_under_way_at_a_release_brings_small_stamps_only)
{
    struct tn_conn_options options = { .confirmable = true };
    struct wire wire = wire_open_with(AF_INET, &options);
    int fd = -1;

    raw_deaf(wire.peer);
    assert_ok(tn_write(wire.conn, "x", 1, NULL, rig_patience()));
    assert_ok(tn_release(&wire.conn, &fd, rig_patience()));
    assert_int_equal(raw_number(fd, SOL_SOCKET, SO_TIMESTAMPING),
                     SOF_TIMESTAMPING_OPT_TSONLY);
    raw_hearing(wire.peer);
    assert_ok(tn_adopt(&wire.conn, fd, NULL));
    wire_drop(&wire);
}

TEST_IN_TASK(what_was_received_ahead_is_read_before_a_release)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        char buf[16];
        int fd = -1;
        tn_err err;

        wire_send(&wire, 10);
        rig_turns();
        err = tn_release(&wire.conn, &fd, rig_patience());
        if (tn_failed(err)) {
            assert_kind(err, TN_IN_USE);
            assert_int_equal(fd, -1);
            wire_take(&wire, 10);
            assert_ok(tn_release(&wire.conn, &fd, rig_patience()));
        } else {
            assert_int_equal(recv(fd, buf, sizeof(buf), 0), 10);
            assert_pattern(buf, wire.taken, 10);
        }
        close(fd);
        wire_drop(&wire);
    }
}

TEST_IN_TASK(an_end_that_was_received_ahead_is_seen_again_after_a_release)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        char byte;
        int fd = -1;

        assert_int_equal(shutdown(wire.peer, SHUT_WR), 0);
        rig_turns();
        assert_ok(tn_release(&wire.conn, &fd, rig_patience()));
        assert_int_equal(recv(fd, &byte, 1, 0), 0);
        close(fd);
        wire_drop(&wire);
    }
}

/* The reset has been taken from the kernel: the descriptor would read as an end. */
TEST_IN_TASK(a_dead_connection_is_not_released)
{
    for (enum wire_state state = WIRE_FRESH; state < WIRE_STATES; state++) {
        struct wire wire = wire_in_state(AF_INET, state);
        size_t got;
        char byte;
        int fd = -1;

        raw_reset(wire.peer);
        wire.peer = -1;
        rig_turns();
        assert_kind(tn_release(&wire.conn, &fd, rig_patience()), TN_RESET);
        assert_int_equal(fd, -1);
        assert_kind(tn_read(wire.conn, &byte, 1, &got, rig_patience()), TN_RESET);
        wire_drop(&wire);
    }
}

struct writer {
    struct tn_conn *conn;
    size_t done;
};

static tn_err write_much(void *arg)
{
    static char bytes[8 << 20];
    struct writer *self = arg;

    return tn_write(self->conn, bytes, sizeof(bytes), &self->done, rig_patience());
}

/* It has begun to let go; what was asked of it since must not get in its own way. */
TEST_IN_TASK(a_release_in_no_time_leaves_the_connection_good)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        struct writer writer = { .done = 0 };
        struct tn_task *task = NULL;
        int fd = -1;

        if (!tn_failed(tn_release(&wire.conn, &fd, TN_NOW)))
            assert_ok(tn_adopt(&wire.conn, fd, NULL)); /* nobody held it: no wait */
        writer.conn = wire.conn;
        assert_ok(tn_go(NULL, write_much, &writer, NULL, &task));
        rig_turns(); /* it waits for room now */
        wire_send(&wire, 100);
        wire_take(&wire, 100);
        tn_cancel(task);
        assert_ok(tn_join(&task, NULL, rig_patience()));
        assert_ok(tn_release(&wire.conn, &fd, rig_patience()));
        close(fd);
        wire_drop(&wire);
    }
}

TEST_IN_TASK(a_writer_alone_is_woken_after_a_release_in_no_time)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        struct writer writer = { .done = 0 };
        struct tn_task *task = NULL;
        tn_err result;
        int fd = -1;

        if (!tn_failed(tn_release(&wire.conn, &fd, TN_NOW)))
            assert_ok(tn_adopt(&wire.conn, fd, NULL));
        writer.conn = wire.conn;
        assert_ok(tn_go(NULL, write_much, &writer, NULL, &task));
        WAIT_UNTIL((raw_drain(wire.peer, NULL), writer.done > 0));
        assert_ok(tn_join(&task, &result, rig_patience()));
        assert_ok(result);
        wire_drop(&wire);
    }
}

/* ---- options and facts ---- */

TEST_IN_TASK(options_reach_the_kernel)
{
    struct tn_conn_options options = { .nagle = true,
                                       .no_keepalive = true,
                                       .user_timeout = 1,
                                       .send_buffer = 30000,
                                       .receive_buffer = 20000 };
    struct wire plain = wire_open(AF_INET);
    struct wire wire = wire_open_with(AF_INET, &options);
    int fd;

    assert_ok(tn_release(&plain.conn, &fd, rig_patience()));
    assert_int_equal(raw_number(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(raw_number(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_in_range(raw_number(fd, IPPROTO_TCP, TCP_KEEPIDLE), 15, 25);
    assert_int_equal(raw_number(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
    close(fd);
    assert_ok(tn_release(&wire.conn, &fd, rig_patience()));
    assert_int_equal(raw_number(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    assert_int_equal(raw_number(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    assert_int_equal(raw_number(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 1);
    assert_int_equal(raw_number(fd, SOL_SOCKET, SO_SNDBUF),
                     60000); /* doubled: socket(7) */
    assert_int_equal(raw_number(fd, SOL_SOCKET, SO_RCVBUF), 40000);
    close(fd);
    options.user_timeout = INT64_MAX;
    wire_drop(&wire);
    wire = wire_open_with(AF_INET, &options);
    wire_drop(&wire);
    wire_drop(&plain);
}

TEST_IN_TASK(facts_count_bytes_read_unread_written_unacknowledged)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        struct tn_conn_facts facts;
        uint64_t received = wire.taken;

        wire_send(&wire, 100);
        rig_turns();
        tn_conn_facts(wire.conn, &facts);
        assert_int_equal(facts.unread, 100); /* wherever they lie */
        assert_int_equal(facts.received, received);
        wire_take(&wire, 30);
        tn_conn_facts(wire.conn, &facts);
        assert_int_equal(facts.unread, 70);
        assert_int_equal(facts.received, received + 30);
        if (family == AF_INET)
            raw_deaf(wire.peer);
        assert_ok(tn_write(wire.conn, "12345", 5, NULL, rig_patience()));
        tn_conn_facts(wire.conn, &facts);
        assert_int_equal(facts.written, 5);
        assert_int_equal(facts.unacked, family == AF_INET ? 5 : 0);
        if (family == AF_INET)
            assert_true(facts.rtt_us > 0);
        wire_drop(&wire);
    }
}

TEST_IN_TASK(facts_of_a_dead_connection_are_told_too)
{
    struct wire wire = wire_open(AF_INET);
    struct tn_conn_facts facts;

    raw_deaf(wire.peer);
    assert_ok(tn_write(wire.conn, "12345", 5, NULL, rig_patience()));
    raw_reset(wire.peer);
    wire.peer = -1;
    tn_conn_facts(wire.conn, &facts);
    assert_int_equal(facts.unacked, 5);
    wire_drop(&wire);
}

/* ---- letting go ---- */

TEST_IN_TASK(an_abort_resets_in_every_state)
{
    enum { IDLE, UNREAD, UNSENT, ENDED, LEASED, PEER_ENDED, DEAD, SITUATIONS };

    for (enum wire_state state = WIRE_FRESH; state < WIRE_STATES; state++) {
        for (int situation = IDLE; situation < SITUATIONS; situation++) {
            struct wire wire = wire_in_state(AF_INET, state);
            struct tn_conn *conn = wire.conn;
            static char bytes[4 << 20];
            const void *data;
            size_t size;
            int end = 0;

            if (situation == UNREAD || situation == LEASED)
                wire_send(&wire, 1000);
            if (situation == UNREAD)
                rig_turns();
            if (situation == LEASED)
                assert_ok(tn_read_lease(conn, &data, &size, rig_patience()));
            while (situation == UNSENT &&
                   !tn_failed(tn_write(conn, bytes, sizeof(bytes), NULL, tn_in(TN_MS))))
                continue;
            if (situation == ENDED)
                assert_ok(tn_end(conn));
            if (situation == PEER_ENDED)
                assert_int_equal(shutdown(wire.peer, SHUT_WR), 0);
            if (situation == DEAD) {
                raw_reset(wire.peer);
                wire.peer = -1;
            }
            tn_abort(&wire.conn);
            assert_null(wire.conn);
            tn_abort(&wire.conn); /* an empty one is fine */
            if (wire.peer < 0)
                continue;
            if (situation == ENDED) { /* the end was sent; the reset comes after it */
                WAIT_UNTIL(raw_number(wire.peer, SOL_SOCKET, SO_ERROR) != 0);
            } else {
                WAIT_UNTIL((raw_drain(wire.peer, &end), end != 0));
                if (end != -ECONNRESET)
                    fail_test("state %d, situation %d: end %d", (int)state, situation,
                              end);
            }
            wire_drop(&wire);
        }
    }
}

/* The RST leaves with the call, not whenever the task parks next. */
TEST_IN_TASK(an_abort_resets_at_once)
{
    for (enum wire_state state = WIRE_FRESH; state < WIRE_STATES; state++) {
        struct wire wire = wire_in_state(AF_INET, state);
        int end;

        tn_abort(&wire.conn);
        raw_drain(wire.peer, &end);
        assert_int_equal(end, -ECONNRESET);
        wire_drop(&wire);
    }
}

/* A child of fork(2) has the socket too, and would keep it open. */
TEST_IN_TASK(an_abort_resets_though_a_child_has_the_socket)
{
    for (enum wire_state state = WIRE_FRESH; state < WIRE_STATES; state++) {
        struct wire wire = wire_in_state(AF_INET, state);
        int end = 0, go[2];
        char byte;
        pid_t child;

        assert_int_equal(pipe2(go, O_CLOEXEC), 0);
        child = fork();
        if (child == 0) {
            close(go[1]);
            _exit(read(go[0], &byte, 1) == 0 ? 0 : 1); /* until the test lets it */
        }
        close(go[0]);
        tn_abort(&wire.conn);
        WAIT_UNTIL((raw_drain(wire.peer, &end), end != 0));
        assert_int_equal(end, -ECONNRESET);
        close(go[1]);
        assert_int_equal(TEMP_FAILURE_RETRY(waitpid(child, NULL, 0)), child);
        wire_drop(&wire);
    }
}

TEST_IN_TASK(a_unix_peer_learns_of_what_was_left_unread)
{
    for (enum wire_state state = WIRE_FRESH; state < WIRE_STATES; state++) {
        struct wire wire = wire_in_state(AF_UNIX, state);
        int end = 0;

        wire_send(&wire, 10);
        rig_turns();
        tn_abort(&wire.conn);
        WAIT_UNTIL((raw_drain(wire.peer, &end), end != 0));
        assert_int_equal(end, -ECONNRESET);
        wire_drop(&wire);
    }
}

/* They are let go while the driver still holds them; the run has to see to the rest. */
TEST_IN_TASK(connections_may_be_let_go_as_the_last_thing)
{
    struct wire wires[30];

    for (size_t i = 0; i < COUNT_OF(wires); i++) {
        wires[i] = wire_in_state(i % 2 == 0 ? AF_INET : AF_UNIX, i % WIRE_STATES);
        wire_send(&wires[i], 100);
    }
    for (size_t i = 0; i < COUNT_OF(wires); i++)
        wire_drop(&wires[i]);
}

/* ---- options ---- */

TEST_IN_TASK(keepalive_may_come_later)
{
    struct tn_conn_options options = { .no_keepalive = true };
    struct tn_conn *conn = NULL, *near = NULL, *far = NULL;
    tn_addr addr;
    int listener = raw_listen(AF_INET, &addr), fd = -1;

    assert_ok(tn_dial_addr(&conn, &addr, &options, rig_patience()));
    assert_ok(tn_keepalive(conn));
    assert_ok(tn_release(&conn, &fd, rig_patience()));
    assert_int_equal(raw_number(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_in_range(raw_number(fd, IPPROTO_TCP, TCP_KEEPIDLE), 15, 25);
    assert_in_range(raw_number(fd, IPPROTO_TCP, TCP_KEEPINTVL), 6, 7);
    assert_int_equal(raw_number(fd, IPPROTO_TCP, TCP_KEEPCNT), 5);
    close(fd);
    close(listener);

    assert_ok(tn_pair(&near, &far)); /* of a Unix stream's peer the kernel knows */
    assert_ok(tn_keepalive(near));
    tn_abort(&near);
    tn_abort(&far);
}
