/* SPDX-License-Identifier: MIT */
/*
 * targets.h -- where a relay's clients go: which targets there are, how they are, and
 * whose turn it is.
 *
 * Targets come from the command line and from the file of --targets, and may come and go
 * while clients are connected: who uses one keeps it with target_take until target_drop.
 */
#ifndef TENON_CLI_TARGETS_H
#define TENON_CLI_TARGETS_H

#include <tenon.h>

#include "options.h"
#include "where.h"

enum balance { BALANCE_ROUNDROBIN, BALANCE_LEASTCONN, BALANCE_HASH };

struct target {
    struct where where;
    tn_addr addr;        /* if that is no name, else none */
    unsigned references; /* the list's, clients', the checker's */
    bool removed;        /* no more in the list */
    bool from_file;

    unsigned connections;       /* now */
    uint64_t chosen;            /* connections made, so far */
    uint64_t refused;           /* connects that failed */
    uint64_t in, out;           /* bytes from and to it, of connections that are over */
    uint64_t open_in, open_out; /* of those that are not, as relay_sum found it */

    bool up, is_checked;
    bool failing;       /* the last connect failed, and that has been told */
    unsigned streak;    /* checks in a row that say otherwise */
    int64_t connect_ns; /* how long the last connect took */
    char why[80];       /* it is down; "" */
};

struct targets {
    const struct settings *settings;
    enum balance balance;
    struct target **list;
    unsigned count;
    unsigned turn; /* of round robin */
};

/*
 * targets_prepare -- those of COUNT WORDS, and of the file that SETTINGS name.  Returns 0
 * or an exit code after a complaint.
 */
int targets_prepare(struct targets *targets, struct settings *settings,
                    const char *const *words, int count);

/*
 * targets_reload -- read the file again.  Returns 0, or an exit code after a complaint;
 * then all is as it was.
 */
int targets_reload(struct targets *targets, struct settings *settings);

/*
 * targets_choose -- whose turn it is for a client from ADDR, among those up and not one of
 * COUNT TRIED; if none of those is up, among those that are down.  NULL: no more.
 */
struct target *targets_choose(struct targets *targets, const tn_addr *addr,
                              struct target *const *tried, int count);

/* target_dial -- connect to TARGET.  As tn_dial. */
TN_MUST tn_err target_dial(const struct target *target, struct tn_conn **conn,
                           const struct tn_conn_options *options, tn_deadline deadline);

struct target *target_take(struct target *target);
void target_drop(struct target *target);

void targets_release(struct targets *targets);

/* ---- health.c ---- */

/*
 * target_answered -- a connect to TARGET took LENGTH; or failed, because of WHY.  Complains
 * of the first failure since it was last reached, and tells people when that makes it up or
 * down.
 */
void target_answered(const struct targets *targets, struct target *target, int64_t length,
                     const char *why);

/*
 * health_start -- check TARGETS for as long as they are listed, by tasks in GROUP; does
 * nothing without --check.  For those that are new since the last time.
 */
void health_start(struct targets *targets, struct tn_group *group);

#endif
