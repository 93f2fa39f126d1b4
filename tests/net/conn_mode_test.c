/* SPDX-License-Identifier: MIT */
/*
 * conn_mode_test.c -- how bytes come in may change at any time: ahead, directly, and
 * back.  None is lost, doubled or displaced by that, whatever reads in whatever rhythm.
 *
 * TENON_TEST_ROUNDS=n makes the random tests n times as long; TENON_TEST_SEED=n starts
 * them from there.
 */
#include "net/conn.h"
#include "net/net_rig.h"

static bool can_feed(void)
{
    return (task_driver()->abilities & OS_CAN_FEED) != 0;
}

/* ---- more than is read ---- */

TEST_IN_TASK(what_nobody_reads_stays_with_the_peer)
{
    struct wire wire = wire_in_state(AF_INET, WIRE_WAITED);
    static char bytes[50000];
    struct tn_conn_facts facts;
    int idle = 0;

    while (idle < 20) { /* the peer is stuck, and the connection takes nothing more */
        ssize_t sent;

        pattern_fill(bytes, wire.sent, sizeof(bytes));
        sent = send(wire.peer, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL);
        idle = sent > 0 ? 0 : idle + 1;
        wire.sent += sent > 0 ? (uint64_t)sent : 0;
        rig_turns();
    }
    assert_true(wire.sent > OS_FEED_QUEUE_MAX * 2);
    tn_conn_facts(wire.conn, &facts);
    if (can_feed()) /* one receive may be the one too many */
        assert_in_range(wire.conn->feed.queued, OS_FEED_QUEUE_MAX,
                        OS_FEED_QUEUE_MAX + (1U << 20));
    assert_true(facts.unread >= wire.conn->feed.queued);
    while (wire.taken < wire.sent)
        wire_take(&wire, wire.sent - wire.taken < 30000 ? (size_t)(wire.sent - wire.taken)
                                                        : 30000);
    wire_send(&wire, 10);
    wire_take(&wire, 10);
    wire_drop(&wire);
}

/* ---- the change itself ---- */

TEST_IN_TASK(large_reads_change_the_way_and_small_ones_change_it_back)
{
    struct wire wire = wire_open(AF_INET);
    unsigned changes = 0;
    uint8_t mode = wire.conn->mode;

    for (int i = 0; i < 200; i++) {
        size_t size = i % 40 < 15 ? 8192 : 100;

        wire_send(&wire, size);
        if (i % 3 == 0)
            rig_turns();
        wire_take(&wire, size);
        changes += wire.conn->mode != mode;
        mode = wire.conn->mode;
    }
    if (can_feed())
        assert_true(changes >= 10);
    else
        assert_int_equal(changes, 0);
    wire_drop(&wire);
}

static void take_small(struct wire *wire, int times)
{
    for (int i = 0; i < times; i++) {
        wire_send(wire, 1);
        wire_take(wire, 1);
    }
}

/* Where a signal stops it there, a ring's receive would sleep beside bytes (read.c). */
TEST_IN_TASK(no_connection_begins_to_receive_ahead_at_an_urgent_mark)
{
    struct wire wire = wire_in_state(AF_INET, WIRE_LARGE);

    take_small(&wire, 15); /* the next one would be enough */
    wire_send(&wire, 1);
    assert_int_equal(send(wire.peer, "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
    wire_send(&wire, 1);
    wire_take(&wire, 1);
    assert_int_equal(wire.conn->mode, CONN_DIRECT);
    wire_take(&wire, 1);
    take_small(&wire, 16);
    assert_int_equal(wire.conn->mode, can_feed() ? CONN_FEED : CONN_DIRECT);
    wire_drop(&wire);
}

/* ---- at random ---- */

struct traffic {
    int fd;
    uint64_t seed, sent, total;
};

/* The peer: parts of any size, with and without pauses, small and large for a while. */
static tn_err send_at_random(void *arg)
{
    static char bytes[70000];
    struct traffic *self = arg;

    while (self->sent < self->total) {
        size_t most = (self->sent >> 17) % 2 == 0 ? 200 : sizeof(bytes);
        size_t size = rig_up_to(&self->seed, most);
        ssize_t sent;

        if (size > self->total - self->sent)
            size = (size_t)(self->total - self->sent);
        pattern_fill(bytes, self->sent, size);
        sent = send(self->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        self->sent += sent > 0 ? (uint64_t)sent : 0;
        if (sent < 0 || rig_up_to(&self->seed, 4) == 1)
            assert_ok(tn_sleep(tn_in((int64_t)rig_up_to(&self->seed, 30) * TN_US)));
        else if (rig_up_to(&self->seed, 3) == 1)
            tn_yield();
    }
    assert_int_equal(shutdown(self->fd, SHUT_WR), 0);
    return tn_ok();
}

struct reading {
    struct tn_conn *conn;
    uint64_t seed, taken;
    tn_err err;
    unsigned deadlines, cancels, changes;
    uint8_t mode;
};

static tn_deadline some_deadline(uint64_t *seed)
{
    switch (rig_up_to(seed, 4)) {
    case 1:
        return TN_NOW;
    case 2:
        return tn_in((int64_t)rig_up_to(seed, 50) * TN_US);
    default:
        return rig_patience();
    }
}

/* One call of any kind; it takes what comes next, or says that it did not. */
static tn_err read_somehow(struct reading *self)
{
    static char buf[100000];
    size_t most = rig_up_to(&self->seed, 3) == 1 ? 30 : sizeof(buf);
    size_t size = rig_up_to(&self->seed, most), got = 0;
    tn_deadline deadline = some_deadline(&self->seed);
    const void *data;
    tn_err err;

    switch (rig_up_to(&self->seed, 6)) {
    case 1:
        err = tn_peek(self->conn, buf, size, &got, deadline);
        assert_pattern(buf, self->taken, got);
        return err;
    case 2:
        err = tn_read_lease(self->conn, &data, &got, deadline);
        if (tn_failed(err))
            return err;
        if (rig_up_to(&self->seed, 3) == 1)
            tn_yield();
        assert_pattern(data, self->taken, got);
        tn_return(self->conn);
        break;
    case 3:
        err = tn_read_until(self->conn, buf, size, 'x', &got, deadline);
        assert_pattern(buf, self->taken, got);
        for (size_t i = 0; i + 1 < got; i++)
            assert_true(buf[i] != 'x');
        if (!tn_failed(err))
            assert_int_equal(buf[got - 1], 'x');
        else if (err.kind == TN_LIMIT)
            err = tn_ok();
        break;
    case 4:
        err = tn_read_all(self->conn, buf, size, &got, deadline);
        assert_pattern(buf, self->taken, got);
        break;
    default:
        err = tn_read(self->conn, buf, size, &got, deadline);
        assert_pattern(buf, self->taken, got);
        break;
    }
    self->taken += got;
    return err;
}

static tn_err read_at_random(void *arg)
{
    struct reading *self = arg;

    for (;;) {
        self->err = read_somehow(self);
        self->changes += self->conn->mode != self->mode;
        self->mode = self->conn->mode;
        self->deadlines += self->err.kind == TN_DEADLINE;
        if (self->err.kind == TN_DEADLINE)
            tn_yield();
        else if (tn_failed(self->err))
            return tn_ok();
    }
}

/* Readers that are canceled now and then; the next one goes on where that stopped. */
static void read_all_of(struct traffic *traffic, struct reading *reading)
{
    struct tn_task *task = NULL, *sending = NULL;

    assert_ok(tn_go(NULL, send_at_random, traffic, NULL, &sending));
    do {
        assert_ok(tn_go(NULL, read_at_random, reading, NULL, &task));
        if (tn_failed(tn_join(&task, NULL,
                              tn_in((int64_t)rig_up_to(&traffic->seed, 3) * TN_MS)))) {
            tn_cancel(task);
            assert_ok(tn_join(&task, NULL, rig_patience()));
        }
        reading->cancels += reading->err.kind == TN_CANCELED;
    } while (reading->err.kind == TN_CANCELED);
    assert_kind(reading->err, TN_EOF);
    assert_int_equal(reading->taken, traffic->total);
    assert_ok(tn_join(&sending, NULL, rig_patience()));
}

static uint64_t first_seed(void)
{
    const char *text = getenv("TENON_TEST_SEED");

    return text != NULL ? strtoull(text, NULL, 10) : 1;
}

struct met {
    unsigned changes, deadlines, cancels;
};

static void play_seed(uint64_t seed, sa_family_t family, struct met *met)
{
    struct wire wire = wire_open(family);
    struct traffic traffic = { .fd = wire.peer, .seed = seed * 7919, .total = 2 << 20 };
    struct reading reading = { .conn = wire.conn, .seed = seed * 104729 };

    printf("seed %llu\n", (unsigned long long)seed); /* shown if it fails */
    reading.mode = wire.conn->mode;
    read_all_of(&traffic, &reading);
    met->changes += reading.changes;
    met->deadlines += reading.deadlines;
    met->cancels += reading.cancels;
    wire_drop(&wire);
}

static bool met_enough(const struct met *met)
{
    return met->deadlines > 100 && met->cancels > 3 && (met->changes > 3 || !can_feed());
}

/* What each seed meets is up to the machine, too: they go on until it was enough. */
TEST_IN_TASK(reads_of_all_kinds_at_random_see_every_byte_once, .limit_s = 600)
{
    unsigned rounds = rig_rounds(4);
    struct met met = { 0 };

    for (unsigned i = 0; i < rounds || (i < 10 * rounds && !met_enough(&met)); i++) {
        play_seed(first_seed() + i, AF_INET, &met);
        play_seed(first_seed() + i, AF_UNIX, &met);
    }
    assert_true(met_enough(&met));
}

/* ---- fairness ---- */

static tn_err count_turns(void *arg)
{
    uint64_t *turns = arg;

    while (*turns != UINT64_MAX) {
        ++*turns;
        tn_yield();
    }
    return tn_ok();
}

TEST_IN_TASK(busy_connections_let_others_run)
{
    enum { READ, PEEK, LEASE, WRITE, LINE, KINDS };

    FOR_EACH_WIRE(family, state)
    {
        for (int kind = READ; kind < KINDS; kind++) {
            struct wire wire = wire_in_state((sa_family_t)family, state);
            static uint64_t turns;
            struct tn_task *task = NULL;
            const void *data;
            char buf[8];
            size_t got;

            wire_send(&wire, 640); /* no call below has to wait for anything */
            rig_turns();
            turns = 0;
            assert_ok(tn_go(NULL, count_turns, &turns, NULL, &task));
            for (int i = 0; i < 320; i++) {
                if (kind == READ)
                    assert_ok(tn_read(wire.conn, buf, 1, &got, TN_NOW));
                if (kind == PEEK)
                    assert_ok(tn_peek(wire.conn, buf, 1, &got, TN_NOW));
                if (kind == LEASE && i % 64 == 0) {
                    assert_ok(tn_read_lease(wire.conn, &data, &got, TN_NOW));
                    tn_return(wire.conn);
                    wire_send(&wire, 1);
                    rig_turns();
                }
                if (kind == WRITE)
                    assert_ok(tn_write(wire.conn, "x", 1, NULL, TN_NOW));
                if (kind == WRITE && i % 64 == 0)
                    raw_drain(wire.peer, NULL);
                if (kind == LINE) { /* with or without its delimiter */
                    tn_ignore(tn_read_until(wire.conn, buf, 1, '\xff', &got, TN_NOW));
                    assert_int_equal(got, 1);
                }
            }
            assert_true(turns >= 4);
            turns = UINT64_MAX;
            assert_ok(tn_join(&task, NULL, rig_patience()));
            wire_drop(&wire);
        }
    }
}

static tn_err flood(void *arg)
{
    static char bytes[65536];
    struct tn_conn *conn = arg;

    while (!tn_failed(tn_write(conn, bytes, sizeof(bytes), NULL, rig_patience())))
        continue;
    return tn_ok();
}

static tn_err swallow(void *arg)
{
    static char bytes[65536];
    struct tn_conn *conn = arg;
    size_t got;

    while (!tn_failed(tn_read(conn, bytes, sizeof(bytes), &got, rig_patience())))
        continue;
    return tn_ok();
}

TEST_IN_TASK(a_flooded_connection_does_not_starve_a_quiet_one)
{
    struct wire wire = wire_open(AF_INET);
    struct tn_conn *near[4], *far[4];
    struct tn_task *tasks[8];
    int64_t start = tn_now();

    for (int i = 0; i < 4; i++) {
        near[i] = far[i] = NULL;
        assert_ok(tn_pair(&near[i], &far[i]));
        assert_ok(tn_go(NULL, flood, near[i], NULL, &tasks[2 * i]));
        assert_ok(tn_go(NULL, swallow, far[i], NULL, &tasks[2 * i + 1]));
    }
    for (int i = 0; i < 100; i++) {
        wire_send(&wire, 1);
        wire_take(&wire, 1);
    }
    assert_true(tn_now() - start < RIG_PATIENCE * test_scale());
    for (int i = 0; i < 8; i++) {
        tn_cancel(tasks[i]);
        assert_ok(tn_join(&tasks[i], NULL, rig_patience()));
    }
    for (int i = 0; i < 4; i++) {
        tn_abort(&near[i]);
        tn_abort(&far[i]);
    }
    wire_drop(&wire);
}

/*
 * On a ring whose answers come late: large messages make the connection leave its feed, and
 * while the feed's last bytes are held back, small ones follow that the kernel already has.
 */
static tn_err leave_the_feed_again_and_again(void *arg)
{
    struct wire wire = wire_in_state(AF_INET, WIRE_WAITED);

    (void)arg;
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < 3 + round % 5; i++) { /* the fourth or so makes it leave */
            wire_send(&wire, 5000);
            wire_take(&wire, 5000);
        }
        for (int i = 0; i < 40; i++) {
            wire_send(&wire, 10);
            if (i % 3 == 0)
                rig_turns();
            if (i % 4 != 0)
                wire_take(&wire, 10);
        }
        wire_take(&wire, 100);
    }
    wire_drop(&wire);
    return tn_ok();
}

TEST_ON_DRIVERS(what_the_feed_still_brings_is_read_before_what_came_after_it,
                .limit_s = 60)
{
    char text[16];

    for (int seed = 1; seed <= 20; seed++) {
        snprintf(text, sizeof(text), "%d", seed);
        setenv("TENON_RING_FAULTS", text, 1);
        run_ok(leave_the_feed_again_and_again, NULL);
    }
}
