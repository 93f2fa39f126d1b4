/* SPDX-License-Identifier: MIT */
/*
 * park_fd.h -- waiting for descriptors that belong to the user.
 *
 * park_poll (park.h) is for descriptors that the library owns.  These ones are anybody's:
 * another task may close one and open another file under the same number before the waiter
 * runs; a signal may have to end the wait; there may be several.  So waits are listed by
 * descriptor until their task runs again, and a close marks every one of them.
 */
#ifndef TASK_PARK_FD_H
#define TASK_PARK_FD_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include <tenon/time.h>

struct tn_loop;

/* Which handlers end a wait with -EINTR; see signal(7) on SA_RESTART. */
enum park_signals {
    PARK_RESTARTS, /* those without SA_RESTART */
    PARK_LOOKS, /* all, those with SA_RESTART with -ERESTART: the call looks once more */
    PARK_INTERRUPTS /* all: the kernel never restarts this call */
};

/*
 * park_fd -- park until FD is ready for EVENTS (poll(2) bits) and give what it is ready for;
 * or -errno: -ETIME, -EINTR, -ECANCELED (of the task, or FD is being closed), -ENOMEM.
 *
 * It may come back for nothing: whoever waits, tries again.
 */
int park_fd(int fd, short events, tn_deadline deadline, enum park_signals signals);

/*
 * park_fd_pause -- park for LENGTH nanoseconds, for what no readiness shows; 0, or -errno as
 * park_fd.
 */
int park_fd_pause(int fd, int64_t length, tn_deadline deadline,
                  enum park_signals signals);

/*
 * park_fds -- park until one of COUNT entries is ready, and give 1; or -errno as park_fd.
 *
 * Which one and for what is poll(2)'s to say, afterwards.  Entries with a negative descriptor
 * are passed over.
 */
int park_fds(const struct pollfd *entries, nfds_t count, tn_deadline deadline);

/*
 * park_fd_close -- end every wait on FD of this thread's tasks with -ECANCELED, and park until
 * the kernel has let go of FD, so that it may be closed.  Soon over; not cut by a cancel.
 */
void park_fd_close(int fd);

/* For the loop: is anybody waiting?  Handlers have run, all of them with SA_RESTART or not:
 * end the waits that this ends. */
bool park_fd_waits(const struct tn_loop *loop);
void park_fd_interrupt(struct tn_loop *loop, bool restarts);
void park_fd_release(struct tn_loop *loop);

#endif
