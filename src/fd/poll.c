/* SPDX-License-Identifier: MIT */
/*
 * poll.c -- poll in a task: ask the kernel, park on all of them, ask the kernel again.
 *
 * The kernel's poll(2) has the last word, so revents are its own; parking only finds out when
 * to ask.  The caller's entries are read by us only after the kernel could read them.
 */
#include <errno.h>

#include "fd/call.h"
#include "fd/fd.h"
#include "task/park.h"

/* A driver that calls entries ready which poll(2) does not must not make us spin: so many
 * times in a row, then a pause before each. */
#define FUTILE_MOST 16
#define PAUSE_NS    (1 * TN_MS)

int fd_poll(struct pollfd *entries, nfds_t count, int timeout_ms)
{
    tn_deadline deadline = TN_NEVER;
    struct os *os = task_os();
    unsigned futile = 0;
    int ready, result;
    int64_t start;

    if (task_self() == NULL)
        return os_poll(os, entries, count, timeout_ms);
    ready = os_poll(os, entries, count, 0);
    if (timeout_ms > 0)
        deadline = tn_in(timeout_ms * TN_MS);
    while (ready == 0 && timeout_ms != 0) {
        start = tn_now();
        result = futile < FUTILE_MOST
                     ? park_fds(entries, count, deadline)
                     : park_fd_pause(-1, PAUSE_NS, deadline, PARK_INTERRUPTS);
        if (result < 0 && result != -ETIME)
            return result;
        ready = os_poll(os, entries, count, 0);
        if (result == -ETIME)
            break;
        futile = tn_now() - start < PAUSE_NS / 10 ? futile + 1 : 0;
    }
    task_spend();
    return ready;
}

int tn_fd_poll(struct pollfd *entries, nfds_t count, int timeout_ms)
{
    int saved = errno;

    return (int)answer(fd_poll(entries, count, timeout_ms), saved);
}
