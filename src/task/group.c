/* SPDX-License-Identifier: MIT */
/*
 * group.c -- tasks that end together: a group does not end before its tasks.
 */
#include <errno.h>

#include "base/check.h"
#include "base/deadline.h"
#include "base/err.h"
#include "task/task.h"

static struct tn_task *task_at(struct link *link)
{
    return CONTAINER(link, struct tn_task, in_group);
}

void group_init(struct tn_group *group, struct tn_loop *loop, enum tn_group_policy policy)
{
    *group = (struct tn_group){ .loop = loop, .policy = policy };
    list_init(&group->tasks);
    list_init(&group->lates);
}

static void cancel_tasks(struct tn_group *group)
{
    for (struct link *at = group->tasks.next; at != &group->tasks; at = at->next)
        task_cancel(task_at(at));
    lates_drop_group(group);
}

/* TASK of GROUP has ended: keep its error if it counts, and tell who waits. */
void group_ended(struct tn_group *group, struct tn_task *task)
{
    bool counts =
        tn_failed(task->result) && !(group->canceled && task->result.kind == TN_CANCELED);

    if (!task->held)
        list_remove(&task->in_group);
    group->alive--;
    /* In the loop's own group, whoever holds the handle gets the error. */
    if (counts && !tn_failed(group->first) &&
        !(group == &group->loop->root && task->held))
        group->first = task->result;
    if (counts && group->policy == TN_GROUP_ALL_OR_NONE && !group->canceled) {
        group->canceled = true;
        cancel_tasks(group);
    }
    if (group->alive == 0 && group->waiter != NULL)
        task_wake(group->waiter);
}

/* Free what handles nobody joined still hold. */
void group_release(struct tn_group *group)
{
    struct link *link;

    CHECK(group->alive == 0);
    task_reap(group->loop);
    while ((link = list_first(&group->tasks)) != NULL) {
        struct tn_task *task = task_at(link);
        CHECK(task->state == TASK_ENDED && task->held);
        list_remove(link);
        stack_give(&group->loop->stacks, &task->stack);
    }
}

tn_err tn_group_open(struct tn_group **group, enum tn_group_policy policy)
{
    struct tn_task *self = task_self();
    struct tn_group *made;

    CHECK(self != NULL);
    made = os_allocate(self->loop->os, sizeof(*made));
    if (made == NULL)
        return err_from(ERR_GROUP, -ENOMEM);
    group_init(made, self->loop, policy);
    *group = made;
    return tn_ok();
}

static int wait_for_tasks(struct tn_group *group, tn_deadline deadline)
{
    CHECK(task_self() != NULL && group->loop == loop_current);
    while (group->alive > 0) {
        CHECK(group->waiter == NULL);
        group->waiter = task_self();
        int woken = park(WAIT_GROUP, group, deadline);
        group->waiter = NULL;
        if (woken < 0 && group->alive > 0)
            return woken;
    }
    return 0;
}

tn_err tn_group_wait(struct tn_group *group, tn_deadline deadline)
{
    int result = wait_for_tasks(group, deadline);

    return result < 0 ? err_from(ERR_GROUP, result) : group->first;
}

void tn_group_cancel(struct tn_group *group)
{
    CHECK(group->loop == loop_current);
    group->canceled = true;
    cancel_tasks(group);
}

void tn_group_close(struct tn_group **group)
{
    struct tn_group *old = *group;

    if (old == NULL)
        return;
    tn_group_cancel(old);
    CHECK(wait_for_tasks(old, deadline_make(INT64_MAX, true)) == 0);
    group_release(old);
    os_release(old->loop->os, old);
    *group = NULL;
}
