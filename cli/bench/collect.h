/* SPDX-License-Identifier: MIT */
/*
 * collect.h -- from slices of workers to a result: sums, intervals, rows for the charts.
 */
#ifndef TENON_CLI_BENCH_COLLECT_H
#define TENON_CLI_BENCH_COLLECT_H

#include "run.h"

/* The slices of one worker that wait for those of the others. */
struct queue {
    struct slice *first, **end;
};

struct collector {
    const struct plan *plan;
    const struct watcher *watcher; /* NULL: nobody watches */
    FILE *hlog;                    /* NULL: none */
    struct result *result;
    struct queue *queues;
    int64_t began;                   /* of the measured time; 0: not yet */
    unsigned taken;                  /* slices taken in, the warm-up's too */
    double *busy_ns, *starved_ns;    /* of each worker */
    struct histogram raw, corrected; /* of the current interval */
    struct figure_parts parts;       /* likewise */
    int64_t interval_from, interval_to;
    bool broken; /* no memory */
};

/* collector_open -- COLLECTOR, all zero before, for RESULT.  False without memory. */
bool collector_open(struct collector *collector, const struct plan *plan,
                    struct result *result);

/* collector_take -- take SLICE, which is the collector's from then on. */
void collector_take(struct collector *collector, struct slice *slice);

/* collector_finish -- all slices have been taken: make the figures of the result. */
void collector_finish(struct collector *collector);

/* collector_close -- free what it holds; one that is all zero is fine. */
void collector_close(struct collector *collector);

#endif
