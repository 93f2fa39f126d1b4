/* SPDX-License-Identifier: MIT */
/*
 * fixture.c -- descriptors of every kind.
 *
 * The near end is made by the calls under test, so that these see it from its birth; the far
 * end belongs to plain calls that cannot block.
 */
#include "calls.h"

#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <termios.h>

enum { BUFFER_SIZE = 32 * 1024 /* of both ends, where they are to be filled */ };

static const char *const kind_names[KINDS] = {
    [KIND_TCP] = "tcp",
    [KIND_TCP6] = "tcp6",
    [KIND_UNIX] = "unix",
    [KIND_UNIX_SEQ] = "unix-seq",
    [KIND_UNIX_DGRAM] = "unix-dgram",
    [KIND_UDP] = "udp",
    [KIND_PIPE] = "pipe",
    [KIND_TTY] = "tty",
    [KIND_EVENTFD] = "eventfd",
    [KIND_FILE] = "file",
};

const char *kind_name(enum kind kind)
{
    return kind_names[kind];
}

bool kind_is_socket(enum kind kind)
{
    return kind <= KIND_UDP;
}

bool kind_is_stream(enum kind kind)
{
    return kind == KIND_TCP || kind == KIND_TCP6 || kind == KIND_UNIX;
}

bool kind_is_unix(enum kind kind)
{
    return kind == KIND_UNIX || kind == KIND_UNIX_SEQ || kind == KIND_UNIX_DGRAM;
}

bool kind_has_records(enum kind kind)
{
    return kind == KIND_UNIX_SEQ || kind == KIND_UNIX_DGRAM || kind == KIND_UDP;
}

void set_nonblock(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);

    (void)fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

bool reset_by(struct actor *me, int fd)
{
    const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

    return expect(me,
                  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == 0 &&
                      close(fd) == 0,
                  "reset");
}

/* ---- opening --------------------------------------------------------------------------- */

static int kind_domain(enum kind kind)
{
    if (kind_is_unix(kind))
        return AF_UNIX;
    return kind == KIND_TCP6 ? AF_INET6 : AF_INET;
}

static int kind_type(enum kind kind)
{
    if (kind_is_stream(kind))
        return SOCK_STREAM;
    return kind == KIND_UNIX_SEQ ? SOCK_SEQPACKET : SOCK_DGRAM;
}

/* The loopback address of KIND, port 0; for Unix sockets, the next name in the directory. */
static socklen_t local_address(enum kind kind, struct sockaddr_storage *address)
{
    struct sockaddr_in *in = (void *)address;
    struct sockaddr_in6 *in6 = (void *)address;
    struct sockaddr_un *un = (void *)address;
    static int names;

    memset(address, 0, sizeof(*address));
    if (kind_is_unix(kind)) {
        un->sun_family = AF_UNIX;
        (void)snprintf(un->sun_path, sizeof(un->sun_path), "socket%d", names++);
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(un->sun_path) +
                           1);
    }
    if (kind == KIND_TCP6) {
        in6->sin6_family = AF_INET6;
        in6->sin6_addr = (struct in6_addr)IN6ADDR_LOOPBACK_INIT;
        return sizeof(*in6);
    }
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return sizeof(*in);
}

static in_port_t address_port(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET)
        return ((const struct sockaddr_in *)(const void *)address)->sin_port;
    if (address->ss_family == AF_INET6)
        return ((const struct sockaddr_in6 *)(const void *)address)->sin6_port;
    return 0;
}

int bound_socket(struct actor *me, enum kind kind, struct sockaddr_storage *address,
                 socklen_t *size)
{
    int fd = socket(kind_domain(kind), kind_type(kind) | SOCK_CLOEXEC, 0);

    *size = local_address(kind, address);
    if (!expect(me, fd >= 0, "socket"))
        return -1;
    if (expect(me, bind(fd, (void *)address, *size) == 0, "bind")) {
        *size = sizeof(*address);
        (void)getsockname(fd, (void *)address, size);
    }
    return fd;
}

static void set_small_buffers(int fd)
{
    const int size = BUFFER_SIZE;

    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

int listener_open(struct actor *me, enum kind kind, int backlog,
                  struct sockaddr_storage *address, socklen_t *size)
{
    int fd = bound_socket(me, kind, address, size);

    if (fd < 0)
        return -1;
    set_small_buffers(fd); /* accepted sockets inherit them */
    (void)expect(me, listen(fd, backlog) == 0, "listen");
    if (!kind_is_unix(kind))
        label_port(me, address_port(address), "listener");
    return fd;
}

static void name_ports(struct actor *me, const struct pair *pair)
{
    struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
    socklen_t size = sizeof(address);

    if (getsockname(pair->near, (void *)&address, &size) == 0 &&
        address_port(&address) != 0)
        label_port(me, address_port(&address), "near");
    size = sizeof(address);
    if (getsockname(pair->far, (void *)&address, &size) == 0 &&
        address_port(&address) != 0)
        label_port(me, address_port(&address), "far");
}

/* A signal may end it (a storm's); the second call waits for what the first began. */
static bool connect_by(const struct calls *calls, int fd,
                       const struct sockaddr_storage *address, socklen_t size)
{
    int result;

    do
        result = calls->connect(fd, (const void *)address, size);
    while (result != 0 && errno == EINTR);
    return result == 0 || errno == EISCONN;
}

int reach(int fd, const struct sockaddr_storage *address, socklen_t size)
{
    return connect_by(way_plain.calls, fd, address, size) ? 0 : -1;
}

static bool open_tcp(struct actor *me, const struct calls *calls, struct pair *pair)
{
    struct sockaddr_storage address;
    socklen_t size;
    const int on = 1;
    int listener = listener_open(me, pair->kind, 4, &address, &size);

    if (listener < 0)
        return false;
    pair->near = calls->socket(kind_domain(pair->kind), SOCK_STREAM, 0);
    if (expect(me, pair->near >= 0, "socket")) {
        set_small_buffers(pair->near);
        (void)setsockopt(pair->near, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        (void)expect(me, connect_by(calls, pair->near, &address, size), "connect");
        pair->far = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        (void)expect(me, pair->far >= 0, "accept");
        (void)setsockopt(pair->far, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    (void)close(listener);
    me->run->port_count--; /* near and far get names of their own */
    return pair->far >= 0;
}

static bool open_udp(struct actor *me, const struct calls *calls, struct pair *pair)
{
    struct sockaddr_storage address;
    socklen_t size = 0;
    bool ok;

    pair->far = bound_socket(me, pair->kind, &address, &size);
    pair->near = calls->socket(AF_INET, SOCK_DGRAM, 0);
    ok = expect(me, pair->far >= 0 && pair->near >= 0, "socket") &&
         expect(me, connect_by(calls, pair->near, &address, size), "connect");
    size = sizeof(address);
    return ok && getsockname(pair->near, (void *)&address, &size) == 0 &&
           expect(me, reach(pair->far, &address, size) == 0, "connect back");
}

static bool open_tty(struct actor *me, struct pair *pair)
{
    struct termios modes;

    if (!expect(me, openpty(&pair->far, &pair->near, NULL, NULL, NULL) == 0, "openpty"))
        return false;
    (void)tcgetattr(pair->near, &modes);
    cfmakeraw(&modes);
    (void)tcsetattr(pair->near, TCSANOW, &modes);
    return true;
}

static bool open_file(struct actor *me, struct pair *pair)
{
    char name[] = "fileXXXXXX";

    pair->near = mkstemp(name);
    if (!expect(me, pair->near >= 0, "mkstemp"))
        return false;
    pair->far = open(name, O_RDWR | O_CLOEXEC);
    return expect(me,
                  pair->far >= 0 && write(pair->far, "0123456789ABCDEF", 16) == 16 &&
                      lseek(pair->far, 0, SEEK_SET) == 0 && unlink(name) == 0,
                  "prepare the file");
}

static bool open_with(struct actor *me, const struct calls *calls, bool writes,
                      struct pair *pair)
{
    int ends[2];

    switch (pair->kind) {
    case KIND_TCP:
    case KIND_TCP6:
        return open_tcp(me, calls, pair);
    case KIND_UDP:
        return open_udp(me, calls, pair);
    case KIND_UNIX:
    case KIND_UNIX_SEQ:
    case KIND_UNIX_DGRAM:
        if (!expect(me, calls->socketpair(AF_UNIX, kind_type(pair->kind), 0, ends) == 0,
                    "socketpair"))
            return false;
        pair->near = ends[0];
        pair->far = ends[1];
        set_small_buffers(pair->near);
        set_small_buffers(pair->far);
        return true;
    case KIND_PIPE:
        if (!expect(me, pipe(ends) == 0, "pipe"))
            return false;
        pair->near = ends[writes ? 1 : 0];
        pair->far = ends[writes ? 0 : 1];
        return true;
    case KIND_TTY:
        return open_tty(me, pair);
    case KIND_EVENTFD:
        pair->near = eventfd(0, 0);
        pair->far = dup(pair->near);
        return expect(me, pair->far >= 0, "eventfd");
    case KIND_FILE:
        return open_file(me, pair);
    case KINDS:
        break;
    }
    return expect(me, false, "a kind");
}

static bool open_and_name(struct actor *me, const struct calls *calls, enum kind kind,
                          bool writes, struct pair *pair)
{
    *pair = (struct pair){ .kind = kind, .near = -1, .far = -1, .other = -1 };
    if (!open_with(me, calls, writes, pair))
        return false;
    label(me, pair->near, "near");
    label(me, pair->far, "far");
    if (kind_is_socket(kind) && !kind_is_unix(kind))
        name_ports(me, pair);
    return true;
}

bool pair_open(struct actor *me, enum kind kind, bool writes, struct pair *pair)
{
    return open_and_name(me, me->run->way->calls, kind, writes, pair);
}

bool pair_open_plain(struct actor *me, enum kind kind, bool writes, struct pair *pair)
{
    return open_and_name(me, way_plain.calls, kind, writes, pair);
}

void pair_close(struct actor *me, struct pair *pair)
{
    int fds[] = { pair->near, pair->far, pair->other };

    for (size_t i = 0; i < 3; i++) {
        if (fds[i] >= 0 && fcntl(fds[i], F_GETFD) >= 0)
            (void)close(fds[i]);
    }
    helper_end(me, pair->holder);
    pair->near = pair->far = pair->other = -1;
    pair->holder = 0;
}
