/* SPDX-License-Identifier: MIT */
/*
 * tenon/time.h -- deadlines: points in time at which waiting ends.
 *
 * Whatever can park takes a deadline as its last argument.  It is a point, not a
 * length, so five reads in a row can share one limit; and a type of its own, so that
 * `tn_read(conn, buf, size, &got, 5000)` does not compile.
 *
 *      tn_deadline deadline = tn_in(5 * TN_SECOND);
 *
 * What has happened by then comes first: a task whose deadline passed while its thread stood
 * still (SIGSTOP, a busy machine) gets what has come meanwhile, and not TN_DEADLINE.
 *
 * The clock is CLOCK_MONOTONIC (clock_gettime(2)); under the simulator it is virtual.
 */
#ifndef TENON_TIME_H
#define TENON_TIME_H

#include <stdbool.h>
#include <stdint.h>

#include <tenon/err.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Lengths of time, in nanoseconds. */
#define TN_US     INT64_C(1000)
#define TN_MS     (1000 * TN_US)
#define TN_SECOND (1000 * TN_MS)
#define TN_MINUTE (60 * TN_SECOND)

/* A point in time.  Opaque: made by the calls below, copied freely. */
typedef struct tn_deadline {
    int64_t at; /* nanoseconds; negative when shielded */
} tn_deadline;

/* TN_NEVER -- wait as long as it takes (but a cancel still ends the wait). */
#define TN_NEVER tn_never()

/* TN_NOW -- do not wait at all: what cannot be done at once is TN_DEADLINE. */
#define TN_NOW tn_at_once()

/* tn_never -- TN_NEVER, as a call. */
static inline tn_deadline tn_never(void)
{
    tn_deadline deadline = { INT64_MAX };
    return deadline;
}

/* tn_at_once -- TN_NOW, as a call. */
static inline tn_deadline tn_at_once(void)
{
    tn_deadline deadline = { 0 };
    return deadline;
}

/* tn_now -- nanoseconds on the monotonic clock, to measure with. */
TN_API int64_t tn_now(void);

/*
 * tn_in -- the point LENGTH nanoseconds from now, never an earlier one; for a second or
 * more up to 10 ms later (a cheaper clock serves), and earlier by as much as the system's
 * ticks are held up beyond that (a stalled virtual machine).  A length of zero or less is
 * now; one too far off to be a point is TN_NEVER.
 */
TN_API tn_deadline tn_in(int64_t length);

/*
 * tn_shielded -- the point LENGTH nanoseconds from now, as a deadline that a cancel
 * does not cut short.  It is for the clean-up after a cancel: everything else a
 * canceled task waits for ends at once with TN_CANCELED.
 */
TN_API tn_deadline tn_shielded(int64_t length);

/* tn_left -- nanoseconds until DEADLINE: 0 once it has passed, INT64_MAX for never. */
TN_API int64_t tn_left(tn_deadline deadline);

/* tn_sooner -- whichever of the two comes first; shielded only if both are. */
TN_API tn_deadline tn_sooner(tn_deadline one, tn_deadline other);

#ifdef __cplusplus
}
#endif

#endif
