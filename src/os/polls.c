/* SPDX-License-Identifier: MIT */
/*
 * polls.c -- the table of polls by descriptor; see polls.h.
 */
#include "os/polls.h"

static int make_room(struct polls *polls, struct os *os, int fd)
{
    int room = polls->room > 0 ? polls->room : 64;
    struct os_poll **bigger;

    while (room <= fd)
        room = room > INT_MAX / 2 ? INT_MAX : room * 2;
    bigger = os_allocate(os, (size_t)room * sizeof(struct os_poll *));
    if (bigger == NULL)
        return -ENOMEM;
    if (polls->room > 0)
        memcpy(bigger, polls->of, (size_t)polls->room * sizeof(struct os_poll *));
    os_release(os, polls->of);
    polls->of = bigger;
    polls->room = room;
    return 0;
}

int polls_add(struct polls *polls, struct os *os, struct os_poll *poll)
{
    int fd = poll->event.fd;

    if (fd < 0)
        return -EBADF;
    if (fd >= polls->room) {
        int result = make_room(polls, os, fd);
        if (result < 0)
            return result;
    }
    poll->next_on_fd = polls->of[fd];
    polls->of[fd] = poll;
    return 0;
}

void polls_remove(struct polls *polls, struct os_poll *poll)
{
    struct os_poll **at = &polls->of[poll->event.fd];

    while (*at != poll)
        at = &(*at)->next_on_fd;
    *at = poll->next_on_fd;
}

void polls_release(struct polls *polls, struct os *os)
{
    os_release(os, polls->of);
    polls->of = NULL;
    polls->room = 0;
}
