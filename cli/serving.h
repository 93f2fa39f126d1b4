/* SPDX-License-Identifier: MIT */
/*
 * serving.h -- a running `tenon serve`: serve.c runs it, serve_sight.c tells of it.
 */
#ifndef TENON_CLI_SERVING_H
#define TENON_CLI_SERVING_H

#include "control/control.h"
#include "dash/dash.h"
#include "gate.h"
#include "services.h"
#include "view/view.h"

struct serving {
    struct gate gate;
    struct control control;
    struct view view; /* what top and the dashboard see */
    struct dash dash; /* of --dash */
    struct settings *settings;
    const struct service *service;
    struct tally tally;
    int64_t started;
    int code;
};

/* serving_drain -- let nobody in any more. */
void serving_drain(struct serving *serving);

/* serving_see -- set up what SERVING can be asked and what can be seen of it. */
void serving_see(struct serving *serving);

#endif
