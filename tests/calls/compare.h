/* SPDX-License-Identifier: MIT */
/*
 * compare.h -- run scripts, compare what they recorded, print what differs.
 */
#ifndef CALLS_COMPARE_H
#define CALLS_COMPARE_H

#include "matrix.h"
#include "run.h"

enum { WAYS_MAX = 4 };

struct options {
    const struct way *ways[WAYS_MAX];
    size_t way_count;
    const char *pattern;
    int jobs;
    enum storm storm;
    bool sample, list, matrix, verbose;
};

/* Returns the exit status.  Ways that this system refuses are left out, with a line. */
int run_and_compare(const struct script_list *list, struct options *options);

#endif /* CALLS_COMPARE_H */
