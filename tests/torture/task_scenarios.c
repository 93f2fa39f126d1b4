/* SPDX-License-Identifier: MIT */
/*
 * task_scenarios.c -- tasks among themselves: what can fail there is memory.
 */
#include "torture/torture.h"

static tn_err nothing(void *arg)
{
    (void)arg;
    return tn_ok();
}

static tn_err run_empty(const struct scenario *self)
{
    (void)self;
    return tn_ok();
}

static tn_err sleep_a_little(void *arg)
{
    (void)arg;
    return tn_sleep(tn_in(100 * TN_US));
}

static tn_err run_sleep(const struct scenario *self)
{
    (void)self;
    return sleep_a_little(NULL);
}

static tn_err run_join(const struct scenario *self)
{
    struct tn_task *task = NULL;
    tn_err err = tn_go(NULL, nothing, NULL, NULL, &task);

    (void)self;
    must(tn_failed(err) ? task == NULL : task != NULL);
    return tn_failed(err) ? err : tn_join(&task, NULL, PATIENCE);
}

/* Enough for the timers to grow and for a second arena of stacks. */
static tn_err run_many(const struct scenario *self)
{
    struct tn_group *group = NULL;
    tn_err err = tn_group_open(&group, TN_GROUP_ALL_OR_NONE);

    (void)self;
    for (int i = 0; i < 150 && !tn_failed(err); i++)
        err = tn_go(group, sleep_a_little, NULL, NULL, NULL);
    if (!tn_failed(err))
        err = tn_group_wait(group, PATIENCE);
    tn_group_close(&group);
    must(group == NULL);
    return err;
}

static tn_err run_large_stack(const struct scenario *self)
{
    struct tn_task_options options = { .stack_size = 4u * 1024 * 1024 };
    struct tn_task *task = NULL;
    tn_err err = tn_go(NULL, nothing, NULL, &options, &task);

    (void)self;
    return tn_failed(err) ? err : tn_join(&task, NULL, PATIENCE);
}

const struct scenario task_scenarios[] = {
    { .name = "a loop", .run = run_empty },
    { .name = "a sleep", .run = run_sleep },
    { .name = "a join", .run = run_join },
    { .name = "150 tasks in a group", .run = run_many },
    { .name = "a large stack", .run = run_large_stack },
    { .name = NULL },
};
