/* SPDX-License-Identifier: MIT */
/*
 * uring.c -- the driver on io_uring(7): the contract of epoll.c, at less cost.
 *
 * A poll is IORING_OP_POLL_ADD; a watch the same, multishot and edge-triggered (and so is
 * a poll that was answered with what it had not asked for, or it would be again, at once
 * and without end: a ring tells of POLLRDHUP unasked, Linux 6.18, IO_POLL_UNMASK); a feed a
 * multishot receive into the shared buffers of uring_feed.c; an accept a multishot accept; a
 * batch a send that does not wait, and so completes as it is submitted.  One io_uring_enter a turn
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
#include "os/accepted.h"
#include "os/ring_fault.h"

/* POLLPRI alone never fires on a ring (Linux 6.18); with POLLRDBAND beside it does. */
#define PRI_NEEDS POLLRDBAND

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

static struct os_accept *accept_of(struct os_event *event)
{
    return CONTAINER(event, struct os_accept, event);
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
    case OS_ACCEPT:
        io_uring_prep_multishot_accept(sqe, event->fd, NULL, NULL,
                                       SOCK_NONBLOCK | SOCK_CLOEXEC);
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

void uring_advance_stalled(struct uring_driver *self)
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

/*
 * Whether RESULT ended a request that nobody asked to end: it is to be armed again.  A terminal
 * whose settings change wakes both its queues, and the poll that is made again for that finds
 * itself still in one: EINVAL (Linux 6.18, io_poll_double_prepare).
 */
static bool ended_unasked(const struct os_event *event, int result)
{
    return event->wanted &&
           (result == -ECANCELED || result == -EAGAIN || result == -EINTR ||
            (event->type == OS_POLL && result == -EINVAL));
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

static void take_accept(struct uring_driver *self, struct os_accept *accept, int result)
{
    struct os_event *event = &accept->event;

    if (result >= 0)
        accepted_keep(self->base.os, accept, result);
    else if (!ended_unasked(event, result))
        event->wanted = false;
    if (accepted_count(accept) > OS_ACCEPT_QUEUE_MAX && event->wanted) {
        event->wanted = false;
        advance(self, event);
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

void uring_take(struct uring_driver *self, const struct io_uring_cqe *cqe)
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
    else if (event->type == OS_ACCEPT)
        take_accept(self, accept_of(event), cqe->res);
    else if (event->type == OS_BATCH)
        take_batch(self, batch_of(event), cqe->res);
    else
        take_feed(self, feed_of(event), cqe->res, cqe->flags);
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
