/* SPDX-License-Identifier: MIT */
/*
 * file.c -- reading and writing what is not a socket.
 *
 * How to try without blocking depends on what it is:
 *   files, directories, disks   never wait in the sense of poll(2): the plain call
 *   pipes, most others          RWF_NOWAIT, which asks for this one call (Linux 6.4 for pipes)
 *   terminals                   they do not know RWF_NOWAIT, and everybody who shares one
 *                               shares its flags, the shell first of all: look with poll(2),
 *                               then read plainly; write through a description of our own
 *   the rest                    (named pipes, writing to eventfds) O_NONBLOCK for a moment
 */
#include "fd/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "fd/call.h"
#include "fd/rest.h"
#include "task/park.h"

/* Where a terminal's own description cannot be had, so much at a time. */
#define TERMINAL_CHUNK 1

static bool never_waits(mode_t mode)
{
    return S_ISREG(mode) || S_ISDIR(mode) || S_ISBLK(mode);
}

/* What one call needs to know of its descriptor.  A line that is hung up looks like nothing
 * any more, so it is looked up at the beginning. */
struct source {
    struct call call;
    mode_t mode;
    bool terminal;
};

/* The side of a terminal that programs use; its other side (the master) has one owner. */
static bool is_terminal(const struct call *call, mode_t mode)
{
    unsigned char settings[256]; /* more than any struct termios of the kernel */
    unsigned number;

    return S_ISCHR(mode) && os_ioctl(call->os, call->fd, TCGETS, settings) == 0 &&
           os_ioctl(call->os, call->fd, TIOCGPTN, &number) < 0;
}

static bool is_nonblocking(const struct call *call)
{
    int flags = os_fcntl(call->os, call->fd, F_GETFL, 0);

    return flags >= 0 && (flags & O_NONBLOCK) != 0;
}

static bool is_ready(const struct call *call)
{
    struct pollfd entry = { .fd = call->fd, .events = call->events };

    return os_poll(call->os, &entry, 1, 0) != 0;
}

/* ---- reading ------------------------------------------------------------------------- */

/* Through a description of our own, with FLAGS and O_NONBLOCK; -errno where it cannot be had. */
static int open_again(const struct call *call, int flags)
{
    char path[32];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", call->fd);
    return os_open(call->os, path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* A signal makes a read give out what it has, although it is less than VMIN. */
static ssize_t read_below_minimum(const struct call *call, const struct iovec *pieces,
                                  int count)
{
    int fd = open_again(call, O_RDONLY);
    ssize_t got = fd < 0 ? -EAGAIN : os_readv(call->os, fd, pieces, count);

    if (fd >= 0)
        (void)os_close(call->os, fd);
    return got;
}

static ssize_t read_terminal(const struct call *call, const struct iovec *pieces,
                             int count)
{
    ssize_t got;

    if (call->signalled != 0)
        return read_below_minimum(call, pieces, count);
    if (!is_nonblocking(call) && !is_ready(call))
        return -EAGAIN;
    got = os_readv(call->os, call->fd, pieces, count);
    /* A read that was waiting when the line was hung up says so; later ones find the end. */
    return got == 0 && (call->revents & POLLHUP) != 0 ? -EIO : got;
}

static ssize_t try_read(const struct source *source, const struct iovec *pieces,
                        int count)
{
    const struct call *call = &source->call;
    ssize_t got = os_readv2(call->os, call->fd, pieces, count, RWF_NOWAIT);
    struct moment moment;
    int changed;

    if (got != -EOPNOTSUPP)
        return got;
    if (source->terminal)
        return read_terminal(call, pieces, count);
    changed = moment_begin(call->os, call->fd, &moment);
    if (changed < 0)
        return changed;
    got = os_readv(call->os, call->fd, pieces, count);
    if (changed == 1)
        moment_end(call->os, call->fd, &moment);
    return got;
}

ssize_t file_readv(int fd, mode_t mode, const struct iovec *pieces, int count)
{
    struct source source = { .call = call_begin(fd, POLLIN), .mode = mode };
    ssize_t got;
    int result;

    if (never_waits(mode))
        return os_readv(source.call.os, fd, pieces, count);
    source.terminal = source.call.looks = is_terminal(&source.call, mode);
    while ((got = try_read(&source, pieces, count)) == -EAGAIN) {
        result = call_wait(&source.call);
        if (result < 0)
            return result;
    }
    task_spend();
    return got;
}

/* ---- writing -------------------------------------------------------------------------- */

static ssize_t write_terminal(const struct call *call, const struct iovec *pieces,
                              int count)
{
    struct iovec chunk;
    ssize_t put;
    int fd;

    if (is_nonblocking(call))
        return os_writev(call->os, call->fd, pieces, count);
    if (!is_ready(call))
        return -EAGAIN;
    fd = open_again(call, O_WRONLY);
    if (fd >= 0) {
        put = os_writev(call->os, fd, pieces, count);
        (void)os_close(call->os, fd);
        return put;
    }
    while (count > 1 && pieces->iov_len == 0) {
        pieces++;
        count--;
    }
    chunk = *pieces;
    if (chunk.iov_len > TERMINAL_CHUNK)
        chunk.iov_len = TERMINAL_CHUNK;
    return os_writev(call->os, call->fd, &chunk, 1);
}

static ssize_t try_write(const struct source *source, const struct iovec *pieces,
                         int count)
{
    const struct call *call = &source->call;
    ssize_t put = os_writev2(call->os, call->fd, pieces, count, RWF_NOWAIT);
    struct moment moment;
    int changed;

    if (put != -EOPNOTSUPP) /* else the pieces could be read, and are not empty */
        return put;
    if (source->terminal)
        return write_terminal(call, pieces, count);
    changed = moment_begin(call->os, call->fd, &moment);
    if (changed < 0)
        return changed;
    put = os_writev(call->os, call->fd, pieces, count);
    if (changed == 1)
        moment_end(call->os, call->fd, &moment);
    return put;
}

/* The first DONE bytes are written: write what is left. */
static ssize_t write_rest(struct source *source, const struct iovec *pieces, int count,
                          size_t done)
{
    struct call *call = &source->call;
    size_t total = pieces_size(pieces, (size_t)count);
    struct rest rest;
    ssize_t put;

    if (done >= total || rest_make(&rest, call->os, pieces, (size_t)count, done) < 0)
        return (ssize_t)done;
    call_moved(call);
    while (done < total && call_wait(call) == 0) {
        put = try_write(source, rest.pieces, (int)rest.count);
        if (put == -EAGAIN)
            continue;
        if (put <= 0)
            break;
        call_moved(call);
        rest_skip(&rest, (size_t)put);
        done += (size_t)put;
    }
    rest_release(&rest);
    return (ssize_t)done;
}

ssize_t file_writev(int fd, mode_t mode, const struct iovec *pieces, int count)
{
    struct source source = { .call = call_begin(fd, POLLOUT), .mode = mode };
    ssize_t put;
    int result;

    if (never_waits(mode))
        return os_writev(source.call.os, fd, pieces, count);
    source.terminal = is_terminal(&source.call, mode);
    while ((put = try_write(&source, pieces, count)) == -EAGAIN) {
        result = call_wait(&source.call);
        if (result < 0)
            return result;
    }
    /* Of all these only pipes and terminals go on until everything is written. */
    if (put > 0 && (S_ISFIFO(mode) || source.terminal))
        put = write_rest(&source, pieces, count, (size_t)put);
    task_spend();
    return put;
}
