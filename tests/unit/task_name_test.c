/* SPDX-License-Identifier: MIT */
/*
 * task_name_test.c -- the names of tasks, as they see them themselves.
 */
#include <stdio.h>

#include "harness/harness.h"

static char seen[64];

static tn_err look(void *arg)
{
    (void)arg;
    snprintf(seen, sizeof(seen), "%s", tn_task_name());
    return tn_ok();
}

static void run_named(const char *name)
{
    struct tn_task_options options = { .name = name };
    struct tn_task *task = NULL;

    assert_ok(tn_go(NULL, look, NULL, &options, &task));
    assert_ok(tn_join(&task, NULL, tn_in(5 * TN_SECOND)));
}

TEST_IN_TASK(a_task_has_the_name_it_was_given_up_to_31_bytes)
{
    run_named("short");
    assert_string_equal(seen, "short");
    run_named("0123456789012345678901234567890");
    assert_string_equal(seen, "0123456789012345678901234567890");
    run_named("01234567890123456789012345678901and-more");
    assert_string_equal(seen, "0123456789012345678901234567890");
}

TEST_IN_TASK(a_task_without_a_name_is_called_task_whoever_had_its_stack_before)
{
    run_named("a-name-that-is-longer");
    run_named(NULL);
    assert_string_equal(seen, "task");
    run_named("");
    assert_string_equal(seen, "");
}
