/* SPDX-License-Identifier: MIT */
/*
 * linux_pipe.c -- pipes, and moving bytes through them without a copy: splice(2).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "os/linux_pipe.h"

static ssize_t count(ssize_t result)
{
    return result < 0 ? -errno : result;
}

/* A large pipe is a matter of speed only: who may not have one gets what there is. */
int linux_pipe(struct os *os, size_t size, int fds[2])
{
    (void)os;
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0)
        return -errno;
    (void)fcntl(fds[1], F_SETPIPE_SZ, (int)size);
    return 0;
}

ssize_t linux_splice_in(struct os *os, int fd, int pipe, size_t size)
{
    (void)os;
    return count(splice(fd, NULL, pipe, NULL, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
}

/*
 * splice(2) has no MSG_NOSIGNAL.  So the signal is blocked meanwhile, and taken away if it
 * is this call's: one that was pending before stays.
 */
ssize_t linux_splice_out(struct os *os, int pipe, int fd, size_t size)
{
    const struct timespec at_once = { 0, 0 };
    sigset_t sigpipe, before, pending;
    bool was_pending;
    ssize_t result;

    (void)os;
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &sigpipe, &before);
    was_pending = sigismember(&before, SIGPIPE) == 1 && sigpending(&pending) == 0 &&
                  sigismember(&pending, SIGPIPE) == 1;
    result = count(splice(pipe, NULL, fd, NULL, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
    if (result == -EPIPE && !was_pending)
        (void)sigtimedwait(&sigpipe, NULL, &at_once);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}
