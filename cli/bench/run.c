/* SPDX-License-Identifier: MIT */
/*
 * run.c -- one run: workers in threads of their own, and the main loop, which collects.
 *
 * All workers connect, then all begin at the same moment.  Their slices come in as posts
 * and go to the collector.
 *
 * Always true: only the main loop touches the run, but for `stopping`.
 */
#include "run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collect.h"
#include "dialing.h"
#include "interrupt.h"
#include "local.h"

struct run {
    const struct plan *plan;
    const struct watcher *watcher;
    struct result *result;
    struct collector collector;
    struct tn_loop *loop;
    struct worker *workers;
    struct tn_chan *news; /* a worker is ready, or done */
    unsigned opened, ready, done;
    tn_addr addr;
    atomic_bool stopping;
};

bool run_stopping(const struct run *run)
{
    return atomic_load(&run->stopping);
}

static tn_err slice_task(void *arg)
{
    struct slice *slice = arg;
    struct run *run = slice->run;

    collector_take(&run->collector, slice);
    if (run->collector.broken)
        atomic_store(&run->stopping, true);
    return tn_ok();
}

/* Post FN(ARG) to LOOP; without memory for it, a little later. */
static void post_surely(struct tn_loop *loop, tn_task_fn *fn, void *arg)
{
    while (tn_failed(tn_post(loop, fn, arg, NULL)))
        tn_ignore(tn_sleep(tn_shielded(10 * TN_MS))); /* nothing cuts it short */
}

void run_slice(struct slice *slice)
{
    struct run *run = slice->run;

    post_surely(run->loop, slice_task, slice);
}

/* ---- the workers ---- */

static tn_err ready_task(void *arg)
{
    struct worker *worker = arg;

    worker->run->ready++;
    return tn_chan_send(worker->run->news, NULL, TN_NOW); /* it has room for all */
}

static tn_err done_task(void *arg)
{
    struct worker *worker = arg;

    worker->run->done++;
    if (worker->failure.code)
        atomic_store(&worker->run->stopping, true); /* the others need not go on */
    return tn_chan_send(worker->run->news, NULL, TN_NOW);
}

void run_worker_ready(struct worker *worker)
{
    post_surely(worker->run->loop, ready_task, worker);
}

void run_worker_done(struct worker *worker)
{
    post_surely(worker->run->loop, done_task, worker);
}

static tn_err begin_task(void *arg)
{
    worker_begin(arg);
    return tn_ok();
}

/* Start all workers at AT; at 0 they end without having begun. */
static void begin_all(struct run *run, int64_t at)
{
    for (unsigned i = 0; i < run->opened; i++) {
        run->workers[i].began = at; /* it waits, and does not look before the post */
        post_surely(run->workers[i].loop, begin_task, &run->workers[i]);
    }
}

static tn_err open_worker(struct run *run, unsigned number)
{
    const struct plan *plan = run->plan;
    struct worker *worker = &run->workers[number];
    unsigned first = plan->connections * number / plan->threads;
    unsigned end = plan->connections * (number + 1) / plan->threads;
    tn_err err;

    worker->plan = plan;
    worker->run = run;
    worker->number = number;
    worker->addr = run->addr;
    worker->lane_first = first;
    worker->lane_count = end - first;
    err = tn_thread_open(&worker->loop, NULL);
    if (!tn_failed(err))
        err = tn_post(worker->loop, worker_task, worker, NULL);
    if (!tn_failed(err))
        run->opened++;
    return err;
}

/* Wait until COUNT (ready or done) is as many as there are workers. */
static void wait_for(struct run *run, const unsigned *count)
{
    while (*count < run->opened && !tn_failed(tn_chan_receive(run->news, NULL, TN_NEVER)))
        ;
}

static const struct failure *first_failure(const struct run *run)
{
    for (unsigned i = 0; i < run->opened; i++) {
        if (run->workers[i].failure.code)
            return &run->workers[i].failure;
    }
    return NULL;
}

/* ---- the run ---- */

static void heard(void *arg, int number, int count)
{
    struct run *run = arg;

    (void)number;
    if (count > 1)
        _exit(128 + number);
    run->result->interrupted = true;
    atomic_store(&run->stopping, true);
}

/*
 * One address for all connections.  Of several, the first that accepts: that takes a
 * connection of its own, which is spared where there is only one.
 */
static int choose_address(struct run *run)
{
    const struct plan *plan = run->plan;
    struct tn_conn_options options = conn_options(plan->settings, NULL, 0);
    struct tn_conn *conn = NULL;
    tn_addr list[2]; /* whether there are several */
    size_t count = 0;
    char why[160];
    tn_err err = tn_resolve(plan->where.text, options.family, list, 2, &count,
                            tn_in(plan->settings->connect_timeout));
    int code;

    if (tn_failed(err)) {
        code = dialing_code(err, plan->settings, &plan->where, why, sizeof(why));
        return report_error((enum exit_code)code, "look up", plan->where.name, "%s", why);
    }
    run->addr = list[0];
    if (count > 1) {
        code = dial(&conn, plan->settings, &plan->where, TN_NEVER);
        if (code)
            return code;
        run->addr = tn_peer(conn);
        tn_ignore(tn_close_discard(&conn, NULL, TN_NOW)); /* only to see who is there */
    }
    (void)tn_addr_text(&run->addr, run->result->addr, sizeof(run->result->addr));
    return 0;
}

static tn_err run_workers(struct run *run)
{
    tn_err err = tn_loop_self(&run->loop);

    if (!tn_failed(err))
        err = tn_chan_open(&run->news, 0, (size_t)2 * THREADS_MOST);
    for (unsigned i = 0; i < run->plan->threads && !tn_failed(err); i++)
        err = open_worker(run, i);
    wait_for(run, &run->ready);
    if (run->opened > 0)
        run->result->driver = run->workers[0].driver;
    if (tn_failed(err) || first_failure(run) || run_stopping(run)) {
        begin_all(run, 0);
    } else {
        if (run->watcher)
            run->watcher->begun(run->plan, run->result);
        begin_all(run, tn_now());
    }
    wait_for(run, &run->done);
    tn_chan_close(&run->news);
    return err;
}

static tn_err main_task(void *arg)
{
    struct run *run = arg;
    struct interrupt interrupt = { 0 };
    tn_err err;

    run->result->failure.code = choose_address(run);
    if (run->result->failure.code)
        return tn_ok();
    err = interrupt_open(&interrupt, heard, run);
    if (!tn_failed(err))
        err = run_workers(run);
    interrupt_close(&interrupt);
    return err;
}

/* Complain about what makes the figures worthless.  Returns 0 or the exit code. */
static int complain(const struct run *run)
{
    const struct plan *plan = run->plan;
    const struct failure *failure = first_failure(run);
    const struct result *result = run->result;

    if (failure) {
        (void)report_error((enum exit_code)failure->code, failure->what, plan->where.name,
                           "%s", failure->why);
        if (*failure->hint)
            report_hint("%s", failure->hint);
        return failure->code;
    }
    if (run->collector.broken)
        return report_error(EXIT_OTHER, "bench", "", "out of memory");
    if (result->doubts.unanswered)
        return report_error(
            EXIT_THRESHOLD, "bench", plan->where.name,
            "%" PRIu64 " of %u connections had no answer within %.1f s after the end",
            result->doubts.unanswered, plan->connections, (double)plan->grace / 1e9);
    if (result->done == 0 && result->in == 0 && result->out == 0)
        return report_error(EXIT_THRESHOLD, "bench", plan->where.name, "%s",
                            result->interrupted ? "stopped before there was a figure"
                                                : "no answer came in the measured time");
    return 0;
}

/* What the workers have to tell beside their slices. */
static void add_doubts(struct doubts *sum, const struct worker *workers, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct doubts *doubts = &workers[i].doubts;

        sum->unanswered += doubts->unanswered;
        sum->late += doubts->late;
        sum->port_waits += doubts->port_waits;
        sum->port_wait_ns += doubts->port_wait_ns;
        if (doubts->late_most > sum->late_most)
            sum->late_most = doubts->late_most;
        sum->retransmits += doubts->retransmits;
        sum->busy_us += doubts->busy_us;
        sum->rwnd_limited_us += doubts->rwnd_limited_us;
        sum->sndbuf_limited_us += doubts->sndbuf_limited_us;
    }
}

static void release(struct run *run)
{
    for (unsigned i = 0; run->workers && i < run->plan->threads; i++)
        tn_thread_close(&run->workers[i].loop, false);
    free(run->workers);
    collector_close(&run->collector);
}

int run_plan(const struct plan *plan, const struct watcher *watcher, FILE *hlog,
             struct result *result)
{
    struct run run = { .plan = plan, .watcher = watcher, .result = result };
    char text[120];
    tn_err err = tn_err_errno(ENOMEM);

    memset(result, 0, sizeof(*result));
    run.collector.watcher = watcher;
    run.collector.hlog = hlog;
    run.workers = calloc(plan->threads, sizeof(run.workers[0]));
    if (run.workers && collector_open(&run.collector, plan, result))
        err = tn_run(main_task, &run, NULL);
    if (tn_failed(err)) {
        result->failure.code = report_error(EXIT_OTHER, "start", "", "%s",
                                            tn_err_text(err, text, sizeof(text)));
    } else {
        add_doubts(&result->doubts, run.workers, run.opened);
        collector_finish(&run.collector);
    }
    if (!result->failure.code) /* else it is told already */
        result->failure.code = complain(&run);
    release(&run);
    return result->failure.code;
}

void result_release(struct result *result)
{
    histogram_release(&result->raw);
    histogram_release(&result->corrected);
    free(result->intervals);
    free(result->rows);
    result->intervals = NULL;
    result->rows = NULL;
}
