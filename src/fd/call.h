/* SPDX-License-Identifier: MIT */
/*
 * fd/call.h -- one call on its way: what it may wait for, and how long.
 *
 * Every waiting call is the same loop: try without blocking; on -EAGAIN call_wait(), which
 * parks, or says why not; try again.  What that needs to know (O_NONBLOCK, SO_RCVTIMEO) is
 * asked of the kernel when a call first has to wait, so that a call which need not pays
 * nothing for it, and nothing kept here can be out of date.
 */
#ifndef FD_CALL_H
#define FD_CALL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <tenon/time.h>

#include "os/os.h"
#include "task/park_fd.h"

struct call {
    struct os *os;
    int fd;
    short events; /* what to wait for; POLLIN or POLLOUT say whose time-out counts */
    bool known;   /* the limit is */
    tn_deadline limit;
    bool looks; /* a signal makes the kernel look once more, whatever SA_RESTART says */
    int signalled; /* that is what has happened: -EINTR, or -ERESTART to wait on */
    bool moved; /* bytes have been: a signal of any kind ends the call with the count */
    bool woken; /* the last wait ended with readiness */
    short revents;    /* what it was ready for */
    int64_t pause_ns; /* how long the last pause was */
};

/* call_begin -- for a running task. */
struct call call_begin(int fd, short events);

/*
 * call_wait -- park until trying again makes sense: 0.
 *
 * Otherwise what the call has to answer if nothing was moved: -EAGAIN (non-blocking, or the
 * time-out has passed), -EINTR, -ECANCELED, or an error of waiting itself; -ESHUTDOWN when
 * nothing will come any more because of SHUT_RD, and trying does not show it (datagrams).
 * For a call that `looks` a signal is 0 and stands in `signalled`; the next wait after it
 * answers -EINTR, or goes on.
 */
int call_wait(struct call *call);

/* call_moved -- something was transferred: the next wait is not for nothing, and no longer
 * one that SA_RESTART lets go on. */
static inline void call_moved(struct call *call)
{
    call->moved = true;
    call->woken = false;
}

/* call_option -- an int of SOL_SOCKET, or OTHERWISE where there is none. */
int call_option(const struct call *call, int name, int otherwise);

/*
 * moment_begin, moment_end -- O_NONBLOCK on FD for the time of one system call.
 *
 * moment_begin gives 1 if FD was in blocking mode and now is not, 0 if it is non-blocking
 * anyway, or -errno.  Only after 1 comes moment_end.  No parking in between.
 */
struct moment {
    int flags;
};
int moment_begin(struct os *os, int fd, struct moment *moment);
void moment_end(struct os *os, int fd, const struct moment *moment);

/* answer -- a result of the inside as POSIX has it; on success errno is as it was. */
ssize_t answer(ssize_t result, int saved_errno);

#endif
