/* SPDX-License-Identifier: MIT */
/*
 * find.c -- --find-max: doubling the rate until the condition breaks, then halving the gap.
 *
 * Each attempt is a whole run with fresh connections.  An attempt is good if the condition
 * holds for the corrected figures and the rate was kept; a run that fails by itself (a
 * reset, a wrong answer) ends the search.
 *
 * Always true: `good` is a rate that was good, `bad` one that was not, or 0.
 */
#include "find.h"

#include <inttypes.h>
#include <stdio.h>

#include "expect.h"
#include "run.h"

#define START_RATE 1000
#define CLOSE_BY   1.05 /* the search ends when bad is so near to good */
#define KEPT       0.99 /* of the rate that was asked for */
#define TRIES_MOST 40

struct search {
    struct plan *plan;
    struct condition conditions[CONDITIONS_MOST];
    int condition_count;
    int64_t good, bad;
    struct figures best;
};

static void tell_try(const struct search *search, const struct figures *figures,
                     bool good)
{
    const struct plan *plan = search->plan;
    char p99[32], max[32];
    struct json json;

    if (!report_json_on_output()) {
        (void)printf(
            "%10" PRId64 "/s: %10.0f/s  p99 %8s  max %8s  %s\n", plan->rate,
            figures->values[METRIC_RATE],
            metric_text(METRIC_P99, figures->values[METRIC_P99], p99, sizeof(p99)),
            metric_text(METRIC_MAX, figures->values[METRIC_MAX], max, sizeof(max)),
            good ? "good" : "not good");
        (void)report_flush();
    }
    if (!report_wants_json())
        return;
    json_event(&json, "attempt");
    json_bool(&json, "ok", true);
    json_text(&json, "where", plan->where.name);
    json_number(&json, "asked_rate", (uint64_t)plan->rate);
    json_bool(&json, "good", good);
    figures_json(figures, &json);
    json_send(&json);
}

/* Try RATE.  Returns 0 or an exit code. */
static int try_rate(struct search *search, int64_t rate)
{
    struct result result;
    bool good;
    int code;

    search->plan->rate = rate;
    code = run_plan(search->plan, NULL, NULL, &result);
    if (!code && result.interrupted)
        code = report_error(EXIT_OTHER, "bench", "load",
                            "stopped before it had found a rate");
    if (!code) {
        good = result.figures.values[METRIC_RATE] >= KEPT * (double)rate;
        for (int i = 0; i < search->condition_count; i++)
            good = good &&
                   condition_holds(&search->conditions[i],
                                   result.figures.values[search->conditions[i].metric]);
        tell_try(search, &result.figures, good);
        if (good) {
            search->good = rate;
            search->best = result.figures;
        } else {
            search->bad = rate;
        }
    }
    result_release(&result);
    return code;
}

static int64_t next_rate(const struct search *search, int64_t last)
{
    if (!search->bad)
        return 2 * last;
    if (!search->good)
        return last / 2;
    return search->good + (search->bad - search->good) / 2;
}

static bool over(const struct search *search, int64_t rate)
{
    return rate < 1 || rate > 1000000000 ||
           (search->good && search->bad &&
            (double)search->bad <= CLOSE_BY * (double)search->good);
}

static int tell_found(const struct search *search)
{
    const struct settings *settings = search->plan->settings;
    char p99[32];
    struct json json;

    if (!search->good)
        return report_error(EXIT_THRESHOLD, "bench", search->plan->where.name,
                            "at no rate: %s", settings->find_max);
    if (!report_json_on_output())
        (void)printf(
            "\nthe highest rate with %s: %" PRId64 "/s (p99 %s)\n", settings->find_max,
            search->good,
            metric_text(METRIC_P99, search->best.values[METRIC_P99], p99, sizeof(p99)));
    if (report_wants_json()) {
        json_event(&json, "found");
        json_bool(&json, "ok", true);
        json_text(&json, "where", search->plan->where.name);
        json_text(&json, "condition", settings->find_max);
        json_number(&json, "asked_rate", (uint64_t)search->good);
        figures_json(&search->best, &json);
        json_send(&json);
    }
    return EXIT_DELIVERED;
}

int find_max(struct plan *plan)
{
    struct search search = { .plan = plan };
    int64_t rate = plan->rate ? plan->rate : START_RATE;
    int code = conditions_read("--find-max", plan->settings->find_max, false,
                               search.conditions, &search.condition_count);

    for (int i = 0; i < TRIES_MOST && !code && !over(&search, rate); i++) {
        code = try_rate(&search, rate);
        rate = next_rate(&search, rate);
    }
    return code ? code : tell_found(&search);
}
