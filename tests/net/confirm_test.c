/* SPDX-License-Identifier: MIT */
/*
 * confirm_test.c -- tn_confirm says yes only when the peer's kernel has every byte.
 *
 * The peer is a raw socket of this process, so it can be asked: what it has read, and what
 * waits in its queue (SIOCINQ).  TENON_TEST_ROUNDS=n multiplies the random closes.
 */
#include <pthread.h>

#include "net/close_rig.h"
#include "net/conn.h"

static const struct tn_conn_options with_stamps = { .confirmable = true };

TEST_IN_TASK(nothing_written_is_confirmed_at_once)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        uint64_t unacked = 7;

        assert_ok(tn_confirm(wire.conn, &unacked, TN_NOW));
        assert_int_equal(unacked, 0);
        assert_ok(tn_confirm(wire.conn, NULL, TN_NOW));
        wire_drop(&wire);
    }
}

TEST_IN_TASK(what_is_not_acknowledged_is_not_confirmed)
{
    for (int stamps = 0; stamps < 2; stamps++) {
        struct wire wire = wire_open_with(AF_INET, stamps ? &with_stamps : NULL);
        uint64_t unacked = 7;

        raw_deaf(wire.peer);
        wire_write(&wire, 321);
        assert_kind(tn_confirm(wire.conn, &unacked, TN_NOW), TN_DEADLINE);
        assert_int_equal(unacked, 321);
        assert_kind(tn_confirm(wire.conn, &unacked, tn_in(5 * TN_MS)), TN_DEADLINE);
        assert_int_equal(unacked, 321);
        raw_hearing(wire.peer);
        assert_ok(tn_confirm(wire.conn, &unacked, rig_patience()));
        assert_int_equal(unacked, 0);
        assert_int_equal(raw_drain(wire.peer, NULL), 321);
        wire_drop(&wire);
    }
}

TEST_IN_TASK(a_unix_peer_has_at_once_what_is_written)
{
    struct wire wire = wire_open(AF_UNIX);
    uint64_t unacked = 7;

    wire_write(&wire, 1000);
    assert_ok(tn_confirm(wire.conn, &unacked, TN_NOW));
    assert_int_equal(unacked, 0);
    assert_int_equal(raw_drain(wire.peer, NULL), 1000);
    wire_drop(&wire);
}

struct confirmer {
    struct tn_conn *conn;
    uint64_t unacked;
    tn_err err;
};

static tn_err confirm_in_task(void *arg)
{
    struct confirmer *self = arg;

    self->err = tn_confirm(self->conn, &self->unacked, rig_patience());
    return tn_ok();
}

TEST_IN_TASK(a_cancel_or_a_reset_ends_the_wait)
{
    for (int i = 0; i < 4; i++) {
        struct wire wire = wire_open_with(AF_INET, i < 2 ? &with_stamps : NULL);
        struct confirmer self = { .conn = wire.conn };
        struct tn_task *task = NULL;

        raw_deaf(wire.peer);
        wire_write(&wire, 99);
        assert_ok(tn_go(NULL, confirm_in_task, &self, NULL, &task));
        rig_turns();
        if (i % 2 == 0) {
            tn_cancel(task);
        } else {
            raw_reset(wire.peer);
            wire.peer = -1;
        }
        assert_ok(tn_join(&task, NULL, rig_patience()));
        assert_kind(self.err, i % 2 == 0 ? TN_CANCELED : TN_RESET);
        assert_int_equal(self.unacked, 99);
        wire_drop(&wire);
    }
}

/* One task reads while the other confirms; neither takes the other's wake-ups. */
TEST_IN_TASK(reading_goes_on_beside_a_confirm)
{
    for (int i = 0; i < 2; i++) {
        struct wire wire = wire_open_with(AF_INET, i == 0 ? &with_stamps : NULL);
        struct confirmer self = { .conn = wire.conn };
        struct tn_task *task = NULL;

        raw_deaf(wire.peer);
        wire_write(&wire, 50);
        assert_ok(tn_go(NULL, confirm_in_task, &self, NULL, &task));
        rig_turns();
        for (int k = 0; k < 8; k++) { /* fewer than its first window */
            wire_send(&wire, 100);
            wire_take(&wire, 100);
        }
        raw_hearing(wire.peer);
        assert_ok(tn_join(&task, NULL, rig_patience()));
        assert_ok(self.err);
        wire_drop(&wire);
    }
}

/* ---- stamps ---- */

static tn_err take_much(void *arg)
{
    for (int i = 0; i < 100; i++)
        wire_take(arg, 1000);
    return tn_ok();
}

/*
 * Stamps that nobody takes lie in the receive buffer.  They leave no room for data then:
 * the window closes, and opens by the peer's probes only, 200 ms and more apart.
 */
static bool receives_without_probes(int writes, bool reader_waits)
{
    struct tn_conn_options options = { .confirmable = true,
                                       .receive_buffer = reader_waits ? 2304 : 0 };
    struct wire wire = wire_open_with(AF_INET, &options);
    struct tn_task *task = NULL;
    int64_t start;

    if (reader_waits)
        assert_ok(tn_go(NULL, take_much, &wire, NULL, &task));
    for (int i = 0; i < writes; i++) {
        assert_ok(tn_write(wire.conn, "x", 1, NULL, rig_patience()));
        assert_int_equal(raw_drain(wire.peer, NULL), 1);
        if (reader_waits)
            rig_turns();
    }
    start = tn_now();
    if (!reader_waits)
        assert_ok(tn_go(NULL, take_much, &wire, NULL, &task));
    while (wire.sent < 100000) {
        char bytes[1000];

        pattern_fill(bytes, wire.sent, sizeof(bytes));
        if (send(wire.peer, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
            wire.sent += sizeof(bytes);
        tn_yield();
    }
    assert_ok(tn_join(&task, NULL, rig_patience()));
    wire_drop(&wire);
    return tn_now() - start < 180 * TN_MS;
}

TEST_IN_TASK(stamps_of_a_busy_writer_leave_room_for_data)
{
    int tries = 0; /* a busy machine may take its time, too */

    while (!receives_without_probes(3000, false))
        assert_true(++tries < 10);
}

TEST_IN_TASK(a_waiting_reader_takes_stamps_away)
{
    int tries = 0;

    while (
        !receives_without_probes(12, true)) /* the writer alone would not, for so few */
        assert_true(++tries < 10);
}

/* After some talk a peer delays its acknowledgements: 40 ms, if it has nothing to say. */
static void talk(struct wire *wire)
{
    for (int i = 0; i < 20; i++) {
        wire_write(wire, 10);
        WAIT_UNTIL(raw_drain(wire->peer, NULL) == 10);
        wire_send(wire, 10);
        wire_take(wire, 10);
    }
}

static uint64_t wakes_of_a_confirm(const struct tn_conn_options *options, int64_t *took)
{
    struct wire wire = wire_open_with(AF_INET, options);
    uint64_t before, wakes, unacked = 7;

    talk(&wire);
    wire_write(&wire, 10);
    before = rig_wakes();
    *took = tn_now();
    assert_ok(tn_confirm(wire.conn, &unacked, rig_patience()));
    *took = tn_now() - *took;
    wakes = rig_wakes() - before;
    assert_int_equal(unacked, 0);
    wire_drop(&wire);
    return wakes;
}

/* It prints what it saw: run it with -d. */
TEST_IN_TASK(a_stamp_wakes_a_confirm_in_place_of_the_timer)
{
    int64_t took, took_by_timer;
    uint64_t wakes = wakes_of_a_confirm(&with_stamps, &took);
    uint64_t wakes_by_timer = wakes_of_a_confirm(NULL, &took_by_timer);

    printf("stamps: %llu wake-ups, %lld us; timer: %llu wake-ups, %lld us\n",
           (unsigned long long)wakes, (long long)(took / TN_US),
           (unsigned long long)wakes_by_timer, (long long)(took_by_timer / TN_US));
    if (getenv("TENON_RING_FAULTS") == NULL) /* those wake for nothing */
        assert_in_range(wakes, 0, 2);
    assert_in_range(wakes_by_timer, 0, 16);
}

TEST_IN_TASK(many_confirms_with_stamps_leave_none_behind)
{
    struct wire wire = wire_open_with(AF_INET, &with_stamps);

    for (int i = 0; i < 20; i++) {
        uint64_t unacked = 7;

        wire_write(&wire, 1 + (size_t)i);
        assert_ok(tn_confirm(wire.conn, &unacked, rig_patience()));
        assert_int_equal(unacked, 0);
        assert_int_equal(raw_drain(wire.peer, NULL), 1 + i);
    }
    wire_drop(&wire);
}

/* ---- never a lie ---- */

struct life {
    int listener[2]; /* with a small receive buffer, and with the usual one */
    tn_addr addr[2];
    uint64_t seed;
    struct tn_conn *conn;
    int peer;
    bool deaf;
    uint64_t written;
    uint64_t read;     /* by the peer */
    uint64_t had_last; /* of a peer that is gone */
    bool over;
    unsigned *confirmed, *refused, *endings;
};

/* What the peer's kernel has, or had when it went. */
static uint64_t peer_has(const struct life *life)
{
    int queued = 0;

    if (life->peer < 0)
        return life->had_last;
    assert_int_equal(ioctl(life->peer, SIOCINQ, &queued), 0);
    return life->read + (uint64_t)queued;
}

/*
 * What it has is asked for when nothing more can reach it, and be acknowledged: as it is deaf,
 * or behind an end of both directions, where its host answers with a reset (RFC 1122, 4.2.2.13).
 */
static void peer_dies(struct life *life, bool by_reset)
{
    if (!life->deaf)
        shutdown(life->peer, SHUT_RDWR); /* unless it has been reset */
    life->had_last = peer_has(life);
    if (by_reset || life->deaf) /* else its host would wait, deaf, on that port */
        raw_reset(life->peer);
    else
        close(life->peer);
    life->peer = -1;
}

/* The peer does this and that until the connection is over, or it is gone itself. */
static tn_err live_as_peer(void *arg)
{
    struct life *life = arg;
    static char bytes[20000];

    while (!life->over && life->peer >= 0) {
        ssize_t got;

        switch (rig_up_to(&life->seed, 24)) {
        case 1:
            peer_dies(life, true);
            break;
        case 2:
            peer_dies(life, false);
            break;
        case 3:
            raw_set(life->peer, SOL_SOCKET, SO_RCVBUF, 2304); /* its window shrinks */
            break;
        case 4:
            raw_deaf(life->peer);
            life->deaf = true;
            break;
        case 5:
        case 6:
            if (life->deaf)
                raw_hearing(life->peer);
            life->deaf = false;
            break;
        case 7:
            (void)!send(life->peer, bytes, 100, MSG_NOSIGNAL);
            break;
        case 8:
            shutdown(life->peer, SHUT_WR);
            break;
        default:
            got = recv(life->peer, bytes, rig_up_to(&life->seed, sizeof(bytes)), 0);
            life->read += got > 0 ? (uint64_t)got : 0;
            break;
        }
        if (rig_up_to(&life->seed, 3) == 1)
            tn_yield();
        else
            assert_ok(tn_sleep(tn_in((int64_t)rig_up_to(&life->seed, 300) * TN_US)));
    }
    return tn_ok();
}

static void confirm_once(struct life *life)
{
    uint64_t unacked = UINT64_MAX, has;
    tn_err err = tn_confirm(life->conn, &unacked,
                            tn_in((int64_t)rig_up_to(&life->seed, 1000) * TN_US));

    has = peer_has(life);
    assert_true(unacked <= life->written);
    if (life->written - unacked > has)
        fail_test("%llu bytes confirmed, the peer has %llu of %llu",
                  (unsigned long long)(life->written - unacked), (unsigned long long)has,
                  (unsigned long long)life->written);
    assert_true(tn_failed(err) == (unacked > 0));
    ++*(tn_failed(err) ? life->refused : life->confirmed);
}

static void close_once(struct life *life)
{
    bool discard = rig_up_to(&life->seed, 2) == 1;
    tn_deadline deadline = tn_in((int64_t)rig_up_to(&life->seed, 3000) * TN_US);
    tn_ending ending;
    uint64_t has;

    tn_ignore((discard ? tn_close_discard : tn_close)(&life->conn, &ending, deadline));
    has = peer_has(life);
    assert_true(ending.unacked <= life->written);
    if (life->written - ending.unacked > has)
        fail_test("ended \"%s\": %llu bytes acknowledged, the peer has %llu of %llu",
                  tn_how_text(ending.how),
                  (unsigned long long)(life->written - ending.unacked),
                  (unsigned long long)has, (unsigned long long)life->written);
    if (ending.how == TN_CLEAN || ending.how == TN_ACKED || ending.how == TN_UNREAD)
        assert_int_equal(ending.unacked, 0);
    life->endings[ending.how]++;
}

static void live_once(struct life *life)
{
    static const char bytes[100000];
    unsigned which = (unsigned)rig_up_to(&life->seed, 2) - 1;
    struct tn_conn_options options = { .confirmable = rig_up_to(&life->seed, 2) == 1,
                                       .user_timeout = 300 * TN_MS };
    struct tn_task *peer = NULL;

    life->written = life->read = 0;
    life->over = life->deaf = false;
    assert_ok(tn_dial_addr(&life->conn, &life->addr[which], &options, rig_patience()));
    life->peer = raw_accept(life->listener[which]);
    assert_ok(tn_go(NULL, live_as_peer, life, NULL, &peer));
    for (size_t rounds = rig_up_to(&life->seed, 4); rounds > 0; rounds--) {
        size_t size = rig_up_to(&life->seed, rounds == 1 ? sizeof(bytes) : 2000), done;

        tn_ignore(tn_write(life->conn, bytes, size, &done,
                           tn_in((int64_t)rig_up_to(&life->seed, 500) * TN_US)));
        life->written += done;
        confirm_once(life);
    }
    close_once(life);
    life->over = true;
    assert_ok(tn_join(&peer, NULL, rig_patience()));
    if (life->peer >= 0)
        peer_dies(life, false);
}

struct lives {
    struct life life;
    unsigned number;
};

static tn_err live_often(void *arg)
{
    struct lives *self = arg;

    self->life.listener[0] = raw_listen_small(AF_INET, 4, 2304, &self->life.addr[0]);
    self->life.listener[1] = raw_listen_small(AF_INET, 4, 0, &self->life.addr[1]);
    while (self->number-- > 0)
        live_once(&self->life);
    close(self->life.listener[0]);
    close(self->life.listener[1]);
    return tn_ok();
}

/* A hundred connections at a time, each with a peer that stalls, shrinks, resets and dies. */
TEST_IN_TASK(ten_thousand_confirms_and_closes_tell_no_lie, .limit_s = 600)
{
    enum { AT_ONCE = 100 };
    static struct lives lives[AT_ONCE];
    struct tn_group *group = NULL;
    unsigned confirmed = 0, refused = 0, endings[TN_UNREAD + 1] = { 0 }, closes = 0;

    assert_ok(tn_group_open(&group, TN_GROUP_ALL_OR_NONE));
    for (unsigned i = 0; i < AT_ONCE; i++) {
        lives[i].life = (struct life){ .seed = 7919 * (i + 1),
                                       .peer = -1,
                                       .confirmed = &confirmed,
                                       .refused = &refused,
                                       .endings = endings };
        lives[i].number = rig_rounds(10000 / AT_ONCE);
        assert_ok(tn_go(group, live_often, &lives[i], NULL, NULL));
    }
    assert_ok(tn_group_wait(group, tn_in(600 * TN_SECOND)));
    tn_group_close(&group);
    for (int how = 0; how <= TN_UNREAD; how++) {
        printf("%s: %u\n", tn_how_text((enum tn_how)how), endings[how]);
        closes += endings[how];
        if (how != TN_ENDED_TIMEDOUT) /* that takes longer than these have */
            assert_true(endings[how] > 10);
    }
    printf("%u confirmed, %u not\n", confirmed, refused);
    assert_true(confirmed >= 10000 && refused > 3000);
    assert_true(closes >= 10000);
}
