/* SPDX-License-Identifier: MIT */
/*
 * services.h -- what `tenon serve` can serve, one client at a time.
 */
#ifndef TENON_CLI_SERVICES_H
#define TENON_CLI_SERVICES_H

#include <tenon.h>

#include "gate.h"
#include "view/limit.h"

/* How serving a client ended. */
enum outcome {
    OUTCOME_CLEAN,  /* all acknowledged, both sides ended */
    OUTCOME_RESET,  /* the client reset it, or vanished */
    OUTCOME_IDLE,   /* --idle-timeout */
    OUTCOME_KILLED, /* we were told to stop */
    OUTCOME_COUNT
};

struct tally {
    uint64_t in, out;
    uint64_t ended[OUTCOME_COUNT];
};

/* One client being served. */
struct service_run {
    struct tn_task *task; /* which does it, while it does */
    struct tn_conn *conn;
    int64_t idle; /* --idle-timeout */
    uint64_t in, out;
    tn_err err; /* what ended the service: TN_OK or TN_EOF in order */
    enum outcome outcome;
    tn_ending ending;
    struct limit_mark limit;
};

struct service {
    const char *name;
    void (*run)(struct service_run *run);
};

/* service_find -- the one called NAME, or NULL. */
const struct service *service_find(const char *name);

/* service_close -- end RUN's connection by the closing rule and note the outcome. */
void service_close(struct service_run *run);

/* service_tell -- report how CLIENT went, which took LENGTH. */
void service_tell(const struct service_run *run, const struct client *client,
                  int64_t length);

#endif
