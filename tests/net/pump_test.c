/* SPDX-License-Identifier: MIT */
/*
 * pump_test.c -- one direction of a relay: every byte, every ending, and an exact count.
 */
#include <signal.h>

#include "net/pump_rig.h"
#include "os/os.h"
#include "task/park.h"

#define STREAM ((size_t)3 * 1024 * 1024)
/* More than the buffers between the ends take at once. */
#define CANCELED_STREAM (4 * STREAM)

TEST_IN_TASK(every_byte_passes_whatever_the_size_of_the_pieces_and_then_the_end)
{
    static const size_t pieces[] = { 1, 100, 5000, 1 << 16 };

    FOR_EACH_WIRE(family, state)
    {
        for (size_t i = 0; i < COUNT_OF(pieces); i++) {
            size_t size = pieces[i] < 1000 ? pieces[i] * 500 : STREAM;
            struct line line;

            line_open(&line, (sa_family_t)family, state);
            line_start(&line);
            carry(&line, size, pieces[i]);
            assert_ok(line_join(&line));
            assert_true(line.pump.ended);
            assert_int_equal(line.pump.taken, size);
            assert_int_equal(line.pump.given, size);
            line_drop(&line);
        }
    }
}

/* Carry SIZE bytes more; whether they, or some of them, have been spliced. */
static bool carry_more(struct line *line, uint64_t *place, size_t size)
{
    uint64_t sent = *place, goal = *place + size;
    bool spliced = false;
    int end;

    while (*place < goal) {
        send_at_source(line, &sent, goal, 1 << 16);
        assert_ok(tn_sleep(tn_in(1)));
        take_at_sink(line, place, &end);
        spliced |= line->pump.splices;
    }
    return spliced;
}

/* As a stream goes on and off the pump changes its way, and nothing changes place. */
TEST_IN_TASK(a_stream_in_bursts_of_little_more_than_a_buffer_is_spliced)
{
    const size_t burst = BUFFER_SIZE + 10000;
    uint64_t sent = 0, got = 0;
    struct line line;
    int end = 0;

    line_open(&line, AF_INET, WIRE_FRESH);
    line_start(&line);
    for (int i = 1; i <= 20; i++) {
        send_at_source(&line, &sent, (size_t)i * burst, BUFFER_SIZE);
        WAIT_UNTIL((take_at_sink(&line, &got, &end), got == (size_t)i * burst));
    }
    assert_true(line.pump.splices);
    for (int i = 1; i <= 20; i++) { /* but messages are not */
        send_at_source(&line, &sent, (size_t)(20 * burst) + (size_t)i * 10000, 10000);
        WAIT_UNTIL((take_at_sink(&line, &got, &end), got == sent));
    }
    assert_false(line.pump.splices);
    assert_int_equal(shutdown(line.from.peer, SHUT_WR), 0);
    assert_ok(line_join(&line));
    line_drop(&line);
}

TEST_IN_TASK(a_stream_that_slows_down_and_speeds_up_stays_whole)
{
    struct line line;
    uint64_t place = 0;

    line_open(&line, AF_INET, WIRE_FRESH);
    line_start(&line);
    for (int round = 0; round < 3; round++) {
        while (
            !carry_more(&line, &place, STREAM)) /* whether buffers fill is TCP's affair */
            continue;
        for (int i = 0; i < 9; i++)
            (void)carry_more(&line, &place, 50);
        assert_false(line.pump.splices);
    }
    WAIT_UNTIL(line.pump.given == place); /* it may be asleep over the last send */
    tn_cancel(line.task);
    assert_kind(line_join(&line), TN_CANCELED);
    line_drop(&line);
}

struct storm_counts {
    unsigned canceled, held;
};

/* One stream, whose pump is canceled again and again. */
static void cancel_a_stream(sa_family_t family, unsigned state, uint64_t *seed,
                            struct storm_counts *counts)
{
    struct line line;
    uint64_t sent = 0, got = 0;
    int end = 0;

    line_open(&line, family, state);
    raw_set(line.to.peer, SOL_SOCKET, SO_RCVBUF, 65536);
    while (!end) {
        line_start(&line);
        send_at_source(&line, &sent, CANCELED_STREAM, rig_up_to(seed, 1 << 16));
        if (sent == CANCELED_STREAM)
            shutdown(line.from.peer, SHUT_WR);
        for (size_t i = rig_up_to(seed, 4); i > 1; i--)
            tn_yield();
        assert_ok(tn_sleep(tn_in(1)));
        tn_cancel(line.task);
        if (tn_failed(line_join(&line))) {
            assert_kind(line.err, TN_CANCELED);
            counts->canceled++;
        }
        assert_in_range(line.pump.taken - line.pump.given, 0, PIPE_SIZE);
        counts->held += line.pump.taken > line.pump.given;
        if (rig_up_to(seed, 12) == 1) /* slower than the source: the pump must hold */
            take_at_sink(&line, &got, &end);
    }
    assert_int_equal(end, 1);
    assert_int_equal(got, CANCELED_STREAM);
    assert_int_equal(line.pump.given, CANCELED_STREAM);
    line_drop(&line);
}

/* What the pump holds it keeps, and the next call goes on with it. */
TEST_IN_TASK(cancels_anywhere_lose_and_double_nothing)
{
    uint64_t seed = 7;

    FOR_EACH_WIRE(family, state)
    {
        struct storm_counts counts = { 0 };

        for (int streams = 0; streams < 50 && (counts.canceled == 0 || counts.held == 0);
             streams++)
            cancel_a_stream((sa_family_t)family, state, &seed, &counts);
        assert_true(counts.canceled > 0 && counts.held > 0);
    }
}

TEST_IN_TASK(a_limit_is_kept_to_the_byte)
{
    FOR_EACH_WIRE(family, state)
    {
        struct line line;
        uint64_t sent = 0, got = 0, seed = 3;
        int end;

        line_open(&line, (sa_family_t)family, state);
        while (line.pump.limit < STREAM / 2) {
            line.pump.limit += rig_up_to(&seed, 200000);
            line_start(&line);
            WAIT_UNTIL((send_at_source(&line, &sent, STREAM, 1 << 16),
                        take_at_sink(&line, &got, &end), got == line.pump.limit));
            assert_ok(line_join(&line));
            assert_int_equal(line.pump.taken, line.pump.limit);
            assert_int_equal(line.pump.given, line.pump.limit);
            assert_false(line.pump.ended);
        }
        line_drop(&line);
    }
}

TEST_IN_TASK(a_deadline_stops_it_and_both_connections_are_good)
{
    FOR_EACH_WIRE(family, state)
    {
        struct line line;

        line_open(&line, (sa_family_t)family, state);
        line.deadline = tn_in(2 * TN_MS);
        assert_ok(line_main(&line));
        assert_kind(line.err, TN_DEADLINE);
        assert_int_equal(line.pump.failed, TN_PUMP_NEITHER);
        wire_send(&line.from, 1000);
        wire_take(&line.from, 1000);
        assert_ok(tn_write(line.to.conn, "good", 4, NULL, rig_patience()));
        line_drop(&line);
    }
}

TEST_IN_TASK(what_has_come_is_pumped_at_once_by_a_deadline_of_now)
{
    FOR_EACH_WIRE(family, state)
    {
        struct line line;

        line_open(&line, (sa_family_t)family, state);
        wire_send(&line.from, 1000);
        rig_turns();
        line.deadline = TN_NOW;
        assert_ok(line_main(&line));
        assert_kind(line.err, TN_DEADLINE);
        assert_int_equal(line.pump.given, 1000);
        line_drop(&line);
    }
}

/* ---- endings ---- */

TEST_IN_TASK(a_reset_of_the_source_is_told_after_its_last_byte)
{
    FOR_EACH_WIRE(family, state)
    {
        struct line line;
        uint64_t start, got;
        int end;

        if (family == AF_UNIX)
            continue; /* knows no reset */
        line_open(&line, (sa_family_t)family, state);
        got = start = line.from.sent;
        wire_send(&line.from, 1000);
        rig_turns();
        raw_reset(line.from.peer);
        line.from.peer = -1;
        assert_ok(line_main(&line));
        assert_kind(line.err, TN_RESET);
        assert_int_equal(line.pump.failed, TN_PUMP_FROM);
        assert_int_equal(line.pump.given, line.pump.taken);
        take_at_sink(&line, &got, &end);
        assert_int_equal(got - start, line.pump.given);
        assert_int_equal(end, 0); /* no end: the caller resets it */
        line_drop(&line);
    }
}

TEST_IN_TASK(a_reset_of_the_sink_is_told_with_what_is_lost)
{
    for (enum wire_state state = WIRE_FRESH; state < WIRE_STATES; state++) {
        struct line line;
        uint64_t sent = 0;

        line_open(&line, AF_INET, state);
        line_start(&line);
        WAIT_UNTIL((send_at_source(&line, &sent, STREAM * 4, 1 << 16),
                    line.pump.taken > line.pump.given)); /* the sink is full */
        raw_reset(line.to.peer);
        line.to.peer = -1;
        assert_kind(line_join(&line), TN_RESET);
        assert_int_equal(line.pump.failed, TN_PUMP_TO);
        assert_true(line.pump.taken > line.pump.given);
        line_drop(&line);
    }
}

/* Nobody reads the sink any more, so nobody else would hear of its death. */
TEST_IN_TASK(a_sink_that_dies_after_its_end_wakes_the_pump)
{
    for (enum wire_state state = WIRE_FRESH; state < WIRE_STATES; state++) {
        struct line there, back;

        line_open(&there, AF_INET, state);
        back = (struct line){ .from = there.to,
                              .to = there.from,
                              .deadline = rig_patience() };
        line_start(&there);
        line_start(&back);
        rig_turns();
        assert_int_equal(shutdown(there.to.peer, SHUT_WR), 0);
        assert_ok(line_join(&back));
        assert_true(back.pump.ended);
        rig_turns();
        raw_reset(there.to.peer);
        there.to.peer = -1;
        assert_kind(line_join(&there), TN_RESET);
        assert_int_equal(there.pump.failed, TN_PUMP_TO);
        tn_pump_release(&back.pump);
        line_drop(&there);
    }
}

/* Nor has anybody ever read it, or not since: a reader who gave up leaves a request behind. */
TEST_IN_TASK(a_sink_that_nobody_reads_wakes_the_pump_when_it_dies)
{
    for (enum wire_state state = WIRE_FRESH; state < WIRE_STATES; state++) {
        for (int left = 0; left < 2; left++) {
            struct line line;
            char byte;

            line_open(&line, AF_INET, state);
            if (left)
                assert_kind(tn_read(line.to.conn, &byte, 1, NULL, tn_in(TN_MS)),
                            TN_DEADLINE);
            line_start(&line);
            rig_turns();
            raw_reset(line.to.peer);
            line.to.peer = -1;
            assert_kind(line_join(&line), TN_RESET);
            assert_int_equal(line.pump.failed, TN_PUMP_TO);
            line_drop(&line);
        }
    }
}

TEST_IN_TASK(without_pass_end_the_sink_stays_open)
{
    struct line line;
    char byte;

    line_open(&line, AF_INET, WIRE_FRESH);
    line.pump.pass_end = false;
    assert_int_equal(shutdown(line.from.peer, SHUT_WR), 0);
    assert_ok(line_main(&line));
    assert_ok(line.err);
    assert_true(line.pump.ended);
    assert_ok(tn_write(line.to.conn, "x", 1, NULL, rig_patience()));
    WAIT_UNTIL(recv(line.to.peer, &byte, 1, MSG_DONTWAIT) == 1);
    assert_ok(tn_end(line.to.conn));
    assert_ok(line_main(&line)); /* the end again: nothing to do */
    assert_ok(line.err);
    line_drop(&line);
}

/* Splicing stops at an urgent byte's mark for good; the stream must not. */
TEST_IN_TASK(an_urgent_byte_does_not_stop_a_stream)
{
    struct line line;
    uint64_t sent = 0, got = 0;
    int end;

    line_open(&line, AF_INET, WIRE_FRESH);
    line_start(&line);
    for (int round = 0; round < 8; round++) {
        uint64_t goal = sent + STREAM / 4;

        while (got < goal) {
            send_at_source(&line, &sent, goal, 1 << 16);
            assert_ok(tn_sleep(tn_in(1)));
            take_at_sink(&line, &got, &end);
        }
        assert_int_equal(send(line.from.peer, "!", 1, MSG_OOB), 1);
    }
    assert_int_equal(got, STREAM * 2);
    tn_cancel(line.task);
    assert_kind(line_join(&line), TN_CANCELED);
    line_drop(&line);
}

static volatile sig_atomic_t sigpipes;

static void count_sigpipe(int number)
{
    (void)number;
    sigpipes = sigpipes + 1;
}

/* splice(2) would raise SIGPIPE: none may come, and one that is pending must stay. */
TEST_IN_TASK(splicing_into_a_dead_connection_raises_no_sigpipe)
{
    int pipe[2], sockets[2];
    sigset_t set, pending;

    signal(SIGPIPE, count_sigpipe);
    for (int blocked = 0; blocked < 2; blocked++) {
        assert_int_equal(os_pipe(&os_linux, 4096, pipe), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
        close(sockets[1]);
        assert_int_equal(write(pipe[1], "abc", 3), 3);
        sigemptyset(&set);
        sigaddset(&set, SIGPIPE);
        if (blocked) {
            sigprocmask(SIG_BLOCK, &set, NULL);
            raise(SIGPIPE);
        }
        assert_int_equal(os_splice_out(&os_linux, pipe[0], sockets[0], 3), -EPIPE);
        assert_int_equal(sigpending(&pending), 0);
        assert_int_equal(sigismember(&pending, SIGPIPE), blocked);
        close(pipe[0]);
        close(pipe[1]);
        close(sockets[0]);
    }
    assert_int_equal(sigpipes, 0);
}
