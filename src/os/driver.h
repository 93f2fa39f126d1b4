/* SPDX-License-Identifier: MIT */
/*
 * driver.h -- waiting for many descriptors at once, as data.
 *
 * Five things can be asked of a driver, each a struct in the caller's memory that
 * starts with an os_event:
 *
 *   os_poll    one answer: wait once until a descriptor is ready (poll(2) bits)
 *   os_watch   many answers: the edges of a descriptor's readiness, gathered in `ready`
 *   os_feed    many answers: bytes of a stream, received ahead into the driver's own
 *              buffers and queued here (only where OS_CAN_FEED: io_uring)
 *   os_accept  many answers: connections of a listener, accepted and queued here for its
 *              owner (only where OS_CAN_ACCEPT: io_uring)
 *   os_batch   one answer: what a send that does not wait gives, made together with all
 *              others in a wait, not before, which has the answer as well, but for want of
 *              memory (only where OS_CAN_BATCH: io_uring)
 *
 * Nothing the driver holds for longer than to the next wait refers to memory of a user's:
 * receives land in the driver's buffers, and a send that does not wait is over when it has
 * been submitted (Linux: REQ_F_NOWAIT), so there is nothing to cancel.  So no cancel can
 * race with a user's buffer.
 *
 * The driver knows no tasks.  When something happened it puts the event, once, into its
 * list, and the loop calls `notify` after the whole batch has been taken in: reap all,
 * then run.  A request to end something (os_driver_cancel) is only a request: what
 * happened first counts, the last answer says how it went, and the memory stays the
 * driver's until os_event_idle().  An answer is never lost to a cancel.
 *
 * Calls other than wait never fail and never block: what the kernel refuses becomes the
 * event's answer.
 */
#ifndef OS_DRIVER_H
#define OS_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "os/os.h"

enum os_event_type { OS_POLL, OS_WATCH, OS_FEED, OS_ACCEPT, OS_BATCH };

struct os_event {
    struct os_event *next;         /* in the list of what happened */
    struct os_event *next_stalled; /* in the list of what waits for room in the ring */
    void (*notify)(struct os_event *);
    int fd;
    uint8_t type;
    bool happened : 1; /* is in the first list */
    bool stalled : 1;  /* is in the second one */
    bool wanted : 1;   /* the owner wants answers */
    bool armed : 1;    /* the kernel may still answer: the memory must stay */
    bool canceling : 1;
};

/* os_event_idle -- whether the driver has done with EVENT, so that it may be freed. */
static inline bool os_event_idle(const struct os_event *event)
{
    return !event->armed && !event->happened && !event->stalled;
}

struct os_poll {
    struct os_event event;
    struct os_poll *next_on_fd; /* epoll only: others on the same descriptor */
    short events;               /* wanted */
    bool edges;                 /* ring only: asked for edges, see uring.c */
    int result;                 /* poll(2) bits, or -errno; -ECANCELED after a cancel */
    /*
     * A hint: on a ring the bits are those of the wake-up, so that a socket's POLLPRI
     * comes with any data (sock_def_readable, Linux 6.18).  Try, or poll(2) again.
     */
};

/* One a descriptor, without polls beside it; none of a regular file: it has no edges. */
struct os_watch {
    struct os_event event;
    uint32_t ready; /* poll(2) bits seen and not yet cleared by the owner */
    int error;      /* -errno if watching itself failed */
};

/* send(2) with MSG_DONTWAIT and MSG_NOSIGNAL.  Not to be canceled. */
struct os_batch {
    struct os_event event;
    const void *data;
    size_t size;
    int result; /* bytes, or -errno */
};

/* A range of received bytes in a buffer lent by the driver, or in memory of its own. */
struct os_segment {
    struct os_segment *next;
    const char *data;
    uint32_t size;
    uint32_t buffer;
};

struct os_feed {
    struct os_event event;
    struct os_segment *head, *tail; /* received and not yet given back */
    char *sink;                     /* where the waiting reader wants bytes, or NULL */
    uint32_t sink_room, sink_got;
    uint32_t queued; /* bytes in the segments */
    int16_t end;     /* 0 while bytes may come; OS_FEED_EOF; or -errno */
    bool starved;    /* the driver ran out of buffers: it stopped, nothing is lost */
    bool more;       /* the kernel had more behind the last bytes that came */
};

#define OS_FEED_EOF 1

/* More than this many bytes queued unread and the feed is stopped (back-pressure). */
#define OS_FEED_QUEUE_MAX (256U * 1024)

/*
 * Of a listener, one a descriptor.  Whatever ends it but a cancel, an error of accept(2)
 * included, is told by no number: the owner's next accept(2) finds it again.
 */
struct os_accept {
    struct os_event event;
    int *fds; /* accepted, non-blocking, close-on-exec; see os/accepted.h */
    uint32_t first, count, room; /* those from first to count have not been taken */
};

/* So many connections not taken and the request is ended (back-pressure); what the ring has
 * completed by then comes on top. */
#define OS_ACCEPT_QUEUE_MAX 256U

#define OS_CAN_FEED   1U
#define OS_VAGUE_PRI  2U /* POLLPRI of a watch may mean no more than POLLIN */
#define OS_CAN_BATCH  4U
#define OS_CAN_ACCEPT 8U

#define OS_POOL_NONE 1U

struct os_driver_options {
    unsigned entries; /* of the ring; 0 for the default */
    unsigned pool; /* bytes of buffers for feeds, a power of two from 4096 on; 0 for the
                      default; OS_POOL_NONE: no feeds */
    /* tests: odd completions between ring and kernel; a driver that opens owns it */
    struct ring_fault *fault;
};

struct os_driver_calls {
    void (*arm)(struct os_driver *, struct os_event *);
    void (*cancel)(struct os_driver *, struct os_event *);
    void (*give)(struct os_driver *, struct os_segment *);
    int (*wait)(struct os_driver *, int64_t timeout_ns);
    unsigned (*cancel_fd)(struct os_driver *, int fd);
    int (*descriptor)(struct os_driver *);
    void (*close)(struct os_driver *);
};

struct os_driver {
    const struct os_driver_calls *calls;
    const char *name;
    struct os *os;
    struct os_event *happened, **happened_end; /* what the loop shall look at */
    unsigned abilities;                        /* OS_CAN_... */
    unsigned armed;                            /* how many events the kernel holds */
    bool pending; /* something was asked for that only the next wait hands over */

    /* Set by the loop around a wait: it must not miss that a handler ran; what to block. */
    bool report_signals;
    const sigset_t *mask;
    char note[96]; /* what a person should know of it */
};

/* os_driver_arm -- ask for what EVENT describes.  It must be idle. */
static inline void os_driver_arm(struct os_driver *driver, struct os_event *event)
{
    driver->calls->arm(driver, event);
}

/* os_driver_cancel -- ask for the end of EVENT; harmless when it has ended. */
static inline void os_driver_cancel(struct os_driver *driver, struct os_event *event)
{
    driver->calls->cancel(driver, event);
}

/* os_driver_give -- give SEGMENT of a feed back; the caller has unlinked it. */
static inline void os_driver_give(struct os_driver *driver, struct os_segment *segment)
{
    driver->calls->give(driver, segment);
}

/*
 * os_driver_wait -- hand everything asked for to the kernel, wait until something
 * happens or TIMEOUT_NS have passed (0: do not wait; INT64_MAX: no limit), and take in
 * all that has happened.  0, or -EINTR when a signal came first.
 */
static inline int os_driver_wait(struct os_driver *driver, int64_t timeout_ns)
{
    return driver->calls->wait(driver, timeout_ns);
}

/* os_driver_cancel_fd -- cancel every os_poll on FD; returns how many are not idle. */
static inline unsigned os_driver_cancel_fd(struct os_driver *driver, int fd)
{
    return driver->calls->cancel_fd(driver, fd);
}

/*
 * os_driver_descriptor -- readable when wait would find something without waiting, and
 * perhaps once more for nothing.  While driver->pending it says nothing: wait first.
 * -errno when there is none to be had.
 */
static inline int os_driver_descriptor(struct os_driver *driver)
{
    return driver->calls->descriptor(driver);
}

static inline void os_driver_close(struct os_driver *driver)
{
    driver->calls->close(driver);
}

/* os_driver_open -- by name; see struct os_calls. */
static inline int os_driver_open(struct os *os, const char *name,
                                 const struct os_driver_options *options,
                                 struct os_driver **driver)
{
    return os->calls->driver_open(os, name, options, driver);
}

/* For drivers: EVENT has an answer; the loop shall look at it. */
static inline void os_event_happened(struct os_driver *driver, struct os_event *event)
{
    if (event->happened)
        return;
    event->happened = true;
    event->next = NULL;
    *driver->happened_end = event;
    driver->happened_end = &event->next;
}

/* For drivers: EVENT, which is not armed, is refused with ERROR; a feed finds no buffers. */
static inline void os_event_refuse(struct os_driver *driver, struct os_event *event,
                                   int error)
{
    event->wanted = false;
    switch (event->type) {
    case OS_POLL:
        ((struct os_poll *)event)->result = error;
        break;
    case OS_WATCH:
        ((struct os_watch *)event)->ready = 0;
        ((struct os_watch *)event)->error = error;
        break;
    case OS_FEED:
        ((struct os_feed *)event)->starved = true;
        break;
    case OS_ACCEPT:
        break;
    case OS_BATCH:
        ((struct os_batch *)event)->result = error;
        break;
    }
    os_event_happened(driver, event);
}

/* For the loop: take the first event that has an answer, or NULL. */
static inline struct os_event *os_driver_next(struct os_driver *driver)
{
    struct os_event *event = driver->happened;

    if (event == NULL)
        return NULL;
    driver->happened = event->next;
    if (driver->happened == NULL)
        driver->happened_end = &driver->happened;
    event->next = NULL;
    event->happened = false;
    return event;
}

/* For drivers: the parts of a new one that all share. */
static inline void os_driver_init(struct os_driver *driver, struct os *os,
                                  const struct os_driver_calls *calls, const char *name)
{
    driver->calls = calls;
    driver->name = name;
    driver->os = os;
    driver->happened = NULL;
    driver->happened_end = &driver->happened;
}

/* The two real drivers, for linux.c. */
int epoll_driver_open(struct os *os, const struct os_driver_options *options,
                      struct os_driver **driver);
int uring_driver_open(struct os *os, const struct os_driver_options *options,
                      struct os_driver **driver);

#endif
