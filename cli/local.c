/* SPDX-License-Identifier: MIT */
/*
 * local.c -- reading and writing our own ends, by the calls on descriptors (tenon/fd.h).
 *
 * Standard input and output are shared with other processes, a shell above all, so their
 * modes are left as they are.  Where somebody made one non-blocking, a call that would
 * block is an EAGAIN, and we wait by tn_fd_poll.  Named pipes have no other way to be asked
 * without waiting (tenon/fd.h, [moment]): of those we take a description of our own.
 *
 * A task that would never park is still fair to the others: where an end is always ready
 * (a file, /dev/zero), the connection at the other side is what it waits for.
 */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <tenon/fd.h>

/* The limit of open files that we were started with. */
static struct rlimit files_given;

void local_prepare(void)
{
    /*
     * A closed descriptor is taken by /dev/null the wrong way round: it answers EBADF
     * as before, so writing to a closed standard output stays an error.  For a program
     * that we start it is closed again.
     */
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", (fd == 0 ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
    }
    (void)getrlimit(RLIMIT_NOFILE, &files_given);
    /* Left to their defaults these end us, and the kernel our connections, in order. */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* ulimit -f: EFBIG it is */
}

void local_raise_files(void)
{
    struct rlimit limit = files_given;

    limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_max)
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* as it was, if refused */
}

void local_lower_files(void)
{
    if (files_given.rlim_max)
        (void)setrlimit(RLIMIT_NOFILE, &files_given); /* never refused */
}

/* A pipe that has a name, and so can be opened again. */
static bool is_named_pipe(int fd)
{
    struct stat status;
    struct statfs system;

    return fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode) &&
           fstatfs(fd, &system) == 0 && system.f_type != PIPEFS_MAGIC;
}

void local_own(int fd)
{
    int mode = fcntl(fd, F_GETFL), own;
    char path[32];

    if (mode < 0 || !is_named_pipe(fd))
        return;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    own = open(path, (mode & O_ACCMODE) | O_NONBLOCK | O_CLOEXEC);
    if (own < 0)
        return; /* not ours to open, or nobody reads it any more: as it is */
    (void)dup2(own, fd);
    (void)close(own);
}

uint64_t local_most_files(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : UINT64_MAX;
}

struct local local_end(int fd)
{
    struct stat status;
    struct local end = { .fd = fd };

    if (fd >= 0 && fstat(fd, &status) == 0) {
        end.is_file = S_ISREG(status.st_mode);
        end.is_terminal = S_ISCHR(status.st_mode) && isatty(fd);
    }
    return end;
}

/*
 * One attempt that does not wait, in one system call; what cannot be asked so (terminals,
 * older kernels) is left to the calls of tenon/fd.h, which need a few more to be as exact
 * as they are.
 */
static ssize_t read_some(struct local end, void *buf, size_t size)
{
    struct iovec piece = { buf, size };
    ssize_t count;

    if (end.is_file)
        return read(end.fd, buf, size);
    count = preadv2(end.fd, &piece, 1, -1, RWF_NOWAIT);
    return count < 0 && errno == EOPNOTSUPP ? tn_fd_read(end.fd, buf, size) : count;
}

static ssize_t write_some(struct local end, const char *buf, size_t size)
{
    struct iovec piece = { (char *)(uintptr_t)buf, size };
    ssize_t count;

    if (end.is_file)
        return write(end.fd, buf, size);
    count = pwritev2(end.fd, &piece, 1, -1, RWF_NOWAIT);
    return count < 0 && errno == EOPNOTSUPP ? tn_fd_write(end.fd, buf, size) : count;
}

/* After a call on FD failed: wait if that helps.  True to try again, else *ERR is set. */
static bool try_again(int fd, short events, tn_err *err)
{
    struct pollfd entry = { .fd = fd, .events = events };

    if (errno == EINTR)
        return true;
    if (errno == EAGAIN) {
        if (tn_fd_poll(&entry, 1, -1) >= 0 || errno == EINTR)
            return true;
    }
    *err = tn_err_errno(errno);
    return false;
}

/*
 * Does NUMBER, which reading END gave, say that there is nothing to read?  EIO: a terminal
 * that will not bring us to the front any more.  EBADF: /dev/null, only for writing, as
 * local_prepare leaves it and nohup(1) does; any other end is one that we should have had.
 */
static bool is_empty(struct local end, int number)
{
    struct stat status;

    if (number == EIO)
        return end.is_terminal;
    return number == EBADF && fstat(end.fd, &status) == 0 && S_ISCHR(status.st_mode) &&
           status.st_rdev == makedev(1, 3);
}

/*
 * A terminal that hangs up looks like one whose user has typed Ctrl-D: the window was
 * closed, or the line is cut.  SIGHUP may not be here yet, or never come.
 */
static bool has_hung_up(struct local end)
{
    struct pollfd entry = { .fd = end.fd };

    return end.is_terminal && poll(&entry, 1, 0) == 1 && (entry.revents & POLLHUP);
}

tn_err local_read(struct local end, void *buf, size_t size, size_t *got)
{
    tn_err err;

    for (;;) {
        ssize_t count = read_some(end, buf, size);
        if (count > 0) {
            *got = (size_t)count;
            return tn_ok();
        }
        if (count == 0 || is_empty(end, errno))
            return has_hung_up(end) ? tn_err_errno(EIO) : tn_err_user(TN_EOF, 0);
        if (!try_again(end.fd, POLLIN, &err))
            return err;
    }
}

tn_err local_write(struct local end, const void *buf, size_t size, size_t *done)
{
    tn_err err;

    for (*done = 0; *done < size;) {
        ssize_t count = write_some(end, (const char *)buf + *done, size - *done);
        if (count >= 0)
            *done += (size_t)count;
        else if (!try_again(end.fd, POLLOUT, &err))
            return err;
    }
    return tn_ok();
}

/* The milliseconds that tn_fd_poll takes: rounded up, or -1 for ever. */
int local_poll_time(tn_deadline deadline)
{
    int64_t left = tn_left(deadline);

    if (left == INT64_MAX)
        return -1;
    left = left / TN_MS + (left % TN_MS != 0);
    return left > INT_MAX ? INT_MAX : (int)left;
}

tn_err local_gone(struct local end, int64_t length)
{
    tn_deadline deadline = length == INT64_MAX ? TN_NEVER : tn_in(length);
    struct pollfd entry = { .fd = end.fd, .events = 0 };
    struct stat status;
    tn_err err;

    if (fstat(end.fd, &status) ||
        !(S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode))) {
        err = tn_sleep(deadline);
        return tn_failed(err) ? err : tn_err_user(TN_DEADLINE, 0);
    }
    for (;;) {
        int count = tn_fd_poll(&entry, 1, local_poll_time(deadline));

        if (count > 0)
            return tn_ok();
        if (count < 0 && errno != EINTR)
            return tn_err_errno(errno);
        if (tn_left(deadline) == 0)
            return tn_err_user(TN_DEADLINE, 0);
    }
}
