/* SPDX-License-Identifier: MIT */
/*
 * deadline.h -- the inside of a tn_deadline: a point in nanoseconds, and a shield.
 *
 * A shielded point is stored negative, so that the type stays one register wide.
 */
#ifndef BASE_DEADLINE_H
#define BASE_DEADLINE_H

#include <tenon/time.h>

static inline bool deadline_shielded(tn_deadline deadline)
{
    return deadline.at < 0;
}

static inline int64_t deadline_point(tn_deadline deadline)
{
    return deadline.at < 0 ? -deadline.at : deadline.at;
}

static inline tn_deadline deadline_make(int64_t point, bool shielded)
{
    tn_deadline deadline = { shielded ? -(point > 0 ? point : 1) : point };
    return deadline;
}

#endif
