/* SPDX-License-Identifier: MIT */
/*
 * figures.c -- from counts and histograms to figures, and from figures to text.
 */
#include "figures.h"

#include <stdio.h>
#include <string.h>

#include "progress.h"

#define UNKNOWN (-1.0)

/* clang-format off */
const struct metric_row metrics[METRIC_COUNT] = {
    { "p50", "p50_us", UNIT_TIME, true },
    { "p90", "p90_us", UNIT_TIME, true },
    { "p99", "p99_us", UNIT_TIME, true },
    { "p99.9", "p99.9_us", UNIT_TIME, true },
    { "p99.99", "p99.99_us", UNIT_TIME, true },
    { "max", "max_us", UNIT_TIME, true },
    { "mean", "mean_us", UNIT_TIME, true },
    { "uncorrected-p50", "uncorrected_p50_us", UNIT_TIME, true },
    { "uncorrected-p90", "uncorrected_p90_us", UNIT_TIME, true },
    { "uncorrected-p99", "uncorrected_p99_us", UNIT_TIME, true },
    { "uncorrected-p99.9", "uncorrected_p99.9_us", UNIT_TIME, true },
    { "uncorrected-p99.99", "uncorrected_p99.99_us", UNIT_TIME, true },
    { "uncorrected-max", "uncorrected_max_us", UNIT_TIME, true },
    { "uncorrected-mean", "uncorrected_mean_us", UNIT_TIME, true },
    { "rate", "rate", UNIT_RATE, false },
    { "in", "in_rate", UNIT_BYTES, false },
    { "out", "out_rate", UNIT_BYTES, false },
    { "cpu", "cpu_us", UNIT_TIME, true },
};
/* clang-format on */

static void add_latencies(double *values, const struct histogram *histogram)
{
    static const double shares[] = { 0.5, 0.9, 0.99, 0.999, 0.9999 };

    if (!histogram || histogram->total == 0)
        return;
    for (int i = 0; i < 5; i++)
        values[i] = (double)histogram_at(histogram, shares[i]);
    values[METRIC_MAX] = (double)histogram->most;
    values[METRIC_MEAN] = histogram_mean(histogram);
}

void figures_make(struct figures *figures, const struct figure_parts *parts)
{
    double seconds = (double)parts->length / 1e9;
    double units = parts->is_bulk ? (double)(parts->in + parts->out) / (1 << 20)
                                  : (double)parts->done;

    for (int i = 0; i < METRIC_COUNT; i++)
        figures->values[i] = UNKNOWN;
    add_latencies(figures->values, parts->corrected);
    add_latencies(figures->values + METRIC_RAW_P50, parts->raw);
    if (seconds <= 0)
        return;
    if (!parts->is_bulk)
        figures->values[METRIC_RATE] = (double)parts->done / seconds;
    figures->values[METRIC_IN] = (double)parts->in / seconds;
    figures->values[METRIC_OUT] = (double)parts->out / seconds;
    if (units > 0)
        figures->values[METRIC_CPU] = (double)parts->ran / units;
}

void figures_json(const struct figures *figures, struct json *json)
{
    for (int i = 0; i < METRIC_COUNT; i++) {
        double value = figures->values[i];

        if (value >= 0)
            json_real(json, metrics[i].json,
                      metrics[i].unit == UNIT_TIME ? value / 1000 : value);
    }
}

const char *metric_text(enum metric metric, double value, char *buf, size_t size)
{
    char text[32];

    if (value < 0)
        (void)snprintf(buf, size, "-");
    else if (metrics[metric].unit == UNIT_BYTES)
        (void)snprintf(buf, size, "%s/s", size_text((uint64_t)value, text, sizeof(text)));
    else if (metrics[metric].unit == UNIT_TIME && value < 99950)
        (void)snprintf(buf, size, "%.1f us", value / 1000);
    else if (metrics[metric].unit == UNIT_TIME)
        (void)time_text((int64_t)value, buf, size);
    else if (value < 99950)
        (void)snprintf(buf, size, "%.0f/s", value);
    else
        (void)snprintf(buf, size, "%.1fk/s", value / 1000);
    return buf;
}

int metric_find(const char *text, const char **rest)
{
    size_t longest = 0;
    int found = -1;

    for (int i = 0; i < METRIC_COUNT; i++) {
        size_t length = strlen(metrics[i].name);

        if (length > longest && strncmp(text, metrics[i].name, length) == 0) {
            longest = length;
            found = i;
        }
    }
    *rest = text + longest;
    return found;
}
