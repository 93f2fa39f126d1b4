/* SPDX-License-Identifier: MIT */
/*
 * html.c -- the report as one page: style inside, charts as SVG, nothing fetched.
 *
 * Figures first, then doubts, then charts, then on what it was measured.  Readable in
 * light and dark (prefers-color-scheme), on paper, and without any script.
 */
#include "html.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "chart.h"
#include "machine.h"
#include "progress.h"

#define HEAT_LEVELS  9
#define HEAT_COLUMNS 150

static const char style[] =
    ":root{color-scheme:light "
    "dark;--page:#fff;--ink:#1b2330;--soft:#5d6878;--rule:#dfe4ea;"
    "--tile:#f5f7f9;--one:#0b6e4f;--two:#b4530a;--heat:11,110,79;--warn:#fff4dc;"
    "--edge:#d99a1e}"
    "@media(prefers-color-scheme:dark){:root{--page:#12171e;--ink:#e4e9f0;--soft:#96a2b4;"
    "--rule:#2b3542;--tile:#1b222c;--one:#45c498;--two:#f0a35e;--heat:69,196,152;"
    "--warn:#33290f;--edge:#c08a1c}}"
    "body{margin:0 auto;max-width:60rem;padding:1.5rem;background:var(--page);"
    "color:var(--ink);font:15px/1.5 system-ui,-apple-system,'Segoe UI',Helvetica,Arial,"
    "sans-serif}"
    "h1{font-size:1.5rem;margin:0}h1 "
    "span{font-weight:400}h2{font-size:1.1rem;margin:2rem 0 .3rem}"
    "p{margin:.3rem 0}.soft{color:var(--soft)}"
    "code{font:13px ui-monospace,'DejaVu Sans Mono',monospace;overflow-wrap:anywhere}"
    ".tiles{display:flex;flex-wrap:wrap;gap:.6rem;margin:1.2rem 0}"
    ".tile{background:var(--tile);border-radius:.4rem;padding:.5rem .9rem;flex:1 1 "
    "6.5rem}"
    ".tile b{display:block;font-size:1.25rem;white-space:nowrap}"
    ".tile span{color:var(--soft);font-size:.85rem;white-space:nowrap}"
    ".warn{background:var(--warn);border-left:4px solid var(--edge);padding:.5rem .9rem;"
    "margin:.4rem 0}"
    ".wide{overflow-x:auto}table{border-collapse:collapse;width:100%;margin-top:1rem;"
    "font-variant-numeric:tabular-nums}"
    "th,td{padding:.25rem .9rem;text-align:right;white-space:nowrap;"
    "border-bottom:1px solid var(--rule)}"
    "th:first-child,td:first-child{text-align:left}"
    "th,.facts td:first-child{color:var(--soft);font-weight:400}"
    ".facts td{text-align:left;overflow-wrap:anywhere}"
    ".facts td:last-child{width:100%;white-space:normal}"
    "svg{width:100%;min-width:44rem;height:auto;display:block}"
    "svg text{fill:var(--soft);font-size:13px}.ytext{text-anchor:end}"
    ".xtext{text-anchor:middle}.grid{stroke:var(--rule);fill:none}"
    ".line{fill:none;stroke-width:2;stroke-linejoin:round}.area{fill:var(--one);"
    "fill-opacity:.12}"
    ".one{stroke:var(--one)}.two{stroke:var(--two);stroke-dasharray:6 4}"
    ".legend{white-space:nowrap;margin-right:1rem}"
    ".key{display:inline-block;width:1.6rem;border-top:3px solid;margin:0 .4rem .25rem 0}"
    ".k1{border-color:var(--one)}.k2{border-color:var(--two);border-top-style:dashed}";

/* What a line of a chart stands for, beside a piece of it. */
#define KEY(class, text)                                                                 \
    "<span class=\"legend\"><i class=\"key " class "\"></i>" text "</span> "

/* TEXT with what HTML has a meaning for written out. */
static void put_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '<')
            (void)fputs("&lt;", out);
        else if (*text == '>')
            (void)fputs("&gt;", out);
        else if (*text == '&')
            (void)fputs("&amp;", out);
        else if (*text == '"')
            (void)fputs("&quot;", out);
        else
            (void)fputc(*text, out);
    }
}

static const char *time_mark(double value, char *buf, size_t size)
{
    if (value < 1e6)
        (void)snprintf(buf, size, "%g µs", value / 1e3);
    else if (value < 1e9)
        (void)snprintf(buf, size, "%g ms", value / 1e6);
    else
        (void)snprintf(buf, size, "%g s", value / 1e9);
    return buf;
}

static const char *bytes_mark(double value, char *buf, size_t size)
{
    char text[32];

    (void)snprintf(buf, size, "%s/s", size_text((uint64_t)value, text, sizeof(text)));
    return buf;
}

static const char *rate_mark(double value, char *buf, size_t size)
{
    (void)snprintf(buf, size, value < 10000 ? "%.0f/s" : "%.0fk/s",
                   value < 10000 ? value : value / 1000);
    return buf;
}

/* ---- figures ---- */

/* TEXT, a number and what it counts, as a page has it: 12,345/s; 62.8 µs. */
static void put_figure(FILE *out, const char *text)
{
    size_t digits = strspn(text, "0123456789");

    for (size_t i = 0; i < digits; i++)
        (void)fprintf(out, "%s%c", i > 0 && (digits - i) % 3 == 0 ? "," : "", text[i]);
    for (text += digits; *text; text++) {
        if (strcmp(text, "us") == 0)
            (void)fputs("µ", out);
        else
            (void)fputc(*text, out);
    }
}

static void put_tile(FILE *out, const char *name, const char *value)
{
    (void)fprintf(out, "<div class=\"tile\"><b>");
    put_figure(out, value);
    (void)fprintf(out, "</b><span>%s</span></div>\n", name);
}

static void put_tiles(FILE *out, const struct plan *plan, const struct result *result)
{
    static const enum metric latencies[] = { METRIC_P50, METRIC_P99, METRIC_P999,
                                             METRIC_MAX };
    const double *values = result->figures.values;
    char text[40];

    (void)fprintf(out, "<div class=\"tiles\">\n");
    if (plan->mode->has_latency) {
        put_tile(out, plan->mode->unit,
                 metric_text(METRIC_RATE, values[METRIC_RATE], text, sizeof(text)));
        for (int i = 0; i < 4; i++)
            put_tile(out, metrics[latencies[i]].name,
                     metric_text(latencies[i], values[latencies[i]], text, sizeof(text)));
    } else {
        put_tile(out, "sent and acknowledged",
                 metric_text(METRIC_OUT, values[METRIC_OUT], text, sizeof(text)));
        put_tile(out, "received",
                 metric_text(METRIC_IN, values[METRIC_IN], text, sizeof(text)));
    }
    put_tile(out, plan->mode->has_latency ? "our CPU for one" : "our CPU for a MiB",
             metric_text(METRIC_CPU, values[METRIC_CPU], text, sizeof(text)));
    (void)fprintf(out, "</div>\n");
}

static void put_latency_table(FILE *out, const struct result *result)
{
    static const char *const names[] = { "corrected", "uncorrected" };
    char text[32];

    (void)fprintf(out, "<div class=\"wide\"><table><tr><th>latency</th>");
    for (int i = 0; i < LATENCIES; i++)
        (void)fprintf(out, "<th>%s</th>", metrics[i].name);
    for (int line = 0; line < 2; line++) {
        (void)fprintf(out, "</tr>\n<tr><td>%s</td>", names[line]);
        for (int i = 0; i < LATENCIES; i++) {
            enum metric metric = (enum metric)(line * LATENCIES + i);
            (void)fprintf(out, "<td>");
            put_figure(out, metric_text(metric, result->figures.values[metric], text,
                                        sizeof(text)));
            (void)fprintf(out, "</td>");
        }
    }
    (void)fprintf(out, "</tr></table></div>\n");
}

/* ---- charts ---- */

/* The range of a logarithmic time axis that holds LOW to HIGH nanoseconds. */
static void set_time_axis(struct chart *chart, double low, double high)
{
    chart->y_log = true;
    chart->y_text = time_mark;
    chart->y_low = low < 1000 ? 1000 : low / 1.1;
    chart->y_high = high > chart->y_low * 4 ? high * 1.1 : chart->y_low * 4;
}

/* One line of the curve: x is how many nines, -log10(1 - share). */
static void put_curve(const struct chart *chart, const char *class,
                      const struct histogram *histogram)
{
    struct point points[128];
    double nines = 0;
    size_t count = 0;

    while (count < sizeof(points) / sizeof(points[0]) && nines <= chart->x_high + 1e-9) {
        points[count].x = nines;
        points[count].y = (double)histogram_at(histogram, 1 - pow(10, -nines));
        nines = 0.05 * (double)++count;
    }
    chart_line(chart, class, points, count, false);
}

static void put_percentiles(FILE *out, const struct result *result)
{
    static const char *const marks[] = { "0",      "90%",     "99%",     "99.9%",
                                         "99.99%", "99.999%", "99.9999%" };
    double nines = ceil(log10((double)result->corrected.total + 1));
    struct chart chart = { .out = out, .x_high = nines < 2 ? 2 : nines > 6 ? 6 : nines };

    set_time_axis(&chart, (double)histogram_at(&result->raw, 0),
                  (double)result->corrected.most);
    (void)fprintf(out, "<h2>Latency by percentile</h2>\n<p class=\"soft\">" KEY(
                           "k1", "corrected for coordinated omission")
                           KEY("k2", "uncorrected: as this client saw it") "</p>\n");
    chart_begin(&chart, "latency by percentile, on a logarithmic axis of nines");
    for (int i = 0; i <= (int)chart.x_high; i++)
        chart_x_tick(&chart, i, marks[i]);
    put_curve(&chart, "two", &result->raw);
    put_curve(&chart, "one", &result->corrected);
    chart_end(&chart);
}

/* Where step STEP of a row begins, in nanoseconds: the inverse of row_step (collect.c). */
static double step_begin(unsigned step)
{
    return 1024 * pow(2, step / 8.0);
}

/* The steps that are used in any row, as [*FIRST, *END). */
static void used_steps(const struct result *result, unsigned *first, unsigned *end)
{
    *first = ROW_STEPS;
    *end = 0;
    for (size_t i = 0; i < result->row_count; i++) {
        for (unsigned step = 0; step < ROW_STEPS; step++) {
            if (!result->rows[i].steps[step])
                continue;
            *first = step < *first ? step : *first;
            *end = step >= *end ? step + 1 : *end;
        }
    }
}

/* How strongly a cell with SHARE of its column is shown: 0 (not at all) to HEAT_LEVELS. */
static int heat_level(double share)
{
    int level =
        (int)ceil(HEAT_LEVELS + 2.2 * log10(share)); /* a ten-thousandth still shows */

    return share <= 0 ? 0 : level < 1 ? 1 : level > HEAT_LEVELS ? HEAT_LEVELS : level;
}

/* All cells of LEVEL; each column is WIDTH rows of RESULT. */
static void put_heat_level(const struct chart *chart, const struct result *result,
                           int level, size_t width, unsigned first, unsigned end)
{
    for (size_t at = 0; at < result->row_count; at += width) {
        size_t last = at + width < result->row_count ? at + width : result->row_count;
        double from = at ? result->rows[at - 1].seconds : 0;
        uint64_t total = 0;

        for (size_t i = at; i < last; i++) {
            for (unsigned step = first; step < end; step++)
                total += result->rows[i].steps[step];
        }
        for (unsigned step = first; step < end; step++) {
            uint64_t count = 0;
            for (size_t i = at; i < last; i++)
                count += result->rows[i].steps[step];
            if (count && heat_level((double)count / (double)total) == level)
                chart_cell(chart, from, result->rows[last - 1].seconds, step_begin(step),
                           step_begin(step + 1));
        }
    }
}

static void put_heat(FILE *out, const struct result *result)
{
    size_t width = result->row_count / HEAT_COLUMNS + 1;
    struct chart chart = { .out = out };
    unsigned first, end;
    char class[16];

    used_steps(result, &first, &end);
    if (first >= end)
        return;
    chart.x_high = result->rows[result->row_count - 1].seconds;
    set_time_axis(&chart, step_begin(first), step_begin(end));
    (void)fprintf(out,
                  "<h2>Latency over time</h2>\n<p class=\"soft\">corrected; the stronger "
                  "the colour, the more of them at that moment</p>\n<style>");
    for (int level = 1; level <= HEAT_LEVELS; level++)
        (void)fprintf(out, ".h%d{fill:rgba(var(--heat),%.2f)}", level,
                      0.06 + 0.94 * pow((double)level / HEAT_LEVELS, 2));
    (void)fprintf(out, "</style>\n");
    chart_begin(&chart, "latency over time, as a heat map");
    chart_seconds(&chart);
    for (int level = 1; level <= HEAT_LEVELS; level++) {
        (void)snprintf(class, sizeof(class), "h%d", level);
        chart_path_begin(&chart, class);
        put_heat_level(&chart, result, level, width, first, end);
        chart_path_end(&chart);
    }
    chart_end(&chart);
}

/* METRIC over time, as steps. */
static void put_over_time(const struct chart *chart, const char *class,
                          const struct result *result, enum metric metric)
{
    struct point *points = calloc(result->row_count + 1, sizeof(*points));
    size_t count = 1;

    if (!points)
        return; /* a line less on the page */
    for (size_t i = 0; i < result->row_count; i++) {
        double value = result->rows[i].figures.values[metric];
        points[count++] =
            (struct point){ result->rows[i].seconds, value > 0 ? value : 0 };
    }
    points[0] = (struct point){ 0, points[1].y };
    for (size_t i = 1; i + 1 < count; i++)
        points[i].y = points[i + 1].y; /* steps hold until the next point */
    if (strcmp(class, "one") == 0)
        chart_area(chart, points, count);
    chart_line(chart, class, points, count, true);
    free(points);
}

static double highest(const struct result *result, enum metric metric)
{
    double most = 0;

    for (size_t i = 0; i < result->row_count; i++) {
        if (result->rows[i].figures.values[metric] > most)
            most = result->rows[i].figures.values[metric];
    }
    return most;
}

static void put_throughput(FILE *out, const struct plan *plan,
                           const struct result *result)
{
    bool bulk = !plan->mode->has_latency;
    enum metric one = bulk ? METRIC_OUT : METRIC_RATE;
    struct chart chart = { .out = out, .y_text = bulk ? bytes_mark : rate_mark };
    double most = highest(result, one);

    if (bulk && highest(result, METRIC_IN) > most)
        most = highest(result, METRIC_IN);
    chart.x_high = result->rows[result->row_count - 1].seconds;
    chart.y_high = most > 0 ? most * 1.1 : 1;
    for (chart.y_unit = 1; bulk && chart.y_high > 1024 * chart.y_unit;)
        chart.y_unit *= 1024; /* KiB, MiB, GiB */
    (void)fprintf(out, "<h2>Throughput over time</h2>\n<p class=\"soft\">%s</p>\n",
                  bulk ? KEY("k1", "sent and acknowledged") KEY("k2", "received")
                       : plan->mode->unit);
    chart_begin(&chart, "throughput over time");
    chart_seconds(&chart);
    put_over_time(&chart, "one", result, one);
    if (bulk)
        put_over_time(&chart, "two", result, METRIC_IN);
    chart_end(&chart);
}

/* ---- the page ---- */

/* A fact whose VALUE is given by PUT. */
static void put_fact(FILE *out, const char *name, const char *value,
                     void (*put)(FILE *out, const char *text))
{
    (void)fprintf(out, "<tr><td>%s</td><td>", name);
    put(out, value);
    (void)fprintf(out, "</td></tr>\n");
}

static void put_facts(FILE *out, const struct plan *plan, const struct result *result)
{
    char text[400];
    const char *name;

    (void)fprintf(out, "<h2>How it was measured</h2>\n<table class=\"facts\">\n");
    put_fact(out, "tenon", TENON_VERSION, put_text);
    put_fact(out, "driver", result->driver, put_text);
    put_fact(out, "connected to", result->addr, put_text);
    (void)snprintf(text, sizeof(text),
                   "%u, from %u thread%s; the busiest ran %.0f%% of the time",
                   plan->connections, plan->threads, plan->threads == 1 ? "" : "s",
                   100 * result->busy);
    put_fact(out, "connections", text, put_figure);
    if (plan->mode->has_latency) {
        (void)snprintf(text, sizeof(text), "%" PRIu64 " %s", result->done,
                       plan->mode->unit);
        put_fact(out, "counted", text, put_figure);
    }
    for (unsigned i = 0; (name = machine_fact(i, text, sizeof(text))) != NULL; i++)
        put_fact(out, name, text, put_text);
    (void)fprintf(out, "</table>\n");
}

static void put_head(FILE *out, const struct plan *plan, const struct result *result)
{
    time_t now = time(NULL);
    struct tm parts;
    char text[1000], day[40];

    (void)gmtime_r(&now, &parts);
    (void)strftime(day, sizeof(day), "%Y-%m-%d %H:%M UTC", &parts);
    (void)fprintf(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
        "<title>tenon bench %s ",
        plan->mode->name);
    put_text(out, plan->where.name);
    (void)fprintf(out,
                  "</title>\n<style>%s</style></head>\n<body>\n<h1>tenon bench %s <span "
                  "class=\"soft\">",
                  style, plan->mode->name);
    put_text(out, plan->where.name);
    (void)fprintf(
        out,
        "</span></h1>\n<p class=\"soft\">%s, %.1f s after %.1f s of warm-up</p>\n"
        "<p><code>",
        day, (double)result->length / 1e9, (double)plan->warmup / 1e9);
    put_text(out, machine_command(text, sizeof(text)));
    (void)fprintf(out, "</code></p>\n");
}

static void put_page(FILE *out, const struct plan *plan, const struct result *result,
                     const struct warnings *warnings)
{
    put_head(out, plan, result);
    put_tiles(out, plan, result);
    for (int i = 0; i < warnings->count; i++) {
        (void)fprintf(out, "<p class=\"warn\">");
        put_text(out, warnings->text[i]);
        (void)fprintf(out, "</p>\n");
    }
    if (plan->mode->has_latency) {
        put_latency_table(out, result);
        put_percentiles(out, result);
        put_heat(out, result);
    }
    put_throughput(out, plan, result);
    put_facts(out, plan, result);
    (void)fprintf(out, "</body></html>\n");
}

int html_check(const char *file)
{
    /* Made to see whether it can be, and gone again: a run that fails leaves no page. */
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    bool made = fd >= 0;

    if (!made && errno == EEXIST)
        fd = open(file, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno != ENXIO) /* a pipe whose reader is still to come */
        return report_error(EXIT_OUTPUT, "open", file, "%s", strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    if (made)
        (void)unlink(file);
    return 0;
}

int html_write(const char *file, const struct plan *plan, const struct result *result,
               const struct warnings *warnings)
{
    FILE *out = fopen(file, "we");
    bool fine;

    if (!out)
        return report_error(EXIT_OUTPUT, "open", file, "%s", strerror(errno));
    put_page(out, plan, result, warnings);
    fine = ferror(out) == 0;
    if (fclose(out) == 0 && fine)
        return 0;
    return report_error(EXIT_OUTPUT, "write", file, "%s", strerror(errno));
}
