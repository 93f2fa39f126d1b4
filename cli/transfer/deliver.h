/* SPDX-License-Identifier: MIT */
/*
 * deliver.h -- one session with a receiver, as the sender sees it; and what is known
 * across sessions.
 */
#ifndef TENON_CLI_TRANSFER_DELIVER_H
#define TENON_CLI_TRANSFER_DELIVER_H

#include "plan.h"

struct delivery {
    /* what the caller gives; `wire.conn` anew for each session */
    struct wire wire;
    const struct plan *plan;
    const char *token; /* NULL: none */
    const char *where; /* the receiver, for people */

    /* what is known */
    size_t next;         /* entry: those before it have their receipts */
    uint64_t files;      /* with a receipt */
    uint64_t done_bytes; /* of those */
    uint64_t covered;    /* that and what the receiver has of the next one, so far */
    uint64_t confirmed;  /* as much of it as the receiver has said itself */
    uint64_t moved;      /* bytes of data, sent in all sessions */
    bool finished;       /* both sides say so */
    bool stdin_taken;    /* and cannot be read again */

    /* inside */
    uint64_t session_files, session_bytes;
};

/*
 * deliver -- greet, offer what has no receipt, and close.  Parks.
 *
 * Errors: those of the wire.
 */
TN_MUST tn_err deliver(struct delivery *delivery);

#endif
