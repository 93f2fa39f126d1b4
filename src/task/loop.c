/* SPDX-License-Identifier: MIT */
/*
 * loop.c -- the loop of a thread: wait, take in all that happened, run what is ready.
 *
 *      +--> driver: submit, wait -> notify all -> timers -> posts --------------------+
 *      |                                                                             |
 *      +------- until the queue is empty or the quantum is used: run tasks <----------+
 *
 * Events come before timers, so what happened together with a deadline counts as having
 * happened; and before one that is late they are looked for once more.  The quantum sees to
 * it that tasks which only wake each other do not keep the loop from the kernel.
 *
 * A standstill is a deadlock when every task waits for another one: none waits for
 * something outside, no timer is set and no other thread can post.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/check.h"
#include "base/deadline.h"
#include "base/err.h"
#include "task/interrupt.h"
#include "task/run.h"
#include "task/task.h"

/* Switches in one turn, or as many as were ready at its start if that is more. */
#define QUANTUM 1024U

/* A timer that is late by so much: this thread stood still, or the whole machine did. */
#define STOOD_STILL_NS 1000000

void loop_cancel_all(struct tn_loop *loop)
{
    loop->root.canceled = true; /* no new ones: the end must come */
    for (struct link *at = loop->tasks.next; at != &loop->tasks; at = at->next)
        task_cancel(CONTAINER(at, struct tn_task, in_loop));
    lates_drop_all(loop);
}

/*
 * A forked child has the memory of the loop but not its kernel side, and must not touch
 * the parent's.  Without a loop every call is the plain one there.
 */
static unsigned forks;

static void forget_loop(void)
{
    loop_current = NULL;
    forks++;
}

unsigned task_forks(void)
{
    return forks;
}

static void watch_forks(void)
{
    CHECK(pthread_atfork(NULL, NULL, forget_loop) == 0);
}

int loop_init(struct tn_loop *loop, struct os *os, const struct tn_loop_options *options)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static const struct tn_loop_options none;
    int result;

    if (loop_current != NULL)
        return -EINVAL;
    if (options == NULL)
        options = &none;
    if (options->stack_size > STACK_SIZE_MAX)
        return -EINVAL;
    memset(loop, 0, sizeof(*loop));
    loop->os = os;
    loop->ready_end = &loop->ready;
    loop->stack_size =
        options->stack_size != 0 ? options->stack_size : STACK_SIZE_DEFAULT;
    loop->alive_max = options->tasks_max != 0 ? options->tasks_max : TASKS_MAX_DEFAULT;
    loop->spin.limit = options->spin > 0 ? options->spin : 0;
    loop->report = options->report;
    loop->report_arg = options->report_arg;
    list_init(&loop->tasks);
    list_init(&loop->lates);
    list_init(&loop->lates_due);
    list_init(&loop->signals);
    list_init(&loop->standing);
    list_init(&loop->fd_waits.all);
    group_init(&loop->root, loop, TN_GROUP_EACH_ALONE);
    stacks_init(&loop->stacks, os, sizeof(struct tn_task));
    context_adopt(&loop->home, &loop->home_notes);
    result = driver_choose(loop, options);
    if (result < 0)
        return result;
    loop->now = os_now(os);
    result = overflow_watch(loop);
    if (result < 0) {
        os_driver_close(loop->driver);
        return result;
    }
    pthread_once(&once, watch_forks);
    loop_current = loop;
    return 0;
}

void task_count_conn(int change)
{
    loop_current->conns += (unsigned)change;
}

void standing_init(struct standing *standing, struct os_event *event)
{
    list_init(&standing->in_loop);
    standing->event = event;
}

void standing_begin(struct standing *standing)
{
    list_append(&loop_current->standing, &standing->in_loop);
}

void standing_end(struct standing *standing)
{
    list_remove(&standing->in_loop);
}

static void cancel_standing(struct tn_loop *loop)
{
    for (struct link *at = loop->standing.next; at != &loop->standing; at = at->next)
        os_driver_cancel(loop->driver, CONTAINER(at, struct standing, in_loop)->event);
}

void loop_release(struct tn_loop *loop)
{
    CHECK(loop->alive == 0 && loop_current == loop);
    if (loop->conns > 0) /* its requests would be waited for, for ever */
        UNREACHED("a connection is still open, and its loop ends");
    posts_close(loop);
    interrupt_cancel(loop);
    cancel_standing(loop);
    while (loop->driver->armed > 0 || loop->driver->happened != NULL)
        CHECK(loop_turn(loop, INT64_MAX) >= 0);
    interrupt_release(loop);
    park_fd_release(loop);
    group_release(&loop->root);
    buffers_release(loop);
    pipes_release(loop);
    overflow_unwatch(loop);
    os_driver_close(loop->driver);
    os_release(loop->os, timers_grow(&loop->timers, NULL, 1));
    stacks_release(&loop->stacks);
    loop_current = NULL;
}

static void notify_all(struct tn_loop *loop)
{
    struct os_event *event;

    while ((event = os_driver_next(loop->driver)) != NULL)
        event->notify(event);
}

/*
 * Whose deadline passed while this thread stood still may long have what it waits for: look
 * once more before it is told.  (A signal ends a wait before anything is looked at, and the one
 * that goes on after SIGSTOP is such a signal.)
 */
static void expire_timers(struct tn_loop *loop)
{
    bool looked = false;
    struct timer *timer;

    while ((timer = timers_first(&loop->timers)) != NULL &&
           timer->point <= loop_now(loop)) {
        struct tn_task *task = CONTAINER(timer, struct tn_task, timer);

        if (!looked && task->state == TASK_PARKED &&
            task->deadline < loop->now - STOOD_STILL_NS) {
            looked = true;
            (void)os_driver_wait(loop->driver, 0); /* or the next turn's wait fails */
            notify_all(loop);
            continue;
        }
        timer_clear(&loop->timers, timer);
        if (task->state != TASK_PARKED || task->deadline == INT64_MAX)
            continue;
        if (task->deadline <= loop->now)
            task_interrupt(task, -ETIME);
        else
            timer_set(&loop->timers, timer, task->deadline);
    }
}

/* When there is something to do though nothing happens. */
static int64_t next_point(struct tn_loop *loop)
{
    struct timer *first = timers_first(&loop->timers);
    int64_t point = lates_point(loop);

    return first != NULL && first->point < point ? first->point : point;
}

/* How long the driver may wait, when nothing happens before POINT. */
static int64_t time_to_wait(struct tn_loop *loop, int64_t point)
{
    int64_t next = next_point(loop);

    if (loop->ready != NULL)
        return 0;
    if (next < point)
        point = next;
    if (point == INT64_MAX)
        return INT64_MAX;
    loop->now = os_now(loop->os);
    return point > loop->now ? point - loop->now : 0;
}

/*
 * A task that now waits without a limit has no use for the timer that an earlier wait has
 * left (park.c).  Left alone it makes each wait of the loop one with a limit: a timer in the
 * kernel, and a look at the clock before it.  Only the first of them is in the way.
 */
static void drop_idle_timers(struct tn_loop *loop)
{
    struct timer *timer;

    while ((timer = timers_first(&loop->timers)) != NULL) {
        const struct tn_task *task = CONTAINER(timer, struct tn_task, timer);

        if (task->state != TASK_PARKED || task->deadline != INT64_MAX)
            return;
        timer_clear(&loop->timers, timer);
    }
}

static void run_ready(struct tn_loop *loop)
{
    loop->quantum = loop->ready_count > QUANTUM ? loop->ready_count : QUANTUM;
    task_switch(loop);
    task_reap(loop);
    loop->quantum = 0;
}

int loop_turn(struct tn_loop *loop, int64_t point)
{
    int result;

    CHECK(loop == loop_current && loop->running == NULL);
    result = spin_wait(loop, time_to_wait(loop, point));
    loop->now = 0; /* it is later now */
    loop->batched = 0;
    loop->turns++;
    notify_all(loop);
    expire_timers(loop);
    run_ready(loop);
    posts_retry(loop);
    lates_retry(loop);
    drop_idle_timers(loop);
    return result == -EINTR ? 0 : result;
}

static bool at_a_standstill(const struct tn_loop *loop)
{
    return loop->ready == NULL && loop->outside == 0 && !loop->shared &&
           timers_first(&loop->timers) == NULL && loop->driver->happened == NULL;
}

tn_err loop_run(struct tn_loop *loop)
{
    while (loop->alive > 0) {
        int result = loop_turn(loop, INT64_MAX);

        CHECK(result == 0);
        if (loop->alive == 0 || !at_a_standstill(loop))
            continue;
        report_deadlock(loop);
        CHECK(!loop->deadlocked); /* even canceled, the tasks wait for each other */
        loop->deadlocked = true;
        loop_cancel_all(loop);
    }
    return loop->deadlocked ? err_make(ERR_RUN, TN_DEADLOCK) : tn_ok();
}

struct program {
    tn_task_fn *fn;
    void *arg;
    tn_err result;
};

static tn_err program_main(void *arg)
{
    struct program *program = arg;

    program->result = program->fn(program->arg);
    return tn_ok();
}

tn_err run_on(struct os *os, tn_task_fn *fn, void *arg,
              const struct tn_loop_options *options)
{
    struct tn_task_options name = { .name = "main" };
    struct program program = { fn, arg, tn_ok() };
    struct tn_loop loop;
    tn_err err = err_from(ERR_RUN, loop_init(&loop, os, options));

    if (tn_failed(err))
        return err;
    err = task_start(&loop, &loop.root, program_main, &program, &name, NULL);
    if (!tn_failed(err))
        err = loop_run(&loop);
    if (!tn_failed(err))
        err = tn_failed(program.result) ? program.result : loop.root.first;
    loop_release(&loop);
    return err;
}

tn_err tn_run(tn_task_fn *fn, void *arg, const struct tn_loop_options *options)
{
    return run_on(&os_linux, fn, arg, options);
}

static int open_by_hand(struct tn_loop *loop, const struct tn_loop_options *options)
{
    int result = loop_init(loop, &os_linux, options);

    if (result < 0)
        return result;
    loop->shared = true; /* its owner may start another task at any time */
    result = posts_open(loop);
    if (result == 0) /* so that asking for it cannot fail */
        result = os_driver_descriptor(loop->driver);
    if (result < 0)
        loop_release(loop);
    return result;
}

tn_err tn_loop_open(struct tn_loop **loop, const struct tn_loop_options *options)
{
    struct tn_loop *made = os_allocate(&os_linux, sizeof(*made));
    int result;

    if (made == NULL)
        return err_from(ERR_LOOP, -ENOMEM);
    result = open_by_hand(made, options);
    if (result < 0) {
        os_release(&os_linux, made);
        return err_from(ERR_LOOP, result);
    }
    *loop = made;
    return tn_ok();
}

tn_err tn_loop_go(struct tn_loop *loop, tn_task_fn *fn, void *arg,
                  const struct tn_task_options *options)
{
    CHECK(loop == loop_current);
    return task_start(loop, &loop->root, fn, arg, options, NULL);
}

int tn_loop_descriptor(struct tn_loop *loop)
{
    return os_driver_descriptor(loop->driver);
}

tn_deadline tn_loop_next(struct tn_loop *loop)
{
    int64_t point = next_point(loop);

    if (loop->ready != NULL || loop->driver->happened != NULL || loop->driver->pending)
        return TN_NOW;
    return point != INT64_MAX ? deadline_make(point, false) : TN_NEVER;
}

tn_err tn_loop_turn(struct tn_loop *loop, tn_deadline deadline, unsigned *alive)
{
    int result = loop_turn(loop, deadline_point(deadline));

    if (alive != NULL)
        *alive = loop->alive;
    return err_from(ERR_LOOP, result);
}

void tn_loop_close(struct tn_loop **loop)
{
    struct tn_loop *old = *loop;

    if (old == NULL)
        return;
    loop_cancel_all(old);
    while (old->alive > 0)
        CHECK(loop_turn(old, INT64_MAX) == 0);
    loop_release(old);
    os_release(&os_linux, old);
    *loop = NULL;
}

void tn_loop_facts(struct tn_loop *loop, struct tn_loop_facts *facts)
{
    if (loop == NULL)
        loop = loop_current;
    CHECK(loop != NULL);
    *facts = (struct tn_loop_facts){
        .driver = loop->driver->name,
        .why = loop->why,
        .tasks = loop->alive,
        .switches = loop->switches,
        .turns = loop->turns,
    };
}
