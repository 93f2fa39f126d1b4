/* SPDX-License-Identifier: MIT */
/*
 * cps.c -- connections a second: connect, ask once if there is a question, close.
 *
 * The time that is recorded is that of connecting, and of the answer where one is asked
 * for.  Closing comes after it, in order (or by --reset), and is part of the rate.  We
 * close first, so the port stays ours for a while (TIME_WAIT); when no port is left, that
 * is our limit and not the server's: it is counted, and the attempt begins anew.
 */
#include <errno.h>

#include "worker.h"

#define PORT_PAUSE  (5 * TN_MS)
#define CLOSE_LIMIT (5 * TN_SECOND)

/* Connect, waiting for a port of ours if none is free; *SENT is when it went through. */
static tn_err dial_with_port(struct lane *lane, int64_t *sent)
{
    struct doubts *doubts = &lane->worker->doubts;

    for (;;) {
        tn_err err;

        *sent = tn_now();
        err = lane_dial(lane);
        if (err.code != EADDRNOTAVAIL || err.domain != TN_DOMAIN_ERRNO ||
            lane->worker->stop)
            return err;
        doubts->port_waits++;
        err = tn_sleep(tn_in(PORT_PAUSE));
        doubts->port_wait_ns += tn_now() - *sent;
        if (tn_failed(err))
            return err;
    }
}

static tn_err close_it(struct lane *lane)
{
    tn_ending ending;
    tn_err err;

    if (lane->worker->plan->settings->reset) {
        tn_abort(&lane->conn);
        return tn_ok();
    }
    err = tn_close(&lane->conn, &ending, tn_in(CLOSE_LIMIT));
    /* Its greeting is nothing we asked for: that we reset it then is no failure. */
    if (ending.how == TN_UNREAD || ending.how == TN_ACKED)
        return tn_ok();
    return err;
}

/* One connection, from the moment ASKED on (0: now). */
static tn_err one_connection(struct lane *lane, int64_t asked)
{
    int64_t sent;
    tn_err err = dial_with_port(lane, &sent);

    if (tn_failed(err))
        return lane->worker->stop ? err : lane_fail(lane, err, "connect");
    lane->asked = asked ? asked : sent;
    if (lane->worker->plan->exchange.request) {
        err = lane_ask(lane);
        if (tn_failed(err))
            return err;
    }
    lane_record(lane, lane->asked, sent, tn_now());
    lane->asked = 0;
    err = close_it(lane);
    return tn_failed(err) && !lane->worker->stop ? lane_fail(lane, err, "close")
                                                 : tn_ok();
}

tn_err cps_run(struct lane *lane)
{
    struct worker *worker = lane->worker;
    tn_err err = tn_ok();

    for (uint64_t number = 0; !worker->stop && !tn_failed(err); number++) {
        int64_t moment = worker->plan->rate ? lane_schedule(lane, number) : 0;

        if (moment >= worker->ends || (moment && tn_failed(lane_wait(lane, moment))))
            break;
        if (!worker->stop)
            err = one_connection(lane, moment);
    }
    return worker->stop && !worker->failure.code ? tn_ok() : err;
}
