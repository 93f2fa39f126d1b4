/* SPDX-License-Identifier: MIT */
/*
 * park.c -- stopping tasks and making them ready again.
 *
 * A parked task has two ways to run again: task_wake, by whom it waits for; and
 * task_interrupt, by its deadline or a cancel.  The first of them counts, since both
 * leave the task ready, and neither touches a ready one.  The exception is a poll in
 * flight: an interrupt then only asks the driver to end it, the task stays parked until
 * the poll's completion, and the poll's own result decides.
 *
 * Deadlines are lazy.  A task has one timer, and it is left alone as long as it is set at
 * or before the current deadline: a task that reads again and again, each time with a
 * limit a bit later, touches the heap only when the timer fires, finds the deadline moved
 * and sets it again.  That of a task which now waits without one goes with the turn (loop.c).
 *
 * Always true: a task is in the ready queue exactly when its state is TASK_READY.
 */
#include "task/park.h"

#include <errno.h>

#include "base/check.h"
#include "base/deadline.h"
#include "task/task.h"

/* Pieces of I/O without a park before the others get a turn. */
#define BUDGET 64U

/*
 * Bytes to be sent in one batch: no more than stay in the nearest caches until then.  Of a
 * large piece the copy is what costs, and it had better go while it is in the first one.
 */
#define BATCH_MOST       ((size_t)256 * 1024)
#define BATCH_PIECE_MOST ((size_t)16 * 1024)

_Thread_local struct tn_loop *loop_current __attribute__((tls_model("initial-exec")));

struct tn_task *task_self(void)
{
    return loop_current != NULL ? loop_current->running : NULL;
}

struct os *task_os(void)
{
    return loop_current != NULL ? loop_current->os : &os_linux;
}

struct os_driver *task_driver(void)
{
    CHECK(loop_current != NULL);
    return loop_current->driver;
}

void task_ready(struct tn_task *task)
{
    struct tn_loop *loop = task->loop;

    task->state = TASK_READY;
    task->next_ready = NULL;
    *loop->ready_end = task;
    loop->ready_end = &task->next_ready;
    loop->ready_count++;
}

static struct tn_task *ready_take(struct tn_loop *loop)
{
    struct tn_task *task = loop->ready;

    if (task == NULL || loop->quantum == 0)
        return NULL;
    loop->quantum--;
    loop->ready_count--;
    loop->ready = task->next_ready;
    if (loop->ready == NULL)
        loop->ready_end = &loop->ready;
    return task;
}

/* Where to go on: with the next task that is ready, or with the loop itself. */
static struct context *next_context(struct tn_loop *loop)
{
    struct tn_task *to = ready_take(loop);

    loop->running = to;
    loop->budget = BUDGET;
    if (to == NULL)
        return &loop->home;
    to->state = TASK_RUNNING;
    return &to->context;
}

static inline void go_on(struct tn_loop *loop)
{
    struct tn_task *from = loop->running;
    struct context *here = from != NULL ? &from->context : &loop->home;
    struct context *there = next_context(loop);

    if (here == there)
        return;
    loop->switches++;
    context_switch(here, there); /* last, so that no frame of ours goes along */
}

void task_switch(struct tn_loop *loop)
{
    go_on(loop);
}

_Noreturn void task_leave(struct tn_loop *loop)
{
    struct context *here = &loop->running->context;

    loop->switches++;
    context_leave(here, next_context(loop));
}

/* Here, so that its parts are one piece of code: 2 of 12.7 ns. */
void tn_yield(void)
{
    struct tn_loop *loop = loop_current;

    CHECK(loop != NULL && loop->running != NULL); /* the call is for use inside a task */
    task_ready(loop->running);
    go_on(loop);
}

static inline int check(struct tn_loop *loop, tn_deadline deadline)
{
    int64_t point = deadline_point(deadline);

    CHECK(loop != NULL && loop->running != NULL);
    if (loop->running->canceled && !deadline_shielded(deadline))
        return -ECANCELED;
    return point != INT64_MAX && point <= loop_now(loop) ? -ETIME : 0;
}

int park_check(tn_deadline deadline)
{
    return check(loop_current, deadline);
}

static void set_deadline(struct tn_task *self, tn_deadline deadline)
{
    int64_t point = deadline_point(deadline);

    self->deadline = point;
    self->shielded = deadline_shielded(deadline);
    if (point != INT64_MAX && !(timer_is_set(&self->timer) && self->timer.point <= point))
        timer_set(&self->loop->timers, &self->timer, point);
}

int park_at(struct tn_task **place, enum wait_kind kind, const void *on,
            tn_deadline deadline)
{
    struct tn_loop *loop = loop_current;
    int result = check(loop, deadline);
    struct tn_task *self = loop->running;

    if (result < 0)
        return result;
    *place = self;
    set_deadline(self, deadline);
    self->waits_for = (uint8_t)kind;
    self->waits_on = on;
    self->state = TASK_PARKED;
    loop->outside += kind >= WAIT_TIME;
    go_on(loop);
    loop->outside -= kind >= WAIT_TIME;
    self->waits_for = WAIT_NOTHING;
    *place = NULL;
    return self->wake_reason;
}

int park(enum wait_kind kind, const void *on, tn_deadline deadline)
{
    struct tn_task *self;

    return park_at(&self, kind, on, deadline);
}

bool task_wake(struct tn_task *task)
{
    if (task->state != TASK_PARKED || task->poll != NULL)
        return false;
    task->wake_reason = 0;
    task_ready(task);
    return true;
}

void task_interrupt(struct tn_task *task, int reason)
{
    if (task->state != TASK_PARKED)
        return;
    if (task->poll != NULL) {
        task->poll_reason = (int16_t)reason;
        os_driver_cancel(task->loop->driver, &task->poll->event);
        return;
    }
    task->wake_reason = (int16_t)reason;
    task_ready(task);
}

struct parked_poll {
    struct os_poll poll;
    struct tn_task *task;
};

static void poll_notify(struct os_event *event)
{
    struct parked_poll *parked = CONTAINER(event, struct parked_poll, poll.event);

    parked->task->poll = NULL;
    task_wake(parked->task);
}

int park_poll(int fd, short events, tn_deadline deadline)
{
    struct tn_loop *loop = loop_current;
    int result = park_check(deadline);

    if (result < 0)
        return result;

    struct tn_task *self = loop->running;
    struct parked_poll parked = {
        .poll.event = { .type = OS_POLL, .fd = fd, .notify = poll_notify },
        .poll.events = events,
        .task = self,
    };

    os_driver_arm(loop->driver, &parked.poll.event);
    self->poll = &parked.poll;
    self->poll_reason = 0;
    CHECK(park(WAIT_FD, (void *)(intptr_t)fd, deadline) == 0);
    CHECK(os_event_idle(&parked.poll.event));
    if (parked.poll.result == -ECANCELED && self->poll_reason != 0)
        return self->poll_reason;
    return parked.poll.result;
}

/* Let the others run once; then it is the kernel's turn. */
static inline void leave_to_kernel(struct tn_loop *loop)
{
    if (loop->quantum > loop->ready_count)
        loop->quantum = loop->ready_count;
}

bool park_pays_batch(size_t size)
{
    const struct tn_loop *loop = loop_current;

    return (loop->ready != NULL || loop->driver->pending) && size <= BATCH_PIECE_MOST &&
           loop->batched + size <= BATCH_MOST &&
           (loop->driver->abilities & OS_CAN_BATCH) != 0;
}

void park_batch(struct os_batch *batch)
{
    struct tn_loop *loop = loop_current;

    loop->batched += batch->size;
    leave_to_kernel(loop);
    os_driver_arm(loop->driver, &batch->event);
    CHECK(park(WAIT_FD, (void *)(intptr_t)batch->event.fd,
               deadline_make(INT64_MAX, true)) == 0);
    CHECK(os_event_idle(&batch->event));
}

void park_close(int fd)
{
    while (os_driver_cancel_fd(loop_current->driver, fd) > 0)
        tn_yield();
}

void task_spend(void)
{
    struct tn_loop *loop = loop_current;

    if (loop == NULL || loop->running == NULL || --loop->budget > 0)
        return;
    leave_to_kernel(loop);
    tn_yield();
}
