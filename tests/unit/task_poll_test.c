/* SPDX-License-Identifier: MIT */
/*
 * task_poll_test.c -- tasks that wait for descriptors: events, deadlines, cancels, closes
 * and forks.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/loop.h>

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

struct poller {
    int fd;
    tn_deadline until;
    int result;
    struct tn_task *task;
};

static tn_err poll_and_tell(void *arg)
{
    struct poller *poller = arg;

    poller->result = park_poll(poller->fd, POLLIN, poller->until);
    return tn_ok();
}

TEST_IN_TASK(a_poll_ends_by_its_event_its_deadline_or_a_cancel)
{
    struct poller pollers[3];
    int fds[3][2];

    for (int i = 0; i < 3; i++) {
        pair(fds[i]);
        pollers[i] = (struct poller){ .fd = fds[i][0], .until = TN_NEVER };
    }
    pollers[1].until = tn_in(TN_MS);
    for (int i = 0; i < 3; i++)
        assert_ok(tn_go(NULL, poll_and_tell, &pollers[i], NULL, &pollers[i].task));
    tn_yield();
    assert_int_equal(write(fds[0][1], "x", 1), 1);
    tn_cancel(pollers[2].task);
    for (int i = 0; i < 3; i++) {
        assert_ok(tn_join(&pollers[i].task, NULL, tn_in(10 * TN_SECOND)));
        close_pair(fds[i]);
    }
    assert_int_equal(pollers[0].result, POLLIN);
    assert_errno(pollers[1].result, ETIME);
    assert_errno(pollers[2].result, ECANCELED);
}

/*
 * The task of a canceled poll stays parked until the poll's own last answer: before, its
 * memory, on the task's stack, is the kernel's or the driver's (semantics.md, 3).
 */
TEST_IN_TASK(the_answer_of_a_poll_decides_even_after_a_cancel)
{
    unsigned ready = 0, canceled = 0;

    for (int round = 0; round < 200; round++) {
        struct poller poller = { .until = TN_NEVER };
        int fds[2];

        pair(fds);
        poller.fd = fds[0];
        assert_ok(tn_go(NULL, poll_and_tell, &poller, NULL, &poller.task));
        for (int i = 0; i <= round % 3; i++)
            tn_yield();
        if (round % 2 == 0)
            assert_int_equal(write(fds[1], "x", 1), 1);
        tn_cancel(poller.task);
        assert_ok(tn_join(&poller.task, NULL, TN_NEVER));
        assert_true(poller.result == POLLIN || poller.result == -ECANCELED);
        ready += poller.result == POLLIN;
        canceled += poller.result == -ECANCELED;
        close_pair(fds);
    }
    assert_true(canceled >= 100);
    printf("%u ready, %u canceled\n", ready, canceled);
}

TEST_IN_TASK(a_close_ends_every_poll_of_its_descriptor_first)
{
    struct poller pollers[10];
    int fds[2];

    pair(fds);
    for (int i = 0; i < 10; i++) {
        pollers[i] = (struct poller){ .fd = fds[0], .until = TN_NEVER };
        assert_ok(tn_go(NULL, poll_and_tell, &pollers[i], NULL, &pollers[i].task));
    }
    tn_yield();
    park_close(fds[0]);
    close_pair(fds);
    for (int i = 0; i < 10; i++) {
        assert_ok(tn_join(&pollers[i].task, NULL, tn_in(10 * TN_SECOND)));
        assert_errno(pollers[i].result, ECANCELED);
    }
    park_close(fds[0]); /* nobody waits: nothing happens */
}

static tn_err wait_in_thousands(void *arg)
{
    enum { THOUSANDS = 3000 };
    static struct poller pollers[THOUSANDS];
    tn_deadline until = tn_in(5 * TN_MS);
    int fds[2];

    (void)arg;
    pair(fds);
    for (int i = 0; i < THOUSANDS; i++) {
        pollers[i] = (struct poller){ .fd = fds[0], .until = until };
        assert_ok(tn_go(NULL, poll_and_tell, &pollers[i], NULL, &pollers[i].task));
    }
    for (int i = 0; i < THOUSANDS; i++) {
        assert_ok(tn_join(&pollers[i].task, NULL, tn_in(15 * TN_SECOND)));
        assert_errno(pollers[i].result, ETIME);
    }
    close_pair(fds);
    return tn_ok();
}

/* zio#623: cancels that found no room in the queue were dropped, and tasks hung. */
TEST_ON_DRIVERS(thousands_of_deadlines_at_once_all_fall_on_a_ring_of_4)
{
    struct tn_loop_options options = { .ring_entries = 4 };

    assert_ok(tn_run(wait_in_thousands, NULL, &options));
}

/* eio#469: a ring is closed only when what was canceled has come back. */
static tn_err leave_canceled_polls(void *arg)
{
    struct tn_group *group = NULL;
    static struct poller pollers[20];

    for (int i = 0; i < 20; i++) {
        pollers[i] = (struct poller){ .fd = *(int *)arg, .until = TN_NEVER };
        if (group == NULL)
            assert_ok(tn_group_open(&group, TN_GROUP_EACH_ALONE));
        assert_ok(tn_go(group, poll_and_tell, &pollers[i], NULL, NULL));
    }
    tn_yield();
    tn_group_close(&group);
    return tn_ok();
}

TEST_ON_DRIVERS(a_loop_may_end_right_after_a_cancel)
{
    int fds[2];

    pair(fds);
    for (int i = 0; i < 20; i++)
        assert_ok(tn_run(leave_canceled_polls, &fds[0], NULL));
    close_pair(fds);
}

static tn_err be_right(void *arg)
{
    (void)arg;
    return tn_sleep(tn_in(TN_US));
}

TEST_IN_TASK(a_forked_child_is_outside_of_tasks_and_may_run_its_own)
{
    struct poller poller = { .until = TN_NEVER };
    int fds[2], status = -1;
    volatile int on_this_stack = 1;
    pid_t child;

    pair(fds);
    poller.fd = fds[0];
    assert_ok(tn_go(NULL, poll_and_tell, &poller, NULL, &poller.task));
    tn_yield();
    child = fork();
    if (child == 0) {
        bool outside = task_self() == NULL && tn_task_name()[0] == '\0' && tn_now() > 0;
        on_this_stack = 2; /* the child's own: stacks are not shared with it */
        _exit(outside && !tn_failed(tn_run(be_right, NULL, NULL)) ? 0 : 1);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(on_this_stack, 1);
    assert_int_equal(write(fds[1], "x", 1), 1); /* the parent goes on */
    assert_ok(tn_join(&poller.task, NULL, tn_in(10 * TN_SECOND)));
    assert_int_equal(poller.result, POLLIN);
    close_pair(fds);
}
