/* SPDX-License-Identifier: MIT */
/*
 * timers.h -- points in time, soonest first; see timers.c.
 */
#ifndef BASE_TIMERS_H
#define BASE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
    int64_t point; /* nanoseconds; may be read while the timer is set */
    size_t place;  /* 1 + index in the heap; 0 while not set */
};

struct timers {
    struct timer **heap;
    size_t count, room;
};

static inline bool timer_is_set(const struct timer *timer)
{
    return timer->place != 0;
}

/* timers_room -- whether one more timer needs the heap to grow. */
static inline bool timers_full(const struct timers *timers)
{
    return timers->count == timers->room;
}

/* timers_grow -- hand over a larger array, of ROOM pointers; gives the old one back. */
void *timers_grow(struct timers *timers, void *array, size_t room);

/* timer_set -- set TIMER for POINT, or move it there.  Needs room for a new one. */
void timer_set(struct timers *timers, struct timer *timer, int64_t point);

/* timer_clear -- take TIMER out, if it is set. */
void timer_clear(struct timers *timers, struct timer *timer);

/* timers_first -- the soonest timer, still set, or NULL. */
struct timer *timers_first(const struct timers *timers);

/* timers_check -- stop the program if the heap is not one.  For tests. */
void timers_check(const struct timers *timers);

#endif
