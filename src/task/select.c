/* SPDX-License-Identifier: MIT */
/*
 * select.c -- waiting for several channels at once, and doing exactly one thing.
 *
 * Of the cases that can be done at once, the one whose channel the selects of this loop
 * have passed over longest is done.  That needs no memory from call to call, and selects of
 * different sets cannot fall into step: a channel that stays ready is passed over at most
 * once for each other one.  If none can be done, the task waits in the queues of all; the
 * first to wake it serves it, and for the others it is then a task that no longer waits.
 */
#include <tenon/sync.h>

#include <errno.h>

#include "base/check.h"
#include "base/err.h"
#include "task/chan.h"
#include "task/task.h"

#define CASES_MAX 64U

/* The ready case chosen longest ago; COUNT if none is ready. */
static size_t choose(const struct tn_case *cases, size_t count)
{
    size_t best = count;

    for (size_t i = 0; i < count; i++) {
        struct tn_chan *chan = cases[i].chan;

        if (chan == NULL || !chan_ready(chan, cases[i].send))
            continue;
        if (best == count ||
            chan->selected[cases[i].send] < cases[best].chan->selected[cases[best].send])
            best = i;
    }
    return best;
}

static void mark(const struct tn_case *chosen)
{
    chosen->chan->selected[chosen->send] = ++loop_current->selects;
}

static void wait_in_all(const struct tn_case *cases, size_t count, struct waiter *waiters)
{
    for (size_t i = 0; i < count; i++) {
        waiters[i] = (struct waiter){ .item = cases[i].item };
        if (cases[i].chan != NULL)
            waiters_append(chan_queue(cases[i].chan, cases[i].send), &waiters[i]);
    }
}

/* Leave the queues; the index of the case that was served, or COUNT. */
static size_t leave_all(const struct tn_case *cases, size_t count, struct waiter *waiters)
{
    size_t served = count;

    for (size_t i = 0; i < count; i++) {
        if (waiters[i].woken)
            served = i;
        else if (waiters[i].queued)
            waiters_remove(chan_queue(cases[i].chan, cases[i].send), &waiters[i]);
    }
    return served;
}

static int select_one(const struct tn_case *cases, size_t count, size_t *chosen,
                      tn_deadline deadline)
{
    struct waiter waiters[CASES_MAX];
    int result;

    *chosen = choose(cases, count);
    if (*chosen < count) {
        mark(&cases[*chosen]);
        result = chan_try(cases[*chosen].chan, cases[*chosen].item, cases[*chosen].send);
        CHECK(result != -EAGAIN);
        return result;
    }
    wait_in_all(cases, count, waiters);
    result = park(WAIT_SELECT, cases, deadline);
    *chosen = leave_all(cases, count, waiters);
    return *chosen < count ? waiters[*chosen].result : result;
}

tn_err tn_select(const struct tn_case *cases, size_t count, size_t *which,
                 tn_deadline deadline)
{
    size_t chosen;
    int result;

    CHECK(task_self() != NULL);
    if (count == 0 || count > CASES_MAX)
        return err_from(ERR_SELECT, -EINVAL);
    result = select_one(cases, count, &chosen, deadline);
    if (chosen == count)
        return err_from(ERR_SELECT, result);
    *which = chosen;
    return chan_err(ERR_SELECT, result, cases[chosen].send);
}
