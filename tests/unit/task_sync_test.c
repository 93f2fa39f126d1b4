/* SPDX-License-Identifier: MIT */
/*
 * task_sync_test.c -- mutex and condition: order, hand-over, and cancels and deadlines
 * that come in the same instant as the wake.
 */
#include "harness/harness.h"

struct waiting {
    struct tn_mutex *mutex;
    struct tn_cond *cond;
    tn_deadline deadline;
    tn_err err;
    int id, *log, *logged;
    bool has_it; /* the mutex, when the wait was over */
};

static void note(struct waiting *self)
{
    if (self->log != NULL)
        self->log[(*self->logged)++] = self->id;
}

static tn_err lock_it(void *arg)
{
    struct waiting *self = arg;

    self->err = tn_mutex_lock(self->mutex, self->deadline);
    self->has_it = !tn_failed(self->err);
    note(self);
    if (self->has_it)
        tn_mutex_unlock(self->mutex);
    return tn_ok();
}

static tn_err wait_for_it(void *arg)
{
    struct waiting *self = arg;

    assert_ok(tn_mutex_lock(self->mutex, TN_NEVER));
    self->err = tn_cond_wait(self->cond, self->mutex, self->deadline);
    self->has_it = true;
    note(self);
    tn_mutex_unlock(self->mutex); /* stops the program if it has not got it */
    return tn_ok();
}

static struct tn_task *start(tn_task_fn *fn, struct waiting *waiting)
{
    struct tn_task *task = NULL;

    assert_ok(tn_go(NULL, fn, waiting, NULL, &task));
    return task;
}

/* Starts FN and lets it run until it parks. */
static struct tn_task *start_and_park(tn_task_fn *fn, struct waiting *waiting)
{
    struct tn_task *task = start(fn, waiting);

    tn_yield();
    return task;
}

static void join(struct tn_task *task)
{
    assert_ok(tn_join(&task, NULL, TN_NEVER));
}

TEST_IN_TASK(a_free_mutex_is_taken_at_once_even_when_canceled_or_out_of_time)
{
    struct tn_mutex mutex = { 0 };

    struct waiting one = { .mutex = &mutex, .deadline = TN_NOW };
    struct tn_task *task = start(lock_it, &one);

    tn_cancel(task);
    join(task);
    assert_ok(one.err);
    assert_null(mutex.owner);
}

TEST_IN_TASK(locking_a_mutex_twice_is_a_deadlock)
{
    struct tn_mutex mutex = { 0 };
    tn_err err;

    assert_ok(tn_mutex_lock(&mutex, TN_NEVER));
    err = tn_mutex_lock(&mutex, TN_NEVER);
    assert_kind(err, TN_DEADLOCK);
    assert_string_equal(tn_err_op(err), "lock");
    tn_mutex_unlock(&mutex);
}

TEST_IN_TASK(a_mutex_is_handed_to_its_waiters_in_their_order)
{
    struct tn_mutex mutex = { 0 };
    struct waiting waiting[5];
    struct tn_task *tasks[5];
    int log[5], logged = 0;

    assert_ok(tn_mutex_lock(&mutex, TN_NEVER));
    for (int i = 0; i < 5; i++) {
        waiting[i] = (struct waiting){
            .mutex = &mutex, .deadline = TN_NEVER, .id = i, .log = log, .logged = &logged
        };
        tasks[i] = start_and_park(lock_it, &waiting[i]);
    }
    tn_mutex_unlock(&mutex);
    /* It is the first waiter's, who has not run yet: nobody overtakes. */
    assert_ptr_equal(mutex.owner, tasks[0]);
    assert_kind(tn_mutex_lock(&mutex, TN_NOW), TN_DEADLINE);
    for (int i = 0; i < 5; i++)
        join(tasks[i]);
    for (int i = 0; i < 5; i++)
        assert_int_equal(log[i], i);
    assert_null(mutex.owner);
}

TEST_IN_TASK(a_lock_fails_past_its_deadline_and_leaves_the_mutex_alone)
{
    struct tn_mutex mutex = { 0 };
    struct waiting one = { .mutex = &mutex, .deadline = tn_in(5 * TN_MS) };
    struct waiting two = { .mutex = &mutex, .deadline = TN_NEVER };
    struct tn_task *first, *second;

    assert_ok(tn_mutex_lock(&mutex, TN_NEVER));
    first = start_and_park(lock_it, &one);
    second = start_and_park(lock_it, &two);
    join(first);
    assert_kind(one.err, TN_DEADLINE);
    tn_mutex_unlock(&mutex);
    join(second);
    assert_true(two.has_it);
}

TEST_IN_TASK(a_canceled_lock_fails_and_the_next_waiter_gets_the_mutex)
{
    struct tn_mutex mutex = { 0 };
    struct waiting one = { .mutex = &mutex, .deadline = TN_NEVER };
    struct waiting two = { .mutex = &mutex, .deadline = TN_NEVER };
    struct tn_task *first, *second;

    assert_ok(tn_mutex_lock(&mutex, TN_NEVER));
    first = start_and_park(lock_it, &one);
    second = start_and_park(lock_it, &two);
    tn_cancel(first);
    tn_mutex_unlock(&mutex); /* in the same instant, but after the cancel */
    assert_ptr_equal(mutex.owner, second);
    join(first);
    join(second);
    assert_kind(one.err, TN_CANCELED);
    assert_true(two.has_it);
}

TEST_IN_TASK(a_lock_that_was_handed_over_stays_so_when_a_cancel_follows)
{
    struct tn_mutex mutex = { 0 };
    struct waiting one = { .mutex = &mutex, .deadline = TN_NEVER };
    struct tn_task *first;

    assert_ok(tn_mutex_lock(&mutex, TN_NEVER));
    first = start_and_park(lock_it, &one);
    tn_mutex_unlock(&mutex);
    tn_cancel(first);
    join(first);
    assert_ok(one.err);
    assert_true(one.has_it);
    assert_null(mutex.owner);
}

TEST_IN_TASK(a_lock_handed_over_before_the_loop_saw_its_deadline_is_a_success)
{
    struct tn_mutex mutex = { 0 };
    struct waiting one;
    bool handed_over = false;

    for (int64_t length = TN_MS; !handed_over; length *= 2) { /* if the machine is busy */
        tn_deadline deadline = tn_in(length);
        struct tn_task *first;

        one = (struct waiting){ .mutex = &mutex, .deadline = deadline };
        assert_ok(tn_mutex_lock(&mutex, TN_NEVER));
        first = start_and_park(lock_it, &one);
        while (tn_left(deadline) > 0)
            continue; /* without a park, so that no timer fires */
        tn_mutex_unlock(&mutex);
        handed_over = mutex.owner != NULL;
        join(first);
    }
    assert_ok(one.err);
}

struct timed {
    struct tn_mutex *mutex;
    struct tn_cond *cond;
    tn_deadline at;
};

/* Wakes somebody at a point in time. */
static tn_err serve_at(void *arg)
{
    struct timed *self = arg;

    if (self->cond == NULL)
        assert_ok(tn_mutex_lock(self->mutex, TN_NEVER));
    assert_ok(tn_sleep(self->at));
    if (self->cond != NULL)
        tn_cond_signal(self->cond);
    else
        tn_mutex_unlock(self->mutex);
    return tn_ok();
}

TEST_IN_TASK(a_deadline_in_the_same_turn_but_before_the_unlock_wins)
{
    struct tn_mutex mutex = { 0 };
    tn_deadline deadline = tn_in(200 * TN_MS);
    struct timed timed = { &mutex, NULL, deadline };
    struct waiting one = { .mutex = &mutex, .deadline = deadline };
    struct tn_task *first;

    /* Equal points fire in the order they were set: the unlocker runs first. */
    assert_ok(tn_go(NULL, serve_at, &timed, NULL, NULL));
    tn_yield();
    first = start_and_park(lock_it, &one);
    join(first);
    assert_kind(one.err, TN_DEADLINE);
    assert_null(mutex.owner);
    assert_null(mutex.waiters.first);
}

TEST_IN_TASK(a_signal_wakes_the_first_waiter_only)
{
    struct tn_mutex mutex = { 0 };
    struct tn_cond cond = { { 0 } };
    struct waiting waiting[3];
    struct tn_task *tasks[3];
    int log[3], logged = 0;

    for (int i = 0; i < 3; i++) {
        waiting[i] = (struct waiting){ &mutex,  &cond,      TN_NEVER,
                                       .id = i, .log = log, .logged = &logged };
        tasks[i] = start_and_park(wait_for_it, &waiting[i]);
    }
    tn_cond_signal(&cond);
    tn_yield();
    assert_int_equal(logged, 1);
    tn_cond_signal(&cond);
    tn_cond_signal(&cond);
    tn_cond_signal(&cond); /* to nobody: forgotten */
    for (int i = 0; i < 3; i++)
        join(tasks[i]);
    for (int i = 0; i < 3; i++)
        assert_int_equal(log[i], i);
    assert_kind(tn_mutex_lock(&mutex, TN_NOW), TN_OK);
    assert_kind(tn_cond_wait(&cond, &mutex, tn_in(TN_MS)), TN_DEADLINE);
    tn_mutex_unlock(&mutex);
}

TEST_IN_TASK(a_broadcast_wakes_all_and_each_gets_the_mutex_in_turn)
{
    struct tn_mutex mutex = { 0 };
    struct tn_cond cond = { { 0 } };
    struct waiting waiting[8];
    struct tn_task *tasks[8];
    int log[8], logged = 0;

    for (int i = 0; i < 8; i++) {
        waiting[i] = (struct waiting){ &mutex,  &cond,      TN_NEVER,
                                       .id = i, .log = log, .logged = &logged };
        tasks[i] = start_and_park(wait_for_it, &waiting[i]);
    }
    assert_ok(tn_mutex_lock(&mutex, TN_NEVER));
    tn_cond_broadcast(&cond);
    tn_yield();
    assert_int_equal(logged, 0); /* they need the mutex */
    tn_mutex_unlock(&mutex);
    for (int i = 0; i < 8; i++) {
        join(tasks[i]);
        assert_int_equal(log[i], i);
        assert_ok(waiting[i].err);
    }
}

TEST_IN_TASK(a_canceled_wait_gets_the_mutex_back_however_long_it_takes)
{
    struct tn_mutex mutex = { 0 };
    struct tn_cond cond = { { 0 } };
    struct waiting one = { .mutex = &mutex, .cond = &cond, .deadline = TN_NEVER };
    struct tn_task *task = start_and_park(wait_for_it, &one);

    assert_ok(tn_mutex_lock(&mutex, TN_NEVER));
    tn_cancel(task);
    assert_ok(tn_sleep(tn_in(3 * TN_MS)));
    assert_false(one.has_it);
    tn_mutex_unlock(&mutex);
    join(task);
    assert_kind(one.err, TN_CANCELED);
    assert_true(one.has_it);
}

TEST_IN_TASK(a_wait_in_a_canceled_task_unlocks_relocks_and_fails)
{
    struct tn_mutex mutex = { 0 };
    struct tn_cond cond = { { 0 } };
    struct waiting one = { .mutex = &mutex, .cond = &cond, .deadline = TN_NEVER };
    struct tn_task *task = start(wait_for_it, &one);

    tn_cancel(task); /* before it has run */
    join(task);
    assert_kind(one.err, TN_CANCELED);
    assert_null(cond.waiters.first);
}

TEST_IN_TASK(a_wait_fails_past_its_deadline_with_the_mutex_held)
{
    struct tn_mutex mutex = { 0 };
    struct tn_cond cond = { { 0 } };

    assert_ok(tn_mutex_lock(&mutex, TN_NEVER));
    assert_kind(tn_cond_wait(&cond, &mutex, tn_in(2 * TN_MS)), TN_DEADLINE);
    assert_kind(tn_mutex_lock(&mutex, TN_NOW), TN_DEADLOCK);
    tn_mutex_unlock(&mutex);
    assert_null(cond.waiters.first);
}

TEST_IN_TASK(a_signal_passes_over_a_waiter_that_was_canceled_before)
{
    struct tn_mutex mutex = { 0 };
    struct tn_cond cond = { { 0 } };
    struct waiting one = { .mutex = &mutex, .cond = &cond, .deadline = TN_NEVER },
                   two = one;
    struct tn_task *first = start_and_park(wait_for_it, &one);
    struct tn_task *second = start_and_park(wait_for_it, &two);

    tn_cancel(first);
    tn_cond_signal(&cond);
    join(first);
    join(second);
    assert_kind(one.err, TN_CANCELED);
    assert_ok(two.err);
}

TEST_IN_TASK(a_signal_is_not_lost_to_a_cancel_that_follows_it)
{
    struct tn_mutex mutex = { 0 };
    struct tn_cond cond = { { 0 } };
    struct waiting one = { .mutex = &mutex, .cond = &cond, .deadline = TN_NEVER };
    struct tn_task *first = start_and_park(wait_for_it, &one);

    tn_cond_signal(&cond);
    tn_cancel(first);
    join(first);
    assert_ok(one.err);
}

TEST_IN_TASK(a_deadline_in_the_same_turn_but_before_the_signal_wins)
{
    struct tn_mutex mutex = { 0 };
    struct tn_cond cond = { { 0 } };
    tn_deadline deadline = tn_in(200 * TN_MS);
    struct timed timed = { NULL, &cond, deadline };
    struct waiting one = { .mutex = &mutex, .cond = &cond, .deadline = deadline };
    struct tn_task *first;

    assert_ok(tn_go(NULL, serve_at, &timed, NULL, NULL));
    tn_yield();
    first = start_and_park(wait_for_it, &one);
    join(first);
    assert_kind(one.err, TN_DEADLINE);
    assert_null(cond.waiters.first);
}

struct counter {
    struct tn_mutex mutex;
    int inside, most, rounds;
};

static tn_err count_up(void *arg)
{
    struct counter *counter = arg;

    for (int i = 0; i < 20; i++) {
        tn_err err = tn_mutex_lock(&counter->mutex, tn_in((i % 4) * 50 * TN_US));
        if (tn_failed(err)) {
            if (err.kind == TN_CANCELED)
                return tn_ok();
            continue;
        }
        counter->inside++;
        if (counter->inside > counter->most)
            counter->most = counter->inside;
        tn_yield();
        counter->rounds++;
        counter->inside--;
        tn_mutex_unlock(&counter->mutex);
    }
    return tn_ok();
}

TEST_IN_TASK(one_task_at_a_time_is_inside_whatever_deadlines_and_cancels_do)
{
    struct counter counter = { .most = 0 };
    struct tn_task *tasks[40] = { NULL };

    for (int i = 0; i < 40; i++)
        assert_ok(tn_go(NULL, count_up, &counter, NULL, &tasks[i]));
    for (int i = 0; i < 40; i += 5) {
        assert_ok(tn_sleep(tn_in(100 * TN_US)));
        tn_cancel(tasks[i]);
    }
    for (int i = 0; i < 40; i++)
        join(tasks[i]);
    assert_int_equal(counter.most, 1);
    assert_int_equal(counter.inside, 0);
    assert_true(counter.rounds > 0);
    assert_null(counter.mutex.owner);
    assert_null(counter.mutex.waiters.first);
}
