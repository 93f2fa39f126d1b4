/* SPDX-License-Identifier: MIT */
/*
 * task_park_test.c -- stopping and waking: which of two causes counts, deadlines that
 * move, turns for everybody, signals, and standstills.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <tenon/loop.h>
#include <tenon/sync.h>

#include "harness/harness.h"
#include "task/park.h"

static void pair(int fds[2])
{
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
}

static void close_pair(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

/* ---- who comes first ---- */

struct parker {
    tn_deadline until;
    int woken;
    struct tn_task *task;
};

static tn_err park_and_tell(void *arg)
{
    struct parker *parker = arg;

    parker->task = task_self();
    parker->woken = park(WAIT_COND, NULL, parker->until);
    return tn_ok();
}

static void spin_until(int64_t point)
{
    while (tn_now() <= point)
        continue;
}

/* The loop finds both in one turn: the wake, and the deadline that has passed meanwhile. */
TEST_IN_TASK(a_wake_counts_although_the_deadline_has_passed_before_it_runs)
{
    struct parker parker;
    struct tn_task *task = NULL;
    bool woken = false;

    for (int64_t length = TN_MS; !woken; length *= 2) { /* a busy machine needs more */
        parker = (struct parker){ .until = tn_in(length), .woken = 1 };
        assert_ok(tn_go(NULL, park_and_tell, &parker, NULL, &task));
        tn_yield();
        spin_until(tn_now() + tn_left(parker.until));
        woken = task_wake(parker.task);
        assert_ok(tn_join(&task, NULL, TN_NEVER));
    }
    assert_int_equal(parker.woken, 0);
}

TEST_IN_TASK(a_cancel_after_a_wake_does_not_take_it_back)
{
    struct parker parker = { .until = TN_NEVER, .woken = 1 };
    struct tn_task *task = NULL;

    assert_ok(tn_go(NULL, park_and_tell, &parker, NULL, &task));
    tn_yield();
    assert_true(task_wake(parker.task));
    assert_false(task_wake(parker.task)); /* it is not parked any more */
    tn_cancel(task);
    assert_ok(tn_join(&task, NULL, TN_NEVER));
    assert_int_equal(parker.woken, 0);
}

TEST_IN_TASK(a_wake_after_a_cancel_comes_too_late)
{
    struct parker parker = { .until = TN_NEVER, .woken = 1 };
    struct tn_task *task = NULL;

    assert_ok(tn_go(NULL, park_and_tell, &parker, NULL, &task));
    tn_yield();
    tn_cancel(task);
    assert_false(task_wake(parker.task)); /* so that the waker goes to the next one */
    assert_ok(tn_join(&task, NULL, TN_NEVER));
    assert_errno(parker.woken, ECANCELED);
}

/* ---- deadlines that move ---- */

struct mover {
    struct tn_task *task;
    int64_t length;
    int64_t woken_at[2];
};

/* A late deadline, then none that comes, then an early one. */
static tn_err move_deadlines(void *arg)
{
    struct mover *mover = arg;

    mover->task = task_self();
    assert_errno(park(WAIT_COND, NULL, tn_in(15 * TN_MS)), 0); /* woken before */
    assert_errno(park(WAIT_COND, NULL, tn_in(20 * TN_MS)), ETIME);
    mover->woken_at[0] = tn_now();
    assert_errno(park(WAIT_COND, NULL, tn_in(TN_MINUTE)), 0);
    assert_errno(park(WAIT_COND, NULL, tn_in(TN_MS)), ETIME); /* sooner than before */
    mover->woken_at[1] = tn_now();
    return tn_ok();
}

TEST_IN_TASK(a_later_deadline_does_not_end_at_the_earlier_one_nor_an_earlier_one_late)
{
    struct mover mover = { .length = TN_MS };
    struct tn_task *task = NULL;
    bool woken = false;
    int64_t start;

    while (!woken) {
        tn_ignore(
            tn_join(&task, NULL, TN_NEVER)); /* of the time before, if it was late */
        mover.length *= 2;
        start = tn_now();
        assert_ok(tn_go(NULL, move_deadlines, &mover, NULL, &task));
        tn_yield();
        woken = task_wake(mover.task);
    }
    while (mover.woken_at[0] == 0)
        tn_yield();
    assert_true(mover.woken_at[0] - start >= 10 * mover.length);
    tn_yield();
    assert_true(task_wake(mover.task));
    assert_ok(tn_join(&task, NULL, tn_in(10 * TN_SECOND)));
    assert_true(mover.woken_at[1] - mover.woken_at[0] >= TN_MS);
}

/* ---- a turn for everybody ---- */

static tn_err yield_until_set(void *arg)
{
    const bool *set = arg;

    while (!*set)
        tn_yield();
    return tn_ok();
}

struct reader {
    int fd;
    bool read;
};

static tn_err read_one(void *arg)
{
    struct reader *reader = arg;
    int ready = park_poll(reader->fd, POLLIN, tn_in(10 * TN_SECOND));

    assert_true(ready > 0);
    reader->read = true;
    return tn_ok();
}

TEST_IN_TASK(tasks_that_never_park_do_not_keep_the_loop_from_the_kernel)
{
    struct reader reader = { .read = false };
    struct tn_group *group = NULL;
    int fds[2];

    pair(fds);
    reader.fd = fds[0];
    assert_ok(tn_group_open(&group, TN_GROUP_EACH_ALONE));
    for (int i = 0; i < 5; i++)
        assert_ok(tn_go(group, yield_until_set, &reader.read, NULL, NULL));
    assert_ok(tn_go(group, read_one, &reader, NULL, NULL));
    tn_yield();
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_ok(tn_group_wait(group, TN_NEVER));
    tn_group_close(&group);
    close_pair(fds);
}

static tn_err set_it(void *arg)
{
    *(bool *)arg = true;
    return tn_ok();
}

TEST_IN_TASK(a_task_whose_io_never_waits_lets_the_others_run)
{
    struct tn_conn *near = NULL, *far = NULL;
    bool set = false;
    unsigned turns = 0;
    size_t got;
    char byte;

    assert_ok(tn_pair(&near, &far));
    for (; !set; turns++) {
        assert_true(turns < 1000);
        if (turns == 20) /* the first reads may have waited */
            assert_ok(tn_go(NULL, set_it, &set, NULL, NULL));
        assert_ok(tn_write(near, "x", 1, NULL, TN_NEVER));
        assert_ok(tn_read(far, &byte, 1, &got, TN_NEVER));
    }
    tn_abort(&near);
    tn_abort(&far);
}

/* helio#642: on an idle loop they took a hundred times as long. */
TEST_IN_TASK(a_sleep_of_microseconds_is_not_one_of_milliseconds)
{
    int64_t least = TN_SECOND;

    for (int i = 0; i < 200; i++) {
        int64_t start = tn_now(), took;
        assert_ok(tn_sleep(tn_in(20 * TN_US)));
        took = tn_now() - start;
        least = took < least ? took : least;
    }
    assert_true(least >= 20 * TN_US && least < 900 * TN_US);
}

/* ---- signals ---- */

static volatile sig_atomic_t alarms;

static void on_alarm(int number)
{
    (void)number;
    alarms++;
}

TEST_IN_TASK(signals_a_thousand_times_a_second_end_no_wait)
{
    struct sigaction action = { .sa_handler = on_alarm }; /* no SA_RESTART */
    struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { { 0, 0 }, { 0, 0 } };
    struct tn_conn *near = NULL, *far = NULL;
    int64_t start = tn_now();
    size_t got;
    char byte;

    assert_ok(tn_pair(&near, &far));
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < 30; i++) {
        int64_t before = tn_now();
        assert_ok(tn_sleep(tn_in(2 * TN_MS)));
        assert_true(tn_now() - before >= 2 * TN_MS);
        assert_kind(tn_read(far, &byte, 1, &got, tn_in(2 * TN_MS)), TN_DEADLINE);
        assert_ok(tn_write(near, "x", 1, NULL, TN_NEVER));
        assert_ok(tn_read(far, &byte, 1, &got, TN_NEVER));
    }
    setitimer(ITIMER_REAL, &never, NULL);
    assert_true(tn_now() - start >= 120 * TN_MS);
    assert_true(alarms > 10);
    tn_abort(&near);
    tn_abort(&far);
}

/* ---- standstills ---- */

struct standstill {
    char text[2000];
    unsigned reports, canceled;
    struct tn_mutex mutex;
    struct tn_task *joiner;
};

static void note_report(enum tn_report what, const char *text, void *arg)
{
    struct standstill *still = arg;

    assert_int_equal(what, TN_REPORT_DEADLOCK);
    snprintf(still->text, sizeof(still->text), "%s", text);
    still->reports++;
}

static tn_err lock_it(void *arg)
{
    struct standstill *still = arg;
    tn_err err = tn_mutex_lock(&still->mutex, TN_NEVER);

    still->canceled += err.kind == TN_CANCELED;
    return err;
}

static tn_err join_it(void *arg)
{
    struct standstill *still = arg;
    struct tn_task_options options = { .name = "locker" };
    struct tn_task *locker = NULL;
    tn_err err;

    assert_ok(tn_go(NULL, lock_it, still, &options, &locker));
    err = tn_join(&locker, NULL, TN_NEVER);
    still->canceled += err.kind == TN_CANCELED;
    return err;
}

static tn_err wait_for_each_other(void *arg)
{
    struct standstill *still = arg;
    struct tn_task_options options = { .name = "joiner" };
    tn_err err;

    assert_ok(tn_mutex_lock(&still->mutex, TN_NEVER));
    assert_ok(tn_go(NULL, join_it, still, &options, &still->joiner));
    err = tn_join(&still->joiner, NULL, TN_NEVER);
    still->canceled += err.kind == TN_CANCELED;
    tn_mutex_unlock(&still->mutex);
    return err;
}

TEST_ON_DRIVERS(when_each_waits_for_another_it_is_reported_who_and_all_are_canceled)
{
    struct standstill still;
    struct tn_loop_options options = { .report = note_report, .report_arg = &still };

    memset(&still, 0, sizeof(still));
    assert_kind(tn_run(wait_for_each_other, &still, &options), TN_DEADLOCK);
    assert_int_equal(still.reports, 1);
    assert_int_equal(still.canceled, 3);
    assert_non_null(strstr(still.text, "each of 3 tasks waits for another one"));
    assert_non_null(strstr(still.text, "task 'main' waits for task 'joiner' to end"));
    assert_non_null(strstr(still.text, "task 'joiner' waits for task 'locker' to end"));
    assert_non_null(strstr(still.text, "task 'locker' waits for mutex"));
    assert_non_null(strstr(still.text, "held by 'main'"));
}

static tn_err end_at_once(void *arg)
{
    (void)arg;
    return tn_ok();
}

static tn_err wait_with_a_limit_and_then_for_each_other(void *arg)
{
    struct tn_task *brief = NULL;

    assert_ok(tn_go(NULL, end_at_once, NULL, NULL, &brief));
    assert_ok(tn_join(&brief, NULL, tn_in(60 * TN_MINUTE)));
    return wait_for_each_other(arg);
}

TEST_ON_DRIVERS(a_limit_of_a_wait_that_is_over_does_not_put_off_the_report)
{
    struct standstill still;
    struct tn_loop_options options = { .report = note_report, .report_arg = &still };

    memset(&still, 0, sizeof(still));
    assert_kind(tn_run(wait_with_a_limit_and_then_for_each_other, &still, &options),
                TN_DEADLOCK);
    assert_int_equal(still.reports, 1);
}

/* ... and what holds them up is named, for so many of them as a report has room for. */
static tn_err receive_nothing(void *arg)
{
    int value;

    return tn_chan_receive(arg, &value, TN_NEVER);
}

static tn_err wait_in_a_crowd(void *arg)
{
    struct tn_chan *chan = NULL;
    struct tn_group *group = NULL;
    tn_err err;

    (void)arg;
    assert_ok(tn_chan_open(&chan, sizeof(int), 1));
    assert_ok(tn_group_open(&group, TN_GROUP_EACH_ALONE));
    for (int i = 0; i < 29; i++)
        assert_ok(tn_go(group, receive_nothing, chan, NULL, NULL));
    err = tn_group_wait(group, TN_NEVER);
    tn_group_close(&group);
    tn_chan_close(&chan);
    return err;
}

TEST_ON_DRIVERS(a_report_of_many_ends_with_how_many_more_there_are)
{
    struct standstill still;
    struct tn_loop_options options = { .report = note_report, .report_arg = &still };

    memset(&still, 0, sizeof(still));
    assert_kind(tn_run(wait_in_a_crowd, NULL, &options), TN_DEADLOCK);
    assert_non_null(strstr(still.text, "each of 30 tasks waits for another one"));
    assert_non_null(strstr(still.text, "waits for channel 0x"));
    assert_non_null(strstr(still.text, "... and 10 more"));
}

static tn_err lock_with_a_limit(void *arg)
{
    struct standstill *still = arg;

    assert_ok(tn_mutex_lock(&still->mutex, TN_NEVER));
    assert_ok(tn_go(NULL, lock_it, still, NULL, NULL));
    assert_ok(tn_sleep(tn_in(2 * TN_MS))); /* somebody waits for time: no standstill */
    tn_mutex_unlock(&still->mutex);
    return tn_ok();
}

TEST_ON_DRIVERS(as_long_as_one_waits_for_time_there_is_no_deadlock)
{
    struct standstill still;
    struct tn_loop_options options = { .report = note_report, .report_arg = &still };

    memset(&still, 0, sizeof(still));
    assert_ok(tn_run(lock_with_a_limit, &still, &options));
    assert_int_equal(still.reports, 0);
}
