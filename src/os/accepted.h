/* SPDX-License-Identifier: MIT */
/*
 * accepted.h -- the connections that an os_accept has brought and its owner has not taken yet.
 */
#ifndef OS_ACCEPTED_H
#define OS_ACCEPTED_H

#include "os/driver.h"

/* os_refuse -- close FD by a reset, lest the peer take our failure for an end. */
void os_refuse(struct os *os, int fd);

/* For drivers: FD has been accepted.  It is refused where there is no memory to note it. */
void accepted_keep(struct os *os, struct os_accept *accept, int fd);

/* How many wait to be taken. */
static inline uint32_t accepted_count(const struct os_accept *accept)
{
    return accept->count - accept->first;
}

/* accepted_take -- the one that came first, now the caller's; -EAGAIN when there is none. */
int accepted_take(struct os_accept *accept);

/* accepted_release -- release the queue, from which all have been taken. */
void accepted_release(struct os *os, struct os_accept *accept);

#endif
