/* SPDX-License-Identifier: MIT */
/*
 * world.h -- what the simulated workloads are written with.
 *
 * A world is one seed: a simulator with a weather (which faults, how likely), tasks that
 * use the library as programs do, and an oracle that compares every answer with what the
 * simulated kernels know.  A finding ends the process; the runner (main.c) names the seed.
 *
 * Each connection has a ledger with two sides.  The bytes of a direction follow a pattern
 * of its own, so a byte lost, doubled or out of order shows at the reader.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include <tenon.h>

#include "os/sim.h"

struct ledger;

struct side {
    struct ledger *ledger;
    int at;               /* 0 dialled, 1 accepted */
    struct tn_conn *conn; /* NULL once closed */
    struct tn_conn_options conn_options;
    uint64_t key;                /* of the pattern it writes */
    uint64_t expected_key;       /* of the one it reads */
    uint64_t written, attempted; /* bytes: taken by the kernel; at most, while writing */
    uint64_t read;
    uint64_t urgents; /* bytes sent outside of the stream */
    bool seen_eof, has_ended, urgent_used;
    bool half_closed;         /* by tn_end */
    bool failed, left_unread; /* closed, and not in order */
};

struct ledger {
    struct ledger *next;
    struct sim_wire *wire; /* NULL: a Unix stream */
    unsigned id;
    struct side side[2];
};

struct world {
    uint64_t seed, random;
    struct sim *sim;
    struct sim_options weather;
    bool calm; /* no fault but delay */
    struct ledger *ledgers;
    unsigned ledger_count;
    uint64_t begun, ended; /* operations */
    unsigned episodes;
    uint64_t hows[TN_UNREAD + 1], kinds[TN_KIND_COUNT];
    bool verbose;
};

extern struct world *world;

/* ---- chance, from the world's seed ---- */

uint64_t pick(uint64_t limit); /* 0 .. limit - 1 */
bool chance(unsigned percent);
int64_t pick_time(int64_t most);
/* Now, soon, or never. */
tn_deadline pick_deadline(void);

/* ---- the oracle ---- */

/* must -- end the run as a finding when COND does not hold. */
#define must(cond) ((cond) ? (void)0 : finding(__FILE__, __LINE__, #cond))

_Noreturn void finding(const char *file, int line, const char *what);

/* finding_about -- the same, with what is known of SIDE. */
_Noreturn void finding_about(const struct side *side, const char *file, int line,
                             const char *what, tn_err err);

#define must_of(side, err, cond)                                                         \
    ((cond) ? (void)0 : finding_about((side), __FILE__, __LINE__, #cond, (err)))

/* say -- a line of what happens, when VERBOSE asks for it. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* side_open -- CONN, new, is an end of a connection from now on. */
struct side *side_open(struct tn_conn *conn, const struct tn_conn_options *options);
/* pair_open -- both ends of a Unix stream. */
void pair_open(struct tn_conn *near, struct tn_conn *far, struct side *sides[2]);
/* side_echoes -- SIDE writes what it has read. */
void side_echoes(struct side *side);

/* For ops.c: what must hold after an operation that ended with ERR. */
void check_error(const struct side *side, tn_err err, tn_deadline deadline);
void check_written(const struct side *side, tn_err err);
void check_bytes(struct side *side, const char *bytes, size_t size);
void check_eof(struct side *side, tn_err err);
void check_confirmed(const struct side *side, tn_err err, uint64_t unacked);
void check_ending(struct side *side, tn_err err, const tn_ending *ending, bool discard);
/* check_outcomes -- at the end of all: what each connection was to its peer. */
void check_outcomes(void);
void fill(const struct side *side, uint64_t offset, char *bytes, size_t size);
void ledgers_free(void);

/* ---- operations: the library's calls, watched ---- */

tn_err op_dial(struct side **side, const tn_addr *addr,
               const struct tn_conn_options *options, tn_deadline deadline);
tn_err op_write(struct side *side, size_t size, tn_deadline deadline);
tn_err op_writev(struct side *side, size_t size, tn_deadline deadline);
tn_err op_read(struct side *side, size_t size, tn_deadline deadline);
tn_err op_read_all(struct side *side, size_t size, tn_deadline deadline);
tn_err op_read_until(struct side *side, size_t size, tn_deadline deadline);
tn_err op_peek(struct side *side, size_t size, tn_deadline deadline);
/* op_lease -- read by a lease and keep it for HOLD nanoseconds. */
tn_err op_lease(struct side *side, int64_t hold, tn_deadline deadline);
/* op_echo -- read by a lease and write that. */
tn_err op_echo(struct side *side, struct side *to, bool lease, tn_deadline deadline);
tn_err op_confirm(struct side *side, tn_deadline deadline);
tn_err op_end(struct side *side);
tn_err op_close(struct side *side, bool discard, tn_deadline deadline);
void op_abort(struct side *side);
tn_err op_sleep(int64_t length);
/* op_canceled -- an operation, FN(ARG), in a task that is canceled after a while. */
tn_err op_canceled(tn_task_fn *fn, void *arg);

/* Any of the reads, any of the writes; now and then in a task that is canceled. */
tn_err op_some_read(struct side *side, size_t most, bool storm);
tn_err op_some_write(struct side *side, size_t most, bool storm);
/* Some way to end SIDE's connection, all of them orderly or not. */
void op_some_ending(struct side *side);
void op_some_ending_by(struct side *side, tn_deadline deadline);

/* ---- services: something listens ---- */

struct service {
    struct tn_listener *listener;
    tn_addr addr;
    struct tn_group *group; /* of the handlers */
    struct tn_task *acceptor;
    struct tn_conn_options options;
    tn_err (*handler)(struct side *side, void *arg);
    void *arg;
    bool open;
};

/* service_open -- listen and hand what comes to HANDLER; false: the weather forbids it. */
bool service_open(struct service *service, const char *where, int backlog,
                  const struct tn_conn_options *options,
                  tn_err (*handler)(struct side *side, void *arg), void *arg);
/* service_close -- accept no more, and wait until all handlers have ended. */
void service_close(struct service *service);

/* ---- the workloads ---- */

struct episode {
    const char *name;
    void (*run)(void);
    unsigned weight;
};

extern const struct episode episodes[];

void run_echo(void);
void run_duplex(void);
void run_relay(void);
void run_confirm(void);
void run_storm(void);
void run_modes(void);
void run_urgent(void);
void run_groups(void);
void run_limits(void);
void run_unix(void);
void run_pump(void);

/* pump_handler -- what a relay does with NEAR: pumps to and from the service ARG. */
tn_err pump_handler(struct side *near, void *arg);

#endif
