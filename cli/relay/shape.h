/* SPDX-License-Identifier: MIT */
/*
 * shape.h -- a direction of a relay whose bytes are looked at, held up or spoilt.
 *
 * Where tn_pump takes the shortest way, this takes the bytes through memory of ours: read,
 * look, queue until they are due, write.  What is queued survives a change of the fault.
 */
#ifndef TENON_CLI_SHAPE_H
#define TENON_CLI_SHAPE_H

#include <tenon.h>

#include "relay/fault.h"

/* Bytes that came together and leave together. */
struct piece {
    struct piece *next;
    int64_t due;
    size_t size, done;
    char data[];
};

struct shape {
    struct piece *first, **last;
    size_t queued;         /* bytes; at most SHAPE_MOST more are read ahead */
    uint64_t taken, given; /* as tn_pump counts */
    int64_t last_due;      /* of the piece that was queued last */
    int64_t free_at;       /* when the line has sent what it is sending */
    int64_t end_due;       /* of the source's end; 0: it has not ended */
    bool ended;            /* that has been passed on */
    tn_err err;            /* what has gone wrong, */
    uint8_t failed;        /* and at which side: enum tn_pump_side */
    uint64_t reset_at;     /* reset when so many bytes have been taken; 0: never */
    bool drawn;            /* it has been decided whether */
};

struct flow;

/*
 * shape_run -- move bytes in FLOW's direction, as its fault and its taps want, until it
 * ends; or until neither is there any more and nothing is queued: then TN_OK with
 * shape->ended false.  Errors: as tn_pump, with shape->failed.
 */
tn_err shape_run(struct flow *flow);

/* shape_wanted -- whether FLOW cannot take the shortest way. */
bool shape_wanted(const struct flow *flow);

void shape_release(struct shape *shape);

#endif
