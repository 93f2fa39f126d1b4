/* SPDX-License-Identifier: MIT */
/*
 * sync.c -- mutex and condition between the tasks of a loop.
 *
 * A mutex is handed over: unlock makes the first waiter the owner before it runs, so no
 * task that comes by meanwhile overtakes it, and none wakes to find the mutex gone.
 *
 * Always true: a mutex without an owner has no waiters.
 */
#include <tenon/sync.h>

#include <errno.h>

#include "base/check.h"
#include "base/deadline.h"
#include "base/err.h"
#include "task/park.h"
#include "task/waiters.h"

static struct tn_task *self_checked(void)
{
    struct tn_task *self = task_self();

    CHECK(self != NULL); /* the call is for use inside a task */
    return self;
}

static int mutex_lock(struct tn_mutex *mutex, tn_deadline deadline)
{
    struct tn_task *self = self_checked();
    struct waiter waiter;
    int result;

    if (mutex->owner == NULL) {
        mutex->owner = self;
        return 0;
    }
    if (mutex->owner == self)
        return -EDEADLK;
    waiters_append(&mutex->waiters, &waiter);
    result = park(WAIT_MUTEX, mutex, deadline);
    if (!waiter.woken) {
        waiters_remove(&mutex->waiters, &waiter);
        return result;
    }
    CHECK(mutex->owner == self);
    return 0;
}

tn_err tn_mutex_lock(struct tn_mutex *mutex, tn_deadline deadline)
{
    return err_from(ERR_LOCK, mutex_lock(mutex, deadline));
}

void tn_mutex_unlock(struct tn_mutex *mutex)
{
    struct waiter *next;

    CHECK(mutex->owner == self_checked());
    next = waiters_wake(&mutex->waiters);
    mutex->owner = next != NULL ? next->task : NULL;
}

tn_err tn_cond_wait(struct tn_cond *cond, struct tn_mutex *mutex, tn_deadline deadline)
{
    struct waiter waiter;
    int result;

    waiters_append(&cond->waiters, &waiter);
    tn_mutex_unlock(mutex);
    result = park(WAIT_COND, cond, deadline);
    if (!waiter.woken)
        waiters_remove(&cond->waiters, &waiter);
    CHECK(mutex_lock(mutex, deadline_make(INT64_MAX, true)) == 0);
    return err_from(ERR_WAIT, result);
}

void tn_cond_signal(struct tn_cond *cond)
{
    (void)waiters_wake(&cond->waiters);
}

void tn_cond_broadcast(struct tn_cond *cond)
{
    while (waiters_wake(&cond->waiters) != NULL)
        continue;
}
