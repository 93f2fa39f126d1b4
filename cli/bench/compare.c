/* SPDX-License-Identifier: MIT */
/*
 * compare.c -- tenon compare BEFORE AFTER: is it better, worse, or just noise?
 *
 * Each metric has one figure for the whole run and one for each interval.  A difference
 * between the whole runs counts if it is more than the spread explains, which is one of
 *
 *   - the 95 % intervals of the two medians (of the intervals' figures, by order
 *     statistics) do not overlap: the usual state has changed;
 *   - the later run's figure lies outside of everything that the earlier one's intervals
 *     showed: a rare event, such as one long stall, is new or gone.
 *
 * Else the verdict is "noise", and no --fail-if with a percentage fails.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "stored.h"
#include "verbs.h"

/* Less than this is no change, however sure it is. */
#define SAME_SHARE 0.005

/* One metric of one run. */
struct spread {
    double value;       /* of the whole time; below 0: unknown */
    double low, high;   /* of the median of the intervals, 95 % */
    double least, most; /* of the intervals */
    size_t count;
};

enum verdict { VERDICT_SAME, VERDICT_NOISE, VERDICT_BETTER, VERDICT_WORSE };

static const char *const verdict_names[] = { "same", "noise", "better", "worse" };

struct comparison {
    struct spread before, after;
    double change; /* as a share */
    enum verdict verdict;
};

static int by_size(const void *one, const void *other)
{
    double first, second;

    memcpy(&first, one, sizeof(first));
    memcpy(&second, other, sizeof(second));
    return (first > second) - (first < second);
}

/*
 * How many of COUNT sorted values may be cut off at each end so that the rest holds the
 * median with 95 %: the binomial distribution's lower quantile.  Below 6 values none.
 */
static size_t cut_off(size_t count)
{
    double chance = pow(0.5, (double)count), sum = 0;
    size_t cut = 0;

    if (count > 1000) /* where 2^-count is 0, and the normal distribution serves */
        return (size_t)(((double)count - 1.96 * sqrt((double)count)) / 2);
    while (cut < count && sum + chance <= 0.025) {
        sum += chance;
        cut++;
        chance *= (double)(count - cut + 1) / (double)cut;
    }
    return cut > 0 ? cut - 1 : 0;
}

/* METRIC of STORED; VALUES has room for all intervals. */
static struct spread spread_of(const struct stored *stored, enum metric metric,
                               double *values)
{
    struct spread spread = { .value = stored->figures.values[metric] };
    size_t cut;

    for (size_t i = 0; i < stored->interval_count; i++) {
        double value = stored->intervals[i].values[metric];
        if (value >= 0)
            values[spread.count++] = value;
    }
    spread.low = spread.high = spread.least = spread.most = spread.value;
    if (spread.count == 0)
        return spread;
    qsort(values, spread.count, sizeof(values[0]), by_size);
    cut = cut_off(spread.count);
    spread.least = values[0];
    spread.most = values[spread.count - 1];
    spread.low = values[cut];
    spread.high = values[spread.count - 1 - cut];
    return spread;
}

static enum verdict judge(const struct comparison *comparison, bool less_is_better)
{
    const struct spread *before = &comparison->before, *after = &comparison->after;
    bool usual = after->low > before->high || after->high < before->low;
    bool rare = after->value > before->most || after->value < before->least;

    if (fabs(comparison->change) < SAME_SHARE)
        return VERDICT_SAME;
    if (!usual && !rare)
        return VERDICT_NOISE;
    return (comparison->change < 0) == less_is_better ? VERDICT_BETTER : VERDICT_WORSE;
}

static void compare_metric(struct comparison *comparison, const struct stored *runs,
                           enum metric metric, double *values)
{
    double before, after;

    memset(comparison, 0, sizeof(*comparison));
    comparison->before = spread_of(&runs[0], metric, values);
    comparison->after = spread_of(&runs[1], metric, values);
    before = comparison->before.value;
    after = comparison->after.value;
    if (before > 0)
        comparison->change = (after - before) / before;
    else
        comparison->change = after > 0 ? 1 : 0; /* from nothing to something */
    comparison->verdict = judge(comparison, metrics[metric].less_is_better);
}

static bool is_known(const struct comparison *comparison)
{
    return comparison->before.value >= 0 && comparison->after.value >= 0;
}

static void tell_metric(enum metric metric, const struct comparison *comparison)
{
    static const char *const names[] = { "before", "before_low", "before_high",
                                         "after",  "after_low",  "after_high" };
    char texts[6][32], ranges[2][72];
    const struct spread *before = &comparison->before, *after = &comparison->after;
    double values[6] = { before->value, before->low, before->high,
                         after->value,  after->low,  after->high };
    struct json json;

    for (int i = 0; i < 6; i++)
        (void)metric_text(metric, values[i], texts[i], sizeof(texts[i]));
    for (int i = 0; i < 2; i++)
        (void)snprintf(ranges[i], sizeof(ranges[i]), "(%.30s - %.30s)", texts[3 * i + 1],
                       texts[3 * i + 2]);
    if (!report_json_on_output())
        (void)printf("%-18s %11s %-25s %11s %-25s %+7.1f%%  %s\n", metrics[metric].name,
                     texts[0], ranges[0], texts[3], ranges[1], 100 * comparison->change,
                     verdict_names[comparison->verdict]);
    if (!report_wants_json())
        return;
    json_event(&json, "compare");
    json_bool(&json, "ok", true);
    json_text(&json, "metric", metrics[metric].name);
    for (int i = 0; i < 6; i++)
        json_real(&json, names[i],
                  metrics[metric].unit == UNIT_TIME ? values[i] / 1000 : values[i]);
    json_real(&json, "change_percent", 100 * comparison->change);
    json_text(&json, "verdict", verdict_names[comparison->verdict]);
    json_send(&json);
}

/* Does CONDITION fail, and may it be said? */
static int check_condition(const struct condition *condition,
                           const struct comparison *comparison)
{
    const char *name = metrics[condition->metric].name;
    char text[32];

    if (!is_known(comparison))
        return report_error(EXIT_USAGE, "compare", name, "is not in both results");
    if (!condition_holds(condition, condition->relative ? comparison->change
                                                        : comparison->after.value))
        return 0;
    if (condition->relative && comparison->verdict < VERDICT_BETTER) {
        report_note(
            "%s: %+.1f%%, but the intervals spread as far: no verdict; measure longer",
            name, 100 * comparison->change);
        return 0;
    }
    return report_error(
        EXIT_THRESHOLD, "compare", name, "%+.1f%%, now %s, and that is %.*s",
        100 * comparison->change,
        metric_text(condition->metric, comparison->after.value, text, sizeof(text)),
        condition->text_size, condition->text);
}

/* What makes the two runs hard to compare. */
static int check_alike(const struct stored *runs)
{
    if (strcmp(runs[0].mode, runs[1].mode) != 0)
        return report_error(EXIT_USAGE, "compare", "",
                            "%s and %s are different measurements", runs[0].mode,
                            runs[1].mode);
    if (runs[0].connections != runs[1].connections ||
        runs[0].threads != runs[1].threads || runs[0].asked_rate != runs[1].asked_rate)
        report_note(
            "not measured alike: %.0f and %.0f connections, %.0f and %.0f threads, "
            "rates of %.0f and %.0f (-1: none)",
            runs[0].connections, runs[1].connections, runs[0].threads, runs[1].threads,
            runs[0].asked_rate, runs[1].asked_rate);
    return 0;
}

/* Compare and tell all metrics, then check the conditions. */
static int compare_runs(const struct stored *runs, const struct condition *conditions,
                        int condition_count, double *values)
{
    struct comparison comparison;
    int code = 0;

    if (!report_json_on_output())
        (void)printf("%s %s; in brackets the median of the intervals, 95%%\n",
                     runs[0].mode, runs[0].where);
    for (int i = 0; i < METRIC_COUNT; i++) {
        compare_metric(&comparison, runs, (enum metric)i, values);
        if (is_known(&comparison) &&
            (comparison.before.value > 0 || comparison.after.value > 0))
            tell_metric((enum metric)i, &comparison);
    }
    for (int i = 0; i < condition_count; i++) {
        int failed;

        compare_metric(&comparison, runs, conditions[i].metric, values);
        failed = check_condition(&conditions[i], &comparison);
        code = failed ? failed : code;
    }
    return code;
}

int compare_main(struct settings *settings)
{
    struct condition conditions[CONDITIONS_MOST];
    struct stored runs[2] = { { .mode = "" }, { .mode = "" } };
    double *values = NULL;
    int condition_count = 0, code = 0;

    if (settings->operand_count != 2)
        return report_error(EXIT_USAGE, "compare", "",
                            "two files are compared: BEFORE AFTER");
    if (settings->fail_if)
        code = conditions_read("--fail-if", settings->fail_if, true, conditions,
                               &condition_count);
    for (int i = 0; i < 2 && !code; i++)
        code = stored_read(&runs[i], settings->operands[i]);
    if (!code)
        code = check_alike(runs);
    if (!code) {
        values =
            calloc(runs[0].interval_count + runs[1].interval_count + 1, sizeof(*values));
        code = values ? compare_runs(runs, conditions, condition_count, values)
                      : report_error(EXIT_OTHER, "compare", "", "out of memory");
    }
    free(values);
    stored_release(&runs[0]);
    stored_release(&runs[1]);
    return code;
}
