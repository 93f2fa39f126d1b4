/* SPDX-License-Identifier: MIT */
/*
 * fault.h -- what a relay does to the bytes that pass, each direction by itself.
 *
 *      [up:|down:]KIND        up: what clients send; neither: both directions
 *
 *      latency=200ms          bytes leave so much later; latency=200ms+-50ms, or with ±:
 *                             by a random time between 150 and 250 ms, in their order
 *      rate=64k               bytes a second
 *      slice=100@5ms          in pieces of 100 bytes, 5 ms apart (@... may be left out)
 *      reset@5%               5 of 100 clients are reset, somewhere in their first 64 KiB
 *      blackhole              bytes are taken and thrown away, and so is the end
 *      halfopen               nothing is taken, nothing passes, nothing is noticed
 *      off                    none of these
 */
#ifndef TENON_CLI_FAULT_H
#define TENON_CLI_FAULT_H

#include "options.h"

struct fault {
    int64_t latency, jitter;
    int64_t rate; /* bytes a second; 0: any */
    int64_t slice, slice_gap;
    int64_t resets;     /* of a million clients */
    bool either_resets; /* they are drawn once for both directions */
    bool blackhole, halfopen;
};

/* fault_read -- set in BOTH (UP, DOWN) what TEXT asks for.  NULL, or what is wrong with it. */
const char *fault_read(const char *text, struct fault both[2]);

/* fault_text -- what FAULT does, as fault_read reads it but for the direction, in BUF. */
const char *fault_text(const struct fault *fault, char *buf, size_t size);

/* fault_is_none -- whether FAULT does nothing. */
bool fault_is_none(const struct fault *fault);

#endif
