/* SPDX-License-Identifier: MIT */
/*
 * dice.h -- what is to happen to the Nth packet of a direction, by seed.
 *
 * The draw is a pure function of seed, direction and N: with the same seed the same
 * sequence, whatever the timing.  What it means for a packet also depends on what kind of
 * packet comes as the Nth, which is TCP's affair and not repeatable.
 */
#ifndef ROUGH_DICE_H
#define ROUGH_DICE_H

#include <stdbool.h>
#include <stdint.h>

/* The odds are parts of 1,000. */
struct dice {
    uint64_t seed;
    unsigned delay, jitter; /* ms: for each packet; up to so much more, in their order */
    unsigned reorder, hold; /* odds of being overtaken; ms */
    unsigned duplicate, corrupt, lose;
    unsigned syn_loss;  /* of a SYN or SYN/ACK, at most twice a connection */
    unsigned ack_loss;  /* of an ACK without data */
    unsigned clear_urg; /* 1: every urgent byte becomes an ordinary one */
};

struct draw {
    bool lose, syn_loss, ack_loss, duplicate, corrupt, held;
    uint64_t jitter_us;
    uint64_t where; /* a random number, for the byte that gets corrupt */
};

/* What the program verdict.c tells at its end, for each direction. */
struct tally {
    uint64_t drawn[2], hash[2];
    uint64_t changed; /* packets that fared otherwise than without it */
};

/* dice_parse -- read "delay=15,jitter=3,clear-urg" into *DICE. */
bool dice_parse(struct dice *dice, const char *text, uint64_t seed);
/* dice_draw -- for the Nth packet of direction WAY. */
struct draw dice_draw(const struct dice *dice, int way, uint64_t n);
/* dice_fold -- HASH with DRAW added; dice_hash -- of the first COUNT draws. */
uint64_t dice_fold(uint64_t hash, const struct draw *draw);
uint64_t dice_hash(const struct dice *dice, int way, uint64_t count);

void tally_print(const struct tally *tally);
bool tally_parse(struct tally *tally, const char *line);

#endif
