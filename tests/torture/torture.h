/* SPDX-License-Identifier: MIT */
/*
 * torture.h -- what a scenario of the torture is written with.
 *
 * A scenario is a task's function that uses the library as a program would: it looks at
 * every error, cleans up and returns the first one.  It is run once to count the calls
 * that can fail, and then with each of them failing.  Whatever fails, it must hold what
 * `must` says, and leave nothing behind.  That each call returned an error that its header
 * names is seen to in passing (watched.h).
 */
#ifndef TORTURE_TORTURE_H
#define TORTURE_TORTURE_H

#include <sys/types.h>

#include <tenon.h>

struct scenario {
    const char *name;
    tn_err (*run)(const struct scenario *self);
    const char *where; /* how the two ends are connected; NULL where it has none */
    tn_err (*pattern)(struct tn_conn **near, struct tn_conn **far);
    bool spares_writes; /* those to the loop's own eventfd, which cannot fail */
    bool plain; /* of <tenon/fd.h>: descriptors and memory are the scenario's own */
};

/* The tables, ended by a scenario without a name. */
extern const struct scenario conn_scenarios[];
extern const struct scenario pump_scenarios[];
extern const struct scenario task_scenarios[];
extern const struct scenario place_scenarios[];
extern const struct scenario plain_scenarios[];

/* must -- end the run as a finding when COND does not hold. */
#define must(cond) ((cond) ? (void)0 : torture_finding(__FILE__, __LINE__, #cond))

_Noreturn void torture_finding(const char *file, int line, const char *what);

/* torture_saw -- CALL returned ERR: a finding unless its header names that; gives ERR. */
tn_err torture_saw(const char *call, tn_err err);
/* torture_saw_plain -- the same of a call with errno: it must be what was injected. */
ssize_t torture_saw_plain(const char *call, ssize_t result);

/* torture_injected -- the errno that was injected last; 0: none yet. */
int torture_injected(void);

/* A limit that no run reaches unless something hangs. */
#define PATIENCE tn_in(5 * TN_SECOND)

#include "torture/watched.h"

#endif
