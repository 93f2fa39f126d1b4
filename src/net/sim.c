/* SPDX-License-Identifier: MIT */
/*
 * sim.c -- the simulator of os/sim.h for programs: <tenon/sim.h>.
 *
 * It lies up here because a program names connections; os/ knows descriptors.
 *
 * Always true: the public faults have the simulator's numbers.
 */
#include <tenon/sim.h>

#include "base/check.h"
#include "base/err.h"
#include "net/conn.h"
#include "os/sim.h"
#include "task/run.h"

#define SAME_NUMBER(name, text)                                                          \
    _Static_assert((int)TN_SIM_##name == (int)SIM_##name, "faults of sim.h and "         \
                                                          "os/sim.h");
SIM_FAULTS(SAME_NUMBER)
_Static_assert((int)TN_SIM_FAULT_COUNT == (int)SIM_FAULT_COUNT, "one is missing");

const char *tn_sim_fault_text(enum tn_sim_fault fault)
{
    return (unsigned)fault < SIM_FAULT_COUNT ? sim_fault_text((enum sim_fault)fault)
                                             : "?";
}

static void take_options(struct sim_options *sim, const struct tn_sim_options *options)
{
    sim_weather(options->seed, options->without, sim);
    sim->strikes_most = options->strikes_most;
    for (int i = 0; options->chances != NULL && i < SIM_FAULT_COUNT; i++) {
        bool off = (options->without & UINT64_C(1) << i) != 0;

        sim->chances.of[i] = off ? 0 : options->chances[i];
    }
    if (options->descriptors > 0)
        sim->descriptors = options->descriptors;
    if (options->driver != NULL)
        sim->driver = options->driver;
}

static void tell(struct sim *sim, int64_t start, struct tn_sim_outcome *outcome)
{
    struct sim_facts facts;

    sim_facts(sim, &facts);
    *outcome = (struct tn_sim_outcome){
        .hash = sim_hash(sim),
        .took = sim_now(sim) - start,
        .calls = facts.calls,
        .segments = facts.segments,
        .descriptors = facts.descriptors,
    };
    for (int i = 0; i < SIM_FAULT_COUNT; i++) {
        outcome->faults[i] = facts.faults[i];
        outcome->struck += facts.faults[i];
    }
}

tn_err tn_sim_run(tn_task_fn *fn, void *arg, const struct tn_sim_options *options,
                  struct tn_sim_outcome *outcome)
{
    static const struct tn_sim_options none;
    struct tn_loop_options loop = { .driver = NULL };
    struct sim_options inside;
    struct sim *sim;
    int64_t start;
    int result;
    tn_err err;

    if (outcome != NULL)
        *outcome = (struct tn_sim_outcome){ .hash = 0 };
    take_options(&inside, options != NULL ? options : &none);
    result = sim_open(&sim, &inside);
    if (result < 0)
        return err_from(ERR_SIM, result);
    loop.driver = inside.driver;
    start = sim_now(sim);
    err = run_on(sim_os(sim), fn, arg, &loop);
    if (outcome != NULL)
        tell(sim, start, outcome);
    sim_close(sim);
    return err;
}

uint64_t tn_sim_random(uint64_t below)
{
    struct sim *sim = sim_under(task_os());

    CHECK(sim != NULL); /* inside of tn_sim_run only */
    return sim_draw(sim, below);
}

/* The simulated wire of CONN, with our SIDE of it; NULL where there is none. */
static struct sim_wire *wire_of(const struct tn_conn *conn, int *side)
{
    struct sim *sim = sim_under(conn->os);

    return sim != NULL ? sim_wire_of(sim, conn->fd, side) : NULL;
}

bool tn_sim_strike(struct tn_conn *conn, enum tn_sim_fault fault, int64_t length)
{
    struct sim *sim = sim_under(conn->os);
    int side = 0;
    struct sim_wire *wire = wire_of(conn, &side);

    if (wire == NULL)
        return false;
    switch (fault) {
    case TN_SIM_CUT:
        sim_wire_cut(sim, wire, side, length);
        return true;
    case TN_SIM_DEAD:
        sim_wire_die(sim, wire);
        return true;
    case TN_SIM_RESET:
        sim_wire_reset(sim, wire);
        return true;
    case TN_SIM_RESTART:
        sim_wire_forget(sim, wire, !side);
        return true;
    case TN_SIM_WINDOW:
        sim_wire_window(sim, wire, !side, length);
        return true;
    default:
        return false;
    }
}

static void tell_truth(const struct sim_wire *wire, int side, struct tn_sim_truth *truth)
{
    struct sim_truth inside = { 0 };

    if (truth == NULL)
        return;
    sim_truth(wire, side, &inside);
    *truth = (struct tn_sim_truth){
        .written = inside.written,
        .acked = inside.acked,
        .received = inside.received,
        .read = inside.read,
        .end_sent = inside.end_sent,
        .end_received = inside.end_received,
        .reset_sent = inside.reset_sent,
        .reset_received = inside.reset_received,
        .timed_out = inside.timed_out,
        .closed = inside.closed,
    };
}

bool tn_sim_truth(const struct tn_conn *conn, struct tn_sim_truth *near,
                  struct tn_sim_truth *far)
{
    int side = 0;
    const struct sim_wire *wire = wire_of(conn, &side);

    if (wire == NULL)
        return false;
    tell_truth(wire, side, near);
    tell_truth(wire, !side, far);
    return true;
}
