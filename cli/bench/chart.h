/* SPDX-License-Identifier: MIT */
/*
 * chart.h -- a chart as inline SVG: axes, lines, cells.  Colours come from the page.
 */
#ifndef TENON_CLI_BENCH_CHART_H
#define TENON_CLI_BENCH_CHART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define CHART_WIDTH  900
#define CHART_HEIGHT 320

/* One chart: data in [x_low, x_high] and [y_low, y_high] on a page of CHART_ size. */
struct chart {
    FILE *out;
    double x_low, x_high, y_low, y_high;
    bool y_log;
    double y_unit; /* what its marks are round numbers of; 0: 1 */
    /* The value VALUE of the y axis as text in BUF. */
    const char *(*y_text)(double value, char *buf, size_t size);
};

struct point {
    double x, y;
};

/* chart_begin -- the frame and the y axis.  ALT says what it shows to who cannot see it. */
void chart_begin(const struct chart *chart, const char *alt);

/* chart_x_tick -- a mark TEXT at X of the x axis. */
void chart_x_tick(const struct chart *chart, double x, const char *text);

/* chart_seconds -- marks of an x axis that is seconds. */
void chart_seconds(const struct chart *chart);

/* chart_line -- COUNT points joined, in the style CLASS; with STEPS level in between. */
void chart_line(const struct chart *chart, const char *class, const struct point *points,
                size_t count, bool steps);

/* chart_area -- what is below of COUNT points, level in between, in the style "area". */
void chart_area(const struct chart *chart, const struct point *points, size_t count);

/* chart_path_begin, chart_cell, chart_path_end -- filled cells in one style. */
void chart_path_begin(const struct chart *chart, const char *class);
void chart_cell(const struct chart *chart, double x0, double x1, double y0, double y1);
void chart_path_end(const struct chart *chart);

/* chart_end -- that was it. */
void chart_end(const struct chart *chart);

#endif
