/* SPDX-License-Identifier: MIT */
/*
 * stored.h -- a measurement read back from what bench --json=FILE wrote.
 */
#ifndef TENON_CLI_BENCH_STORED_H
#define TENON_CLI_BENCH_STORED_H

#include "figures.h"

struct stored {
    char mode[16], where[200];
    double connections, threads, asked_rate; /* below 0: not told */
    struct figures figures;                  /* of the whole time */
    struct figures *intervals;
    size_t interval_count;
};

/* stored_read -- read FILE.  Returns 0, or an exit code after a complaint. */
int stored_read(struct stored *stored, const char *file);

/* stored_release -- free its memory; one that is all zero is fine. */
void stored_release(struct stored *stored);

#endif
