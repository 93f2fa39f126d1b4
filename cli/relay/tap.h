/* SPDX-License-Identifier: MIT */
/*
 * tap.h -- watching what passes a relay: --hex on standard output, --record into a file.
 */
#ifndef TENON_CLI_TAP_H
#define TENON_CLI_TAP_H

#include <stdio.h>

#include <tenon.h>

#include "options.h"

/* What is watched, and how; see tap_is_on. */
struct tap {
    FILE *record; /* NULL: none */
    bool hex;
    int64_t started;
    int error; /* errno of what failed; 0 */
};

static inline bool tap_is_on(const struct tap *tap)
{
    return tap->hex || tap->record;
}

struct relay;
struct link;
struct flow;

/* tap_open -- begin to watch as RELAY's settings say.  Returns 0 or an exit code. */
int tap_open(struct relay *relay);

/* tap_close -- write what is left.  Returns 0, or an exit code after a complaint. */
int tap_close(struct relay *relay);

/* What happens, in the order in which it does.  Bytes are told as they are taken.  Errors:
 * TN_SYSTEM, TN_LIMIT: the output has failed, which ends the relay's connections. */
void tap_begin(const struct link *link);
TN_MUST tn_err tap_bytes(const struct flow *flow, const void *data, size_t size);
void tap_end(const struct flow *flow);
void tap_over(const struct link *link);

#endif
