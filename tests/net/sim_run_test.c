/* SPDX-License-Identifier: MIT */
/*
 * sim_run_test.c -- <tenon/sim.h> as a program uses it: runs by seed, faults on demand,
 * and what it tells of them.
 */
#include "harness/harness.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/fd.h>
#include <tenon/sim.h>

static const uint32_t no_chances[TN_SIM_FAULT_COUNT];

/* Both ends of a connection on a network without chance, for one of the tests below. */
struct bench {
    struct tn_conn *near, *far;
    void (*play)(struct bench *bench);
};

static tn_err bench_main(void *arg)
{
    struct bench *bench = arg;
    struct tn_conn_options options = { .user_timeout = 5 * TN_SECOND };
    struct tn_listener *listener = NULL;

    assert_ok(tn_listen(&listener, "10.0.0.1:7000", NULL));
    assert_ok(tn_dial(&bench->near, "10.0.0.1:7000", &options, TN_NEVER));
    assert_ok(tn_accept(listener, &bench->far, TN_NEVER));
    tn_listener_close(&listener);
    bench->play(bench);
    tn_abort(&bench->near);
    tn_abort(&bench->far);
    return tn_ok();
}

static void play(void (*fn)(struct bench *bench))
{
    struct tn_sim_options options = { .chances = no_chances, .driver = test_driver() };
    struct bench bench = { .play = fn };
    struct tn_sim_outcome outcome;

    for (options.seed = 0; options.seed < 10; options.seed++) {
        assert_ok(tn_sim_run(bench_main, &bench, &options, &outcome));
        assert_int_equal(outcome.descriptors, 0);
    }
}

/* ---- what a run has ---- */

static tn_err open_too_many(void *arg)
{
    int fds[9], count = 0;

    (void)arg;
    while (count < 9 && (fds[count] = tn_fd_socket(AF_INET, SOCK_STREAM, 0)) >= 0)
        count++;
    assert_in_range(count, 4, 8); /* the library may need some */
    assert_int_equal(errno, EMFILE);
    while (count > 0)
        assert_int_equal(tn_fd_close(fds[--count]), 0);
    return tn_ok();
}

TEST_ON_DRIVERS(a_run_has_as_many_descriptors_as_it_is_given)
{
    const struct tn_sim_options options = { .chances = no_chances,
                                            .descriptors = 8,
                                            .driver = test_driver() };

    assert_ok(tn_sim_run(open_too_many, NULL, &options, NULL));
}

static void ask_for_half_the_truth(struct bench *bench)
{
    struct tn_sim_truth near, far;

    assert_ok(tn_write(bench->near, "abc", 3, NULL, TN_NEVER));
    assert_true(tn_sim_truth(bench->near, &near, NULL));
    assert_true(tn_sim_truth(bench->near, NULL, &far));
    assert_int_equal(near.written, 3);
    assert_int_equal(far.written, 0);
}

TEST_ON_DRIVERS(the_truth_of_one_side_can_be_had_alone)
{
    play(ask_for_half_the_truth);
}

/* ---- runs ---- */

static tn_err echo_client(void *arg)
{
    struct tn_conn *conn = NULL;
    char buf[1000] = { 0 };
    tn_err err = tn_dial(&conn, "10.0.0.1:7000", NULL, TN_NEVER);

    (void)arg;
    for (int i = 0; i < 20 && !tn_failed(err); i++) {
        err = tn_write(conn, buf, sizeof(buf), NULL, TN_NEVER);
        if (!tn_failed(err))
            err = tn_read_all(conn, buf, sizeof(buf), NULL, TN_NEVER);
    }
    tn_abort(&conn);
    return err;
}

static tn_err echo(void *arg)
{
    struct tn_listener *listener = NULL;
    struct tn_conn *conn = NULL;
    char buf[1000];
    size_t got;
    tn_err err = tn_listen(&listener, "10.0.0.1:7000", NULL);

    (void)arg;
    if (tn_failed(err))
        return err;
    assert_ok(tn_go(NULL, echo_client, NULL, NULL, NULL));
    err = tn_accept(listener, &conn, tn_in(TN_MINUTE));
    while (!tn_failed(err)) {
        err = tn_read(conn, buf, sizeof(buf), &got, TN_NEVER);
        if (!tn_failed(err))
            err = tn_write(conn, buf, got, NULL, TN_NEVER);
    }
    tn_abort(&conn);
    tn_listener_close(&listener);
    return tn_ok();
}

TEST(a_seed_decides_a_simulated_run_to_the_last_detail)
{
    struct tn_sim_options options = { .seed = 1 };
    struct tn_sim_outcome one, other;
    uint64_t last = 0;

    for (; options.seed <= 50; options.seed++) {
        tn_err first = tn_sim_run(echo, NULL, &options, &one);
        tn_err second = tn_sim_run(echo, NULL, &options, &other);

        assert_int_equal(first.kind, second.kind);
        assert_memory_equal(&one, &other, sizeof(one));
        assert_true(one.hash != last);
        assert_true(!tn_failed(first) || one.struck > 0);
        last = one.hash;
    }
}

TEST(some_seeds_are_calm_and_all_kinds_of_network_faults_strike_in_others)
{
    struct tn_sim_options options = { .seed = 1 };
    struct tn_sim_outcome outcome;
    unsigned calm = 0, failed = 0;
    uint64_t faults[TN_SIM_FAULT_COUNT] = { 0 };

    for (; options.seed <= 1000; options.seed++) {
        failed += tn_failed(tn_sim_run(echo, NULL, &options, &outcome));
        calm += outcome.struck == 0;
        for (int i = 0; i < TN_SIM_FAULT_COUNT; i++)
            faults[i] += outcome.faults[i];
    }
    assert_true(calm > 100 && calm < 500);
    assert_true(failed > 20 && failed < 500);
    for (int i = TN_SIM_LOSS; i <= TN_SIM_TIMEDOUT; i++)
        assert_true(faults[i] > 0);
}

TEST(only_the_faults_that_are_asked_for_strike)
{
    uint32_t chances[TN_SIM_FAULT_COUNT] = { [TN_SIM_LOSS] = 300000 };
    struct tn_sim_options options = { .seed = 7, .chances = chances };
    struct tn_sim_outcome outcome;

    assert_ok(tn_sim_run(echo, NULL, &options, &outcome));
    assert_true(outcome.faults[TN_SIM_LOSS] > 5);
    assert_int_equal(outcome.struck, outcome.faults[TN_SIM_LOSS]);
    assert_true(outcome.took > TN_SECOND); /* resent after a time-out */

    options.strikes_most = 3;
    assert_ok(tn_sim_run(echo, NULL, &options, &outcome));
    assert_int_equal(outcome.struck, 3);

    options.without = tn_sim_bit(TN_SIM_LOSS);
    assert_ok(tn_sim_run(echo, NULL, &options, &outcome));
    assert_int_equal(outcome.struck, 0);
    assert_string_equal(tn_sim_fault_text(TN_SIM_LOSS), "segments lost");
    assert_string_equal(tn_sim_fault_text(TN_SIM_FAULT_COUNT), "?");
}

static tn_err draw_some(void *arg)
{
    uint64_t *drawn = arg;

    for (int i = 0; i < 100; i++) {
        drawn[i] = tn_sim_random(1000);
        assert_true(drawn[i] < 1000);
    }
    assert_int_equal(tn_sim_random(1), 0);
    return tn_ok();
}

TEST(a_program_draws_from_the_seed)
{
    struct tn_sim_options options = { .seed = 3 };
    uint64_t one[100], other[100];

    assert_ok(tn_sim_run(draw_some, one, &options, NULL));
    assert_ok(tn_sim_run(draw_some, other, &options, NULL));
    assert_memory_equal(one, other, sizeof(one));
    options.seed = 4;
    assert_ok(tn_sim_run(draw_some, other, &options, NULL));
    assert_memory_not_equal(one, other, sizeof(one));
}

static tn_err leave_open(void *arg)
{
    int fd = tn_fd_socket(AF_INET, SOCK_STREAM, 0);

    (void)arg;
    assert_true(fd >= 0);
    return tn_err_user(TN_SYSTEM, 17);
}

TEST(the_outcome_counts_what_a_program_left_open)
{
    struct tn_sim_outcome outcome;
    tn_err err = tn_sim_run(leave_open, NULL, NULL, &outcome);

    assert_kind(err, TN_SYSTEM); /* and the program's error is the run's */
    assert_int_equal(err.code, 17);
    assert_int_equal(outcome.descriptors, 1);
}

TEST(a_driver_that_does_not_exist_is_invalid)
{
    struct tn_sim_options options = { .driver = "kqueue" };

    assert_kind(tn_sim_run(echo, NULL, &options, NULL), TN_INVALID);
}

static tn_err wait_for_nobody(void *arg)
{
    struct tn_listener *listener = NULL;
    struct tn_conn *conn = NULL;
    tn_err err = tn_listen(&listener, "10.0.0.1:0", NULL);

    (void)arg;
    return tn_failed(err) ? err : tn_accept(listener, &conn, TN_NEVER);
}

TEST(a_standstill_ends_the_program_and_names_the_seed)
{
    struct tn_sim_options options = { .seed = 4711, .chances = no_chances };
    char text[500] = "";
    int status, ends[2];
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        tn_ignore(tn_sim_run(wait_for_nobody, NULL, &options, NULL));
        _exit(0);
    }
    close(ends[1]);
    assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "seed 4711"));
}

/* ---- faults on demand, and the truth ---- */

static void reset_it(struct bench *bench)
{
    char byte;
    size_t got;

    assert_true(tn_sim_strike(bench->near, TN_SIM_RESET, 0));
    assert_kind(tn_read(bench->near, &byte, 1, &got, TN_NEVER), TN_RESET);
    assert_kind(tn_read(bench->far, &byte, 1, &got, TN_NEVER), TN_RESET);
}

static void kill_the_peer(struct bench *bench)
{
    uint64_t unacked;

    assert_true(tn_sim_strike(bench->near, TN_SIM_DEAD, 0));
    assert_ok(tn_write(bench->near, "lost", 4, NULL, TN_NEVER));
    assert_kind(tn_confirm(bench->near, &unacked, TN_NEVER), TN_TIMEDOUT);
    assert_int_equal(unacked, 4);
}

static void restart_the_peer(struct bench *bench)
{
    char byte;
    size_t got;

    assert_true(tn_sim_strike(bench->near, TN_SIM_RESTART, 0));
    assert_ok(tn_write(bench->near, "who?", 4, NULL, TN_NEVER));
    assert_kind(tn_read(bench->near, &byte, 1, &got, TN_NEVER), TN_RESET);
}

static void cut_for_a_while(struct bench *bench)
{
    struct tn_sim_truth near, far;
    uint64_t unacked;

    assert_true(tn_sim_strike(bench->near, TN_SIM_CUT, TN_SECOND));
    assert_ok(tn_write(bench->near, "late", 4, NULL, TN_NEVER));
    assert_kind(tn_confirm(bench->near, &unacked, tn_in(500 * TN_MS)), TN_DEADLINE);
    assert_true(tn_sim_truth(bench->near, &near, &far));
    assert_int_equal(near.written, 4);
    assert_int_equal(near.acked + far.received, 0);
    assert_ok(tn_confirm(bench->near, NULL, TN_NEVER));
    assert_true(tn_sim_truth(bench->far, &far, &near)); /* seen from there */
    assert_int_equal(near.acked, 4);
    assert_int_equal(far.received, 4);
    assert_int_equal(far.read, 0);
    assert_false(far.end_received || near.reset_sent || near.closed);
}

static void shut_the_window(struct bench *bench)
{
    static const char bytes[3000000];
    size_t done = 0;

    assert_true(tn_sim_strike(bench->near, TN_SIM_WINDOW, TN_MINUTE));
    assert_kind(tn_write(bench->near, bytes, sizeof(bytes), &done, tn_in(2 * TN_SECOND)),
                TN_DEADLINE);
    assert_true(done < sizeof(bytes));
    assert_false(tn_sim_strike(bench->near, TN_SIM_REFUSED, 0)); /* not of a connection */
}

TEST_ON_DRIVERS(a_fault_can_be_made_to_strike)
{
    play(reset_it);
    play(kill_the_peer);
    play(restart_the_peer);
    play(cut_for_a_while);
    play(shut_the_window);
}

static tn_err strike_a_pair(void *arg)
{
    struct tn_conn *near = NULL, *far = NULL;
    struct tn_sim_truth truth;

    (void)arg;
    assert_ok(tn_pair(&near, &far));
    assert_false(tn_sim_strike(near, TN_SIM_RESET, 0));
    assert_false(tn_sim_truth(near, &truth, NULL));
    tn_abort(&near);
    tn_abort(&far);
    return tn_ok();
}

TEST_ON_DRIVERS(unix_streams_and_real_connections_are_not_struck)
{
    assert_ok(tn_sim_run(strike_a_pair, NULL, NULL, NULL));
    run_ok(strike_a_pair, NULL);
}
