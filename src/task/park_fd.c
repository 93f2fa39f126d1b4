/* SPDX-License-Identifier: MIT */
/*
 * park_fd.c -- waiting for descriptors that belong to the user; see park_fd.h.
 *
 * A wait lies on its task's stack, and is in two lists from before its poll is armed until its
 * task runs again: of all waits on its descriptor, and of all that a signal can end.  In
 * between its poll may have been answered already: a close must still reach it, or the task
 * would go on with a number that means another file by now.
 *
 * Always true: a wait in the lists belongs to a task that is parked, or ready to run.
 */
#include "task/park_fd.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/check.h"
#include "base/deadline.h"
#include "task/task.h"

struct fd_wait {
    struct os_poll poll;
    struct tn_task *task;
    struct link on_fd;
    struct link in_loop;
    enum park_signals signals;
    bool closed;
};

/* ---- the lists ------------------------------------------------------------------------ */

static int make_room(struct tn_loop *loop, int fd)
{
    struct fd_waits *waits = &loop->fd_waits;
    int room = waits->room > 0 ? waits->room : 64;
    struct link *bigger;

    while (room <= fd)
        room = room > INT_MAX / 2 ? INT_MAX : room * 2;
    bigger = os_allocate(loop->os, (size_t)room * sizeof(*bigger));
    if (bigger == NULL)
        return -ENOMEM;
    /* Heads of rings are moved by moving what is in them. */
    for (int i = 0; i < room; i++) {
        struct link *link;

        list_init(&bigger[i]);
        while (i < waits->room && (link = list_first(&waits->on_fd[i])) != NULL) {
            list_remove(link);
            list_append(&bigger[i], link);
        }
    }
    os_release(loop->os, waits->on_fd);
    waits->on_fd = bigger;
    waits->room = room;
    return 0;
}

/* Lists WAIT, of the running task.  0 or -errno. */
static int wait_begin(struct tn_loop *loop, struct fd_wait *wait, int fd)
{
    struct fd_waits *waits = &loop->fd_waits;
    int result = fd >= waits->room ? make_room(loop, fd) : 0;

    if (result < 0)
        return result;
    wait->task = loop->running;
    wait->poll.event.fd = fd;
    list_init(&wait->on_fd);
    list_init(&wait->in_loop);
    if (fd >= 0)
        list_append(&waits->on_fd[fd], &wait->on_fd);
    list_append(&waits->all, &wait->in_loop);
    return 0;
}

static void wait_end(struct fd_wait *wait)
{
    CHECK(os_event_idle(&wait->poll.event));
    list_remove(&wait->on_fd);
    list_remove(&wait->in_loop);
}

static void wait_notify(struct os_event *event)
{
    struct fd_wait *wait = CONTAINER(event, struct fd_wait, poll.event);

    wait->task->poll = NULL;
    task_wake(wait->task);
}

static void wait_arm(struct tn_loop *loop, struct fd_wait *wait, short events)
{
    wait->poll.event.type = OS_POLL;
    wait->poll.event.notify = wait_notify;
    wait->poll.events = events;
    os_driver_arm(loop->driver, &wait->poll.event);
}

/* ---- waiting -------------------------------------------------------------------------- */

int park_fd(int fd, short events, tn_deadline deadline, enum park_signals signals)
{
    struct tn_loop *loop = loop_current;
    struct fd_wait wait = { .signals = signals };
    int result = park_check(deadline);
    struct tn_task *self;

    if (result == 0)
        result = fd < 0 ? -EBADF : wait_begin(loop, &wait, fd);
    if (result < 0)
        return result;
    self = loop->running;
    wait_arm(loop, &wait, events);
    self->poll = &wait.poll;
    self->poll_reason = 0;
    CHECK(park(WAIT_FD, (void *)(intptr_t)fd, deadline) == 0);
    wait_end(&wait);
    if (wait.closed)
        return -ECANCELED;
    if (wait.poll.result == -ECANCELED && self->poll_reason != 0)
        return self->poll_reason;
    return wait.poll.result;
}

int park_fd_pause(int fd, int64_t length, tn_deadline deadline, enum park_signals signals)
{
    struct tn_loop *loop = loop_current;
    struct fd_wait wait = { .signals = signals };
    int64_t now = loop_now(loop);
    int64_t end = now < INT64_MAX - length ? now + length : INT64_MAX;
    int result = wait_begin(loop, &wait, fd);

    if (result < 0)
        return result;
    if (deadline_point(deadline) < end)
        end = deadline_point(deadline);
    result = park(WAIT_FD, (void *)(intptr_t)fd,
                  deadline_make(end, deadline_shielded(deadline)));
    wait_end(&wait);
    if (wait.closed)
        return -ECANCELED;
    return result == -ETIME && end < deadline_point(deadline) ? 0 : result;
}

static bool all_idle(const struct fd_wait *waits, nfds_t count)
{
    for (nfds_t i = 0; i < count; i++) {
        if (!os_event_idle(&waits[i].poll.event))
            return false;
    }
    return true;
}

/* Calls back those of WAITS that have no answer yet; 1 if one is ready, -ECANCELED if one was
 * closed, else 0. */
static int settle(struct tn_loop *loop, struct fd_wait *waits, nfds_t count)
{
    int result = 0;

    for (nfds_t i = 0; i < count; i++)
        os_driver_cancel(loop->driver, &waits[i].poll.event);
    while (!all_idle(waits, count))
        tn_yield();
    for (nfds_t i = 0; i < count; i++) {
        if (waits[i].closed)
            return -ECANCELED;
        if (waits[i].poll.result > 0)
            result = 1;
    }
    return result;
}

/* Parks until one of WAITS has its answer.  As park_fds. */
static int wait_for_one(struct tn_loop *loop, struct fd_wait *waits, nfds_t count,
                        tn_deadline deadline)
{
    struct tn_task *self = loop->running;
    int reason, result;

    self->poll = &waits[0].poll; /* an interrupt cancels the first, which ends the park */
    self->poll_reason = 0;
    CHECK(park(WAIT_FD, (void *)(intptr_t)waits[0].poll.event.fd, deadline) == 0);
    reason = self->poll_reason;
    result = settle(loop, waits, count);
    if (result != 0)
        return result; /* what has happened counts */
    return reason != 0 ? reason : 1;
}

int park_fds(const struct pollfd *entries, nfds_t count, tn_deadline deadline)
{
    struct tn_loop *loop = loop_current;
    int result = park_check(deadline);
    struct fd_wait *waits;
    nfds_t listed = 0;

    if (result < 0)
        return result;
    waits = os_allocate(loop->os, ((size_t)count + 1) * sizeof(*waits));
    if (waits == NULL)
        return -ENOMEM;
    for (nfds_t i = 0; i < count && result == 0; i++) {
        if (entries[i].fd < 0)
            continue;
        waits[listed].signals = PARK_INTERRUPTS;
        result = wait_begin(loop, &waits[listed], entries[i].fd);
        if (result == 0)
            wait_arm(loop, &waits[listed++], entries[i].events);
    }
    if (result < 0)
        (void)settle(loop, waits, listed);
    else if (listed == 0)
        result = park_fd_pause(-1, INT64_MAX, deadline, PARK_INTERRUPTS);
    else
        result = wait_for_one(loop, waits, listed, deadline);
    for (nfds_t i = 0; i < listed; i++)
        wait_end(&waits[i]);
    os_release(loop->os, waits);
    return result;
}

/* ---- ending --------------------------------------------------------------------------- */

void park_fd_close(int fd)
{
    struct tn_loop *loop = loop_current;
    struct fd_waits *waits = &loop->fd_waits;
    unsigned held;

    do {
        held = 0;
        if (fd < 0 || fd >= waits->room)
            break;
        for (struct link *at = waits->on_fd[fd].next; at != &waits->on_fd[fd];
             at = at->next) {
            struct fd_wait *wait = CONTAINER(at, struct fd_wait, on_fd);

            wait->closed = true;
            if (wait->task->poll == NULL && !wait->poll.event.armed)
                (void)task_wake(wait->task); /* in park_fd_pause */
            os_driver_cancel(loop->driver, &wait->poll.event);
            held += os_event_idle(&wait->poll.event) ? 0 : 1;
        }
        if (held > 0)
            tn_yield();
    } while (held > 0);
}

bool park_fd_waits(const struct tn_loop *loop)
{
    return !list_empty(&loop->fd_waits.all);
}

void park_fd_interrupt(struct tn_loop *loop, bool restarts)
{
    struct link *all = &loop->fd_waits.all;

    for (struct link *at = all->next; at != all; at = at->next) {
        struct fd_wait *wait = CONTAINER(at, struct fd_wait, in_loop);

        if (!restarts || wait->signals == PARK_INTERRUPTS)
            task_interrupt(wait->task, -EINTR);
        else if (wait->signals == PARK_LOOKS)
            task_interrupt(wait->task, -ERESTART);
    }
}

void park_fd_release(struct tn_loop *loop)
{
    os_release(loop->os, loop->fd_waits.on_fd);
    loop->fd_waits.on_fd = NULL;
    loop->fd_waits.room = 0;
}
