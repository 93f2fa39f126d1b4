/* SPDX-License-Identifier: MIT */
/*
 * lanes.h -- the connections of a worker, all together.
 */
#ifndef TENON_CLI_BENCH_LANES_H
#define TENON_CLI_BENCH_LANES_H

#include "worker.h"

/*
 * lane_connect -- connect LANE, and have a tenon serve bench be what the plan needs.  The
 * worker's failure tells what went wrong.  Errors: as tn_dial_addr, TN_PROTOCOL.
 */
TN_MUST tn_err lane_connect(struct lane *lane);

/* lane_task -- what a lane, ARG, does in the time, and its end. */
tn_err lane_task(void *arg);

/* lanes_acked -- bytes written by all lanes of WORKER and acknowledged by the peer. */
uint64_t lanes_acked(const struct worker *worker);

/* lanes_count_unanswered -- count the questions still open, and the streams not yet over. */
void lanes_count_unanswered(struct worker *worker);

#endif
