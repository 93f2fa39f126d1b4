/* SPDX-License-Identifier: MIT */
/*
 * link.c -- one client: find it a target, let bytes pass both ways, and end both sides as
 * they ended each other.
 *
 * Three tasks: this one, which the gate starts, and one for each direction.  A direction
 * that comes to an end in order leaves the other one alone, for as long as that takes.
 * One that fails ends both:
 *
 *      it cannot read     the side is dead, and all that came from it has been passed on:
 *                         the other direction, which would write to it, is canceled
 *      it cannot write    the side is dead, and may have sent something before: the other
 *                         direction reads that, and then finds the reset by itself
 *
 * Then the side that lives gets what is still unacknowledged, and a reset behind it.
 *
 * Always true: an end in order is sent to a side only after an end in order of the other
 * side, with every byte before it.
 */
#include <stdlib.h>
#include <string.h>

#include "dialing.h"
#include "relay/link.h"
#include "relay/relay.h"
#include "report.h"

/* How long a dead side's last bytes may take to the other one. */
#define SETTLE_LIMIT (5 * TN_SECOND)
/* Of a side that does not acknowledge our end, unless --fin-timeout says otherwise. */
#define CLOSE_LIMIT (30 * TN_SECOND)
/* Targets tried for a client. */
#define TRIES_MAX 16

uint64_t link_moved(const struct link *link)
{
    return flow_taken(&link->flow[UP]) + flow_given(&link->flow[UP]) +
           flow_taken(&link->flow[DOWN]) + flow_given(&link->flow[DOWN]);
}

uint64_t link_lost(const struct link *link)
{
    return flow_taken(&link->flow[UP]) - flow_given(&link->flow[UP]) +
           flow_taken(&link->flow[DOWN]) - flow_given(&link->flow[DOWN]);
}

void link_stop(struct link *link, enum link_end end)
{
    if (link->stopped || link->state == LINK_CLOSING)
        return;
    link->stopped = true;
    link->end = end;
    if (link->group)
        tn_group_cancel(link->group);
}

void link_change(struct link *link)
{
    if (!link->group || link->stopped)
        return;
    link->changing = true;
    tn_group_cancel(link->group);
}

/* ---- reaching a target ---- */

/* Connect to TARGET: 0, or an error after it has been noted there. */
static tn_err dial_target(struct link *link, struct target *target)
{
    const struct settings *settings = link->relay->settings;
    const struct targets *targets = &link->relay->targets;
    char source[120], why[160];
    struct tn_conn_options options = conn_options(settings, source, sizeof(source));
    int64_t started = tn_now();
    tn_err err;

    options.no_keepalive = true; /* until it lasts */
    err = target_dial(target, &link->conn[TARGET], &options,
                      tn_in(settings->connect_timeout));
    if (err.kind == TN_CANCELED)
        return err;
    if (!tn_failed(err)) {
        target_answered(targets, target, tn_now() - started, NULL);
        return err;
    }
    if (err.kind == TN_DEADLINE)
        (void)memcpy(why, "no answer", sizeof("no answer"));
    else
        (void)dialing_code(err, settings, &target->where, why, sizeof(why));
    target_answered(targets, target, 0, why);
    report_detail("client %llu: target %s: %s", (unsigned long long)link->client->id,
                  target->where.name, why);
    return err;
}

/* Try targets, the best one first, until one is reached. */
static tn_err reach_target(struct link *link)
{
    struct target *tried[TRIES_MAX];
    tn_err err = tn_err_user(TN_NOT_FOUND, 0);
    int count = 0;

    while (tn_failed(err) && count < TRIES_MAX && !link->stopped) {
        struct target *target =
            targets_choose(&link->relay->targets, &link->client->addr, tried, count);
        if (!target)
            break;
        tried[count++] = target_take(target);
        target
            ->connections++; /* from now on, so that the least connected are told apart */
        err = dial_target(link, target);
        if (!tn_failed(err))
            link->target = target_take(target);
        else
            target->connections--;
        if (err.kind == TN_CANCELED)
            break;
    }
    while (count > 0)
        target_drop(tried[--count]);
    return err;
}

/* ---- both directions ---- */

static tn_err flow_task(void *arg)
{
    struct flow *flow = arg;
    struct link *link = flow->link;
    struct flow *other = &link->flow[!flow->side];

    flow->err = flow_run(flow);
    if (flow->err.kind == TN_CANCELED && link->changing)
        return tn_ok(); /* to go on soon */
    flow->done = true;
    if (tn_failed(flow->err) && flow_failed(flow) == TN_PUMP_TO && !other->done)
        tn_ignore(tn_sleep(tn_in(SETTLE_LIMIT))); /* or until the other one is done */
    if (tn_failed(flow->err) || (other->done && tn_failed(other->err)))
        tn_group_cancel(link->group);
    return tn_ok();
}

static tn_err run_flows_once(struct link *link)
{
    struct tn_task_options options = { .name = "flow" };
    tn_err err = tn_group_open(&link->group, TN_GROUP_EACH_ALONE);

    link->changing = false;
    for (int side = 0; side < 2 && !tn_failed(err); side++) {
        if (!link->flow[side].done)
            err = tn_go(link->group, flow_task, &link->flow[side], &options, NULL);
    }
    if (!tn_failed(err))
        err = tn_group_wait(link->group, TN_NEVER);
    tn_group_close(&link->group);
    return err;
}

static void run_flows(struct link *link)
{
    tn_err err;

    do
        err = run_flows_once(link);
    while (!tn_failed(err) && link->changing && !link->stopped &&
           !(link->flow[UP].done && tn_failed(link->flow[UP].err)) &&
           !(link->flow[DOWN].done && tn_failed(link->flow[DOWN].err)));
}

/* ---- the end ---- */

/* Which end FLOW's failure was of, or -1. */
static int dead_end(const struct flow *flow)
{
    if (!tn_failed(flow->err) || flow_failed(flow) == TN_PUMP_NEITHER)
        return -1;
    return flow_failed(flow) == TN_PUMP_FROM ? flow->side : !flow->side;
}

static enum link_end end_of(tn_err err)
{
    return err.kind == TN_TIMEDOUT || err.kind == TN_UNREACHABLE ? LINK_TIMEOUT
           : err.kind == TN_LIMIT                                ? LINK_ERROR
                                                                 : LINK_RESET;
}

/* Reset END, and note what that destroys. */
static void reset_end(struct link *link, int end)
{
    struct tn_conn_facts facts;

    if (!link->conn[end])
        return;
    tn_conn_facts(link->conn[end], &facts);
    link->ending[end] = (tn_ending){ .how = TN_ENDED_DEADLINE,
                                     .unacked = facts.unacked,
                                     .unread = facts.unread };
    tn_abort(&link->conn[end]);
}

/* The end DEAD is: what it sent before shall arrive at the other one, then a reset. */
static void end_by_reset(struct link *link, int dead)
{
    tn_ignore(tn_close(&link->conn[dead], &link->ending[dead], TN_NOW)); /* for counts */
    if (link->conn[!dead] && !link->stopped)
        tn_ignore(tn_confirm(link->conn[!dead], NULL, tn_in(SETTLE_LIMIT)));
    reset_end(link, !dead);
}

/* Both have ended in order, and each has been told: see it acknowledged. */
static void end_in_order(struct link *link)
{
    int64_t limit = link->relay->settings->fin_timeout;

    limit = limit == UNLIMITED ? CLOSE_LIMIT : limit;
    for (int end = TARGET; end >= CLIENT; end--) {
        tn_err err = tn_close(&link->conn[end], &link->ending[end], tn_in(limit));

        if (!tn_failed(err) || link->ending[end].how == TN_ACKED)
            continue;
        link->cut = end;
        link->end = err.kind == TN_CANCELED   ? LINK_KILLED
                    : err.kind == TN_DEADLINE ? LINK_IDLE
                                              : end_of(err);
        reset_end(link, !end);
    }
}

/* Whether a fault of ours has reset it. */
static bool was_fated(const struct link *link)
{
    return link->flow[UP].err.kind == TN_PROTOCOL ||
           link->flow[DOWN].err.kind == TN_PROTOCOL;
}

static void end_link(struct link *link)
{
    int dead = -1;

    link->state = LINK_CLOSING;
    for (int side = 0; side < 2 && dead < 0; side++) {
        dead = dead_end(&link->flow[side]);
        if (dead >= 0 && !link->stopped)
            link->end = end_of(link->flow[side].err);
    }
    link->cut = dead;
    if (dead >= 0) {
        end_by_reset(link, dead);
    } else if (flow_ended(&link->flow[UP]) && flow_ended(&link->flow[DOWN])) {
        end_in_order(link);
    } else {
        if (!link->stopped)
            link->end = tn_canceled()     ? LINK_KILLED
                        : was_fated(link) ? LINK_FAULT
                                          : LINK_ERROR;
        reset_end(link, CLIENT);
        reset_end(link, TARGET);
    }
}

/* ---- the whole ---- */

static void enlist(struct relay *relay, struct link *link)
{
    link->next = relay->first;
    link->self = &relay->first;
    if (link->next)
        link->next->self = &link->next;
    relay->first = link;
}

static void delist(struct link *link)
{
    *link->self = link->next;
    if (link->next)
        link->next->self = link->self;
}

/* What is over is counted where it belongs. */
static void add_up(struct link *link)
{
    struct relay_tally *tally = &link->relay->tally;

    tally->in += flow_taken(&link->flow[UP]);
    tally->out += flow_given(&link->flow[DOWN]);
    tally->lost += link_lost(link);
    tally->ended[link->end]++;
    if (!link->target)
        return;
    link->target->connections--;
    link->target->out += flow_given(&link->flow[UP]);
    link->target->in += flow_taken(&link->flow[DOWN]);
}

static void serve(struct link *link)
{
    tn_err err = reach_target(link);

    if (link->target && !link->stopped) {
        link->target->chosen++;
        link->state = LINK_OPEN;
        link->opened = link->moved_at = tn_now();
        relay_last(link->relay);
        tap_begin(link);
        run_flows(link);
        end_link(link);
        tap_over(link);
        return;
    }
    if (!link->stopped)
        link->end = err.kind == TN_CANCELED ? LINK_KILLED : LINK_UNREACHED;
    reset_end(link, CLIENT);
    reset_end(link, TARGET);
}

tn_err link_task(void *arg)
{
    struct client *client = arg;
    struct relay *relay = client->gate->arg;
    struct link *link = calloc(1, sizeof(*link));

    if (!link) {
        relay->tally.ended[LINK_ERROR]++;
        tn_abort(&client->conn);
        gate_leave(client);
        return tn_ok();
    }
    link->relay = relay;
    link->client = client;
    link->cut = -1;
    link->started = link->moved_at = client->came;
    link->conn[CLIENT] = client->conn;
    client->conn = NULL;
    client->served = link;
    for (int side = 0; side < 2; side++)
        link->flow[side] =
            (struct flow){ .link = link, .side = side, .pump.pass_end = true };
    enlist(relay, link);
    serve(link);
    flow_release(&link->flow[UP]);
    flow_release(&link->flow[DOWN]);
    add_up(link);
    link_tell(link);
    client->served = NULL;
    delist(link);
    if (link->target)
        target_drop(link->target);
    free(link);
    gate_leave(client);
    return tn_ok();
}
