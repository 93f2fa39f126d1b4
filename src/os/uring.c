/* SPDX-License-Identifier: MIT */
/*
 * uring.c -- the driver on io_uring(7): the contract of epoll.c, at less cost.
 *
 * A poll is IORING_OP_POLL_ADD; a watch the same, multishot and edge-triggered (and so is
 * a poll that was answered with what it had not asked for, or it would be again, at once
 * and without end: a ring tells of POLLRDHUP unasked, Linux 6.18, IO_POLL_UNMASK); a feed a
 * multishot receive into the shared buffers of uring_feed.c; a batch a send that does not
 * wait, and so completes as it is submitted.  One io_uring_enter a turn
 * submits what was asked and waits; then every completion is taken in before anybody
 * runs.  user_data is the event's address, or 0 for a cancel, whose own answer says
 * nothing that counts: the target's does (io_uring_cancelation(7)).
 *
 * Each event says what it needs: `wanted` and not `armed` needs arming, `armed` and not
 * `wanted` needs a cancel; advance() does whichever it is.  Both need room in the
 * submission queue.  When there is none, not even after handing over what is in it, the
 * event stalls and is advanced in the next turn: no request is ever dropped.
 *
 * A multishot that ends without having been asked to (no IORING_CQE_F_MORE: overflow,
 * or the kernel's own reasons) is armed again; an edge-triggered poll then answers at
 * once if something is ready, so no edge is lost.  It is armed in the next turn, when
 * every completion has been taken in, and no more at a time than there is room for
 * completions: while some lie in overflow the kernel ends each multishot at its first
 * one, so arming in between would never come to an end.
 */
#include "os/uring.h"

#include <errno.h>

#include "base/check.h"
#include "os/ring_fault.h"

/* POLLPRI alone never fires on a ring (Linux 6.18); with POLLRDBAND beside it does. */
#define PRI_NEEDS POLLRDBAND

/* A look runs this much of what is put off until one (IO_LOCAL_TW_DEFAULT_MAX, Linux 6.18). */
#define WORK_A_LOOK 20U

static struct uring_driver *self_of(struct os_driver *driver)
{
    return CONTAINER(driver, struct uring_driver, base);
}

static struct os_poll *poll_of(struct os_event *event)
{
    return CONTAINER(event, struct os_poll, event);
}

static struct os_watch *watch_of(struct os_event *event)
{
    return CONTAINER(event, struct os_watch, event);
}

static struct os_feed *feed_of(struct os_event *event)
{
    return CONTAINER(event, struct os_feed, event);
}

static struct os_batch *batch_of(struct os_event *event)
{
    return CONTAINER(event, struct os_batch, event);
}

static void prepare_edges(struct io_uring_sqe *sqe, int fd, unsigned events)
{
    io_uring_prep_poll_multishot(sqe, fd, events);
    sqe->poll32_events |= 1U << 31; /* EPOLLET */
}

static void prepare(struct uring_driver *self, struct io_uring_sqe *sqe,
                    struct os_event *event)
{
    unsigned events;

    switch (event->type) {
    case OS_POLL:
        events = (unsigned short)poll_of(event)->events;
        if ((events & POLLPRI) != 0)
            events |= PRI_NEEDS;
        if (poll_of(event)->edges)
            prepare_edges(sqe, event->fd, events);
        else
            io_uring_prep_poll_add(sqe, event->fd, events);
        break;
    case OS_WATCH:
        prepare_edges(sqe, event->fd, POLLIN | POLLOUT | POLLPRI | PRI_NEEDS | POLLRDHUP);
        break;
    case OS_BATCH:
        io_uring_prep_send(sqe, event->fd, batch_of(event)->data, batch_of(event)->size,
                           MSG_DONTWAIT | MSG_NOSIGNAL);
        self->batched++;
        break;
    default:
        io_uring_prep_recv_multishot(sqe, event->fd, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = URING_GROUP;
        break;
    }
    io_uring_sqe_set_data(sqe, event);
}

static void stall(struct uring_driver *self, struct os_event *event)
{
    if (event->stalled)
        return;
    self->base.pending = true;
    event->stalled = true;
    event->next_stalled = NULL;
    *self->stalled_end = event;
    self->stalled_end = &event->next_stalled;
}

/* A free place, handing over what is in the queue if need be; sends only in a wait. */
static struct io_uring_sqe *place(struct uring_driver *self)
{
    struct io_uring_sqe *sqe;

    if (self->fault != NULL && ring_fault_refuse(self->fault))
        return NULL;
    sqe = io_uring_get_sqe(&self->ring);
    if (sqe == NULL && (self->batched == 0 || self->waiting) &&
        io_uring_submit(&self->ring) >= 0)
        sqe = io_uring_get_sqe(&self->ring);
    return sqe;
}

/* Do what EVENT needs: arm it, cancel it, or nothing. */
static void advance(struct uring_driver *self, struct os_event *event)
{
    bool arm = event->wanted && !event->armed;
    bool cancel = !event->wanted && event->armed && !event->canceling;
    struct io_uring_sqe *sqe;

    if (!arm && !cancel)
        return;
    sqe = place(self);
    if (sqe == NULL) {
        stall(self, event);
        return;
    }
    self->base.pending = true;
    if (arm) {
        prepare(self, sqe, event);
        event->armed = true;
        event->canceling = false;
        self->base.armed++;
    } else {
        io_uring_prep_cancel(sqe, event, 0);
        io_uring_sqe_set_data64(sqe, 0);
        event->canceling = true;
    }
    if (self->fault != NULL)
        ring_fault_submit(self->fault, sqe);
}

/* Take EVENT, which needs nothing any more, out of the list of the stalled. */
static void unstall(struct uring_driver *self, struct os_event *event)
{
    struct os_event **at = &self->stalled;

    if (!event->stalled)
        return;
    while (*at != event)
        at = &(*at)->next_stalled;
    *at = event->next_stalled;
    if (*at == NULL)
        self->stalled_end = at;
    event->stalled = false;
}

static void advance_stalled(struct uring_driver *self)
{
    unsigned room = *self->ring.cq.kring_entries / 2;
    struct os_event *next, *event = self->stalled;

    self->stalled = NULL;
    self->stalled_end = &self->stalled;
    for (; event != NULL; event = next) {
        next = event->next_stalled;
        event->stalled = false;
        if (room > 0) {
            room--;
            advance(self, event);
        } else {
            stall(self, event);
        }
    }
}

static void poll_finish(struct uring_driver *self, struct os_poll *poll, int result)
{
    poll->event.wanted = false;
    poll->result = result;
    polls_remove(&self->polls, poll);
    os_event_happened(&self->base, &poll->event);
}

static void uring_arm(struct os_driver *driver, struct os_event *event)
{
    struct uring_driver *self = self_of(driver);

    CHECK(os_event_idle(event));
    event->wanted = true;
    if (event->type == OS_POLL) {
        int result = polls_add(&self->polls, driver->os, poll_of(event));

        poll_of(event)->edges = false;
        poll_of(event)->result = 0;
        if (result < 0) {
            event->wanted = false;
            poll_of(event)->result = result;
            os_event_happened(driver, event);
            return;
        }
    } else if (event->type == OS_WATCH) {
        watch_of(event)->ready = 0;
        watch_of(event)->error = 0;
    } else if (event->type == OS_FEED) {
        feed_of(event)->starved = false;
        feed_of(event)->more = false;
    }
    advance(self, event);
}

static void uring_cancel(struct os_driver *driver, struct os_event *event)
{
    struct uring_driver *self = self_of(driver);

    CHECK(event->type != OS_BATCH);
    if (!event->wanted)
        return;
    event->wanted = false;
    if (!event->armed)
        unstall(self, event);
    if (event->armed)
        advance(self, event);
    else if (event->type == OS_POLL)
        poll_finish(self, poll_of(event), -ECANCELED);
    else
        os_event_happened(driver, event);
}

static unsigned uring_cancel_fd(struct os_driver *driver, int fd)
{
    struct uring_driver *self = self_of(driver);
    struct os_poll *next, *poll;
    unsigned number = 0;

    for (poll = polls_first(&self->polls, fd); poll != NULL; poll = next) {
        next = poll->next_on_fd;
        uring_cancel(driver, &poll->event);
        number++;
    }
    return number;
}

/* Whether RESULT ended a request that nobody asked to end: it is to be armed again. */
static bool ended_unasked(const struct os_event *event, int result)
{
    return event->wanted &&
           (result == -ECANCELED || result == -EAGAIN || result == -EINTR);
}

static void take_poll(struct uring_driver *self, struct os_poll *poll, int result)
{
    int mine = (unsigned short)poll->events | POLLERR | POLLHUP | POLLNVAL;
    struct os_event *event = &poll->event;

    if (result > 0 && (result & mine) == 0)
        poll->edges = true;
    if (result > 0)
        result &= mine;
    if (event->wanted && (result == 0 || ended_unasked(event, result))) {
        if (!event->armed)
            stall(self, event);
        return;
    }
    if (result > 0 && poll->result == 0)
        poll->result = result; /* what comes first counts */
    if (event->armed) {        /* for edges: answered, and now to be ended */
        event->wanted = false;
        advance(self, event);
    } else if (poll->result > 0) {
        poll_finish(self, poll, poll->result);
    } else {
        poll_finish(self, poll, event->wanted ? result : -ECANCELED);
    }
}

static void take_watch(struct uring_driver *self, struct os_watch *watch, int result)
{
    struct os_event *event = &watch->event;

    if (result > 0)
        watch->ready |= (uint32_t)result;
    if (result < 0 && event->wanted && !ended_unasked(event, result)) {
        watch->error = result;
        event->wanted = false;
    }
    if (event->wanted && !event->armed)
        stall(self, event);
    if (result > 0 || !event->wanted)
        os_event_happened(&self->base, event);
}

static void take_feed(struct uring_driver *self, struct os_feed *feed, int result,
                      unsigned flags)
{
    struct os_event *event = &feed->event;

    if (result > 0) {
        uring_feed_take(self, feed, result, flags);
        feed->more = (flags & IORING_CQE_F_SOCK_NONEMPTY) != 0;
        if (feed->queued > OS_FEED_QUEUE_MAX && event->wanted) {
            event->wanted = false;
            advance(self, event);
        }
    } else if (result == 0) {
        feed->end = OS_FEED_EOF;
        event->wanted = false;
    } else if (result == -ENOBUFS || result == -ENOMEM) {
        feed->starved = true;
        event->wanted = false;
    } else if (!ended_unasked(event, result)) {
        if (result != -ECANCELED)
            feed->end = (int16_t)result;
        event->wanted = false;
    }
    if (event->wanted && !event->armed)
        stall(self, event);
    if (result >= 0 || !event->wanted)
        os_event_happened(&self->base, event);
}

static void take_batch(struct uring_driver *self, struct os_batch *batch, int result)
{
    batch->event.wanted = false;
    batch->result = result;
    os_event_happened(&self->base, &batch->event);
}

static void take(struct uring_driver *self, const struct io_uring_cqe *cqe)
{
    struct os_event *event = io_uring_cqe_get_data(cqe);

    if (event == NULL) /* a cancel's own answer */
        return;
    CHECK(event->armed);
    if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
        event->armed = false;
        event->canceling = false;
        self->base.armed--;
        if (!event->wanted)
            unstall(self, event); /* the cancel that had found no room */
    }
    if (event->type == OS_POLL)
        take_poll(self, poll_of(event), cqe->res);
    else if (event->type == OS_WATCH)
        take_watch(self, watch_of(event), cqe->res);
    else if (event->type == OS_BATCH)
        take_batch(self, batch_of(event), cqe->res);
    else
        take_feed(self, feed_of(event), cqe->res, cqe->flags);
}

static struct os_event *event_at(const struct uring_driver *self, unsigned head)
{
    const struct io_uring_cq *cq = &self->ring.cq;

    return io_uring_cqe_get_data(&cq->cqes[head & *cq->kring_mask]);
}

/*
 * Each completion touches a connection and writes into its reader's memory.  With hundreds
 * of them neither is in the nearest cache: 2 % of an echo to 512 connections.
 */
static void look_ahead(const struct uring_driver *self, unsigned head, unsigned more)
{
    struct os_event *event;

    if (more >= 2) {
        event = event_at(self, head + 2);
        __builtin_prefetch(event);
        __builtin_prefetch((const char *)event + 64);
    }
    if (more >= 1) {
        event = event_at(self, head + 1);
        if (event != NULL && event->type == OS_FEED)
            __builtin_prefetch(feed_of(event)->sink, 1);
    }
}

/* Take in every completion; false when memory for segments ran out on the way. */
static bool take_all(struct uring_driver *self)
{
    struct io_uring_cqe *cqe;
    unsigned head, number = 0, ready = io_uring_cq_ready(&self->ring);
    bool all = true;

    io_uring_for_each_cqe(&self->ring, head, cqe)
    {
        if (!uring_segment_ready(self)) {
            all = false; /* the completion stays in the ring: nothing is lost */
            break;
        }
        if (self->fault == NULL) {
            if (number < ready)
                look_ahead(self, head, ready - number - 1);
            take(self, cqe);
        } else if (!ring_fault_hold(self->fault, cqe)) {
            all = false;
            break;
        }
        number++;
    }
    io_uring_cq_advance(&self->ring, number);
    if (self->fault != NULL) {
        struct io_uring_cqe held;
        while (uring_segment_ready(self) && ring_fault_next(self->fault, &held))
            take(self, &held);
    }
    return all;
}

static int enter(struct uring_driver *self, int64_t timeout_ns)
{
    struct __kernel_timespec limit = { timeout_ns / 1000000000, timeout_ns % 1000000000 };
    sigset_t mask, *blocked = NULL;
    struct io_uring_cqe *cqe;

    if (timeout_ns == 0)
        return io_uring_submit_and_get_events(&self->ring);
    /*
     * An enter that has submitted something does not say that a signal ended its wait.  What
     * is ready at once is answered by the submission, and then there is no wait: others'
     * answers have to be fetched here, or they would never come while there is always some.
     */
    if (self->base.report_signals && io_uring_sq_ready(&self->ring) > 0)
        (void)io_uring_submit_and_get_events(&self->ring);
    if (self->base.mask != NULL) {
        mask = *self->base.mask;
        blocked = &mask;
    }
    return io_uring_submit_and_wait_timeout(
        &self->ring, &cqe, 1, timeout_ns == INT64_MAX ? NULL : &limit, blocked);
}

static int uring_wait(struct os_driver *driver, int64_t timeout_ns)
{
    struct uring_driver *self = self_of(driver);
    unsigned asked;
    uint64_t unused;
    int result;

    self->waiting = true;
    advance_stalled(self);
    uring_buffers_publish(self);
    if (self->wake_fd >= 0) /* before we look, so that what comes later is told again */
        (void)os_read(driver->os, self->wake_fd, &unused, sizeof(unused));
    if (driver->happened != NULL || self->stalled != NULL ||
        (self->fault != NULL && ring_fault_holds(self->fault)))
        timeout_ns = 0;
    asked = io_uring_sq_ready(&self->ring);
    asked -=
        self->batched < asked ? self->batched : asked; /* nothing of theirs is put off */
    self->batched = 0;
    result = enter(self, timeout_ns);
    /* Or who asks for more in each turn would have its answers later and later. */
    while (asked > WORK_A_LOOK && io_uring_get_events(&self->ring) >= 0)
        asked -= WORK_A_LOOK;
    driver->pending = self->stalled != NULL || io_uring_sq_ready(&self->ring) > 0;
    /* What did not fit the completion queue is in the kernel's list: fetch it too. */
    while (take_all(self) &&
           (IO_URING_READ_ONCE(*self->ring.sq.kflags) & IORING_SQ_CQ_OVERFLOW) != 0) {
        if (self->fault != NULL)
            ring_fault_overflow(self->fault);
        if (io_uring_get_events(&self->ring) < 0)
            break;
    }
    if (self->fault != NULL)
        ring_fault_turn(self->fault, &self->ring);
    self->waiting = false;
    return result == -EINTR ? -EINTR : 0;
}

static void uring_give(struct os_driver *driver, struct os_segment *segment)
{
    uring_segment_give(self_of(driver), segment);
}

const struct os_driver_calls uring_calls = {
    .arm = uring_arm,
    .cancel = uring_cancel,
    .give = uring_give,
    .wait = uring_wait,
    .cancel_fd = uring_cancel_fd,
    .descriptor = uring_descriptor,
    .close = uring_close,
};
