/* SPDX-License-Identifier: MIT */
/*
 * collect.c -- taking in what the workers have counted.
 *
 * Slice number N is taken in once every worker has delivered it, so that an interval is
 * the same piece of time for all.  Slices of the warm-up are dropped.
 *
 * Without a schedule (rr, cps) the corrected latencies are made here: a client that had
 * asked at its usual pace would have seen what HdrHistogram's correction adds, and the
 * usual pace is the median so far.
 *
 * Always true: a row is one piece of the measured time, an interval so many rows.
 */
#include "collect.h"

#include <stdlib.h>
#include <string.h>

#include "hlog.h"

static uint32_t row_step(int64_t length)
{
    uint64_t us8 = (uint64_t)length >> 7; /* about eighths of a microsecond: 8 is 1 us */
    unsigned doubling;
    uint32_t step;

    if (us8 < 8)
        return 0;
    doubling = 63 - (unsigned)__builtin_clzll(us8);
    step = (doubling - 3) * 8 + (uint32_t)(us8 >> (doubling - 3)) - 8;
    return step < ROW_STEPS ? step : ROW_STEPS - 1;
}

static void fill_row(struct row *row, const struct histogram *corrected)
{
    for (uint32_t i = corrected->first; i < corrected->end; i++) {
        if (corrected->counts[i]) {
            uint64_t count =
                row->steps[row_step(histogram_bucket_end(i))] + corrected->counts[i];
            row->steps[row_step(histogram_bucket_end(i))] =
                count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
        }
    }
}

/* As many rows and intervals as the measured time has. */
static size_t row_room(const struct plan *plan)
{
    return (size_t)(plan->duration / plan->slice) + 1;
}

static size_t interval_room(const struct plan *plan)
{
    return (size_t)(plan->duration / plan->interval) + 1;
}

static void finish_interval(struct collector *collector)
{
    struct result *result = collector->result;
    struct figures *figures = &result->intervals[result->interval_count];
    int64_t from = collector->interval_from - collector->began;
    int64_t to = collector->interval_to - collector->began;

    if (to <= from || result->interval_count == interval_room(collector->plan))
        return; /* the clock has not moved on since the last one */
    collector->parts.length = to - from;
    figures_make(figures, &collector->parts);
    result->interval_count++;
    if (collector->watcher)
        collector->watcher->interval(collector->plan, figures, (double)from / 1e9,
                                     (double)to / 1e9);
    if (collector->hlog && collector->plan->mode->has_latency &&
        (!hlog_write(collector->hlog, NULL, from, to, &collector->corrected) ||
         !hlog_write(collector->hlog, "uncorrected", from, to, &collector->raw)))
        collector->broken = true;
    histogram_clear(&collector->raw);
    histogram_clear(&collector->corrected);
    collector->parts.done = collector->parts.in = collector->parts.out = 0;
    collector->parts.ran = 0;
    collector->interval_from = collector->interval_to;
}

/* One slice of one worker, in the measured time, into the sums. */
static void add_slice(struct collector *collector, struct slice *slice)
{
    struct result *result = collector->result;

    collector->parts.done += slice->done;
    collector->parts.in += slice->in;
    collector->parts.out += slice->out;
    collector->parts.ran += slice->ran;
    result->done += slice->done;
    result->in += slice->in;
    result->out += slice->out;
    result->ran += slice->ran;
    collector->busy_ns[slice->worker] += (double)slice->ran;
    collector->starved_ns[slice->worker] += (double)slice->waited;
    if (slice->to > collector->interval_to)
        collector->interval_to = slice->to;
}

/* All workers' slices of one piece of time: RAW and CORRECTED, the first one's, get all. */
static void add_latencies(struct collector *collector, struct histogram *raw,
                          struct histogram *corrected)
{
    struct result *result = collector->result;

    histogram_add_all(&result->raw, raw);
    histogram_add_all(&collector->raw, raw);
    if (!collector->plan->rate)
        histogram_add_corrected(corrected, raw, histogram_at(&result->raw, 0.5));
    histogram_add_all(&result->corrected, corrected);
    histogram_add_all(&collector->corrected, corrected);
}

/* Everybody's first slices as one, in the first one's histograms, and its PARTS. */
static void merge_firsts(struct collector *collector, struct figure_parts *parts)
{
    struct slice *whole = collector->queues[0].first;
    bool has_latency = collector->plan->mode->has_latency;

    parts->is_bulk = collector->parts.is_bulk;
    parts->length = whole->to - whole->from;
    for (unsigned i = 0; i < collector->plan->threads; i++) {
        struct slice *slice = collector->queues[i].first;

        add_slice(collector, slice);
        parts->done += slice->done;
        parts->in += slice->in;
        parts->out += slice->out;
        parts->ran += slice->ran;
        if (i > 0 && has_latency) {
            histogram_add_all(&whole->raw, &slice->raw);
            histogram_add_all(&whole->corrected, &slice->corrected);
        }
    }
    if (!has_latency)
        return;
    add_latencies(collector, &whole->raw, &whole->corrected);
    parts->raw = &whole->raw;
    parts->corrected = &whole->corrected;
}

/* Everybody's first slices, of the measured time: a row, and maybe an interval's end. */
static void take_firsts(struct collector *collector)
{
    struct result *result = collector->result;
    const struct slice *whole = collector->queues[0].first;
    struct figure_parts parts = { .raw = NULL };
    struct row *row = &result->rows[result->row_count];

    if (result->row_count == row_room(collector->plan))
        return; /* which no worker sends */
    result->row_count++;
    merge_firsts(collector, &parts);
    if (parts.corrected)
        fill_row(row, parts.corrected);
    figures_make(&row->figures, &parts);
    row->seconds = (double)(whole->to - collector->began) / 1e9;
    result->length += parts.length;
    if (whole->last || result->row_count % (size_t)(collector->plan->interval /
                                                    collector->plan->slice) ==
                           0)
        finish_interval(collector);
}

static void drop_firsts(struct collector *collector)
{
    for (unsigned i = 0; i < collector->plan->threads; i++) {
        struct slice *slice = collector->queues[i].first;

        collector->queues[i].first = slice->next;
        if (!slice->next)
            collector->queues[i].end = &collector->queues[i].first;
        slice_free(slice);
    }
}

static bool has_firsts(const struct collector *collector)
{
    for (unsigned i = 0; i < collector->plan->threads; i++) {
        if (!collector->queues[i].first)
            return false;
    }
    return true;
}

void collector_take(struct collector *collector, struct slice *slice)
{
    struct queue *queue = &collector->queues[slice->worker];

    *queue->end = slice;
    queue->end = &slice->next;
    for (; has_firsts(collector); drop_firsts(collector)) {
        if (collector->taken++ * collector->plan->slice < collector->plan->warmup)
            continue;
        if (!collector->began) {
            collector->began = collector->queues[0].first->from;
            collector->interval_from = collector->began;
        }
        take_firsts(collector);
    }
}

/* The busiest worker, and the one that waited most for a core. */
static void find_busiest(const struct collector *collector)
{
    struct result *result = collector->result;
    double length = result->length > 0 ? (double)result->length : 1;

    for (unsigned i = 0; i < collector->plan->threads; i++) {
        if (collector->busy_ns[i] / length > result->busy)
            result->busy = collector->busy_ns[i] / length;
        if (collector->starved_ns[i] / length > result->starved)
            result->starved = collector->starved_ns[i] / length;
    }
}

void collector_finish(struct collector *collector)
{
    struct result *result = collector->result;
    bool has_latency = collector->plan->mode->has_latency;
    struct figure_parts parts = {
        .raw = has_latency ? &result->raw : NULL,
        .corrected = has_latency ? &result->corrected : NULL,
        .done = result->done,
        .in = result->in,
        .out = result->out,
        .length = result->length,
        .ran = result->ran,
        .is_bulk = collector->parts.is_bulk,
    };

    figures_make(&result->figures, &parts);
    find_busiest(collector);
}

bool collector_open(struct collector *collector, const struct plan *plan,
                    struct result *result)
{
    unsigned threads = plan->threads;

    collector->plan = plan;
    collector->result = result;
    collector->queues = calloc(threads, sizeof(collector->queues[0]));
    collector->busy_ns = calloc(2 * (size_t)threads, sizeof(collector->busy_ns[0]));
    result->rows = calloc(row_room(plan), sizeof(result->rows[0]));
    result->intervals = calloc(interval_room(plan), sizeof(result->intervals[0]));
    if (!collector->queues || !collector->busy_ns || !result->rows ||
        !result->intervals || !histogram_init(&collector->raw) ||
        !histogram_init(&collector->corrected) || !histogram_init(&result->raw) ||
        !histogram_init(&result->corrected))
        return false;
    collector->starved_ns = collector->busy_ns + threads;
    for (unsigned i = 0; i < threads; i++)
        collector->queues[i].end = &collector->queues[i].first;
    collector->parts.is_bulk = plan->block != NULL;
    if (plan->mode->has_latency) {
        collector->parts.raw = &collector->raw;
        collector->parts.corrected = &collector->corrected;
    }
    return true;
}

void collector_close(struct collector *collector)
{
    for (unsigned i = 0; collector->queues && i < collector->plan->threads; i++) {
        while (collector->queues[i].first) {
            struct slice *slice = collector->queues[i].first;
            collector->queues[i].first = slice->next;
            slice_free(slice);
        }
    }
    histogram_release(&collector->raw);
    histogram_release(&collector->corrected);
    free(collector->queues);
    free(collector->busy_ns);
}
