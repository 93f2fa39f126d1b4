/* SPDX-License-Identifier: MIT */
/*
 * task_life_test.c -- tasks from their start to their end: run, go, join, cancel, sleep.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tenon/loop.h>

#include "base/deadline.h"
#include "harness/harness.h"

static tn_err give_back(void *arg)
{
    return *(tn_err *)arg;
}

static tn_err count_up(void *arg)
{
    ++*(int *)arg;
    return tn_ok();
}

static tn_err sleep_for_good(void *arg)
{
    (void)arg;
    return tn_sleep(TN_NEVER);
}

/* ---- run ---- */

TEST_ON_DRIVERS(a_run_gives_back_what_its_first_task_returned)
{
    tn_err err = tn_err_user(TN_PROTOCOL, 42), got;

    got = tn_run(give_back, &err, NULL);
    assert_memory_equal(&got, &err, sizeof(got));
    err = tn_ok();
    assert_ok(tn_run(give_back, &err, NULL));
}

static tn_err start_and_leave(void *arg)
{
    return tn_go(NULL, give_back, arg, NULL, NULL);
}

TEST_ON_DRIVERS(a_run_gives_back_the_error_of_a_task_that_nobody_holds)
{
    tn_err err = tn_err_user(TN_PROTOCOL, 43), got = tn_run(start_and_leave, &err, NULL);

    assert_memory_equal(&got, &err, sizeof(got));
}

static tn_err start_held_and_leave(void *arg)
{
    struct tn_task *task;

    return tn_go(NULL, give_back, arg, NULL, &task); /* nobody will join it */
}

TEST_ON_DRIVERS(the_error_of_a_task_with_a_handle_is_its_holders)
{
    tn_err err = tn_err_user(TN_PROTOCOL, 44);

    assert_ok(tn_run(start_held_and_leave, &err, NULL));
}

static tn_err leave_a_slow_one(void *arg)
{
    return tn_go(NULL, count_up, arg, NULL, NULL);
}

TEST_ON_DRIVERS(a_run_lasts_until_its_last_task_has_ended)
{
    int count = 0;

    assert_ok(tn_run(leave_a_slow_one, &count, NULL));
    assert_int_equal(count, 1);
}

TEST_IN_TASK(a_run_inside_a_run_is_refused)
{
    int count = 0;

    assert_kind(tn_run(count_up, &count, NULL), TN_INVALID);
    assert_int_equal(count, 0);
}

TEST_ON_DRIVERS(runs_follow_each_other)
{
    int count = 0;

    for (int i = 0; i < 20; i++)
        assert_ok(tn_run(count_up, &count, NULL));
    assert_int_equal(count, 20);
}

/* ---- go ---- */

struct order {
    int places[10];
    int used;
};

struct entry {
    struct order *order;
    int number;
};

static tn_err take_a_place(void *arg)
{
    struct entry *entry = arg;

    entry->order->places[entry->order->used++] = entry->number;
    return tn_ok();
}

TEST_IN_TASK(who_starts_a_task_goes_on_first_and_tasks_run_in_their_order)
{
    struct order order = { .used = 0 };
    struct entry entries[5];

    for (int i = 0; i < 5; i++) {
        entries[i] = (struct entry){ &order, i };
        assert_ok(tn_go(NULL, take_a_place, &entries[i], NULL, NULL));
    }
    assert_int_equal(order.used, 0);
    tn_yield();
    assert_int_equal(order.used, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(order.places[i], i);
}

static tn_err start_too_many(void *arg)
{
    struct tn_task *task = NULL;
    int *count = arg;

    for (int i = 1; i < 10; i++)
        assert_ok(tn_go(NULL, count_up, count, NULL, NULL));
    assert_kind(tn_go(NULL, count_up, count, NULL, &task), TN_LIMIT);
    assert_null(task);
    tn_yield();
    assert_int_equal(*count, 9);
    return tn_go(NULL, count_up, count, NULL, NULL); /* there is room again */
}

TEST_ON_DRIVERS(one_task_more_than_the_loop_may_have_is_a_limit)
{
    struct tn_loop_options options = { .tasks_max = 10 };
    int count = 0;

    assert_ok(tn_run(start_too_many, &count, &options));
    assert_int_equal(count, 10);
}

/* ---- join ---- */

TEST_IN_TASK(a_join_waits_for_the_end_and_gives_the_result)
{
    tn_err err = tn_err_user(TN_DENIED, 7), result = tn_ok();
    struct tn_task *task = NULL;

    assert_ok(tn_go(NULL, give_back, &err, NULL, &task));
    assert_non_null(task);
    assert_ok(tn_join(&task, &result, TN_NEVER));
    assert_memory_equal(&result, &err, sizeof(result));
    assert_null(task);
    result = err;
    assert_ok(tn_join(&task, &result, TN_NEVER)); /* an empty one */
    assert_memory_equal(&result, &err, sizeof(result));
}

TEST_IN_TASK(a_join_of_what_has_ended_does_not_wait)
{
    struct tn_task *task = NULL;
    int count = 0;

    assert_ok(tn_go(NULL, count_up, &count, NULL, &task));
    tn_yield();
    assert_int_equal(count, 1);
    assert_ok(tn_join(&task, NULL, TN_NOW));
    assert_null(task);
}

TEST_IN_TASK(past_its_deadline_a_join_leaves_the_task_running)
{
    struct tn_task *task = NULL, *before;
    tn_err result;

    assert_ok(tn_go(NULL, sleep_for_good, NULL, NULL, &task));
    before = task;
    assert_kind(tn_join(&task, NULL, TN_NOW), TN_DEADLINE);
    assert_kind(tn_join(&task, NULL, tn_in(TN_MS)), TN_DEADLINE);
    assert_ptr_equal(task, before);
    tn_cancel(task);
    assert_ok(tn_join(&task, &result, TN_NEVER));
    assert_kind(result, TN_CANCELED);
}

static tn_err join_other(void *arg)
{
    return tn_join(arg, NULL, TN_NEVER);
}

TEST_IN_TASK(a_canceled_join_leaves_the_task_running)
{
    struct tn_task *slow = NULL, *joiner = NULL;
    tn_err result;

    assert_ok(tn_go(NULL, sleep_for_good, NULL, NULL, &slow));
    assert_ok(tn_go(NULL, join_other, &slow, NULL, &joiner));
    tn_yield();
    tn_cancel(joiner);
    assert_ok(tn_join(&joiner, &result, TN_NEVER));
    assert_kind(result, TN_CANCELED);
    assert_non_null(slow);
    tn_cancel(slow);
    assert_ok(tn_join(&slow, &result, TN_NEVER)); /* free to be joined by another */
    assert_kind(result, TN_CANCELED);
}

/* ---- cancel ---- */

static tn_err stay_canceled(void *arg)
{
    int *waits = arg;

    assert_false(tn_canceled());
    assert_kind(tn_sleep(TN_NEVER), TN_CANCELED);
    assert_true(tn_canceled());
    for (; *waits < 5; ++*waits) {
        assert_kind(tn_sleep(TN_NEVER), TN_CANCELED);
        assert_kind(tn_sleep(tn_in(TN_MINUTE)), TN_CANCELED);
    }
    return tn_ok();
}

TEST_IN_TASK(a_cancel_shows_at_the_wait_and_at_every_further_one)
{
    struct tn_task *task = NULL;
    int waits = 0;

    assert_ok(tn_go(NULL, stay_canceled, &waits, NULL, &task));
    tn_yield();
    tn_cancel(task);
    tn_cancel(task); /* twice is once */
    assert_ok(tn_join(&task, NULL, TN_NEVER));
    assert_int_equal(waits, 5);
}

/* What a task does whom somebody else ends, without a handle of it. */
static tn_err tell_who(void *arg)
{
    *(struct tn_task **)arg = tn_self();
    return tn_sleep(TN_NEVER);
}

TEST_IN_TASK(a_task_can_tell_who_it_is_to_be_canceled)
{
    struct tn_group *group = NULL;
    struct tn_task *one = NULL, *other = NULL;

    assert_ok(tn_group_open(&group, TN_GROUP_EACH_ALONE));
    assert_ok(tn_go(group, tell_who, &one, NULL, NULL));
    assert_ok(tn_go(group, tell_who, &other, NULL, NULL));
    tn_yield();
    assert_non_null(one);
    assert_ptr_not_equal(one, other);
    assert_ptr_not_equal(one, tn_self());
    tn_cancel(one);
    assert_kind(tn_group_wait(group, tn_in(TN_MS)), TN_DEADLINE); /* the other one */
    tn_cancel(other);
    assert_kind(tn_group_wait(group, TN_NEVER), TN_CANCELED);
    tn_group_close(&group);
}

TEST(outside_of_tasks_nobody_is_one)
{
    assert_null(tn_self());
}

static tn_err see_it_at_once(void *arg)
{
    assert_true(tn_canceled());
    ++*(int *)arg;
    return tn_sleep(TN_NEVER);
}

TEST_IN_TASK(a_task_canceled_before_it_ran_still_runs_and_sees_it)
{
    struct tn_task *task = NULL;
    tn_err result;
    int ran = 0;

    assert_ok(tn_go(NULL, see_it_at_once, &ran, NULL, &task));
    tn_cancel(task);
    assert_ok(tn_join(&task, &result, TN_NEVER));
    assert_kind(result, TN_CANCELED);
    assert_int_equal(ran, 1);
}

TEST_IN_TASK(a_cancel_of_what_has_ended_changes_nothing)
{
    struct tn_task *task = NULL;
    tn_err result;
    int count = 0;

    assert_ok(tn_go(NULL, count_up, &count, NULL, &task));
    tn_yield();
    tn_cancel(task);
    assert_ok(tn_join(&task, &result, TN_NEVER));
    assert_ok(result);
}

static tn_err cancel_oneself(void *arg)
{
    struct tn_task **self = arg;

    tn_cancel(*self);
    assert_true(tn_canceled());
    tn_yield(); /* no place where a cancel shows */
    return tn_sleep(TN_NEVER);
}

TEST_IN_TASK(a_task_may_cancel_itself_and_a_yield_does_not_care)
{
    struct tn_task *task = NULL;
    tn_err result;

    assert_ok(tn_go(NULL, cancel_oneself, &task, NULL, &task));
    assert_ok(tn_join(&task, &result, TN_NEVER));
    assert_kind(result, TN_CANCELED);
}

static tn_err clean_up(void *arg)
{
    int64_t *took = arg;
    int64_t start;

    assert_kind(tn_sleep(TN_NEVER), TN_CANCELED);
    start = tn_now();
    assert_ok(tn_sleep(tn_shielded(3 * TN_MS)));
    *took = tn_now() - start;
    return tn_sleep(TN_NEVER);
}

TEST_IN_TASK(a_shielded_wait_is_not_cut_short)
{
    struct tn_task *task = NULL;
    int64_t took = 0;
    tn_err result;

    assert_ok(tn_go(NULL, clean_up, &took, NULL, &task));
    tn_yield();
    tn_cancel(task);
    tn_yield();
    tn_cancel(task); /* nor by another cancel */
    assert_ok(tn_join(&task, &result, TN_NEVER));
    assert_kind(result, TN_CANCELED);
    assert_true(took >= 3 * TN_MS);
}

/* ---- sleep ---- */

TEST_IN_TASK(a_sleep_lasts_until_its_point_and_not_less)
{
    int64_t lengths[] = { 0, 1, 100 * TN_US, 3 * TN_MS };

    for (int i = 0; i < 4; i++) {
        int64_t start = tn_now();
        assert_ok(tn_sleep(tn_in(lengths[i])));
        assert_true(tn_now() - start >= lengths[i]);
    }
    assert_ok(tn_sleep(TN_NOW));
    assert_ok(tn_sleep(tn_in(-TN_MINUTE)));
}

struct sleeper {
    struct entry entry; /* first */
    tn_deadline until;
};

static tn_err sleep_then_take_a_place(void *arg)
{
    struct sleeper *sleeper = arg;

    assert_ok(tn_sleep(sleeper->until));
    return take_a_place(arg);
}

TEST_IN_TASK(sleepers_wake_in_the_order_of_their_points)
{
    static const int ms[8] = { 5, 1, 8, 3, 2, 7, 4, 6 };
    struct order order;
    struct tn_group *group = NULL;
    struct sleeper sleepers[8];
    bool all_slept = false;

    assert_ok(tn_group_open(&group, TN_GROUP_EACH_ALONE));
    for (int64_t ahead = 20 * TN_MS; !all_slept;
         ahead *= 2) { /* if the machine is busy */
        int64_t start = tn_now() + ahead;

        order = (struct order){ .used = 0 };
        for (int i = 0; i < 8; i++) {
            sleepers[i].entry = (struct entry){ &order, ms[i] };
            sleepers[i].until = deadline_make(start + ms[i] * TN_MS, false);
            assert_ok(tn_go(group, sleep_then_take_a_place, &sleepers[i], NULL, NULL));
        }
        tn_yield();
        all_slept = tn_now() < start;
        assert_ok(tn_group_wait(group, TN_NEVER));
    }
    for (int i = 0; i < 8; i++)
        assert_int_equal(order.places[i], i + 1);
    tn_group_close(&group);
}
