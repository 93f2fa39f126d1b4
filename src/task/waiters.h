/* SPDX-License-Identifier: MIT */
/*
 * waiters.h -- tasks that wait for one thing, first come first; see waiters.c.
 */
#ifndef TASK_WAITERS_H
#define TASK_WAITERS_H

#include <stdbool.h>
#include <stddef.h>

#include <tenon/sync.h>

/* One wait, on the stack of the task that waits.  A select has several at once. */
struct waiter {
    struct waiter *next, *prev;
    struct tn_task *task;
    void *item;  /* channels: where the item lies, or shall go */
    int result;  /* channels: what came of it: 0, unless whoever wakes sets another */
    bool queued; /* is in a queue */
    bool woken;  /* has been taken out of it and has what it waited for */
};

/* waiters_append -- put WAITER, of the running task, which then parks, last. */
void waiters_append(struct tn_waiters *waiters, struct waiter *waiter);

/* waiters_remove -- take WAITER out, if it is still in. */
void waiters_remove(struct tn_waiters *waiters, struct waiter *waiter);

/* waiters_first -- the first that can still be woken, or NULL. */
struct waiter *waiters_first(struct tn_waiters *waiters);

/* waiters_wake -- take that one out and make its task ready: it has been served. */
struct waiter *waiters_wake(struct tn_waiters *waiters);

#endif
