/* SPDX-License-Identifier: MIT */
/*
 * plan.h -- what one run of `tenon bench` is to do.
 *
 * Made of the command line by bench_plan_make, constant from then on, and read by all threads.
 */
#ifndef TENON_CLI_BENCH_PLAN_H
#define TENON_CLI_BENCH_PLAN_H

#include <tenon.h>

#include "exchange.h"
#include "options.h"
#include "where.h"

/* Threads more than this are a mistake. */
#define THREADS_MOST 64

/* How long unanswered questions are waited for after the end, if --idle-timeout is not given. */
#define GRACE (5 * TN_SECOND)

struct lane;

/* A way of measuring: one row of a table in plan.c. */
struct mode {
    const char *name;
    const char *unit;     /* what is counted: "requests" */
    const char *hello;    /* what a tenon serve bench is asked to be; NULL: nothing */
    unsigned connections; /* unless -c says */
    bool keeps;           /* the connections are made before the time begins */
    bool has_latency;     /* lengths of time are recorded */
    tn_err (*run)(struct lane *lane); /* one connection's part, until it is over */
    void (*stop)(struct lane *lane);  /* the time is over; NULL: the lane looks itself */
};

struct plan {
    const struct settings *settings;
    const struct mode *mode;
    struct where where;
    const char *hello; /* mode->hello, or what --both and --reverse make of it */
    unsigned connections, threads;
    int64_t rate; /* a second, over all connections; 0: as fast as answers come */
    int64_t duration, warmup, grace;
    int64_t interval, slice; /* what is told, in pieces of what is collected */
    bool reads, writes;      /* tput: which ways */
    struct exchange exchange;
    char *block; /* tput: what is written */
    size_t block_size;
};

/* bench_plan_make -- from SETTINGS.  Returns 0, or an exit code after a complaint. */
int bench_plan_make(struct plan *plan, struct settings *settings);

/* bench_plan_release -- free what it holds. */
void bench_plan_release(struct plan *plan);

/* The modes, one file each. */
tn_err rr_run(struct lane *lane);
tn_err load_run(struct lane *lane);
tn_err tput_run(struct lane *lane);
void tput_stop(struct lane *lane);
tn_err cps_run(struct lane *lane);

#endif
