/* SPDX-License-Identifier: MIT */
/*
 * waiters.c -- the queue behind mutexes, conditions and channels.
 *
 * A doubly linked list through the waiting tasks' stacks: nothing is allocated, and
 * leaving early is O(1).  A task whose deadline or cancel came is ready, but stays in the
 * queue until it runs and takes itself out.  Whoever looks for somebody to wake passes
 * over it and drops it, so a thing is never handed to a task that has given up; and a
 * task that was woken first stays woken, whatever comes before it runs.
 *
 * Always true: the task of a queued waiter is parked for it, or has been interrupted and
 * has not run since.
 */
#include "task/waiters.h"

#include "base/check.h"
#include "task/task.h"

void waiters_append(struct tn_waiters *waiters, struct waiter *waiter)
{
    struct waiter *last = waiters->last;

    waiter->task = task_self();
    waiter->next = NULL;
    waiter->prev = last;
    waiter->queued = true;
    waiter->woken = false;
    if (last != NULL)
        last->next = waiter;
    else
        waiters->first = waiter;
    waiters->last = waiter;
}

void waiters_remove(struct tn_waiters *waiters, struct waiter *waiter)
{
    if (!waiter->queued)
        return;
    if (waiter->prev != NULL)
        waiter->prev->next = waiter->next;
    else
        waiters->first = waiter->next;
    if (waiter->next != NULL)
        waiter->next->prev = waiter->prev;
    else
        waiters->last = waiter->prev;
    waiter->queued = false;
}

struct waiter *waiters_first(struct tn_waiters *waiters)
{
    struct waiter *first;

    while ((first = waiters->first) != NULL) {
        CHECK(first->task->loop == loop_current); /* one loop: see tenon/sync.h */
        if (first->task->state == TASK_PARKED)
            break;
        waiters_remove(waiters, first);
    }
    return first;
}

struct waiter *waiters_wake(struct tn_waiters *waiters)
{
    struct waiter *first = waiters_first(waiters);

    if (first == NULL)
        return NULL;
    waiters_remove(waiters, first);
    first->woken = task_wake(first->task);
    return first;
}
