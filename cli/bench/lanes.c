/* SPDX-License-Identifier: MIT */
/*
 * lanes.c -- one connection: its making, its questions, its end, and what can go wrong.
 *
 * Always true: the first failure of a worker is the one that is told; what follows from it
 * (canceled lanes) is not.
 */
#include "lanes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dialing.h"
#include "peer.h"
#include "progress.h"
#include "report.h"
#include "run.h"

/* A peer that does not end after us is left alone after this. */
#define CLOSE_LIMIT TN_SECOND

/* A lane that waits for its moment looks so often whether it is over. */
#define LOOK_EVERY (200 * TN_MS)

/* Being later than this with a question is worth telling. */
#define LATE TN_MS

/* ---- what went wrong, in words ---- */

static void describe_wrong(struct lane *lane, struct failure *failure, const char *what)
{
    char got[GOT_MOST * 4 + 3];

    failure->code = EXIT_THRESHOLD;
    if (!lane->answer.wrong)
        (void)snprintf(failure->why, sizeof(failure->why),
                       "connection %u: the peer's %s is wrong", lane->number + 1, what);
    else
        (void)snprintf(
            failure->why, sizeof(failure->why),
            "answer %" PRIu64 " of connection %u is wrong at byte %zu: %s",
            lane->answers + 1, lane->number + 1, lane->answer.wrong_at,
            exchange_show(lane->answer.got, lane->answer.got_size, got, sizeof(got)));
}

static void describe_connect(const struct lane *lane, struct failure *failure, tn_err err)
{
    const struct plan *plan = lane->worker->plan;
    char why[160];

    failure->code = dialing_code(err, plan->settings, &plan->where, why, sizeof(why));
    (void)snprintf(failure->what, sizeof(failure->what), "connect");
    if (err.kind == TN_DEADLINE)
        (void)snprintf(why, sizeof(why), "no answer within the --connect-timeout");
    (void)snprintf(failure->why, sizeof(failure->why), "%s (connection %u of %u)", why,
                   lane->number + 1, plan->connections);
    if (err.domain != TN_DOMAIN_ERRNO)
        return;
    if (err.code == EMFILE)
        (void)snprintf(failure->hint, sizeof(failure->hint),
                       "raise the limit of open files: ulimit -Hn");
    else if (err.kind == TN_LIMIT && err.code == EADDRNOTAVAIL)
        (void)snprintf(failure->hint, sizeof(failure->hint),
                       "all local ports are taken: see net.ipv4.ip_local_port_range");
}

static void describe_cut(const struct lane *lane, struct failure *failure, tn_err err,
                         const char *what)
{
    const struct plan *plan = lane->worker->plan;
    char how[120];

    failure->code = err.kind == TN_DEADLINE ? EXIT_LATE : EXIT_CUT;
    if (err.kind == TN_EOF)
        (void)snprintf(how, sizeof(how), "closed by the peer");
    else
        (void)tn_err_text(err, how, sizeof(how));
    if (!plan->exchange.request)
        (void)snprintf(failure->why, sizeof(failure->why),
                       "connection %u: %s (%s), after %" PRIu64 " bytes sent and %" PRIu64
                       " received",
                       lane->number + 1, how, what, lane->out, lane->in);
    else
        (void)snprintf(failure->why, sizeof(failure->why),
                       "connection %u: %s after %" PRIu64
                       " answers and %zu bytes of the next one",
                       lane->number + 1, how, lane->answers, lane->answer.seen);
}

tn_err lane_fail(struct lane *lane, tn_err err, const char *what)
{
    struct failure *failure = &lane->worker->failure;

    if (failure->code || err.kind == TN_CANCELED)
        return err;
    (void)snprintf(failure->what, sizeof(failure->what), "bench %s",
                   lane->worker->plan->mode->name);
    if (err.kind == TN_PROTOCOL)
        describe_wrong(lane, failure, what);
    else if (strcmp(what, "connect") == 0)
        describe_connect(lane, failure, err);
    else
        describe_cut(lane, failure, err, what);
    return err;
}

/* ---- connecting ---- */

tn_err lane_dial(struct lane *lane)
{
    const struct plan *plan = lane->worker->plan;
    char source[120];
    struct tn_conn_options options = conn_options(plan->settings, source, sizeof(source));

    return tn_dial_addr(&lane->conn, &lane->worker->addr, &options,
                        tn_in(plan->settings->connect_timeout));
}

/* The greeting got LINE, or ERR. */
static tn_err refuse_greeting(struct lane *lane, tn_err err, const char *line,
                              size_t size)
{
    struct failure *failure = &lane->worker->failure;
    char got[120];

    if (failure->code || err.kind == TN_CANCELED)
        return err;
    (void)snprintf(failure->what, sizeof(failure->what), "bench %s",
                   lane->worker->plan->mode->name);
    (void)snprintf(
        failure->hint, sizeof(failure->hint),
        "--send and --expect ask what it understands; --plain takes an echo or "
        "discard service");
    failure->code = EXIT_CUT;
    if (err.kind == TN_DEADLINE)
        failure->code = EXIT_LATE;
    else if (!tn_failed(err))
        failure->code = EXIT_THRESHOLD;
    if (size > 0)
        (void)snprintf(failure->why, sizeof(failure->why),
                       "is no tenon serve bench: it answered %s",
                       exchange_show(line, size, got, sizeof(got)));
    else
        (void)snprintf(failure->why, sizeof(failure->why),
                       "is no tenon serve bench: it did not answer our greeting");
    return tn_failed(err) ? err : tn_err_user(TN_PROTOCOL, 0);
}

static tn_err greet(struct lane *lane)
{
    const struct plan *plan = lane->worker->plan;
    tn_deadline deadline = tn_in(plan->settings->connect_timeout);
    char line[BENCH_LINE_MOST];
    size_t size = 0;
    tn_err err;

    (void)snprintf(line, sizeof(line), BENCH_LINE "%s\n", plan->hello);
    err = tn_write(lane->conn, line, strlen(line), NULL, deadline);
    if (!tn_failed(err))
        err = tn_read_until(lane->conn, line, sizeof(line), '\n', &size, deadline);
    if (!tn_failed(err) && size == strlen(BENCH_LINE "ok\n") &&
        memcmp(line, BENCH_LINE "ok\n", size) == 0)
        return tn_ok();
    return refuse_greeting(lane, err, line, size);
}

tn_err lane_connect(struct lane *lane)
{
    tn_err err = lane_dial(lane);

    if (tn_failed(err))
        return lane_fail(lane, err, "connect");
    return lane->worker->plan->hello ? greet(lane) : tn_ok();
}

/* ---- asking ---- */

tn_err lane_ask(struct lane *lane)
{
    struct worker *worker = lane->worker;
    const struct exchange *exchange = &worker->plan->exchange;
    tn_err err;

    lane->answer.seen = 0;
    err = tn_write(lane->conn, exchange->request, exchange->request_size, NULL, TN_NEVER);
    if (!tn_failed(err))
        err = exchange_answer(exchange, lane->conn, &lane->answer, TN_NEVER);
    if (tn_failed(err))
        return lane_fail(lane, err, "answer");
    lane->answers++;
    worker->slice->out += exchange->request_size;
    worker->slice->in += lane->answer.seen;
    return tn_ok();
}

int64_t lane_schedule(const struct lane *lane, uint64_t number)
{
    const struct plan *plan = lane->worker->plan;
    uint64_t rate = (uint64_t)plan->rate;
    uint64_t place = lane->number + number * plan->connections; /* among all */

    return lane->worker->began + (int64_t)(place / rate) * TN_SECOND +
           (int64_t)(place % rate * (uint64_t)TN_SECOND / rate);
}

tn_err lane_wait(struct lane *lane, int64_t moment)
{
    struct doubts *doubts = &lane->worker->doubts;
    int64_t left = moment - tn_now(), late;
    tn_err err = tn_ok();

    if (left <= 0)
        return err; /* the answer before it came late */
    for (; left > 0 && !tn_failed(err) && !lane->worker->stop; left = moment - tn_now())
        err = tn_sleep(tn_in(left < LOOK_EVERY ? left : LOOK_EVERY));
    late = -left;
    if (late > LATE)
        doubts->late++;
    if (late > doubts->late_most)
        doubts->late_most = late;
    return err;
}

/* ---- the end ---- */

uint64_t lanes_acked(const struct worker *worker)
{
    uint64_t acked = 0;

    for (unsigned i = 0; i < worker->lane_count; i++) {
        const struct lane *lane = &worker->lanes[i];
        struct tn_conn_facts facts;

        if (!lane->conn)
            continue;
        tn_conn_facts(lane->conn, &facts);
        acked += facts.written - facts.unacked;
    }
    return acked;
}

void lanes_count_unanswered(struct worker *worker)
{
    for (unsigned i = 0; i < worker->lane_count; i++) {
        const struct lane *lane = &worker->lanes[i];

        if (lane->asked || (worker->plan->block && !lane->over))
            worker->doubts.unanswered++;
    }
}

static void add_facts(struct lane *lane)
{
    struct doubts *doubts = &lane->worker->doubts;
    struct tn_conn_facts facts;

    tn_conn_facts(lane->conn, &facts);
    doubts->retransmits += facts.retransmits;
    doubts->busy_us += facts.busy_us;
    doubts->rwnd_limited_us += facts.rwnd_limited_us;
    doubts->sndbuf_limited_us += facts.sndbuf_limited_us;
}

tn_err lane_task(void *arg)
{
    struct lane *lane = arg;
    const struct plan *plan = lane->worker->plan;
    tn_err err = plan->mode->run(lane);

    lane->over = true;
    if (!tn_failed(err) && lane->conn) {
        add_facts(lane);
        if (plan->reads && !plan->hello)
            tn_abort(&lane->conn); /* a plain source would send on and on */
        /* What it still sends, and how it ends, is no part of the measurement. */
        tn_ignore(tn_close_discard(&lane->conn, NULL, tn_in(CLOSE_LIMIT)));
    }
    tn_abort(&lane->conn);
    return err;
}
