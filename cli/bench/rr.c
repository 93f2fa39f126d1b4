/* SPDX-License-Identifier: MIT */
/*
 * rr.c -- request and response: the next question is sent when the answer has come.
 *
 * Such a client asks less while the server is slow, and so sees little of it.  What it
 * would have seen is added where slices are taken in (collect.c).
 */
#include "worker.h"

tn_err rr_run(struct lane *lane)
{
    struct worker *worker = lane->worker;

    while (!worker->stop) {
        int64_t sent = tn_now();
        tn_err err;

        lane->asked = sent;
        err = lane_ask(lane);
        if (tn_failed(err))
            return err;
        lane_record(lane, sent, sent, tn_now());
        lane->asked = 0;
    }
    return tn_ok();
}
