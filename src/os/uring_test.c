/* SPDX-License-Identifier: MIT */
/*
 * uring_test.c -- does this kernel's ring do what the driver relies on?
 *
 * Flags such as multishot receive are in no probe, and versions lie (backports, seccomp
 * filters, other kernels behind the same calls).  So each new driver sends itself bytes
 * over a socket pair and sees that a send among others is one, a feed delivers them (if it
 * has feeds), a watch shows its edges, a poll answers, and cancels end all three.  It costs some tens of microseconds.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "os/uring.h"

/*
 * Far longer than any of it takes; a kernel that has not answered by then never will.  (200 ms
 * were too few under valgrind, with ten programs for each core.)
 */
#define PATIENCE_NS 1000000000

struct self_test {
    struct os_driver *driver;
    struct os_feed feed;
    struct os_watch watch;
    struct os_poll poll;
    struct os_batch batch;
};

/*
 * Turn the driver until HOLDS(test).  false when patience ran out; but not before one look
 * more: it may be this process that stood still, and not the kernel.
 */
static bool turn_until(struct self_test *test, bool (*holds)(const struct self_test *))
{
    int64_t until = os_now(test->driver->os) + PATIENCE_NS;
    bool late = false;

    while (!holds(test)) {
        int64_t left = until - os_now(test->driver->os);
        if (late)
            return false;
        late = left <= 0;
        (void)os_driver_wait(test->driver, late ? 0 : left);
        while (os_driver_next(test->driver) != NULL)
            continue;
    }
    return true;
}

static bool sent(const struct self_test *test)
{
    return os_event_idle(&test->batch.event);
}

static bool delivered(const struct self_test *test)
{
    return test->feed.queued == 2 && test->feed.tail != NULL;
}

static bool seen(const struct self_test *test)
{
    return (test->watch.ready & POLLIN) != 0 && (test->watch.ready & POLLOUT) != 0;
}

static bool all_idle(const struct self_test *test)
{
    return sent(test) && os_event_idle(&test->feed.event) &&
           os_event_idle(&test->watch.event) && os_event_idle(&test->poll.event);
}

static const char *run(struct self_test *test, const int fds[2])
{
    struct os_driver *driver = test->driver;

    if ((driver->abilities & OS_CAN_FEED) != 0)
        os_driver_arm(driver, &test->feed.event);
    os_driver_arm(driver, &test->watch.event);
    os_driver_arm(driver, &test->poll.event);
    os_driver_arm(driver, &test->batch.event);
    if (!turn_until(test, sent) || test->batch.result != 1)
        return "send";
    if (os_send(driver->os, fds[0], "b", 1, MSG_DONTWAIT) != 1)
        return "socket pair";
    if (!turn_until(test, seen))
        return "multishot poll";
    if ((driver->abilities & OS_CAN_FEED) == 0)
        return NULL;
    if (os_send(driver->os, fds[1], "c", 1, MSG_DONTWAIT) != 1 ||
        !turn_until(test, delivered) || test->feed.head->data[0] != 'a' ||
        test->feed.tail->data[test->feed.tail->size - 1] != 'c')
        return "multishot receive";
    return NULL;
}

static const char *run_and_end(struct self_test *test, const int fds[2])
{
    struct os_driver *driver = test->driver;
    const char *fault = run(test, fds);

    os_driver_cancel(driver, &test->feed.event);
    os_driver_cancel(driver, &test->watch.event);
    os_driver_cancel(driver, &test->poll.event);
    if (!turn_until(test, all_idle))
        return "cancel";
    if (fault == NULL && test->poll.result != -ECANCELED)
        fault = "cancel of a poll";
    while (test->feed.head != NULL) {
        struct os_segment *segment = test->feed.head;
        test->feed.head = segment->next;
        os_driver_give(driver, segment);
    }
    return fault;
}

int uring_self_test(struct os_driver *driver)
{
    struct self_test test = { .driver = driver };
    const char *fault;
    int fds[2];
    int result = os_socketpair(driver->os, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);

    if (result < 0)
        return result;
    test.feed.event = (struct os_event){ .type = OS_FEED, .fd = fds[0] };
    test.watch.event = (struct os_event){ .type = OS_WATCH, .fd = fds[1] };
    test.poll.event = (struct os_event){ .type = OS_POLL, .fd = fds[0] };
    test.batch.event = (struct os_event){ .type = OS_BATCH, .fd = fds[1] };
    test.batch.data = "a";
    test.batch.size = 1;
    test.poll.events = POLLRDHUP; /* nobody hangs up: only the cancel ends it */
    fault = run_and_end(&test, fds);
    os_close(driver->os, fds[0]);
    os_close(driver->os, fds[1]);
    if (fault == NULL)
        return 0;
    if (test.poll.result == -ENOMEM)
        return -ENOMEM; /* no fault of the kernel's */
    snprintf(driver->note, sizeof(driver->note), "self-test failed: %s", fault);
    return -EOPNOTSUPP;
}
