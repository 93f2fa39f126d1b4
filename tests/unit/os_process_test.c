/* SPDX-License-Identifier: MIT */
/*
 * os_process_test.c -- a driver among the other things of its process: other loops that
 * poll it, fork, exec, and blocking calls of the same thread.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "os/uring.h"
#include "unit/driver_rig.h"

static bool readable(int fd)
{
    struct pollfd ready = { .fd = fd, .events = POLLIN };

    return os_poll(&os_linux, &ready, 1, 0) == 1 && (ready.revents & POLLIN) != 0;
}

/* Turn until nothing is pending and the descriptor has been readable for nothing. */
static void settle(struct os_driver *driver)
{
    int fd = os_driver_descriptor(driver);

    for (int i = 0; driver->pending || readable(fd); i++) {
        assert_true(i < 4);
        rig_turn(driver, 0);
    }
}

TEST_ON_DRIVERS(the_descriptor_is_readable_when_a_wait_would_find_something)
{
    struct os_driver *driver = rig_open();
    struct rig_poll poll;
    int fds[2];

    rig_pair(fds);
    settle(driver);
    for (int i = 0; i < 5; i++) {
        rig_arm_poll(driver, &poll, fds[0], POLLIN);
        settle(driver);
        rig_send(fds[1], "x", 1);
        assert_true(readable(os_driver_descriptor(driver)));
        TURN_UNTIL(driver, poll.answers == 1);
        rig_drain(fds[0]);
        settle(driver);
    }
    rig_close_pair(fds);
    os_driver_close(driver);
}

/* A ring is told of what is asked for by the next wait: until then nothing can happen. */
TEST_ON_DRIVERS(what_was_asked_for_is_handed_over_or_said_to_be_pending)
{
    struct os_driver *driver = rig_open();
    struct rig_poll poll;
    int fds[2];

    rig_pair(fds);
    rig_send(fds[1], "x", 1);
    rig_arm_poll(driver, &poll, fds[0], POLLIN);
    assert_true(driver->pending || readable(os_driver_descriptor(driver)));
    TURN_UNTIL(driver, poll.answers == 1);
    settle(driver);
    rig_close_pair(fds);
    os_driver_close(driver);
}

TEST_ON_DRIVERS(another_epoll_can_wait_for_the_driver)
{
    struct os_driver *driver = rig_open();
    struct epoll_event event = { .events = EPOLLIN };
    int outer = epoll_create1(EPOLL_CLOEXEC);
    struct rig_watch watch;
    int fds[2];

    rig_pair(fds);
    assert_int_equal(
        epoll_ctl(outer, EPOLL_CTL_ADD, os_driver_descriptor(driver), &event), 0);
    rig_arm_watch(driver, &watch, fds[0]);
    TURN_UNTIL(driver, watch.answers > 0);
    for (int i = 0; i < 5; i++) {
        watch.watch.ready = 0;
        settle(driver);
        assert_int_equal(epoll_wait(outer, &event, 1, 0), 0);
        rig_send(fds[1], "x", 1);
        assert_int_equal(epoll_wait(outer, &event, 1, -1), 1);
        rig_turn(driver, 0);
        assert_true((watch.watch.ready & POLLIN) != 0);
    }
    rig_end(driver, &watch.watch.event);
    rig_close_pair(fds);
    close(outer);
    os_driver_close(driver);
}

/* The bytes come while the other loop is asleep: a pipe's far end says that it is. */
static void *send_to_a_sleeper(void *arg)
{
    const int *fds = arg;

    for (int i = 0; i < 20; i++) {
        char state[64] = "";
        char byte;
        if (os_read(&os_linux, fds[0], &byte, 1) != 1)
            break;
        /* Asleep, as the kernel sees it: "pid (name) S". */
        while (strstr(state, ") S") == NULL) {
            int stat =
                open("/proc/self/stat", O_RDONLY | O_CLOEXEC); /* the main thread */
            ssize_t got = os_read(&os_linux, stat, state, sizeof(state) - 1);
            state[got > 0 ? got : 0] = '\0';
            close(stat);
        }
        rig_send(fds[1], "x", 1);
    }
    return NULL;
}

TEST_ON_DRIVERS(who_already_sleeps_on_the_descriptor_is_woken)
{
    struct os_driver *driver = rig_open();
    int fds[2], orders[2];
    struct rig_watch watch;
    pthread_t thread;

    rig_pair(fds);
    rig_pair(orders);
    int sender[2] = { orders[0], fds[1] };
    rig_arm_watch(driver, &watch, fds[0]);
    TURN_UNTIL(driver, watch.answers > 0);
    assert_int_equal(pthread_create(&thread, NULL, send_to_a_sleeper, sender), 0);
    for (int i = 0; i < 20; i++) {
        struct pollfd ready = { .fd = os_driver_descriptor(driver), .events = POLLIN };
        settle(driver);
        watch.watch.ready = 0;
        rig_send(orders[1], "g", 1);
        assert_int_equal(os_poll(&os_linux, &ready, 1, 5000), 1);
        rig_turn(driver, 0);
        assert_true((watch.watch.ready & POLLIN) != 0);
    }
    pthread_join(thread, NULL);
    rig_end(driver, &watch.watch.event);
    rig_close_pair(fds);
    rig_close_pair(orders);
    os_driver_close(driver);
}

static void expect_success(pid_t child)
{
    int status = -1;

    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* A child that ends, in whatever way, takes nothing of the parent's along. */
TEST_ON_DRIVERS(polls_go_on_in_the_parent_while_children_come_and_go)
{
    struct os_driver *driver = rig_open();
    struct rig_watch watch;
    struct rig_poll poll;
    int fds[2];

    rig_pair(fds);
    rig_arm_watch(driver, &watch, fds[1]);
    rig_arm_poll(driver, &poll, fds[0], POLLIN);
    rig_turn(driver, 0);
    watch.watch.ready = 0;
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        if (child == 0) {
            if (i == 1)
                close(os_driver_descriptor(driver));
            _exit(0);
        }
        expect_success(child);
        rig_turn(driver, 0);
        assert_int_equal(poll.answers, 0);
    }
    rig_send(fds[1], "x", 1);
    TURN_UNTIL(driver, poll.answers == 1);
    assert_int_equal(poll.poll.result, POLLIN);
    rig_send(fds[0], "x", 1);
    TURN_UNTIL(driver, (watch.watch.ready & POLLIN) != 0);
    rig_end(driver, &watch.watch.event);
    rig_close_pair(fds);
    os_driver_close(driver);
}

/* On a plain ring, a NOP of the child's landed in the parent (semantics.md, 3: fork). */
TEST(a_child_has_no_ring_to_write_to)
{
    struct os_driver_options options = { 0 };
    struct os_driver *driver = rig_open_ring(&options);
    struct io_uring *ring = &CONTAINER(driver, struct uring_driver, base)->ring;
    unsigned tail = *ring->sq.ktail;
    unsigned char in_memory;
    pid_t child;

    assert_int_equal(mincore(ring->sq.ring_ptr, 1, &in_memory), 0);
    child = fork();
    if (child == 0) {
        bool gone = mincore(ring->sq.ring_ptr, 1, &in_memory) != 0 && errno == ENOMEM &&
                    mincore(ring->sq.sqes, 1, &in_memory) != 0 && errno == ENOMEM;
        _exit(gone ? 0 : 1);
    }
    expect_success(child);
    assert_int_equal(*ring->sq.ktail, tail);
    os_driver_close(driver);
}

TEST_ON_DRIVERS(a_program_that_is_executed_inherits_nothing_of_the_driver)
{
    struct os_driver *driver = rig_open();
    char command[200];
    struct rig_poll poll;
    pid_t child;
    int fds[2];

    rig_pair(fds);
    rig_arm_poll(driver, &poll, fds[0], POLLIN);
    rig_turn(driver, 0);
    assert_true((os_fcntl(&os_linux, os_driver_descriptor(driver), F_GETFD, 0) &
                 FD_CLOEXEC) != 0);
    snprintf(command, sizeof(command),
             "! ls -l /proc/self/fd | grep -e io_uring -e eventpoll -e eventfd");
    child = fork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    expect_success(child);
    rig_end(driver, &poll.poll.event);
    rig_close_pair(fds);
    os_driver_close(driver);
}

struct disturber {
    int fd;
    atomic_bool stop;
};

static void *disturb(void *arg)
{
    struct disturber *disturber = arg;

    while (!atomic_load(&disturber->stop)) {
        (void)os_send(&os_linux, disturber->fd, "x", 1, MSG_DONTWAIT);
        sched_yield();
    }
    return NULL;
}

/* A ring without DEFER_TASKRUN breaks these off with EINTR (semantics.md, fact 9). */
TEST_ON_DRIVERS(blocking_calls_of_the_thread_are_not_broken_off)
{
    struct os_driver *driver = rig_open();
    struct timeval soon = { .tv_usec = 30000 };
    struct rig_watch watch;
    struct epoll_event event;
    struct disturber disturber = { .stop = false };
    int fds[2], quiet[2], empty = epoll_create1(EPOLL_CLOEXEC);
    pthread_t thread;
    char byte;

    rig_pair(fds);
    rig_pair(quiet);
    assert_errno(
        os_setsockopt(&os_linux, quiet[0], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon)),
        0);
    rig_arm_watch(driver, &watch, fds[0]);
    rig_turn(driver, 0);
    disturber.fd = fds[1];
    assert_int_equal(pthread_create(&thread, NULL, disturb, &disturber), 0);
    for (int i = 0; i < 3; i++) {
        assert_errno(os_recv(&os_linux, quiet[0], &byte, 1, 0), EAGAIN);
        assert_int_equal(epoll_wait(empty, &event, 1, 30), 0);
        watch.answers = 0;
        TURN_UNTIL(driver, watch.answers > 0); /* there was something to be told */
        rig_drain(fds[0]);
    }
    atomic_store(&disturber.stop, true);
    pthread_join(thread, NULL);
    rig_end(driver, &watch.watch.event);
    rig_close_pair(fds);
    rig_close_pair(quiet);
    close(empty);
    os_driver_close(driver);
}
