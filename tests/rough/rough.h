/* SPDX-License-Identifier: MIT */
/*
 * rough.h -- what plays the combinations: lanes, and what is done to their networks.
 *
 * A lane is a near host, a router and a far host, on which one combination after the other
 * is played; several lanes run side by side, since most combinations mostly wait.
 */
#ifndef ROUGH_ROUGH_H
#define ROUGH_ROUGH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum host { NEAR, ROUTER, FAR, HOSTS };

struct lane {
    int hosts[HOSTS]; /* their network namespaces */
    pid_t near, far;  /* the processes at work; each leads a group of its own */
    pid_t verdicts;   /* the program that decides packets, or 0 */
    int verdicts_say; /* what it prints */
    bool ruled;       /* nftables has our table */
    uint64_t evidence;
    char trouble[256]; /* why something could not be done */
};

/* ---- lane.c ---- */

/* lane_open -- make the three hosts; false, with `trouble`: not on this machine. */
bool lane_open(struct lane *lane);
/* lane_enter -- move this process to HOST. */
void lane_enter(const struct lane *lane, enum host host);
/*
 * lane_run -- run the words of COMMAND on HOST, INPUT (or NULL) being its standard input;
 * the first bytes of what it says go to OUTPUT (or NULL).  False, with `trouble`.
 */
bool lane_run(struct lane *lane, enum host host, const char *command, const char *input,
              char *output, size_t size);

/* ---- impair.c ---- */

/* What happens to the network; what is not said does not happen. */
struct impairment {
    const char *name;
    /* From the start. */
    const char *rule;     /* of nftables, for each packet that the router passes on */
    const char *rate;     /* of tc-tbf(8), both ways */
    const char *verdicts; /* for the program verdict.c */
    bool tiny;            /* buffers of both ends */
    bool urgent_cleared;
    bool overtakes; /* packets come in another order than they left */
    /* At the strike, in the middle of things. */
    const char *strike_rule;
    bool kills_near, kills_far; /* ss -K: the kernel aborts the connections */
    bool stops_far;             /* SIGSTOP */
    int heal_ms;      /* then all is well again; 0: never, that is, it breaks something */
    unsigned hows;    /* bits of enum tn_how: how a connection may end after the strike */
    unsigned errors;  /* bits of enum tn_kind: what calls may return then, */
    unsigned dials;   /* and what a dial may */
    bool acks_return; /* what the far host has received is known to the near one */
};

extern const struct impairment impairments[]; /* up to one without a name */

bool impairment_strikes(const struct impairment *impairment);
bool impairment_breaks(const struct impairment *impairment);

/* impair_start, _strike, _heal -- do it to LANE; false, with `trouble`. */
bool impair_start(struct lane *lane, const struct impairment *impairment, uint64_t seed);
bool impair_strike(struct lane *lane, const struct impairment *impairment);
bool impair_heal(struct lane *lane, const struct impairment *impairment);
/* impair_end -- take it all away again; lane->evidence is how often it showed. */
bool impair_end(struct lane *lane, const struct impairment *impairment, uint64_t seed);

/* ---- play.c ---- */

enum outcome { PASSED, FAILED, SKIPPED };

struct combination {
    const struct impairment *impairment;
    const struct scenario *scenario;
    const char *driver;
    uint64_t seed;
};

/* play -- run one on LANE; unless it passed, the lane's trouble is why. */
enum outcome play(struct lane *lane, const struct combination *combination);

#endif
