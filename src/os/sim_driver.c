/* SPDX-License-Identifier: MIT */
/*
 * sim_driver.c -- the simulator's driver: waiting is jumping to the next event.
 *
 * It plays either real driver.  As "epoll", an answer is a look at the file when the
 * waiter is taken, a cancel is done at once, and closing the last descriptor drops what
 * is armed.  As "uring", an answer is what the wake-up told (bits that may be stale by
 * then), a cancel is answered later and may be outrun, an armed event keeps its file
 * open, and there are feeds, accepts and batches.
 *
 * By chance answers come late, out of order, or for nothing: all that driver.h allows.
 *
 * Always true: a waiter exists exactly while its event is armed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "os/ring_fault.h"
#include "os/sim_inside.h"

#define TABLE_SIZE 1024U

struct sim_driver {
    struct os_driver base;
    struct sim *sim;
    struct link in_sim;
    struct link waiters, pending;
    unsigned count;
    bool ring;
    struct sim_waiter *table[TABLE_SIZE]; /* by address: only for looking up */
};

static struct sim_driver *self_of(struct os_driver *driver)
{
    return CONTAINER(driver, struct sim_driver, base);
}

static struct sim_waiter **place_of(struct sim_driver *self, const struct os_event *event)
{
    struct sim_waiter **at = &self->table[(uintptr_t)event / 64 % TABLE_SIZE];

    while (*at != NULL && (*at)->event != event)
        at = &(*at)->next_same;
    return at;
}

/* ---- waking ---- */

static void pending_add(struct sim_waiter *waiter, uint32_t key)
{
    if (!list_empty(&waiter->pending)) {
        waiter->look = true; /* io_poll_check_events: of several, none is told */
        return;
    }
    waiter->key = key;
    waiter->look = waiter->look || key == 0;
    list_append(&waiter->driver->pending, &waiter->pending);
}

void sim_wake(struct sim *sim, struct sim_file *file, uint32_t key)
{
    (void)sim;
    for (struct link *at = file->waiters.next; at != &file->waiters; at = at->next) {
        struct sim_waiter *waiter = CONTAINER(at, struct sim_waiter, in_file);

        if (key == 0 || (key & waiter->interest) != 0)
            pending_add(waiter, key);
    }
}

static void wake_later(struct sim *sim, struct sim_event *event)
{
    (void)sim;
    pending_add(CONTAINER(event, struct sim_waiter, later), 0);
}

void sim_waiters_forget(struct sim *sim, struct sim_file *file)
{
    struct link *link;

    (void)sim;
    while ((link = list_first(&file->waiters)) != NULL) {
        struct sim_waiter *waiter = CONTAINER(link, struct sim_waiter, in_file);

        CHECK(!waiter->driver->ring); /* it holds a reference */
        waiter->file = NULL;
        list_remove(link);
        list_remove(&waiter->pending);
    }
}

/* ---- arming and ending ---- */

static uint32_t interest_of(const struct sim_driver *self, const struct os_event *event)
{
    uint32_t band = self->ring ? POLLRDBAND : 0;
    uint32_t bits;

    switch (event->type) {
    case OS_POLL:
        bits = (uint32_t)(unsigned short)CONTAINER(event, struct os_poll, event)->events;
        if ((bits & POLLPRI) != 0)
            bits |= band;
        break;
    case OS_WATCH:
        bits = POLLIN | POLLOUT | POLLPRI | POLLRDHUP | band;
        break;
    case OS_BATCH:
        return 0; /* nothing wakes it: it is about to be done */
    default:
        bits = POLLIN | POLLRDNORM | POLLRDHUP;
        break;
    }
    return bits | POLLERR | POLLHUP;
}

static bool watched(const struct sim_driver *self, const struct sim_file *file)
{
    for (struct link *at = file->waiters.next; at != &file->waiters; at = at->next) {
        struct sim_waiter *waiter = CONTAINER(at, struct sim_waiter, in_file);

        if (waiter->driver == self && waiter->event->type == OS_WATCH)
            return true;
    }
    return false;
}

static void start(struct sim_driver *self, struct sim_waiter *waiter,
                  struct sim_file *file, struct os_event *event)
{
    waiter->driver = self;
    waiter->file = file;
    waiter->event = event;
    waiter->interest = interest_of(self, event);
    waiter->later.run = wake_later;
    list_init(&waiter->pending);
    list_append(&file->waiters, &waiter->in_file);
    list_append(&self->waiters, &waiter->in_driver);
    *place_of(self, event) = waiter;
    file->references += self->ring;
    event->armed = true;
    event->canceling = false;
    self->base.armed++;
    self->count++;
    self->sim->facts.armed++;
    pending_add(waiter, 0);
}

static void sim_driver_arm(struct os_driver *driver, struct os_event *event)
{
    struct sim_driver *self = self_of(driver);
    struct sim_file *file = sim_file_at(self->sim, event->fd);
    struct sim_waiter *waiter;

    CHECK(os_event_idle(event));
    CHECK(event->type == OS_POLL || event->type == OS_WATCH || self->ring);
    sim_call(self->sim);
    event->wanted = true;
    if (event->type == OS_WATCH) {
        CONTAINER(event, struct os_watch, event)->ready = 0;
        CONTAINER(event, struct os_watch, event)->error = 0;
    } else if (event->type == OS_FEED) {
        CONTAINER(event, struct os_feed, event)->starved = false;
        CONTAINER(event, struct os_feed, event)->more = false;
    }
    if (file == NULL) {
        os_event_refuse(driver, event, -EBADF);
        return;
    }
    if (!self->ring && event->type == OS_WATCH && watched(self, file)) {
        os_event_refuse(driver, event, -EEXIST);
        return;
    }
    waiter = sim_new(sizeof(*waiter));
    if (waiter == NULL || sim_room(self->sim, 1) < 0) {
        sim_free(waiter);
        os_event_refuse(driver, event, -ENOMEM);
        return;
    }
    sim_trace(self->sim, 'a', file->number, event->type);
    start(self, waiter, file, event);
}

/* WAITER's event is armed no more, and its owner is told. */
static void finish(struct sim_waiter *waiter)
{
    struct sim_driver *self = waiter->driver;
    struct os_event *event = waiter->event;
    struct sim_file *file = waiter->file;

    *place_of(self, event) = waiter->next_same;
    list_remove(&waiter->pending);
    list_remove(&waiter->in_driver);
    if (file != NULL)
        list_remove(&waiter->in_file);
    sim_event_clear(self->sim, &waiter->later);
    sim_room_back(self->sim, 1);
    sim_free(waiter);
    event->wanted = event->armed = event->canceling = false;
    self->base.armed--;
    self->count--;
    self->sim->facts.armed--;
    os_event_happened(&self->base, event);
    if (self->ring)
        sim_file_drop(self->sim, file);
}

static void finish_poll(struct sim_waiter *waiter, int result)
{
    CONTAINER(waiter->event, struct os_poll, event)->result = result;
    finish(waiter);
}

static void sim_driver_cancel(struct os_driver *driver, struct os_event *event)
{
    struct sim_driver *self = self_of(driver);
    struct sim_waiter *waiter;

    CHECK(event->type != OS_BATCH);
    if (!event->wanted)
        return;
    event->wanted = false;
    if (!event->armed)
        return;
    waiter = *place_of(self, event);
    CHECK(waiter != NULL);
    sim_trace(self->sim, 'c', waiter->file != NULL ? waiter->file->number : 0,
              event->type);
    if (self->ring) {
        event->canceling = true;
        pending_add(waiter, 0);
        return;
    }
    if (event->type == OS_POLL) {
        finish_poll(waiter, -ECANCELED);
        return;
    }
    CHECK(waiter->file != NULL); /* the descriptor was closed before its watch */
    finish(waiter);
}

static unsigned sim_driver_cancel_fd(struct os_driver *driver, int fd)
{
    struct sim_driver *self = self_of(driver);
    struct link *next;
    unsigned number = 0;

    for (struct link *at = self->waiters.next; at != &self->waiters; at = next) {
        struct os_event *event = CONTAINER(at, struct sim_waiter, in_driver)->event;

        next = at->next;
        if (event->type != OS_POLL || event->fd != fd)
            continue;
        sim_driver_cancel(driver, event);
        number++;
    }
    return number;
}

/* ---- answering ---- */

/* What WAITER is told: the wake-up's own bits on a ring, if there was but one. */
static uint32_t bits_of(struct sim_waiter *waiter)
{
    struct sim *sim = waiter->driver->sim;
    uint32_t bits = waiter->key;

    if (!waiter->driver->ring || waiter->look)
        bits = waiter->file->calls->poll(sim, waiter->file);
    return bits & waiter->interest;
}

static void take_poll(struct sim_waiter *waiter, uint32_t bits)
{
    struct os_poll *poll = CONTAINER(waiter->event, struct os_poll, event);
    uint32_t mine = (uint32_t)(unsigned short)poll->events | POLLERR | POLLHUP;

    if ((bits & mine) != 0)
        finish_poll(waiter, (int)(bits & mine));
}

static void take_watch(struct sim_waiter *waiter, uint32_t bits)
{
    struct os_watch *watch = CONTAINER(waiter->event, struct os_watch, event);

    if (bits == 0)
        return;
    watch->ready |= bits;
    os_event_happened(&waiter->driver->base, waiter->event);
}

static void take_ahead(struct sim_waiter *waiter)
{
    struct sim *sim = waiter->driver->sim;
    enum sim_feed_step step = sim_take_ahead(sim, waiter->file, waiter->event);

    if (step == SIM_FEED_ENDED)
        finish(waiter);
    else if (step == SIM_FEED_BYTES)
        os_event_happened(&waiter->driver->base, waiter->event);
}

/* Each takes its time, in which more happens: room may come before its want is told. */
static void take_batch(struct sim_waiter *waiter)
{
    struct sim *sim = waiter->driver->sim;

    sim_batch_send(sim, waiter->file, CONTAINER(waiter->event, struct os_batch, event));
    sim_call(sim);
    finish(waiter);
}

/* On a ring: the target of a cancel ends now, after a last answer perhaps. */
static void take_canceled(struct sim_waiter *waiter)
{
    struct sim *sim = waiter->driver->sim;
    struct os_event *event = waiter->event;
    bool first = sim_strikes(sim, &sim->chance_driver, SIM_AFTER_CANCEL);
    uint32_t bits = first ? waiter->file->calls->poll(sim, waiter->file) : 0;

    if (event->type == OS_POLL) {
        const struct os_poll *poll = CONTAINER(event, struct os_poll, event);

        bits &= (uint32_t)(unsigned short)poll->events | POLLERR | POLLHUP;
        finish_poll(waiter, bits != 0 ? (int)bits : -ECANCELED);
        return;
    }
    if (event->type == OS_WATCH)
        CONTAINER(event, struct os_watch, event)->ready |= bits & waiter->interest;
    else if (first)
        (void)sim_take_ahead(sim, waiter->file, event);
    finish(waiter);
}

static void take(struct sim_waiter *waiter)
{
    struct sim *sim = waiter->driver->sim;

    list_remove(&waiter->pending);
    if (sim_strikes(sim, &sim->chance_driver, SIM_LATE)) {
        sim_event_set(sim, &waiter->later,
                      sim->now +
                          sim_random_between(&sim->chance_driver, 1000, 3 * SIM_MS));
        return;
    }
    if (waiter->event->canceling)
        take_canceled(waiter);
    else if (waiter->event->type == OS_POLL)
        take_poll(waiter, bits_of(waiter));
    else if (waiter->event->type == OS_WATCH)
        take_watch(waiter, bits_of(waiter));
    else if (waiter->event->type == OS_BATCH)
        take_batch(waiter);
    else
        take_ahead(waiter);
}

/* Take in what is pending, now and then in another order. */
static void take_all(struct sim_driver *self)
{
    struct sim_random *chance = &self->sim->chance_driver;
    unsigned limit = 2 * self->count + 1;
    struct link *link;

    while ((link = list_first(&self->pending)) != NULL && limit-- > 0) {
        struct sim_waiter *waiter = CONTAINER(link, struct sim_waiter, pending);

        if (link->next != &self->pending && sim_random_below(chance, 8) == 0) {
            list_remove(link);
            list_append(&self->pending, link);
            continue;
        }
        take(waiter);
        if (link == list_first(&self->pending)) /* it goes on receiving: next time */
            break;
    }
}

/* Somebody is woken for nothing: readiness is a hint, and may be old. */
static void wake_for_nothing(struct sim_driver *self)
{
    struct sim *sim = self->sim;
    uint64_t which;
    struct link *at = self->waiters.next;

    if (self->count == 0 || !sim_strikes(sim, &sim->chance_driver, SIM_SPURIOUS))
        return;
    which = sim_random_below(&sim->chance_driver, self->count);
    while (which-- > 0)
        at = at->next;

    struct sim_waiter *waiter = CONTAINER(at, struct sim_waiter, in_driver);
    uint32_t bits = waiter->interest & (POLLIN | POLLOUT);

    if (sim_random_below(&sim->chance_driver, 2) == 0)
        bits &= POLLIN;
    if (waiter->event->canceling || waiter->file == NULL)
        return;
    if (waiter->event->type == OS_POLL)
        take_poll(waiter, bits);
    else if (waiter->event->type == OS_WATCH)
        take_watch(waiter, bits);
}

static bool interrupted(struct sim *sim, int64_t timeout_ns)
{
    bool raised = sim->interrupt;

    sim->interrupt = false;
    return raised ||
           (timeout_ns != 0 && sim_strikes(sim, &sim->chance_driver, SIM_EINTR));
}

static int sim_driver_wait(struct os_driver *driver, int64_t timeout_ns)
{
    struct sim_driver *self = self_of(driver);
    struct sim *sim = self->sim;
    bool forever = timeout_ns == INT64_MAX;
    int64_t limit;

    sim_call(sim);
    if (driver->happened != NULL)
        timeout_ns = 0;
    else if (interrupted(sim, timeout_ns))
        return -EINTR;
    limit = sim->now + (forever ? sim->options.stall : timeout_ns);
    wake_for_nothing(self);
    for (;;) {
        take_all(self);
        if (driver->happened != NULL || timeout_ns == 0)
            return 0;
        if (list_empty(&self->pending) && !sim_step(sim, limit))
            break;
    }
    if (forever)
        sim_standstill(sim, "every task waits, and nothing will ever happen");
    /* Nobody is woken to the nanosecond. */
    sim->now = limit + sim_random_between(&sim->chance_driver, 0, 50000);
    return 0;
}

static void sim_driver_give(struct os_driver *driver, struct os_segment *segment)
{
    sim_feed_give(self_of(driver)->sim, segment);
}

static int sim_driver_descriptor(struct os_driver *driver)
{
    (void)driver;
    return -ENOTSUP; /* the real world has nothing to wait for here */
}

static void sim_driver_close(struct os_driver *driver)
{
    struct sim_driver *self = self_of(driver);

    CHECK(driver->armed == 0);
    list_remove(&self->in_sim);
    sim_free(self);
}

static const struct os_driver_calls sim_driver_calls = {
    .arm = sim_driver_arm,
    .cancel = sim_driver_cancel,
    .give = sim_driver_give,
    .wait = sim_driver_wait,
    .cancel_fd = sim_driver_cancel_fd,
    .descriptor = sim_driver_descriptor,
    .close = sim_driver_close,
};

int sim_driver_open(struct os *os, const char *name,
                    const struct os_driver_options *options, struct os_driver **driver)
{
    struct sim *sim = sim_of(os);
    bool ring = strcmp(name, "uring") == 0;
    struct sim_driver *self;

    if (!ring && strcmp(name, "epoll") != 0)
        return -EINVAL;
    if (ring && sim->options.no_ring)
        return -ENOSYS;
    self = sim_new(sizeof(*self));
    if (self == NULL)
        return -ENOMEM;
    os_driver_init(&self->base, os, &sim_driver_calls, ring ? "uring" : "epoll");
    snprintf(self->base.note, sizeof(self->base.note), "simulated");
    if (ring)
        self->base.abilities = OS_CAN_FEED | OS_CAN_BATCH | OS_CAN_ACCEPT | OS_VAGUE_PRI;
    self->sim = sim;
    self->ring = ring;
    list_init(&self->waiters);
    list_init(&self->pending);
    list_append(&sim->drivers, &self->in_sim);
    ring_fault_close(options->fault); /* for real rings; the simulator has its own */
    *driver = &self->base;
    return 0;
}
