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

struct tn_listener {
    struct os *os;
    struct os_driver *driver; /* of the loop that it was made in */
    int fd;
    tn_addr addr;
    struct tn_conn_options options;
    struct os_accept ahead;    /* where the driver can: asked for while tasks wait */
    struct tn_waiters waiting; /* ... which are these */
    bool ahead_ended;          /* by whatever: whoever waits next, waits without it */
    uint64_t pauses;
    unsigned accepted;  /* over TCP; it may begin again at 0 */
    unsigned accepting; /* tasks in tn_accept */
    struct stat file;   /* of a Unix socket, so that only our own is removed */
};

/* accept_init, accept_end -- of what accept.c needs there.  The end parks until the kernel has
 * let go of the socket, and refuses what has been accepted and not taken. */
void accept_init(struct tn_listener *listener);
void accept_end(struct tn_listener *listener);

#endif
