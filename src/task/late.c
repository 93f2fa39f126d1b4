/* SPDX-License-Identifier: MIT */
/*
 * late.c -- tasks that start when something has come.
 *
 * A late task has its place already, in its group, in its loop and among the timers, so
 * that only its stack can be missing when it is to start.  Then it is due: it is tried
 * again in each turn, and every 100 ms, as memory may come back from outside.
 *
 * Always true: a late task is in the list of its group and in one of the two of its loop,
 * and counts in `alive` of both and in `outside`; a canceled group has none.
 */
#include "task/late.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "task/task.h"

#define RETRY_AFTER (100 * TN_MS)

struct late {
    struct link in_group, in_loop;
    struct tn_group *group;
    tn_task_fn *fn;
    void *arg;
    void (*drop)(void *arg);
    size_t stack_size;
    char name[TASK_NAME_SIZE];
};

static void count(struct late *late, unsigned by)
{
    late->group->alive += by;
    late->group->loop->alive += by;
}

tn_err late_new(struct late **late, struct tn_group *group, tn_task_fn *fn, void *arg,
                const struct tn_task_options *options, void (*drop)(void *arg))
{
    static const struct tn_task_options none;
    struct tn_loop *loop = loop_current;
    struct late *made;

    CHECK(task_self() != NULL && (group == NULL || group->loop == loop));
    if (group == NULL)
        group = &loop->root;
    if (options == NULL)
        options = &none;
    if (group->canceled || loop->root.canceled)
        return err_make(ERR_GO, TN_CANCELED);
    if (options->stack_size > STACK_SIZE_MAX)
        return err_from(ERR_GO, -EINVAL);
    if (!task_has_place(loop))
        return err_make(ERR_GO, TN_LIMIT);
    made = os_allocate(loop->os, sizeof(*made));
    if (made == NULL)
        return err_from(ERR_GO, -ENOMEM);
    made->group = group;
    made->fn = fn;
    made->arg = arg;
    made->drop = drop;
    made->stack_size = options->stack_size;
    if (options->name != NULL)
        memcpy(made->name, options->name, strnlen(options->name, sizeof(made->name) - 1));
    list_append(&group->lates, &made->in_group);
    list_append(&loop->lates, &made->in_loop);
    count(made, 1);
    loop->outside++;
    *late = made;
    return tn_ok();
}

static void forget(struct late *late)
{
    struct tn_loop *loop = late->group->loop;

    list_remove(&late->in_group);
    list_remove(&late->in_loop);
    loop->outside--;
    os_release(loop->os, late);
}

/* Its place becomes the task's; false if there is no memory for that. */
static bool start(struct late *late)
{
    struct tn_group *group = late->group;
    struct tn_task_options options = { .name = late->name[0] != '\0' ? late->name : NULL,
                                       .stack_size = late->stack_size };
    tn_err err;

    count(late, -1U);
    err = task_start(group->loop, group, late->fn, late->arg, &options, NULL);
    if (!tn_failed(err)) {
        forget(late);
        return true;
    }
    CHECK(err.kind == TN_LIMIT);
    count(late, 1);
    return false;
}

void late_come(struct late *late)
{
    struct tn_loop *loop = late->group->loop;

    if (list_empty(&loop->lates_due) && start(late))
        return;
    list_remove(&late->in_loop);
    list_append(&loop->lates_due, &late->in_loop);
}

void lates_retry(struct tn_loop *loop)
{
    struct link *link;

    while ((link = list_first(&loop->lates_due)) != NULL)
        if (!start(CONTAINER(link, struct late, in_loop)))
            return;
}

int64_t lates_point(struct tn_loop *loop)
{
    return list_empty(&loop->lates_due) ? INT64_MAX : loop_now(loop) + RETRY_AFTER;
}

static void drop(struct late *late)
{
    struct tn_group *group = late->group;

    count(late, -1U);
    late->drop(late->arg);
    forget(late);
    if (group->alive == 0 && group->waiter != NULL)
        task_wake(group->waiter);
}

void lates_drop_group(struct tn_group *group)
{
    struct link *link;

    while ((link = list_first(&group->lates)) != NULL)
        drop(CONTAINER(link, struct late, in_group));
}

void lates_drop_all(struct tn_loop *loop)
{
    struct link *link;

    while ((link = list_first(&loop->lates)) != NULL ||
           (link = list_first(&loop->lates_due)) != NULL)
        drop(CONTAINER(link, struct late, in_loop));
}
