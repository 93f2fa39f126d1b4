/* SPDX-License-Identifier: MIT */
/*
 * close.c -- close, dup2 and dup3: what takes a descriptor away.
 *
 * Whoever waits on it is sent off first: it would otherwise wait for ever (epoll forgets a
 * closed file), hold the connection open (a ring keeps the file), or, worst, wake up to read
 * from the next file that got the number.
 */
#include <errno.h>
#include <fcntl.h>

#include <tenon/loop.h>

#include "base/check.h"
#include "fd/call.h"
#include "fd/fd.h"
#include "task/park.h"

/* Does close(2) wait for this one (socket(7), SO_LINGER)? */
static bool lingers(struct os *os, int fd)
{
    struct linger linger = { 0, 0 };
    socklen_t size = sizeof(linger);

    return os_getsockopt(os, fd, SOL_SOCKET, SO_LINGER, &linger, &size) == 0 &&
           linger.l_onoff != 0 && linger.l_linger > 0;
}

struct closing {
    struct os *os;
    int fd;
    int result;
};

static void close_work(void *arg)
{
    struct closing *closing = arg;

    closing->result = os_close(closing->os, closing->fd);
}

static void close_discard(void *arg)
{
    struct closing *closing = arg;

    os_release(closing->os, closing);
}

/* On a helper thread, so that only this task waits.  If there is none to be had, the waiting is
 * given up, not the bytes: without SO_LINGER the kernel sends them on by itself. */
static int close_elsewhere(struct os *os, int fd)
{
    const struct linger off = { 0, 0 };
    struct closing *closing = os_allocate(os, sizeof(*closing));
    int result;

    if (closing != NULL) {
        *closing = (struct closing){ .os = os, .fd = fd };
        if (!tn_failed(
                tn_offload(close_work, closing, close_discard, tn_shielded(INT64_MAX)))) {
            result = closing->result;
            os_release(os, closing);
            return result;
        }
    }
    (void)os_setsockopt(os, fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
    return os_close(os, fd);
}

int fd_close(int fd)
{
    struct os *os = task_os();

    if (task_self() == NULL)
        return os_close(os, fd);
    park_fd_close(fd);
    return lingers(os, fd) ? close_elsewhere(os, fd) : os_close(os, fd);
}

int fd_dup(int old_fd, int new_fd, int flags)
{
    struct os *os = task_os();

    /* what would fail takes nothing away */
    if (task_self() != NULL && old_fd != new_fd && (flags & ~O_CLOEXEC) == 0 &&
        os_fcntl(os, old_fd, F_GETFD, 0) >= 0)
        park_fd_close(new_fd);
    return os_dup(os, old_fd, new_fd, flags);
}

int tn_fd_close(int fd)
{
    int saved = errno;

    return (int)answer(fd_close(fd), saved);
}

int tn_fd_dup2(int old_fd, int new_fd)
{
    int saved = errno, result;

    if (old_fd ==
        new_fd) { /* dup3 refuses that; dup2 says whether there is such a file */
        result = os_fcntl(task_os(), old_fd, F_GETFD, 0);
        return (int)answer(result < 0 ? result : new_fd, saved);
    }
    if (new_fd < 0)
        return (int)answer(-EBADF, saved);
    return (int)answer(fd_dup(old_fd, new_fd, 0), saved);
}

int tn_fd_dup3(int old_fd, int new_fd, int flags)
{
    int saved = errno;

    if (new_fd < 0)
        return (int)answer(
            old_fd == new_fd || (flags & ~O_CLOEXEC) != 0 ? -EINVAL : -EBADF, saved);
    return (int)answer(fd_dup(old_fd, new_fd, flags), saved);
}
