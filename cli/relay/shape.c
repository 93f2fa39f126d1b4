/* SPDX-License-Identifier: MIT */
/*
 * shape.c -- see shape.h.
 *
 * One task a direction.  It reads until the next piece is due and writes what is due; a
 * piece is due when it came plus the latency, but never before the one that came earlier.
 * A rate is a line: a piece of it leaves when its last byte would have, and the next one
 * begins then.  Time lost to a scheduler is not lost to the rate, as free_at goes on by
 * what was sent and not by the clock.
 *
 * Always true: first..last are in the order in which they came, which is that of `due`.
 */
#include "relay/shape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "relay/relay.h"

/* Read ahead at most: what a path of 1 Gbit/s and 60 ms holds. */
#define SHAPE_MOST ((size_t)8 * 1024 * 1024)
/* A line's quantum: fine enough for a rate, coarse enough to be cheap. */
#define QUANTUM (5 * TN_MS)
/* tn_in of a second and more may be 10 ms late: go there in shorter steps. */
#define STEP (900 * TN_MS)

#define RESET_WITHIN 65536

void shape_release(struct shape *shape)
{
    while (shape->first) {
        struct piece *piece = shape->first;
        shape->first = piece->next;
        free(piece);
    }
    shape->last = NULL;
    shape->queued = 0;
}

static const struct fault *fault_of(const struct flow *flow)
{
    return &flow->link->relay->faults[flow->side];
}

/* The slower of --rate, which no change of the faults takes away, and a fault's. */
static int64_t rate_of(const struct flow *flow)
{
    int64_t one = flow->link->relay->settings->rate, other = fault_of(flow)->rate;

    return one && (!other || one < other) ? one : other;
}

bool shape_wanted(const struct flow *flow)
{
    return !fault_is_none(fault_of(flow)) || rate_of(flow) ||
           tap_is_on(&flow->link->relay->tap);
}

static tn_deadline wait_till(int64_t point)
{
    int64_t left;

    if (point == INT64_MAX)
        return TN_NEVER;
    left = point - tn_now();
    return tn_in(left < STEP ? left : STEP);
}

/* ---- taking ---- */

static int64_t due_from(struct flow *flow)
{
    const struct fault *fault = fault_of(flow);
    struct shape *shape = &flow->shape;
    int64_t due = tn_now() + fault->latency;

    if (fault->jitter > 0)
        due +=
            (int64_t)relay_random(flow->link->relay, (uint64_t)(2 * fault->jitter + 1)) -
            fault->jitter;
    if (due < shape->last_due)
        due = shape->last_due;
    shape->last_due = due;
    return due;
}

static void queue(struct flow *flow, const void *data, size_t size)
{
    struct shape *shape = &flow->shape;
    struct piece *piece = malloc(sizeof(*piece) + size);

    if (!piece) {
        shape->err = tn_err_errno(ENOMEM);
        return;
    }
    *piece = (struct piece){ .size = size, .due = due_from(flow) };
    memcpy(piece->data, data, size);
    if (!shape->first)
        shape->last = &shape->first;
    *shape->last = piece;
    shape->last = &piece->next;
    shape->queued += size;
}

/* Draw whether this client is to be reset, and where. */
static void draw_fate(struct flow *flow)
{
    const struct fault *fault = fault_of(flow);
    struct shape *other = &flow->link->flow[!flow->side].shape;
    struct shape *shape = &flow->shape;

    shape->drawn = true;
    if ((int64_t)relay_random(flow->link->relay, 1000000) < fault->resets)
        shape->reset_at =
            shape->taken + 1 + relay_random(flow->link->relay, RESET_WITHIN);
    if (!fault->either_resets || other->drawn)
        return;
    other->drawn = true;
    if (shape->reset_at)
        other->reset_at =
            other->taken + 1 + relay_random(flow->link->relay, RESET_WITHIN);
}

/* Whether that point has come; at the end, if it has not come before. */
static bool is_reset_now(struct flow *flow)
{
    struct shape *shape = &flow->shape;

    if (!fault_of(flow)->resets)
        return false;
    if (!shape->drawn)
        draw_fate(flow);
    return shape->reset_at && (shape->taken >= shape->reset_at || shape->end_due != 0);
}

/* The connection of SIDE has failed with ERR, if that is not ours. */
static void note_failed(struct shape *shape, enum tn_pump_side side, tn_err err)
{
    shape->err = err;
    if (err.kind != TN_CANCELED && err.kind != TN_LIMIT)
        shape->failed = (uint8_t)side;
}

/* Take what comes until DEADLINE, if anything does. */
static void take(struct flow *flow, tn_deadline deadline)
{
    struct tn_conn *from = flow->link->conn[flow->side];
    struct shape *shape = &flow->shape;
    const void *data;
    size_t size;
    tn_err err = tn_read_lease(from, &data, &size, deadline);

    if (err.kind == TN_EOF) {
        shape->end_due = due_from(flow);
        tap_end(flow);
        return;
    }
    if (tn_failed(err)) {
        if (err.kind != TN_DEADLINE)
            note_failed(shape, TN_PUMP_FROM, err);
        return;
    }
    shape->taken += size;
    shape->err = tap_bytes(flow, data, size);
    if (!tn_failed(shape->err) && !fault_of(flow)->blackhole)
        queue(flow, data, size);
    tn_return(from);
}

/* ---- giving ---- */

/* How much of the first piece leaves next, and when. */
static size_t next_part(const struct flow *flow, int64_t *point)
{
    const struct shape *shape = &flow->shape;
    const struct fault *fault = fault_of(flow);
    const struct piece *piece = shape->first;
    int64_t rate = rate_of(flow);
    size_t size = piece->size - piece->done;
    int64_t start = piece->due > shape->free_at ? piece->due : shape->free_at;

    if (fault->slice && size > (size_t)fault->slice)
        size = (size_t)fault->slice;
    if (rate) {
        size_t quantum = (size_t)((double)rate * (double)QUANTUM / 1e9) + 1;
        size = size < quantum ? size : quantum;
        start += (int64_t)((double)size * 1e9 / (double)rate);
    }
    *point = start;
    return size;
}

static void give(struct flow *flow, size_t size, int64_t point)
{
    struct shape *shape = &flow->shape;
    struct piece *piece = shape->first;
    const struct fault *fault = fault_of(flow);
    size_t done;
    tn_err err = tn_write(flow->link->conn[!flow->side], piece->data + piece->done, size,
                          &done, TN_NEVER);

    shape->given += done;
    shape->queued -= done;
    piece->done += done;
    shape->free_at = point + fault->slice_gap;
    if (piece->done == piece->size) {
        shape->first = piece->next;
        free(piece);
    }
    if (tn_failed(err))
        note_failed(shape, TN_PUMP_TO, err);
}

static void pass_end(struct flow *flow)
{
    tn_err err = tn_end(flow->link->conn[!flow->side]);

    flow->shape.ended = !tn_failed(err);
    if (tn_failed(err))
        note_failed(&flow->shape, TN_PUMP_TO, err);
}

/* ---- the whole ---- */

/* The source is dead: what came before is given all the same, and then that is told. */
static void give_rest(struct flow *flow)
{
    struct shape *shape = &flow->shape;
    tn_err why = shape->err;

    shape->failed = TN_PUMP_NEITHER;
    shape->err = tn_ok();
    while (shape->first && !tn_failed(shape->err)) {
        int64_t point;
        size_t size = next_part(flow, &point);

        shape->err = tn_sleep(tn_in(point - tn_now()));
        if (!tn_failed(shape->err))
            give(flow, size, point);
    }
    if (!tn_failed(shape->err))
        note_failed(shape, TN_PUMP_FROM, why);
}

/* One step: give what is due, or take until something is. */
static void step(struct flow *flow)
{
    struct shape *shape = &flow->shape;
    int64_t point = INT64_MAX;
    size_t size = 0;

    if (shape->first)
        size = next_part(flow, &point);
    else if (shape->end_due)
        point = shape->end_due;
    if (point > tn_now() &&
        (shape->end_due || shape->queued >= SHAPE_MOST || !shape_wanted(flow)))
        shape->err = tn_sleep(wait_till(point));
    else if (point > tn_now())
        take(flow, wait_till(point));
    else if (size > 0)
        give(flow, size, point);
    else
        pass_end(flow);
    if (shape->failed == TN_PUMP_FROM)
        give_rest(flow);
}

/* Nothing passes and nothing is noticed, until somebody changes that. */
static bool stands_still(const struct flow *flow)
{
    const struct fault *fault = fault_of(flow);

    return fault->halfopen || (fault->blackhole && flow->shape.end_due);
}

tn_err shape_run(struct flow *flow)
{
    struct shape *shape = &flow->shape;

    shape->failed = TN_PUMP_NEITHER;
    shape->err = tn_ok();
    while (!tn_failed(shape->err) && !shape->ended) {
        if (stands_still(flow))
            shape->err = tn_sleep(TN_NEVER);
        else if (is_reset_now(flow))
            shape->err = tn_err_user(TN_PROTOCOL, 0);
        else if (!shape_wanted(flow) && !shape->first && !shape->end_due)
            break;
        else
            step(flow);
    }
    return shape->err;
}
