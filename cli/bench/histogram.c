/* SPDX-License-Identifier: MIT */
/*
 * histogram.c -- adding, asking and correcting; see histogram.h.
 *
 * Always true: total is the sum of counts, and all of it lies in [first, end).
 */
#include "histogram.h"

#include <stdlib.h>
#include <string.h>

bool histogram_init(struct histogram *histogram)
{
    memset(histogram, 0, sizeof(*histogram));
    histogram->counts = calloc((size_t)HISTOGRAM_BUCKETS, sizeof(histogram->counts[0]));
    histogram->first = HISTOGRAM_BUCKETS;
    return histogram->counts != NULL;
}

void histogram_release(struct histogram *histogram)
{
    free(histogram->counts);
    histogram->counts = NULL;
}

void histogram_clear(struct histogram *histogram)
{
    uint64_t *counts = histogram->counts;

    if (histogram->end > histogram->first)
        memset(counts + histogram->first, 0,
               (histogram->end - histogram->first) * sizeof(counts[0]));
    memset(histogram, 0, sizeof(*histogram));
    histogram->counts = counts;
    histogram->first = HISTOGRAM_BUCKETS;
}

void histogram_add_all(struct histogram *histogram, const struct histogram *other)
{
    for (uint32_t i = other->first; i < other->end; i++)
        histogram->counts[i] += other->counts[i];
    histogram->total += other->total;
    histogram->sum += other->sum;
    if (other->first < histogram->first)
        histogram->first = other->first;
    if (other->end > histogram->end)
        histogram->end = other->end;
    if (other->most > histogram->most)
        histogram->most = other->most;
}

void histogram_add_corrected(struct histogram *histogram, const struct histogram *other,
                             int64_t expected)
{
    histogram_add_all(histogram, other);
    if (expected <= 0)
        return;
    for (uint32_t i = other->first; i < other->end; i++) {
        uint64_t count = other->counts[i];
        int64_t length = count ? histogram_bucket_end(i) : 0;

        if (length > other->most)
            length = other->most;
        for (length -= expected; length >= expected; length -= expected)
            histogram_add(histogram, length, count);
    }
}

int64_t histogram_bucket_end(uint32_t index)
{
    uint32_t shift = index >> HISTOGRAM_HALF_BITS;
    uint64_t step = index & (HISTOGRAM_HALF - 1);

    if (shift > 0) { /* the first two halves are one row of steps */
        shift--;
        step += HISTOGRAM_HALF;
    }
    return (int64_t)(((step + 1) << shift) - 1);
}

int64_t histogram_at(const struct histogram *histogram, double share)
{
    double exact = share * (double)histogram->total;
    uint64_t wanted = (uint64_t)exact, seen = 0;

    if ((double)wanted < exact || wanted == 0)
        wanted++; /* the first length that covers the whole share */
    for (uint32_t i = histogram->first; i < histogram->end; i++) {
        seen += histogram->counts[i];
        if (seen >= wanted) {
            int64_t length = histogram_bucket_end(i);
            return length < histogram->most ? length : histogram->most;
        }
    }
    return histogram->most;
}

double histogram_mean(const struct histogram *histogram)
{
    return histogram->total ? histogram->sum / (double)histogram->total : 0;
}
