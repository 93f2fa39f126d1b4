/* SPDX-License-Identifier: MIT */
/*
 * tenon/sim.h -- your program on a simulated network, by seed.
 *
 * tn_sim_run is tn_run, but on a kernel and a network in memory, in virtual time: an hour
 * of time-outs takes milliseconds.  The seed decides everything: how slow the links are,
 * which segments get lost, which connections are reset, cut off or refused, when a call
 * moves fewer bytes than asked or a wake-up comes for nothing.  The same program with the
 * same seed runs the same way to the last detail, so that what fails once in a thousand
 * seeds fails again, in the debugger.
 *
 *      for (options.seed = 1; options.seed <= 1000; options.seed++) {
 *          tn_err err = tn_sim_run(program, NULL, &options, &outcome);
 *          if (tn_failed(err) && outcome.struck == 0)
 *              ... a failure with nobody to blame: print the seed
 *      }
 *
 * The program holds both client and server, as tasks.  127.0.0.0/8, 10.0.0.0/8, ::1 and
 * fd00::/8 are addresses of the simulated hosts: listen on "10.0.0.1:0", dial what
 * tn_listener_addr says; any other address is unreachable.  TCP and Unix streams, timers,
 * groups, channels and the calls of tenon/fd.h are simulated; datagrams, passed
 * descriptors, other threads (tn_thread_open, tn_post) and names that have to be looked up
 * are not.  Work of tn_offload is done in its place, in no time.  The program's own system calls go to the real kernel: leave them away.
 *
 * A fifth of the seeds are calm: links with delay, and no fault at all.
 *
 * When every task waits and nothing can ever happen, the run ends the program with abort(3)
 * and a line on standard error that names the seed.  (Tasks that wait only for each other
 * are TN_DEADLOCK, as in tn_run.)
 */
#ifndef TENON_SIM_H
#define TENON_SIM_H

#include <tenon/conn.h>
#include <tenon/err.h>
#include <tenon/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The kinds of faults. */
enum tn_sim_fault {
    TN_SIM_LOSS,         /* a segment is lost, and sent again later */
    TN_SIM_SLOW,         /* a segment is held up */
    TN_SIM_CUT,          /* for a while nothing passes, in one direction or both */
    TN_SIM_DEAD,         /* nothing passes any more */
    TN_SIM_RESTART,      /* a host restarts: it knows nothing of the connection */
    TN_SIM_RESET,        /* somebody on the way resets the connection */
    TN_SIM_WINDOW,       /* for a while a host takes no bytes */
    TN_SIM_REFUSED,      /* a connection is refused */
    TN_SIM_SILENT,       /* a connection is never answered */
    TN_SIM_UNREACHABLE,  /* ... is answered by ICMP, host unreachable */
    TN_SIM_TIMEDOUT,     /* TCP gave up: what came of other faults */
    TN_SIM_BACKLOG,      /* a handshake met a full queue */
    TN_SIM_ABORTED,      /* a connection was gone before it was accepted */
    TN_SIM_SHORT_READ,   /* a call took fewer bytes than it could */
    TN_SIM_SHORT_WRITE,  /* ... gave fewer */
    TN_SIM_OPTION,       /* a socket option was refused */
    TN_SIM_DESCRIPTORS,  /* there were no descriptors left */
    TN_SIM_STAMP,        /* an acknowledgement's stamp was lost (confirmable) */
    TN_SIM_LATE,         /* the driver's answer came later */
    TN_SIM_SPURIOUS,     /* ... came for nothing */
    TN_SIM_EINTR,        /* a wait was interrupted */
    TN_SIM_STARVED,      /* there were no buffers to receive ahead into */
    TN_SIM_SPLIT,        /* what was received ahead came in pieces */
    TN_SIM_AFTER_CANCEL, /* bytes came although the receive had been canceled */
    TN_SIM_SIGNAL,       /* a signal stopped a receive at the mark of an urgent byte */
    TN_SIM_FAULT_COUNT
};

/* tn_sim_fault_text -- "segments lost" and so on, for people. */
TN_API const char *tn_sim_fault_text(enum tn_sim_fault fault);

/* tn_sim_bit -- FAULT as one of the bits of `without`. */
static inline uint64_t tn_sim_bit(enum tn_sim_fault fault)
{
    return UINT64_C(1) << (unsigned)fault;
}

/* All zero is the whole weather of seed 0. */
struct tn_sim_options {
    uint64_t seed;
    uint64_t without;      /* kinds of faults that do not happen: tn_sim_bit(...) | ... */
    uint64_t strikes_most; /* faults by chance after so many do not happen; 0: all do */
    /*
     * How likely each kind is, of a million: TN_SIM_FAULT_COUNT numbers.  Those from CUT to
     * WINDOW befall a connection once or never, the others strike at each occasion.  NULL:
     * a mix that the seed draws, with each kind absent from half of the seeds.
     */
    const uint32_t *chances;
    unsigned descriptors; /* that can be open at once; 0: 24 or 256, by the seed */
    const char *driver; /* whose ways to imitate, "epoll" or "uring"; NULL: by the seed */
};

/* What came of a run. */
struct tn_sim_outcome {
    uint64_t hash;   /* of all that happened, in order: equal runs have equal ones */
    uint64_t struck; /* faults, of all kinds */
    uint64_t faults[TN_SIM_FAULT_COUNT];
    int64_t took;             /* virtual nanoseconds */
    uint64_t calls, segments; /* system calls made; segments sent */
    unsigned descriptors;     /* that the program left open */
};

/*
 * tn_sim_run -- run FN(ARG) as tn_run does, on the simulated network of OPTIONS->seed, and
 * tell in *OUTCOME (unless NULL, and also after a failure) what came of it.
 *
 * OPTIONS may be NULL.  Not for use inside a task.  $TENON_DRIVER has no say.
 *
 * Errors: as tn_run; TN_LIMIT (no memory for the network), TN_INVALID (OPTIONS name no
 * driver).
 */
TN_API TN_MUST tn_err tn_sim_run(tn_task_fn *fn, void *arg,
                                 const struct tn_sim_options *options,
                                 struct tn_sim_outcome *outcome);

/*
 * tn_sim_random -- a number from 0 to BELOW - 1, from the seed: for whatever your program
 * wants to leave to chance.  The network's own draws are not disturbed.  Only in tn_sim_run.
 */
TN_API uint64_t tn_sim_random(uint64_t below);

/*
 * tn_sim_strike -- let FAULT befall CONN now: TN_SIM_CUT (what we send is lost, for LENGTH
 * nanoseconds), TN_SIM_DEAD, TN_SIM_RESET, TN_SIM_RESTART (of the peer's host) or
 * TN_SIM_WINDOW (the peer's host takes no bytes, for LENGTH).  Does not park.
 *
 * Returns false, with nothing done, for other faults, Unix streams, and connections that
 * are not simulated.
 */
TN_API bool tn_sim_strike(struct tn_conn *conn, enum tn_sim_fault fault, int64_t length);

/* What the kernel at one end of a connection really has, whatever anybody was told. */
struct tn_sim_truth {
    uint64_t written;  /* bytes that its program wrote */
    uint64_t acked;    /* of those, acknowledged by the peer's kernel */
    uint64_t received; /* of the peer's bytes, here and in order */
    uint64_t read;     /* of those, taken by the program (or the library, ahead of it) */
    bool end_sent, end_received, reset_sent, reset_received, timed_out, closed;
};

/*
 * tn_sim_truth -- look behind the scenes of CONN: our end in *NEAR, the peer's in *FAR (each
 * unless NULL).  For an oracle: a tn_confirm that succeeded means far.received >= what was
 * written.  Returns false, and stores nothing, where tn_sim_strike does.  Does not park.
 */
TN_API bool tn_sim_truth(const struct tn_conn *conn, struct tn_sim_truth *near,
                         struct tn_sim_truth *far);

#ifdef __cplusplus
}
#endif

#endif
