/* SPDX-License-Identifier: MIT */
/*
 * receive.h -- one sender's session, as the receiver sees it.
 */
#ifndef TENON_CLI_TRANSFER_RECEIVE_H
#define TENON_CLI_TRANSFER_RECEIVE_H

#include "store.h"

struct session {
    struct wire wire;
    const struct store *store;
    const char *token;  /* NULL: none */
    const char *where;  /* the sender, for people */
    uint64_t *received; /* of all sessions, for the meter */

    bool greeted; /* it is a sender, and may be here */
    bool finished;
    uint64_t files, bytes; /* with a receipt; that came */
    struct offer offer;
};

/*
 * receive -- greet, take what is offered, and close.  Parks.  GREETED(ARG), which does not
 * park, is called once it is known that this is a sender who may be here.
 *
 * Errors: those of the wire.  `finished` says that it is all there.
 */
TN_MUST tn_err receive(struct session *session, void (*greeted)(void *arg), void *arg);

#endif
