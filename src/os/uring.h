/* SPDX-License-Identifier: MIT */
/*
 * uring.h -- the inside of the io_uring driver, shared by its files: uring.c has requests
 * and what their completions mean, uring_wait.c a turn of the ring, uring_feed.c the buffers
 * that feeds receive into, uring_open.c the setting up, uring_test.c the question whether
 * this kernel will do.
 */
#ifndef OS_URING_H
#define OS_URING_H

#include <liburing.h>

#include "os/driver.h"
#include "os/polls.h"

/* Newer than Debian 12's liburing 2.3 and its headers. */
#ifndef IOU_PBUF_RING_INC
#define IOU_PBUF_RING_INC 2 /* Linux 6.12: one buffer takes many receives */
#endif
#ifndef IORING_CQE_F_BUF_MORE
#define IORING_CQE_F_BUF_MORE (1U << 4) /* and this says that it still has room */
#endif

/* The one group of provided buffers. */
#define URING_GROUP 0

/*
 * 1 MiB in all, so that the buffers stay within a core's L2 cache: 10 % cheaper echoes
 * than from 32 MiB (docs/measuring.md).  Incremental buffers are few and large; before
 * Linux 6.12 each receive takes a whole one, so they are many and small.
 */
#define URING_POOL       ((size_t)1024 * 1024)
#define URING_INC_COUNT  8
#define URING_FIXED_SIZE 2048U

struct uring_buffer {
    uint32_t used;  /* bytes received into it so far */
    uint32_t lent;  /* segments of it that have not come back */
    bool in_kernel; /* the kernel may still receive into it */
};

struct uring_driver {
    struct os_driver base;
    struct io_uring ring;
    struct polls polls;
    struct os_event *stalled, **stalled_end; /* found no room in the ring */
    unsigned batched;                        /* sends asked for since the last wait */
    bool waiting;                            /* in uring_wait */
    struct ring_fault *fault;
    int wake_fd; /* readable when there is something to take in; -1 until asked for */

    struct io_uring_buf_ring *buffer_ring;
    size_t buffer_ring_size;
    char *memory;
    size_t pool; /* bytes of it */
    struct uring_buffer *buffers;
    uint32_t buffer_count, buffer_size;
    int unpublished; /* buffers put back since the ring's tail was last stored */
    bool incremental;
    struct os_segment *free_segments;
    struct segment_chunk *chunks;
};

extern const struct os_driver_calls uring_calls;

/* uring_take -- take in a completion; uring_advance_stalled -- try those again for which there
 * was no room: uring.c. */
void uring_take(struct uring_driver *self, const struct io_uring_cqe *cqe);
void uring_advance_stalled(struct uring_driver *self);

/* Of the calls, uring_wait.c has: */
int uring_wait(struct os_driver *driver, int64_t timeout_ns);

/* ... and uring_open.c: */
int uring_descriptor(struct os_driver *driver);
void uring_close(struct os_driver *driver);

/* Buffers and segments: uring_feed.c.  -ENOBUFS: none, but the rest may work. */
int uring_buffers_open(struct uring_driver *self, size_t pool);
void uring_buffers_close(struct uring_driver *self);
void uring_buffers_publish(struct uring_driver *self);
bool uring_segment_ready(struct uring_driver *self);
void uring_segment_give(struct uring_driver *self, struct os_segment *segment);

/* uring_feed_take -- take in RESULT and FLAGS of a completion that carries bytes. */
void uring_feed_take(struct uring_driver *self, struct os_feed *feed, int result,
                     unsigned flags);

/* uring_self_test -- whether this kernel's ring does what the driver relies on. */
int uring_self_test(struct os_driver *driver);

#endif
