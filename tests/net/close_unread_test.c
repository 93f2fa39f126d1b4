/* SPDX-License-Identifier: MIT */
/*
 * close_unread_test.c -- closing with bytes of the peer's unread, on purpose or not; and
 * closing against the clock or a cancel.
 *
 * Who has not been read must not see an orderly end; yet all that was written to it has
 * to arrive before the reset.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "net/close_rig.h"

/* ---- UNREAD ---- */

enum where { IN_THE_KERNEL, RECEIVED_AHEAD, COMING_LATER, PARTLY_READ, WHERES };

static void wait_for_our_end(int fd)
{
    struct pollfd ended = { .fd = fd, .events = POLLRDHUP };

    WAIT_UNTIL(poll(&ended, 1, 0) == 1);
}

/*
 * Our end had reached the peer before its last bytes reached us.  Linux then may show it
 * that end, and the reset, which is on the wire, with whatever it does next (tcp_reset in
 * CLOSE_WAIT; EPIPE).
 */
static void peer_meets_reset_after_end(const struct wire *wire, uint64_t expected)
{
    uint64_t got = 0;
    int end = 0;

    WAIT_UNTIL((got += raw_drain(wire->peer, &end), end != 0));
    assert_int_equal(got, expected);
    if (end == 1)
        WAIT_UNTIL(send(wire->peer, "x", 1, MSG_NOSIGNAL) < 0 && errno != EAGAIN);
    else
        assert_int_equal(end, -ECONNRESET);
}

static void unread_bytes(sa_family_t family, enum wire_state state, enum where where)
{
    struct wire wire = wire_in_state(family, state);
    struct closer closer = { 0 };

    wire_write(&wire, 20000);
    if (where != COMING_LATER)
        wire_send(&wire, 100);
    if (where == RECEIVED_AHEAD)
        rig_turns(); /* where the driver does that */
    if (where == PARTLY_READ)
        wire_take(&wire, 60);
    closer_start(&closer, &wire, rig_patience());
    if (where == COMING_LATER) {
        wait_for_our_end(wire.peer);
        assert_false(closer.over);
        wire_send(&wire, 100);
    }
    assert_ended(closer, TN_UNREAD, 0, where == PARTLY_READ ? 40 : 100);
    if (where != COMING_LATER)
        assert_int_equal(peer_reads_to_reset(wire.peer), 20000);
    else
        peer_meets_reset_after_end(&wire, 20000);
    peer_close(&wire);
}

TEST_IN_TASK(unread_the_peer_gets_all_and_then_a_reset)
{
    for (int f = 0; f < 2; f++) {
        for (int where = 0; where < WHERES; where++) {
            for (unsigned i = 0; i < rig_rounds(REPEATS); i++)
                unread_bytes(f == 0 ? AF_INET : AF_UNIX, i % WIRE_STATES,
                             (enum where)where);
        }
    }
}

/* The peer takes its time: our bytes are waited for before the reset. */
TEST_IN_TASK(unread_a_large_reply_arrives_whole_before_the_reset)
{
    for (unsigned i = 0; i < 4 * WIRE_STATES; i++) {
        struct wire wire = wire_in_state(AF_INET, i % WIRE_STATES);
        struct closer closer = { 0 };
        size_t stuffed = wire_stuff(&wire);
        uint64_t got = 0;
        int end = 0;

        wire_send(&wire, 1);
        if (i % 2 == 0)
            rig_turns();
        closer_start(&closer, &wire, rig_patience());
        while (got < stuffed) {
            assert_false(closer.over && closer.ending.unacked > 0);
            got += raw_drain(wire.peer, &end);
            assert_ok(tn_sleep(tn_in(TN_MS)));
        }
        assert_int_equal(got, stuffed);
        assert_ended(closer, TN_UNREAD, 0, 1);
        assert_int_equal(peer_reads_to_reset(wire.peer), 0);
        peer_close(&wire);
    }
}

/* A peer, on a thread of its own, that hears nothing for a while. */
struct deaf_peer {
    int fd;
    pthread_t thread;
};

static void *deaf_peer_main(void *arg)
{
    struct deaf_peer *self = arg;

    (void)poll(NULL, 0, 60); /* before TCP tries again, in 200 ms */
    raw_hearing(self->fd);
    return NULL;
}

/* Without a FIN behind them acknowledgements are no edge: where there are stamps, those are. */
TEST_IN_TASK(unread_with_stamps_waits_for_the_acknowledgement_without_polling)
{
    struct tn_conn_options options = { .confirmable = true };

    for (int i = 0; i < 3; i++) {
        struct wire wire = wire_open_with(AF_INET, &options);
        struct deaf_peer peer = { .fd = wire.peer };
        tn_ending ending;
        uint64_t wakes, most;
        int64_t took;

        wire_send(&wire, 10);
        raw_deaf(wire.peer);
        wire_write(&wire, 1000);
        assert_int_equal(pthread_create(&peer.thread, NULL, deaf_peer_main, &peer), 0);
        wakes = rig_wakes();
        took = tn_now();
        assert_kind(tn_close(&wire.conn, &ending, rig_patience()), TN_IN_USE);
        took = tn_now() - took;
        wakes = rig_wakes() - wakes;
        /* It may look after 50, 150, 350, 550 ms, as long as the peer is held up and deaf. */
        most = 4 + (uint64_t)(took / (200 * TN_MS));
        assert_int_equal(pthread_join(peer.thread, NULL), 0);
        assert_int_equal(ending.how, TN_UNREAD);
        assert_int_equal(peer_reads_to_reset(wire.peer), 1000);
        /* Faults of the ring wake for nothing. */
        if (wakes > most && getenv("TENON_RING_FAULTS") == NULL)
            fail_test("%llu wake-ups in %lld ms", (unsigned long long)wakes,
                      (long long)(took / TN_MS));
        peer_close(&wire);
    }
}

/* Unread at both ends: whoever resets first, neither takes it for an end. */
TEST_IN_TASK(unread_on_both_sides_is_a_reset_for_both)
{
    for (unsigned i = 0; i < rig_rounds(REPEATS); i++) {
        struct wire wire = wire_in_state(AF_INET, i % WIRE_STATES), other = wire;
        struct closer closer = { 0 }, second = { 0 };

        other.conn = NULL;
        wire_send(&wire, 10);
        wire_write(&wire, 10);
        assert_ok(tn_adopt(&other.conn, other.peer, NULL));
        closer_start(&closer, &wire, rig_patience());
        closer_start(&second, &other, rig_patience());
        assert_ok(tn_join(&closer.task, NULL, rig_patience()));
        assert_ok(tn_join(&second.task, NULL, rig_patience()));
        assert_true(closer.ending.how == TN_UNREAD ||
                    closer.ending.how == TN_ENDED_RESET);
        assert_true(second.ending.how == TN_UNREAD ||
                    second.ending.how == TN_ENDED_RESET);
        assert_int_equal(closer.ending.unacked, 0);
        assert_int_equal(second.ending.unacked, 0);
    }
}

/* It is a reset by the peer even when the peer's own bytes are unread here. */
TEST_IN_TASK(a_reset_with_bytes_unread_is_a_reset)
{
    for (unsigned i = 0; i < rig_rounds(REPEATS); i++) {
        struct wire wire = wire_in_state(AF_INET, i % WIRE_STATES);
        struct closer closer = { 0 };

        wire_send(&wire, 10);
        if (i % 2 == 0)
            rig_turns();
        wire_write(&wire, 10);
        raw_deaf(wire.peer);
        wire_write(&wire, 7);
        raw_reset(wire.peer);
        wire.peer = -1;
        closer_start(&closer, &wire, rig_patience());
        assert_ended(closer, TN_ENDED_RESET, 7, 10);
    }
}

/* The peer has ended, but not all that it sent before was read. */
TEST_IN_TASK(unread_before_the_peers_end_is_unread)
{
    for (unsigned i = 0; i < rig_rounds(REPEATS); i++) {
        struct wire wire = wire_in_state(AF_INET, i % WIRE_STATES);
        struct closer closer = { 0 };

        wire_send(&wire, 10);
        assert_int_equal(shutdown(wire.peer, SHUT_WR), 0);
        if (i % 2 == 0)
            rig_turns();
        wire_take(&wire, 9);
        closer_start(&closer, &wire, rig_patience());
        assert_ended(closer, TN_UNREAD, 0, 1);
        assert_int_equal(peer_reads_to_reset(wire.peer), 0);
        peer_close(&wire);
    }
}

/* Ordinary bytes behind an urgent one are unread as any others. */
TEST_IN_TASK(unread_behind_an_urgent_byte_is_unread)
{
    for (unsigned i = 0; i < 2 * WIRE_STATES; i++) {
        struct tn_conn_options options = { .urgent = i % 2 == 0 };
        struct wire wire = wire_open_with(AF_INET, &options);
        struct closer closer = { 0 };

        assert_int_equal(send(wire.peer, "!", 1, MSG_OOB), 1);
        wire_send(&wire, 5);
        if (i % 3 == 0)
            rig_turns();
        closer_start(&closer, &wire, rig_patience());
        assert_ok(tn_join(&closer.task, NULL, rig_patience()));
        assert_int_equal(closer.ending.how, TN_UNREAD);
        assert_true(closer.ending.unread > 0);
        assert_int_equal(peer_reads_to_reset(wire.peer), 0);
        peer_close(&wire);
    }
}

/* That late reset, at a peer that closes as we do: it is told. */
TEST_IN_TASK(unread_that_came_late_is_a_reset_to_a_peer_that_asks)
{
    for (unsigned i = 0; i < 20 * WIRE_STATES; i++) {
        struct wire wire = wire_in_state(AF_INET, i % WIRE_STATES),
                    other = { .peer = -1 };
        struct closer closer = { 0 }, second = { 0 };
        char byte;
        size_t got;

        assert_ok(tn_adopt(&other.conn, wire.peer, NULL));
        closer_start(&closer, &wire, rig_patience());
        wait_for_our_end(wire.peer);
        wire.peer = -1;
        wire_write(&other, 100);
        assert_ended(closer, TN_UNREAD, 0, 100);
        if (i % 2 == 0)
            assert_kind(tn_read(other.conn, &byte, 1, &got, rig_patience()), TN_EOF);
        closer_start(&second, &other, rig_patience());
        assert_ok(tn_join(&second.task, NULL, rig_patience()));
        assert_int_equal(second.ending.how, TN_ENDED_RESET);
        assert_kind(second.err, TN_RESET);
    }
}

/* ---- the clock and the cancel ---- */

TEST_IN_TASK(a_close_in_no_time_is_cut_short_alike_everywhere)
{
    for (unsigned i = 0; i < 40 * WIRE_STATES; i++) {
        struct wire wire = wire_in_state(i % 2 == 0 ? AF_INET : AF_UNIX, i % WIRE_STATES);
        struct closer closer = { 0 };

        wire_write(&wire, 100);
        closer_start(&closer, &wire, TN_NOW);
        assert_ended(closer, TN_ACKED, 0, 0); /* the bytes were there already */
        assert_int_equal(peer_reads_to_end(wire.peer), 100);
        peer_close(&wire);
    }
}

TEST_IN_TASK(a_close_in_no_time_finds_what_is_unread)
{
    for (unsigned i = 0; i < 40 * WIRE_STATES; i++) {
        struct wire wire = wire_in_state(i % 2 == 0 ? AF_INET : AF_UNIX, i % WIRE_STATES);
        struct closer closer = { 0 };

        wire_write(&wire, 100);
        wire_send(&wire, 30);
        if (i % 4 < 2)
            rig_turns();
        closer_start(&closer, &wire, TN_NOW);
        assert_ended(closer, TN_UNREAD, 0, 30);
        assert_int_equal(peer_reads_to_reset(wire.peer), 100);
        peer_close(&wire);
    }
}

TEST_IN_TASK(a_close_in_no_time_resets_what_is_unacknowledged)
{
    for (unsigned i = 0; i < 40 * WIRE_STATES; i++) {
        struct wire wire = wire_in_state(AF_INET, i % WIRE_STATES);
        struct closer closer = { 0 };

        raw_deaf(wire.peer);
        wire_write(&wire, 100);
        closer_start(&closer, &wire, TN_NOW);
        assert_ended(closer, TN_ENDED_DEADLINE, 100, 0);
        peer_close(&wire);
    }
}

struct canceled {
    struct closer closer;
    bool shielded;
};

static tn_err close_when_canceled(void *arg)
{
    struct canceled *self = arg;

    while (!tn_canceled())
        tn_yield();
    self->closer.deadline = self->shielded ? tn_shielded(RIG_PATIENCE) : TN_NEVER;
    return close_in_task(&self->closer);
}

TEST_IN_TASK(a_canceled_task_closes_in_order_only_when_shielded)
{
    for (unsigned i = 0; i < 40 * WIRE_STATES; i++) {
        struct wire wire = wire_in_state(i % 2 == 0 ? AF_INET : AF_UNIX, i % WIRE_STATES);
        struct canceled self = { .shielded = i % 4 < 2 };

        wire_write(&wire, 100);
        self.closer.conn = wire.conn;
        wire.conn = NULL;
        assert_ok(tn_go(NULL, close_when_canceled, &self, NULL, &self.closer.task));
        tn_cancel(self.closer.task);
        rig_turns();
        if (self.shielded)
            assert_false(self.closer.over);
        else
            WAIT_UNTIL(self.closer.over);
        assert_int_equal(peer_reads_to_end(wire.peer), 100);
        peer_close(&wire);
        assert_ended(self.closer, self.shielded ? TN_CLEAN : TN_ACKED, 0, 0);
        assert_kind(self.closer.err, self.shielded ? TN_OK : TN_CANCELED);
    }
}

TEST_IN_TASK(a_cancel_cuts_a_close_short)
{
    for (unsigned i = 0; i < 40 * WIRE_STATES; i++) {
        struct wire wire = wire_in_state(AF_INET, i % WIRE_STATES);
        struct closer closer = { 0 };
        bool lost = i % 2 == 0;

        if (lost)
            raw_deaf(wire.peer);
        wire_write(&wire, 100);
        closer_start(&closer, &wire, rig_patience());
        rig_turns();
        tn_cancel(closer.task);
        assert_ended(closer, lost ? TN_ENDED_DEADLINE : TN_ACKED, lost ? 100 : 0, 0);
        assert_kind(closer.err, TN_CANCELED);
        peer_close(&wire);
    }
}

TEST_IN_TASK(a_cancel_cuts_the_wait_before_the_reset_short)
{
    for (unsigned i = 0; i < 20 * WIRE_STATES; i++) {
        struct wire wire = wire_in_state(AF_INET, i % WIRE_STATES);
        struct closer closer = { 0 };

        wire_send(&wire, 5);
        raw_deaf(wire.peer);
        wire_write(&wire, 100);
        closer_start(&closer, &wire, rig_patience());
        rig_turns();
        assert_false(closer.over);
        tn_cancel(closer.task);
        assert_ended(closer, TN_ENDED_DEADLINE, 100, 5);
        peer_close(&wire);
    }
}

/* ---- discarding ---- */

TEST_IN_TASK(discard_ends_in_order_whatever_still_comes)
{
    for (int f = 0; f < 2; f++) {
        for (unsigned i = 0; i < rig_rounds(REPEATS); i++) {
            struct wire wire = wire_in_state(f == 0 ? AF_INET : AF_UNIX, i % WIRE_STATES);
            struct closer closer = { .discard = true };

            wire_write(&wire, 100);
            wire_send(&wire, 1 + i);
            if (i % 2 == 0)
                rig_turns();
            closer_start(&closer, &wire, rig_patience());
            wire_send(&wire, 5000);
            if (i % 2 == 0)
                tn_yield();
            wire_send(&wire, 1000);
            assert_int_equal(peer_reads_to_end(wire.peer), 100);
            peer_close(&wire);
            assert_ended(closer, TN_CLEAN, 0, 6001 + i);
        }
    }
}

/* A peer on a thread of its own, so that there is always more to discard. */
struct flood {
    int fd;
    atomic_bool stop;
    pthread_t thread;
};

static void *flood_main(void *arg)
{
    static char bytes[65536];
    struct flood *self = arg;

    while (!atomic_load(&self->stop))
        (void)!send(self->fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL);
    return NULL;
}

/* A discarding close of LENGTH under a flood; how much it discarded. */
static uint64_t discard_a_flood(sa_family_t family, unsigned state, int64_t length)
{
    struct wire wire = wire_in_state(family, state);
    struct closer closer = { .discard = true };
    struct flood flood = { .fd = wire.peer };
    int64_t start = tn_now();

    wire_write(&wire, 100);
    assert_int_equal(pthread_create(&flood.thread, NULL, flood_main, &flood), 0);
    closer_start(&closer, &wire, tn_in(length));
    assert_ok(tn_join(&closer.task, NULL,
                      tn_in(length + RIG_PATIENCE * (int64_t)test_scale())));
    assert_true(tn_now() - start < length + RIG_PATIENCE * test_scale());
    atomic_store(&flood.stop, true);
    assert_int_equal(pthread_join(flood.thread, NULL), 0);
    assert_int_equal(closer.ending.how, TN_ACKED);
    assert_kind(closer.err, TN_DEADLINE);
    peer_close(&wire);
    return closer.ending.unread;
}

TEST_IN_TASK(discard_ends_at_its_deadline_however_fast_it_comes)
{
    for (unsigned i = 0; i < 2 * WIRE_STATES; i++) {
        int64_t length = 30 * TN_MS;

        while (discard_a_flood(i % 2 == 0 ? AF_INET : AF_UNIX, i % WIRE_STATES, length) <=
               100000) {
            length *= 2; /* a busy machine lets few through */
            assert_true(length < 8 * TN_SECOND);
        }
    }
}

/* ---- and the connection is gone ---- */

TEST_IN_TASK(a_reset_peer_reads_a_reset_of_every_sort)
{
    enum { UNACKED_AT_THE_DEADLINE, ABORTED, SORTS };

    for (unsigned i = 0; i < SORTS * WIRE_STATES; i++) {
        struct wire wire = wire_in_state(AF_INET, i / SORTS);
        struct closer closer = { 0 };
        int end = 0;

        if (i % SORTS == ABORTED) {
            tn_abort(&wire.conn);
        } else {
            (void)wire_stuff(&wire);
            closer_start(&closer, &wire, tn_in(TN_MS));
            assert_ok(tn_join(&closer.task, NULL, rig_patience()));
            assert_int_equal(closer.ending.how, TN_ENDED_DEADLINE);
        }
        WAIT_UNTIL((raw_drain(wire.peer, &end), end != 0));
        assert_int_equal(end, -ECONNRESET);
        peer_close(&wire);
    }
}
