/* SPDX-License-Identifier: MIT */
/*
 * carry.h -- carry bytes between a connection and our own ends, both ways at once, and
 * end by the closing rule.
 *
 *      our input ends      the peer reads an end; we go on reading until it ends too
 *      the peer ends       we finish our output; on a terminal that is all, otherwise
 *                          we go on sending until our input ends
 *      anything else       the connection is reset, so that the peer cannot take our
 *                          failure for an end
 *
 * carry.c moves the bytes and keeps the facts; verdict.c says what they mean.
 */
#ifndef TENON_CLI_CARRY_H
#define TENON_CLI_CARRY_H

#include <tenon.h>

#include "local.h"
#include "options.h"
#include "where.h"

/* Why it stopped before both sides had ended. */
enum stop {
    STOP_NOT,      /* both sides ended, or the connection died */
    STOP_ENOUGH,   /* the peer ended and nobody wants to type more; or -q is over */
    STOP_MAX_TIME, /* --max-time */
    STOP_IDLE,     /* --idle-timeout */
    STOP_INPUT,    /* our input failed */
    STOP_OUTPUT,   /* our output failed */
    STOP_SIGNAL    /* we were told to: the task is canceled */
};

struct carry {
    /* what the caller gives */
    const struct settings *settings;
    const char *name;           /* of the peer, for people */
    uint64_t id;                /* of the connection, in reports */
    struct local input, output; /* no input: the peer reads an end at once, unless
                           `receive_only`: then it reads one after it has ended itself */
    bool receive_only;
    bool close_output;    /* it is a file of ours: close it before the connection ends */
    tn_deadline deadline; /* --max-time */
    int64_t started;      /* when the connection stood */

    /* the facts */
    struct tn_conn *conn;
    uint64_t received, sent; /* taken from the peer; taken by our kernel */
    uint64_t pending;        /* taken from our input, and not by the kernel */
    uint64_t undelivered;    /* taken from the peer, and not by our output */
    bool input_ended, peer_ended;
    tn_err dead; /* how the connection died, if it did */
    enum stop stop;
    int local_errno;  /* of STOP_INPUT, STOP_OUTPUT */
    int64_t acked_at; /* when all was acknowledged; 0: not known */
    tn_err closed;    /* what closing gave, with `ending` */
    tn_ending ending;
    struct tn_conn_facts tcp; /* just before it */

    /* inside */
    struct tn_group *group;
    char *block;
    bool after_cr;
    int64_t moved_at;
};

/*
 * carry_run -- carry until it is over and close CARRY->conn.  Parks.  To end it, cancel
 * the caller's task: the connection is reset.
 *
 * Errors: TN_LIMIT (memory, tasks): the connection has been aborted.
 */
TN_MUST tn_err carry_run(struct carry *carry);

/* ---- verdict.c ---- */

/* verdict -- tell what came of CARRY; returns the exit code. */
int verdict(const struct carry *carry);

#endif
