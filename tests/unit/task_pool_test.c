/* SPDX-License-Identifier: MIT */
/*
 * task_pool_test.c -- the helper threads behind tn_offload: how many, how long, for whom.
 */
#include "offload_rig.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sanitized.h"

TEST_IN_TASK(sixteen_run_at_once_and_the_next_waits_for_one_to_end)
{
    static struct full_pool full;
    struct work more;
    struct tn_task *task;

    pool_fill(&full);
    work_init(&more);
    task = start(offload_now, &more);
    assert_ok(tn_sleep(tn_in(5 * TN_MS)));
    assert_int_equal(atomic_load(&more.ran), 0);
    sem_post(&full.works[3].gate);
    join(task);
    assert_ok(more.err);
    assert_int_equal(atomic_load(&more.ran), 1);
    pool_drain(&full);
}

TEST_IN_TASK(a_full_queue_is_a_limit_and_discards, .limit_s = 60)
{
    static struct full_pool full;
    static struct work queued[TN_OFFLOAD_QUEUE];
    static struct tn_task *tasks[TN_OFFLOAD_QUEUE];
    struct work refused;

    pool_fill(&full);
    for (int i = 0; i < TN_OFFLOAD_QUEUE; i++) {
        work_init(&queued[i]);
        assert_ok(tn_go(NULL, offload_now, &queued[i], NULL, &tasks[i]));
    }
    tn_yield();
    work_init(&refused);
    assert_kind(tn_offload(run_at_once, &refused, discard, TN_NEVER), TN_LIMIT);
    assert_int_equal(atomic_load(&refused.discarded), 1);
    tn_cancel(tasks[7]); /* makes room for one */
    join(tasks[7]);
    tasks[7] = start(offload_now, &queued[7]);
    assert_kind(tn_offload(run_at_once, &refused, discard, TN_NEVER), TN_LIMIT);
    pool_drain(&full);
    for (int i = 0; i < TN_OFFLOAD_QUEUE; i++) {
        join(tasks[i]);
        assert_ok(queued[i].err);
        assert_int_equal(atomic_load(&queued[i].ran), 1);
    }
}

TEST_IN_TASK(without_a_descriptor_for_the_wake_up_it_is_a_limit)
{
    struct rlimit limit;
    struct work work;

    work_init(&work);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_kind(tn_offload(run_at_once, &work, discard, TN_NEVER), TN_LIMIT);
    assert_int_equal(atomic_load(&work.discarded), 1);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

TEST_IN_TASK(without_any_thread_it_is_a_limit)
{
    pthread_attr_t usual, huge;
    struct work work;

    work_init(&work);
    assert_int_equal(pthread_getattr_default_np(&usual), 0);
    assert_int_equal(pthread_attr_init(&huge), 0);
    assert_int_equal(pthread_attr_setstacksize(&huge, (size_t)1 << 50), 0);
    assert_int_equal(pthread_setattr_default_np(&huge), 0);
    assert_kind(tn_offload(run_at_once, &work, discard, TN_NEVER), TN_LIMIT);
    assert_int_equal(atomic_load(&work.discarded), 1);
    assert_int_equal(pthread_setattr_default_np(&usual), 0);
    assert_ok(tn_offload(run_at_once, &work, discard, TN_NEVER));
    assert_int_equal(atomic_load(&work.ran), 1);
}

TEST_IN_TASK(idle_helpers_end_after_some_seconds_and_come_back_when_needed)
{
    struct work work;
    unsigned count;

    work_init(&work);
    assert_ok(tn_offload(run_at_once, &work, discard, TN_NEVER));
    count = threads_of_this_process();
    assert_ok(tn_offload(run_at_once, &work, discard, TN_NEVER)); /* by the same one */
    assert_int_equal(threads_of_this_process(), count);
    while (threads_of_this_process() == count)
        assert_ok(tn_sleep(tn_in(20 * TN_MS)));
    assert_ok(tn_offload(run_at_once, &work, discard, TN_NEVER));
    assert_int_equal(atomic_load(&work.ran), 3);
}

/* ---- threads ---- */

#define LOOPS 3
#define JOBS  60

struct many {
    struct tn_loop *loop;
    atomic_int started, ran, discarded, failed, succeeded, running, most;
};

static void many_work(void *arg)
{
    struct many *many = arg;
    int now = atomic_fetch_add(&many->running, 1) + 1, most = atomic_load(&many->most);

    while (now > most && !atomic_compare_exchange_weak(&many->most, &most, now))
        continue;
    sched_yield();
    atomic_fetch_add(&many->ran, 1);
    atomic_fetch_sub(&many->running, 1);
}

static void many_discard(void *arg)
{
    atomic_fetch_add(&((struct many *)arg)->discarded, 1);
}

static tn_err many_task(void *arg)
{
    struct many *many = arg;
    bool hurry = atomic_fetch_add(&many->started, 1) % 3 == 0;
    tn_deadline deadline = hurry ? tn_in(80 * TN_US) : TN_NEVER;
    tn_err err = tn_offload(many_work, many, many_discard, deadline);

    atomic_fetch_add(tn_failed(err) ? &many->failed : &many->succeeded, 1);
    return tn_ok();
}

TEST_ON_DRIVERS(loops_of_several_threads_share_the_pool, .limit_s = 60)
{
    static struct many many;
    struct tn_loop *loops[LOOPS] = { NULL };

    for (int i = 0; i < LOOPS; i++)
        assert_ok(tn_thread_open(&loops[i], NULL));
    for (int k = 0; k < JOBS; k++)
        for (int i = 0; i < LOOPS; i++)
            assert_ok(tn_post(loops[i], many_task, &many, NULL));
    for (int i = 0; i < LOOPS; i++)
        tn_thread_close(&loops[i], i == 2);
    while (atomic_load(&many.discarded) < atomic_load(&many.failed))
        sched_yield();
    assert_int_equal(atomic_load(&many.failed) + atomic_load(&many.succeeded),
                     LOOPS * JOBS);
    assert_int_equal(atomic_load(&many.discarded), atomic_load(&many.failed));
    assert_in_range(atomic_load(&many.most), 1, TN_OFFLOAD_THREADS);
}

/* ---- forked children ---- */

static tn_err offload_in_child(void *arg)
{
    struct work *work = arg;

    work_init(work);
    assert_ok(tn_offload(run_at_once, work, discard, TN_NEVER));
    assert_int_equal(atomic_load(&work->ran), 1);
    return tn_ok();
}

static void child_of_a_full_pool(void)
{
    struct work work;

    assert_ok(tn_run(offload_in_child, &work, NULL));
    _exit(0);
}

TEST_IN_TASK(a_forked_child_has_a_pool_of_its_own)
{
    static struct full_pool full;
    struct work queued;
    struct tn_task *task;
    int status = 0;
    pid_t child;

    if (SANITIZED_THREADS)
        skip_test("ThreadSanitizer allows no threads in a child of several threads");
    pool_fill(&full);
    work_init(&queued);
    task = start(offload_now, &queued);
    child = fork();
    if (child == 0)
        child_of_a_full_pool();
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    pool_drain(&full);
    join(task);
    assert_ok(queued.err);
    assert_int_equal(atomic_load(&queued.ran), 1);
}

/* Waits until other work has been done, on another helper. */
static sem_t other_is_done;

static void discard_slowly(void *arg)
{
    struct timespec limit;

    assert_int_equal(clock_gettime(CLOCK_REALTIME, &limit), 0);
    limit.tv_sec += 10 * (time_t)test_scale();
    assert_int_equal(sem_timedwait(&other_is_done, &limit), 0);
    discard(arg);
}

static tn_err offload_discarded_slowly(void *arg)
{
    struct work *work = arg;

    work->err = tn_offload(stand_at_gate, work, discard_slowly, TN_NEVER);
    return tn_ok();
}

TEST_IN_TASK(a_discard_that_takes_long_holds_up_no_other_work)
{
    struct work left, other;
    struct tn_task *task;

    sem_init(&other_is_done, 0, 0);
    work_init(&left);
    work_init(&other);
    task = start(offload_discarded_slowly, &left);
    wait_for(&left.begun);
    tn_cancel(task);
    join(task);
    sem_post(&left.gate); /* its helper goes on to the discard */
    while (atomic_load(&left.ran) == 0)
        assert_ok(tn_sleep(tn_in(TN_MS / 4)));
    assert_ok(tn_offload(run_at_once, &other, discard, tn_in(8 * TN_SECOND)));
    sem_post(&other_is_done);
    wait_for(&left.was_discarded);
}
