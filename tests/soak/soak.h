/* SPDX-License-Identifier: MIT */
/*
 * soak.h -- what the works of the soak share: where to dial, until when, what was done.
 */
#ifndef SOAK_SOAK_H
#define SOAK_SOAK_H

#include <stdio.h>
#include <stdlib.h>

#include <tenon.h>

struct counts {
    uint64_t connections, messages, bytes, cancels;
};

struct soak {
    uint64_t random;
    int64_t round_end;
    char tcp[TN_ADDR_TEXT], unix_path[TN_ADDR_TEXT], relay[TN_ADDR_TEXT];
    struct tn_group *handlers; /* of the servers' connections */
    struct counts counts;
};

extern struct soak soak;

/* must -- end the run as failed when COND does not hold. */
#define must(cond) ((cond) ? (void)0 : soak_failed(__FILE__, __LINE__, #cond, tn_ok()))
/* must_ok -- the same, of a call that has to succeed. */
#define must_ok(call)                                                                    \
    do {                                                                                 \
        tn_err must_err = (call);                                                        \
        if (tn_failed(must_err))                                                         \
            soak_failed(__FILE__, __LINE__, #call, must_err);                            \
    } while (0)

_Noreturn void soak_failed(const char *file, int line, const char *what, tn_err err);

/* Nothing here takes that long, unless something hangs. */
#define PATIENCE tn_in(20 * TN_SECOND)

uint64_t pick(uint64_t limit);

/* ---- works.c ---- */

/* Servers: each takes connections until it is canceled. */
tn_err serve_echo(void *listener);
tn_err serve_relay(void *listener);

/* Clients: each goes on until the round is over. */
extern tn_task_fn *const clients[];
extern const unsigned client_count;

#endif
