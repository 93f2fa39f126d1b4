/* SPDX-License-Identifier: MIT */
/*
 * os_sim_call_test.c -- beginnings, names, options and other kinds of files on the
 * simulator: as on Linux.
 */
#include "unit/sim_script.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/un.h>

static void run_refused(struct script *script)
{
    int listening = listener(script, 1), fd = tcp(script, SOCK_NONBLOCK);
    uint16_t port = port_of(script, listening);

    note_poll(script, fd);
    note_ioctl(script, "outq", fd, SIOCOUTQ);
    answer(script, "send", send_n(script, fd, 10, 0));
    answer(script, "recv", take(script, fd, 10, 0));
    answer(script, "shutdown", os_shutdown(script->os, fd, SHUT_RDWR));
    os_close(script->os, fd);
    os_close(script->os, listening);
    fd = tcp(script, SOCK_NONBLOCK);
    answer(script, "connect", connect_to(script, fd, port));
    await(script, fd, POLLHUP);
    note_poll(script, fd);
    answer(script, "connect", connect_to(script, fd, port));
    note_error(script, fd);
    answer(script, "connect", connect_to(script, fd, port));
    await(script, fd, POLLHUP);
    note_error(script, fd);
    answer(script, "connect", connect_to(script, fd, port));
    close_all(script, &fd, 1);
    fd = tcp(script, 0);
    answer(script, "connect", connect_to(script, fd, port));
    close_all(script, &fd, 1);
}

TEST(refused_connections_are_as_on_linux)
{
    differ_not(run_refused);
}

static void run_connect(struct script *script)
{
    int listening = listener(script, 5), fd = tcp(script, SOCK_NONBLOCK), other;
    uint16_t port = port_of(script, listening);

    note_poll(script, listening);
    answer(script, "accept",
           os_accept(script->os, fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
    answer(script, "connect", connect_to(script, fd, port));
    await(script, fd, POLLOUT);
    await(script, listening, POLLIN);
    note_poll(script, fd);
    note_poll(script, listening);
    answer(script, "connect", connect_to(script, fd, port));
    answer(script, "connect", connect_to(script, fd, port));
    answer(script, "listen", os_listen(script->os, fd, 1));
    other = os_accept(script->os, listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    note(script, "accepted: %d\n", other >= 0);
    answer(script, "recv", take(script, other, 10, 0));
    answer(script, "connect", connect_to(script, other, port));
    note_ioctl(script, "inq", listening, SIOCINQ);
    note_ioctl(script, "outq", listening, SIOCOUTQ);
    answer(script, "recv", take(script, listening, 10, MSG_DONTWAIT));
    answer(script, "send", send_n(script, listening, 10, MSG_DONTWAIT));
    answer(script, "connect", connect_to(script, listening, port));
    close_all(script, &fd, 1);
    close_all(script, &other, 1);
    close_all(script, &listening, 1);
}

TEST(connecting_without_blocking_is_as_on_linux)
{
    differ_not(run_connect);
}

static void run_backlog(struct script *script)
{
    int listening = listener(script, 2), fds[6], connected = 0;

    for (int i = 0; i < 6; i++) {
        fds[i] = tcp(script, SOCK_NONBLOCK);
        answer(script, "connect", connect_to(script, fds[i], port_of(script, listening)));
        if (i <= 2)
            await(script, fds[i], POLLOUT);
    }
    for (int i = 0; i < 6; i++) {
        struct pollfd one = { .fd = fds[i], .events = POLLOUT };
        connected += os_poll(script->os, &one, 1, 0);
    }
    note(script, "connected: %d\n", connected);
    note_poll(script, listening);
    /* Whoever waits in the queue is reset when the listener closes. */
    close_all(script, &listening, 1);
    await(script, fds[0], POLLHUP);
    note_poll(script, fds[0]);
    note_error(script, fds[0]);
    close_all(script, fds, 6);
}

TEST(a_full_backlog_is_as_on_linux)
{
    differ_not(run_backlog);
}

static void run_reset_in_queue(struct script *script)
{
    int listening = listener(script, 2), fd = tcp(script, 0), other;
    struct sockaddr_in addr;
    socklen_t size = sizeof(addr);

    answer(script, "connect", connect_to(script, fd, port_of(script, listening)));
    answer(script, "send", send_text(script, fd, "hi", 0));
    await_acks(script, fd);
    reset_at_close(script, fd);
    close_all(script, &fd, 1);
    memset(&addr, 0, sizeof(addr));
    other = os_accept(script->os, listening, (struct sockaddr *)&addr, &size, 0);
    note(script, "accepted: %d, family %d, size %d\n", other >= 0, addr.sin_family,
         (int)size);
    await(script, other, POLLHUP);
    size = sizeof(addr);
    answer(script, "getpeername",
           os_getpeername(script->os, other, (struct sockaddr *)&addr, &size));
    take_text(script, other, 10, 0);
    take_text(script, other, 10, 0);
    take_text(script, other, 10, 0);
    close_all(script, &other, 1);
    close_all(script, &listening, 1);
}

TEST(a_connection_reset_before_accept_is_as_on_linux)
{
    differ_not(run_reset_in_queue);
}

static void run_names(struct script *script)
{
    int fds[2], fd = tcp(script, 0);
    struct sockaddr_in one, other;
    struct sockaddr_in6 six;
    socklen_t size = sizeof(one);

    memset(&one, 0, sizeof(one));
    answer(script, "getsockname",
           os_getsockname(script->os, fd, (struct sockaddr *)&one, &size));
    note(script, "family %d port %d\n", one.sin_family, one.sin_port);
    answer(script, "getpeername",
           os_getpeername(script->os, fd, (struct sockaddr *)&one, &size));
    pair(script, fds);
    size = sizeof(one);
    answer(script, "getsockname",
           os_getsockname(script->os, fds[0], (struct sockaddr *)&one, &size));
    size = sizeof(other);
    answer(script, "getpeername",
           os_getpeername(script->os, fds[1], (struct sockaddr *)&other, &size));
    note(script, "same: %d\n", memcmp(&one, &other, sizeof(one)) == 0);
    size = 4; /* too small: cut, and the whole size told */
    answer(script, "getpeername",
           os_getpeername(script->os, fds[1], (struct sockaddr *)&other, &size));
    note(script, "size %d\n", (int)size);
    answer(script, "bind", bind_at(script, fds[0], 0));
    answer(script, "bind", bind_at(script, fd, 0));
    answer(script, "bind", bind_at(script, fd, 0));
    memset(&six, 0, sizeof(six));
    six.sin6_family = AF_INET6;
    answer(script, "connect",
           os_connect(script->os, fd, (struct sockaddr *)&six, sizeof(six)));
    answer(script, "connect", os_connect(script->os, fd, (struct sockaddr *)&one, 3));
    answer(script, "connect", os_connect(script->os, 99, (struct sockaddr *)&one, 16));
    close_all(script, fds, 2);
    close_all(script, &fd, 1);
}

TEST(names_are_as_on_linux)
{
    differ_not(run_names);
}

static void run_bind(struct script *script)
{
    int first = listener(script, 1), fd = tcp(script, 0), one = 1, other;
    uint16_t port = port_of(script, first);
    struct sockaddr_in away = loopback(0);

    answer(script, "bind", bind_at(script, fd, port));
    answer(script, "reuse",
           os_setsockopt(script->os, fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
    answer(script, "bind", bind_at(script, fd, port));
    away.sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1: a network for documents */
    answer(script, "bind",
           os_bind(script->os, fd, (struct sockaddr *)&away, sizeof(away)));
    close_all(script, &first, 1);
    answer(script, "bind", bind_at(script, fd, port));
    answer(script, "listen", os_listen(script->os, fd, 1));
    answer(script, "listen", os_listen(script->os, fd, 5));
    other = tcp(script, 0);
    os_setsockopt(script->os, other, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    answer(script, "bind", bind_at(script, other, port));
    close_all(script, &fd, 1);
    answer(script, "bind", bind_at(script, other, port));
    close_all(script, &other, 1);
    answer(script, "accept", os_accept(script->os, 999, NULL, NULL, 0));
}

TEST(bind_conflicts_are_as_on_linux)
{
    differ_not(run_bind);
}

static void run_options(struct script *script)
{
    static const struct {
        int level, name, value;
    } options[] = {
        { SOL_SOCKET, SO_REUSEADDR, 5 },
        { SOL_SOCKET, SO_KEEPALIVE, 1 },
        { SOL_SOCKET, SO_OOBINLINE, 1 },
        { SOL_SOCKET, SO_RCVLOWAT, 0 },
        { IPPROTO_TCP, TCP_NODELAY, 1 },
        { IPPROTO_TCP, TCP_KEEPIDLE, 30 },
        { IPPROTO_TCP, TCP_KEEPIDLE, 0 },
        { IPPROTO_TCP, TCP_KEEPINTVL, 40000 },
        { IPPROTO_TCP, TCP_KEEPCNT, 3 },
        { IPPROTO_TCP, TCP_USER_TIMEOUT, 1500 },
        { IPPROTO_TCP, TCP_USER_TIMEOUT, -1 },
        { IPPROTO_IPV6, IPV6_V6ONLY, 1 },
        { IPPROTO_TCP, 9999, 1 },
        { SOL_SOCKET, SO_RCVBUF, 4000 },
        { SOL_SOCKET, SO_RCVBUF, 1 },
        { SOL_SOCKET, SO_SNDBUF, 1 },
        { SOL_SOCKET, SO_SNDBUF, 5000 },
    };
    int fd = tcp(script, 0);

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        int value = options[i].value;
        socklen_t size = sizeof(value);

        note(script, "%d/%d ", options[i].level, options[i].name);
        answer(script, "set",
               os_setsockopt(script->os, fd, options[i].level, options[i].name, &value,
                             sizeof(value)));
        value = -1;
        answer(script, "get",
               os_getsockopt(script->os, fd, options[i].level, options[i].name, &value,
                             &size));
        note(script, "%d, size %d\n", value, (int)size);
    }
    close_all(script, &fd, 1);
}

TEST(options_are_as_on_linux)
{
    differ_not(run_options);
}

static void run_unix(struct script *script)
{
    int fds[2];

    assert_errno(os_socketpair(script->os, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds),
                 0);
    note_poll(script, fds[0]);
    take_text(script, fds[0], 10, 0);
    answer(script, "send", send_text(script, fds[0], "hello", 0));
    note_ioctl(script, "inq", fds[1], SIOCINQ);
    note_poll(script, fds[1]);
    take_text(script, fds[1], 3, MSG_PEEK);
    take_text(script, fds[1], 3, 0);
    answer(script, "shutdown", os_shutdown(script->os, fds[0], SHUT_WR));
    note_poll(script, fds[0]);
    note_poll(script, fds[1]);
    answer(script, "send", send_text(script, fds[0], "more", 0));
    take_text(script, fds[1], 10, 0);
    take_text(script, fds[1], 10, 0);
    answer(script, "send", send_text(script, fds[1], "back", 0));
    answer(script, "close", os_close(script->os, fds[0]));
    note_poll(script, fds[1]);
    answer(script, "send", send_text(script, fds[1], "x", 0));
    answer(script, "send", send_text(script, fds[1], "x", 0));
    take_text(script, fds[1], 10, 0);
    close_all(script, fds + 1, 1);

    assert_errno(os_socketpair(script->os, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds),
                 0);
    answer(script, "send", send_text(script, fds[1], "kept", 0));
    answer(script, "close", os_close(script->os, fds[1]));
    take_text(script, fds[0], 10, 0);
    take_text(script, fds[0], 10, 0);
    answer(script, "send", send_text(script, fds[0], "x", 0));
    answer(script, "shutdown", os_shutdown(script->os, fds[0], SHUT_RDWR));
    close_all(script, fds, 1);
}

TEST(unix_pairs_are_as_on_linux)
{
    differ_not(run_unix);
}

static void run_unix_names(struct script *script)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    socklen_t size = sizeof(sa_family_t) + 30, got = sizeof(addr);
    int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    int listening = os_socket(script->os, AF_UNIX, type, 0);
    int fd = os_socket(script->os, AF_UNIX, type, 0), other;
    const struct sockaddr *at = (const struct sockaddr *)&addr;

    snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "tenon-sim-%ld",
             (long)getpid());
    note_poll(script, fd);
    answer(script, "recv", take(script, fd, 10, 0));
    answer(script, "send", send_n(script, fd, 10, 0));
    answer(script, "listen", os_listen(script->os, listening, 0));
    answer(script, "connect", os_connect(script->os, fd, at, size));
    answer(script, "bind", os_bind(script->os, listening, at, size));
    answer(script, "bind", os_bind(script->os, fd, at, size));
    answer(script, "connect", os_connect(script->os, fd, at, size));
    answer(script, "listen", os_listen(script->os, listening, 0));
    answer(script, "accept", os_accept(script->os, listening, NULL, NULL, 0));
    answer(script, "connect", os_connect(script->os, fd, at, size));
    answer(script, "connect", os_connect(script->os, fd, at, size));
    note_poll(script, listening);
    note_poll(script, fd);
    answer(script, "send", send_text(script, fd, "early", 0));
    other = os_accept(script->os, listening, NULL, NULL, SOCK_CLOEXEC);
    note(script, "accepted: %d\n", other >= 0);
    take_text(script, other, 10, 0);
    answer(script, "getpeername",
           os_getpeername(script->os, fd, (struct sockaddr *)&addr, &got));
    note(script, "size %d\n", (int)got);
    got = sizeof(addr);
    answer(script, "getpeername",
           os_getpeername(script->os, other, (struct sockaddr *)&addr, &got));
    note(script, "size %d\n", (int)got);
    close_all(script, &other, 1);
    take_text(script, fd, 10, 0);
    close_all(script, &fd, 1);
    close_all(script, &listening, 1);
}

TEST(named_unix_sockets_are_as_on_linux)
{
    differ_not(run_unix_names);
}

static void run_eventfd(struct script *script)
{
    int fd = os_eventfd(script->os, 3, EFD_NONBLOCK | EFD_CLOEXEC);
    uint64_t value = 4;

    note_poll(script, fd);
    answer(script, "write", os_write(script->os, fd, &value, sizeof(value)));
    answer(script, "write", os_write(script->os, fd, &value, 4));
    answer(script, "read", os_read(script->os, fd, &value, 4));
    answer(script, "read", os_read(script->os, fd, &value, sizeof(value)));
    note(script, "value %d\n", (int)value);
    answer(script, "read", os_read(script->os, fd, &value, sizeof(value)));
    note_poll(script, fd);
    value = UINT64_MAX;
    answer(script, "write", os_write(script->os, fd, &value, sizeof(value)));
    value--;
    answer(script, "write", os_write(script->os, fd, &value, sizeof(value)));
    answer(script, "write", os_write(script->os, fd, &value, sizeof(value)));
    note_poll(script, fd);
    answer(script, "recv", take(script, fd, 10, 0));
    close_all(script, &fd, 1);
}

TEST(eventfd_is_as_on_linux)
{
    differ_not(run_eventfd);
}

static void run_not_sockets(struct script *script)
{
    char byte;

    answer(script, "socket", os_socket(script->os, 99, SOCK_STREAM, 0));
    answer(script, "socket", os_socket(script->os, AF_INET, 77, 0));
    answer(script, "socket", os_socket(script->os, AF_INET, SOCK_STREAM, 99));
    answer(script, "read", os_read(script->os, 999, &byte, 1));
    answer(script, "dup", os_dup(script->os, 999, -1, 0));
    answer(script, "fcntl", os_fcntl(script->os, 999, 1, 0));
    answer(script, "ioctl", os_ioctl(script->os, 999, FIONREAD, &byte));
}

TEST(what_is_no_socket_is_refused_as_on_linux)
{
    differ_not(run_not_sockets);
}

/* ---- pipes ---- */

static void run_splice(struct script *script)
{
    struct os *os = script->os;
    int fds[2], pipe[2];

    pair(script, fds);
    for (int i = 0; i < 2; i++)
        os_fcntl(os, fds[i], F_SETFL, O_NONBLOCK);
    answer(script, "pipe", os_pipe(os, 65536, pipe));
    note_poll(script, pipe[0]);
    note_poll(script, pipe[1]);
    answer(script, "in, nothing there", os_splice_in(os, fds[1], pipe[1], 100));
    answer(script, "out of an empty one", os_splice_out(os, pipe[0], fds[1], 100));
    send_text(script, fds[0], "through the pipe", 0);
    await_bytes(script, fds[1], 16);
    answer(script, "in", os_splice_in(os, fds[1], pipe[1], 7));
    answer(script, "in", os_splice_in(os, fds[1], pipe[1], 100));
    note_poll(script, pipe[0]);
    answer(script, "out", os_splice_out(os, pipe[0], fds[1], 3));
    answer(script, "out", os_splice_out(os, pipe[0], fds[1], 100));
    await_bytes(script, fds[0], 16);
    take_text(script, fds[0], 100, 0);
    os_shutdown(os, fds[0], SHUT_WR);
    await(script, fds[1], POLLRDHUP);
    answer(script, "in, at the end", os_splice_in(os, fds[1], pipe[1], 100));
    answer(script, "write", os_write(os, pipe[1], "x", 1));
    os_close(os, pipe[1]);
    note_poll(script, pipe[0]);
    answer(script, "out", os_splice_out(os, pipe[0], fds[1], 100));
    answer(script, "out, at the end", os_splice_out(os, pipe[0], fds[1], 100));
    os_close(os, pipe[0]);
    answer(script, "closed", os_splice_out(os, pipe[0], fds[1], 100));
    close_all(script, fds, 2);
}

TEST(splicing_is_as_on_linux)
{
    differ_not(run_splice);
}
