/* SPDX-License-Identifier: MIT */
/*
 * interrupt.c -- which signals interrupt the calls that tasks are parked in.
 *
 * A blocking call ends with EINTR after a handler without SA_RESTART, and goes on after one
 * with it (signal(7)).  The loop waits in a call that every handler ends, and which one it was
 * nobody says.  So it is found out:
 *
 *   - If all handlers are of one kind, it was one of that kind.
 *   - If there are both, those without SA_RESTART are blocked for the time of the wait (the mask
 *     is an argument of epoll_pwait and io_uring_enter) and watched through a signalfd.  They
 *     wake the wait, and run as it returns and the mask goes; we know that it was one of them.
 *     If the wait ends with EINTR, it was one of the others.
 *
 * The handlers are looked up anew after each signal and every 100 ms, since sigaction(2) tells
 * nobody.  One that has come since ends calls with EINTR in doubt: programs can deal with one
 * too many, not with one too few.
 *
 * All this is for tasks parked on descriptors of the user's.  While there are none, and in
 * turns that do not wait, the driver is called as it is.
 */
#include "task/interrupt.h"

#include <errno.h>
#include <string.h>
#include <sys/signalfd.h>

#include "base/check.h"
#include "task/task.h"

#define SCAN_NS INT64_C(100000000)

#define BOTH_KINDS (OS_HANDLERS_RESTART | OS_HANDLERS_INTERRUPT)

static void scan(struct tn_loop *loop)
{
    struct interrupts *interrupts = &loop->interrupts;

    interrupts->handlers = os_handlers(loop->os, &interrupts->interrupting);
    interrupts->scanned = loop_now(loop);
}

static void on_signal(struct os_event *event)
{
    (void)event; /* interrupt_wait has looked at it */
}

/* Watches the interrupting signals.  0 or -errno. */
static int watch(struct tn_loop *loop)
{
    struct interrupts *interrupts = &loop->interrupts;
    int fd = interrupts->open ? interrupts->fd : -1;

    /* also when open: the set may be another one by now */
    fd = os_signalfd(loop->os, fd, &interrupts->interrupting, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return fd;
    if (!interrupts->open) {
        interrupts->open = true;
        interrupts->fd = fd;
        interrupts->watch.event =
            (struct os_event){ .type = OS_WATCH, .fd = fd, .notify = on_signal };
    }
    if (interrupts->watch.event.wanted)
        return 0;
    if (!os_event_idle(&interrupts->watch.event))
        return -EAGAIN; /* it could not be armed, a moment ago */
    os_driver_arm(loop->driver, &interrupts->watch.event);
    return interrupts->watch.error;
}

/* Has the wait that RESULT ended been ended by a handler, and of which kind?  Before it the
 * interrupting ones were those in BEFORE. */
static unsigned what_ran(struct tn_loop *loop, int result, bool careful,
                         const sigset_t *before)
{
    struct interrupts *interrupts = &loop->interrupts;

    if (careful && interrupts->watch.ready != 0) {
        interrupts->watch.ready = 0;
        return OS_HANDLERS_INTERRUPT;
    }
    if (result != -EINTR)
        return 0;
    scan(loop);
    if (careful && memcmp(before, &interrupts->interrupting, sizeof(*before)) == 0)
        return OS_HANDLERS_RESTART;
    return interrupts->handlers;
}

int interrupt_wait(struct tn_loop *loop, int64_t timeout_ns)
{
    struct interrupts *interrupts = &loop->interrupts;
    struct os_driver *driver = loop->driver;
    sigset_t before, mask;
    bool careful;
    unsigned ran;
    int result;

    if (timeout_ns == 0 || !park_fd_waits(loop))
        return os_driver_wait(driver, timeout_ns);
    if (interrupts->scanned == 0 || loop_now(loop) - interrupts->scanned > SCAN_NS)
        scan(loop);
    before = interrupts->interrupting;
    careful = interrupts->handlers == BOTH_KINDS && os_blocked(loop->os, &mask) == 0 &&
              watch(loop) == 0;
    if (careful) {
        (void)sigorset(&mask, &mask, &before);
        driver->mask = &mask;
    }
    driver->report_signals = true;
    result = os_driver_wait(driver, timeout_ns);
    driver->report_signals = false;
    driver->mask = NULL;
    ran = what_ran(loop, result, careful, &before);
    if (ran != 0)
        park_fd_interrupt(loop, (ran & OS_HANDLERS_INTERRUPT) == 0);
    return result;
}

void interrupt_cancel(struct tn_loop *loop)
{
    if (loop->interrupts.open)
        os_driver_cancel(loop->driver, &loop->interrupts.watch.event);
}

void interrupt_release(struct tn_loop *loop)
{
    if (loop->interrupts.open)
        os_close(loop->os, loop->interrupts.fd);
    loop->interrupts.open = false;
}
