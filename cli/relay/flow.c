/* SPDX-License-Identifier: MIT */
/*
 * flow.c -- one direction of a link: the shortest way, or the one that is looked at.
 *
 * It changes from one to the other wherever it stands.  The pump is stopped by a cancel,
 * and hands over what it holds before the other way begins.
 */
#include "relay/relay.h"

uint64_t flow_taken(const struct flow *flow)
{
    return flow->pump.taken + flow->shape.taken;
}

uint64_t flow_given(const struct flow *flow)
{
    return flow->pump.given + flow->shape.given;
}

bool flow_ended(const struct flow *flow)
{
    return flow->pump.ended || flow->shape.ended;
}

int flow_failed(const struct flow *flow)
{
    return flow->pump.failed ? flow->pump.failed : flow->shape.failed;
}

static tn_err run_pump(struct flow *flow, uint64_t limit)
{
    struct link *link = flow->link;

    flow->pump.limit = limit;
    return tn_pump(&flow->pump, link->conn[flow->side], link->conn[!flow->side],
                   TN_NEVER);
}

tn_err flow_run(struct flow *flow)
{
    tn_err err = tn_ok();

    while (!tn_failed(err) && !flow_ended(flow)) {
        bool shaped = shape_wanted(flow) || flow->shape.first || flow->shape.end_due;

        if (!shaped)
            err = run_pump(flow, 0);
        else if (flow->pump.taken > flow->pump.given)
            err = run_pump(flow, flow->pump.taken); /* only what it holds */
        else
            err = shape_run(flow);
    }
    return err;
}

void flow_release(struct flow *flow)
{
    tn_pump_release(&flow->pump);
    shape_release(&flow->shape);
}
