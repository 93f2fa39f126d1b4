/* SPDX-License-Identifier: MIT */
/*
 * post.c -- tasks started from other threads, and threads that have a loop.
 *
 * Posts are pushed on a lock-free stack; whoever pushes on an empty one writes to the
 * loop's eventfd, which the loop watches.  The loop takes the whole stack at once and
 * turns it round, so posts of one thread arrive in their order.  One for which the loop
 * has no room for a task is delayed, and with it all that come after it.
 *
 * A post may be taken before its pusher has written, since an eventfd has more edges than
 * writes; so `pushing` counts who is still inside, and the loop does not end before it is
 * 0.  A post that finds `closed` set is refused; one that came just before is taken
 * out, and dropped, after the last pusher has left.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "base/check.h"
#include "base/err.h"
#include "task/task.h"

#define POSTS_MAX 65536U

struct start_post {
    struct post post;
    tn_task_fn *fn;
    void *arg;
    size_t stack_size;
    char name[TASK_NAME_SIZE];
};

static struct post *take_in_order(struct tn_loop *loop)
{
    struct post *post = atomic_exchange(&loop->posts.pushed, NULL);
    struct post *turned = NULL;

    while (post != NULL) {
        struct post *next = post->next;
        post->next = turned;
        turned = post;
        post = next;
    }
    return turned;
}

static void on_wake(struct os_event *event)
{
    struct tn_loop *loop = CONTAINER(event, struct tn_loop, posts.wake.event);
    struct post *post, *next;
    uint64_t unused;

    if (!event->wanted)
        return;
    /* Before the stack is taken, so that a later push writes again. */
    (void)os_read(loop->os, loop->posts.wake_fd, &unused, sizeof(unused));
    for (post = take_in_order(loop); post != NULL; post = next) {
        next = post->next;
        post->arrive(loop, post);
    }
}

int posts_open(struct tn_loop *loop)
{
    struct posts *posts = &loop->posts;
    int fd;

    if (posts->open)
        return 0;
    if (!os_event_idle(&posts->wake.event))
        return posts->wake.error; /* it failed in this turn, and is still to be told */
    fd = os_eventfd(loop->os, 0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0)
        return fd;
    posts->wake_fd = fd;
    posts->wake.event =
        (struct os_event){ .type = OS_WATCH, .fd = fd, .notify = on_wake };
    os_driver_arm(loop->driver, &posts->wake.event);
    if (posts->wake.error < 0) {
        os_close(loop->os, fd);
        return posts->wake.error;
    }
    posts->open = true;
    return 0;
}

static void push(struct tn_loop *loop, struct post *post)
{
    struct post *first = atomic_load(&loop->posts.pushed);
    uint64_t one = 1;

    do
        post->next = first;
    while (!atomic_compare_exchange_weak(&loop->posts.pushed, &first, post));
    if (first == NULL) /* cannot fail: the counter is reset at each wake */
        CHECK(os_write(loop->os, loop->posts.wake_fd, &one, sizeof(one)) == sizeof(one));
}

void post_push(struct tn_loop *loop, struct post *post)
{
    atomic_fetch_add(&loop->posts.pushing, 1);
    push(loop, post);
    atomic_fetch_sub(&loop->posts.pushing, 1); /* and LOOP may be gone */
}

static void start_drop(struct tn_loop *loop, struct post *post)
{
    atomic_fetch_sub(&loop->posts.waiting, 1);
    os_release(loop->os, CONTAINER(post, struct start_post, post));
}

/* Start the task of POST; false if it has to wait until another one has ended. */
static bool start_run(struct tn_loop *loop, struct post *post)
{
    struct start_post *start = CONTAINER(post, struct start_post, post);
    struct tn_task_options options = { .name = start->name,
                                       .stack_size = start->stack_size };
    tn_err err = task_start(loop, &loop->root, start->fn, start->arg, &options, NULL);

    if (err.kind == TN_LIMIT && loop->alive > 0)
        return false;
    if (tn_failed(err) && !tn_failed(loop->root.first))
        loop->root.first = err; /* not even one task: nobody else is left to tell */
    start_drop(loop, post);
    return true;
}

void posts_retry(struct tn_loop *loop)
{
    struct posts *posts = &loop->posts;

    while (posts->delayed != NULL) {
        struct post *post = posts->delayed, *next = post->next;
        if (!start_run(loop, post))
            return;
        posts->delayed = next;
    }
}

static void start_arrive(struct tn_loop *loop, struct post *post)
{
    struct posts *posts = &loop->posts;

    if (atomic_load(&posts->closed)) {
        start_drop(loop, post);
        return;
    }
    if (posts->delayed == NULL && start_run(loop, post))
        return;
    post->next = NULL;
    if (posts->delayed == NULL)
        posts->delayed = post;
    else
        posts->delayed_last->next = post;
    posts->delayed_last = post;
}

void posts_close(struct tn_loop *loop)
{
    struct posts *posts = &loop->posts;
    struct post *post, *next;

    if (!posts->open)
        return;
    atomic_store(&posts->closed, true);
    os_driver_cancel(loop->driver, &posts->wake.event);
    while (!os_event_idle(&posts->wake.event))
        CHECK(loop_turn(loop, INT64_MAX) == 0);
    while (atomic_load(&posts->pushing) > 0)
        sched_yield(); /* a few instructions and one write away from leaving */
    os_close(loop->os, posts->wake_fd);
    posts->open = false;
    CHECK(posts->delayed == NULL); /* they start as soon as no task is left */
    /* Only starts can be left: the task of an offload would still be alive. */
    for (post = take_in_order(loop); post != NULL; post = next) {
        next = post->next;
        start_drop(loop, post);
    }
}

static struct start_post *start_new(struct tn_loop *loop, tn_task_fn *fn, void *arg,
                                    const struct tn_task_options *options)
{
    struct start_post *start = os_allocate(loop->os, sizeof(*start));
    const char *name = options != NULL ? options->name : NULL;

    if (start == NULL)
        return NULL;
    start->post.arrive = start_arrive;
    start->fn = fn;
    start->arg = arg;
    start->stack_size = options != NULL ? options->stack_size : 0;
    snprintf(start->name, sizeof(start->name), "%s", name != NULL ? name : "task");
    return start;
}

static tn_err post_start(struct tn_loop *loop, tn_task_fn *fn, void *arg,
                         const struct tn_task_options *options)
{
    struct start_post *start;

    if (atomic_load(&loop->posts.closed))
        return err_make(ERR_POST, TN_CLOSED);
    if (options != NULL && options->stack_size > STACK_SIZE_MAX)
        return err_from(ERR_POST, -EINVAL);
    start = start_new(loop, fn, arg, options);
    if (start == NULL)
        return err_from(ERR_POST, -ENOMEM);
    if (atomic_fetch_add(&loop->posts.waiting, 1) >= POSTS_MAX) {
        start_drop(loop, &start->post);
        return err_make(ERR_POST, TN_LIMIT);
    }
    push(loop, &start->post);
    return tn_ok();
}

tn_err tn_post(struct tn_loop *loop, tn_task_fn *fn, void *arg,
               const struct tn_task_options *options)
{
    tn_err err;

    atomic_fetch_add(&loop->posts.pushing, 1);
    err = post_start(loop, fn, arg, options);
    atomic_fetch_sub(&loop->posts.pushing, 1);
    return err;
}

tn_err tn_loop_self(struct tn_loop **loop)
{
    int result;

    CHECK(task_self() != NULL);
    result = posts_open(loop_current);
    if (result < 0)
        return err_from(ERR_LOOP, result);
    loop_current->shared = true;
    *loop = loop_current;
    return tn_ok();
}

/* A loop with a thread of its own. */
struct loop_thread {
    struct tn_loop loop; /* first: the handle points to it */
    pthread_t thread;
    const struct tn_loop_options *options;
    sem_t started;
    int result;
    struct post end;
    bool cancel, ending;
};

static struct loop_thread *thread_of(struct tn_loop *loop)
{
    return CONTAINER(loop, struct loop_thread, loop);
}

static void *thread_main(void *argument)
{
    struct loop_thread *self = argument;
    int result = loop_init(&self->loop, &os_linux, self->options);

    if (result >= 0) {
        result = posts_open(&self->loop);
        if (result < 0)
            loop_release(&self->loop);
    }
    self->loop.shared = true;
    self->result = result;
    sem_post(&self->started); /* from here on SELF->result and options are not ours */
    if (result < 0)
        return NULL;
    while (!self->ending || self->loop.alive > 0)
        CHECK(loop_turn(&self->loop, INT64_MAX) == 0);
    loop_release(&self->loop);
    return NULL;
}

tn_err tn_thread_open(struct tn_loop **loop, const struct tn_loop_options *options)
{
    struct loop_thread *made = os_allocate(&os_linux, sizeof(*made));
    int result;

    if (made == NULL)
        return err_from(ERR_LOOP, -ENOMEM);
    made->options = options;
    CHECK(sem_init(&made->started, 0, 0) == 0);
    result = -pthread_create(&made->thread, NULL, thread_main, made);
    if (result == 0) {
        while (sem_wait(&made->started) != 0)
            continue; /* EINTR */
        result = made->result;
        if (result < 0)
            CHECK(pthread_join(made->thread, NULL) == 0);
    }
    sem_destroy(&made->started);
    if (result < 0) {
        os_release(&os_linux, made);
        return err_from(ERR_LOOP, result);
    }
    *loop = &made->loop;
    return tn_ok();
}

static void end_arrive(struct tn_loop *loop, struct post *post)
{
    struct loop_thread *self = thread_of(loop);

    (void)post;
    self->ending = true;
    atomic_store(&loop->posts.closed, true);
    if (self->cancel) /* what is delayed then does not start any more */
        loop_cancel_all(loop);
}

void tn_thread_close(struct tn_loop **loop, bool cancel)
{
    struct loop_thread *self;

    if (*loop == NULL)
        return;
    self = thread_of(*loop);
    self->cancel = cancel;
    self->end.arrive = end_arrive;
    post_push(&self->loop, &self->end);
    CHECK(pthread_join(self->thread, NULL) == 0);
    os_release(&os_linux, self);
    *loop = NULL;
}
