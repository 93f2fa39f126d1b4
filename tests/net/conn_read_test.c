/* SPDX-License-Identifier: MIT */
/*
 * conn_read_test.c -- taking bytes out of a connection: all, some, up to a delimiter,
 * looked at, lent; and how that ends.
 */
#include "net/reader.h"

TEST_IN_TASK(a_read_takes_what_has_come)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        char buf[16];
        size_t got = 0;

        wire_send(&wire, 5);
        rig_turns();
        assert_ok(tn_read(wire.conn, buf, sizeof(buf), &got, rig_patience()));
        assert_int_equal(got, 5);
        assert_pattern(buf, wire.taken, 5);
        wire_send(&wire, 20);
        rig_turns();
        assert_ok(tn_read(wire.conn, buf, sizeof(buf), &got, rig_patience()));
        assert_int_equal(got, 16); /* never more than asked for */
        assert_pattern(buf, wire.taken + 5, 16);
        assert_ok(tn_read(wire.conn, buf, sizeof(buf), &got, rig_patience()));
        assert_int_equal(got, 4);
        wire_drop(&wire);
    }
}

TEST_IN_TASK(a_read_waits_until_something_comes)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        struct reader reader;
        char buf[16];

        reader_start(&reader, wire.conn, buf, sizeof(buf), rig_patience());
        assert_false(reader.over);
        wire_send(&wire, 3);
        reader_join(&reader);
        assert_ok(reader.err);
        assert_int_equal(reader.got, 3);
        assert_pattern(buf, wire.taken, 3);
        wire_drop(&wire);
    }
}

TEST_IN_TASK(what_has_come_can_be_read_at_once_by_a_deadline_of_now)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        char byte;
        size_t got = 7;

        assert_kind(tn_read(wire.conn, &byte, 1, &got, TN_NOW), TN_DEADLINE);
        assert_int_equal(got, 7);
        wire_send(&wire, 1);
        if (state == WIRE_WAITED)
            rig_turns(); /* it is being received for us: that takes a turn */
        assert_ok(tn_read(wire.conn, &byte, 1, &got, TN_NOW));
        assert_int_equal(got, 1);
        assert_pattern(&byte, wire.taken, 1);
        assert_kind(tn_read(wire.conn, &byte, 1, &got, TN_NOW), TN_DEADLINE);
        wire_drop(&wire);
    }
}

/* Polled without ever waiting, as some programs do. */
TEST_IN_TASK(a_read_tried_again_and_again_finds_what_comes)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        size_t got = 0;
        char byte;

        for (int i = 0; i < 3; i++) {
            assert_kind(tn_read(wire.conn, &byte, 1, &got, TN_NOW), TN_DEADLINE);
            wire_send(&wire, 1);
            WAIT_UNTIL(!tn_failed(tn_read(wire.conn, &byte, 1, &got, TN_NOW)));
            assert_pattern(&byte, wire.taken + (unsigned)i, 1);
        }
        wire_drop(&wire);
    }
}

TEST_IN_TASK(the_peers_end_is_told_after_its_last_byte_and_again)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        char buf[8];
        size_t got = 7, done = 7;

        wire_send(&wire, 3);
        assert_int_equal(shutdown(wire.peer, SHUT_WR), 0);
        wire_take(&wire, 3);
        for (int i = 0; i < 3; i++)
            assert_kind(tn_read(wire.conn, buf, sizeof(buf), &got, rig_patience()),
                        TN_EOF);
        assert_int_equal(got, 7);
        assert_kind(tn_peek(wire.conn, buf, sizeof(buf), &got, rig_patience()), TN_EOF);
        assert_kind(tn_read_all(wire.conn, buf, 1, &done, rig_patience()), TN_EOF);
        assert_int_equal(done, 0);
        assert_kind(tn_read(wire.conn, buf, 1, &got, TN_NOW), TN_EOF);
        wire_drop(&wire);
    }
}

TEST_IN_TASK(an_end_wakes_the_reader)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        struct reader reader;
        char byte;

        reader_start(&reader, wire.conn, &byte, 1, rig_patience());
        assert_int_equal(shutdown(wire.peer, SHUT_WR), 0);
        reader_join(&reader);
        assert_kind(reader.err, TN_EOF);
        wire_drop(&wire);
    }
}

TEST_IN_TASK(a_reset_is_told_after_what_came_before_it_and_again)
{
    for (enum wire_state state = WIRE_FRESH; state < WIRE_STATES; state++) {
        struct wire wire = wire_in_state(AF_INET, state);
        size_t got = 7, done;
        char byte;

        wire_send(&wire, 3);
        raw_reset(wire.peer);
        wire.peer = -1;
        wire_take(&wire, 3);
        for (int i = 0; i < 3; i++)
            assert_kind(tn_read(wire.conn, &byte, 1, &got, rig_patience()), TN_RESET);
        assert_int_equal(got, 7);
        assert_kind(tn_read_all(wire.conn, &byte, 1, &done, rig_patience()), TN_RESET);
        assert_kind(tn_read_until(wire.conn, &byte, 1, 'x', &done, rig_patience()),
                    TN_RESET);
        assert_kind(tn_peek(wire.conn, &byte, 1, &got, rig_patience()), TN_RESET);
        wire_drop(&wire);
    }
}

/* A Unix peer that closes with bytes of ours unread: the nearest there is to a reset. */
TEST_IN_TASK(a_unix_peer_that_did_not_read_all_reads_as_reset)
{
    for (enum wire_state state = WIRE_FRESH; state < WIRE_STATES; state++) {
        struct wire wire = wire_in_state(AF_UNIX, state);
        size_t got = 7;
        char byte;

        assert_ok(tn_write(wire.conn, "unread", 6, NULL, rig_patience()));
        wire_send(&wire, 3);
        close(wire.peer);
        wire.peer = -1;
        wire_take(&wire, 3);
        for (int i = 0; i < 2; i++)
            assert_kind(tn_read(wire.conn, &byte, 1, &got, rig_patience()), TN_RESET);
        wire_drop(&wire);
    }
}

TEST_IN_TASK(a_reset_wakes_the_reader)
{
    for (enum wire_state state = WIRE_FRESH; state < WIRE_STATES; state++) {
        struct wire wire = wire_in_state(AF_INET, state);
        struct reader reader;
        char byte;

        reader_start(&reader, wire.conn, &byte, 1, rig_patience());
        raw_reset(wire.peer);
        wire.peer = -1;
        reader_join(&reader);
        assert_kind(reader.err, TN_RESET);
        wire_drop(&wire);
    }
}

/* The kernel tells of a reset once, to whoever asks first; an end it must never seem. */
static void learn_by_write(struct tn_conn *conn)
{
    assert_kind(tn_write(conn, "x", 1, NULL, rig_patience()), TN_RESET);
}

static void learn_by_confirm(struct tn_conn *conn)
{
    uint64_t unacked = 0;

    assert_kind(tn_confirm(conn, &unacked, rig_patience()), TN_RESET);
    assert_int_equal(unacked, 4);
}

static void learn_by_end(struct tn_conn *conn)
{
    assert_kind(tn_end(conn), TN_RESET);
}

static void learn_by_peek(struct tn_conn *conn)
{
    size_t got;
    char byte;

    assert_kind(tn_peek(conn, &byte, 1, &got, rig_patience()), TN_RESET);
}

static void learn_late(struct tn_conn *conn)
{
    (void)conn;
    rig_turns(); /* the driver may learn of it by itself */
}

TEST_IN_TASK(whoever_learns_of_a_reset_first_all_calls_tell_it)
{
    static void (*const firsts[])(struct tn_conn *) = { learn_by_write, learn_by_confirm,
                                                        learn_by_end, learn_by_peek,
                                                        learn_late };

    for (size_t i = 0; i < COUNT_OF(firsts); i++) {
        for (size_t k = 0; k < COUNT_OF(firsts); k++) {
            for (enum wire_state state = WIRE_FRESH; state < WIRE_STATES; state++) {
                struct wire wire = wire_in_state(AF_INET, state);
                tn_ending ending;
                size_t got;
                char byte;

                raw_deaf(wire.peer);
                assert_ok(tn_write(wire.conn, "lost", 4, NULL, rig_patience()));
                raw_reset(wire.peer);
                wire.peer = -1;
                firsts[i](wire.conn);
                firsts[k](wire.conn);
                learn_by_write(wire.conn);
                assert_kind(tn_read(wire.conn, &byte, 1, &got, rig_patience()), TN_RESET);
                learn_by_end(wire.conn);
                assert_kind(tn_close(&wire.conn, &ending, rig_patience()), TN_RESET);
                assert_int_equal(ending.how, TN_ENDED_RESET);
                assert_int_equal(ending.unacked, 4);
            }
        }
    }
}

/* ---- exactly ---- */

TEST_IN_TASK(read_all_gathers_from_many_segments)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);

        for (int i = 0; i < 20; i++)
            wire_send(&wire, 37);
        wire_take(&wire, 1);
        wire_take(&wire, 300);
        wire_take(&wire, 20 * 37 - 301);
        wire_drop(&wire);
    }
}

TEST_IN_TASK(read_all_tells_how_far_it_came)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        char buf[10];
        size_t done = 99;

        assert_kind(tn_read_all(wire.conn, buf, 10, &done, tn_in(TN_MS)), TN_DEADLINE);
        assert_int_equal(done, 0);
        wire_send(&wire, 4);
        assert_kind(tn_read_all(wire.conn, buf, 10, &done, tn_in(5 * TN_MS)),
                    TN_DEADLINE);
        assert_int_equal(done, 4);
        assert_pattern(buf, wire.taken, 4);
        wire.taken += 4;
        wire_send(&wire, 3);
        assert_int_equal(shutdown(wire.peer, SHUT_WR), 0);
        assert_kind(tn_read_all(wire.conn, buf, 10, &done, rig_patience()), TN_EOF);
        assert_int_equal(done, 3);
        assert_pattern(buf, wire.taken, 3);
        assert_ok(tn_read_all(wire.conn, buf, 0, &done, rig_patience()));
        assert_int_equal(done, 0);
        assert_kind(tn_read_all(wire.conn, buf, 1, NULL, rig_patience()), TN_EOF);
        wire_drop(&wire);
    }
}

/* ---- looked at ---- */

TEST_IN_TASK(what_was_looked_at_stays_unread)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        char buf[64];
        size_t got = 0;

        wire_send(&wire, 10);
        for (int i = 0; i < 3; i++) {
            assert_ok(tn_peek(wire.conn, buf, sizeof(buf), &got, rig_patience()));
            assert_int_equal(got, 10);
            assert_pattern(buf, wire.taken, 10);
            assert_ok(tn_peek(wire.conn, buf, 4, &got, rig_patience()));
            assert_int_equal(got, 4);
        }
        wire_send(&wire, 10);
        WAIT_UNTIL(!tn_failed(tn_peek(wire.conn, buf, sizeof(buf), &got, TN_NOW)) &&
                   got == 20);
        wire_take(&wire, 5);
        assert_ok(tn_peek(wire.conn, buf, sizeof(buf), &got, rig_patience()));
        assert_int_equal(got, 15);
        assert_pattern(buf, wire.taken, 15);
        wire_take(&wire, 15);
        assert_kind(tn_peek(wire.conn, buf, sizeof(buf), &got, tn_in(TN_MS)),
                    TN_DEADLINE);
        wire_drop(&wire);
    }
}
