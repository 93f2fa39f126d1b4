/* SPDX-License-Identifier: MIT */
/*
 * relay.h -- the parts of a running relay, for the files of this folder.
 *
 *      relay.c     the verb: listen, signals, totals
 *      targets.c   which targets there are, and whose turn it is; health.c: are they up
 *      link.c      a client, from its coming to its end; flow.c: one direction of it
 *      fault.c     what --fault says; shape.c does it; tap.c: --hex and --record
 *      status.c    what it answers to `tenon ctl`; sight.c: what can be seen of it
 *      metrics.c   the same for monitoring, over HTTP
 *      tell.c      what people and programs are told of a client
 */
#ifndef TENON_CLI_RELAY_H
#define TENON_CLI_RELAY_H

#include <tenon.h>

#include "control/control.h"
#include "dash/dash.h"
#include "gate.h"
#include "http/http.h"
#include "relay/fault.h"
#include "relay/link.h"
#include "relay/tap.h"
#include "relay/targets.h"
#include "view/view.h"

/* Of clients that are gone. */
struct relay_tally {
    uint64_t in, out; /* bytes from clients and to clients */
    uint64_t lost;    /* taken from one side, and not given to the other */
    uint64_t ended[LINK_ENDS];
};

struct relay {
    struct settings *settings;
    struct gate gate;
    struct targets targets;
    struct control control;
    struct http http;       /* of --metrics */
    struct view view;       /* what top and the dashboard see */
    struct dash dash;       /* of --dash */
    struct link *first;     /* of those connected */
    struct fault faults[2]; /* by direction */
    struct tap tap;
    uint64_t random;          /* the state of relay_random */
    struct tn_group *helpers; /* the clock, checks, ... */
    struct relay_tally tally;
    int64_t started;
    bool alarm;  /* is set, for the links that are not `lasting` yet */
    int signals; /* that ask for the end */
    int code;
};

/* relay_random -- a number below LIMIT, which is not 0. */
uint64_t relay_random(struct relay *relay, uint64_t limit);

/* relay_drain -- let nobody in any more.  relay_reload -- as on SIGHUP: 0 or an exit code. */
void relay_drain(struct relay *relay);
int relay_reload(struct relay *relay);

/*
 * relay_last -- a link has reached its target: should it last, it is to have keepalive there.
 * That is for those which are there at the next SIGALRM, within LASTING_S.
 */
void relay_last(struct relay *relay);

/* relay_sum -- the counts of all clients, those connected included; also of each target. */
void relay_sum(const struct relay *relay, struct relay_tally *tally, uint64_t *connected);

/* relay_see -- set up RELAY's view. */
void relay_see(struct relay *relay);

/* Add to ANSWER RELAY itself; each of its targets, as of the last relay_sum, which is part of
 * the former; what it does to the bytes each way. */
void relay_add_process(const struct relay *relay, struct control_answer *answer);
void relay_add_targets(const struct relay *relay, struct control_answer *answer);
void relay_add_faults(const struct relay *relay, struct control_answer *answer);

/* relay_status -- all that is to be known now, one object a line. */
void relay_status(struct relay *relay, struct control_answer *answer);

/* metrics_open -- --metrics: 0, or an exit code after a complaint. */
int metrics_open(struct relay *relay);

/* relay_commands -- what CONTROL can be asked. */
void relay_commands(struct control *control);

/* relay_totals -- tell how RELAY goes, or went if it is OVER. */
void relay_totals(const struct relay *relay, bool over);

#endif
