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
#include "tell.h"
#include "verbs.h"

/* The files that a run writes beside what it tells. */
struct outputs {
    FILE *hlog;
    struct condition conditions[CONDITIONS_MOST];
    int condition_count;
};

static int open_outputs(struct outputs *outputs, const struct plan *plan)
{
    const struct settings *settings = plan->settings;
    struct timespec now = { 0, 0 };

    if (settings->fail_if) {
        int code = conditions_read("--fail-if", settings->fail_if, false,
                                   outputs->conditions, &outputs->condition_count);
        if (code)
            return code;
    }
    if (!settings->hlog)
        return 0;
    if (!plan->mode->has_latency)
        return report_error(EXIT_USAGE, "option", "--hlog", "%s has no latencies",
                            plan->mode->name);
    outputs->hlog = fopen(settings->hlog, "we");
    if (!outputs->hlog)
        return report_error(EXIT_OUTPUT, "open", settings->hlog, "%s", strerror(errno));
    (void)clock_gettime(CLOCK_REALTIME, &now);
    hlog_begin(outputs->hlog, now.tv_sec * TN_SECOND + now.tv_nsec + plan->warmup);
    return 0;
}

static int close_hlog(struct outputs *outputs, const struct settings *settings)
{
    bool fine = !outputs->hlog || fclose(outputs->hlog) == 0;

    outputs->hlog = NULL;
    return fine ? 0
                : report_error(EXIT_OUTPUT, "write", settings->hlog, "%s",
                               strerror(errno));
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

/* Measure once, and tell all of it. */
static int run_once(const struct plan *plan)
{
    const struct settings *settings = plan->settings;
    struct outputs outputs = { 0 };
    struct result result = { 0 };
    struct warnings warnings;
    int code = open_outputs(&outputs, plan), closing;

    if (!code)
        code = run_plan(plan, &tell_watcher, outputs.hlog, &result);
    closing = close_hlog(&outputs, settings);
    if (!code)
        code = closing;
    if (!code) {
        limits_find(plan, &result, &warnings);
        tell_result(plan, &result, &warnings);
    }
    if (!code && settings->html)
        code = html_write(settings->html, plan, &result, &warnings);
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
