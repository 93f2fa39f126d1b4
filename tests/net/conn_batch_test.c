/* SPDX-License-Identifier: MIT */
/*
 * conn_batch_test.c -- small writes of many tasks in one turn, which a ring sends together:
 * to the byte what each would be alone.
 */
#include "net/net_rig.h"

#define WRITERS 80

struct writer {
    struct wire wire;
    size_t size, done;
    tn_err err;
    struct tn_task *task;
};

static struct writer writers[WRITERS];

static tn_err write_small(void *arg)
{
    struct writer *self = arg;
    char bytes[4096];

    pattern_fill(bytes, 0, self->size);
    self->err = tn_write(self->wire.conn, bytes, self->size, &self->done, rig_patience());
    return tn_ok();
}

/* WRITERS tasks, ready at once, of FAMILY; each has SIZE bytes to write. */
static void start(sa_family_t family, size_t size)
{
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){ .wire = wire_in_state(family, WIRE_FRESH),
                                      .size = size,
                                      .done = 12345 };
        assert_ok(tn_go(NULL, write_small, &writers[i], NULL, &writers[i].task));
    }
}

static void join(void)
{
    for (int i = 0; i < WRITERS; i++)
        assert_ok(tn_join(&writers[i].task, NULL, rig_patience()));
}

static void drop(void)
{
    for (int i = 0; i < WRITERS; i++)
        wire_drop(&writers[i].wire);
}

static void all_have_written(void)
{
    for (int i = 0; i < WRITERS; i++) {
        char got[4096 + 1];

        assert_ok(writers[i].err);
        assert_int_equal(writers[i].done, writers[i].size);
        assert_int_equal(recv(writers[i].wire.peer, got, sizeof(got), MSG_DONTWAIT),
                         writers[i].size);
        assert_pattern(got, 0, writers[i].size);
    }
}

TEST_IN_TASK(what_many_write_in_one_turn_arrives_at_each_ones_peer)
{
    static const size_t sizes[] = { 1, 64, 4096 };

    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        start(AF_INET, sizes[i]);
        join();
        all_have_written();
        drop();
        start(AF_UNIX, sizes[i]);
        join();
        all_have_written();
        drop();
    }
}

/* They are over their sends when it comes: what has happened is told. */
TEST_IN_TASK(a_cancel_in_between_takes_no_write_back)
{
    start(AF_INET, 100);
    tn_yield();
    for (int i = 0; i < WRITERS; i++)
        tn_cancel(writers[i].task);
    join();
    all_have_written();
    drop();
}

/* Write until there is no room: how much that was. */
static size_t fill(struct tn_conn *conn)
{
    static char nothing[1 << 18];
    size_t total = 0, done = 0;
    tn_err err;

    do {
        err = tn_write(conn, nothing, sizeof(nothing), &done, TN_NOW);
        total += done;
    } while (!tn_failed(err));
    assert_kind(err, TN_DEADLINE);
    return total;
}

TEST_IN_TASK(who_finds_no_room_among_others_waits_for_it)
{
    size_t filled[WRITERS], drained[WRITERS] = { 0 };

    for (int i = 0; i < WRITERS; i++) {
        writers[i] =
            (struct writer){ .wire = wire_in_state(AF_UNIX, WIRE_FRESH), .size = 100 };
        filled[i] = fill(writers[i].wire.conn);
    }
    for (int i = 0; i < WRITERS; i++)
        assert_ok(tn_go(NULL, write_small, &writers[i], NULL, &writers[i].task));
    assert_ok(tn_sleep(tn_in(TN_MS)));
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(writers[i].done, 0); /* not over yet */
    for (int i = 0; i < WRITERS; i++) {
        WAIT_UNTIL(
            (drained[i] += raw_drain(writers[i].wire.peer, NULL), writers[i].done != 0));
        drained[i] += raw_drain(writers[i].wire.peer, NULL);
        assert_int_equal(drained[i], filled[i] + 100);
    }
    join();
    for (int i = 0; i < WRITERS; i++)
        assert_ok(writers[i].err);
    drop();
}

/* The error is told to whoever asks first, and known to the other from then on. */
TEST_IN_TASK(a_reset_that_a_write_among_others_finds_is_none_the_less_a_readers)
{
    for (int i = 0; i < WRITERS; i++) {
        writers[i] =
            (struct writer){ .wire = wire_in_state(AF_INET, WIRE_FRESH), .size = 100 };
        raw_reset(writers[i].wire.peer);
        writers[i].wire.peer = -1;
        assert_ok(tn_go(NULL, write_small, &writers[i], NULL, &writers[i].task));
    }
    join();
    for (int i = 0; i < WRITERS; i++) {
        char byte;
        size_t got;

        assert_kind(writers[i].err, TN_RESET);
        assert_int_equal(writers[i].done, 0);
        assert_kind(tn_read(writers[i].wire.conn, &byte, 1, &got, rig_patience()),
                    TN_RESET);
    }
    drop();
}

/* Somebody who computes, and lets others run in between, looks when PEER has something. */
struct busy {
    int peer;
    unsigned looks;
    bool seen;
};

static tn_err compute(void *arg)
{
    struct busy *busy = arg;
    char byte;

    for (; !busy->seen && busy->looks < 5000; busy->looks++) {
        busy->seen = recv(busy->peer, &byte, 1, MSG_DONTWAIT) == 1;
        tn_yield();
    }
    return tn_ok();
}

TEST_IN_TASK(who_always_has_something_to_do_does_not_hold_up_anothers_write)
{
    struct busy busy = { 0 };
    struct tn_task *task = NULL;

    writers[0] = (struct writer){ .wire = wire_in_state(AF_INET, WIRE_FRESH), .size = 1 };
    busy.peer = writers[0].wire.peer;
    assert_ok(tn_go(NULL, write_small, &writers[0], NULL, &writers[0].task));
    assert_ok(tn_go(NULL, compute, &busy, NULL, &task));
    assert_ok(tn_join(&task, NULL, rig_patience()));
    assert_ok(tn_join(&writers[0].task, NULL, rig_patience()));
    assert_ok(writers[0].err);
    assert_true(busy.seen);
    assert_in_range(busy.looks, 1, 10);
    wire_drop(&writers[0].wire);
}
