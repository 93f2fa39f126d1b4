/* SPDX-License-Identifier: MIT */
/*
 * histogram.h -- many lengths of time in little memory, with three exact digits.
 *
 * The buckets are those of HdrHistogram with 3 significant digits from 1 ns to an hour, so
 * that what is recorded here can be written in its format as it stands (hlog.h).
 */
#ifndef TENON_CLI_BENCH_HISTOGRAM_H
#define TENON_CLI_BENCH_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 2,048 steps below 2,048 ns, then 1,024 for each doubling, 31 times. */
#define HISTOGRAM_HALF_BITS 10
#define HISTOGRAM_HALF      (1u << HISTOGRAM_HALF_BITS)
#define HISTOGRAM_BUCKETS   (33 * HISTOGRAM_HALF)
#define HISTOGRAM_MOST      INT64_C(3600000000000) /* ns; longer ones count as this */

struct histogram {
    uint64_t *counts; /* HISTOGRAM_BUCKETS of them */
    uint64_t total;
    uint32_t first, end; /* only counts[first .. end) can be above 0 */
    int64_t most;        /* the longest, exactly */
    double sum;          /* of all, ns */
};

/* histogram_init -- make it empty.  False without memory. */
bool histogram_init(struct histogram *histogram);

/* histogram_release -- free its memory; one that is all zero is fine. */
void histogram_release(struct histogram *histogram);

/* histogram_clear -- empty it again. */
void histogram_clear(struct histogram *histogram);

/* histogram_add_all -- add what OTHER holds. */
void histogram_add_all(struct histogram *histogram, const struct histogram *other);

/*
 * histogram_add_corrected -- add what OTHER holds and, for each length above twice
 * EXPECTED, the ones that a client asking every EXPECTED would have seen in its shadow:
 * length - EXPECTED, length - 2 * EXPECTED ... (coordinated omission).
 */
void histogram_add_corrected(struct histogram *histogram, const struct histogram *other,
                             int64_t expected);

/* histogram_at -- the length that the SHARE (0 to 1) of all do not exceed; 0 if empty. */
int64_t histogram_at(const struct histogram *histogram, double share);

/* histogram_mean -- 0 if empty. */
double histogram_mean(const struct histogram *histogram);

/* histogram_bucket_end -- the longest length in bucket INDEX. */
int64_t histogram_bucket_end(uint32_t index);

/* histogram_bucket -- the bucket of LENGTH. */
static inline uint32_t histogram_bucket(int64_t length)
{
    uint64_t value = (uint64_t)length;
    unsigned shift = 63 - HISTOGRAM_HALF_BITS -
                     (unsigned)__builtin_clzll(value | (2 * HISTOGRAM_HALF - 1));

    return (shift << HISTOGRAM_HALF_BITS) + (uint32_t)(value >> shift);
}

/* histogram_add -- COUNT times LENGTH, in nanoseconds. */
static inline void histogram_add(struct histogram *histogram, int64_t length,
                                 uint64_t count)
{
    int64_t kept = length < 0 ? 0 : length > HISTOGRAM_MOST ? HISTOGRAM_MOST : length;
    uint32_t bucket = histogram_bucket(kept);

    histogram->counts[bucket] += count;
    histogram->total += count;
    histogram->sum += (double)kept * (double)count;
    if (bucket < histogram->first)
        histogram->first = bucket;
    if (bucket >= histogram->end)
        histogram->end = bucket + 1;
    if (kept > histogram->most)
        histogram->most = kept;
}

#endif
