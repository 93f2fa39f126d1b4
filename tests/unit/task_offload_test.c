/* SPDX-License-Identifier: MIT */
/*
 * task_offload_test.c -- blocking work on helper threads: what the caller gets, and who
 * owns the argument when the caller has gone.
 */
#include "offload_rig.h"

#include <dirent.h>
#include <signal.h>
#include <sched.h>
#include <stdio.h>

#include "os/fault.h"
#include "os/os.h"
#include "task/run.h"

TEST_IN_TASK(work_runs_on_another_thread_while_the_loop_goes_on)
{
    struct work work;
    struct tn_task *task;

    work_init(&work);
    task = start(offload_gate, &work);
    wait_for(&work.begun);
    assert_int_equal(atomic_load(&work.ran), 0);
    assert_ok(tn_sleep(tn_in(TN_MS)));
    sem_post(&work.gate); /* a thread that did the work itself would never come here */
    join(task);
    assert_ok(work.err);
    assert_int_equal(atomic_load(&work.ran), 1);
    assert_int_equal(atomic_load(&work.discarded), 0);
    assert_false(pthread_equal(work.thread, pthread_self()));
}

static void check_left_behind(struct work *work, struct tn_task *task, unsigned kind)
{
    join(task); /* though the work still stands at its gate */
    assert_kind(work->err, kind);
    assert_string_equal(tn_err_op(work->err), "offload");
    assert_int_equal(atomic_load(&work->ran), 0);
    assert_int_equal(atomic_load(&work->discarded), 0);
    sem_post(&work->gate);
    wait_for(&work->was_discarded);
    assert_int_equal(atomic_load(&work->ran), 1);
    assert_int_equal(atomic_load(&work->discarded), 1);
    assert_true(pthread_equal(work->discard_thread, work->thread));
}

TEST_IN_TASK(a_canceled_caller_leaves_the_work_which_discards_its_argument_at_its_end)
{
    struct work work;
    struct tn_task *task;

    work_init(&work);
    task = start(offload_gate, &work);
    wait_for(&work.begun);
    tn_cancel(task);
    check_left_behind(&work, task, TN_CANCELED);
}

TEST_IN_TASK(a_caller_out_of_time_leaves_the_work_which_discards_its_argument_at_its_end)
{
    struct work work;
    struct tn_task *task = NULL;

    for (int64_t length = 3 * TN_MS;; length *= 2) {
        work_init(&work);
        work.deadline = tn_in(length);
        task = start(offload_gate, &work);
        if (atomic_load(&work.discarded) == 0)
            break;
        join(task); /* it was out of time before it could offload: a busy machine */
    }
    wait_for(&work.begun);
    check_left_behind(&work, task, TN_DEADLINE);
}

TEST_IN_TASK(a_caller_with_no_time_or_canceled_before_discards_at_once)
{
    unsigned threads = threads_of_this_process();
    struct work work, canceled;
    struct tn_task *task = NULL;

    work_init(&work);
    assert_kind(tn_offload(run_at_once, &work, discard, TN_NOW), TN_DEADLINE);
    assert_int_equal(atomic_load(&work.discarded), 1);
    assert_int_equal(atomic_load(&work.ran), 0);
    work_init(&canceled);
    assert_ok(tn_go(NULL, offload_gate, &canceled, NULL, &task));
    tn_cancel(task);
    join(task);
    assert_kind(canceled.err, TN_CANCELED);
    assert_int_equal(atomic_load(&canceled.discarded), 1);
    assert_int_equal(threads_of_this_process(), threads); /* no helper was asked */
}

TEST_IN_TASK(work_that_has_not_begun_when_its_caller_leaves_never_does)
{
    static struct full_pool full;
    struct work late, canceled;
    struct tn_task *one, *two;

    pool_fill(&full);
    work_init(&late);
    work_init(&canceled);
    late.deadline = tn_in(2 * TN_MS);
    one = start(offload_now, &late);
    two = start(offload_now, &canceled);
    tn_cancel(two);
    join(one);
    join(two);
    assert_kind(late.err, TN_DEADLINE);
    assert_kind(canceled.err, TN_CANCELED);
    assert_int_equal(atomic_load(&late.discarded), 1); /* at once, in the caller */
    assert_int_equal(atomic_load(&canceled.discarded), 1);
    pool_drain(&full);
    assert_int_equal(atomic_load(&late.ran) + atomic_load(&canceled.ran), 0);
}

/* ---- the same instant ---- */

static void race_work(void *arg)
{
    atomic_fetch_add(&((struct work *)arg)->ran, 1);
}

static tn_err offload_race(void *arg)
{
    struct work *work = arg;

    work->err = tn_offload(race_work, work, discard, work->deadline);
    return tn_ok();
}

TEST_IN_TASK(whatever_comes_first_a_success_keeps_the_argument_and_a_failure_discards_it,
             .limit_s = 60)
{
    unsigned succeeded = 0, failed = 0;

    for (int i = 0; i < 400; i++) {
        struct work work;
        struct tn_task *task = NULL;

        work_init(&work);
        if (i % 2 == 0)
            work.deadline = tn_in((i % 40) * 2 * TN_US);
        assert_ok(tn_go(NULL, offload_race, &work, NULL, &task));
        tn_yield();
        for (int spin = 0; spin < i % 23 * 40; spin++)
            atomic_load(&work.ran);
        if (i % 2 == 1)
            tn_cancel(task);
        join(task);
        if (tn_failed(work.err)) {
            wait_for(&work.was_discarded);
            assert_int_equal(atomic_load(&work.discarded), 1);
            failed++;
        } else {
            assert_int_equal(atomic_load(&work.ran), 1);
            assert_int_equal(atomic_load(&work.discarded), 0);
            succeeded++;
        }
    }
    printf("%u succeeded, %u failed\n", succeeded, failed);
}

/* What has been done before the cancel is reported as done, though it had not arrived. */
TEST_IN_TASK(work_done_before_a_cancel_is_a_success)
{
    for (int i = 0; i < 50; i++) {
        struct work work;
        struct tn_task *task = NULL;
        tn_deadline pause;

        work_init(&work);
        assert_ok(tn_go(NULL, offload_race, &work, NULL, &task));
        tn_yield();
        while (atomic_load(&work.ran) == 0)
            continue;
        pause = tn_in(300 * TN_US); /* without a park: until it has been posted */
        while (tn_left(pause) > 0)
            continue;
        tn_cancel(task);
        join(task);
        if (tn_failed(work.err)) /* the helper was kept from its last steps that long */
            wait_for(&work.was_discarded);
        else
            return;
    }
    fail_test("the cancel always won");
}

static void look_at_signals(void *arg)
{
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, arg), 0);
}

static void forget(void *arg)
{
    (void)arg;
}

TEST_IN_TASK(helpers_block_signals_but_not_faults)
{
    sigset_t blocked, here, after;

    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &here), 0);
    assert_ok(tn_offload(look_at_signals, &blocked, forget, TN_NEVER));
    for (int number = 1; number < 32; number++) {
        bool fault = number == SIGSEGV || number == SIGBUS || number == SIGFPE ||
                     number == SIGILL || number == SIGTRAP || number == SIGSYS;
        if (number != SIGKILL && number != SIGSTOP)
            assert_int_equal(sigismember(&blocked, number), !fault);
    }
    assert_int_equal(sigismember(&blocked, SIGRTMAX), 1);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &after), 0);
    for (int number = 1; number < NSIG; number++)
        assert_int_equal(sigismember(&here, number), sigismember(&after, number));
}

/* ---- a loop that ends while the helper is on its way out ---- */

static atomic_bool loop_is_gone, was_gone;
static struct os_calls slow_calls;
static sem_t write_is_over;

/* Wakes the loop, and stays a little longer inside of the push. */
static ssize_t slow_write(struct os *os, int fd, const void *buf, size_t size)
{
    ssize_t result = os_linux.calls->write(os, fd, buf, size);
    int64_t end = os_now(os) + 50 * TN_MS;

    while (os_now(os) < end && !atomic_load(&loop_is_gone))
        sched_yield();
    atomic_store(&was_gone, atomic_load(&loop_is_gone));
    sem_post(&write_is_over);
    return result;
}

static tn_err offload_once(void *arg)
{
    return tn_offload(run_at_once, arg, discard, TN_NEVER);
}

TEST_ON_DRIVERS(a_loop_does_not_end_before_the_helper_has_left_it)
{
    struct os slow = { &slow_calls };
    struct work work;

    slow_calls = *os_linux.calls;
    slow_calls.write = slow_write;
    sem_init(&write_is_over, 0, 0);
    work_init(&work);
    assert_ok(run_on(&slow, offload_once, &work, NULL));
    atomic_store(&loop_is_gone, true);
    wait_for(&write_is_over);
    assert_int_equal(atomic_load(&work.ran), 1);
    assert_false(atomic_load(&was_gone));
}

/* ---- systems of one thread ---- */

static tn_err offload_on_one_thread(void *arg)
{
    struct work work, canceled;
    struct tn_task *task = NULL;

    (void)arg;
    work_init(&work);
    assert_ok(tn_offload(run_at_once, &work, discard, TN_NEVER));
    assert_true(pthread_equal(work.thread, pthread_self()));
    assert_int_equal(atomic_load(&work.discarded), 0);
    work_init(&canceled);
    assert_ok(tn_go(NULL, offload_now, &canceled, NULL, &task));
    tn_yield();
    tn_cancel(task);
    join(task);
    assert_kind(canceled.err, TN_CANCELED);
    assert_int_equal(atomic_load(&canceled.discarded), 1);
    assert_int_equal(atomic_load(&canceled.ran), 0);
    return tn_ok();
}

TEST_ON_DRIVERS(on_a_system_of_one_thread_the_work_takes_its_turn_on_the_loop)
{
    struct fault fault;

    fault_init(&fault, &os_linux);
    assert_ok(run_on(&fault.os, offload_on_one_thread, NULL, NULL));
}
