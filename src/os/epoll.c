/* SPDX-License-Identifier: MIT */
/*
 * epoll.c -- the driver on epoll(7): the contract that the other driver is held to.
 *
 * A watch is registered once, edge-triggered, with the event's address as its mark.
 * Polls share one registration per descriptor, level-triggered and EPOLLONESHOT, marked
 * with the number: it is re-armed by EPOLL_CTL_MOD at each wait and never removed, so
 * the next wait costs one call.  When the descriptor was closed behind our back the
 * registration has gone or belongs to another file: MOD and ADD are tried in turn (the
 * likelier one first), and a stale one can fire at most once more, which wakes a poll for nothing (polls are hints:
 * whoever waits tries again).
 *
 * A descriptor has a watch or polls, never both at once: they would share one registration.
 *
 * Always true: the table of polls lists exactly the armed ones.
 */
#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "os/driver.h"
#include "os/polls.h"

/* Events taken from the kernel in one wait; what does not fit comes in the next. */
#define EPOLL_BATCH 512

/* Descriptors whose registration we keep in mind; those above cost a call more. */
#define KNOWN_MOST 65536

/* The mark of a poll is its descriptor, made odd; that of a watch is its address. */
#define MARK_OF_FD(fd) ((uint64_t)(unsigned)(fd) << 1 | 1)

struct epoll_driver {
    struct os_driver base;
    int epoll;
    bool no_pwait2; /* the kernel or a filter refuses it: milliseconds must do */
    struct polls polls;
    uint64_t known[KNOWN_MOST / 64]; /* a bit for each descriptor: see is_known */
    struct epoll_event batch[EPOLL_BATCH];
};

static struct epoll_driver *self_of(struct os_driver *driver)
{
    return CONTAINER(driver, struct epoll_driver, base);
}

static struct os_poll *poll_of(struct os_event *event)
{
    return CONTAINER(event, struct os_poll, event);
}

static struct os_watch *watch_of(struct os_event *event)
{
    return CONTAINER(event, struct os_watch, event);
}

static void poll_finish(struct epoll_driver *self, struct os_poll *poll, int result)
{
    if (poll->event.armed)
        self->base.armed--;
    poll->event.armed = false;
    poll->event.wanted = false;
    poll->result = result;
    os_event_happened(&self->base, &poll->event);
}

/*
 * Whether FD is with the kernel already, to the best of our knowledge: others close
 * descriptors, and nobody says so.  A wrong guess is one call more, of 3 to 4 for a
 * connection that was dialed.
 */
static bool is_known(const struct epoll_driver *self, int fd)
{
    return fd >= 0 && fd < KNOWN_MOST && (self->known[fd / 64] >> fd % 64 & 1) != 0;
}

static void note_known(struct epoll_driver *self, int fd, bool known)
{
    uint64_t bit = UINT64_C(1) << fd % 64;

    if (fd < 0 || fd >= KNOWN_MOST)
        return;
    if (known)
        self->known[fd / 64] |= bit;
    else
        self->known[fd / 64] &= ~bit;
}

/* Ask the kernel for EVENT on FD, be it new there or not.  0 or -errno. */
static int ask_for(struct epoll_driver *self, int fd, struct epoll_event *event)
{
    bool known = is_known(self, fd);
    int result = epoll_ctl(self->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, event);

    if (result != 0 && errno == (known ? ENOENT : EEXIST))
        result = epoll_ctl(self->epoll, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, event);
    if (result != 0)
        return -errno;
    note_known(self, fd, true);
    return 0;
}

/* Ask the kernel for all that the polls on FD want.  0 or -errno. */
static int rearm_fd(struct epoll_driver *self, int fd)
{
    struct epoll_event event = { .events = EPOLLONESHOT, .data.u64 = MARK_OF_FD(fd) };

    for (struct os_poll *poll = polls_first(&self->polls, fd); poll != NULL;
         poll = poll->next_on_fd)
        event.events |= (uint32_t)(unsigned short)poll->events;
    return ask_for(self, fd, &event);
}

static void arm_poll(struct epoll_driver *self, struct os_poll *poll)
{
    int result = polls_add(&self->polls, self->base.os, poll);

    if (result == 0) {
        result = rearm_fd(self, poll->event.fd);
        if (result == 0) {
            poll->event.armed = true;
            self->base.armed++;
            return;
        }
        polls_remove(&self->polls, poll);
    }
    /* EPERM: a regular file or the like, which is always ready (poll(2)). */
    if (result == -EPERM)
        result = poll->events & (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
    poll_finish(self, poll, result);
}

static void arm_watch(struct epoll_driver *self, struct os_watch *watch)
{
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET,
        .data.ptr = watch,
    };

    CHECK(polls_first(&self->polls, watch->event.fd) == NULL);
    watch->ready = 0;
    watch->error = ask_for(self, watch->event.fd, &event);
    if (watch->error == 0) {
        watch->event.armed = true;
        self->base.armed++;
        return;
    }
    watch->event.wanted = false;
    os_event_happened(&self->base, &watch->event);
}

static void epoll_arm(struct os_driver *driver, struct os_event *event)
{
    struct epoll_driver *self = self_of(driver);

    CHECK(os_event_idle(event) && (event->type == OS_POLL || event->type == OS_WATCH));
    event->wanted = true;
    if (event->type == OS_POLL)
        arm_poll(self, poll_of(event));
    else
        arm_watch(self, watch_of(event));
}

static void epoll_cancel(struct os_driver *driver, struct os_event *event)
{
    struct epoll_driver *self = self_of(driver);

    event->wanted = false;
    if (!event->armed)
        return;
    if (event->type == OS_POLL) {
        polls_remove(&self->polls, poll_of(event));
        poll_finish(self, poll_of(event), -ECANCELED);
        return;
    }
    CHECK(epoll_ctl(self->epoll, EPOLL_CTL_DEL, event->fd, NULL) == 0);
    note_known(self, event->fd, false);
    event->armed = false;
    self->base.armed--;
    os_event_happened(driver, event);
}

static unsigned epoll_cancel_fd(struct os_driver *driver, int fd)
{
    struct epoll_driver *self = self_of(driver);
    struct os_poll *poll;
    unsigned number = 0;

    while ((poll = polls_first(&self->polls, fd)) != NULL) {
        epoll_cancel(driver, &poll->event);
        number++;
    }
    return number;
}

/* Answer the polls on FD that READY concerns, and re-arm for the others. */
static void take_fd(struct epoll_driver *self, int fd, uint32_t ready)
{
    struct os_poll *next, *poll;
    int result;

    for (poll = polls_first(&self->polls, fd); poll != NULL; poll = next) {
        uint32_t mine = (uint32_t)(unsigned short)poll->events | POLLERR | POLLHUP;

        next = poll->next_on_fd;
        if ((ready & mine) != 0) {
            polls_remove(&self->polls, poll);
            poll_finish(self, poll, (int)(ready & mine));
        }
    }
    if (polls_first(&self->polls, fd) == NULL)
        return;
    result = rearm_fd(self, fd);
    while (result < 0 && (poll = polls_first(&self->polls, fd)) != NULL) {
        polls_remove(&self->polls, poll);
        poll_finish(self, poll, result);
    }
}

static int wait_some(struct epoll_driver *self, int64_t timeout_ns)
{
    struct timespec limit = { timeout_ns / 1000000000, timeout_ns % 1000000000 };
    int64_t ms = timeout_ns / 1000000 + (timeout_ns % 1000000 != 0);
    int number;

    if (timeout_ns != 0 && timeout_ns != INT64_MAX && !self->no_pwait2) {
        number =
            epoll_pwait2(self->epoll, self->batch, EPOLL_BATCH, &limit, self->base.mask);
        if (number >= 0 || (errno != ENOSYS && errno != EPERM))
            return number < 0 ? -errno : number;
        self->no_pwait2 = true; /* before Linux 5.11, or filtered */
    }
    if (timeout_ns == INT64_MAX)
        ms = -1;
    else if (ms > INT_MAX)
        ms = INT_MAX;
    number = epoll_pwait(self->epoll, self->batch, EPOLL_BATCH, (int)ms, self->base.mask);
    return number < 0 ? -errno : number;
}

static int epoll_driver_wait(struct os_driver *driver, int64_t timeout_ns)
{
    struct epoll_driver *self = self_of(driver);
    int number = wait_some(self, driver->happened != NULL ? 0 : timeout_ns);

    for (int i = 0; i < number; i++) {
        struct epoll_event *event = &self->batch[i];

        if ((event->data.u64 & 1) != 0) {
            take_fd(self, (int)(event->data.u64 >> 1), event->events);
            continue;
        }
        struct os_watch *watch = event->data.ptr;
        watch->ready |= event->events;
        os_event_happened(driver, &watch->event);
    }
    return number < 0 ? number : 0;
}

static void epoll_give(struct os_driver *driver, struct os_segment *segment)
{
    (void)driver;
    (void)segment;
    UNREACHED("epoll lends no segments");
}

static int epoll_descriptor(struct os_driver *driver)
{
    return self_of(driver)->epoll;
}

static void epoll_close(struct os_driver *driver)
{
    struct epoll_driver *self = self_of(driver);
    struct os *os = driver->os;

    CHECK(driver->armed == 0);
    os_close(os, self->epoll);
    polls_release(&self->polls, os);
    os_release(os, self);
}

static const struct os_driver_calls epoll_calls = {
    .arm = epoll_arm,
    .cancel = epoll_cancel,
    .give = epoll_give,
    .wait = epoll_driver_wait,
    .cancel_fd = epoll_cancel_fd,
    .descriptor = epoll_descriptor,
    .close = epoll_close,
};

int epoll_driver_open(struct os *os, const struct os_driver_options *options,
                      struct os_driver **driver)
{
    struct epoll_driver *self = os_allocate(os, sizeof(*self));

    (void)options;
    if (self == NULL)
        return -ENOMEM;
    os_driver_init(&self->base, os, &epoll_calls, "epoll");
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (self->epoll < 0) {
        int result = -errno;
        os_release(os, self);
        return result;
    }
    *driver = &self->base;
    return 0;
}
