/* SPDX-License-Identifier: MIT */
/*
 * offload.c -- blocking work on helper threads, while the task that asked is parked.
 *
 * One pool for the process, since the work is bounded by cores and not by loops: threads
 * are made when work waits and none is free, take jobs in order, and end after a while
 * without one.  A job lies on the heap, for it may outlive the task:
 *
 *      QUEUED --> RUNNING --> DONE: posted to the loop, and the caller frees the job
 *         |           +-----> ABANDONED: the helper discards and frees when it has done
 *         +-> given up before it began: the caller discards and frees
 *
 * The state changes under the pool's lock, so exactly one side frees, and DISCARD is
 * called exactly once or, after a success, never.  The lock is never held over a park.
 *
 * A forked child has no helper threads; its pool starts empty.  On a system that is for
 * one thread only, a simulated one, the work takes its turn on the loop itself.
 *
 * Always true: running + queued <= TN_OFFLOAD_THREADS + TN_OFFLOAD_QUEUE.
 */
#include <tenon/loop.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/check.h"
#include "base/deadline.h"
#include "base/err.h"
#include "base/list.h"
#include "task/task.h"

/* An idle helper ends after this long. */
#define IDLE_NS (3 * TN_SECOND)

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_DONE, JOB_ABANDONED };

struct job {
    struct post post;
    struct link in_queue;
    struct os *os;
    struct tn_loop *loop;
    struct tn_task *task;
    void (*work)(void *arg);
    void (*discard)(void *arg);
    void *arg;
    enum job_state state;
    bool arrived; /* has come back to the loop; touched by its thread only */
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake; /* of idle threads */
    struct link queue;
    unsigned queued, running, threads;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void pool_lock(void)
{
    CHECK(pthread_mutex_lock(&pool.lock) == 0);
}

static void pool_unlock(void)
{
    CHECK(pthread_mutex_unlock(&pool.lock) == 0);
}

static void pool_init(void)
{
    pthread_condattr_t attributes;

    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&pool.wake, &attributes) == 0);
    pthread_condattr_destroy(&attributes);
    list_init(&pool.queue);
    pool.queued = pool.running = pool.threads = 0;
}

/* In a forked child: what was queued or running is the parent's. */
static void pool_forget(void)
{
    CHECK(pthread_mutex_init(&pool.lock, NULL) == 0);
    pool_init();
}

static void pool_start(void)
{
    pool_init();
    CHECK(pthread_atfork(pool_lock, pool_unlock, pool_forget) == 0);
}

/* Wait for a job and take it; NULL after a while without one.  With the lock. */
static struct job *take_job(void)
{
    int64_t end = os_now(&os_linux) + IDLE_NS;
    struct timespec limit = { end / TN_SECOND, end % TN_SECOND };
    struct link *link;
    int result = 0;

    while ((link = list_first(&pool.queue)) == NULL && result == 0)
        result = pthread_cond_timedwait(&pool.wake, &pool.lock, &limit);
    if (link == NULL)
        return NULL;
    list_remove(link);
    pool.queued--;
    return CONTAINER(link, struct job, in_queue);
}

/* JOB's work has ended: send it back, or discard it.  With the lock, but not all along. */
static void finish_job(struct job *job)
{
    bool wanted = job->state == JOB_RUNNING;

    if (wanted) {
        job->state = JOB_DONE;
        pool.running--; /* this helper is free for what the woken task asks next */
    }
    pool_unlock();
    if (wanted) {
        post_push(job->loop, &job->post); /* from here on the job is the caller's */
    } else {
        job->discard(job->arg);
        os_release(job->os, job);
    }
    pool_lock();
    if (!wanted)
        pool.running--;
}

static void *helper_main(void *unused)
{
    struct job *job;

    (void)unused;
    pool_lock();
    while ((job = take_job()) != NULL) {
        job->state = JOB_RUNNING;
        pool.running++;
        pool_unlock();
        job->work(job->arg);
        pool_lock();
        finish_job(job);
    }
    pool.threads--;
    pool_unlock();
    return NULL;
}

/*
 * Signals are for the program's own threads; but a fault in the work is the work's, and
 * must find the program's handler.
 */
static void block_signals(sigset_t *before)
{
    static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS };
    sigset_t all;

    sigfillset(&all);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        sigdelset(&all, faults[i]);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, before) == 0);
}

/* One more helper, detached: nobody waits for it.  With the lock.  0 or -errno. */
static int add_thread(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t before;
    int result;

    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0);
    block_signals(&before);
    result = -pthread_create(&thread, &attributes, helper_main, NULL);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    pthread_attr_destroy(&attributes);
    if (result == 0)
        pool.threads++;
    return result;
}

static int submit_locked(struct job *job)
{
    int result;

    if (pool.running + pool.queued >= TN_OFFLOAD_THREADS + TN_OFFLOAD_QUEUE)
        return -EAGAIN;
    if (pool.queued < pool.threads - pool.running) {
        /* One that is free: it sleeps, or is about to look. */
        CHECK(pthread_cond_signal(&pool.wake) == 0);
    } else if (pool.threads < TN_OFFLOAD_THREADS) {
        result = add_thread();
        if (result < 0 && pool.threads == 0)
            return result;
    }
    job->state = JOB_QUEUED;
    list_append(&pool.queue, &job->in_queue);
    pool.queued++;
    return 0;
}

static int submit(struct job *job)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int result;

    pthread_once(&once, pool_start);
    pool_lock();
    result = submit_locked(job);
    pool_unlock();
    return result;
}

/* Leave JOB: true if it has not begun, so that it is still the caller's. */
static bool take_back(struct job *job)
{
    if (job->state != JOB_QUEUED)
        return false;
    list_remove(&job->in_queue);
    pool.queued--;
    return true;
}

static void on_arrival(struct tn_loop *loop, struct post *post)
{
    struct job *job = CONTAINER(post, struct job, post);

    (void)loop;
    job->arrived = true;
    task_wake(job->task);
}

/*
 * Park until JOB has come back.  0, or -errno if it was left behind; *MINE is then
 * whether it never began.
 */
static int await(struct job *job, tn_deadline deadline, bool *mine)
{
    while (!job->arrived) {
        int result = park(WAIT_OFFLOAD, job, deadline);
        bool done;

        if (result == 0 || job->arrived)
            continue;
        pool_lock();
        done = job->state == JOB_DONE;
        *mine = take_back(job);
        if (!done && !*mine)
            job->state = JOB_ABANDONED;
        pool_unlock();
        if (!done)
            return result;
        /* It has happened, and its post is about to arrive. */
        deadline = deadline_make(INT64_MAX, true);
    }
    *mine = true;
    return 0;
}

/* Where there is only one thread: after the tasks that were ready before. */
static int run_here(struct job *job, tn_deadline deadline)
{
    int result;

    tn_yield();
    result = park_check(deadline);
    if (result == 0)
        job->work(job->arg);
    return result;
}

static int offload(struct tn_loop *loop, struct job wish, tn_deadline deadline,
                   bool *discarded_there)
{
    struct job *job;
    bool mine = true;
    int result;

    if (loop->os->calls->one_thread)
        return run_here(&wish, deadline);
    result = posts_open(loop);
    if (result < 0)
        return result;
    job = os_allocate(loop->os, sizeof(*job));
    if (job == NULL)
        return -ENOMEM;
    *job = wish;
    list_init(&job->in_queue);
    job->post.arrive = on_arrival;
    job->os = loop->os;
    job->loop = loop;
    job->task = loop->running;
    result = submit(job);
    if (result == 0)
        result = await(job, deadline, &mine);
    if (mine)
        os_release(loop->os, job);
    *discarded_there = !mine;
    return result;
}

tn_err tn_offload(void (*work)(void *arg), void *arg, void (*discard)(void *arg),
                  tn_deadline deadline)
{
    struct job wish = { .work = work, .discard = discard, .arg = arg };
    bool discarded_there = false;
    int result = park_check(deadline);

    CHECK(work != NULL && discard != NULL);
    if (result == 0)
        result = offload(loop_current, wish, deadline, &discarded_there);
    if (result < 0 && !discarded_there)
        discard(arg);
    return err_from(ERR_OFFLOAD, result);
}
