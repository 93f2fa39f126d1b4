/* SPDX-License-Identifier: MIT */
/*
 * spin.c -- see spin.h.
 *
 * Each look is a whole wait of the driver's without a limit, so whatever is asked for is
 * handed over and nothing is missed; and after the limit comes an ordinary wait, so a look
 * that finds nothing costs at most the limit, once.
 *
 * Always true: with limit 0 nothing here reads a clock.
 */
#include "task/spin.h"

#include <tenon/time.h>

#include "task/interrupt.h"
#include "task/task.h"

/* How much a wait counts in the average, and the longest that one is taken for. */
#define WEIGHT  8
#define LONGEST (8 * spin->limit)

/* The core is asked about after this much looking, and left alone for this long. */
#define CHECK_AFTER (1 * TN_MS)
#define REST        (20 * TN_MS)

/*
 * A look takes some microseconds.  One that took so long, while the core was taken away, was
 * interrupted by a program that computes: it has a core for a slice of 700 us or more (Linux:
 * base_slice_ns).  Threads of the kernel come and go in less, and often, and want no rest.
 */
#define TAKEN_FOR (200 * TN_US)

bool spin_worth(const struct spin *spin, int64_t now)
{
    return spin->limit > 0 && spin->gap <= spin->limit && now >= spin->rest_until;
}

void spin_note(struct spin *spin, int64_t length)
{
    int64_t counted = length < LONGEST ? length : LONGEST;

    spin->gap += (counted - spin->gap) / WEIGHT;
}

/* Whether others had to wait for this core while we looked: then rest. */
static void check_core(struct spin *spin, struct os *os, int64_t looked, int64_t now)
{
    int64_t preemptions;

    spin->unchecked += looked;
    if (spin->unchecked < CHECK_AFTER)
        return;
    spin->unchecked = 0;
    preemptions = os_preemptions(os);
    if (preemptions > spin->preemptions && spin->longest >= TAKEN_FOR)
        spin->rest_until = now + REST;
    spin->preemptions = preemptions;
    spin->longest = 0;
}

/* Look for work from START for LENGTH at most; gives when it ended. */
static int64_t look(struct tn_loop *loop, int64_t start, int64_t length)
{
    int64_t before, now = start;
    int result;

    do {
        before = now;
        result = os_driver_wait(loop->driver, 0);
        now = os_now(loop->os);
        if (now - before > loop->spin.longest)
            loop->spin.longest = now - before;
    } while (result == 0 && loop->driver->happened == NULL && now - start < length);
    return now;
}

int spin_wait(struct tn_loop *loop, int64_t timeout_ns)
{
    struct spin *spin = &loop->spin;
    int64_t start, now;
    int result = 0;

    if (spin->limit == 0 || timeout_ns == 0)
        return interrupt_wait(loop, timeout_ns);
    start = now = os_now(loop->os);
    if (spin_worth(spin, start)) {
        now = look(loop, start, timeout_ns < spin->limit ? timeout_ns : spin->limit);
        check_core(spin, loop->os, now - start, now);
    }
    if (loop->driver->happened == NULL && now - start < timeout_ns) {
        if (timeout_ns != INT64_MAX)
            timeout_ns -= now - start;
        result = interrupt_wait(loop, timeout_ns);
        now = os_now(loop->os);
    }
    spin_note(spin, now - start);
    return result;
}
