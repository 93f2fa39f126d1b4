/* SPDX-License-Identifier: MIT */
/*
 * os_ring_test.c -- the ring as a ring: how it is set up, what happens when it is far too
 * small for what is asked of it, and that it starts no threads.
 */
#include <dirent.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "os/uring.h"
#include "unit/driver_rig.h"

static struct os_driver *open_small(void)
{
    struct os_driver_options options = { .entries = 4 };

    return rig_open_ring(&options);
}

static struct io_uring *ring_of(struct os_driver *driver)
{
    return &CONTAINER(driver, struct uring_driver, base)->ring;
}

/* Let this process have COUNT more descriptors; fewer are no failure of ours. */
static unsigned room_for_descriptors(unsigned count)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur < count + 64 ? (unsigned)limit.rlim_cur - 64 : count;
}

static unsigned threads_of_this_process(void)
{
    DIR *tasks = opendir("/proc/self/task");
    unsigned count = 0;
    struct dirent *entry;

    assert_non_null(tasks);
    while ((entry = readdir(tasks)) != NULL)
        count += entry->d_name[0] != '.';
    closedir(tasks);
    return count;
}

static void signal_fd(int fd)
{
    uint64_t one = 1;

    assert_int_equal(os_write(&os_linux, fd, &one, sizeof(one)), sizeof(one));
}

/*
 * DEFER_TASKRUN: without it other calls of the thread fail with EINTR (semantics.md, fact
 * 9).  No SQPOLL: it keeps credentials (CVE-2024-22017) and takes a processor.
 */
TEST(the_ring_is_this_threads_alone_and_has_no_thread_of_its_own)
{
    struct os_driver_options options = { 0 };
    struct os_driver *driver = rig_open_ring(&options);
    unsigned flags = ring_of(driver)->flags;

    assert_true((flags & IORING_SETUP_SINGLE_ISSUER) != 0);
    assert_true((flags & IORING_SETUP_DEFER_TASKRUN) != 0);
    assert_int_equal(flags & (IORING_SETUP_SQPOLL | IORING_SETUP_IOPOLL), 0);
    assert_int_equal(*ring_of(driver)->cq.kring_entries,
                     4 * *ring_of(driver)->sq.kring_entries);
    os_driver_close(driver);
}

static int64_t leaping_now(struct os *os)
{
    static int64_t leaps;

    (void)os;
    return os_now(&os_linux) + ++leaps * 10000000000; /* ten seconds with each look */
}

TEST(a_process_that_stood_still_is_no_fault_of_the_kernels)
{
    struct os_driver_options options = { 0 };
    struct os_calls calls = *os_linux.calls;
    struct os os = { .calls = &calls };
    struct os_driver *driver = NULL;
    int result;

    calls.now = leaping_now;
    result = os_driver_open(&os, "uring", &options, &driver);
    test_need_ring(result);
    assert_errno(result, 0);
    os_driver_close(driver);
}

TEST(thousands_of_polls_fit_a_ring_of_4)
{
    unsigned count = room_for_descriptors(5000);
    struct rig_poll *polls = calloc(count, sizeof(*polls));
    struct os_driver *driver = open_small();
    int *fds = calloc(count, sizeof(*fds));
    unsigned answered = 0;

    assert_int_equal(*ring_of(driver)->sq.kring_entries, 4);
    assert_int_equal(*ring_of(driver)->cq.kring_entries, 16);
    for (unsigned i = 0; i < count; i++) {
        fds[i] = os_eventfd(&os_linux, 0, EFD_CLOEXEC | EFD_NONBLOCK);
        assert_errno(fds[i], 0);
        rig_arm_poll(driver, &polls[i], fds[i], POLLIN);
    }
    rig_turn(driver, 0);
    assert_int_equal(driver->armed, count);
    /* All at once: many times more completions than the queue has room for. */
    for (unsigned i = 0; i < count; i++)
        signal_fd(fds[i]);
    TURN_UNTIL(driver, driver->armed == 0);
    for (unsigned i = 0; i < count; i++) {
        answered += polls[i].answers == 1 && polls[i].poll.result == POLLIN;
        os_close(&os_linux, fds[i]);
    }
    assert_int_equal(answered, count);
    os_driver_close(driver);
    free(polls);
    free(fds);
}

TEST(thousands_of_cancels_fit_a_ring_of_4)
{
    unsigned count = room_for_descriptors(5000), canceled = 0;
    struct rig_poll *polls = calloc(count, sizeof(*polls));
    int fd = os_eventfd(&os_linux, 0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct os_driver *driver = open_small();

    for (unsigned i = 0; i < count; i++)
        rig_arm_poll(driver, &polls[i], fd, POLLIN);
    rig_turn(driver, 0);
    assert_int_equal(os_driver_cancel_fd(driver, fd), count);
    TURN_UNTIL(driver, os_driver_cancel_fd(driver, fd) == 0);
    TURN_UNTIL(driver, driver->armed == 0);
    for (unsigned i = 0; i < count; i++)
        canceled += polls[i].answers == 1 && polls[i].poll.result == -ECANCELED;
    assert_int_equal(canceled, count);
    os_close(&os_linux, fd);
    os_driver_close(driver);
    free(polls);
}

/*
 * A multishot poll that finds the completion queue full ends: it has to be armed again.
 * Doing so while the overflow is taken in never came to an end, as each ended again.
 */
TEST(no_edge_is_lost_when_the_completion_queue_overflows)
{
    enum { WATCHES = 400, ROUNDS = 50 };
    static struct rig_watch watches[WATCHES];
    struct os_driver *driver = open_small();

    for (int i = 0; i < WATCHES; i++)
        rig_arm_watch(driver, &watches[i],
                      os_eventfd(&os_linux, 0, EFD_CLOEXEC | EFD_NONBLOCK));
    for (int round = 0; round < ROUNDS; round++) {
        rig_turn(driver, 0);
        for (int i = 0; i < WATCHES; i++)
            watches[i].watch.ready = 0;
        for (int i = 0; i < WATCHES; i++)
            signal_fd(watches[i].watch.event.fd);
        for (int i = 0; i < WATCHES; i++) {
            uint64_t got;
            int fd = watches[i].watch.event.fd;
            TURN_UNTIL(driver, (watches[i].watch.ready & POLLIN) != 0);
            assert_int_equal(os_read(&os_linux, fd, &got, sizeof(got)), sizeof(got));
        }
    }
    for (int i = 0; i < WATCHES; i++) {
        rig_end(driver, &watches[i].watch.event);
        os_close(&os_linux, watches[i].watch.event.fd);
    }
    os_driver_close(driver);
}

/* Bytes for many feeds at once, each completion naming a buffer that must not get lost. */
TEST(no_byte_is_lost_when_the_completion_queue_overflows)
{
    enum { FEEDS = 200, ROUNDS = 20 };
    static struct rig_feed feeds[FEEDS];
    struct os_driver *driver = open_small();
    int fds[FEEDS][2];

    for (int i = 0; i < FEEDS; i++) {
        rig_pair(fds[i]);
        rig_arm_feed(driver, &feeds[i], fds[i][0]);
    }
    for (int round = 0; round < ROUNDS; round++) {
        char byte = (char)('a' + round);
        rig_turn(driver, 0);
        for (int i = 0; i < FEEDS; i++)
            rig_send(fds[i][1], &byte, 1);
        for (int i = 0; i < FEEDS; i++) {
            struct os_feed *feed = &feeds[i].feed;
            TURN_UNTIL(driver, feed->queued == 1);
            assert_int_equal(feed->head->data[0], byte);
            os_driver_give(driver, feed->head);
            feed->head = feed->tail = NULL;
            feed->queued = 0;
        }
    }
    for (int i = 0; i < FEEDS; i++) {
        rig_end(driver, &feeds[i].feed.event);
        rig_close_pair(fds[i]);
    }
    os_driver_close(driver);
}

/* The kernel's workers count against limits and outlive requests (semantics.md, 3). */
TEST(no_request_of_the_driver_needs_a_thread_of_the_kernels)
{
    struct os_driver_options options = { 0 };
    struct os_driver *driver = rig_open_ring(&options);
    unsigned threads = threads_of_this_process(); /* a sanitizer may have one */
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct rig_poll poll, of_file;
    struct rig_watch watch;
    struct rig_feed feed;
    int fds[2], more[2];

    rig_pair(fds);
    rig_tcp_pair(more);
    rig_arm_poll(driver, &poll, fds[1], POLLIN);
    rig_arm_poll(driver, &of_file, file, POLLIN);
    rig_arm_watch(driver, &watch, more[0]);
    rig_arm_feed(driver, &feed, fds[0]);
    rig_turn(driver, 0);
    rig_send(fds[1], "x", 1);
    rig_send(more[1], "x", 1);
    TURN_UNTIL(driver, feed.feed.queued == 1 && (watch.watch.ready & POLLIN) != 0);
    assert_int_equal(threads_of_this_process(), threads);
    os_driver_give(driver, feed.feed.head);
    rig_end(driver, &poll.poll.event);
    rig_end(driver, &watch.watch.event);
    rig_end(driver, &feed.feed.event);
    assert_int_equal(threads_of_this_process(), threads);
    rig_close_pair(fds);
    rig_close_pair(more);
    close(file);
    os_driver_close(driver);
}
