/* SPDX-License-Identifier: MIT */
/*
 * accepted.c -- the queue of an os_accept; see accepted.h.
 */
#include "os/accepted.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"

#define ROOM_FIRST 16U

void os_refuse(struct os *os, int fd)
{
    struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

    os_setsockopt(os, fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    os_close(os, fd);
}

/* Room for one more at the end.  false for want of memory. */
static bool make_room(struct os *os, struct os_accept *accept)
{
    uint32_t count = accepted_count(accept);
    uint32_t room = accept->room == 0 ? ROOM_FIRST : 2 * accept->room;
    int *bigger = accept->fds;

    if (accept->count < accept->room)
        return true;
    if (accept->first == 0) {
        bigger = os_allocate(os, room * sizeof(*bigger));
        if (bigger == NULL)
            return false;
        accept->room = room;
    }
    if (count > 0)
        memmove(bigger, accept->fds + accept->first, count * sizeof(*bigger));
    if (bigger != accept->fds)
        os_release(os, accept->fds);
    accept->fds = bigger;
    accept->first = 0;
    accept->count = count;
    return true;
}

void accepted_keep(struct os *os, struct os_accept *accept, int fd)
{
    if (make_room(os, accept))
        accept->fds[accept->count++] = fd;
    else
        os_refuse(os, fd);
}

int accepted_take(struct os_accept *accept)
{
    int fd;

    if (accept->first == accept->count)
        return -EAGAIN;
    fd = accept->fds[accept->first++];
    if (accept->first == accept->count)
        accept->first = accept->count = 0;
    return fd;
}

void accepted_release(struct os *os, struct os_accept *accept)
{
    CHECK(accepted_count(accept) == 0);
    os_release(os, accept->fds);
    accept->fds = NULL;
    accept->room = 0;
}
