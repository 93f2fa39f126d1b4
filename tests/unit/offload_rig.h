/* SPDX-License-Identifier: MIT */
/*
 * offload_rig.h -- what the tests of tn_offload share: work that says when it has begun,
 * may stand at a gate, and counts what became of its argument.
 */
#ifndef OFFLOAD_RIG_H
#define OFFLOAD_RIG_H

#include "harness/harness.h"

#include <dirent.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

static inline void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        continue; /* EINTR */
}

/* Work that says when it has begun and then stands at a gate. */
struct work {
    sem_t begun, gate;
    atomic_int ran, discarded;
    pthread_t thread, discard_thread;
    sem_t was_discarded;
    tn_deadline deadline;
    tn_err err;
};

static inline void work_init(struct work *work)
{
    *work = (struct work){ .deadline = TN_NEVER };
    sem_init(&work->begun, 0, 0);
    sem_init(&work->gate, 0, 0);
    sem_init(&work->was_discarded, 0, 0);
}

static inline void stand_at_gate(void *arg)
{
    struct work *work = arg;

    work->thread = pthread_self();
    sem_post(&work->begun);
    wait_for(&work->gate);
    atomic_fetch_add(&work->ran, 1);
}

static inline void run_at_once(void *arg)
{
    struct work *work = arg;

    work->thread = pthread_self();
    atomic_fetch_add(&work->ran, 1);
}

static inline void discard(void *arg)
{
    struct work *work = arg;

    work->discard_thread = pthread_self();
    atomic_fetch_add(&work->discarded, 1);
    sem_post(&work->was_discarded);
}

/* A task that offloads one piece of such work. */
static inline tn_err offload_gate(void *arg)
{
    struct work *work = arg;

    work->err = tn_offload(stand_at_gate, work, discard, work->deadline);
    return tn_ok();
}

/* Starts FN and lets it run until it parks. */
static inline struct tn_task *start(tn_task_fn *fn, struct work *work)
{
    struct tn_task *task = NULL;

    assert_ok(tn_go(NULL, fn, work, NULL, &task));
    tn_yield();
    return task;
}

static inline void join(struct tn_task *task)
{
    assert_ok(tn_join(&task, NULL, TN_NEVER));
}

/* All helper threads at their gates, and their tasks. */
struct full_pool {
    struct work works[TN_OFFLOAD_THREADS];
    struct tn_task *tasks[TN_OFFLOAD_THREADS];
};

static inline void pool_fill(struct full_pool *full)
{
    for (int i = 0; i < TN_OFFLOAD_THREADS; i++) {
        work_init(&full->works[i]);
        full->tasks[i] = start(offload_gate, &full->works[i]);
    }
    for (int i = 0; i < TN_OFFLOAD_THREADS; i++)
        wait_for(&full->works[i].begun); /* so all of them run at once */
}

static inline void pool_drain(struct full_pool *full)
{
    for (int i = 0; i < TN_OFFLOAD_THREADS; i++)
        sem_post(&full->works[i].gate);
    for (int i = 0; i < TN_OFFLOAD_THREADS; i++) {
        join(full->tasks[i]);
        assert_ok(full->works[i].err);
    }
}

static inline tn_err offload_now(void *arg)
{
    struct work *work = arg;

    work->err = tn_offload(run_at_once, work, discard, work->deadline);
    return tn_ok();
}

/* threads_of_this_process -- how many there are now. */
static inline unsigned threads_of_this_process(void)
{
    DIR *dir = opendir("/proc/self/task");
    unsigned count = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count - 2; /* . and .. */
}

#endif
