/* SPDX-License-Identifier: MIT */
/*
 * bench.c -- tenon bench KIND ADDRESS: measure, doubt, tell.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "expect.h"
#include "find.h"
#include "hlog.h"
#include "html.h"
#include "local.h"
#include "progress.h"
#include "tell.h"
#include "verbs.h"

/* The files that a run writes beside what it tells. */
struct outputs {
    FILE *hlog;
    struct condition conditions[CONDITIONS_MOST];
    int condition_count;
};

/* --fail-if, of figures that there will be: what is unknown would never fail. */
static int read_conditions(struct outputs *outputs, const struct plan *plan)
{
    int code = conditions_read("--fail-if", plan->settings->fail_if, false,
                               outputs->conditions, &outputs->condition_count);

    for (int i = 0; i < outputs->condition_count && !code; i++) {
        const struct condition *condition = &outputs->conditions[i];

        if (!plan->mode->has_latency && condition->metric <= METRIC_RATE)
            code = report_error(EXIT_USAGE, "option", "--fail-if",
                                "'%.*s': %s has only in, out and cpu",
                                condition->text_size, condition->text, plan->mode->name);
    }
    return code;
}

static int open_outputs(struct outputs *outputs, const struct plan *plan)
{
    const struct settings *settings = plan->settings;
    struct timespec now = { 0, 0 };

    int code = settings->fail_if ? read_conditions(outputs, plan) : 0;

    if (!code && settings->hlog && !plan->mode->has_latency)
        code = report_error(EXIT_USAGE, "option", "--hlog", "%s has no latencies",
                            plan->mode->name);
    if (!code && settings->html)
        code = html_check(settings->html);
    if (code || !settings->hlog)
        return code;
    outputs->hlog = fopen(settings->hlog, "we");
    if (!outputs->hlog)
        return report_error(EXIT_OUTPUT, "open", settings->hlog, "%s", strerror(errno));
    (void)clock_gettime(CLOCK_REALTIME, &now);
    hlog_begin(outputs->hlog, now.tv_sec * TN_SECOND + now.tv_nsec + plan->warmup);
    return 0;
}

static int close_hlog(struct outputs *outputs, const struct settings *settings)
{
    bool lost = outputs->hlog && ferror(outputs->hlog);

    if (outputs->hlog && fclose(outputs->hlog) != 0)
        return report_error(EXIT_OUTPUT, "write", settings->hlog, "%s", strerror(errno));
    return lost ? report_error(EXIT_OUTPUT, "write", settings->hlog, "not all was taken")
                : 0;
}

static int check_conditions(const struct outputs *outputs, const struct result *result)
{
    int code = 0;

    for (int i = 0; i < outputs->condition_count; i++) {
        const struct condition *condition = &outputs->conditions[i];
        double value = result->figures.values[condition->metric];
        char text[32];

        if (condition_holds(condition, value))
            code = report_error(EXIT_THRESHOLD, "bench", metrics[condition->metric].name,
                                "is %s, and that is %.*s",
                                metric_text(condition->metric, value, text, sizeof(text)),
                                condition->text_size, condition->text);
    }
    return code;
}

/* A run that a signal ended: what there is, is told, but nobody asked for a part. */
static int complain_stopped(const struct plan *plan, const struct result *result)
{
    char length[24];

    return report_error(EXIT_OTHER, "bench", plan->where.name,
                        "stopped before its time, after %s",
                        time_text(result->length, length, sizeof(length)));
}

/* Measure once, and tell all of it. */
static int run_once(const struct plan *plan)
{
    const struct settings *settings = plan->settings;
    struct outputs outputs = { 0 };
    struct result result = { 0 };
    struct warnings warnings;
    int code = open_outputs(&outputs, plan), closing, writing = 0;

    if (!code)
        code = run_plan(plan, &tell_watcher, outputs.hlog, &result);
    closing = close_hlog(&outputs, settings);
    if (!code) {
        if (result.interrupted)
            code = complain_stopped(plan, &result);
        limits_find(plan, &result, &warnings);
        tell_result(plan, &result, &warnings);
        if (settings->html)
            writing = html_write(settings->html, plan, &result, &warnings);
    }
    code = code ? code : closing ? closing : writing;
    if (!code)
        code = check_conditions(&outputs, &result);
    result_release(&result);
    return code;
}

int bench_main(struct settings *settings)
{
    struct plan *plan =
        calloc(1, sizeof(*plan)); /* too large for a frame beside others */
    int code;

    if (!plan)
        return report_error(EXIT_OTHER, "bench", "", "out of memory");
    code = bench_plan_make(plan, settings);
    local_raise_files();
    if (!code)
        code = settings->find_max ? find_max(plan) : run_once(plan);
    bench_plan_release(plan);
    free(plan);
    return code;
}
