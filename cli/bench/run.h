/* SPDX-License-Identifier: MIT */
/*
 * run.h -- one run: its workers, and what they bring together.
 */
#ifndef TENON_CLI_BENCH_RUN_H
#define TENON_CLI_BENCH_RUN_H

#include <stdio.h>

#include "figures.h"
#include "worker.h"

/* One slice of time, of all workers, for the charts: latencies in steps of an eighth of a
 * doubling from 1 us on. */
#define ROW_STEPS 192

struct row {
    double seconds; /* of its end, since the measured time began */
    struct figures figures;
    uint32_t steps[ROW_STEPS]; /* corrected latencies */
};

struct result {
    struct figures figures;    /* of the whole measured time */
    struct figures *intervals; /* of each interval */
    size_t interval_count;
    struct row *rows;
    size_t row_count;
    struct histogram raw, corrected;
    uint64_t done, in, out;
    int64_t length, ran;  /* measured time; processor time of all workers */
    double busy, starved; /* shares of the time: the busiest worker ran; waited */
    struct doubts doubts;
    struct failure failure; /* code 0: none, and the figures count */
    bool interrupted;
    const char *driver;
    char addr[TN_ADDR_TEXT]; /* to which we connected */
};

/* What is told while it runs. */
struct watcher {
    void (*begun)(const struct plan *plan, const struct result *result);
    /* After each interval, which has the FIGURES; seconds since the start. */
    void (*interval)(const struct plan *plan, const struct figures *figures, double from,
                     double to);
};

/*
 * run_plan -- do what PLAN says; RESULT is always written, and to be released.  HLOG gets
 * a line an interval unless it is NULL.  Returns 0, or an exit code after a complaint.
 */
int run_plan(const struct plan *plan, const struct watcher *watcher, FILE *hlog,
             struct result *result);

/* result_release -- free its memory; one that is all zero is fine. */
void result_release(struct result *result);

/* ---- for the workers ---- */

/* run_slice -- hand SLICE over; it is the run's from then on. */
void run_slice(struct slice *slice);
/* slice_free -- free one. */
void slice_free(struct slice *slice);
/* run_worker_ready -- WORKER is connected, or has failed. */
void run_worker_ready(struct worker *worker);
/* run_worker_done -- WORKER is over, and the main loop's. */
void run_worker_done(struct worker *worker);
/* run_stopping -- whether to end before the time is over. */
bool run_stopping(const struct run *run);

#endif
