/* SPDX-License-Identifier: MIT */
/*
 * hlog.h -- HdrHistogram's interval log, version 1.3: a file that its tools merge and draw.
 */
#ifndef TENON_CLI_BENCH_HLOG_H
#define TENON_CLI_BENCH_HLOG_H

#include <stdio.h>

#include "histogram.h"

/* hlog_begin -- begin FILE: a run that STARTED so many nanoseconds after the epoch. */
void hlog_begin(FILE *file, int64_t started);

/*
 * hlog_write -- a line for HISTOGRAM, taken from FROM to TO (nanoseconds after the start),
 * under TAG (NULL: none).  False without memory; what FILE does not take shows in ferror(3).
 */
bool hlog_write(FILE *file, const char *tag, int64_t from, int64_t to,
                const struct histogram *histogram);

/*
 * hlog_encode -- HISTOGRAM in HdrHistogram's compressed V2 form and base64, as a string to
 * be freed; NULL without memory.
 */
char *hlog_encode(const struct histogram *histogram);

#endif
