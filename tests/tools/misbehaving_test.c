/* SPDX-License-Identifier: MIT */
/*
 * misbehaving_test.c -- tests that do each thing the harness has to notice.
 *
 * harness.sh runs them and says what has to be seen; they are not among the tests.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/harness.h"

TEST(good)
{
    assert_int_equal(1, 1);
}

TEST(unequal)
{
    assert_int_equal(0x1234, 0x5678);
}

TEST(other_words)
{
    assert_string_equal("these words", "those words");
}

TEST(wrong_kind)
{
    assert_kind(tn_err_errno(ECONNREFUSED), TN_EOF);
}

TEST(wrong_errno)
{
    assert_errno(-EPIPE, EBADF);
}

TEST(crashing)
{
    raise(SIGSEGV);
}

TEST(exiting)
{
    exit(3);
}

TEST(endless, .limit_s = 1)
{
    for (;;)
        pause();
}

TEST(leaking)
{
    assert_true(dup(0) >= 0);
}

TEST(closing)
{
    close(STDIN_FILENO);
}

TEST(leaving_a_process)
{
    pid_t child = fork();

    if (child == 0) {
        for (;;)
            pause();
    }
    fprintf(stderr, "left %d\n", (int)child);
    test_failed("here", 1, "to show the line above");
}

TEST(skipping_once)
{
    skip_test("no %s here", "unicorn");
}

TEST_ON_DRIVERS(each_driver)
{
    assert_string_equal(test_driver(), getenv("TENON_DRIVER"));
}

TEST_ON_DRIVERS(the_library_chooses)
{
    assert_null(getenv("TENON_DRIVER"));
    assert_string_equal(test_driver(), "epoll");
}

TEST_IN_TASK(failing_on_a_tasks_stack)
{
    assert_string_equal(tn_task_name(), "nobody");
}

TEST_IN_TASK(skipping_on_a_tasks_stack)
{
    skip_test("on %s", test_driver());
}

static tn_err give_back(void *arg)
{
    return *(tn_err *)arg;
}

TEST_ON_DRIVERS(run_with_another_error)
{
    tn_err err = tn_err_user(TN_PROTOCOL, 7);

    run_kind(give_back, &err, TN_PROTOCOL);
    run_ok(give_back, &err);
}

/* For the sanitizers. */

static void *volatile lost;

TEST(losing_memory)
{
    lost = malloc(10);
    lost = NULL;
}

TEST(reading_freed_memory)
{
    char *volatile memory = malloc(10);

    memory[0] = 1;
    free(memory);
    lost = memory + memory[0]; /* NOLINT: on purpose */
}

TEST(counting_too_far)
{
    volatile int number = INT_MAX;

    number = number + 1;
}

static int shared;

static void *count(void *unused)
{
    shared++;
    return unused;
}

TEST(racing)
{
    pthread_t threads[2];

    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}
