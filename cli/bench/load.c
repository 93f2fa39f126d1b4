/* SPDX-License-Identifier: MIT */
/*
 * load.c -- questions by a schedule, whether or not the server keeps up.
 *
 * Every connection has its own points in time, evenly spread, so that all together keep
 * the rate.  One question is open on each; when an answer is late the next one is sent
 * late, but its latency counts from the point at which it should have been sent.  So a
 * server that stops is seen by everybody who would have asked meanwhile.  What was due and
 * could not even be sent until the end is counted with the time it has waited.
 */
#include "worker.h"

/* A lane's rest that nobody waits for: more are not added up one by one. */
#define OWED_MOST 1000000

/* The points in time that have passed without a question. */
static void record_owed(struct lane *lane, uint64_t number)
{
    struct worker *worker = lane->worker;
    int64_t now = tn_now();

    for (unsigned i = 0; i < OWED_MOST; i++) {
        int64_t moment = lane_schedule(lane, number + i);

        if (moment >= worker->ends)
            return;
        histogram_add(&worker->slice->corrected, now - moment, 1);
    }
}

tn_err load_run(struct lane *lane)
{
    struct worker *worker = lane->worker;
    uint64_t number = 0;

    for (;; number++) {
        int64_t moment = lane_schedule(lane, number);
        tn_err err;

        if (moment >= worker->ends || worker->stop)
            break;
        err = lane_wait(lane, moment);
        if (tn_failed(err) || worker->stop)
            break;
        lane->asked = moment;
        lane->sent = tn_now();
        err = lane_ask(lane);
        if (tn_failed(err))
            return err;
        lane_record(lane, moment, lane->sent, tn_now());
        lane->asked = 0;
    }
    record_owed(lane, number);
    return tn_ok();
}
