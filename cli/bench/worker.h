/* SPDX-License-Identifier: MIT */
/*
 * worker.h -- a thread of the measurement: its connections, and what they count.
 *
 * Each worker has a loop of its own and shares nothing while it measures: what it has
 * counted leaves in slices, each handed over whole to the main loop (tn_post).
 */
#ifndef TENON_CLI_BENCH_WORKER_H
#define TENON_CLI_BENCH_WORKER_H

#include <stdatomic.h>
#include <tenon.h>

#include "histogram.h"
#include "plan.h"

struct run;
struct worker;

/* What one worker has counted in one piece of the time. */
struct slice {
    struct run *run;
    struct slice *next;
    unsigned worker, number;
    bool last;
    int64_t from, to;           /* tn_now */
    uint64_t done;              /* answers, or connections */
    uint64_t in, out;           /* bytes; out: acknowledged ones */
    int64_t ran, waited;        /* of this thread: on a core; wanting one (schedstat) */
    struct histogram raw;       /* from the moment it was sent */
    struct histogram corrected; /* from the moment it should have been */
};

/* What came of a worker, besides its slices. */
struct doubts {
    uint64_t unanswered;       /* asked, and no answer within the grace */
    uint64_t late, port_waits; /* questions sent over 1 ms late by us; no local port */
    int64_t late_most, port_wait_ns;
    uint64_t retransmits, busy_us, rwnd_limited_us, sndbuf_limited_us; /* TCP_INFO */
};

/* Why it failed: an exit code, and a sentence. */
struct failure {
    int code;
    char what[16], why[300], hint[120];
};

/* One connection. */
struct lane {
    struct worker *worker;
    struct tn_conn *conn;
    unsigned number;  /* among all */
    int64_t asked;    /* when the question should have been sent; 0: none is open */
    int64_t sent;     /* when it was */
    uint64_t answers; /* right ones */
    bool over;        /* its part in the measurement */
    uint64_t in, out; /* tput: bytes read, taken by our kernel */
    struct answer answer;
};

struct worker {
    const struct plan *plan;
    struct run *run;
    struct tn_loop *loop;
    unsigned number, lane_first, lane_count; /* lane_first: among those of all workers */
    struct lane *lanes;
    int64_t began, ends; /* tn_now: of the time, warm-up included */
    bool stop;           /* no new questions */
    struct slice *slice; /* being filled */
    uint64_t acked;      /* tput: bytes acknowledged up to the last slice */
    int64_t ran, waited;
    struct doubts doubts;
    struct failure failure;
    struct tn_group *group;
    struct tn_chan *begin;
    tn_addr addr;
    const char *driver;
};

/* worker_task -- a worker's whole life; ARG is the worker.  To be posted to its loop. */
tn_err worker_task(void *arg);

/*
 * worker_begin -- tell WORKER, in its own loop, that the time has begun (worker->began), or
 * with a 0 there that it will not.
 */
void worker_begin(struct worker *worker);

/* lane_dial -- connect LANE.  Errors: as tn_dial_addr. */
TN_MUST tn_err lane_dial(struct lane *lane);

/*
 * lane_ask -- send the question of LANE's plan and read its answer.  LANE tells when it
 * was sent.  Errors: those of the connection, and TN_PROTOCOL for a wrong answer.
 */
TN_MUST tn_err lane_ask(struct lane *lane);

/* lane_record -- count one that should have begun at ASKED, began at SENT and ends NOW. */
static inline void lane_record(struct lane *lane, int64_t asked, int64_t sent,
                               int64_t now)
{
    struct slice *slice = lane->worker->slice;

    slice->done++;
    histogram_add(&slice->raw, now - sent, 1);
    if (lane->worker->plan->rate) /* else it is corrected afterwards, in collect.c */
        histogram_add(&slice->corrected, now - asked, 1);
}

/*
 * lane_schedule -- when LANE's question NUMBER (from 0) is to be sent, by the rate.
 */
int64_t lane_schedule(const struct lane *lane, uint64_t number);

/*
 * lane_wait -- park until that moment, or return at once if it has passed; a late
 * awakening is counted as ours.  Errors: TN_CANCELED.
 */
TN_MUST tn_err lane_wait(struct lane *lane, int64_t moment);

/*
 * lane_fail -- note why LANE failed with ERR in the middle of WHAT ("answer", say); the
 * first failure of a worker is told, and ends the run.  Returns ERR.
 */
TN_MUST tn_err lane_fail(struct lane *lane, tn_err err, const char *what);

#endif
