/* SPDX-License-Identifier: MIT */
/*
 * ring_fault_cancel.h -- for ring_fault.c: what cancels are answered, and what became of
 * what they were to end, counted in pairs.
 */
#ifndef OS_RING_FAULT_CANCEL_H
#define OS_RING_FAULT_CANCEL_H

#include "os/ring_fault.h"

#define RING_CANCELS 256

/* A cancel under way, until both its answer and its target's last completion are known. */
struct ring_cancel {
    uint64_t target; /* 0: none */
    int answer;      /* an index of `answers`, or -1 */
    int fate;        /* enum ring_fault_fate, or -1 */
    bool partly;     /* it has moved something since */
};

/* By hashed target; a collision is not counted. */
struct ring_cancels {
    struct ring_cancel at[RING_CANCELS];
};

/* ring_cancel_begins -- one of TARGET is submitted. */
void ring_cancel_begins(struct ring_cancels *cancels, uint64_t target);

/* ring_cancel_answer -- the answer of a cancel of TARGET, by DRAWN, which is below 3. */
int32_t ring_cancel_answer(struct ring_cancels *cancels, struct ring_fault_counts *counts,
                           uint64_t target, unsigned drawn);

/* ring_cancel_notes -- a completion of a request that may be being canceled. */
void ring_cancel_notes(struct ring_cancels *cancels, struct ring_fault_counts *counts,
                       uint64_t request, int32_t result, bool last);

#endif
