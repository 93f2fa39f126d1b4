/* SPDX-License-Identifier: MIT */
/*
 * os_fault_test.c -- fault.c makes exactly the chosen calls fail, and passes all others on.
 */
#include "harness/harness.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "os/fault.h"
#include "task/park.h"
#include "task/run.h"

static void make_pair(struct os *os, int fds[2])
{
    assert_errno(os_socketpair(os, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

TEST(without_a_choice_nothing_fails_and_calls_reach_the_system)
{
    struct fault fault;
    char byte = 0;
    int fds[2];

    fault_init(&fault, &os_linux);
    make_pair(&fault.os, fds);
    assert_int_equal(os_write(&fault.os, fds[0], "x", 1), 1);
    assert_int_equal(os_read(&fault.os, fds[1], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    assert_errno(os_close(&fault.os, fds[0]), 0);
    assert_errno(os_close(&fault.os, fds[1]), 0);
    assert_int_equal(fault.calls, 5);
    assert_int_equal(fault.calls_of[FAULT_CLOSE], 2);
    assert_int_equal(fault.failed, 0);
}

TEST(the_nth_call_fails_and_the_one_after_it_does_not)
{
    struct fault fault;
    int fds[2];

    fault_init(&fault, &os_linux);
    fault_nth(&fault, 3, EBADMSG);
    make_pair(&fault.os, fds);
    assert_int_equal(os_write(&fault.os, fds[0], "x", 1), 1);
    assert_errno(os_write(&fault.os, fds[0], "x", 1), EBADMSG);
    assert_int_equal(os_write(&fault.os, fds[0], "x", 1), 1);
    assert_int_equal(fault.failed, 1);
    assert_int_equal(fault.last, FAULT_WRITE);
    assert_string_equal(fault_text(fault.last), "write");
    close(fds[0]);
    close(fds[1]);
}

TEST(a_failing_call_is_not_made)
{
    struct fault fault;
    char byte = 0;
    int fds[2];

    fault_init(&fault, &os_linux);
    make_pair(&fault.os, fds);
    fault_nth(&fault, 1, 0);
    assert_errno(os_write(&fault.os, fds[0], "x", 1), ENOSPC);
    assert_errno(os_recvfrom(&fault.os, fds[1], &byte, 1, MSG_DONTWAIT, NULL, NULL),
                 EAGAIN);
    close(fds[0]);
    close(fds[1]);
}

TEST(a_failing_close_has_closed_all_the_same)
{
    struct fault fault;
    int fds[2];

    fault_init(&fault, &os_linux);
    make_pair(&fault.os, fds);
    fault_name(&fault, FAULT_CLOSE, 1, 2, EINTR);
    assert_errno(os_close(&fault.os, fds[0]), EINTR);
    assert_errno(os_close(&fault.os, fds[1]), EINTR);
    assert_errno(os_close(&fault.os, fds[0]), EBADF);
}

TEST(calls_of_one_name_fail_from_the_chosen_one_on_as_often_as_asked)
{
    struct fault fault;
    int fds[2];

    fault_init(&fault, &os_linux);
    make_pair(&fault.os, fds);
    fault_name(&fault, FAULT_SENDTO, 2, 2, ECONNRESET);
    assert_int_equal(os_sendto(&fault.os, fds[0], "x", 1, 0, NULL, 0), 1);
    assert_int_equal(os_write(&fault.os, fds[0], "x", 1), 1);
    assert_errno(os_sendto(&fault.os, fds[0], "x", 1, 0, NULL, 0), ECONNRESET);
    assert_errno(os_sendto(&fault.os, fds[0], "x", 1, 0, NULL, 0), ECONNRESET);
    assert_int_equal(os_sendto(&fault.os, fds[0], "x", 1, 0, NULL, 0), 1);
    assert_int_equal(fault.failed_of[FAULT_SENDTO], 2);
    close(fds[0]);
    close(fds[1]);
}

/* Which of 64 calls fail with SEED, as bits. */
static uint64_t pattern(uint64_t seed)
{
    struct fault fault;
    uint64_t bits = 0;

    fault_init(&fault, &os_linux);
    fault_seed(&fault, seed, 250000, 0);
    for (int i = 0; i < 64; i++)
        bits = bits << 1 | (os_listen(&fault.os, -1, 1) == -EADDRINUSE);
    return bits;
}

TEST(the_same_seed_fails_the_same_calls)
{
    assert_true(pattern(7) == pattern(7));
    assert_true(pattern(7) != pattern(8));
    assert_true(pattern(7) != 0 && pattern(7) != UINT64_MAX);
}

TEST(switched_off_nothing_fails)
{
    struct fault fault;

    fault_init(&fault, &os_linux);
    fault_nth(&fault, 1, 0);
    fault_name(&fault, FAULT_LISTEN, 1, 9, 0);
    fault_seed(&fault, 1, 1000000, 0);
    assert_errno(os_listen(&fault.os, -1, 1), EADDRINUSE);
    fault_off(&fault);
    assert_errno(os_listen(&fault.os, -1, 1), EBADF);
}

static tn_err nothing(void *arg)
{
    (void)arg;
    return tn_ok();
}

/* Every call that a loop makes for a task that does nothing fails once. */
TEST_ON_DRIVERS(a_loop_that_cannot_start_says_so_and_leaves_nothing_behind)
{
    struct tn_loop_options options = { .driver = test_driver() };
    struct fault fault;
    uint64_t calls;

    fault_init(&fault, &os_linux);
    assert_ok(run_on(&fault.os, nothing, NULL, &options));
    calls = fault.calls;
    assert_true(calls > 3);
    assert_int_equal(fault.calls_of[FAULT_DRIVER_OPEN], 1);
    for (uint64_t i = 1; i <= calls; i++) {
        fault_init(&fault, &os_linux);
        fault_nth(&fault, i, 0);
        tn_err err = run_on(&fault.os, nothing, NULL, &options);
        assert_int_equal(fault.failed, 1);
        if (fault.last == FAULT_ALLOCATE || fault.last == FAULT_MAP)
            assert_kind(err, TN_LIMIT);
    }
}

static tn_err wait_with_failing_arm(void *arg)
{
    struct fault *fault = arg;
    int fd = os_eventfd(task_os(), 1, EFD_CLOEXEC);

    assert_true(fd >= 0);
    fault_name(fault, FAULT_ARM, 1, 1, ENOMEM);
    assert_errno(park_poll(fd, POLLIN, TN_NEVER), ENOMEM);
    assert_int_equal(park_poll(fd, POLLIN, TN_NEVER) & POLLIN, POLLIN);
    assert_int_equal(fault->failed_of[FAULT_ARM], 1);
    assert_errno(os_close(task_os(), fd), 0);
    return tn_ok();
}

TEST_ON_DRIVERS(a_poll_that_cannot_be_armed_answers_with_the_failure)
{
    struct tn_loop_options options = { .driver = test_driver() };
    struct fault fault;

    fault_init(&fault, &os_linux);
    assert_ok(run_on(&fault.os, wait_with_failing_arm, &fault, &options));
    assert_int_equal(fault.drivers, 0);
}

struct armed_watch {
    struct os_watch watch;
    unsigned notified;
};

static void watch_notified(struct os_event *event)
{
    CONTAINER(event, struct armed_watch, watch.event)->notified++;
}

TEST_ON_DRIVERS(a_watch_that_cannot_be_armed_is_idle_again_after_its_notice)
{
    struct os_driver_options options = { .entries = 0 };
    struct armed_watch armed = { .watch.event = { .type = OS_WATCH, .fd = 0 } };
    struct os_driver *driver;
    struct os_event *event;
    struct fault fault;

    fault_init(&fault, &os_linux);
    assert_errno(os_driver_open(&fault.os, test_driver(), &options, &driver), 0);
    armed.watch.event.notify = watch_notified;
    fault_name(&fault, FAULT_ARM, 1, 1, 0);
    os_driver_arm(driver, &armed.watch.event);
    assert_errno(armed.watch.error, ENOMEM);
    assert_errno(os_driver_wait(driver, INT64_MAX), 0);
    while ((event = os_driver_next(driver)) != NULL)
        event->notify(event);
    assert_int_equal(armed.notified, 1);
    assert_true(os_event_idle(&armed.watch.event));
    os_driver_close(driver);
}

static tn_err sleep_until_20_failed(void *arg)
{
    const struct fault *fault = arg;

    do
        assert_ok(tn_sleep(tn_in(TN_MS)));
    while (fault->failed_of[FAULT_WAIT] < 20);
    return tn_ok();
}

TEST_ON_DRIVERS(waits_that_fail_with_eintr_only_turn_the_loop_again)
{
    struct tn_loop_options options = { .driver = test_driver() };
    struct fault fault;

    fault_init(&fault, &os_linux);
    fault_name(&fault, FAULT_WAIT, 1, 20, ENOMEM);
    assert_ok(run_on(&fault.os, sleep_until_20_failed, &fault, &options));
    assert_int_equal(fault.failed_of[FAULT_WAIT], 20);
}
