/* SPDX-License-Identifier: MIT */
/*
 * sim.h -- a kernel and a network in memory, in virtual time, by seed.
 *
 * sim_os() is a struct os like the real one: TCP and Unix streams, eventfd, signalfd,
 * options, poll, and a driver.  Nothing ever sleeps: where a real program would wait, the
 * clock jumps to the next event.  The same seed and the same calls give the same run, to
 * the last bit of sim_hash().
 *
 *      sim_open(&sim, &(struct sim_options){ .seed = 7 });
 *      run_on(sim_os(sim), program, NULL, NULL);
 *      sim_close(sim);
 *
 * The network.  All hosts live in this one kernel: 127.0.0.0/8, ::1, 10.0.0.0/8 and
 * fd00::/8 are addresses of it, each its own host as far as links are concerned; others
 * are unreachable unless a route says what answers there.  A connection has two directed
 * ways, each with delay, loss, rate, and cuts; TCP on them is a small but real one, with
 * windows, retransmission, delayed acknowledgements, probes and resets.
 *
 * Faults come by chance (sim_chances), from the seed, or by name: sim_wire_reset() and its
 * like.  Each kind is counted.  What really happened can be asked of sim_truth(), which
 * knows what the peer's kernel holds; that is what an oracle compares answers with.
 *
 * Not simulated: datagrams, SCM_RIGHTS, reordering within a stream (to the receiver of a
 * stream it is delay), congestion control, threads.  One thread uses a sim at a time.
 */
#ifndef OS_SIM_H
#define OS_SIM_H

#include "os/os.h"

struct sim;

/* The kinds of faults, each with a counter. */
#define SIM_FAULTS(X)                                                                    \
    X(LOSS, "segments lost")                                                             \
    X(SLOW, "segments held up")                                                          \
    X(CUT, "directions cut for a while")                                                 \
    X(DEAD, "peers gone silent for good")                                                \
    X(RESTART, "peers that forgot the connection")                                       \
    X(RESET, "connections reset on the way")                                             \
    X(WINDOW, "windows closed for a while")                                              \
    X(REFUSED, "connections refused")                                                    \
    X(SILENT, "connections unanswered")                                                  \
    X(UNREACHABLE, "connections to unreachable hosts")                                   \
    X(TIMEDOUT, "connections given up by TCP")                                           \
    X(BACKLOG, "handshakes dropped for a full queue")                                    \
    X(ABORTED, "accepts that failed on the way")                                         \
    X(SHORT_READ, "short reads")                                                         \
    X(SHORT_WRITE, "short writes")                                                       \
    X(OPTION, "options refused")                                                         \
    X(DESCRIPTORS, "calls out of descriptors")                                           \
    X(STAMP, "stamps lost")                                                              \
    X(LATE, "answers held back")                                                         \
    X(SPURIOUS, "wake-ups for nothing")                                                  \
    X(EINTR, "waits interrupted")                                                        \
    X(STARVED, "feeds out of buffers")                                                   \
    X(SPLIT, "receives split")                                                           \
    X(AFTER_CANCEL, "receives that outran a cancel")                                     \
    X(SIGNAL, "receives stopped at an urgent mark by a signal")

#define SIM_FAULT_ENUM(name, text) SIM_##name,
enum sim_fault { SIM_FAULTS(SIM_FAULT_ENUM) SIM_FAULT_COUNT };
#undef SIM_FAULT_ENUM

/* sim_fault_text -- what FAULT counts, for people. */
const char *sim_fault_text(enum sim_fault fault);

/*
 * How likely each fault is, of a million: at each occasion, or, for those from CUT to
 * WINDOW, once in the life of a connection (at most one of them strikes it).
 */
struct sim_chances {
    uint32_t of[SIM_FAULT_COUNT];
};

/* One direction of a connection.  All zero: immediate, without loss. */
struct sim_link {
    int64_t delay_min, delay_max; /* nanoseconds */
    uint64_t rate;                /* bytes a second; 0: no limit */
    uint32_t loss;                /* of a million segments; besides the chance of LOSS */
};

enum sim_answer {
    SIM_ANSWERS,       /* whoever listens, else a reset */
    SIM_REFUSES,       /* a reset */
    SIM_IS_SILENT,     /* nothing ever */
    SIM_HAS_NO_HOST,   /* ICMP host unreachable, after a while */
    SIM_IS_FENCED,     /* the same from a firewall of this host: inside of connect(2) */
    SIM_HAS_NO_NETWORK /* ENETUNREACH, at once */
};

/* What connections to an address meet. */
struct sim_route {
    enum sim_answer answer;
    struct sim_link there, back; /* client to server, server to client */
    uint32_t segment;            /* bytes in one; 0: 16,384 */
    int64_t ack_delay;           /* of an acknowledgement that nothing else carries */
};

/* All zero is a quick, faultless network. */
struct sim_options {
    uint64_t seed;
    struct sim_route route; /* where sim_route_set says nothing else */
    struct sim_chances chances;
    unsigned descriptors;    /* open at once; 0: 1,024 */
    int64_t call_cost;       /* of a system call; 0: 500 ns; negative: none */
    int64_t fault_within;    /* connections meet their fault in this time; 0: 1 s */
    size_t feed_memory;      /* of all feeds; 0: 1 MiB */
    uint64_t strikes_most;   /* later faults do not happen; 0: no limit */
    const char *driver;      /* what the weather suggests; the simulator does not look */
    bool no_ring;            /* there is only epoll, as in many containers */
    int64_t stall;           /* waiting so long for nothing is a standstill; 0: 3 h */
    void (*stalled)(void *); /* called at one, before the program is stopped */
    void *stalled_arg;
};

/* sim_open -- make a kernel with nothing in it.  0 or -ENOMEM. */
int sim_open(struct sim **sim, const struct sim_options *options);

/*
 * sim_weather -- fill in OPTIONS as SEED has it: links, limits, driver, and a mix of faults
 * WITHOUT some kinds (bits, 1 << fault).  true: it is calm, with no fault but delay.
 */
bool sim_weather(uint64_t seed, uint64_t without, struct sim_options *options);

/* sim_close -- free SIM and all that is left in it. */
void sim_close(struct sim *sim);

/* sim_os -- what to run on. */
struct os *sim_os(struct sim *sim);

/* sim_under -- the simulator behind OS; NULL when it is another system. */
struct sim *sim_under(struct os *os);

/* sim_draw -- a number below LIMIT, from the seed, of a stream that only programs draw from. */
uint64_t sim_draw(struct sim *sim, uint64_t limit);

/* sim_hash -- of all that has happened so far, in order. */
uint64_t sim_hash(const struct sim *sim);

/* sim_now -- the virtual clock, without the cost of a call. */
int64_t sim_now(const struct sim *sim);

/* sim_chances_set -- change the chances from now on. */
void sim_chances_set(struct sim *sim, const struct sim_chances *chances);

struct sim_facts {
    uint64_t calls, segments, events;
    uint64_t faults[SIM_FAULT_COUNT];
    uint64_t sigpipes;    /* signals that a send would have raised */
    unsigned descriptors; /* open */
    uint64_t allocations; /* not released */
    uint64_t mapped;      /* bytes */
    unsigned sockets;     /* alive in the kernel, closed ones in their last states too */
    unsigned armed, lent; /* events with the drivers; segments not given back */
};

void sim_facts(const struct sim *sim, struct sim_facts *facts);

/* ---- the network ---- */

/* sim_route_set -- what connections to ADDR from now on meet; port 0: to any port of it. */
int sim_route_set(struct sim *sim, const struct sockaddr *addr, socklen_t size,
                  const struct sim_route *route);

/* A connection: side 0 is the client's, side 1 the server's. */
struct sim_wire;

/*
 * sim_wire_of -- the connection that the socket FD is an end of, and its *SIDE; NULL if
 * there is none.  sim_wire_at finds it by both addresses, also after it has ended.
 */
struct sim_wire *sim_wire_of(struct sim *sim, int fd, int *side);
struct sim_wire *sim_wire_at(struct sim *sim, const struct sockaddr *local,
                             const struct sockaddr *peer, int *side);

/* sim_wire_reset -- both ends get a reset, as from a firewall. */
void sim_wire_reset(struct sim *sim, struct sim_wire *wire);

/* sim_wire_cut -- what SIDE sends is lost for LENGTH nanoseconds (INT64_MAX: for good). */
void sim_wire_cut(struct sim *sim, struct sim_wire *wire, int side, int64_t length);

/* sim_wire_forget -- the host of SIDE restarts: it knows nothing of the connection. */
void sim_wire_forget(struct sim *sim, struct sim_wire *wire, int side);

/* sim_wire_window -- the host of SIDE offers no window for LENGTH nanoseconds. */
void sim_wire_window(struct sim *sim, struct sim_wire *wire, int side, int64_t length);

/* sim_wire_die -- nothing passes any more, in either direction. */
void sim_wire_die(struct sim *sim, struct sim_wire *wire);

/* sim_wire_unreachable -- what SIDE sends is answered by ICMP from now on. */
void sim_wire_unreachable(struct sim *sim, struct sim_wire *wire, int side);

/* What really happened at one end of a connection. */
struct sim_truth {
    uint64_t written;  /* bytes the program has handed to its kernel */
    uint64_t acked;    /* of those, acknowledged by the peer's kernel */
    uint64_t received; /* bytes of the peer's that came into this kernel, in order */
    uint64_t read;     /* of those, taken by the program */
    uint64_t digest_written, digest_read; /* FNV-1a of the bytes */
    bool end_sent, end_acked, end_received;
    bool reset_sent, reset_received, timed_out;
    bool closed; /* by the program */
};

void sim_truth(const struct sim_wire *wire, int side, struct sim_truth *truth);

/* sim_wire_fault -- which of the faults of a connection's life struck it, or -1. */
int sim_wire_fault(const struct sim_wire *wire);

/* sim_raise -- a signal comes: it is read from a signalfd, and a wait ends with EINTR. */
void sim_raise(struct sim *sim, int number);

#endif
