/* SPDX-License-Identifier: MIT */
/*
 * limits.h -- what limited a measurement on our side, or casts doubt on it, in words.
 */
#ifndef TENON_CLI_BENCH_LIMITS_H
#define TENON_CLI_BENCH_LIMITS_H

#include "run.h"

#define WARNINGS_MOST 8

struct warnings {
    char text[WARNINGS_MOST][240];
    int count;
};

/* limits_find -- WARNINGS about RESULT. */
void limits_find(const struct plan *plan, const struct result *result,
                 struct warnings *warnings);

#endif
