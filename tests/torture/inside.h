/* SPDX-License-Identifier: MIT */
/*
 * inside.h -- between the files of the torture: what is under way, and what was counted.
 *
 * Each worker has one struct shared, in memory that its children write and it reads when
 * one has died.
 */
#ifndef TORTURE_INSIDE_H
#define TORTURE_INSIDE_H

#include "os/fault.h"
#include "torture/torture.h"

#define PAIRS_MOST 1024

/* The passes over a scenario, one after the other. */
enum pass {
    PASS_PLAIN,  /* nothing fails; its calls are counted */
    PASS_EACH,   /* each call in turn fails in the way that is typical of it */
    PASS_MATRIX, /* each call fails with each errno that it can have */
    PASS_TWICE,  /* each call of some names, with errors that are acted on */
    PASS_COUNT
};

struct shared {
    enum pass pass;
    unsigned long step;                  /* of the pass */
    uint64_t calls_of[FAULT_CALL_COUNT]; /* in the plain run */
    char doing[96];
    char finding[256];
    unsigned long failures, findings, scenarios, kinds[TN_KIND_COUNT];
    unsigned long failed_of[FAULT_CALL_COUNT];
    unsigned injected[PAIRS_MOST], undocumented[FAULT_CALL_COUNT];
};

extern struct shared *shared;
/* What fails in the run under way. */
extern const struct fault *running;

/* One failure to be injected. */
struct wish {
    enum fault_call call;
    unsigned long nth; /* of that name; 0: nothing fails */
    int error;
};

/* torture_once -- run SCENARIO with WISH; whether it was fulfilled. */
bool torture_once(const struct scenario *scenario, const struct wish *wish);

/* ---- matrix.c ---- */

/*
 * matrix_wish -- the failure number STEP (from 0) of SCENARIO in *WISH.  false: STEP is
 * for others, or it makes no such call.
 */
bool matrix_wish(const struct scenario *scenario, unsigned long step, struct wish *wish);
/* matrix_done -- the failure number STEP was injected. */
void matrix_done(unsigned long step);
/* matrix_steps -- how many there are. */
unsigned long matrix_steps(void);
/* matrix_tell -- sum up COUNT workers; gives how many pairs were never injected. */
unsigned matrix_tell(const struct shared *workers, unsigned count);

#endif
