/* SPDX-License-Identifier: MIT */
/*
 * task_time_test.c -- points in time: what tn_in gives, by either of its clocks.
 */
#include <tenon/time.h>

#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/deadline.h"
#include "harness/harness.h"
#include "os/os.h"
#include "task/park.h"
#include "task/run.h"

/* The clock of the system's ticks, and the reserve that tn_in adds to it. */
static int64_t late_now(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC_COARSE, &now), 0);
    return now.tv_sec * TN_SECOND + now.tv_nsec + 10 * TN_MS;
}

/*
 * The point of tn_in(LENGTH), seen between two looks at the clock, is not early: but where
 * SLACK is allowed, by what the ticks are held up.
 */
static void check_length(int64_t length, int64_t slack)
{
    for (int i = 0; i < 2000; i++) {
        int64_t before = tn_now(), ticked = late_now();
        int64_t from = slack > 0 && ticked < before ? ticked : before;
        int64_t point = deadline_point(tn_in(length));
        int64_t after = tn_now();

        if (point < from + length || point > after + length + slack)
            fail_test("%lld ns are %lld", (long long)length, (long long)(point - before));
    }
}

TEST_IN_TASK(a_length_below_a_second_is_exact)
{
    check_length(1, 0);
    check_length(20 * TN_MS, 0);
    check_length(TN_SECOND - 1, 0);
}

TEST_IN_TASK(a_length_of_a_second_or_more_is_never_early_and_10_ms_late_at_most)
{
    check_length(TN_SECOND, 10 * TN_MS);
    check_length(TN_MINUTE, 10 * TN_MS);
}

TEST(outside_of_tasks_every_length_is_exact)
{
    check_length(TN_MS, 0);
    check_length(TN_MINUTE, 0);
}

TEST(a_length_that_is_over_is_now_and_one_too_long_is_never)
{
    int64_t before = tn_now();

    assert_true(deadline_point(tn_in(-5)) >= before);
    assert_true(deadline_point(tn_in(0)) <= tn_now());
    assert_true(deadline_point(tn_in(INT64_MAX)) == INT64_MAX);
    assert_true(deadline_shielded(tn_shielded(TN_SECOND)));
    assert_int_equal(tn_left(TN_NEVER), INT64_MAX);
}

/* ---- the loop's own looks ---- */

#define ROUNDS 100

static unsigned looks;

static int64_t counted_now(struct os *os)
{
    looks++;
    return os_linux.calls->now(os);
}

/* Waits for a byte, ROUNDS times, and sends each back. */
static tn_err send_back(void *arg)
{
    int fd = *(const int *)arg;
    char byte;

    for (int i = 0; i < ROUNDS; i++) {
        assert_errno(park_poll(fd, POLLIN, TN_NEVER), 0);
        assert_int_equal(read(fd, &byte, 1), 1);
        assert_int_equal(write(fd, &byte, 1), 1);
    }
    return tn_ok();
}

static tn_err wait_often(void *arg)
{
    const tn_deadline *limit = arg;
    char byte = 'x';
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_ok(tn_go(NULL, send_back, &fds[1], NULL, NULL));
    looks = 0;
    for (int i = 0; i < ROUNDS; i++) {
        assert_int_equal(write(fds[0], &byte, 1), 1);
        assert_errno(park_poll(fds[0], POLLIN, *limit), 0);
        assert_int_equal(read(fds[0], &byte, 1), 1);
    }
    close(fds[0]);
    close(fds[1]);
    return tn_ok();
}

/* Runs wait_often on the real system, with its looks at the clock counted. */
static void count_looks(tn_deadline limit)
{
    struct tn_loop_options options = { .driver = test_driver() };
    struct os_calls calls = *os_linux.calls;
    struct os os = { &calls };

    calls.now = counted_now;
    assert_ok(run_on(&os, wait_often, &limit, &options));
}

TEST_ON_DRIVERS(turns_in_which_nobody_has_a_limit_do_not_look_at_the_clock)
{
    count_looks(TN_NEVER);
    assert_int_equal(looks, 0);
}

TEST_ON_DRIVERS(once_somebody_has_a_limit_each_turn_looks)
{
    count_looks(tn_in(60 * TN_MINUTE));
    assert_true(looks >= ROUNDS);
}

/* A clock that leaps at its first look behind `limit`; right before, a byte comes at `fd`. */
static struct {
    tn_deadline limit;
    int fd;
} standstill;

static int64_t now_with_a_standstill(struct os *os)
{
    int64_t now = os_now(&os_linux);

    (void)os;
    if (now < standstill.limit.at)
        return now;
    if (standstill.fd >= 0)
        assert_int_equal(write(standstill.fd, "x", 1), 1);
    standstill.fd = -1;
    return now + 10 * TN_SECOND;
}

static tn_err wait_through_it(void *arg)
{
    int fds[2];

    (void)arg;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    standstill.limit = tn_in(10 * TN_MS);
    standstill.fd = fds[1];
    assert_errno(park_poll(fds[0], POLLIN, standstill.limit), 0);
    assert_int_equal(standstill.fd, -1);
    close(fds[0]);
    close(fds[1]);
    return tn_ok();
}

TEST_ON_DRIVERS(what_came_while_the_thread_stood_still_comes_before_the_deadline)
{
    struct tn_loop_options options = { .driver = test_driver() };
    struct os_calls calls = *os_linux.calls;
    struct os os = { &calls };

    standstill.limit = TN_NEVER;
    calls.now = now_with_a_standstill;
    assert_ok(run_on(&os, wait_through_it, NULL, &options));
}
