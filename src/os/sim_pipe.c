/* SPDX-License-Identifier: MIT */
/*
 * sim_pipe.c -- the simulator's pipes: a queue of bytes with two ends, and splice(2)
 * between them and sockets.
 *
 * Always true: what the queue holds is at most `room`; it goes with the second end.
 */
#include <errno.h>
#include <fcntl.h>

#include "os/sim_inside.h"

struct sim_pipe {
    struct sim_file ends[2]; /* to read from, to write to */
    struct sim_bytes bytes;
    size_t room;
    bool open[2];
};

static struct sim_pipe *pipe_of(struct sim_file *file);

static ssize_t pipe_receive(struct sim *sim, struct sim_file *file, struct sim_io *io)
{
    struct sim_pipe *pipe = pipe_of(file);
    size_t size = io->left < pipe->bytes.size ? io->left : pipe->bytes.size;
    char part[1024];

    if (file != &pipe->ends[0])
        return -EBADF;
    if (size == 0)
        return pipe->open[1] && io->left > 0 ? -EAGAIN : 0;
    for (size_t done = 0; done < size;) {
        size_t now = size - done < sizeof(part) ? size - done : sizeof(part);

        sim_bytes_copy(&pipe->bytes, 0, part, now);
        sim_bytes_drop(&pipe->bytes, now);
        sim_io_put(io, part, now);
        done += now;
    }
    sim_wake(sim, &pipe->ends[1], POLLOUT);
    return (ssize_t)size;
}

static ssize_t pipe_send(struct sim *sim, struct sim_file *file, struct sim_io *io)
{
    struct sim_pipe *pipe = pipe_of(file);
    size_t room = pipe->room - pipe->bytes.size;
    size_t size = io->left < room ? io->left : room;
    char part[1024];

    if (file != &pipe->ends[1])
        return -EBADF;
    if (!pipe->open[0])
        return -EPIPE;
    if (size == 0)
        return io->left > 0 ? -EAGAIN : 0;
    if (!sim_bytes_room(&pipe->bytes, size))
        return -ENOMEM;
    for (size_t done = 0; done < size;) {
        size_t now = size - done < sizeof(part) ? size - done : sizeof(part);

        sim_io_get(io, part, now);
        sim_bytes_put(&pipe->bytes, part, now);
        done += now;
    }
    sim_wake(sim, &pipe->ends[0], POLLIN);
    return (ssize_t)size;
}

static uint32_t pipe_poll(struct sim *sim, struct sim_file *file)
{
    const struct sim_pipe *pipe = pipe_of(file);

    (void)sim;
    if (file == &pipe->ends[0])
        return (pipe->bytes.size > 0 ? POLLIN : 0U) | (pipe->open[1] ? 0U : POLLHUP);
    return (pipe->bytes.size < pipe->room ? POLLOUT : 0U) |
           (pipe->open[0] ? 0U : POLLERR);
}

static int pipe_ioctl(struct sim *sim, struct sim_file *file, unsigned long request,
                      int *value) /* NOLINT(readability-non-const-parameter): a slot */
{
    (void)sim;
    (void)file;
    (void)request;
    (void)value;
    return -ENOTTY;
}

static void pipe_release(struct sim *sim, struct sim_file *file)
{
    struct sim_pipe *pipe = pipe_of(file);
    int end = file == &pipe->ends[1];

    pipe->open[end] = false;
    if (pipe->open[!end]) {
        sim_wake(sim, &pipe->ends[!end], end == 1 ? POLLIN | POLLHUP : POLLOUT | POLLERR);
        return;
    }
    sim_bytes_release(&pipe->bytes);
    sim_free(pipe);
}

static const struct sim_file_calls read_end_calls = {
    .receive = pipe_receive,
    .send = pipe_send,
    .poll = pipe_poll,
    .ioctl = pipe_ioctl,
    .release = pipe_release,
};

/* The same calls under a second address, by which an end knows which it is. */
static const struct sim_file_calls write_end_calls = {
    .receive = pipe_receive,
    .send = pipe_send,
    .poll = pipe_poll,
    .ioctl = pipe_ioctl,
    .release = pipe_release,
};

static struct sim_pipe *pipe_of(struct sim_file *file)
{
    return file->calls == &read_end_calls ? CONTAINER(file, struct sim_pipe, ends[0])
                                          : CONTAINER(file, struct sim_pipe, ends[1]);
}

int sim_os_pipe(struct os *os, size_t size, int fds[2])
{
    struct sim *sim = sim_of(os);
    int read_end = sim_fd_free(sim, 0);
    int write_end = read_end < 0 ? read_end : sim_fd_free(sim, read_end + 1);
    struct sim_pipe *pipe;

    sim_call(sim);
    if (write_end < 0)
        return write_end;
    pipe = sim_new(sizeof(*pipe));
    if (pipe == NULL)
        return -ENOMEM;
    pipe->room = size;
    pipe->open[0] = pipe->open[1] = true;
    sim_file_init(sim, &pipe->ends[0], &read_end_calls, O_NONBLOCK);
    sim_file_init(sim, &pipe->ends[1], &write_end_calls, O_NONBLOCK);
    sim_fd_take(sim, read_end, &pipe->ends[0], O_CLOEXEC);
    sim_fd_take(sim, write_end, &pipe->ends[1], O_CLOEXEC);
    fds[0] = read_end;
    fds[1] = write_end;
    return 0;
}

/* The pipe whose end number END the descriptor is, or NULL. */
static struct sim_pipe *pipe_at(struct sim *sim, int fd, int end)
{
    struct sim_file *file = sim_file_at(sim, fd);

    if (file == NULL || file->calls != (end ? &write_end_calls : &read_end_calls))
        return NULL;
    return pipe_of(file);
}

/* One receive of IN and one send to OUT of at most SIZE bytes: how many, or -errno. */
static ssize_t move_some(struct sim *sim, int in, int out, size_t size)
{
    size_t part = size < sizeof(sim->scratch) ? size : sizeof(sim->scratch);
    struct iovec one = { sim->scratch, part };
    struct sim_io io = { .pieces = &one, .count = 1, .left = part, .never_waits = true };
    ssize_t got = sim_receive(sim, in, &io);
    ssize_t sent;

    if (got <= 0)
        return got;
    one.iov_len = (size_t)got;
    io = (struct sim_io){ .pieces = &one,
                          .count = 1,
                          .left = (size_t)got,
                          .flags = MSG_NOSIGNAL,
                          .never_waits = true };
    sent = sim_send(sim, out, &io);
    CHECK(sent == got); /* the caller has seen to it that there is room */
    return sent;
}

/* Linux: tcp_splice_read.  What has moved something does not ask for more than there is, which
 * would take an error with it. */
ssize_t sim_os_splice_in(struct os *os, int fd, int pipe, size_t size)
{
    struct sim *sim = sim_of(os);
    struct sim_pipe *to = pipe_at(sim, pipe, 1);
    struct sim_file *from = sim_file_at(sim, fd);
    ssize_t total = 0, moved = 1;

    sim_call(sim);
    if (to == NULL || from == NULL)
        return -EBADF;
    if (!from->is_socket)
        return -EINVAL;
    while (moved > 0 && (size_t)total < size &&
           (total == 0 || sim_socket_of(from)->in.size > 0)) {
        size_t room = to->room - to->bytes.size;

        if (room == 0) {
            moved = -EAGAIN;
            break;
        }
        moved = move_some(sim, fd, pipe,
                          size - (size_t)total < room ? size - (size_t)total : room);
        total += moved > 0 ? moved : 0;
    }
    return total > 0 ? total : moved;
}

/* What the socket does not take stays in the pipe, in its place. */
ssize_t sim_os_splice_out(struct os *os, int pipe, int fd, size_t size)
{
    struct sim *sim = sim_of(os);
    struct sim_pipe *from = pipe_at(sim, pipe, 0);
    ssize_t total = 0, sent = 1;

    sim_call(sim);
    if (from == NULL || sim_file_at(sim, fd) == NULL)
        return -EBADF;
    if (from->bytes.size == 0)
        return from->open[1] ? -EAGAIN : 0;
    while (sent > 0 && (size_t)total < size && from->bytes.size > 0) {
        size_t part = size - (size_t)total;
        struct iovec one = { sim->scratch, 0 };
        struct sim_io io;

        part = part < from->bytes.size ? part : from->bytes.size;
        part = part < sizeof(sim->scratch) ? part : sizeof(sim->scratch);
        sim_bytes_copy(&from->bytes, 0, sim->scratch, part);
        one.iov_len = part;
        io = (struct sim_io){ .pieces = &one,
                              .count = 1,
                              .left = part,
                              .flags = MSG_NOSIGNAL,
                              .never_waits = true };
        sent = sim_send(sim, fd, &io);
        if (sent > 0) {
            sim_bytes_drop(&from->bytes, (size_t)sent);
            total += sent;
        }
    }
    if (total > 0)
        sim_wake(sim, &from->ends[1], POLLOUT);
    return total > 0 ? total : sent;
}
