/* SPDX-License-Identifier: MIT */
/*
 * stage.h -- what the processes of one combination share.
 *
 * Two hosts with a router between them, each a network namespace.  On the near host a
 * program uses the library (scenarios), on the far one a witness of plain system calls is
 * its peer (peer.c), and the router is where the network gets bad (impair.c).  Both ends
 * write down here what they wrote, what they read and how it ended; when both are through,
 * the oracle compares (oracle.c).
 *
 * Bytes are a pattern, by connection, direction and place in the stream, so that a byte
 * that is lost, doubled, displaced or another connection's shows wherever that happens.
 */
#ifndef ROUGH_STAGE_H
#define ROUGH_STAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon.h>

#define WIRES_MAX  24
#define NOWHERE    UINT64_MAX /* of an urgent byte, a wrong byte, a strike */
#define FAR_HOST   "10.71.2.2"
#define FAR_NOBODY "10.71.2.3" /* the far host's too, and nobody listens there */
#define FAR_ABSENT "10.71.2.4" /* no host has it */
#define NEAR_HOST  "10.71.1.2"
#define MANY_NAME  "many.test" /* all three of them */
#define URGENT     '!'

/* The bytes of one direction, as one end has seen them. */
struct tape {
    uint64_t key;
    uint64_t urgent_at; /* an urgent byte stands here among the others; or NOWHERE */
    uint64_t count, hash;
    uint64_t wrong_at; /* the first byte that is not the pattern's; or NOWHERE */
};

/* One end of a connection, as its program saw it. */
struct view {
    uint16_t port;     /* of the end that dialled: the connection's name */
    bool near_dialled; /* or the far end */
    struct tape wrote, got;
    bool ended;      /* sent its end */
    bool saw_end;    /* read the peer's */
    uint64_t marked; /* where the urgent byte was found; or NOWHERE */
};

struct near_view {
    struct view view;
    tn_err error;  /* the first one before the close, with the call */
    tn_err closed; /* what tn_close returned */
    tn_ending ending;
    bool over;                /* tn_close has returned */
    bool ended_before_strike; /* so the peer may have had our end */
    uint64_t confirmed;       /* bytes: the most that a tn_confirm vouched for */
    char urgent_byte;         /* what was found at view.marked */
};

struct far_view {
    struct view view;
    int error;     /* the first errno */
    bool gave_up;  /* the near end was through, and nothing more came */
    bool finished; /* the witness came to the end of its script */
};

struct stage {
    uint64_t seed;
    const char *driver;
    size_t size;         /* bytes that a direction of a connection carries, about */
    bool tiny;           /* buffers as small as they get */
    bool urgent_cleared; /* the router makes an urgent byte an ordinary one */
    bool patient;        /* nothing breaks: limits are only there against a hang */
    bool early;          /* it breaks before the first dial */
    uint64_t strike_at;  /* bytes after which the network breaks, 0 is before the dial */
    uint16_t far_port;   /* where the witness listens */
    int to_router;       /* the near program asks for the strike here, by a byte */
    tn_err run;          /* what the near program's loop returned */
    unsigned near_count; /* of near[] */
    tn_err refused;      /* what dialling FAR_NOBODY gave */
    tn_err dialled;      /* the first dial that failed */

    _Atomic uint16_t near_port; /* where the near program listens, 0: nowhere yet */
    atomic_bool struck, near_done;
    atomic_uint far_count; /* of far[] */
    struct near_view near[WIRES_MAX];
    struct far_view far[WIRES_MAX];
};

extern struct stage *stage; /* this lane's, in memory that its processes share */

/* ---- tape.c ---- */

/* mix -- a number that looks random, the same for the same two. */
uint64_t mix(uint64_t one, uint64_t other);
/* name_seed -- SEED, different for each NAME. */
uint64_t name_seed(uint64_t seed, const char *name);

/* view_open -- set up VIEW for the connection PORT; FAR: it is the far end's. */
void view_open(struct view *view, uint16_t port, bool near_dialled, bool far);
/* tape_fill -- the SIZE bytes that come next on TAPE; tape_wrote says how many went. */
void tape_fill(const struct tape *tape, char *bytes, size_t size);
void tape_wrote(struct tape *tape, size_t size);
/* tape_got -- BYTES have been read: compare, hash and count them. */
void tape_got(struct tape *tape, const char *bytes, size_t size);
/* tape_hash -- what the hash of the first COUNT bytes of TAPE must be. */
uint64_t tape_hash(const struct tape *tape, uint64_t count);

/* ---- scenarios ---- */

struct near_view;

/* What the far witness does with a connection: see peer.c. */
struct script {
    unsigned source; /* percent of stage->size that it writes */
    bool echo;       /* writes what it reads instead */
    bool after_end;  /* writes only when it has read the near end */
    bool urgent;     /* an urgent byte among what it writes */
    bool dials;      /* it connects to the near program, too */
};

struct scenario {
    const char *name;
    tn_err (*run)(void *unused); /* the near program, a task */
    struct script far;
    unsigned how;   /* bits of enum tn_how: how it ends when nothing breaks */
    bool one_key;   /* all connections carry the same bytes */
    bool in_hosts;  /* MANY_NAME is to be found */
    unsigned share; /* of the size, where there are many connections: 1 in so many */
};

extern const struct scenario flow_scenarios[], end_scenarios[], many_scenarios[];
extern const struct scenario *scenario; /* the one that is played */

/* peer_main -- the far end of a combination, in a process of its own: does not return. */
_Noreturn void peer_main(int listener);

/* ---- oracle.c ---- */

struct impairment;

/* judge -- compare both ends; NULL, or the first thing that must not be, in words. */
const char *judge(const struct impairment *impairment);

#endif
