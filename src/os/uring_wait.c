/* SPDX-License-Identifier: MIT */
/*
 * uring_wait.c -- a turn of the ring: hand over what was asked for, wait, and take in every
 * completion there is, before anybody runs.
 */
#include <errno.h>

#include "base/check.h"
#include "os/ring_fault.h"
#include "os/uring.h"

/* A look runs this much of what is put off until one (IO_LOCAL_TW_DEFAULT_MAX, Linux 6.18). */
#define WORK_A_LOOK 20U

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
            __builtin_prefetch(CONTAINER(event, struct os_feed, event)->sink, 1);
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
            uring_take(self, cqe);
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
            uring_take(self, &held);
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

int uring_wait(struct os_driver *driver, int64_t timeout_ns)
{
    struct uring_driver *self = CONTAINER(driver, struct uring_driver, base);
    unsigned asked;
    uint64_t unused;
    int result;

    self->waiting = true;
    uring_advance_stalled(self);
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
