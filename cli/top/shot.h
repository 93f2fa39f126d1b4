/* SPDX-License-Identifier: MIT */
/*
 * shot.h -- what one server answered to "view", taken apart.
 */
#ifndef TENON_CLI_SHOT_H
#define TENON_CLI_SHOT_H

#include <tenon.h>

#include "view/view.h"

/* Targets that are kept; further ones are counted. */
#define SHOT_TARGETS 16

struct shot_target {
    char name[80], why[80];
    bool up;
    uint64_t connections, chosen, refused;
    int64_t connect_us;
};

struct shot_row {
    char where[80], target[80], limited[24], trend[PACE_LOOKS + 1];
    uint64_t id, in_rate, out_rate, rtt_us, retrans, unacked, percent;
    int64_t age_ms;
};

struct shot {
    /* the process */
    char name[48], kind[16], addr[80], up_fault[120], down_fault[120];
    bool draining;
    int64_t age_ms;
    uint64_t pid, clients, connected, in, out, in_rate, out_rate;
    /* its targets */
    struct shot_target targets[SHOT_TARGETS];
    uint64_t target_count, targets_up;
    /* its clients */
    uint64_t matched; /* by the filter */
    struct shot_row rows[VIEW_ROWS_MOST];
    size_t row_count;
    /* the answer */
    bool ok;
    char why[120];
};

/* shot_command -- the line that asks for REQUEST, in LINE. */
const char *shot_command(const struct view_request *request, char line[120]);

/* shot_see -- the object LINE of an answer belongs to the shot ARG. */
void shot_see(void *arg, const char *line);

#define SHOT_PATIENCE (2 * TN_SECOND) /* with a server that does not answer */

/* shot_take -- ask the server NAME for REQUEST.  As ask. */
TN_MUST tn_err shot_take(struct shot *shot, const char *name,
                         const struct view_request *request);

#endif
