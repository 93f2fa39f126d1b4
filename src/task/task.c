/* SPDX-License-Identifier: MIT */
/*
 * task.c -- the life of a task: started, run, cancelled, ended, joined.
 */
#include "task/task.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/deadline.h"
#include "base/err.h"

static struct tn_task *self_checked(void)
{
    struct tn_task *self = task_self();

    CHECK(self != NULL); /* the call is for use inside a task */
    return self;
}

void task_reap(struct tn_loop *loop)
{
    struct tn_task *task = loop->ended;

    if (task == NULL)
        return;
    loop->ended = NULL;
    context_release(&task->context);
    if (!task->held)
        stack_give(&loop->stacks, &task->stack);
}

static void task_end(struct tn_task *task)
{
    struct tn_loop *loop = task->loop;

    task_reap(loop);
    timer_clear(&loop->timers, &task->timer);
    task->state = TASK_ENDED;
    list_remove(&task->in_loop);
    loop->alive--;
    group_ended(task->group, task);
    if (task->joiner != NULL)
        task_wake(task->joiner);
    loop->ended = task;
}

/* The bottom frame of every task. */
static void task_main(void *argument)
{
    struct tn_task *task = argument;

    context_started();
    task_reap(task->loop);
    task->result = task->fn(task->arg);
    CHECK(loop_current == task->loop); /* a forked child ends by _exit or exec */
    task_end(task);
    task_leave(task->loop);
}

/* Timers never fail to be set, since each task finds its place made here. */
static bool timers_make_room(struct tn_loop *loop)
{
    size_t room = loop->timers.room > 0 ? loop->timers.room * 2 : 64;
    void *array;

    if (loop->alive < loop->timers.room)
        return true;
    array = os_allocate(loop->os, room * sizeof(struct timer *));
    if (array == NULL)
        return false;
    os_release(loop->os, timers_grow(&loop->timers, array, room));
    return true;
}

bool task_has_place(struct tn_loop *loop)
{
    return loop->alive < loop->alive_max && timers_make_room(loop);
}

/* The rest of the name is zero already.  (snprintf takes 45 of the 145 ns of a task.) */
static void set_name(struct tn_task *task, const char *name)
{
    memcpy(task->name, name, strnlen(name, sizeof(task->name) - 1));
}

static void task_init(struct tn_task *task, struct tn_loop *loop, tn_task_fn *fn,
                      void *arg, const char *name)
{
    struct stack stack = task->stack;

    memset(task, 0, sizeof(*task));
    task->stack = stack;
    task->loop = loop;
    task->fn = fn;
    task->arg = arg;
    set_name(task, name != NULL ? name : "task");
    list_init(&task->in_group);
    context_init(&task->context, &task->notes, stack.bottom, stack.top, task_main, task);
}

tn_err task_start(struct tn_loop *loop, struct tn_group *group, tn_task_fn *fn, void *arg,
                  const struct tn_task_options *options, struct tn_task **task)
{
    size_t size = options != NULL && options->stack_size != 0 ? options->stack_size
                                                              : loop->stack_size;
    struct stack *stack;
    struct tn_task *made;

    if (group->canceled)
        return err_make(ERR_GO, TN_CANCELED);
    if (size > STACK_SIZE_MAX)
        return err_from(ERR_GO, -EINVAL);
    if (!task_has_place(loop))
        return err_make(ERR_GO, TN_LIMIT);
    task_reap(loop); /* a stack that is still warm */
    stack = stack_take(&loop->stacks, size);
    if (stack == NULL)
        return err_from(ERR_GO, -ENOMEM);

    made = CONTAINER(stack, struct tn_task, stack);
    task_init(made, loop, fn, arg, options != NULL ? options->name : NULL);
    made->group = group;
    made->held = task != NULL;
    list_append(&group->tasks, &made->in_group);
    list_append(&loop->tasks, &made->in_loop);
    group->alive++;
    loop->alive++;
    task_ready(made);
    if (task != NULL)
        *task = made;
    return tn_ok();
}

tn_err tn_go(struct tn_group *group, tn_task_fn *fn, void *arg,
             const struct tn_task_options *options, struct tn_task **task)
{
    struct tn_loop *loop = self_checked()->loop;

    CHECK(group == NULL || group->loop == loop);
    if (loop->root.canceled)
        return err_make(ERR_GO, TN_CANCELED);
    return task_start(loop, group != NULL ? group : &loop->root, fn, arg, options, task);
}

tn_err task_help(struct tn_group *group, tn_task_fn *fn, void *arg, const char *name)
{
    struct tn_task_options options = { .name = name };

    return task_start(group->loop, group, fn, arg, &options, NULL);
}

tn_err tn_join(struct tn_task **task, tn_err *result, tn_deadline deadline)
{
    struct tn_task *self = self_checked();
    struct tn_task *other = *task;

    if (other == NULL)
        return tn_ok();
    CHECK(other->held && other->loop == self->loop && other != self);
    while (other->state != TASK_ENDED) {
        CHECK(other->joiner == NULL);
        other->joiner = self;
        int woken = park(WAIT_TASK, other, deadline);
        other->joiner = NULL;
        if (woken < 0 && other->state != TASK_ENDED)
            return err_from(ERR_JOIN, woken);
    }
    if (result != NULL)
        *result = other->result;
    list_remove(&other->in_group);
    task_reap(self->loop);
    stack_give(&self->loop->stacks, &other->stack);
    *task = NULL;
    return tn_ok();
}

void task_cancel(struct tn_task *task)
{
    if (task->state == TASK_ENDED)
        return;
    task->canceled = true;
    if (!task->shielded)
        task_interrupt(task, -ECANCELED);
}

void tn_cancel(struct tn_task *task)
{
    CHECK(task->loop == loop_current);
    task_cancel(task);
}

struct tn_task *tn_self(void)
{
    return task_self();
}

bool tn_canceled(void)
{
    return self_checked()->canceled;
}

tn_err tn_sleep(tn_deadline deadline)
{
    int woken;

    self_checked();
    do
        woken = park(WAIT_TIME, NULL, deadline);
    while (woken == 0);
    return woken == -ETIME ? tn_ok() : err_from(ERR_SLEEP, woken);
}

const char *tn_task_name(void)
{
    struct tn_task *self = task_self();

    return self != NULL ? self->name : "";
}

size_t tn_task_stack_used(void)
{
    struct tn_task *self = self_checked();

    return stack_used(&self->loop->stacks, &self->stack);
}
