/* SPDX-License-Identifier: MIT */
/*
 * run.h -- run scripts in forked children, and keep what they recorded.
 */
#ifndef CALLS_RUN_H
#define CALLS_RUN_H

#include "calls.h"

enum outcome {
    OUTCOME_RAN,
    OUTCOME_SKIPPED,
    OUTCOME_FAILED, /* a set-up step failed, it crashed, it took too long, it said nothing */
};

struct result {
    enum outcome outcome;
    char *trace; /* on the heap: all actors' notes */
    int interruptions;
    char why[160];
};

/* Runs every script of LIST each of the COUNT ways, JOBS at a time.  RESULTS has room for
 * list->count * COUNT, a script's ways side by side.  False when it could not go on. */
bool run_all(const struct script_list *list, const struct way *const *ways, size_t count,
             int jobs, enum storm storm, struct result *results);

/* The storm, for one thread: called by each way in the thread that makes ME's calls. */
void storm_begin(struct actor *me);

#endif /* CALLS_RUN_H */
