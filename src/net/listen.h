/* SPDX-License-Identifier: MIT */
/*
 * listen.h -- the listener, for its two files: listen.c makes it and ends it, accept.c takes
 * connections from it.
 */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include <tenon/conn.h>
#include <tenon/sync.h>

#include "os/driver.h"
#include "task/park.h"

struct tn_listener {
    struct os *os;
    struct os_driver *driver; /* of the loop that it was made in */
    unsigned forks;           /* task_forks() then: a child has only a copy */
    int fd;
    tn_addr addr;
    struct tn_conn_options options;
    struct os_accept ahead;    /* where the driver can: asked for while tasks wait */
    struct standing standing;  /* ... or until one more has come */
    struct tn_waiters waiting; /* those tasks */
    bool no_ahead;             /* it is not wanted */
    bool ahead_ended;          /* by itself: whoever waits next, waits without it */
    bool dying; /* closed, and to be released when the driver has done with it */
    uint64_t pauses;
    unsigned accepted;  /* over TCP; it may begin again at 0 */
    unsigned accepting; /* tasks in tn_accept */
    struct stat file;   /* of a Unix socket, so that only our own is removed */
};

/* accept_init -- of what accept.c needs there. */
void accept_init(struct tn_listener *listener);

/*
 * accept_end -- accept no more, refuse what has been accepted and not taken, close the socket
 * and release LISTENER.  Parks until the driver has done with it; outside of tasks all that is
 * left to the loop's next turn.
 */
void accept_end(struct tn_listener *listener);

#endif
