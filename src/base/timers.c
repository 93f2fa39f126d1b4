/* SPDX-License-Identifier: MIT */
/*
 * timers.c -- points in time, soonest first.
 *
 * A binary heap of pointers.  Each timer knows its own place, so moving one or taking
 * it out early is O(log n).  Nothing here reads a clock or allocates: the owner passes
 * points and hands over a larger array when timers_full() says so.
 *
 * Always true: heap[i]->place == i + 1, and no timer is sooner than the one above it.
 * timers_check() verifies both in tests.
 */
#include "base/timers.h"

#include <string.h>

#include "base/check.h"

static void put(struct timers *timers, size_t at, struct timer *timer)
{
    timers->heap[at] = timer;
    timer->place = at + 1;
}

static void rise(struct timers *timers, size_t at, struct timer *timer)
{
    while (at > 0) {
        size_t above = (at - 1) / 2;
        if (timers->heap[above]->point <= timer->point)
            break;
        put(timers, at, timers->heap[above]);
        at = above;
    }
    put(timers, at, timer);
}

static void sink(struct timers *timers, size_t at, struct timer *timer)
{
    for (;;) {
        size_t below = 2 * at + 1;
        if (below >= timers->count)
            break;
        if (below + 1 < timers->count &&
            timers->heap[below + 1]->point < timers->heap[below]->point)
            below++;
        if (timer->point <= timers->heap[below]->point)
            break;
        put(timers, at, timers->heap[below]);
        at = below;
    }
    put(timers, at, timer);
}

void *timers_grow(struct timers *timers, void *array, size_t room)
{
    void *old = timers->heap;

    CHECK(room > timers->count);
    if (timers->count > 0)
        memcpy(array, timers->heap, timers->count * sizeof(struct timer *));
    timers->heap = array;
    timers->room = room;
    return old;
}

void timer_set(struct timers *timers, struct timer *timer, int64_t point)
{
    int64_t before = timer->point;

    timer->point = point;
    if (timer->place == 0) {
        CHECK(timers->count < timers->room);
        rise(timers, timers->count++, timer);
    } else if (point < before) {
        rise(timers, timer->place - 1, timer);
    } else {
        sink(timers, timer->place - 1, timer);
    }
}

void timer_clear(struct timers *timers, struct timer *timer)
{
    if (timer->place == 0)
        return;

    size_t at = timer->place - 1;
    struct timer *last = timers->heap[--timers->count];

    timer->place = 0;
    if (last == timer)
        return;
    if (last->point < timer->point)
        rise(timers, at, last);
    else
        sink(timers, at, last);
}

struct timer *timers_first(const struct timers *timers)
{
    return timers->count > 0 ? timers->heap[0] : NULL;
}

void timers_check(const struct timers *timers)
{
    for (size_t i = 0; i < timers->count; i++) {
        CHECK(timers->heap[i]->place == i + 1);
        CHECK(i == 0 || timers->heap[(i - 1) / 2]->point <= timers->heap[i]->point);
    }
}
