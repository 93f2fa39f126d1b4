/* SPDX-License-Identifier: MIT */
/*
 * tell.h -- a measurement for people, on standard output, and for programs, as JSON.
 */
#ifndef TENON_CLI_BENCH_TELL_H
#define TENON_CLI_BENCH_TELL_H

#include "limits.h"
#include "run.h"

/* What is told while it runs. */
extern const struct watcher tell_watcher;

/* tell_result -- the figures and the WARNINGS. */
void tell_result(const struct plan *plan, const struct result *result,
                 const struct warnings *warnings);

#endif
