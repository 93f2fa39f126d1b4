/* SPDX-License-Identifier: MIT */
/*
 * close_sim_test.c -- every ending of tn_close on a simulated network, where the weather
 * is bad and both kernels can be asked what really happened.
 *
 * Each ending is played SEEDS times.  It has to be named right each time, and its counts
 * have to be those of the kernels.  close_test.c does the same with real peers.
 */
#include "net/sim_bench.h"

#define SEEDS 60

static const char bytes[300000];

/* Segments get lost and are late, reads are short, answers come late and in pieces. */
static void play_often(const struct bench *bench, void (*play)(struct bench *bench))
{
    struct sim_options options = {
        .route = { .there = { .delay_min = 5 * TN_MS, .delay_max = 30 * TN_MS },
                   .back = { .delay_max = 20 * TN_MS },
                   .segment = 1448,
                   .ack_delay = 40 * TN_MS },
        .chances.of = { [SIM_LOSS] = 30000,
                        [SIM_SHORT_READ] = 200000,
                        [SIM_SHORT_WRITE] = 100000,
                        [SIM_LATE] = 200000,
                        [SIM_SPLIT] = 200000,
                        [SIM_STAMP] = 100000 },
    };

    for (options.seed = 0; options.seed < SEEDS; options.seed++) {
        struct bench one = *bench;

        one.options.confirmable = options.seed % 2 == 1;
        bench_run(&one, &options, play);
    }
}

static const struct bench plain;

static void write_bytes(struct tn_conn *conn, size_t size)
{
    assert_ok(tn_write(conn, bytes, size, NULL, TN_NEVER));
}

static void read_bytes(struct tn_conn *conn, size_t size)
{
    static char buf[sizeof(bytes)];
    size_t done;

    assert_ok(tn_read_all(conn, buf, size, &done, TN_NEVER));
}

static struct sim_truth truth_of(const struct bench *bench, int side)
{
    struct sim_truth truth;

    sim_truth(bench->wire, side, &truth);
    return truth;
}

#define SOME UINT64_MAX

/* Close the near end: it ends as HOW, and UNREAD bytes are left. */
static void close_near(struct bench *bench, bool discard, enum tn_how how,
                       uint64_t unread, tn_deadline deadline)
{
    tn_ending ending = { (enum tn_how)99, 7, 7 };
    struct sim_truth truth;

    tn_ignore((discard ? tn_close_discard : tn_close)(&bench->near, &ending, deadline));
    truth = truth_of(bench, 0);
    if (ending.how != how)
        fail_test("ended \"%s\", not \"%s\"", tn_how_text(ending.how), tn_how_text(how));
    assert_int_equal(ending.unacked, truth.written - truth.acked);
    if (unread == SOME)
        assert_in_range(ending.unread, 1, truth.received);
    else
        assert_int_equal(ending.unread, unread);
    assert_null(bench->near);
    if (how == TN_CLEAN || how == TN_ACKED || how == TN_UNREAD)
        assert_int_equal(ending.unacked, 0);
    if (how == TN_CLEAN) {
        assert_true(truth.end_acked && truth.end_received && !truth.reset_sent);
        assert_int_equal(truth_of(bench, 1).received, truth.written);
    }
}

/* ---- the peer, in a task of its own ---- */

static tn_err reads_to_the_end_and_ends(void *arg)
{
    struct bench *bench = arg;
    char buf[5000];
    size_t got;
    tn_err err = tn_ok();

    while (!tn_failed(err))
        err = tn_read(bench->far, buf, sizeof(buf), &got, TN_NEVER);
    assert_kind(err, TN_EOF);
    assert_ok(tn_sleep(tn_in(10 * TN_SECOND)));
    tn_ignore(tn_close(&bench->far, NULL, tn_in(TN_MINUTE)));
    return tn_ok();
}

static tn_err reads_to_a_reset(void *arg)
{
    struct bench *bench = arg;
    uint64_t total = 0;
    char buf[5000];
    size_t got;
    tn_err err = tn_ok();

    while (!tn_failed(err)) {
        err = tn_read(bench->far, buf, sizeof(buf), &got, TN_NEVER);
        total += tn_failed(err) ? 0 : got;
    }
    /* An end that came before it may show first; the reset is there with the next call. */
    if (err.kind == TN_EOF)
        err = tn_close(&bench->far, NULL, tn_in(TN_MINUTE));
    assert_kind(err, TN_RESET);
    assert_int_equal(total, truth_of(bench, 0).written);
    return tn_ok();
}

static tn_err answers_after_our_end(void *arg)
{
    struct bench *bench = arg;
    char byte;
    size_t got;
    tn_err err;

    read_bytes(bench->far, 20000);
    assert_kind(tn_read(bench->far, &byte, 1, &got, TN_NEVER), TN_EOF);
    do {
        assert_ok(tn_sleep(tn_in(TN_SECOND)));
        err = tn_write(bench->far, bytes, 5000, NULL, TN_NEVER);
    } while (!tn_failed(err));
    assert_kind(err, TN_RESET);
    return tn_ok();
}

static struct tn_task *peer_starts(struct bench *bench, tn_task_fn *peer)
{
    struct tn_task *task = NULL;

    assert_ok(tn_go(NULL, peer, bench, NULL, &task));
    return task;
}

/* ---- the endings ---- */

static void clean(struct bench *bench)
{
    struct tn_task *peer = peer_starts(bench, reads_to_the_end_and_ends);

    write_bytes(bench->near, 100000);
    close_near(bench, false, TN_CLEAN, 0, TN_NEVER);
    assert_ok(tn_join(&peer, NULL, TN_NEVER));
}

static void clean_after_the_peers_end(struct bench *bench)
{
    char byte;
    size_t got;

    write_bytes(bench->far, 3000);
    assert_ok(tn_end(bench->far));
    read_bytes(bench->near, 3000);
    assert_kind(tn_read(bench->near, &byte, 1, &got, TN_NEVER), TN_EOF);
    write_bytes(bench->near, 1000);
    close_near(bench, false, TN_CLEAN, 0, TN_NEVER);
}

static void acked(struct bench *bench)
{
    int64_t start = sim_now(bench->sim);

    write_bytes(bench->near, 1000);
    close_near(bench, false, TN_ACKED, 0, tn_in(TN_MINUTE));
    assert_true(sim_now(bench->sim) - start >= TN_MINUTE);
}

static void reset_with_bytes_under_way(struct bench *bench)
{
    write_bytes(bench->near, 1000);
    assert_ok(tn_confirm(bench->near, NULL, TN_NEVER));
    sim_wire_cut(bench->sim, bench->wire, 0, INT64_MAX); /* from here on none arrives */
    write_bytes(bench->near, 777);
    sim_wire_reset(bench->sim, bench->wire);
    close_near(bench, false, TN_ENDED_RESET, 0, TN_NEVER);
    assert_int_equal(truth_of(bench, 0).acked, 1000);
}

static void reset_by_a_peer_that_did_not_read(struct bench *bench)
{
    write_bytes(bench->near, 1000);
    assert_ok(tn_confirm(bench->near, NULL, TN_NEVER));
    tn_abort(&bench->far);
    close_near(bench, false, TN_ENDED_RESET, 0, TN_NEVER);
}

static void timed_out(struct bench *bench)
{
    sim_wire_cut(bench->sim, bench->wire, 1, INT64_MAX);
    write_bytes(bench->near, 777);
    close_near(bench, false, TN_ENDED_TIMEDOUT, 0, TN_NEVER);
    assert_true(truth_of(bench, 0).timed_out);
}

static void deadline(struct bench *bench)
{
    write_bytes(bench->near, 100);
    assert_ok(tn_confirm(bench->near, NULL, TN_NEVER));
    sim_wire_cut(bench->sim, bench->wire, 0, INT64_MAX);
    write_bytes(bench->near, 777);
    close_near(bench, false, TN_ENDED_DEADLINE, 0, tn_in(3 * TN_SECOND));
    assert_int_equal(truth_of(bench, 0).acked, 100);
}

/* The peer has sent 5,000 bytes before we close, of which TAKEN are read. */
static void unread(struct bench *bench, size_t taken)
{
    struct tn_task *peer = peer_starts(bench, reads_to_a_reset);

    write_bytes(bench->near, 20000);
    write_bytes(bench->far, 5000);
    read_bytes(bench->near, taken);
    while (truth_of(bench, 0).received < 5000) /* by the kernel, or ahead by a feed */
        assert_ok(tn_sleep(tn_in(TN_MS)));
    close_near(bench, false, TN_UNREAD, 5000 - taken, TN_NEVER);
    assert_ok(tn_join(&peer, NULL, TN_NEVER));
}

static void unread_all(struct bench *bench)
{
    unread(bench, 0);
}

static void unread_in_part(struct bench *bench)
{
    unread(bench, 4000);
}

static void unread_what_comes_later(struct bench *bench)
{
    struct tn_task *peer = peer_starts(bench, answers_after_our_end);

    write_bytes(bench->near, 20000);
    close_near(bench, false, TN_UNREAD, SOME, TN_NEVER);
    assert_true(truth_of(bench, 0).reset_sent);
    assert_ok(tn_join(&peer, NULL, TN_NEVER));
}

static void discarded(struct bench *bench)
{
    struct tn_task *peer = peer_starts(bench, reads_to_the_end_and_ends);

    write_bytes(bench->near, 100);
    write_bytes(bench->far, 70000);
    close_near(bench, true, TN_CLEAN, 70000, TN_NEVER);
    assert_ok(tn_join(&peer, NULL, TN_NEVER));
}

#define ENDING(name)                                                                     \
    TEST_ON_DRIVERS(name##_is_named_and_counted)                                         \
    {                                                                                    \
        play_often(&plain, name);                                                        \
    }

ENDING(clean)
ENDING(clean_after_the_peers_end)
ENDING(acked)
ENDING(reset_with_bytes_under_way)
ENDING(reset_by_a_peer_that_did_not_read)
ENDING(deadline)
ENDING(unread_all)
ENDING(unread_in_part)
ENDING(unread_what_comes_later)
ENDING(discarded)

TEST_ON_DRIVERS(timed_out_is_named_and_counted)
{
    struct bench impatient = { .options.user_timeout = 5 * TN_SECOND };

    play_often(&impatient, timed_out);
}

/* The network says so, and TCP tries again. */
static void unreachable_for_now(struct bench *bench)
{
    struct tn_conn *near = bench->near;
    uint64_t unacked = 0;
    tn_ending ending;

    sim_wire_unreachable(bench->sim, bench->wire, 0);
    write_bytes(near, 100);
    assert_ok(tn_sleep(tn_in(2 * TN_SECOND)));
    assert_kind(tn_confirm(near, &unacked, tn_in(TN_SECOND)), TN_DEADLINE);
    assert_int_equal(unacked, 100);
    write_bytes(near, 100);
    assert_ok(tn_sleep(tn_in(2 * TN_SECOND)));
    assert_kind(tn_close(&bench->near, &ending, tn_in(TN_SECOND)), TN_DEADLINE);
    assert_int_equal(ending.how, TN_ENDED_DEADLINE);
    assert_int_equal(ending.unacked, 200);
}

TEST_ON_DRIVERS(a_host_that_is_unreachable_for_now_is_no_end)
{
    play_often(&plain, unreachable_for_now);
}
