/* SPDX-License-Identifier: MIT */
/*
 * spin.h -- looking for work a little before going to sleep, where that pays.
 *
 * Waking a sleeping core takes 30 to 50 us, most of a small round trip, so a loop that is
 * told to (tn_loop_options.spin) looks again and again for so long before it sleeps.  It
 * does so only while waits have been shorter than that of late, and not for a while after
 * another program was kept waiting for the core: an idle loop sleeps at once.
 */
#ifndef TASK_SPIN_H
#define TASK_SPIN_H

#include <stdbool.h>
#include <stdint.h>

struct tn_loop;

struct spin {
    int64_t limit;       /* ns to look for at most; 0: never */
    int64_t gap;         /* how long waits have been of late: a moving average */
    int64_t rest_until;  /* no looking before: the core is wanted by others */
    int64_t unchecked;   /* ns spent looking since we asked for that */
    int64_t longest;     /* of the looks since then */
    int64_t preemptions; /* when we last asked */
};

/* spin_worth -- whether to look before sleeping, at NOW. */
bool spin_worth(const struct spin *spin, int64_t now);

/* spin_note -- a wait took LENGTH. */
void spin_note(struct spin *spin, int64_t length);

/* spin_wait -- interrupt_wait, having looked for work first if that is worth it. */
int spin_wait(struct tn_loop *loop, int64_t timeout_ns);

#endif
