/* SPDX-License-Identifier: MIT */
/*
 * task_signals_test.c -- signals as something to wait for.
 */
#include "harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <tenon/fd.h>

#include "os/fault.h"
#include "task/park.h"
#include "task/run.h"

static bool is_blocked(int number)
{
    sigset_t blocked;

    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &blocked), 0);
    return sigismember(&blocked, number) == 1;
}

static struct tn_signals *open_signals(int one, int other)
{
    struct tn_signals *signals = NULL;
    int numbers[2] = { one, other };

    assert_ok(tn_signals_open(&signals, numbers, other != 0 ? 2 : 1));
    return signals;
}

/* A task that waits for one signal. */
struct waiting {
    struct tn_signals *signals;
    tn_deadline deadline;
    int number;
    tn_err err;
};

static tn_err wait_for_signal(void *arg)
{
    struct waiting *self = arg;

    self->err = tn_signals_wait(self->signals, &self->number, self->deadline);
    return tn_ok();
}

/* Starts it and lets it run until it parks. */
static struct tn_task *start(struct waiting *waiting)
{
    struct tn_task *task = NULL;

    assert_ok(tn_go(NULL, wait_for_signal, waiting, NULL, &task));
    tn_yield();
    return task;
}

static void join(struct tn_task *task)
{
    assert_ok(tn_join(&task, NULL, TN_NEVER));
}

TEST_IN_TASK(a_signal_is_received_by_a_wait_that_parks)
{
    struct tn_signals *signals = open_signals(SIGUSR1, SIGTERM);
    struct waiting waiting = { .signals = signals, .deadline = TN_NEVER };
    struct tn_task *task = start(&waiting);

    assert_int_equal(kill(getpid(), SIGTERM), 0);
    join(task);
    assert_ok(waiting.err);
    assert_int_equal(waiting.number, SIGTERM);
    tn_signals_close(&signals);
    assert_null(signals);
    tn_signals_close(&signals); /* an empty one */
}

TEST_IN_TASK(a_signal_that_came_before_the_wait_is_there)
{
    struct tn_signals *signals = open_signals(SIGUSR1, SIGUSR2);
    int number = 0, first;

    raise(SIGUSR2); /* to this thread */
    kill(getpid(), SIGUSR1);
    assert_ok(tn_signals_wait(signals, &number, TN_NOW));
    first = number;
    assert_ok(tn_signals_wait(signals, &number, TN_NOW));
    assert_int_equal(number + first, SIGUSR1 + SIGUSR2);
    number = 99;
    assert_kind(tn_signals_wait(signals, &number, TN_NOW), TN_DEADLINE);
    assert_int_equal(number, 99);
    tn_signals_close(&signals);
}

TEST_IN_TASK(a_wait_for_a_signal_ends_by_its_deadline_or_a_cancel)
{
    struct tn_signals *signals = open_signals(SIGUSR1, 0);
    struct waiting late = { .signals = signals, .deadline = tn_in(2 * TN_MS) };
    struct waiting canceled = { .signals = signals, .deadline = TN_NEVER };
    struct tn_task *one = start(&late), *two = start(&canceled);

    join(one);
    assert_kind(late.err, TN_DEADLINE);
    assert_string_equal(tn_err_op(late.err), "signal");
    tn_cancel(two);
    join(two);
    assert_kind(canceled.err, TN_CANCELED);
    tn_signals_close(&signals);
}

TEST_IN_TASK(each_signal_wakes_one_of_those_who_wait)
{
    struct tn_signals *signals = open_signals(SIGRTMIN, 0);
    struct waiting waiting[3];
    struct tn_task *tasks[3];

    for (int i = 0; i < 3; i++) {
        waiting[i] = (struct waiting){ .signals = signals, .deadline = TN_NEVER };
        tasks[i] = start(&waiting[i]);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(kill(getpid(), SIGRTMIN), 0); /* real-time ones are queued */
    for (int i = 0; i < 3; i++) {
        join(tasks[i]);
        assert_ok(waiting[i].err);
        assert_int_equal(waiting[i].number, SIGRTMIN);
    }
    tn_signals_close(&signals);
}

TEST_IN_TASK(a_close_unblocks_what_the_open_blocked_and_nothing_else)
{
    struct tn_signals *signals;
    sigset_t usr2;

    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &usr2, NULL), 0);
    assert_false(is_blocked(SIGUSR1));
    signals = open_signals(SIGUSR1, SIGUSR2);
    assert_true(is_blocked(SIGUSR1));
    assert_true(is_blocked(SIGUSR2));
    tn_signals_close(&signals);
    assert_false(is_blocked(SIGUSR1));
    assert_true(is_blocked(SIGUSR2)); /* as it was */
}

TEST_IN_TASK(a_signal_stays_blocked_as_long_as_one_of_several_waits_for_it)
{
    struct tn_signals *one = open_signals(SIGUSR1, SIGUSR2);
    struct tn_signals *two = open_signals(SIGUSR1, SIGTERM);
    struct tn_signals *three = open_signals(SIGUSR1, 0);
    int number = 0;

    tn_signals_close(&one);
    assert_true(is_blocked(SIGUSR1));
    assert_false(is_blocked(SIGUSR2));
    tn_signals_close(&three);
    assert_true(is_blocked(SIGUSR1));
    kill(getpid(), SIGUSR1);
    assert_ok(tn_signals_wait(two, &number, TN_NEVER));
    assert_int_equal(number, SIGUSR1);
    tn_signals_close(&two);
    assert_false(is_blocked(SIGUSR1));
    assert_false(is_blocked(SIGTERM));
}

TEST_IN_TASK(a_close_ends_the_waits_of_others)
{
    struct tn_signals *signals = open_signals(SIGUSR1, 0);
    struct waiting one = { .signals = signals, .deadline = TN_NEVER }, two = one;
    struct tn_task *first = start(&one), *second = start(&two);

    tn_signals_close(&signals);
    join(first);
    join(second);
    assert_kind(one.err, TN_CANCELED);
    assert_kind(two.err, TN_CANCELED);
}

struct closing {
    struct tn_signals *signals;
    int fd; /* closes when this is readable */
};

static tn_err close_when_told(void *arg)
{
    struct closing *closing = arg;

    assert_true(park_poll(closing->fd, POLLIN, TN_NEVER) > 0);
    tn_signals_close(&closing->signals);
    return tn_ok();
}

TEST_IN_TASK(a_close_before_those_that_a_signal_woke_have_run_loses_neither)
{
    struct closing closing = { .signals = open_signals(SIGUSR1, 0) };
    struct waiting one = { .signals = closing.signals, .deadline = TN_NEVER }, two = one;
    struct tn_task *first, *second, *closer = NULL;
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    closing.fd = fds[0];
    assert_ok(tn_go(NULL, close_when_told, &closing, NULL, &closer));
    first = start(&one);
    second = start(&two);
    assert_ok(tn_sleep(tn_in(TN_MS)));          /* all three polls are with the kernel */
    assert_int_equal(write(fds[1], "x", 1), 1); /* first: so the closer runs first */
    kill(getpid(), SIGUSR1);
    join(first);
    join(second);
    join(closer);
    assert_true((one.err.kind == TN_OK) != (two.err.kind == TN_OK));
    assert_true((one.err.kind == TN_CANCELED) != (two.err.kind == TN_CANCELED));
    assert_false(is_blocked(SIGUSR1)); /* and nobody was killed by it */
    close(fds[0]);
    close(fds[1]);
}

TEST_IN_TASK(what_cannot_be_waited_for_is_refused)
{
    static const int refused[] = { SIGKILL, SIGSTOP, 0, -1, NSIG, 1000 };
    struct tn_signals *signals = NULL;
    int numbers[2] = { SIGUSR1, 0 };

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        numbers[1] = refused[i];
        assert_kind(tn_signals_open(&signals, numbers, 2), TN_INVALID);
    }
    assert_kind(tn_signals_open(&signals, numbers, 0), TN_INVALID);
    assert_null(signals);
    assert_false(is_blocked(SIGUSR1));
}

static tn_err open_and_fail(void *arg)
{
    struct tn_signals *signals = NULL;
    int number = SIGUSR1;

    fault_name(arg, FAULT_ALLOCATE, 1, 1, 0);
    assert_kind(tn_signals_open(&signals, &number, 1), TN_LIMIT);
    fault_name(arg, FAULT_SIGNALFD, 1, 1, 0);
    assert_kind(tn_signals_open(&signals, &number, 1), TN_LIMIT);
    assert_null(signals);
    assert_false(is_blocked(SIGUSR1));
    fault_off(arg);
    assert_ok(tn_signals_open(&signals, &number, 1));
    fault_name(arg, FAULT_READ, 1, 1, EIO);
    assert_kind(tn_signals_wait(signals, &number, TN_NEVER), TN_SYSTEM);
    fault_name(arg, FAULT_READ, 1, 1, EINTR);
    kill(getpid(), SIGUSR1);
    assert_ok(tn_signals_wait(signals, &number, TN_NEVER));
    tn_signals_close(&signals);
    return tn_ok();
}

TEST_ON_DRIVERS(signals_without_memory_or_descriptors_are_refused)
{
    struct fault fault;

    fault_init(&fault, &os_linux);
    assert_ok(run_on(&fault.os, open_and_fail, &fault, NULL));
}

/* ---- handlers, and the calls that they interrupt ---- */

static void handle(int number)
{
    (void)number;
}

/* Turns of the loop, and then a signal each millisecond. */
static tn_err turn_and_signal(void *arg)
{
    struct itimerval often = { { 0, 1000 }, { 0, 1000 } };

    (void)arg;
    for (int i = 0; i < 3; i++)
        assert_ok(tn_sleep(tn_in(TN_MS)));
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    return tn_ok();
}

static tn_err read_unwatched(void *arg)
{
    struct sigaction interrupts = { .sa_handler = handle };
    struct sigaction restarts = { .sa_handler = handle, .sa_flags = SA_RESTART };
    struct itimerval never = { 0 };
    struct fault *fault = arg;
    int ends[2];
    char byte;

    assert_int_equal(sigaction(SIGALRM, &interrupts, NULL), 0);
    assert_int_equal(sigaction(SIGUSR2, &restarts, NULL), 0);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fault_name(fault, FAULT_ARM, 2, 1, ENOSPC); /* the first is the read's own */
    assert_ok(tn_go(NULL, turn_and_signal, NULL, NULL, NULL));
    assert_int_equal(tn_fd_read(ends[0], &byte, 1), -1);
    assert_int_equal(errno, EINTR);
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(fault->failed, 1);
    close(ends[0]);
    close(ends[1]);
    return tn_ok();
}

TEST_ON_DRIVERS(a_watch_for_signals_that_fails_holds_none_of_them_back)
{
    struct tn_loop_options options = { .driver = test_driver() };
    struct fault fault;

    fault_init(&fault, &os_linux);
    assert_ok(run_on(&fault.os, read_unwatched, &fault, &options));
}
