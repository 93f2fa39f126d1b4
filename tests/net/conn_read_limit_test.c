/* SPDX-License-Identifier: MIT */
/*
 * conn_read_limit_test.c -- reads that a deadline or a cancel ends take nothing, and what
 * has come counts before either.
 */
#include "net/reader.h"

TEST_IN_TASK(a_deadline_takes_nothing)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        char buf[8];
        size_t got = 7;
        int64_t start = tn_now();

        assert_kind(tn_read(wire.conn, buf, 8, &got, tn_in(10 * TN_MS)), TN_DEADLINE);
        assert_true(tn_now() - start >= 10 * TN_MS);
        assert_int_equal(got, 7);
        wire_send(&wire, 8);
        wire_take(&wire, 8);
        wire_drop(&wire);
    }
}

/*
 * Bytes come, and the thread has other things to do until the deadline has passed, too: the
 * next turn of the loop finds both.
 */
TEST_IN_TASK(what_came_by_the_turn_of_the_deadline_is_read)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        struct reader reader;
        int64_t length = 20 * TN_MS;
        char buf[8];

        reader_start(&reader, wire.conn, buf, sizeof(buf), tn_in(length));
        while (reader.over) { /* before anything came: a slow machine */
            reader_join(&reader);
            length *= 2;
            reader_start(&reader, wire.conn, buf, sizeof(buf), tn_in(length));
        }
        wire_send(&wire, 8);
        while (tn_left(reader.deadline) > 0)
            continue;
        reader_join(&reader);
        assert_ok(reader.err);
        assert_int_equal(reader.got, 8);
        assert_pattern(buf, wire.taken, 8);
        wire_drop(&wire);
    }
}

TEST_IN_TASK(a_cancel_takes_nothing)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        struct reader reader;
        char buf[8];

        reader_start(&reader, wire.conn, buf, sizeof(buf), rig_patience());
        tn_cancel(reader.task);
        reader_join(&reader);
        assert_kind(reader.err, TN_CANCELED);
        assert_int_equal(reader.got, 0);
        wire_send(&wire, 8);
        wire_take(&wire, 8);
        wire_drop(&wire);
    }
}

/* Bytes that arrive in the turn of a cancel: either it read them or they are still there. */
TEST_IN_TASK(a_cancel_in_the_moment_of_an_arrival_loses_nothing)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);

        for (int i = 0; i < 50; i++) {
            struct reader reader;
            char buf[8];

            reader_start(&reader, wire.conn, buf, sizeof(buf), rig_patience());
            wire_send(&wire, 4);
            if (i % 2 == 0)
                tn_yield();
            tn_cancel(reader.task);
            reader_join(&reader);
            if (tn_failed(reader.err)) {
                assert_kind(reader.err, TN_CANCELED);
                wire_take(&wire, 4);
                continue;
            }
            assert_pattern(buf, wire.taken, reader.got);
            wire.taken += reader.got;
            if (reader.got < 4)
                wire_take(&wire, 4 - reader.got);
        }
        wire_drop(&wire);
    }
}

static tn_err spin(void *arg)
{
    const bool *stop = arg;

    while (!*stop)
        tn_yield();
    return tn_ok();
}

/*
 * With more tasks ready than run in one turn, a canceled reader runs a turn later, and
 * what arrives in between is put where it wanted it: then it has read.
 */
TEST_IN_TASK(bytes_that_arrive_between_a_cancel_and_its_task_count_as_read)
{
    static bool stop;

    for (int i = 0; i < 1500; i++)
        assert_ok(tn_go(NULL, spin, &stop, NULL, NULL));
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);

        for (int i = 0; i < 3; i++) {
            struct reader reader;
            char buf[8];

            reader_start(&reader, wire.conn, buf, sizeof(buf), rig_patience());
            wire_send(&wire, 4);
            tn_cancel(reader.task);
            reader_join(&reader);
            if (!tn_failed(reader.err)) {
                assert_int_equal(reader.got, 4);
                assert_pattern(buf, wire.taken, 4);
                wire.taken += 4;
            } else {
                assert_kind(reader.err, TN_CANCELED);
                wire_take(&wire, 4);
            }
        }
        wire_drop(&wire);
    }
    stop = true;
}

TEST_IN_TASK(a_shielded_read_goes_on_in_a_canceled_task)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        struct reader reader;
        char buf[8];

        reader_start(&reader, wire.conn, buf, sizeof(buf), tn_shielded(RIG_PATIENCE));
        tn_cancel(reader.task);
        rig_turns();
        assert_false(reader.over);
        wire_send(&wire, 4);
        reader_join(&reader);
        assert_ok(reader.err);
        assert_int_equal(reader.got, 4);
        wire_drop(&wire);
    }
}
