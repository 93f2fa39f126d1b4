/* SPDX-License-Identifier: MIT */
/*
 * tenon/pump.h -- one direction of a relay: all that comes out of one connection goes into
 * another one, and the count of it is exact.
 *
 *      struct tn_pump pump = { .pass_end = true };
 *
 *      err = tn_pump(&pump, client, server, TN_NEVER);
 *      ...
 *      tn_pump_release(&pump);
 *
 * A pump is a struct in the caller's memory: zeroed, with what is wanted filled in.  It
 * takes the cheapest way by itself: small pieces by a lease and a send, a stream by
 * splice(2), without a copy.  It may be asked to stop at any byte, and a deadline or a
 * cancel stops it anywhere without harm: what it has taken and not given yet it keeps, and
 * the next call goes on with that.
 *
 * A relay is two pumps in two tasks, one each way.  An urgent byte is not passed on.
 */
#ifndef TENON_PUMP_H
#define TENON_PUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/conn.h>
#include <tenon/err.h>
#include <tenon/time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Which end of a pump. */
enum tn_pump_side { TN_PUMP_NEITHER, TN_PUMP_FROM, TN_PUMP_TO };

struct tn_pump {
    /* What the caller wants; may be changed between calls. */
    bool pass_end;  /* once the source has ended, end the sink too (tn_end) */
    bool no_splice; /* copy always */
    uint64_t limit; /* stop once so many bytes in all are given; 0: no limit */

    /* What has happened; true at any time, for any task that looks (given: from when its
     * task runs again, on io_uring, if it had company in its turn). */
    uint64_t taken, given; /* out of the source; into the kernel, for the sink */
    bool ended;            /* the source has ended, and nothing is held */
    uint8_t failed; /* enum tn_pump_side: which connection the last call's error is of */

    /* Private: what is held, taken - given bytes of it. */
    bool splices, was_full;
    uint8_t streak;
    const char *data;
    void *buffer, *memory, *pipe;
};

/*
 * tn_pump -- move bytes from FROM to TO until FROM has ended in order or PUMP->limit is
 * reached.
 *
 * One pump goes with the same two connections from call to call.  Meanwhile it is FROM's
 * one reader and TO's one writer.  It also notices TO's death while it waits for FROM, as
 * soon as no other task reads TO; and it goes on after TO's peer has ended its side.
 * Parks.
 *
 * Errors: TN_RESET, TN_TIMEDOUT, TN_UNREACHABLE: PUMP->failed tells which connection is
 * dead; all that had come from a dead FROM has been given.  TN_CLOSED (TO has been ended),
 * TN_LIMIT (memory).  TN_DEADLINE, TN_CANCELED: both are good, and so is the pump.
 */
TN_API TN_MUST tn_err tn_pump(struct tn_pump *pump, struct tn_conn *from,
                              struct tn_conn *to, tn_deadline deadline);

/*
 * tn_pump_release -- free what PUMP holds, in the loop in which it pumped; takes an empty
 * one.  The counts stay: taken - given bytes are lost now.  Does not park.
 */
TN_API void tn_pump_release(struct tn_pump *pump);

#ifdef __cplusplus
}
#endif

#endif
