/* SPDX-License-Identifier: MIT */
/*
 * task_thread_test.c -- threads with loops: how they are closed, and what opening one may
 * lack.
 */
#include "harness/harness.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#define POSTERS 4

static struct tn_loop *open_thread(void)
{
    struct tn_loop *loop = NULL;

    assert_ok(tn_thread_open(&loop, NULL));
    return loop;
}

static tn_err count_one(void *arg)
{
    (*(int *)arg)++;
    return tn_ok();
}

/* ---- closing ---- */

static tn_err sleep_for_ever(void *arg)
{
    *(tn_err *)arg = tn_sleep(TN_NEVER);
    return tn_ok();
}

TEST_ON_DRIVERS(a_close_with_cancel_cancels_the_tasks_and_waits_for_them)
{
    struct tn_loop *loop = open_thread();
    tn_err seen = tn_ok();

    assert_ok(tn_post(loop, sleep_for_ever, &seen, NULL));
    tn_thread_close(&loop, true);
    assert_kind(seen, TN_CANCELED);
}

static tn_err sleep_a_little(void *arg)
{
    *(tn_err *)arg = tn_sleep(tn_in(5 * TN_MS));
    *(bool *)((tn_err *)arg + 1) = true;
    return tn_ok();
}

TEST_ON_DRIVERS(a_close_without_cancel_lets_the_tasks_end_by_themselves)
{
    struct {
        tn_err err;
        bool ended;
    } seen = { .ended = false };
    struct tn_loop *loop = open_thread();

    assert_ok(tn_post(loop, sleep_a_little, &seen, NULL));
    tn_thread_close(&loop, false);
    assert_true(seen.ended);
    assert_ok(seen.err);
}

static tn_err start_another(void *arg)
{
    tn_err *seen = arg;
    tn_err err = tn_sleep(TN_NEVER);

    assert_kind(err, TN_CANCELED);
    *seen = tn_go(NULL, sleep_for_ever, seen, NULL, NULL);
    return tn_ok();
}

TEST_ON_DRIVERS(a_canceled_loop_starts_no_new_tasks)
{
    struct tn_loop *loop = open_thread();
    tn_err seen = tn_ok();

    assert_ok(tn_post(loop, start_another, &seen, NULL));
    tn_thread_close(&loop, true);
    assert_kind(seen, TN_CANCELED);
}

/* Threads that post until they are refused. */
struct refusal {
    struct tn_loop *loop;
    atomic_int refused, accepted;
    int ran;
};

static tn_err count_run(void *arg)
{
    ((struct refusal *)arg)->ran++;
    return tn_ok();
}

/* Lives until all posters have been refused: the loop must not go before. */
static tn_err outlive_the_posters(void *arg)
{
    struct refusal *refusal = arg;

    while (atomic_load(&refusal->refused) < POSTERS)
        tn_ignore(tn_sleep(tn_shielded(100 * TN_US))); /* cannot fail */
    return tn_ok();
}

static void *post_until_refused(void *arg)
{
    struct refusal *refusal = arg;
    tn_err err;

    while ((err = tn_post(refusal->loop, count_run, refusal, NULL)).kind != TN_CLOSED) {
        if (!tn_failed(err))
            atomic_fetch_add(&refusal->accepted, 1);
        sched_yield();
    }
    atomic_fetch_add(&refusal->refused, 1);
    return NULL;
}

static void refuse_posts(bool cancel)
{
    /* ThreadSanitizer takes a task for a thread, of which it allows 8,128. */
    struct tn_loop_options options = { .tasks_max = 2000 };
    struct refusal refusal = { .ran = 0 };
    pthread_t threads[POSTERS];

    assert_ok(tn_thread_open(&refusal.loop, &options));
    assert_ok(tn_post(refusal.loop, outlive_the_posters, &refusal, NULL));
    for (int i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_until_refused, &refusal),
                         0);
    while (atomic_load(&refusal.accepted) < 100)
        sched_yield();
    tn_thread_close(&refusal.loop, cancel);
    for (int i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    assert_true(refusal.ran <= atomic_load(&refusal.accepted));
    assert_true(refusal.ran >= 100 || cancel);
}

TEST_ON_DRIVERS(a_loop_that_is_being_closed_refuses_posts)
{
    refuse_posts(false);
    refuse_posts(true);
}

/* ---- what fails ---- */

TEST(a_thread_with_an_unknown_driver_is_refused)
{
    struct tn_loop_options options = { .driver = "none" };
    struct tn_loop *loop = NULL;

    assert_kind(tn_thread_open(&loop, &options), TN_INVALID);
    assert_null(loop);
}

/* Leaves room for COUNT more descriptors. */
static void limit_descriptors(rlim_t count)
{
    struct rlimit limit;
    int lowest;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    lowest = dup(STDERR_FILENO);
    assert_true(lowest >= 0);
    close(lowest);
    limit.rlim_cur = (rlim_t)lowest + count;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

TEST_ON_DRIVERS(a_thread_without_descriptors_is_refused)
{
    struct tn_loop *loop = NULL;

    for (rlim_t count = 0; count < 2; count++) { /* the driver's, the wake-up's */
        limit_descriptors(count);
        assert_kind(tn_thread_open(&loop, NULL), TN_LIMIT);
    }
    assert_null(loop);
}

static tn_err self_without_descriptors(void *arg)
{
    struct tn_loop *loop = NULL;

    (void)arg;
    limit_descriptors(0);
    assert_kind(tn_loop_self(&loop), TN_LIMIT);
    assert_null(loop);
    limit_descriptors(1);
    assert_ok(tn_loop_self(&loop));
    return tn_ok();
}

TEST_ON_DRIVERS(the_loop_of_a_task_needs_a_descriptor_for_the_wake_up)
{
    run_ok(self_without_descriptors, NULL);
}

static tn_err nest(void *arg)
{
    struct tn_loop *loop = NULL;

    (void)arg;
    assert_kind(tn_run(count_one, NULL, NULL), TN_INVALID);
    assert_kind(tn_loop_open(&loop, NULL), TN_INVALID);
    assert_null(loop);
    return tn_ok();
}

TEST_ON_DRIVERS(a_thread_has_one_loop)
{
    run_ok(nest, NULL);
}
