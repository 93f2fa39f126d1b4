/* SPDX-License-Identifier: MIT */
/*
 * run.h -- running tasks on another system than the real one: for sim, and for tests.
 */
#ifndef TASK_RUN_H
#define TASK_RUN_H

#include <tenon/loop.h>

struct os;

/* run_on -- tn_run on OS. */
tn_err run_on(struct os *os, tn_task_fn *fn, void *arg,
              const struct tn_loop_options *options);

#endif
