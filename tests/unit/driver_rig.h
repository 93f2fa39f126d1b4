/* SPDX-License-Identifier: MIT */
/*
 * driver_rig.h -- what the tests of the drivers share: a driver without a loop or tasks,
 * and events that count their answers.
 *
 * Waiting is for a fact, TURN_UNTIL(driver, fact), and ends the test when the fact has
 * not come true after some seconds.  That nothing happens is seen by one wait of 0: what
 * sockets of this host do is done when the call that did it returns.
 */
#ifndef DRIVER_RIG_H
#define DRIVER_RIG_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "harness/harness.h"
#include "os/driver.h"
#include "os/os.h"

#define RIG_PATIENCE_NS INT64_C(5000000000)

struct rig_poll {
    struct os_poll poll;
    unsigned answers;
};

struct rig_watch {
    struct os_watch watch;
    unsigned answers;
};

struct rig_feed {
    struct os_feed feed;
    unsigned answers;
};

struct rig_batch {
    struct os_batch batch;
    unsigned answers;
};

struct rig_accept {
    struct os_accept accept;
    unsigned answers;
};

static inline void rig_poll_answer(struct os_event *event)
{
    CONTAINER(event, struct rig_poll, poll.event)->answers++;
    assert_true(os_event_idle(event)); /* its one answer: the memory is the owner's */
}

static inline void rig_watch_answer(struct os_event *event)
{
    CONTAINER(event, struct rig_watch, watch.event)->answers++;
}

static inline void rig_feed_answer(struct os_event *event)
{
    CONTAINER(event, struct rig_feed, feed.event)->answers++;
}

static inline void rig_accept_answer(struct os_event *event)
{
    CONTAINER(event, struct rig_accept, accept.event)->answers++;
}

static inline void rig_batch_answer(struct os_event *event)
{
    CONTAINER(event, struct rig_batch, batch.event)->answers++;
    assert_true(os_event_idle(event));
}

/* rig_open_with -- the driver under test; a refusal is a failure of the test. */
static inline struct os_driver *rig_open_with(const struct os_driver_options *options)
{
    struct os_driver *driver = NULL;

    assert_errno(os_driver_open(&os_linux, test_driver(), options, &driver), 0);
    return driver;
}

static inline struct os_driver *rig_open(void)
{
    struct os_driver_options options = { 0 };

    return rig_open_with(&options);
}

/* For tests that run once, of what the ring alone has. */
static inline struct os_driver *rig_open_ring(const struct os_driver_options *options)
{
    struct os_driver *driver = NULL;
    int result = os_driver_open(&os_linux, "uring", options, &driver);

    test_need_ring(result);
    assert_errno(result, 0);
    return driver;
}

/* rig_turn -- one wait of at most LIMIT_NS, and the answers told. */
static inline int rig_turn(struct os_driver *driver, int64_t limit_ns)
{
    int result = os_driver_wait(driver, limit_ns);
    struct os_event *event;

    while ((event = os_driver_next(driver)) != NULL)
        event->notify(event);
    return result;
}

#define TURN_UNTIL(driver, fact)                                                         \
    do {                                                                                 \
        int64_t rig_end = os_now(&os_linux) + RIG_PATIENCE_NS;                           \
        while (!(fact)) {                                                                \
            int64_t rig_left = rig_end - os_now(&os_linux);                              \
            if (rig_left <= 0)                                                           \
                fail_test("never came true: %s", #fact);                                 \
            (void)rig_turn(driver, rig_left);                                            \
        }                                                                                \
    } while (0)

static inline void rig_arm_poll(struct os_driver *driver, struct rig_poll *poll, int fd,
                                short events)
{
    *poll = (struct rig_poll){
        .poll.event = { .type = OS_POLL, .fd = fd, .notify = rig_poll_answer },
        .poll.events = events,
    };
    os_driver_arm(driver, &poll->poll.event);
}

static inline void rig_arm_watch(struct os_driver *driver, struct rig_watch *watch,
                                 int fd)
{
    *watch = (struct rig_watch){
        .watch.event = { .type = OS_WATCH, .fd = fd, .notify = rig_watch_answer },
    };
    os_driver_arm(driver, &watch->watch.event);
}

static inline void rig_arm_feed(struct os_driver *driver, struct rig_feed *feed, int fd)
{
    *feed = (struct rig_feed){
        .feed.event = { .type = OS_FEED, .fd = fd, .notify = rig_feed_answer },
    };
    os_driver_arm(driver, &feed->feed.event);
}

static inline void rig_arm_batch(struct os_driver *driver, struct rig_batch *batch,
                                 int fd, const void *data, size_t size)
{
    *batch = (struct rig_batch){
        .batch.event = { .type = OS_BATCH, .fd = fd, .notify = rig_batch_answer },
        .batch.data = data,
        .batch.size = size,
    };
    os_driver_arm(driver, &batch->batch.event);
}

/* What has been accepted before stays in its queue. */
static inline void rig_arm_accept(struct os_driver *driver, struct rig_accept *accept,
                                  int listener)
{
    accept->accept.event = (struct os_event){ .type = OS_ACCEPT,
                                              .fd = listener,
                                              .notify = rig_accept_answer };
    os_driver_arm(driver, &accept->accept.event);
}

/* rig_end -- cancel EVENT and see that it comes to rest. */
static inline void rig_end(struct os_driver *driver, struct os_event *event)
{
    os_driver_cancel(driver, event);
    TURN_UNTIL(driver, os_event_idle(event));
}

static inline void rig_pair(int fds[2])
{
    assert_errno(os_socketpair(&os_linux, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds),
                 0);
}

static inline void rig_close_pair(const int fds[2])
{
    os_close(&os_linux, fds[0]);
    os_close(&os_linux, fds[1]);
}

/* rig_listen -- a listener on loopback; writes where. */
static inline int rig_listen(struct sockaddr_in *address, int backlog)
{
    socklen_t size = sizeof(*address);
    int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    int listener = os_socket(&os_linux, AF_INET, type, 0);

    *address = (struct sockaddr_in){ .sin_family = AF_INET };
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_errno(os_bind(&os_linux, listener, (struct sockaddr *)address, size), 0);
    assert_errno(os_listen(&os_linux, listener, backlog), 0);
    assert_errno(os_getsockname(&os_linux, listener, (struct sockaddr *)address, &size),
                 0);
    return listener;
}

/* rig_connect_to -- a socket connected to ADDRESS. */
static inline int rig_connect_to(const struct sockaddr_in *address)
{
    int fd = os_socket(&os_linux, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_errno(
        os_connect(&os_linux, fd, (const struct sockaddr *)address, sizeof(*address)), 0);
    return fd;
}

/* rig_tcp_pair -- two ends of a TCP connection over loopback. */
static inline void rig_tcp_pair(int fds[2])
{
    struct sockaddr_in address;
    int listener = rig_listen(&address, 1);

    fds[0] = rig_connect_to(&address);
    fds[1] = os_accept(&os_linux, listener, NULL, NULL, SOCK_CLOEXEC);
    assert_errno(fds[1], 0);
    os_close(&os_linux, listener);
}

static inline void rig_send(int fd, const void *data, size_t size)
{
    assert_int_equal(os_send(&os_linux, fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT),
                     size);
}

/* rig_fill -- write to FD until its buffer takes no more. */
static inline size_t rig_fill(int fd)
{
    static char nothing[65536];
    size_t written = 0;
    ssize_t took;

    while ((took = os_send(&os_linux, fd, nothing, sizeof(nothing),
                           MSG_NOSIGNAL | MSG_DONTWAIT)) > 0)
        written += (size_t)took;
    assert_errno(took, EAGAIN);
    return written;
}

/* rig_drain -- read what FD has; how much it was. */
static inline size_t rig_drain(int fd)
{
    static char sink[65536];
    size_t drained = 0;
    ssize_t got;

    while ((got = os_recv(&os_linux, fd, sink, sizeof(sink), MSG_DONTWAIT)) > 0)
        drained += (size_t)got;
    return drained;
}

#endif
