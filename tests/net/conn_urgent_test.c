/* SPDX-License-Identifier: MIT */
/*
 * conn_urgent_test.c -- the urgent byte, both ways, and the ordinary data around it.
 */
#include "net/net_rig.h"
#include "os/fault.h"
#include "task/run.h"

static const struct tn_conn_options with_urgent = { .urgent = true };

static struct wire urgent_wire(void)
{
    return wire_open_with(AF_INET, &with_urgent);
}

static void peer_sends_urgent(const struct wire *wire, char byte)
{
    assert_int_equal(send(wire->peer, &byte, 1, MSG_OOB | MSG_NOSIGNAL), 1);
}

static void assert_urgent(const struct wire *wire, char expected, uint64_t offset)
{
    char byte = 0;
    uint64_t at = UINT64_MAX;

    assert_ok(tn_wait_urgent(wire->conn, &byte, &at, rig_patience()));
    assert_int_equal(byte, expected);
    assert_int_equal(at, offset);
}

TEST_IN_TASK(an_urgent_byte_comes_ahead_of_what_is_unread)
{
    struct wire wire = urgent_wire();

    wire_send(&wire, 100);
    peer_sends_urgent(&wire, '!');
    wire_send(&wire, 50);
    assert_urgent(&wire, '!', 100);
    wire_take(&wire, 150); /* and is not part of it */
    wire_drop(&wire);
}

TEST_IN_TASK(the_offset_counts_what_has_been_read_already)
{
    struct wire wire = urgent_wire();

    wire_send(&wire, 100);
    wire_take(&wire, 60);
    peer_sends_urgent(&wire, '!');
    assert_urgent(&wire, '!', 100);
    wire_take(&wire, 40);
    peer_sends_urgent(&wire, '?'); /* nothing before it */
    assert_urgent(&wire, '?', 100);
    wire_send(&wire, 1);
    wire_take(&wire, 1);
    wire_drop(&wire);
}

/* Whoever reads on without waiting must not run over it. */
TEST_IN_TASK(reading_never_loses_the_byte_or_what_is_around_it)
{
    for (int with_turn = 0; with_turn < 2; with_turn++) {
        struct wire wire = urgent_wire();
        uint64_t before = 0;

        for (int i = 0; i < 40; i++) {
            size_t part = (size_t)(i * 7 % 5); /* 0: the byte stands right at the mark */

            wire_send(&wire, part);
            peer_sends_urgent(&wire, (char)('a' + i % 26));
            before = wire.sent;
            wire_send(&wire, 1 + (size_t)i % 3);
            if (with_turn)
                rig_turns();
            wire_take(&wire, (size_t)(wire.sent - wire.taken));
            assert_urgent(&wire, (char)('a' + i % 26), before);
        }
        wire_drop(&wire);
    }
}

struct reading {
    struct wire *wire;
    size_t size;
};

static tn_err take_in_task(void *arg)
{
    struct reading *self = arg;

    wire_take(self->wire, self->size);
    return tn_ok();
}

TEST_IN_TASK(one_task_reads_while_another_waits_for_the_byte)
{
    struct wire wire = urgent_wire();
    struct reading reading = { &wire, 300 };
    struct tn_task *task = NULL;

    assert_ok(tn_go(NULL, take_in_task, &reading, NULL, &task));
    wire_send(&wire, 100);
    rig_turns();
    peer_sends_urgent(&wire, 'u');
    assert_urgent(&wire, 'u', 100);
    wire_send(&wire, 200);
    assert_ok(tn_join(&task, NULL, rig_patience()));
    wire_drop(&wire);
}

TEST_IN_TASK(lines_and_leases_step_over_the_byte)
{
    struct wire wire = urgent_wire();
    const void *data;
    size_t done, size;
    char buf[32];

    raw_send(wire.peer, "on", 2);
    peer_sends_urgent(&wire, '1');
    raw_send(wire.peer, "e\ntwo", 5);
    assert_ok(tn_read_until(wire.conn, buf, sizeof(buf), '\n', &done, rig_patience()));
    assert_int_equal(done, 4);
    assert_memory_equal(buf, "one\n", 4);
    assert_urgent(&wire, '1', 2);
    peer_sends_urgent(&wire, '2');
    raw_send(wire.peer, "x", 1);
    for (size_t have = 0; have < 4; have += size) {
        assert_ok(tn_read_lease(wire.conn, &data, &size, rig_patience()));
        assert_memory_equal(data, &"twox"[have], size);
        tn_return(wire.conn);
    }
    assert_urgent(&wire, '2', 7);
    wire_drop(&wire);
}

TEST_IN_TASK(an_end_or_a_reset_ends_the_wait)
{
    struct wire wire = urgent_wire();
    uint64_t at = 7;
    char byte = 'k';

    assert_kind(tn_wait_urgent(wire.conn, &byte, &at, tn_in(TN_MS)), TN_DEADLINE);
    peer_sends_urgent(&wire, 'l'); /* the last thing before the end */
    assert_int_equal(shutdown(wire.peer, SHUT_WR), 0);
    rig_turns();
    assert_urgent(&wire, 'l', 0);
    assert_kind(tn_wait_urgent(wire.conn, &byte, &at, rig_patience()), TN_EOF);
    assert_kind(tn_read(wire.conn, &byte, 1, &(size_t){ 0 }, rig_patience()), TN_EOF);
    wire_drop(&wire);

    wire = urgent_wire();
    raw_reset(wire.peer);
    wire.peer = -1;
    assert_kind(tn_wait_urgent(wire.conn, &byte, &at, rig_patience()), TN_RESET);
    assert_kind(tn_wait_urgent(wire.conn, &byte, &at, rig_patience()), TN_RESET);
    assert_kind(tn_read(wire.conn, &byte, 1, &(size_t){ 0 }, rig_patience()), TN_RESET);
    assert_int_equal(byte, 'k');
    assert_int_equal(at, 7);
    wire_drop(&wire);
}

TEST_IN_TASK(an_urgent_byte_is_not_sent_to_a_peer_that_has_reset)
{
    struct wire wire = urgent_wire();

    raw_reset(wire.peer);
    wire.peer = -1;
    assert_kind(tn_send_urgent(wire.conn, '!', rig_patience()), TN_RESET);
    assert_kind(tn_send_urgent(wire.conn, '!', rig_patience()), TN_RESET); /* once more */
    wire_drop(&wire);
}

/* An acknowledgement's stamp shows as POLLERR, which is no end of anything. */
TEST_IN_TASK(stamps_do_not_end_the_wait)
{
    struct tn_conn_options options = { .urgent = true, .confirmable = true };
    struct wire wire = wire_open_with(AF_INET, &options);
    uint64_t at = 7;
    char byte = 'k';

    assert_ok(tn_write(wire.conn, "stamped", 7, NULL, rig_patience()));
    rig_turns();
    assert_kind(tn_wait_urgent(wire.conn, &byte, &at, tn_in(5 * TN_MS)), TN_DEADLINE);
    peer_sends_urgent(&wire, 's');
    assert_urgent(&wire, 's', 0);
    wire_drop(&wire);
}

TEST_IN_TASK(an_urgent_byte_is_sent_between_ordinary_ones)
{
    struct wire wire = urgent_wire();
    char buf[8];

    assert_ok(tn_write(wire.conn, "abc", 3, NULL, rig_patience()));
    assert_ok(tn_send_urgent(wire.conn, '!', rig_patience()));
    assert_ok(tn_write(wire.conn, "def", 3, NULL, rig_patience()));
    assert_int_equal(recv(wire.peer, buf, 1, MSG_OOB), 1);
    assert_int_equal(buf[0], '!');
    assert_int_equal(recv(wire.peer, buf, sizeof(buf), 0), 3); /* up to the mark */
    assert_memory_equal(buf, "abc", 3);
    assert_int_equal(recv(wire.peer, buf, sizeof(buf), 0), 3);
    assert_memory_equal(buf, "def", 3);
    wire_drop(&wire);
}

/* A second one would turn the first into ordinary data, at a peer that has not read it. */
TEST_IN_TASK(a_second_urgent_byte_waits_for_the_firsts_acknowledgement)
{
    struct wire wire = urgent_wire();
    uint64_t unacked = 7;
    char buf[8];

    assert_ok(tn_send_urgent(wire.conn, '1', rig_patience()));
    assert_ok(tn_confirm(wire.conn, &unacked, rig_patience()));
    assert_int_equal(recv(wire.peer, buf, 1, MSG_OOB), 1);
    raw_deaf(wire.peer);
    assert_ok(tn_send_urgent(wire.conn, '2', rig_patience()));
    assert_ok(tn_write(wire.conn, "x", 1, NULL, rig_patience()));
    assert_kind(tn_send_urgent(wire.conn, '3', rig_patience()), TN_IN_USE);
    raw_hearing(wire.peer);
    assert_ok(tn_confirm(wire.conn, &unacked, rig_patience()));
    assert_int_equal(recv(wire.peer, buf, 1, MSG_OOB), 1);
    assert_int_equal(buf[0], '2');
    assert_ok(tn_send_urgent(wire.conn, '4', rig_patience()));
    assert_int_equal(recv(wire.peer, buf, sizeof(buf), 0),
                     1); /* '1', '2', '3': nowhere */
    assert_int_equal(buf[0], 'x');
    wire_drop(&wire);
}

/* What was under way before the connection was made ours is none of its bytes. */
TEST_IN_TASK(so_it_does_behind_what_was_sent_before_an_adoption)
{
    struct tn_conn_options options = { .urgent = true };
    struct wire wire = wire_open(AF_INET);
    int fd = -1;

    assert_ok(tn_release(&wire.conn, &fd, rig_patience()));
    raw_deaf(wire.peer);
    raw_send(fd, "former", 6);
    assert_ok(tn_adopt(&wire.conn, fd, &options));
    assert_ok(tn_send_urgent(wire.conn, '1', rig_patience()));
    assert_kind(tn_send_urgent(wire.conn, '2', rig_patience()), TN_IN_USE);
    raw_hearing(wire.peer);
    wire_drop(&wire);
}

/* Its mark hides how much stands behind it, and so how much came before the adoption. */
TEST_IN_TASK(a_byte_that_came_before_an_adoption_is_told_at_once)
{
    struct tn_conn_options options = { .urgent = true };
    struct wire wire = wire_open(AF_INET);
    char buf[8];
    int fd = -1;

    wire_send(&wire, 3);
    wire_take(&wire, 3);
    assert_ok(tn_release(&wire.conn, &fd, rig_patience()));
    raw_send(wire.peer, "ab", 2);
    peer_sends_urgent(&wire, '!');
    raw_send(wire.peer, "cd", 2);
    assert_ok(tn_adopt(&wire.conn, fd, &options));
    assert_urgent(&wire, '!', 2);
    assert_ok(tn_read_all(wire.conn, buf, 4, NULL, rig_patience()));
    assert_memory_equal(buf, "abcd", 4);
    wire_drop(&wire);
}

static tn_err wait_without_a_watch(void *arg)
{
    struct fault *fault = arg;
    uint64_t offset;
    struct wire wire;
    char byte;

    fault_name(fault, FAULT_ARM, 1, 1, ENOSPC);
    wire = urgent_wire();
    assert_ok(tn_sleep(tn_in(TN_MS)));
    assert_kind(tn_wait_urgent(wire.conn, &byte, &offset, rig_patience()), TN_LIMIT);
    fault_off(fault);
    assert_int_equal(send(wire.peer, "!", 1, MSG_OOB), 1);
    assert_ok(tn_wait_urgent(wire.conn, &byte, &offset, rig_patience()));
    wire_drop(&wire);
    return tn_ok();
}

TEST_ON_DRIVERS(a_wait_that_cannot_be_watched_for_says_so_once)
{
    struct tn_loop_options options = { .driver = test_driver() };
    struct fault fault;

    fault_init(&fault, &os_linux);
    assert_ok(run_on(&fault.os, wait_without_a_watch, &fault, &options));
}

static tn_err send_urgent_interrupted(void *arg)
{
    struct fault *fault = arg;
    struct wire wire = urgent_wire();
    char buf[8];

    fault_name(fault, FAULT_SENDTO, 1, 3, EINTR);
    assert_ok(tn_send_urgent(wire.conn, '!', rig_patience()));
    assert_int_equal(fault->failed, 3);
    fault_off(fault);
    WAIT_UNTIL(recv(wire.peer, buf, 1, MSG_OOB) == 1);
    wire_drop(&wire);
    return tn_ok();
}

/* There was room all the time, so nothing would wake who waits for some. */
TEST_ON_DRIVERS(an_interrupted_urgent_send_is_made_again)
{
    struct fault fault;

    fault_init(&fault, &os_linux);
    assert_ok(run_on(&fault.os, send_urgent_interrupted, &fault, NULL));
}

TEST_IN_TASK(an_urgent_byte_does_not_overtake_a_full_send_buffer)
{
    struct tn_conn_options options = { .urgent = true, .send_buffer = 8192 };
    struct wire wire = wire_open_small(AF_INET, 4096, &options);
    static char bytes[1 << 20];
    struct tn_conn_facts before, after;
    size_t more, done = 0;
    char byte;

    do { /* until it stays full: acknowledgements that come late make room */
        tn_conn_facts(wire.conn, &before);
        assert_kind(tn_write(wire.conn, bytes, sizeof(bytes), &more, tn_in(100 * TN_MS)),
                    TN_DEADLINE);
        done += more;
        tn_conn_facts(wire.conn, &after);
    } while (more > 0 || after.unacked != before.unacked);
    assert_kind(tn_send_urgent(wire.conn, '!', tn_in(20 * TN_MS)), TN_DEADLINE);
    while (done > 0)
        done -= raw_drain(wire.peer, NULL), tn_ignore(tn_sleep(tn_in(100 * TN_US)));
    assert_ok(tn_send_urgent(wire.conn, '!', rig_patience()));
    WAIT_UNTIL(recv(wire.peer, &byte, 1, MSG_OOB) == 1);
    assert_int_equal(byte, '!');
    wire_drop(&wire);
}

TEST_IN_TASK(urgent_bytes_are_for_those_who_asked_for_them)
{
    struct wire wire = wire_open(AF_INET);
    struct wire local = wire_open_with(AF_UNIX, &with_urgent);
    uint64_t at;
    char byte;

    assert_kind(tn_send_urgent(wire.conn, '!', rig_patience()), TN_UNSUPPORTED);
    assert_kind(tn_wait_urgent(wire.conn, &byte, &at, rig_patience()), TN_UNSUPPORTED);
    assert_kind(tn_send_urgent(local.conn, '!', rig_patience()), TN_UNSUPPORTED);
    assert_kind(tn_wait_urgent(local.conn, &byte, &at, rig_patience()), TN_UNSUPPORTED);
    wire_drop(&wire);
    wire_drop(&local);
    wire = urgent_wire();
    assert_ok(tn_end(wire.conn));
    assert_kind(tn_send_urgent(wire.conn, '!', rig_patience()), TN_CLOSED);
    wire_drop(&wire);
}

/*
 * Every receive stops at the mark; a reader that takes a short read for an empty queue
 * would then wait for ever beside what follows.  So any peer can try, asked for or not.
 */
TEST_IN_TASK(an_urgent_byte_that_nobody_asked_for_stops_nobody)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        size_t got = 0;
        char buf[64];

        for (int i = 0; i < 10; i++) {
            size_t want = 6;

            raw_send(wire.peer, "abc", 3);
            if (send(wire.peer, "!", 1, MSG_OOB | MSG_NOSIGNAL) < 0)
                break; /* a Unix socket, in a kernel without it */
            raw_send(wire.peer, "def", 3);
            rig_turns();
            for (size_t have = 0; have < want; have += got) {
                assert_ok(tn_read(wire.conn, buf + have, sizeof(buf) - have, &got,
                                  rig_patience()));
            }
            assert_memory_equal(buf, "abcdef", 6);
        }
        wire_drop(&wire);
    }
}

/* A peer that mixes both, in any rhythm; the reader in its own. */
TEST_IN_TASK(urgent_and_ordinary_bytes_mixed_at_random_keep_their_places)
{
    uint64_t seed = 4711;
    struct wire wire = urgent_wire();
    struct reading reading = { &wire, 0 };
    unsigned rounds = rig_rounds(300);

    for (unsigned i = 0; i < rounds; i++) {
        struct tn_task *task = NULL;
        uint64_t offset;

        wire_send(&wire, rig_up_to(&seed, 9) - 1);
        offset = wire.sent;
        peer_sends_urgent(&wire, (char)('A' + i % 26));
        if (rig_up_to(&seed, 2) == 1)
            rig_turns();
        wire_send(&wire, rig_up_to(&seed, 3000));
        reading.size = (size_t)(wire.sent - wire.taken);
        assert_ok(tn_go(NULL, take_in_task, &reading, NULL, &task));
        if (rig_up_to(&seed, 2) == 1)
            tn_yield();
        assert_urgent(&wire, (char)('A' + i % 26), offset);
        assert_ok(tn_join(&task, NULL, rig_patience()));
    }
    wire_drop(&wire);
}
