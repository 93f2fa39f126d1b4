/* SPDX-License-Identifier: MIT */
/*
 * outlet.h -- where one file arrives when it is to go to standard output, as it comes.
 *
 * What has been written cannot be taken back: a sender that returns goes on behind it, if
 * it has the same beginning, and no other file may follow.
 */
#ifndef TENON_CLI_TRANSFER_OUTLET_H
#define TENON_CLI_TRANSFER_OUTLET_H

#include "local.h"
#include "store.h"

struct outlet {
    struct local end;
    bool busy;     /* a session writes */
    bool whole;    /* all of the file is written, and was what the sender has */
    bool begun;    /* it is for the file of `name` and `size`, from its first byte on */
    char *name;    /* NAME_MOST + 1 bytes */
    uint64_t size; /* as offered, or SIZE_UNKNOWN */
    uint64_t written;
    struct digest *digest; /* of that; while a session writes, that of its arrival */
};

/* outlet_open -- standard output, with nothing written to it; false without memory. */
bool outlet_open(struct outlet *outlet);

/* outlet_close -- free what outlet_open took. */
void outlet_close(struct outlet *outlet);

/* place_outlet -- the place of a store that has an outlet. */
extern const struct place place_outlet;

#endif
