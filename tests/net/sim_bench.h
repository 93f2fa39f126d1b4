/* SPDX-License-Identifier: MIT */
/*
 * sim_bench.h -- a connection on a simulated network, both ends in one task.
 *
 *      static void play(struct bench *bench) { ... bench->near, bench->far ... }
 *      bench_run(&(struct bench){ .options = ... }, &sim_options, play);
 */
#ifndef SIM_BENCH_H
#define SIM_BENCH_H

#include "harness/harness.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "os/sim.h"
#include "task/run.h"

/* One task with both ends of a connection, on a network of its own. */
struct bench {
    struct sim *sim;
    struct tn_conn *near, *far; /* dialled, accepted */
    struct sim_wire *wire;
    struct tn_conn_options options;
    void (*play)(struct bench *bench);
};

static inline void bench_find_wire(struct bench *bench)
{
    tn_addr local = tn_local(bench->near), peer = tn_peer(bench->near);
    struct sockaddr_in from, to;
    int side = -1;

    memcpy(&from, local.as.bytes, sizeof(from));
    memcpy(&to, peer.as.bytes, sizeof(to));
    bench->wire =
        sim_wire_at(bench->sim, (struct sockaddr *)&from, (struct sockaddr *)&to, &side);
    assert_non_null(bench->wire);
    assert_int_equal(side, 0);
}

static inline tn_err bench_main(void *arg)
{
    struct bench *bench = arg;
    struct tn_listen_options options = { .conn = bench->options };
    struct tn_listener *listener = NULL;
    tn_addr addr;

    assert_ok(tn_listen(&listener, "10.0.0.2:0", &options));
    addr = tn_listener_addr(listener);
    assert_ok(tn_dial_addr(&bench->near, &addr, &bench->options, TN_NEVER));
    assert_ok(tn_accept(listener, &bench->far, TN_NEVER));
    tn_listener_close(&listener);
    bench_find_wire(bench);
    bench->play(bench);
    tn_abort(&bench->near);
    tn_abort(&bench->far);
    return tn_ok();
}

static inline void bench_run(struct bench *bench, const struct sim_options *options,
                             void (*play)(struct bench *bench))
{
    struct tn_loop_options loop = { .driver = test_driver() };

    bench->play = play;
    assert_errno(sim_open(&bench->sim, options), 0);
    assert_ok(run_on(sim_os(bench->sim), bench_main, bench, &loop));
    sim_close(bench->sim);
}

#endif
