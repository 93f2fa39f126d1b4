/* SPDX-License-Identifier: MIT */
/*
 * figures.h -- the figures of a measurement, one table of them: for people, for JSON, in
 * conditions ("p99<5ms") and in comparisons.
 */
#ifndef TENON_CLI_BENCH_FIGURES_H
#define TENON_CLI_BENCH_FIGURES_H

#include "histogram.h"
#include "report.h"

/* The latencies come twice: corrected for coordinated omission, and as measured. */
enum metric {
    METRIC_P50,
    METRIC_P90,
    METRIC_P99,
    METRIC_P999,
    METRIC_P9999,
    METRIC_MAX,
    METRIC_MEAN,
    METRIC_RAW_P50,
    METRIC_RAW_P90,
    METRIC_RAW_P99,
    METRIC_RAW_P999,
    METRIC_RAW_P9999,
    METRIC_RAW_MAX,
    METRIC_RAW_MEAN,
    METRIC_RATE, /* answers or connections a second */
    METRIC_IN,   /* bytes a second */
    METRIC_OUT,
    METRIC_CPU, /* nanoseconds of ours for each answer, or for each MiB */
    METRIC_COUNT
};

#define LATENCIES METRIC_RAW_P50 /* how many, of each kind */

enum metric_unit { UNIT_TIME, UNIT_RATE, UNIT_BYTES };

struct metric_row {
    const char *name; /* in conditions */
    const char *json; /* its member; times are microseconds there */
    enum metric_unit unit;
    bool less_is_better;
};

extern const struct metric_row metrics[METRIC_COUNT];

struct figures {
    double values[METRIC_COUNT]; /* nanoseconds, or so many a second; below 0: unknown */
};

/* What figures are made of. */
struct figure_parts {
    const struct histogram *raw, *corrected; /* NULL: no latencies */
    uint64_t done, in, out;
    int64_t length, ran;
    bool is_bulk; /* bytes are what is counted */
};

/* figures_make -- the figures of PARTS. */
void figures_make(struct figures *figures, const struct figure_parts *parts);

/* figures_json -- add those that are known to JSON. */
void figures_json(const struct figures *figures, struct json *json);

/* metric_text -- VALUE of METRIC as "21.3 us", "45.2 k/s" or "3.1 MiB/s"; returns BUF. */
const char *metric_text(enum metric metric, double value, char *buf, size_t size);

/* metric_find -- the metric whose name TEXT begins with, and the rest in *REST; -1: none. */
int metric_find(const char *text, const char **rest);

#endif
