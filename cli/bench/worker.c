/* SPDX-License-Identifier: MIT */
/*
 * worker.c -- one thread's part: connect, wait for the start, measure, hand over, close.
 *
 * The connections are made by a few dialing tasks, so that no listener's queue is flooded.
 * Then each has a task of its own, and the worker's own task only cuts the time into
 * slices.  When the time is over open questions get a grace; what is then unanswered is
 * counted, which makes the run a failure.
 *
 * Always true: only the worker's thread touches the worker, until run_worker_done.
 */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "lanes.h"
#include "report.h"
#include "run.h"

#define DIALERS 64

struct dialers {
    struct worker *worker;
    unsigned next;
};

static tn_err dial_task(void *arg)
{
    struct dialers *dialers = arg;
    struct worker *worker = dialers->worker;
    tn_err err = tn_ok();

    while (!tn_failed(err) && dialers->next < worker->lane_count) {
        struct lane *lane = &worker->lanes[dialers->next++];
        err = lane_connect(lane);
    }
    return err;
}

/* Connect all lanes; the failure tells if one could not be. */
static tn_err connect_all(struct worker *worker)
{
    struct dialers dialers = { .worker = worker };
    struct tn_group *group = NULL;
    tn_err err = tn_group_open(&group, TN_GROUP_ALL_OR_NONE);

    for (unsigned i = 0; i < DIALERS && i < worker->lane_count && !tn_failed(err); i++)
        err = tn_go(group, dial_task, &dialers, NULL, NULL);
    if (!tn_failed(err))
        err = tn_group_wait(group, TN_NEVER);
    tn_group_close(&group);
    return err;
}

/* The thread's time on a core, and what it has waited for one (/proc: schedstat). */
static void read_cpu(int64_t *ran, int64_t *waited)
{
    struct timespec time = { 0, 0 };
    char text[96];
    ssize_t size = -1;
    int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    char *second;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    *ran = time.tv_sec * TN_SECOND + time.tv_nsec;
    *waited = 0; /* a kernel without schedstat: nothing is known */
    if (fd >= 0) {
        size = read(fd, text, sizeof(text) - 1);
        (void)close(fd);
    }
    if (size <= 0)
        return;
    text[size] = 0;
    second = strchr(text, ' ');
    if (second)
        *waited = strtoll(second, NULL, 10);
}

/* A new slice to be filled.  False without memory. */
static bool new_slice(struct worker *worker, unsigned number, int64_t from)
{
    struct slice *slice = calloc(1, sizeof(*slice));

    if (!slice)
        return false;
    slice->run = worker->run;
    slice->worker = worker->number;
    slice->number = number;
    slice->from = from;
    if (worker->plan->mode->has_latency &&
        (!histogram_init(&slice->raw) || !histogram_init(&slice->corrected))) {
        slice_free(slice);
        return false;
    }
    worker->slice = slice;
    return true;
}

void slice_free(struct slice *slice)
{
    histogram_release(&slice->raw);
    histogram_release(&slice->corrected);
    free(slice);
}

/* The end of the slice: everything in it that is measured at a point in time. */
static void stamp_slice(struct worker *worker)
{
    struct slice *slice = worker->slice;
    int64_t ran, waited;

    slice->to = tn_now();
    read_cpu(&ran, &waited);
    slice->ran = ran - worker->ran;
    slice->waited = waited - worker->waited;
    worker->ran = ran;
    worker->waited = waited;
    if (worker->plan->writes && worker->plan->block) {
        uint64_t acked = lanes_acked(worker);
        slice->out = acked - worker->acked;
        worker->acked = acked;
    }
}

/* Something of ours failed with ERR, which is told unless something else was first. */
static void fail(struct worker *worker, tn_err err)
{
    struct failure *failure = &worker->failure;

    if (failure->code)
        return;
    failure->code = EXIT_OTHER;
    (void)snprintf(failure->what, sizeof(failure->what), "bench");
    (void)tn_err_text(err, failure->why, sizeof(failure->why));
}

/* Cut the time into slices, until it is over or something has happened. */
static void keep_time(struct worker *worker)
{
    int64_t length = worker->plan->slice;
    struct slice *full;

    for (unsigned number = 0;; number++) {
        int64_t boundary = worker->began + (number + 1) * length;

        if (tn_failed(tn_sleep(tn_in(boundary - tn_now()))))
            return;
        stamp_slice(worker);
        if (boundary >= worker->ends || worker->failure.code || run_stopping(worker->run))
            return;
        full = worker->slice;
        if (!new_slice(worker, number + 1, tn_now())) {
            fail(worker, tn_err_errno(ENOMEM)); /* the lanes go on with the full one */
            return;
        }
        run_slice(full);
    }
}

/* No new questions; let the open ones be answered, within the grace. */
static void finish_lanes(struct worker *worker)
{
    const struct mode *mode = worker->plan->mode;
    tn_err err;

    worker->stop = true;
    worker->ends = tn_now(); /* earlier than planned, when it was stopped */
    for (unsigned i = 0; mode->stop && i < worker->lane_count; i++)
        mode->stop(&worker->lanes[i]);
    if (worker->failure.code)
        tn_group_cancel(worker->group);
    err = tn_group_wait(worker->group, tn_in(worker->plan->grace));
    if (err.kind == TN_DEADLINE)
        lanes_count_unanswered(worker);
    tn_group_close(&worker->group);
}

static void measure(struct worker *worker)
{
    tn_err err = tn_ok();

    if (!new_slice(worker, 0, worker->began)) {
        fail(worker, tn_err_errno(ENOMEM));
        return;
    }
    read_cpu(&worker->ran, &worker->waited);
    for (unsigned i = 0; i < worker->lane_count && !tn_failed(err); i++)
        err = tn_go(worker->group, lane_task, &worker->lanes[i], NULL, NULL);
    if (tn_failed(err))
        fail(worker, err);
    keep_time(worker);
    finish_lanes(worker);
    worker->slice->last = true;
    run_slice(worker->slice);
    worker->slice = NULL;
}

void worker_begin(struct worker *worker)
{
    if (worker->begin) /* else it has failed, and waits for nothing */
        tn_ignore(tn_chan_send(worker->begin, NULL, TN_NOW)); /* it has room for one */
}

static tn_err open_all(struct worker *worker)
{
    tn_err err;

    /* Timers to the microsecond instead of the 50 that threads get (prctl(2)). */
    (void)prctl(PR_SET_TIMERSLACK, 1);
    worker->lanes = calloc(worker->lane_count, sizeof(worker->lanes[0]));
    if (!worker->lanes)
        return tn_err_errno(ENOMEM);
    for (unsigned i = 0; i < worker->lane_count; i++) {
        worker->lanes[i].worker = worker;
        worker->lanes[i].number = worker->lane_first + i;
    }
    err = tn_group_open(&worker->group, TN_GROUP_ALL_OR_NONE);
    if (!tn_failed(err))
        err = tn_chan_open(&worker->begin, 0, 1);
    return err;
}

/* After whatever came: connections that had no start, or failed, are reset. */
static void close_all(struct worker *worker)
{
    tn_group_close(&worker->group);
    for (unsigned i = 0; worker->lanes && i < worker->lane_count; i++)
        tn_abort(&worker->lanes[i].conn);
    tn_chan_close(&worker->begin);
    free(worker->lanes);
    worker->lanes = NULL;
}

tn_err worker_task(void *arg)
{
    struct worker *worker = arg;
    const struct plan *plan = worker->plan;
    struct tn_loop_facts facts;
    tn_err err = open_all(worker);

    tn_loop_facts(NULL, &facts);
    worker->driver = facts.driver;
    if (!tn_failed(err) && plan->mode->keeps)
        err = connect_all(worker);
    if (tn_failed(err))
        fail(worker, err);
    run_worker_ready(worker);
    /* Without memory for the channel there is a failure, and nobody will start anything. */
    if (worker->begin && !tn_failed(tn_chan_receive(worker->begin, NULL, TN_NEVER)) &&
        worker->began) {
        worker->ends = worker->began + plan->warmup + plan->duration;
        measure(worker);
    }
    close_all(worker);
    run_worker_done(worker);
    return tn_ok();
}
