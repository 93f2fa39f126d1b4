/* SPDX-License-Identifier: MIT */
/*
 * uring_open.c -- setting up a ring, and taking it down.
 *
 * The ring is SINGLE_ISSUER with DEFER_TASKRUN (Linux 6.1): without the latter,
 * epoll_wait and timed receives of the same thread fail with EINTR for no signal.  It
 * starts at 256 entries and halves while RLIMIT_MEMLOCK refuses it; the completion queue
 * has four times as many.  Where even 32 do not fit, opening fails and epoll serves.
 * The buffers of feeds are charged as well; where they do not fit beside the ring, it
 * works without feeds.  (A smaller ring would not help: the charge of the one given up is
 * released some time later.)
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/check.h"
#include "os/ring_fault.h"
#include "os/uring.h"

#define ENTRIES_DEFAULT 256U
#define ENTRIES_LEAST   32U

static struct uring_driver *self_of(struct os_driver *driver)
{
    return CONTAINER(driver, struct uring_driver, base);
}

/*
 * Not the ring's own descriptor: under DEFER_TASKRUN it does not wake who already polls
 * it, since the completion is only made when we enter (Linux 6.18).  An eventfd is told of
 * the work itself.
 */
int uring_descriptor(struct os_driver *driver)
{
    struct uring_driver *self = self_of(driver);
    int fd, result;

    if (self->wake_fd >= 0)
        return self->wake_fd;
    fd = os_eventfd(driver->os, 1, EFD_NONBLOCK | EFD_CLOEXEC); /* 1: what is here now */
    if (fd < 0)
        return fd;
    result = io_uring_register_eventfd(&self->ring, fd);
    if (result < 0) {
        os_close(driver->os, fd);
        return result;
    }
    self->wake_fd = fd;
    return fd;
}

void uring_close(struct os_driver *driver)
{
    struct uring_driver *self = self_of(driver);
    struct os *os = driver->os;

    CHECK(driver->armed == 0);
    ring_fault_close(self->fault);
    io_uring_queue_exit(&self->ring);
    if (self->wake_fd >= 0)
        os_close(os, self->wake_fd);
    uring_buffers_close(self);
    polls_release(&self->polls, os);
    os_release(os, self);
}

static int open_ring(struct uring_driver *self, unsigned entries)
{
    unsigned least = entries != 0 ? entries : ENTRIES_LEAST;
    unsigned size = entries != 0 ? entries : ENTRIES_DEFAULT;
    int result;

    for (;;) {
        struct io_uring_params params = {
            .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                     IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
            .cq_entries = size * 4,
        };
        result = io_uring_queue_init_params(size, &self->ring, &params);
        if (result != -ENOMEM || size / 2 < least)
            break;
        size /= 2;
    }
    if (result < 0)
        return result;
    snprintf(self->base.note, sizeof(self->base.note), "ring of %u entries",
             *self->ring.sq.kring_entries);
    /* A child must not write into our ring; and one descriptor look-up less a turn. */
    result = io_uring_ring_dontfork(&self->ring);
    if (result >= 0)
        (void)io_uring_register_ring_fd(&self->ring); /* an optimisation only */
    else
        io_uring_queue_exit(&self->ring);
    return result < 0 ? result : 0;
}

static void append_note(struct uring_driver *self, const char *more)
{
    size_t used = strlen(self->base.note);

    snprintf(self->base.note + used, sizeof(self->base.note) - used, "%s", more);
}

int uring_driver_open(struct os *os, const struct os_driver_options *options,
                      struct os_driver **driver)
{
    struct uring_driver *self = os_allocate(os, sizeof(*self));
    int result;

    if (self == NULL)
        return -ENOMEM;
    os_driver_init(&self->base, os, &uring_calls, "uring");
    self->base.abilities = OS_CAN_FEED | OS_CAN_BATCH | OS_CAN_ACCEPT | OS_VAGUE_PRI;
    self->stalled_end = &self->stalled;
    self->wake_fd = -1;
    result = open_ring(self, options->entries);
    if (result < 0) {
        os_release(os, self);
        return result;
    }
    result = uring_buffers_open(self, options->pool);
    if (result == -ENOBUFS) {
        uring_buffers_close(self);
        self->base.abilities &= ~OS_CAN_FEED;
        append_note(self, ", no buffers to receive into");
        result = 0;
    }
    if (result >= 0)
        result = uring_self_test(&self->base);
    if (result < 0) {
        io_uring_queue_exit(&self->ring);
        uring_buffers_close(self);
        polls_release(&self->polls, os);
        os_release(os, self);
        return result;
    }
    self->fault = options->fault;
    *driver = &self->base;
    return 0;
}
