/* SPDX-License-Identifier: MIT */
/*
 * sim_unix.c -- the simulator's Unix streams: pairs, and sockets with names.
 *
 * What is sent is in the peer's queue at once.  It counts against the sender's buffer
 * until it is read.  Closing with bytes unread leaves the peer ECONNRESET; otherwise it
 * reads the end.  Follows net/unix/af_unix.c, built without MSG_OOB.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "os/sim_inside.h"

struct sim_unix {
    struct sim_socket base;
    struct sim_unix *peer;
    size_t charged; /* bytes of ours that the peer has not read */
    struct sockaddr_un name;
    socklen_t name_size; /* 0: none */
    bool connected, listening;
    int backlog, waiting_count;
    struct link waiting; /* connections to be accepted */
    struct link in_listener;
};

static struct sim_unix *self_of(const struct sim_file *file)
{
    return CONTAINER(file, struct sim_unix, base.file);
}

struct sim_file *sim_unix_file(struct sim_unix *unix_socket)
{
    return &unix_socket->base.file;
}

struct sim_unix *sim_unix_new(struct sim *sim, int flags)
{
    struct sim_unix *made = sim_new(sizeof(*made));

    if (made == NULL)
        return NULL;
    sim_socket_init(sim, &made->base, AF_UNIX, &sim_unix_calls, flags);
    made->base.open = true;
    list_init(&made->waiting);
    list_init(&made->in_listener);
    return made;
}

void sim_unix_pair(struct sim_unix *one, struct sim_unix *other)
{
    one->peer = other;
    other->peer = one;
    one->connected = other->connected = true;
}

static void wake(struct sim *sim, struct sim_unix *socket, uint32_t key)
{
    if (socket->base.open)
        sim_wake(sim, &socket->base.file, key);
}

/* ---- moving bytes ---- */

static bool writable(const struct sim_unix *self)
{
    return self->charged * 4 <= (size_t)self->base.settings.send_buffer;
}

static ssize_t unix_receive(struct sim *sim, struct sim_file *file, struct sim_io *io)
{
    struct sim_unix *self = self_of(file);
    struct sim_bytes *in = &self->base.in;
    size_t size = in->size < io->left ? in->size : io->left;
    char part[2048];

    if ((io->flags & MSG_OOB) != 0)
        return -EOPNOTSUPP;
    if ((io->flags & MSG_ERRQUEUE) != 0)
        return -EAGAIN;
    if (!self->connected)
        return -EINVAL;
    for (size_t at = 0; at < size; at += sizeof(part)) {
        size_t now = size - at < sizeof(part) ? size - at : sizeof(part);

        sim_bytes_copy(in, at, part, now);
        sim_io_put(io, part, now);
    }
    if (in->size > 0) {
        if ((io->flags & MSG_PEEK) != 0)
            return (ssize_t)size;
        sim_bytes_drop(in, size);
        if (self->peer != NULL) {
            self->peer->charged -= size;
            if (writable(self->peer))
                wake(sim, self->peer, SIM_KEY_OUT);
        }
        return (ssize_t)size;
    }
    if (self->base.error != 0)
        return sim_socket_error(&self->base);
    return (self->base.shut & SIM_SHUT_READ) != 0 ? 0 : -EAGAIN;
}

static ssize_t unix_send(struct sim *sim, struct sim_file *file, struct sim_io *io)
{
    struct sim_unix *self = self_of(file), *peer = self->peer;
    size_t limit = (size_t)self->base.settings.send_buffer;
    size_t size = io->left, done = 0;
    char part[2048];

    if ((io->flags & MSG_OOB) != 0)
        return -EOPNOTSUPP;
    if (!self->connected)
        return -ENOTCONN;
    if ((self->base.shut & SIM_SHUT_WRITE) != 0 || peer == NULL ||
        (peer->base.shut & SIM_SHUT_READ) != 0)
        return -EPIPE;
    if (size > limit - self->charged)
        size = self->charged < limit ? limit - self->charged : 0;
    if (size == 0)
        return io->left > 0 ? -EAGAIN : 0;
    if (!sim_bytes_room(&peer->base.in, size))
        return -ENOBUFS;
    for (; done < size; done += sizeof(part)) {
        size_t now = size - done < sizeof(part) ? size - done : sizeof(part);

        sim_io_get(io, part, now);
        sim_bytes_put(&peer->base.in, part, now);
    }
    self->charged += size;
    wake(sim, peer, SIM_KEY_IN);
    return (ssize_t)size;
}

static uint32_t unix_poll(struct sim *sim, struct sim_file *file)
{
    const struct sim_unix *self = self_of(file);
    unsigned shut = self->base.shut;
    uint32_t mask = 0;

    (void)sim;
    if (self->listening)
        return list_empty(&self->waiting) ? 0 : POLLIN | POLLRDNORM;
    if (self->base.error != 0)
        mask |= POLLERR;
    if (shut == SIM_SHUT_BOTH || !self->connected)
        mask |= POLLHUP;
    if ((shut & SIM_SHUT_READ) != 0)
        mask |= POLLRDHUP | POLLIN | POLLRDNORM;
    if (self->base.in.size > 0)
        mask |= POLLIN | POLLRDNORM;
    if (writable(self))
        mask |= SIM_KEY_OUT;
    return mask;
}

static int unix_ioctl(struct sim *sim, struct sim_file *file, unsigned long request,
                      int *value)
{
    const struct sim_unix *self = self_of(file);

    (void)sim;
    if (request == FIONREAD && self->listening)
        return -EINVAL;
    if (request == FIONREAD)
        *value = (int)self->base.in.size;
    else if (request == TIOCOUTQ)
        *value = (int)self->charged;
    else
        return -ENOTTY;
    return 0;
}

/* ---- the end ---- */

/* The peer learns that SELF is gone; UNREAD: without having read all. */
static void leave_peer(struct sim *sim, struct sim_unix *self, bool unread)
{
    struct sim_unix *peer = self->peer;

    if (peer == NULL)
        return;
    peer->base.shut = SIM_SHUT_BOTH;
    if (unread)
        peer->base.error = ECONNRESET;
    peer->peer = NULL;
    self->peer = NULL;
    wake(sim, peer, 0);
}

/* One level deep: whoever waits to be accepted has nobody waiting for it. */
/* NOLINTNEXTLINE(misc-no-recursion): see above */
static void unix_release(struct sim *sim, struct sim_file *file)
{
    struct sim_unix *self = self_of(file);
    struct link *link;

    self->base.open = false;
    leave_peer(sim, self, self->base.in.size > 0);
    while ((link = list_first(&self->waiting)) != NULL) {
        struct sim_unix *child = CONTAINER(link, struct sim_unix, in_listener);

        list_remove(link);
        leave_peer(sim, child, true); /* an embryo: the client gets ECONNRESET */
        unix_release(sim, &child->base.file);
    }
    sim_name_leave(sim, file);
    sim_socket_release(sim, &self->base);
    sim_free(self);
}

int sim_unix_shutdown(struct sim *sim, struct sim_file *file, unsigned how)
{
    struct sim_unix *self = self_of(file), *peer = self->peer;

    self->base.shut |= (uint8_t)how;
    wake(sim, self, 0);
    if (peer == NULL)
        return 0;
    if ((how & SIM_SHUT_READ) != 0)
        peer->base.shut |= SIM_SHUT_WRITE;
    if ((how & SIM_SHUT_WRITE) != 0)
        peer->base.shut |= SIM_SHUT_READ;
    wake(sim, peer, 0);
    return 0;
}

/* ---- names ---- */

int sim_unix_bind(struct sim *sim, struct sim_file *file, const struct sockaddr *addr,
                  socklen_t size)
{
    struct sim_unix *self = self_of(file);
    int result;

    if (self->name_size != 0)
        return -EINVAL;
    result = sim_name_take(sim, addr, size, file);
    if (result < 0)
        return result;
    memcpy(&self->name, addr, size);
    self->name_size = size;
    return 0;
}

int sim_unix_name(struct sim_file *file, bool peer, struct sockaddr *addr,
                  socklen_t *size)
{
    const struct sim_unix *self = self_of(file);
    struct sockaddr_un none = { .sun_family = AF_UNIX };
    socklen_t whole = sizeof(none.sun_family);
    const void *from = &none;

    if (peer && !self->connected)
        return -ENOTCONN;
    if (peer)
        self = self->peer; /* NULL once it has closed: its name is not known then */
    if (self != NULL && self->name_size > 0) {
        from = &self->name;
        whole = self->name_size;
    }
    memcpy(addr, from, *size < whole ? *size : whole);
    *size = whole;
    return 0;
}

/* ---- listening and connecting ---- */

bool sim_unix_listens(const struct sim_file *file)
{
    return self_of(file)->listening;
}

int sim_unix_listen(struct sim *sim, struct sim_file *file, int backlog)
{
    struct sim_unix *self = self_of(file);

    (void)sim;
    if (self->name_size == 0 || self->connected)
        return -EINVAL;
    self->listening = true;
    self->backlog = backlog < 0 || backlog > 4096 ? 4096 : backlog;
    return 0;
}

int sim_unix_accept(struct sim *sim, struct sim_file *file, struct sim_file **child)
{
    struct sim_unix *self = self_of(file);
    struct link *link = list_first(&self->waiting);

    (void)sim;
    if (!self->listening || (self->base.shut & SIM_SHUT_READ) != 0)
        return -EINVAL;
    if (link == NULL)
        return -EAGAIN;
    list_remove(link);
    self->waiting_count--;
    *child = &CONTAINER(link, struct sim_unix, in_listener)->base.file;
    return 0;
}

int sim_unix_connect(struct sim *sim, struct sim_file *file, const struct sockaddr *addr,
                     socklen_t size)
{
    struct sim_unix *self = self_of(file), *listener, *child;
    struct sim_file *owner = NULL;
    int result = sim_name_find(sim, addr, size, &owner);

    if (result < 0)
        return result;
    listener = self_of(owner);
    if (!listener->listening || listener->base.shut != 0)
        return -ECONNREFUSED;
    if (listener->waiting_count > listener->backlog)
        return -EAGAIN;
    if (self->connected)
        return -EISCONN;
    if (self->listening)
        return -EINVAL;
    child = sim_unix_new(sim, 0);
    if (child == NULL)
        return -ENOMEM;
    child->base.settings = listener->base.settings;
    child->name = listener->name;
    child->name_size = listener->name_size;
    sim_unix_pair(self, child);
    list_append(&listener->waiting, &child->in_listener);
    listener->waiting_count++;
    wake(sim, listener, SIM_KEY_IN);
    return 0;
}

const struct sim_file_calls sim_unix_calls = {
    .receive = unix_receive,
    .send = unix_send,
    .poll = unix_poll,
    .ioctl = unix_ioctl,
    .release = unix_release,
};
