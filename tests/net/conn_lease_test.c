/* SPDX-License-Identifier: MIT */
/*
 * conn_lease_test.c -- bytes lent in the library's memory.
 */
#include "net/net_rig.h"

/* Lend what has come: it is the next of the pattern, and how much. */
static size_t lease(struct wire *wire, const char **data)
{
    const void *lent = NULL;
    size_t size = 0;

    assert_ok(tn_read_lease(wire->conn, &lent, &size, rig_patience()));
    assert_true(size > 0);
    assert_pattern(lent, wire->taken, size);
    wire->taken += size;
    *data = lent;
    return size;
}

TEST_IN_TASK(what_has_come_is_lent_whole_until_returned)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        const char *data;

        for (int i = 0; i < 30; i++) {
            uint64_t start = wire.taken;

            wire_send(&wire, 100);
            rig_turns();
            assert_int_equal(lease(&wire, &data), 100);
            wire_send(&wire, 50); /* arrives while the lease is out */
            rig_turns();
            assert_pattern(data, start, 100);
            tn_return(wire.conn);
            tn_return(wire.conn); /* without a lease: nothing */
            wire_take(&wire, 50);
        }
        wire_drop(&wire);
    }
}

TEST_IN_TASK(a_lease_may_be_kept_over_calls_that_park)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        struct wire other = wire_open((sa_family_t)family);
        const char *data;
        uint64_t start = wire.taken;
        char echo[64];
        size_t size;

        wire_send(&wire, 64);
        rig_turns();
        size = lease(&wire, &data);
        for (int i = 0; i < 20; i++) { /* others use the same buffers meanwhile */
            wire_send(&other, 3000);
            wire_take(&other, 3000);
        }
        assert_ok(tn_write(wire.conn, data, size, NULL, rig_patience()));
        assert_pattern(data, start, size);
        assert_int_equal(recv(wire.peer, echo, sizeof(echo), 0), size);
        assert_pattern(echo, start, size);
        wire_drop(&wire); /* with the lease out */
        wire_drop(&other);
    }
}

TEST_IN_TASK(a_lease_of_nothing_is_as_a_read_of_nothing)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        const void *data = &wire;
        size_t size = 7;

        assert_kind(tn_read_lease(wire.conn, &data, &size, tn_in(TN_MS)), TN_DEADLINE);
        assert_kind(tn_read_lease(wire.conn, &data, &size, TN_NOW), TN_DEADLINE);
        assert_int_equal(shutdown(wire.peer, SHUT_WR), 0);
        assert_kind(tn_read_lease(wire.conn, &data, &size, rig_patience()), TN_EOF);
        assert_kind(tn_read_lease(wire.conn, &data, &size, rig_patience()), TN_EOF);
        assert_int_equal(size, 7);
        assert_ptr_equal(data, &wire);
        wire_drop(&wire);
    }
}

TEST_IN_TASK(what_has_come_can_be_lent_at_once_by_a_deadline_of_now)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        const void *data;
        size_t size;

        wire_send(&wire, 9);
        if (state == WIRE_WAITED)
            rig_turns();
        assert_ok(tn_read_lease(wire.conn, &data, &size, TN_NOW));
        assert_int_equal(size, 9);
        assert_pattern(data, wire.taken, 9);
        wire_drop(&wire);
    }
}

/* What was lent has been read: it is neither unread nor a reason for a reset. */
TEST_IN_TASK(a_connection_with_a_lease_out_closes_in_order)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        struct tn_conn_facts facts;
        tn_ending ending;
        const char *data;
        int end;

        wire_send(&wire, 10);
        rig_turns();
        assert_int_equal(lease(&wire, &data), 10);
        tn_conn_facts(wire.conn, &facts);
        assert_int_equal(facts.unread, 0);
        assert_int_equal(facts.received, wire.taken);
        assert_int_equal(shutdown(wire.peer, SHUT_WR), 0);
        assert_ok(tn_close(&wire.conn, &ending, rig_patience()));
        assert_int_equal(ending.unread, 0);
        raw_drain(wire.peer, &end);
        assert_int_equal(end, 1);
        wire_drop(&wire);
    }
}

/*
 * More leases than the driver has buffers: the others go another way, and all of it is
 * right.  (The buffers are 1 MiB in all; each of these holds on to one.)
 */
TEST_IN_TASK(many_leases_at_once_starve_nobody)
{
    enum { MANY = 40 };
    static struct wire wires[MANY];
    static const char *data[MANY];
    static uint64_t start[MANY];
    static size_t size[MANY];
    struct wire last;

    for (int i = 0; i < MANY; i++)
        wires[i] = wire_in_state(AF_UNIX, WIRE_WAITED);
    for (int i = 0; i < MANY; i++) {
        wire_send(&wires[i], 100000);
        rig_turns();
        start[i] = wires[i].taken;
        size[i] = lease(&wires[i], &data[i]);
    }
    last = wire_in_state(AF_INET, WIRE_WAITED);
    wire_send(&last, 5000);
    wire_take(&last, 5000);
    wire_drop(&last);
    for (int i = 0; i < MANY; i++) {
        assert_pattern(data[i], start[i], size[i]);
        tn_return(wires[i].conn);
        wire_take(&wires[i], 100000 - size[i]);
        wire_drop(&wires[i]);
    }
}
