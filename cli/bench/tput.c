/* SPDX-License-Identifier: MIT */
/*
 * tput.c -- bulk: one way, the other way, or both at once, on each connection.
 *
 * What counts as sent is what the peer's host has acknowledged: our own buffer can hold
 * megabytes.  At the end a tenon serve bench says how many bytes its program has read,
 * and that must be all of them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"
#include "worker.h"

/* A reader beside a writer. */
struct reading {
    struct lane *lane;
    tn_err err; /* TN_EOF when the peer has ended */
};

static tn_err read_all_of_it(struct lane *lane)
{
    const void *data;
    size_t size;

    for (;;) {
        tn_err err = tn_read_lease(lane->conn, &data, &size, TN_NEVER);

        if (tn_failed(err))
            return err;
        lane->in += size;
        if (!lane->worker->stop) /* what comes after the time is no figure */
            lane->worker->slice->in += size;
        tn_return(lane->conn);
        if (lane->worker->stop && !lane->worker->plan->hello)
            return tn_ok(); /* a plain source does not stop for us */
    }
}

static tn_err reading_task(void *arg)
{
    struct reading *reading = arg;

    reading->err = read_all_of_it(reading->lane);
    if (reading->err.kind == TN_EOF && !reading->lane->worker->stop)
        return lane_fail(reading->lane, reading->err, "read");
    return tn_ok();
}

static tn_err write_until_stop(struct lane *lane)
{
    size_t size = lane->worker->plan->block_size, done;
    const char *block = lane->worker->plan->block;
    tn_err err = tn_ok();

    while (!lane->worker->stop && !tn_failed(err)) {
        err = tn_write(lane->conn, block, size, &done, TN_NEVER);
        lane->out += done;
    }
    return err;
}

/* The peer's own count, after our end. */
static tn_err read_receipt(struct lane *lane)
{
    char line[BENCH_LINE_MOST + 1] = "", *number;
    size_t size;
    tn_err err = tn_read_until(lane->conn, line, BENCH_LINE_MOST, '\n', &size, TN_NEVER);

    if (tn_failed(err))
        return lane_fail(lane, err, "receipt");
    number = line + strlen(BENCH_LINE "got ");
    if (strncmp(line, BENCH_LINE "got ", strlen(BENCH_LINE "got ")) == 0 &&
        strtoull(number, NULL, 10) == lane->out)
        return tn_ok();
    line[size - 1] = 0;
    if (!lane->worker->failure.code)
        (void)snprintf(lane->worker->failure.hint, sizeof(lane->worker->failure.hint),
                       "sent %" PRIu64 " bytes, and the peer says: %s", lane->out, line);
    return lane_fail(lane, tn_err_user(TN_PROTOCOL, 0), "receipt");
}

/* Our end, and what the peer makes of it. */
static tn_err finish_writing(struct lane *lane)
{
    const struct plan *plan = lane->worker->plan;
    tn_err err = tn_end(lane->conn);

    if (tn_failed(err))
        return lane_fail(lane, err, "end");
    return plan->hello && !plan->reads ? read_receipt(lane) : tn_ok();
}

/* Reading only: tput_stop has sent our end, and the source stops then. */
static tn_err only_read(struct lane *lane)
{
    tn_err err = read_all_of_it(lane);

    if (!tn_failed(err) || (err.kind == TN_EOF && lane->worker->stop))
        return tn_ok();
    return lane_fail(lane, err, "read");
}

void tput_stop(struct lane *lane)
{
    const struct plan *plan = lane->worker->plan;

    if (lane->conn && plan->hello && !plan->writes)
        tn_ignore(tn_end(lane->conn)); /* if it is dead, the reader finds out */
}

tn_err tput_run(struct lane *lane)
{
    const struct plan *plan = lane->worker->plan;
    struct reading reading = { .lane = lane };
    struct tn_task *reader = NULL;
    tn_err err;

    if (!plan->writes)
        return only_read(lane);
    if (plan->reads) {
        err = tn_go(lane->worker->group, reading_task, &reading, NULL, &reader);
        if (tn_failed(err))
            return lane_fail(lane, err, "start");
    }
    err = write_until_stop(lane);
    err = tn_failed(err) ? lane_fail(lane, err, "write") : finish_writing(lane);
    if (reader && tn_failed(err))
        tn_cancel(reader);
    tn_ignore(tn_join(&reader, NULL, tn_shielded(INT64_MAX))); /* canceled, or it ends */
    if (!tn_failed(err) && plan->reads && reading.err.kind != TN_EOF && plan->hello)
        err = lane_fail(lane, reading.err, "read");
    return err;
}
