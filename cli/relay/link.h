/* SPDX-License-Identifier: MIT */
/*
 * link.h -- one client of a relay: its two connections, and what passes between them.
 */
#ifndef TENON_CLI_LINK_H
#define TENON_CLI_LINK_H

#include <tenon.h>

#include "gate.h"
#include "relay/shape.h"
#include "relay/targets.h"
#include "view/limit.h"

struct relay;
struct link;

/* The ends of a link, and its directions by where they come from. */
enum { CLIENT, TARGET, UP = CLIENT, DOWN = TARGET };

/* How a link ended. */
enum link_end {
    LINK_EOF,       /* both sides ended, and have all bytes */
    LINK_RESET,     /* one side reset it, so the other was reset as well */
    LINK_TIMEOUT,   /* one side's host does not answer: likewise */
    LINK_IDLE,      /* --idle-timeout, --fin-timeout */
    LINK_KILLED,    /* we were told to */
    LINK_UNREACHED, /* no target could be reached */
    LINK_FAULT,     /* reset by --fault */
    LINK_ERROR,     /* we failed */
    LINK_ENDS
};

enum link_state { LINK_CONNECTING, LINK_OPEN, LINK_CLOSING };

/* One direction. */
struct flow {
    struct link *link;
    int side; /* where it comes from */
    struct tn_pump pump;
    struct shape shape;
    tn_err err;
    bool done;
};

struct link {
    struct relay *relay;
    struct client *client;
    struct target *target;   /* NULL until one is reached */
    struct tn_conn *conn[2]; /* by end; NULL: not there, or gone */
    struct flow flow[2];     /* by direction */
    struct tn_group *group;  /* of the flows, while they run */
    enum link_state state;
    enum link_end end;
    bool stopped;  /* by us; `end` says why */
    bool changing; /* the flows are to begin again, as the faults have changed */
    bool lasting;  /* old enough for keepalive at the target's end: relay_last */
    int cut;       /* which end died, or -1 */
    int64_t started, opened, moved_at;
    uint64_t seen;               /* bytes, when last looked at */
    struct limit_mark limits[2]; /* of what is sent to that end */
    tn_ending ending[2];         /* of the connections */
    struct link *next, **self;
};

/* link_task -- serve the client that ARG is, from beginning to end. */
tn_err link_task(void *arg);

/* link_stop -- end LINK, whose task runs, with a reset to both sides because of END. */
void link_stop(struct link *link, enum link_end end);

/* link_change -- the faults have changed: LINK shall go on with what they are now. */
void link_change(struct link *link);

/* link_moved -- the bytes that have passed so far, both ways. */
uint64_t link_moved(const struct link *link);
/* link_lost -- bytes taken from one side and not given to the other. */
uint64_t link_lost(const struct link *link);

/* ---- flow.c ---- */

/* flow_run -- move bytes in FLOW's direction to its end.  As tn_pump. */
tn_err flow_run(struct flow *flow);

/* What tn_pump tells, of all of FLOW. */
uint64_t flow_taken(const struct flow *flow);
uint64_t flow_given(const struct flow *flow);
bool flow_ended(const struct flow *flow);
int flow_failed(const struct flow *flow); /* enum tn_pump_side */

void flow_release(struct flow *flow);

/* ---- tell.c ---- */

/* link_end_name -- as in JSON: "eof" and so on. */
const char *link_end_name(enum link_end end);

/* link_tell -- report how LINK went. */
void link_tell(const struct link *link);

#endif
