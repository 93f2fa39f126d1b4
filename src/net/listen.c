/* SPDX-License-Identifier: MIT */
/*
 * listen.c -- listening: the socket, its address and its file.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "net/addr.h"
#include "net/conn.h"
#include "net/listen.h"

static bool is_any6(const tn_addr *addr)
{
    struct sockaddr_in6 in6;

    if (addr->as.family != AF_INET6)
        return false;
    memcpy(&in6, addr->as.bytes, sizeof(in6));
    return IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr);
}

static int set_flag(struct os *os, int fd, int level, int name, int value)
{
    return os_setsockopt(os, fd, level, name, &value, sizeof(value));
}

static int prepare(struct os *os, int fd, const tn_addr *addr,
                   const struct tn_listen_options *options)
{
    int result = 0;

    if (addr->as.family != AF_UNIX)
        result = set_flag(os, fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (result >= 0 && options->reuse_port)
        result = set_flag(os, fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (result >= 0 && addr->as.family == AF_INET6)
        result =
            set_flag(os, fd, IPPROTO_IPV6, IPV6_V6ONLY,
                     options->only_ipv6 || options->family == TN_IPV6 || !is_any6(addr));
    /*
     * What is accepted inherits these: five calls less for each connection (2 of 27 us on
     * loopback), and buffer sizes are there before the handshake scales the window (tcp(7)).
     */
    if (result >= 0 && addr->as.family != AF_UNIX)
        result = conn_set_options(os, fd, true, &options->conn);
    return result;
}

/* The path of ADDR if it names a file, else NULL. */
static const char *path_of(const tn_addr *addr)
{
    const char *path = addr->as.bytes + offsetof(struct sockaddr_un, sun_path);

    return addr->as.family == AF_UNIX && path[0] != '\0' ? path : NULL;
}

/*
 * A socket's file that refuses connections is left over from a program that has died.
 * (So does any other file: connect(2) has one error for both.)
 */
static bool is_left_over(struct os *os, const tn_addr *addr)
{
    int fd, result;
    struct stat file;

    if (os_stat(os, path_of(addr), &file) < 0 || !S_ISSOCK(file.st_mode))
        return false;
    fd = os_socket(os, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    result = os_connect(os, fd, (const struct sockaddr *)addr->as.bytes, addr->size);
    os_close(os, fd);
    return result == -ECONNREFUSED;
}

static int bind_to(struct os *os, int fd, const tn_addr *addr)
{
    const struct sockaddr *sockaddr = (const struct sockaddr *)addr->as.bytes;
    int result = os_bind(os, fd, sockaddr, addr->size);

    if (result != -EADDRINUSE || path_of(addr) == NULL || !is_left_over(os, addr))
        return result;
    if (os_unlink(os, path_of(addr)) < 0)
        return result;
    return os_bind(os, fd, sockaddr, addr->size);
}

static int open_socket(struct os *os, const tn_addr *addr,
                       const struct tn_listen_options *options, int *fd)
{
    int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    int made = os_socket(os, addr->as.family, type, 0);
    bool bound = false;
    int result;

    if (made < 0)
        return made;
    result = prepare(os, made, addr, options);
    if (result >= 0)
        result = bind_to(os, made, addr);
    bound = result >= 0;
    if (result >= 0 && options->mode != 0 && path_of(addr) != NULL)
        result = os_chmod(os, path_of(addr), options->mode);
    if (result >= 0) /* the kernel cuts it down to net.core.somaxconn (listen(2)) */
        result = os_listen(os, made, options->backlog > 0 ? options->backlog : INT_MAX);
    if (result < 0 && bound && path_of(addr) != NULL)
        os_unlink(os, path_of(addr));
    if (result < 0)
        os_close(os, made);
    else
        *fd = made;
    return result;
}

static int listen_at(struct tn_listener *listener, const tn_addr *addr,
                     const struct tn_listen_options *options)
{
    struct sockaddr_storage storage;
    socklen_t size = sizeof(storage);
    int result = open_socket(listener->os, addr, options, &listener->fd);

    /* ":port" on a host without IPv6. */
    if (result == -EAFNOSUPPORT && is_any6(addr) && !options->only_ipv6) {
        struct sockaddr_in in = { .sin_family = AF_INET,
                                  .sin_port = htons(tn_addr_port(addr)) };
        tn_addr any4 = tn_addr_from((struct sockaddr *)&in, sizeof(in));
        result = open_socket(listener->os, &any4, options, &listener->fd);
    }
    if (result < 0)
        return result;
    listener->addr = *addr;
    if (os_getsockname(listener->os, listener->fd, (struct sockaddr *)&storage, &size) >=
        0)
        listener->addr = tn_addr_from((struct sockaddr *)&storage, size);
    if (path_of(&listener->addr) != NULL)
        os_stat(listener->os, path_of(&listener->addr), &listener->file);
    return 0;
}

tn_err tn_listen(struct tn_listener **listener, const char *where,
                 const struct tn_listen_options *options)
{
    static const struct tn_listen_options none;
    struct os *os = task_os();
    struct tn_listener *made;
    tn_addr addr;
    tn_err err;

    CHECK(task_self() != NULL);
    if (options == NULL)
        options = &none;
    err = addr_to_listen(where, options->family, &addr);
    if (tn_failed(err))
        return err;
    made = os_allocate(os, sizeof(*made));
    if (made == NULL)
        return err_from(ERR_LISTEN, -ENOMEM);
    made->os = os;
    made->options = options->conn;
    made->no_ahead = options->no_ahead;
    err = err_from(ERR_LISTEN, listen_at(made, &addr, options));
    if (tn_failed(err)) {
        os_release(os, made);
        return err;
    }
    accept_init(made);
    *listener = made;
    return err;
}

tn_addr tn_listener_addr(const struct tn_listener *listener)
{
    return listener->addr;
}

void tn_listener_close(struct tn_listener **listener)
{
    struct tn_listener *old = *listener;
    const char *path;
    struct stat now;

    if (old == NULL)
        return;
    CHECK(old->accepting == 0);
    /* A forked child's copy: the file is the parent's. */
    path = old->forks == task_forks() ? path_of(&old->addr) : NULL;
    if (path != NULL && old->file.st_ino != 0 && os_stat(old->os, path, &now) >= 0 &&
        now.st_ino == old->file.st_ino && now.st_dev == old->file.st_dev)
        os_unlink(old->os, path);
    *listener = NULL;
    accept_end(old);
}
