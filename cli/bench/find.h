/* SPDX-License-Identifier: MIT */
/*
 * find.h -- the highest rate at which a condition still holds.
 */
#ifndef TENON_CLI_BENCH_FIND_H
#define TENON_CLI_BENCH_FIND_H

#include "plan.h"

/* find_max -- search as --find-max says, and tell.  Returns the exit code. */
int find_max(struct plan *plan);

#endif
