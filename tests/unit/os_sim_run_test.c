/* SPDX-License-Identifier: MIT */
/*
 * os_sim_run_test.c -- tasks and connections on the simulator: virtual time, the same run
 * from the same seed, and the network's faults as a program meets them.
 */
#include "harness/harness.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "os/sim.h"
#include "task/park.h"
#include "task/run.h"

static struct sim *open_sim(const struct sim_options *options)
{
    struct sim *sim = NULL;

    assert_errno(sim_open(&sim, options), 0);
    return sim;
}

/* The run is over: nothing may be left of it. */
static void close_sim(struct sim *sim)
{
    struct sim_facts facts;

    sim_facts(sim, &facts);
    assert_int_equal(facts.descriptors, 0);
    assert_int_equal(facts.allocations, 0);
    assert_int_equal(facts.mapped, 0);
    assert_int_equal(facts.armed, 0);
    assert_int_equal(facts.lent, 0);
    assert_int_equal(facts.sigpipes, 0);
    sim_close(sim);
}

static void run(struct sim *sim, tn_task_fn *fn, void *arg)
{
    struct tn_loop_options options = { .driver = test_driver() };

    assert_ok(run_on(sim_os(sim), fn, arg, &options));
}

static tn_err sleep_an_hour(void *arg)
{
    int64_t *took = arg, start = tn_now();
    tn_err err = tn_sleep(tn_in(60 * TN_MINUTE));

    *took = tn_now() - start;
    return err;
}

TEST_ON_DRIVERS(a_virtual_hour_takes_no_time)
{
    struct sim *sim = open_sim(NULL);
    struct timespec before, after;
    int64_t took = 0;

    clock_gettime(CLOCK_MONOTONIC, &before);
    run(sim, sleep_an_hour, &took);
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(took >= 60 * TN_MINUTE && took < 60 * TN_MINUTE + TN_MS);
    assert_true(after.tv_sec - before.tv_sec < 10);
    close_sim(sim);
}

/* ---- an echo over tn_conn ---- */

struct echo {
    struct sim *sim;
    const char *where;
    int rounds;
    size_t size;
    struct tn_conn_options conn;
    tn_ending near, far;
    tn_err near_result, far_result;
};

static tn_err echo_serve(void *arg)
{
    struct echo *echo = arg;
    struct tn_listener *listener = NULL;
    struct tn_conn *conn = NULL;
    char buf[3000];
    size_t got;

    assert_ok(tn_listen(&listener, echo->where, NULL));
    assert_ok(tn_accept(listener, &conn, TN_NEVER));
    tn_listener_close(&listener);
    for (;;) {
        tn_err err = tn_read(conn, buf, sizeof(buf), &got, TN_NEVER);
        if (err.kind == TN_EOF)
            break;
        assert_ok(err);
        assert_ok(tn_write(conn, buf, got, NULL, TN_NEVER));
    }
    echo->far_result = tn_close(&conn, &echo->far, tn_in(TN_MINUTE));
    return tn_ok();
}

static tn_err echo_main(void *arg)
{
    struct echo *echo = arg;
    struct tn_conn *conn = NULL;
    struct tn_task *server = NULL;
    static char out[20000], in[20000];
    size_t done;

    assert_ok(tn_go(NULL, echo_serve, echo, NULL, &server));
    tn_yield();
    assert_ok(tn_dial(&conn, echo->where, &echo->conn, TN_NEVER));
    for (int i = 0; i < echo->rounds; i++) {
        memset(out, 'a' + i % 26, echo->size);
        assert_ok(tn_write(conn, out, echo->size, &done, TN_NEVER));
        assert_ok(tn_read_all(conn, in, echo->size, &done, TN_NEVER));
        assert_memory_equal(in, out, echo->size);
    }
    assert_ok(tn_confirm(conn, NULL, TN_NEVER));
    echo->near_result = tn_close(&conn, &echo->near, tn_in(TN_MINUTE));
    return tn_join(&server, NULL, TN_NEVER);
}

TEST_ON_DRIVERS(a_connection_works_over_a_faultless_network)
{
    struct sim *sim = open_sim(NULL);
    struct echo echo = { .sim = sim, .where = "10.0.0.2:80", .rounds = 50, .size = 100 };

    run(sim, echo_main, &echo);
    assert_ok(echo.near_result);
    assert_ok(echo.far_result);
    assert_int_equal(echo.near.how, TN_CLEAN);
    assert_int_equal(echo.far.how, TN_CLEAN);
    close_sim(sim);
}

/* A network of 20 ms, with 5 % of the segments lost and every fault of calls. */
static const struct sim_options rough = {
    .seed = 1,
    .route = { .there = { .delay_min = 5 * TN_MS, .delay_max = 20 * TN_MS },
               .back = { .delay_min = 5 * TN_MS, .delay_max = 20 * TN_MS },
               .segment = 1448,
               .ack_delay = 40 * TN_MS },
    .chances = { .of = { [SIM_LOSS] = 50000,
                         [SIM_SLOW] = 10000,
                         [SIM_SHORT_READ] = 100000,
                         [SIM_SHORT_WRITE] = 100000,
                         [SIM_LATE] = 100000,
                         [SIM_SPURIOUS] = 100000,
                         [SIM_EINTR] = 50000,
                         [SIM_STARVED] = 50000,
                         [SIM_SPLIT] = 100000,
                         [SIM_AFTER_CANCEL] = 500000 } },
};

static uint64_t rough_echo(uint64_t seed, bool confirmable)
{
    struct sim_options options = rough;
    struct echo echo = { .where = "10.0.0.2:80",
                         .rounds = 60,
                         .size = 6000,
                         .conn.confirmable = confirmable };
    uint64_t hash;

    options.seed = seed;
    echo.sim = open_sim(&options);
    run(echo.sim, echo_main, &echo);
    assert_int_equal(echo.near.how, TN_CLEAN);
    assert_int_equal(echo.far.how, TN_CLEAN);
    hash = sim_hash(echo.sim);
    close_sim(echo.sim);
    return hash;
}

TEST_ON_DRIVERS(a_connection_works_over_a_rough_network)
{
    for (uint64_t seed = 1; seed <= 30; seed++)
        (void)rough_echo(seed, seed % 2 == 0);
}

TEST_ON_DRIVERS(the_same_seed_gives_the_same_run_and_another_one_does_not)
{
    uint64_t hash = rough_echo(7, false);

    assert_true(hash == rough_echo(7, false));
    assert_true(hash != rough_echo(8, false));
}

/* ---- signals ---- */

static tn_err raise_some(void *arg)
{
    (void)arg;
    assert_ok(tn_sleep(tn_in(TN_MINUTE)));
    sim_raise(sim_under(task_os()), SIGUSR1); /* nobody wants it */
    assert_ok(tn_sleep(tn_in(TN_MINUTE)));
    sim_raise(sim_under(task_os()), SIGTERM);
    return tn_ok();
}

static tn_err wait_for_signals(void *arg)
{
    static const int wanted[] = { SIGTERM, SIGHUP };
    int64_t start = tn_now();
    struct tn_signals *signals = NULL;
    int number = 0;

    (void)arg;
    assert_ok(tn_signals_open(&signals, wanted, 2));
    assert_ok(tn_go(NULL, raise_some, NULL, NULL, NULL));
    assert_kind(tn_signals_wait(signals, &number, tn_in(TN_SECOND)), TN_DEADLINE);
    assert_int_equal(number, 0);
    assert_ok(tn_signals_wait(signals, &number, TN_NEVER));
    assert_int_equal(number, SIGTERM);
    assert_true(tn_now() - start >= 2 * TN_MINUTE);
    tn_signals_close(&signals);
    return tn_ok();
}

TEST_ON_DRIVERS(a_signal_that_is_raised_ends_a_wait_for_it)
{
    struct sim *sim = open_sim(NULL);

    run(sim, wait_for_signals, NULL);
    close_sim(sim);
}
