/* SPDX-License-Identifier: MIT */
/*
 * chart.c -- drawing as SVG: see chart.h.
 *
 * Always true: what is outside of the data's range is drawn at its edge, so that nothing
 * leaves the frame.
 */
#include "chart.h"

#include <math.h>

/* Room for the y axis' texts, and above, right and below of the data. */
#define LEFT   100.0
#define TOP    12.0
#define RIGHT  36.0
#define BOTTOM 34.0

#define Y_MARKS 5

static double share_of(double value, double low, double high)
{
    double share = high > low ? (value - low) / (high - low) : 0;

    return share < 0 ? 0 : share > 1 ? 1 : share;
}

static double place_x(const struct chart *chart, double x)
{
    return LEFT + share_of(x, chart->x_low, chart->x_high) * (CHART_WIDTH - LEFT - RIGHT);
}

static double place_y(const struct chart *chart, double y)
{
    double share = chart->y_log ? share_of(log10(y > chart->y_low ? y : chart->y_low),
                                           log10(chart->y_low), log10(chart->y_high))
                                : share_of(y, chart->y_low, chart->y_high);

    return TOP + (1 - share) * (CHART_HEIGHT - TOP - BOTTOM);
}

static void y_mark(const struct chart *chart, double value)
{
    double y = place_y(chart, value);
    char text[40];

    (void)fprintf(chart->out,
                  "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>"
                  "<text x=\"%.1f\" y=\"%.1f\" class=\"ytext\">%s</text>\n",
                  LEFT, y, CHART_WIDTH - RIGHT, LEFT - 8, y + 4,
                  chart->y_text(value, text, sizeof(text)));
}

/* 1, 2 and 5 of each power of ten, or the powers alone where they are many. */
static void log_marks(const struct chart *chart)
{
    static const double digits[] = { 1, 2, 5 };
    double decades = log10(chart->y_high / chart->y_low);
    int step = decades > 3 ? 3 : 1;
    int first = (int)floor(log10(chart->y_low)), last = (int)floor(log10(chart->y_high));

    for (int power = first; power <= last; power++) {
        for (int i = 0; i < 3; i += step) {
            double value = pow(10, power) * digits[i];
            if (value >= chart->y_low * 0.999 && value <= chart->y_high * 1.001)
                y_mark(chart, value);
        }
    }
}

/* A round length of which SPAN has about COUNT. */
static double round_step(double span, double count)
{
    double rough = span / count, power = pow(10, floor(log10(rough)));
    double digit = rough / power;

    return power * (digit > 5 ? 10 : digit > 2 ? 5 : digit > 1 ? 2 : 1);
}

void chart_begin(const struct chart *chart, const char *alt)
{
    double unit = chart->y_unit > 0 ? chart->y_unit : 1, step;

    (void)fprintf(chart->out,
                  "<div class=\"wide\"><svg viewBox=\"0 0 %d %d\" role=\"img\" "
                  "aria-label=\"%s\">\n",
                  CHART_WIDTH, CHART_HEIGHT, alt);
    if (chart->y_log) {
        log_marks(chart);
        return;
    }
    step = unit * round_step((chart->y_high - chart->y_low) / unit, Y_MARKS);
    for (int i = 0; chart->y_low + i * step <= chart->y_high * 1.0001; i++)
        y_mark(chart, chart->y_low + i * step);
}

void chart_x_tick(const struct chart *chart, double x, const char *text)
{
    double place = place_x(chart, x), bottom = CHART_HEIGHT - BOTTOM;

    (void)fprintf(chart->out,
                  "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>"
                  "<text x=\"%.1f\" y=\"%.1f\" class=\"xtext\">%s</text>\n",
                  place, TOP, bottom + 5, place, bottom + 22, text);
}

void chart_seconds(const struct chart *chart)
{
    double step = round_step(chart->x_high, 10);

    for (int i = 0; i * step <= chart->x_high * 1.0001; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "%g s", i * step);
        chart_x_tick(chart, i * step, text);
    }
}

/* POINTS as the commands of a path. */
static void put_points(const struct chart *chart, const struct point *points,
                       size_t count, bool steps)
{
    for (size_t i = 0; i < count; i++) {
        double x = place_x(chart, points[i].x), y = place_y(chart, points[i].y);

        if (i > 0 && steps)
            (void)fprintf(chart->out, "H%.1fV%.1f", x, y);
        else
            (void)fprintf(chart->out, "%c%.1f %.1f", i ? 'L' : 'M', x, y);
    }
}

void chart_line(const struct chart *chart, const char *class, const struct point *points,
                size_t count, bool steps)
{
    (void)fprintf(chart->out, "<path class=\"line %s\" d=\"", class);
    put_points(chart, points, count, steps);
    (void)fprintf(chart->out, "\"/>\n");
}

void chart_area(const struct chart *chart, const struct point *points, size_t count)
{
    (void)fprintf(chart->out, "<path class=\"area\" d=\"");
    put_points(chart, points, count, true);
    (void)fprintf(chart->out, "V%.1fH%.1fz\"/>\n", CHART_HEIGHT - BOTTOM,
                  place_x(chart, count ? points[0].x : 0));
}

void chart_path_begin(const struct chart *chart, const char *class)
{
    (void)fprintf(chart->out, "<path class=\"%s\" d=\"", class);
}

void chart_cell(const struct chart *chart, double x0, double x1, double y0, double y1)
{
    double left = place_x(chart, x0), top = place_y(chart, y1);

    (void)fprintf(chart->out, "M%.1f %.1fh%.1fv%.1fh%.1fz", left, top,
                  place_x(chart, x1) - left, place_y(chart, y0) - top,
                  left - place_x(chart, x1));
}

void chart_path_end(const struct chart *chart)
{
    (void)fprintf(chart->out, "\"/>\n");
}

void chart_end(const struct chart *chart)
{
    (void)fprintf(chart->out, "</svg></div>\n");
}
