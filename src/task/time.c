/* SPDX-License-Identifier: MIT */
/*
 * task/time.c -- the public clock: that of the loop's system, or the real one outside.
 */
#include <tenon/time.h>

#include "base/deadline.h"
#include "os/os.h"
#include "task/park.h"
#include "task/task.h"

int64_t tn_now(void)
{
    return os_now(task_os());
}

/*
 * Now or a little later, for lengths to which 10 ms do not matter: two limits a round trip
 * are 60 of 4900 ns on the precise clock, 12 on this one.  Where ticks are held up (a
 * stalled virtual machine) the loop's own look at the clock, of this turn, still counts.
 */
static int64_t late_now(void)
{
    struct tn_loop *loop = loop_current;
    int64_t late;

    if (loop == NULL)
        return tn_now();
    late = os_late_now(loop->os);
    return late > loop_now(loop) ? late : loop_now(loop);
}

static int64_t point_in(int64_t length)
{
    int64_t now;

    if (length <= 0)
        return tn_now();
    now = length < TN_SECOND ? tn_now() : late_now();
    return length < INT64_MAX - now ? now + length : INT64_MAX;
}

tn_deadline tn_in(int64_t length)
{
    return deadline_make(point_in(length), false);
}

tn_deadline tn_shielded(int64_t length)
{
    return deadline_make(point_in(length), true);
}

int64_t tn_left(tn_deadline deadline)
{
    int64_t point = deadline_point(deadline);
    int64_t now;

    if (point == INT64_MAX)
        return INT64_MAX;
    now = tn_now();
    return point > now ? point - now : 0;
}

tn_deadline tn_sooner(tn_deadline one, tn_deadline other)
{
    int64_t first = deadline_point(one), second = deadline_point(other);

    return deadline_make(first < second ? first : second,
                         deadline_shielded(one) && deadline_shielded(other));
}
