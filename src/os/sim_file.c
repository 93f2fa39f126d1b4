/* SPDX-License-Identifier: MIT */
/*
 * sim_file.c -- the simulator's descriptors, and the calls that any of them takes.
 *
 * A slot of the table refers to a file (in POSIX's words, an open file description),
 * which several slots can share; the last reference releases it.  What a file does is in
 * its sim_file_calls, which never block: blocking is done here, by letting time pass
 * until a second try does better.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "os/sim_inside.h"

struct sim_file *sim_file_at(struct sim *sim, int fd)
{
    return fd >= 0 && (unsigned)fd < sim->slot_count ? sim->slots[fd].file : NULL;
}

void sim_file_init(struct sim *sim, struct sim_file *file,
                   const struct sim_file_calls *calls, int flags)
{
    file->calls = calls;
    file->status = flags & O_NONBLOCK;
    file->number = ++sim->last_file;
    list_init(&file->waiters);
}

int sim_fd_free(struct sim *sim, int least)
{
    for (unsigned fd = (unsigned)least; fd < sim->slot_count; fd++) {
        if (sim->slots[fd].file == NULL)
            return (int)fd;
    }
    sim_count(sim, SIM_DESCRIPTORS);
    return -EMFILE;
}

void sim_fd_take(struct sim *sim, int fd, struct sim_file *file, int flags)
{
    struct sim_slot *slot = &sim->slots[fd];

    CHECK(slot->file == NULL);
    slot->file = file;
    slot->close_on_exec = (flags & O_CLOEXEC) != 0;
    file->references++;
    sim->facts.descriptors++;
    sim_trace(sim, 'O', (uint64_t)fd, file->number);
}

void sim_file_drop(struct sim *sim, struct sim_file *file)
{
    CHECK(file->references > 0);
    if (--file->references > 0)
        return;
    sim_waiters_forget(sim, file);
    file->calls->release(sim, file);
}

static void slot_close(struct sim *sim, int fd)
{
    struct sim_file *file = sim->slots[fd].file;

    sim->slots[fd].file = NULL;
    sim->facts.descriptors--;
    sim_trace(sim, 'C', (uint64_t)fd, file->number);
    sim_file_drop(sim, file);
}

void sim_files_close(struct sim *sim)
{
    for (unsigned fd = 0; fd < sim->slot_count; fd++) {
        if (sim->slots[fd].file != NULL)
            slot_close(sim, (int)fd);
    }
}

int sim_os_close(struct os *os, int fd)
{
    struct sim *sim = sim_of(os);

    sim_call(sim);
    if (sim_file_at(sim, fd) == NULL)
        return -EBADF;
    slot_close(sim, fd);
    return 0;
}

static int dup_to_free(struct sim *sim, struct sim_file *file, int least, int flags)
{
    int fd = sim_fd_free(sim, least);

    if (fd >= 0)
        sim_fd_take(sim, fd, file, flags);
    return fd;
}

int sim_os_dup(struct os *os, int fd, int onto, int flags)
{
    struct sim *sim = sim_of(os);
    struct sim_file *file = sim_file_at(sim, fd);

    sim_call(sim);
    if (file == NULL || onto >= (int)sim->slot_count)
        return -EBADF;
    if (onto < 0)
        return dup_to_free(sim, file, 0, flags);
    if (onto == fd)
        return -EINVAL;
    if (sim->slots[onto].file != NULL)
        slot_close(sim, onto);
    sim_fd_take(sim, onto, file, flags);
    return onto;
}

int sim_os_fcntl(struct os *os, int fd, int command, long argument)
{
    struct sim *sim = sim_of(os);
    struct sim_file *file = sim_file_at(sim, fd);

    sim_call(sim);
    if (file == NULL)
        return -EBADF;
    switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        if (argument < 0 || argument >= (long)sim->slot_count)
            return -EINVAL;
        return dup_to_free(sim, file, (int)argument,
                           command == F_DUPFD_CLOEXEC ? O_CLOEXEC : 0);
    case F_GETFD:
        return sim->slots[fd].close_on_exec ? FD_CLOEXEC : 0;
    case F_SETFD:
        sim->slots[fd].close_on_exec = (argument & FD_CLOEXEC) != 0;
        return 0;
    case F_GETFL:
        return O_RDWR | file->status;
    case F_SETFL:
        file->status = (int)argument & O_NONBLOCK;
        return 0;
    default:
        return -EINVAL;
    }
}

int sim_os_ioctl(struct os *os, int fd, unsigned long request, void *argument)
{
    struct sim *sim = sim_of(os);
    struct sim_file *file = sim_file_at(sim, fd);
    int *value = argument;

    sim_call(sim);
    if (file == NULL)
        return -EBADF;
    if (request == FIONBIO) {
        file->status = *value != 0 ? O_NONBLOCK : 0;
        return 0;
    }
    return file->calls->ioctl(sim, file, request, value);
}

/* ---- moving bytes ---- */

/* The first piece that has room, and how much. */
static char *piece(struct sim_io *io, size_t *room)
{
    while (io->offset == io->pieces->iov_len) {
        io->pieces++;
        io->count--;
        io->offset = 0;
    }
    *room = io->pieces->iov_len - io->offset;
    return (char *)io->pieces->iov_base + io->offset;
}

void sim_io_put(struct sim_io *io, const char *data, size_t size)
{
    size_t room;

    CHECK(size <= io->left);
    while (size > 0) {
        char *to = piece(io, &room);
        size_t part = size < room ? size : room;

        memcpy(to, data, part);
        data += part;
        size -= part;
        io->offset += part;
        io->left -= part;
    }
}

void sim_io_get(struct sim_io *io, char *data, size_t size)
{
    size_t room;

    CHECK(size <= io->left);
    while (size > 0) {
        const char *from = piece(io, &room);
        size_t part = size < room ? size : room;

        memcpy(data, from, part);
        data += part;
        size -= part;
        io->offset += part;
        io->left -= part;
    }
}

bool sim_block(struct sim *sim, int64_t limit)
{
    CHECK(!sim->in_event);
    if (sim_step(sim, limit))
        return true;
    if (limit == SIM_FOREVER)
        sim_standstill(sim, "a call blocks, and nothing is left that could end it");
    sim->now = limit;
    return false;
}

static int64_t block_limit(struct sim *sim, const struct sim_file *file, bool sending)
{
    const struct sim_settings *settings;
    int64_t timeout;

    if (!file->is_socket)
        return SIM_FOREVER;
    settings = &CONTAINER(file, struct sim_socket, file)->settings;
    timeout = sending ? settings->send_timeout : settings->receive_timeout;
    return timeout > 0 ? sim->now + timeout : SIM_FOREVER;
}

static bool blocks(const struct sim_file *file, const struct sim_io *io)
{
    return file->status == 0 && (io->flags & MSG_DONTWAIT) == 0 && !io->never_waits;
}

ssize_t sim_receive(struct sim *sim, int fd, struct sim_io *io)
{
    struct sim_file *file = sim_file_at(sim, fd);
    bool all = (io->flags & (MSG_WAITALL | MSG_PEEK)) == MSG_WAITALL;
    ssize_t total = 0, result;
    int64_t limit;

    if (file == NULL)
        return -EBADF;
    limit = block_limit(sim, file, false);
    for (;;) {
        result = file->calls->receive(sim, file, io);
        total += result > 0 ? result : 0;
        if (result >= 0 && (result == 0 || !all || io->left == 0))
            break;
        if (result < 0 && (result != -EAGAIN || !blocks(file, io)))
            break;
        if (result > 0 && !blocks(file, io))
            break;
        if (result == -EAGAIN && !sim_block(sim, limit))
            break;
    }
    sim_trace(sim, 'r', file->number, (uint64_t)(total > 0 ? total : result));
    return total > 0 ? total : result;
}

ssize_t sim_send(struct sim *sim, int fd, struct sim_io *io)
{
    struct sim_file *file = sim_file_at(sim, fd);
    ssize_t total = 0, result;
    int64_t limit;

    if (file == NULL)
        return -EBADF;
    limit = block_limit(sim, file, true);
    for (;;) {
        result = file->calls->send(sim, file, io);
        total += result > 0 ? result : 0;
        if (io->left == 0 || !blocks(file, io) || (result < 0 && result != -EAGAIN))
            break;
        if (result == -EAGAIN && !sim_block(sim, limit))
            break;
    }
    if (result == -EPIPE && total == 0 && file->is_socket &&
        (io->flags & MSG_NOSIGNAL) == 0)
        sim->facts.sigpipes++;
    sim_trace(sim, 'w', file->number, (uint64_t)(total > 0 ? total : result));
    return total > 0 ? total : result;
}

void sim_batch_send(struct sim *sim, struct sim_file *file, struct os_batch *batch)
{
    struct iovec one = { (void *)(uintptr_t)batch->data, batch->size };
    struct sim_io io = { .pieces = &one,
                         .count = 1,
                         .left = batch->size,
                         .flags = MSG_DONTWAIT | MSG_NOSIGNAL };

    batch->result = (int)file->calls->send(sim, file, &io);
    sim_trace(sim, 'w', file->number, (uint64_t)batch->result);
}

static int io_start(struct sim_io *io, const struct iovec *iov, int count)
{
    if (count < 0 || count > IOV_MAX)
        return -EINVAL;
    *io = (struct sim_io){ .pieces = iov, .count = (size_t)count };
    for (int i = 0; i < count; i++)
        io->left += iov[i].iov_len;
    return io->left > SSIZE_MAX ? -EINVAL : 0;
}

ssize_t sim_os_readv(struct os *os, int fd, const struct iovec *iov, int count)
{
    struct sim_io io;
    int result = io_start(&io, iov, count);

    sim_call(sim_of(os));
    if (result == 0 && io.left == 0)
        return sim_file_at(sim_of(os), fd) != NULL ? 0 : -EBADF;
    return result < 0 ? result : sim_receive(sim_of(os), fd, &io);
}

ssize_t sim_os_writev(struct os *os, int fd, const struct iovec *iov, int count)
{
    struct sim_io io;
    int result = io_start(&io, iov, count);

    sim_call(sim_of(os));
    return result < 0 ? result : sim_send(sim_of(os), fd, &io);
}

ssize_t sim_os_read(struct os *os, int fd, void *buf, size_t size)
{
    struct iovec one = { buf, size };

    return sim_os_readv(os, fd, &one, 1);
}

ssize_t sim_os_write(struct os *os, int fd, const void *buf, size_t size)
{
    struct iovec one = { (void *)(uintptr_t)buf, size };

    return sim_os_writev(os, fd, &one, 1);
}

/* ---- poll(2) ---- */

static int poll_look(struct sim *sim, struct pollfd *fds, nfds_t count)
{
    int ready = 0;

    for (nfds_t i = 0; i < count; i++) {
        struct sim_file *file = sim_file_at(sim, fds[i].fd);
        uint32_t mine = (uint32_t)(unsigned short)fds[i].events | POLLERR | POLLHUP;

        fds[i].revents = 0;
        if (fds[i].fd < 0)
            continue;
        if (file == NULL)
            fds[i].revents = POLLNVAL;
        else
            fds[i].revents = (short)(file->calls->poll(sim, file) & mine);
        ready += fds[i].revents != 0;
    }
    return ready;
}

int sim_os_poll(struct os *os, struct pollfd *fds, nfds_t count, int timeout_ms)
{
    struct sim *sim = sim_of(os);
    int64_t limit;
    int ready;

    sim_call(sim);
    limit = timeout_ms < 0 ? SIM_FOREVER : sim->now + timeout_ms * SIM_MS;
    do
        ready = poll_look(sim, fds, count);
    while (ready == 0 && timeout_ms != 0 && sim_block(sim, limit));
    return ready;
}

/* No file here knows RWF_NOWAIT: callers have another way, as on older kernels. */
ssize_t sim_os_readv2(struct os *os, int fd, const struct iovec *iov, int count,
                      int flags)
{
    return flags != 0 ? -EOPNOTSUPP : sim_os_readv(os, fd, iov, count);
}

ssize_t sim_os_writev2(struct os *os, int fd, const struct iovec *iov, int count,
                       int flags)
{
    return flags != 0 ? -EOPNOTSUPP : sim_os_writev(os, fd, iov, count);
}

/* There is no file system but for the names of sockets. */
int sim_os_open(struct os *os, const char *path, int flags)
{
    (void)path;
    (void)flags;
    sim_call(sim_of(os));
    return -ENOENT;
}

int sim_os_mode(struct os *os, int fd, mode_t *mode)
{
    struct sim_file *file = sim_file_at(sim_of(os), fd);

    sim_call(sim_of(os));
    if (file == NULL)
        return -EBADF;
    *mode = file->is_socket ? S_IFSOCK : 0; /* the others have no type: anon_inodefs */
    return 0;
}
