/* SPDX-License-Identifier: MIT */
/*
 * sim_socket.c -- the simulator's socket calls: which kind of socket, then on to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "os/accepted.h"
#include "os/sim_tcp.h"

#define TYPE_FLAGS (SOCK_NONBLOCK | SOCK_CLOEXEC)

int sim_socket_error(struct sim_socket *socket)
{
    int error = socket->error;

    socket->error = 0;
    return -error;
}

void sim_socket_init(struct sim *sim, struct sim_socket *socket, int domain,
                     const struct sim_file_calls *calls, int flags)
{
    sim_file_init(sim, &socket->file, calls, flags);
    socket->file.is_socket = true;
    socket->domain = domain;
    sim_settings_init(&socket->settings);
    list_append(&sim->sockets, &socket->in_sim);
    sim->facts.sockets++;
}

void sim_socket_release(struct sim *sim, struct sim_socket *socket)
{
    sim_bytes_release(&socket->in);
    list_remove(&socket->in_sim);
    sim->facts.sockets--;
}

bool sim_socket_listens(struct sim_socket *socket)
{
    if (sim_is_unix(&socket->file))
        return sim_unix_listens(&socket->file);
    return sim_tcp_of(&socket->file)->state == SIM_LISTEN;
}

/* The socket that FD is, or NULL and the reason in *ERROR. */
static struct sim_file *socket_at(struct sim *sim, int fd, int *error)
{
    struct sim_file *file = sim_file_at(sim, fd);

    sim_call(sim);
    if (file != NULL && file->is_socket)
        return file;
    *error = file == NULL ? -EBADF : -ENOTSOCK;
    return NULL;
}

static struct sim_file *make(struct sim *sim, int domain, int flags)
{
    struct sim_unix *local;
    struct sim_tcp *tcp;

    if (domain == AF_UNIX) {
        local = sim_unix_new(sim, flags);
        return local != NULL ? sim_unix_file(local) : NULL;
    }
    tcp = sim_tcp_new(sim, domain, flags);
    return tcp != NULL ? &tcp->base.file : NULL;
}

static int type_check(int domain, int type, int protocol)
{
    if (domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX)
        return -EAFNOSUPPORT;
    if ((type & ~TYPE_FLAGS) > SOCK_PACKET)
        return -EINVAL;
    if ((type & ~TYPE_FLAGS) != SOCK_STREAM)
        return -ESOCKTNOSUPPORT;
    if (protocol != 0 && (domain == AF_UNIX || protocol != IPPROTO_TCP))
        return -EPROTONOSUPPORT;
    return 0;
}

int sim_os_socket(struct os *os, int domain, int type, int protocol)
{
    struct sim *sim = sim_of(os);
    struct sim_file *file;
    int fd, result = type_check(domain, type, protocol);

    sim_call(sim);
    if (result < 0)
        return result;
    fd = sim_fd_free(sim, 0);
    if (fd < 0)
        return fd;
    file = make(sim, domain, type);
    if (file == NULL)
        return -ENOMEM;
    sim_fd_take(sim, fd, file, type);
    return fd;
}

int sim_os_socketpair(struct os *os, int domain, int type, int protocol, int fds[2])
{
    struct sim *sim = sim_of(os);
    struct sim_unix *made[2] = { NULL, NULL };
    int result = domain == AF_UNIX ? type_check(domain, type, protocol) : -EOPNOTSUPP;
    int first, second;

    sim_call(sim);
    if (result < 0)
        return result;
    first = sim_fd_free(sim, 0);
    second = first >= 0 ? sim_fd_free(sim, first + 1) : first;
    if (second < 0)
        return second;
    for (int i = 0; i < 2; i++) {
        made[i] = sim_unix_new(sim, type);
        if (made[i] == NULL) {
            if (i == 1)
                sim_unix_calls.release(sim, sim_unix_file(made[0]));
            return -ENOMEM;
        }
    }
    sim_unix_pair(made[0], made[1]);
    sim_fd_take(sim, first, sim_unix_file(made[0]), type);
    sim_fd_take(sim, second, sim_unix_file(made[1]), type);
    fds[0] = first;
    fds[1] = second;
    return 0;
}

int sim_os_bind(struct os *os, int fd, const struct sockaddr *addr, socklen_t size)
{
    struct sim *sim = sim_of(os);
    int result = 0;
    struct sim_file *file = socket_at(sim, fd, &result);
    struct sim_addr wanted;

    if (file == NULL)
        return result;
    if (sim_is_unix(file))
        return sim_unix_bind(sim, file, addr, size);
    result = sim_addr_from(&wanted, sim_socket_of(file)->domain, addr, size);
    return result < 0 ? result : sim_tcp_bind(sim, sim_tcp_of(file), &wanted);
}

int sim_os_listen(struct os *os, int fd, int backlog)
{
    struct sim *sim = sim_of(os);
    int result = 0;
    struct sim_file *file = socket_at(sim, fd, &result);

    if (file == NULL)
        return result;
    if (sim_is_unix(file))
        return sim_unix_listen(sim, file, backlog);
    return sim_tcp_listen(sim, sim_tcp_of(file), backlog);
}

/* One try: the child's file in *CHILD, or -errno. */
static int accept_one(struct sim *sim, struct sim_file *file, struct sim_file **child)
{
    struct sim_tcp *tcp;
    int result;

    if (sim_is_unix(file))
        return sim_unix_accept(sim, file, child);
    result = sim_tcp_accept(sim, sim_tcp_of(file), &tcp);
    if (result == 0)
        *child = &tcp->base.file;
    return result;
}

enum sim_feed_step sim_accept_take(struct sim *sim, struct sim_file *file,
                                   struct os_accept *accept)
{
    enum sim_feed_step step = SIM_FEED_NOTHING;
    struct sim_file *child;

    while (accepted_count(accept) <= OS_ACCEPT_QUEUE_MAX) {
        int fd = sim_fd_free(sim, 0);
        int result = fd < 0 ? fd : accept_one(sim, file, &child);

        if (result != 0)
            return result == -EAGAIN ? step : SIM_FEED_ENDED;
        child->status = O_NONBLOCK;
        sim_fd_take(sim, fd, child, SOCK_NONBLOCK | SOCK_CLOEXEC);
        sim_trace(sim, 'A', file->number, (uint64_t)fd);
        accepted_keep(sim_os(sim), accept, fd);
        step = SIM_FEED_BYTES;
    }
    return SIM_FEED_ENDED;
}

int sim_os_accept(struct os *os, int fd, struct sockaddr *addr, socklen_t *size,
                  int flags)
{
    struct sim *sim = sim_of(os);
    int result = 0;
    struct sim_file *file = socket_at(sim, fd, &result);
    struct sim_file *child;
    int64_t timeout, limit;
    int child_fd;

    if (file == NULL)
        return result;
    child_fd = sim_fd_free(sim, 0); /* first, as Linux does: who waits stays queued */
    if (child_fd < 0)
        return child_fd;
    timeout = sim_socket_of(file)->settings.receive_timeout;
    limit = timeout > 0 ? sim->now + timeout : SIM_FOREVER;
    do
        result = accept_one(sim, file, &child);
    while (result == -EAGAIN && file->status == 0 && sim_block(sim, limit));
    if (result != 0)
        return result;
    child->status = flags & O_NONBLOCK;
    sim_fd_take(sim, child_fd, child, flags);
    if (addr != NULL && sim_is_unix(child))
        (void)sim_unix_name(child, true, addr, size);
    else if (addr != NULL)
        sim_addr_to(&sim_tcp_of(child)->peer, sim_socket_of(child)->domain, addr, size);
    return child_fd;
}

static int connect_tcp(struct sim *sim, struct sim_file *file,
                       const struct sockaddr *addr, socklen_t size)
{
    struct sim_tcp *tcp = sim_tcp_of(file);
    struct sim_addr to;
    int64_t limit;
    int result;

    if (size >= sizeof(addr->sa_family) && addr->sa_family == AF_UNSPEC) {
        sim_tcp_disconnect(sim, tcp);
        return 0;
    }
    result = sim_addr_from(&to, tcp->base.domain, addr, size);
    if (result < 0)
        return result;
    result = sim_tcp_connect(sim, tcp, &to);
    if (file->status != 0)
        return result;
    limit = tcp->base.settings.send_timeout;
    limit = limit > 0 ? sim->now + limit : SIM_FOREVER;
    while (result == -EINPROGRESS || result == -EALREADY) {
        if (!sim_block(sim, limit))
            return -EINPROGRESS;
        result = sim_tcp_connect(sim, tcp, &to);
    }
    return result;
}

int sim_os_connect(struct os *os, int fd, const struct sockaddr *addr, socklen_t size)
{
    struct sim *sim = sim_of(os);
    int result = 0;
    struct sim_file *file = socket_at(sim, fd, &result);

    if (file == NULL)
        return result;
    if (!sim_is_unix(file))
        return connect_tcp(sim, file, addr, size);
    do
        result = sim_unix_connect(sim, file, addr, size);
    while (result == -EAGAIN && file->status == 0 && sim_block(sim, SIM_FOREVER));
    return result;
}

int sim_os_shutdown(struct os *os, int fd, int how)
{
    struct sim *sim = sim_of(os);
    int result = 0;
    struct sim_file *file = socket_at(sim, fd, &result);
    unsigned both = (unsigned)how + 1; /* SHUT_RD, SHUT_WR, SHUT_RDWR */

    if (file == NULL)
        return result;
    if (how < SHUT_RD || how > SHUT_RDWR)
        return -EINVAL;
    sim_trace(sim, 'x', file->number, both);
    if (sim_is_unix(file))
        return sim_unix_shutdown(sim, file, both);
    return sim_tcp_shutdown(sim, sim_tcp_of(file), both);
}

/* ---- messages ---- */

static ssize_t receive(struct sim *sim, int fd, struct sim_io *io)
{
    int result = 0;
    struct sim_file *file = socket_at(sim, fd, &result);

    if (file == NULL)
        return result;
    io->never_waits = (io->flags & (MSG_OOB | MSG_ERRQUEUE)) != 0;
    return sim_receive(sim, fd, io);
}

ssize_t sim_os_recvfrom(struct os *os, int fd, void *buf, size_t size, int flags,
                        /* cppcheck-suppress constParameter; a slot of os.h */
                        struct sockaddr *addr, socklen_t *addr_size)
{
    struct iovec one = { buf, size };
    struct sim_io io = { .pieces = &one, .count = 1, .left = size, .flags = flags };
    ssize_t result = receive(sim_of(os), fd, &io);

    if (result >= 0 && addr != NULL)
        *addr_size = 0; /* a stream does not say from whom */
    return result;
}

static int io_of_message(struct sim_io *io, const struct msghdr *message, int flags)
{
    *io = (struct sim_io){ .pieces = message->msg_iov,
                           .count = message->msg_iovlen,
                           .flags = flags };
    if (message->msg_iovlen > IOV_MAX)
        return -EMSGSIZE;
    for (size_t i = 0; i < message->msg_iovlen; i++)
        io->left += message->msg_iov[i].iov_len;
    return 0;
}

ssize_t sim_os_recvmsg(struct os *os, int fd, struct msghdr *message, int flags)
{
    struct sim_io io;
    ssize_t result = io_of_message(&io, message, flags);

    if (result < 0)
        return result;
    io.control = message->msg_control;
    io.control_room = message->msg_control != NULL ? message->msg_controllen : 0;
    result = receive(sim_of(os), fd, &io);
    if (result >= 0) {
        message->msg_flags = io.out_flags;
        message->msg_controllen = io.control_used;
        message->msg_namelen = 0;
    }
    return result;
}

static ssize_t send_checked(struct sim *sim, int fd, struct sim_io *io, bool to_address)
{
    int result = 0;
    struct sim_file *file = socket_at(sim, fd, &result);

    if (file == NULL)
        return result;
    if (to_address && sim_is_unix(file)) /* TCP ignores the address */
        return -EOPNOTSUPP;
    return sim_send(sim, fd, io);
}

ssize_t sim_os_sendto(struct os *os, int fd, const void *buf, size_t size, int flags,
                      const struct sockaddr *addr, socklen_t addr_size)
{
    struct iovec one = { (void *)(uintptr_t)buf, size };
    struct sim_io io = { .pieces = &one, .count = 1, .left = size, .flags = flags };

    return send_checked(sim_of(os), fd, &io, addr != NULL && addr_size > 0);
}

ssize_t sim_os_sendmsg(struct os *os, int fd, const struct msghdr *message, int flags)
{
    struct sim_io io;
    ssize_t result = io_of_message(&io, message, flags);

    if (result < 0)
        return result;
    io.sent = message;
    return send_checked(sim_of(os), fd, &io, message->msg_namelen > 0);
}

/* ---- names ---- */

int sim_os_getsockname(struct os *os, int fd, struct sockaddr *addr, socklen_t *size)
{
    struct sim *sim = sim_of(os);
    int result = 0;
    struct sim_file *file = socket_at(sim, fd, &result);

    if (file == NULL)
        return result;
    if (sim_is_unix(file))
        return sim_unix_name(file, false, addr, size);
    sim_addr_to(&sim_tcp_of(file)->local, sim_socket_of(file)->domain, addr, size);
    return 0;
}

int sim_os_getpeername(struct os *os, int fd, struct sockaddr *addr, socklen_t *size)
{
    struct sim *sim = sim_of(os);
    int result = 0;
    struct sim_file *file = socket_at(sim, fd, &result);
    const struct sim_tcp *tcp;

    if (file == NULL)
        return result;
    if (sim_is_unix(file))
        return sim_unix_name(file, true, addr, size);
    tcp = sim_tcp_of(file);
    if (tcp->peer.port == 0 || tcp->state == SIM_CLOSE || tcp->state == SIM_SYN_SENT)
        return -ENOTCONN;
    sim_addr_to(&tcp->peer, tcp->base.domain, addr, size);
    return 0;
}
