/* SPDX-License-Identifier: MIT */
/*
 * task_group_test.c -- tasks that end together: errors, cancels, handles.
 */
#include <tenon/task.h>

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

static tn_err sleep_a_minute(void *arg)
{
    (void)arg;
    return tn_sleep(tn_in(TN_MINUTE));
}

TEST_IN_TASK(a_group_waits_for_its_tasks_and_gives_the_first_error)
{
    tn_err first = tn_err_user(TN_DENIED, 1), second = tn_err_user(TN_RESET, 2), got;
    struct tn_group *group = NULL;
    int count = 0;

    assert_ok(tn_group_open(&group, TN_GROUP_EACH_ALONE));
    assert_ok(tn_group_wait(group, TN_NOW)); /* nobody is in it */
    assert_ok(tn_go(group, count_up, &count, NULL, NULL));
    assert_ok(tn_go(group, give_back, &first, NULL, NULL));
    assert_ok(tn_go(group, give_back, &second, NULL, NULL));
    assert_ok(tn_go(group, count_up, &count, NULL, NULL));
    got = tn_group_wait(group, TN_NEVER);
    assert_memory_equal(&got, &first, sizeof(got));
    assert_int_equal(count, 2);
    tn_group_close(&group);
    assert_null(group);
    tn_group_close(&group); /* an empty one */
}

TEST_IN_TASK(all_or_none_an_error_cancels_the_others)
{
    tn_err broken = tn_err_user(TN_PROTOCOL, 9), got;
    struct tn_group *group = NULL;

    assert_ok(tn_group_open(&group, TN_GROUP_ALL_OR_NONE));
    for (int i = 0; i < 3; i++)
        assert_ok(tn_go(group, sleep_for_good, NULL, NULL, NULL));
    assert_ok(tn_go(group, give_back, &broken, NULL, NULL));
    got = tn_group_wait(group, TN_NEVER);
    assert_memory_equal(&got, &broken, sizeof(got)); /* not their TN_CANCELED */
    assert_kind(tn_go(group, sleep_for_good, NULL, NULL, NULL), TN_CANCELED);
    tn_group_close(&group);
}

TEST_IN_TASK(each_alone_an_error_leaves_the_others_alone)
{
    tn_err broken = tn_err_user(TN_PROTOCOL, 9);
    struct tn_group *group = NULL;

    assert_ok(tn_group_open(&group, TN_GROUP_EACH_ALONE));
    assert_ok(tn_go(group, sleep_a_minute, NULL, NULL, NULL));
    assert_ok(tn_go(group, give_back, &broken, NULL, NULL));
    assert_kind(tn_group_wait(group, tn_in(TN_MS)), TN_DEADLINE);
    tn_group_cancel(group);
    assert_kind(tn_group_wait(group, TN_NEVER), TN_PROTOCOL);
    tn_group_close(&group);
}

TEST_IN_TASK(a_groups_own_cancel_is_no_error_of_its_tasks)
{
    struct tn_task *task = NULL, *kept;
    struct tn_group *group = NULL;

    assert_ok(tn_group_open(&group, TN_GROUP_ALL_OR_NONE));
    assert_ok(tn_go(group, sleep_for_good, NULL, NULL, NULL));
    tn_yield();
    tn_group_cancel(group);
    assert_ok(tn_group_wait(group, TN_NEVER));
    kept = task;
    assert_kind(tn_go(group, sleep_for_good, NULL, NULL, &task), TN_CANCELED);
    assert_ptr_equal(task, kept);
    tn_group_close(&group);
}

static tn_err clean_up_slowly(void *arg)
{
    assert_kind(tn_sleep(TN_NEVER), TN_CANCELED);
    assert_ok(tn_sleep(tn_shielded(2 * TN_MS)));
    ++*(int *)arg;
    return tn_ok();
}

static tn_err close_a_group(void *arg)
{
    struct tn_group *group = NULL;

    assert_ok(tn_group_open(&group, TN_GROUP_EACH_ALONE));
    for (int i = 0; i < 3; i++)
        assert_ok(tn_go(group, clean_up_slowly, arg, NULL, NULL));
    assert_kind(tn_group_wait(group, TN_NEVER), TN_CANCELED);
    tn_group_close(&group); /* canceled as we are, it waits for them */
    assert_int_equal(*(int *)arg, 3);
    return tn_ok();
}

TEST_IN_TASK(a_group_does_not_end_before_its_tasks_even_when_all_are_canceled)
{
    struct tn_task *task = NULL;
    tn_err result;
    int cleaned = 0;

    assert_ok(tn_go(NULL, close_a_group, &cleaned, NULL, &task));
    tn_yield();
    tn_yield();
    tn_cancel(task);
    assert_ok(tn_join(&task, &result, TN_NEVER));
    assert_ok(result);
    assert_int_equal(cleaned, 3);
}

TEST_IN_TASK(handles_that_nobody_joined_go_with_their_group)
{
    struct tn_group *group = NULL;
    struct tn_task *tasks[10];
    int count = 0;

    assert_ok(tn_group_open(&group, TN_GROUP_EACH_ALONE));
    for (int i = 0; i < 10; i++)
        assert_ok(tn_go(group, count_up, &count, NULL, &tasks[i]));
    assert_ok(tn_group_wait(group, TN_NEVER));
    assert_int_equal(count, 10);
    assert_ok(tn_join(&tasks[3], NULL, TN_NOW));
    tn_group_close(&group); /* the sanitizers see that nothing is left */
}
