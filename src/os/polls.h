/* SPDX-License-Identifier: MIT */
/*
 * polls.h -- which polls are under way on a descriptor: a table that both drivers keep.
 *
 * It grows with the largest descriptor number and holds one list a number.
 */
#ifndef OS_POLLS_H
#define OS_POLLS_H

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "os/driver.h"

struct polls {
    struct os_poll **of;
    int room;
};

static inline struct os_poll *polls_first(const struct polls *polls, int fd)
{
    return fd >= 0 && fd < polls->room ? polls->of[fd] : NULL;
}

/* polls_add -- list POLL under its descriptor.  0, -EBADF or -ENOMEM. */
int polls_add(struct polls *polls, struct os *os, struct os_poll *poll);

/* polls_remove -- take out POLL, which is listed. */
void polls_remove(struct polls *polls, struct os_poll *poll);

/* polls_release -- free the table, whose lists are empty. */
void polls_release(struct polls *polls, struct os *os);

#endif
