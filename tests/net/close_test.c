/* SPDX-License-Identifier: MIT */
/*
 * close_test.c -- every ending of tn_close, by peers that do what peers do.
 *
 * TENON_TEST_ROUNDS=n multiplies the repetitions.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "net/close_rig.h"

/* FOR_REPEATS -- a body for TCP and Unix, in each state in turn, REPEATS times each. */
#define FOR_REPEATS(family, state)                                                       \
    for (unsigned rig_f = 0, family = AF_INET; rig_f < 2; rig_f++, family = AF_UNIX)     \
        for (unsigned rig_i = 0, state = 0; rig_i < rig_rounds(REPEATS);                 \
             rig_i++, state = rig_i % WIRE_STATES)

#define FOR_TCP_REPEATS(state)                                                           \
    for (unsigned rig_i = 0, state = 0; rig_i < rig_rounds(REPEATS);                     \
         rig_i++, state = rig_i % WIRE_STATES)

/* ---- CLEAN ---- */

TEST_IN_TASK(clean_the_peer_reads_to_our_end_and_ends)
{
    FOR_REPEATS(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        struct closer closer = { 0 };

        wire_write(&wire, 1000);
        closer_start(&closer, &wire, rig_patience());
        assert_int_equal(peer_reads_to_end(wire.peer), 1000);
        peer_close(&wire);
        assert_ended(closer, TN_CLEAN, 0, 0);
    }
}

TEST_IN_TASK(clean_the_peer_ended_first)
{
    FOR_REPEATS(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        struct closer closer = { 0 };
        size_t got;
        char byte;

        wire_send(&wire, 100);
        assert_int_equal(shutdown(wire.peer, SHUT_WR), 0);
        wire_take(&wire, 100);
        if (rig_i % 2 == 0) /* its end may have been read, or not yet */
            assert_kind(tn_read(wire.conn, &byte, 1, &got, rig_patience()), TN_EOF);
        wire_write(&wire, 1000);
        closer_start(&closer, &wire, rig_patience());
        assert_ended(closer, TN_CLEAN, 0, 0);
        assert_int_equal(peer_reads_to_end(wire.peer), 1000);
        peer_close(&wire);
    }
}

TEST_IN_TASK(clean_both_ends_close_at_once)
{
    FOR_REPEATS(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state), other = wire;
        struct closer closer = { 0 }, second = { 0 };

        other.conn = NULL;
        assert_ok(tn_adopt(&other.conn, other.peer, NULL));
        assert_ok(tn_end(wire.conn));
        closer_start(&closer, &wire, rig_patience());
        closer_start(&second, &other, rig_patience());
        assert_ended(closer, TN_CLEAN, 0, 0);
        assert_ended(second, TN_CLEAN, 0, 0);
    }
}

TEST_IN_TASK(clean_a_large_reply_is_still_on_its_way)
{
    for (unsigned i = 0; i < 3 * WIRE_STATES; i++) {
        struct wire wire = wire_in_state(i % 2 == 0 ? AF_INET : AF_UNIX, i % WIRE_STATES);
        struct closer closer = { 0 };
        size_t stuffed = wire_stuff(&wire);

        closer_start(&closer, &wire, rig_patience());
        assert_int_equal(peer_reads_to_end(wire.peer), stuffed);
        peer_close(&wire);
        assert_ended(closer, TN_CLEAN, 0, 0);
    }
}

/* ---- ACKED ---- */

/* Closings that run side by side, so that their deadlines do not add up. */
struct many {
    struct wire wire[REPEATS];
    struct closer closer[REPEATS];
};

static struct many many;

TEST_IN_TASK(acked_the_peer_never_ends)
{
    for (int f = 0; f < 2; f++) {
        for (unsigned i = 0; i < REPEATS; i++) {
            many.wire[i] = wire_in_state(f == 0 ? AF_INET : AF_UNIX, i % WIRE_STATES);
            wire_write(&many.wire[i], 100 + i);
            closer_start(&many.closer[i], &many.wire[i], tn_in(30 * TN_MS));
        }
        for (unsigned i = 0; i < REPEATS; i++) {
            assert_ended(many.closer[i], TN_ACKED, 0, 0);
            assert_int_equal(peer_reads_to_end(many.wire[i].peer), 100 + i);
            peer_close(&many.wire[i]);
        }
    }
}

TEST_IN_TASK(acked_the_peer_never_accepts)
{
    for (int f = 0; f < 2; f++) {
        tn_addr addr;
        int listener =
            raw_listen_small(f == 0 ? AF_INET : AF_UNIX, (int)REPEATS, 0, &addr);

        for (unsigned i = 0; i < REPEATS; i++) {
            struct wire *wire = &many.wire[i];

            *wire = (struct wire){ .peer = -1 };
            assert_ok(tn_dial_addr(&wire->conn, &addr, NULL, rig_patience()));
            wire_write(wire, 100);
            closer_start(&many.closer[i], wire, tn_in(30 * TN_MS));
        }
        for (unsigned i = 0; i < REPEATS; i++)
            assert_ended(many.closer[i], TN_ACKED, 0, 0);
        for (unsigned i = 0; i < REPEATS; i++) { /* it was true: all of it was there */
            int fd = raw_accept(listener);

            assert_int_equal(peer_reads_to_end(fd), 100);
            close(fd);
        }
        close(listener);
    }
}

/* What the peer still sends after that finds nobody, and it learns so. */
TEST_IN_TASK(acked_what_comes_later_is_reset)
{
    for (unsigned i = 0; i < 2 * WIRE_STATES; i++) {
        struct wire wire = wire_in_state(AF_INET, i % WIRE_STATES);
        struct closer closer = { 0 };

        wire_write(&wire, 10);
        closer_start(&closer, &wire,
                     tn_in(50 * TN_MS)); /* the end is acknowledged before */
        assert_ended(closer, TN_ACKED, 0, 0);
        wire_send(&wire, 10);
        WAIT_UNTIL(raw_number(wire.peer, SOL_SOCKET, SO_ERROR) == ECONNRESET ||
                   send(wire.peer, "x", 1, MSG_NOSIGNAL) < 0);
        wire_drop(&wire);
    }
}

/* ---- DEADLINE ---- */

TEST_IN_TASK(deadline_the_peer_never_reads)
{
    for (unsigned i = 0; i < REPEATS; i++) {
        struct tn_conn_options options = { .send_buffer = 65536 };
        struct wire *wire = &many.wire[i];

        *wire = wire_open_small(AF_INET, 4096, &options);
        wire->sent = wire_stuff(wire); /* by us, for once */
    }
    for (unsigned i = 0; i < REPEATS; i++) /* far beyond any delayed acknowledgement */
        closer_start(&many.closer[i], &many.wire[i], tn_in(80 * TN_MS));
    for (unsigned i = 0; i < REPEATS; i++) {
        struct wire *wire = &many.wire[i];
        uint64_t there;
        int end;

        assert_ok(tn_join(&many.closer[i].task, NULL, rig_patience()));
        there = raw_drain(wire->peer, &end);
        assert_int_equal(end, -ECONNRESET);
        assert_true(there < wire->sent);
        assert_ended(many.closer[i], TN_ENDED_DEADLINE, wire->sent - there, 0);
        peer_close(wire);
    }
}

/* ---- RESET ---- */

TEST_IN_TASK(reset_the_peer_closes_with_our_bytes_unread)
{
    FOR_REPEATS(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        struct closer closer = { 0 };

        wire_write(&wire, 1000);
        if (rig_i % 2 == 0)
            peer_close(&wire); /* before our end has come, */
        closer_start(&closer, &wire, rig_patience());
        if (wire.peer >= 0)
            peer_close(&wire); /* or after it */
        assert_ended(closer, TN_ENDED_RESET, 0, 0);
    }
}

TEST_IN_TASK(reset_by_force)
{
    FOR_TCP_REPEATS(state)
    {
        struct wire wire = wire_in_state(AF_INET, state);
        struct closer closer = { 0 };
        bool before = rig_i % 2 == 0;

        wire_write(&wire, 1000);
        raw_drain(wire.peer, NULL);
        if (before)
            raw_reset(wire.peer);
        closer_start(&closer, &wire, rig_patience());
        if (!before)
            raw_reset(wire.peer);
        wire.peer = -1;
        assert_ended(closer, TN_ENDED_RESET, 0, 0);
    }
}

TEST_IN_TASK(reset_in_the_middle_of_what_we_send)
{
    FOR_TCP_REPEATS(state)
    {
        struct tn_conn_options options = { .send_buffer = 65536 };
        struct wire wire = wire_open_small(AF_INET, 4096, &options);
        struct closer closer = { 0 };
        char bytes[50000];
        size_t done = 0;
        int queued = 0;

        (void)state;
        memset(bytes, 0, sizeof(bytes));
        tn_ignore(
            tn_write(wire.conn, bytes, sizeof(bytes), &done, TN_NOW)); /* all it takes */
        closer_start(&closer, &wire, rig_patience());
        raw_deaf(wire.peer); /* from now on its count stands still */
        assert_int_equal(ioctl(wire.peer, SIOCINQ, &queued), 0);
        raw_reset(wire.peer);
        wire.peer = -1;
        assert_ok(tn_join(&closer.task, NULL, rig_patience()));
        /* It may have had more than it acknowledged; never less. */
        assert_true(closer.ending.unacked >= done - (size_t)queued);
        assert_true(closer.ending.unacked <= done);
        assert_ended(closer, TN_ENDED_RESET, closer.ending.unacked, 0);
    }
}

TEST_IN_TASK(reset_unacknowledged_bytes_are_counted_exactly)
{
    FOR_TCP_REPEATS(state)
    {
        struct wire wire = wire_in_state(AF_INET, state);
        struct closer closer = { 0 };

        wire_write(&wire, 700);
        raw_deaf(wire.peer);
        wire_write(&wire, 300 + rig_i);
        closer_start(&closer, &wire, rig_patience());
        raw_reset(wire.peer);
        wire.peer = -1;
        assert_ended(closer, TN_ENDED_RESET, 300 + rig_i, 0);
    }
}

/* A peer process of our own that never reads, and is killed. */
static pid_t start_mute_peer(int listener)
{
    pid_t child = fork();

    if (child == 0) {
        for (;;)
            (void)accept(listener, NULL, NULL);
    }
    assert_true(child > 0);
    return child;
}

TEST_IN_TASK(reset_the_peer_is_killed)
{
    for (unsigned round = 0; round < 8; round++) {
        tn_addr addr;
        int listener = raw_listen(round % 2 == 0 ? AF_INET : AF_UNIX, &addr);
        pid_t child = start_mute_peer(listener);

        close(listener);
        for (unsigned i = 0; i < REPEATS / 4; i++) {
            struct wire *wire = &many.wire[i];

            *wire = (struct wire){ .peer = -1 };
            assert_ok(tn_dial_addr(&wire->conn, &addr, NULL, rig_patience()));
            wire_write(wire, 500);
            if (i % 2 == 0)
                closer_start(&many.closer[i], wire, rig_patience());
        }
        kill(child, SIGKILL);
        assert_int_equal(TEMP_FAILURE_RETRY(waitpid(child, NULL, 0)), child);
        for (unsigned i = 0; i < REPEATS / 4; i++) {
            if (i % 2 == 1)
                closer_start(&many.closer[i], &many.wire[i], rig_patience());
            assert_ended(many.closer[i], TN_ENDED_RESET, 0, 0);
        }
    }
}

/* ---- TIMEDOUT ---- */

TEST_IN_TASK(timedout_the_peers_host_falls_silent)
{
    struct tn_conn_options options = { .user_timeout = 50 * TN_MS };

    for (unsigned i = 0; i < REPEATS; i++) {
        struct wire *wire = &many.wire[i];

        *wire = wire_open_with(AF_INET, &options);
        wire_write(wire, 100);
        raw_deaf(wire->peer);
        wire_write(wire, 1 + i);
        closer_start(&many.closer[i], wire, rig_patience());
    }
    for (unsigned i = 0; i < REPEATS; i++) {
        assert_ended(many.closer[i], TN_ENDED_TIMEDOUT, 1 + i, 0);
        peer_close(&many.wire[i]);
    }
}

static int run(const char *command)
{
    char line[256];

    snprintf(line, sizeof(line), "%s >/dev/null 2>&1", command);
    return system(line); /* NOLINT(cert-env33-c): our own words */
}

/* A router that says so (ICMP) is believed only when time is up: a time-out as well. */
TEST_IN_TASK(timedout_the_peers_host_is_unreachable)
{
    struct tn_conn_options options = { .user_timeout = 100 * TN_MS };

    rig_own_network();
    for (unsigned i = 0; i < 20; i++) {
        many.wire[i] = wire_open_with(AF_INET, &options);
        wire_write(&many.wire[i], 100);
    }
    if (run("nft add table t && nft add chain t out '{ type filter hook output priority "
            "0; "
            "}' && nft add rule t out tcp flags ack reject with icmp type "
            "host-unreachable") != 0 &&
        run("iptables -A OUTPUT -p tcp -j REJECT --reject-with icmp-host-unreachable") !=
            0)
        skip_test("neither nft nor iptables can reject packets here");
    for (unsigned i = 0; i < 20; i++) {
        wire_write(&many.wire[i], 50);
        closer_start(&many.closer[i], &many.wire[i], rig_patience());
    }
    for (unsigned i = 0; i < 20; i++) {
        assert_ended(many.closer[i], TN_ENDED_TIMEDOUT, 50, 0);
        assert_int_equal(many.closer[i].err.code, EHOSTUNREACH); /* and why is told */
        peer_close(&many.wire[i]);
    }
}

/* ---- what it costs ---- */

/* A peer on a thread of its own, so that nothing but the close wakes this one. */
struct slow_peer {
    int fd;
    int late_ms; /* after our end has come */
    bool reset;
    pthread_t thread;
};

static void *slow_peer_main(void *arg)
{
    struct slow_peer *self = arg;
    struct pollfd ready = { .fd = self->fd, .events = POLLIN };
    int end = 0;

    while (end == 0) {
        (void)poll(&ready, 1, -1);
        raw_drain(self->fd, &end);
    }
    (void)poll(NULL, 0, self->late_ms); /* being late is what it is for */
    if (self->reset)
        raw_reset(self->fd);
    else
        close(self->fd);
    return NULL;
}

static void count_wakes(struct wire wire, bool reset, int late_ms, const char *sort)
{
    struct slow_peer peer = { .fd = wire.peer, .late_ms = late_ms, .reset = reset };
    tn_ending ending;
    uint64_t before, wakes;

    wire_write(&wire, 1000);
    assert_int_equal(pthread_create(&peer.thread, NULL, slow_peer_main, &peer), 0);
    before = rig_wakes();
    tn_ignore(tn_close(&wire.conn, &ending, rig_patience()));
    wakes = rig_wakes() - before;
    assert_int_equal(pthread_join(peer.thread, NULL), 0);
    assert_int_equal(ending.how, reset ? TN_ENDED_RESET : TN_CLEAN);
    if (wakes > 4 && getenv("TENON_RING_FAULTS") == NULL) /* those wake for nothing */
        fail_test("%s, %d ms late: %llu wake-ups", sort, late_ms,
                  (unsigned long long)wakes);
}

/* A timer that looks would wake it far more often than that. */
TEST_IN_TASK(a_close_is_woken_four_times_at_most_and_polls_nothing)
{
    static const struct tn_conn_options with_stamps = { .confirmable = true };

    for (enum wire_state state = WIRE_FRESH; state < WIRE_STATES; state++) {
        for (int i = 0; i < 11; i++) {
            int late_ms = i < 10 ? 0 : 150;

            count_wakes(wire_in_state(AF_INET, state), false, late_ms, "TCP");
            count_wakes(wire_in_state(AF_INET, state), true, late_ms, "TCP, reset");
            count_wakes(wire_in_state(AF_UNIX, state), false, late_ms, "Unix");
        }
    }
    for (int i = 0; i < 20; i++) {
        int late_ms = i < 18 ? 0 : 150;

        count_wakes(wire_open_with(AF_INET, &with_stamps), false, late_ms, "confirmable");
        count_wakes(wire_open_with(AF_INET, &with_stamps), true, late_ms,
                    "confirmable, reset");
    }
}

TEST_IN_TASK(an_empty_connection_is_closed_as_clean)
{
    struct tn_conn *conn = NULL;
    tn_ending ending;

    memset(&ending, 0x55, sizeof(ending));
    assert_ok(tn_close(&conn, &ending, TN_NOW));
    assert_int_equal(ending.how, TN_CLEAN);
    assert_int_equal(ending.unacked, 0);
    assert_int_equal(ending.unread, 0);
    assert_ok(tn_close(&conn, NULL, TN_NOW));
    assert_ok(tn_close_discard(&conn, NULL, TN_NOW));
}
