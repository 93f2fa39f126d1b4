/* SPDX-License-Identifier: MIT */
/*
 * pumps.c -- a relay of two pumps (<tenon/pump.h>), one each way, which meet deadlines,
 * limits and cancels at any byte and go on.
 *
 * A pump moves bytes without showing them, so its counts are compared with the kernels',
 * and the bytes themselves by who reads them in the end: what goes through keeps the
 * pattern of who wrote it first.
 */
#include "sim/world.h"

struct pumping {
    struct tn_pump pump;
    struct side *from, *to;
    tn_deadline deadline;
    bool storm;
};

/* A call of tn_pump is over: what it says is what the kernels have. */
static void check_pumped(struct pumping *one, tn_err err, const struct tn_pump *before)
{
    const struct tn_pump *pump = &one->pump;
    const struct side *source = &one->from->ledger->side[!one->from->at];
    struct side *dead = pump->failed == TN_PUMP_TO ? one->to : one->from;

    one->from->read += pump->taken - before->taken;
    one->to->written += pump->given - before->given;
    one->to->attempted = one->to->written;
    say("%u.%d pump to %u.%d, %llu of %llu given: kind %u", one->from->ledger->id,
        one->from->at, one->to->ledger->id, one->to->at, (unsigned long long)pump->given,
        (unsigned long long)pump->taken, err.kind);
    must_of(dead, err, before->given <= pump->given && pump->given <= pump->taken);
    must_of(one->from, err, one->from->read <= source->attempted);
    check_written(one->to, err);
    check_error(dead, err, one->deadline);
    must_of(dead, err, tn_failed(err) || pump->failed == TN_PUMP_NEITHER);
    /* All that had come from a dead source has been given, and before an end. */
    if (!tn_failed(err) || pump->failed == TN_PUMP_FROM || pump->ended)
        must_of(dead, err, pump->given == pump->taken);
    if (!tn_failed(err))
        must_of(dead, err, pump->ended || pump->given >= pump->limit);
    if (pump->ended) {
        one->to->has_ended = one->to->half_closed = !tn_failed(err);
        check_eof(one->from, err);
    }
}

static tn_err op_pump(void *arg)
{
    struct pumping *one = arg;
    struct tn_pump before = one->pump;
    tn_err err;

    one->to->attempted = UINT64_MAX; /* whatever comes */
    world->begun++;
    err = tn_pump(&one->pump, one->from->conn, one->to->conn, one->deadline);
    world->ended++;
    check_pumped(one, err, &before);
    return err;
}

/* One direction, in as many calls as it takes. */
static tn_err pump_all(void *arg)
{
    struct pumping *one = arg;
    struct tn_pump *pump = &one->pump;
    tn_err err = tn_ok();

    while (!tn_failed(err) && !pump->ended) {
        pump->limit = chance(20) ? pump->given + 1 + pick(50000) : 0;
        one->deadline = chance(60) ? TN_NEVER : pick_deadline();
        err = one->storm && chance(50) ? op_canceled(op_pump, one) : op_pump(one);
        /* What is only late, or canceled in a victim, goes on. */
        if (err.kind == TN_DEADLINE || (err.kind == TN_CANCELED && !tn_canceled()))
            err = chance(30) ? op_sleep(pick_time(TN_MS)) : tn_ok();
    }
    tn_pump_release(pump);
    return err; /* the group cancels the other direction */
}

static void pump_both(struct side *near, struct side *far)
{
    struct tn_task_options options = { .name = "pump" };
    struct pumping pumps[2] = { { .from = near, .to = far },
                                { .from = far, .to = near } };
    struct tn_group *group = NULL;
    tn_err err;

    must(!tn_failed(tn_group_open(&group, TN_GROUP_ALL_OR_NONE)));
    for (int i = 0; i < 2; i++) {
        pumps[i].pump.pass_end = true;
        pumps[i].pump.no_splice = chance(20);
        pumps[i].storm = chance(40);
        must(!tn_failed(tn_go(group, pump_all, &pumps[i], &options, NULL)));
    }
    err = tn_group_wait(group, TN_NEVER);
    tn_group_close(&group);
    if (tn_failed(err)) {
        op_abort(near);
        op_abort(far);
    } else {
        tn_ignore(op_close(near, false, TN_NEVER));
        tn_ignore(op_close(far, false, TN_NEVER));
    }
}

tn_err pump_handler(struct side *near, void *arg)
{
    const struct service *service = arg;
    struct side *far = NULL;
    tn_err err = op_dial(&far, &service->addr, &near->conn_options, TN_NEVER);

    if (tn_failed(err)) {
        op_abort(near);
        return tn_ok();
    }
    far->key = near->expected_key;
    far->ledger->side[1].expected_key = far->key;
    near->key = far->expected_key;
    near->ledger->side[0].expected_key = near->key;
    pump_both(near, far);
    return tn_ok();
}
