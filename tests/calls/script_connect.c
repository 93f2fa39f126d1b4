/* SPDX-License-Identifier: MIT */
/*
 * script_connect.c -- connect, listen, accept, bind: who gets in, who does not, and why.
 */
#include "calls.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static int client_socket(struct actor *me, int family, int type)
{
    int fd = me->run->way->calls->socket(family, type, 0);

    (void)expect(me, fd >= 0, "socket");
    label(me, fd, "client");
    return fd;
}

/* An address that was somebody's, and now is nobody's. */
static socklen_t closed_address(struct actor *me, enum kind kind,
                                struct sockaddr_storage *address)
{
    socklen_t size;
    int fd = listener_open(me, kind, 1, address, &size);

    (void)close(fd);
    return size;
}

static void refused(struct actor *me, enum kind kind, int family)
{
    struct sockaddr_storage address;
    socklen_t size = closed_address(me, kind, &address);
    int fd = client_socket(me, family, SOCK_STREAM);

    (void)do_connect(me, fd, &address, size);
    (void)do_so_error(me, fd);
    (void)do_connect(me, fd, &address, size);
    (void)do_look(me, fd);
    (void)do_send(me, fd, "x", 1, MSG_NOSIGNAL);
    (void)close(fd);
}

static void refused_tcp(struct actor *me)
{
    refused(me, KIND_TCP, AF_INET);
}

static void refused_tcp6(struct actor *me)
{
    refused(me, KIND_TCP6, AF_INET6);
}

static void refused_unix(struct actor *me)
{
    refused(me, KIND_UNIX, AF_UNIX);
}

static void refused_without_waiting(struct actor *me)
{
    struct sockaddr_storage address;
    socklen_t size = closed_address(me, KIND_TCP, &address);
    int fd = client_socket(me, AF_INET, SOCK_STREAM | SOCK_NONBLOCK);

    (void)do_connect(me, fd, &address, size);
    (void)await_events(me, fd, POLLERR);
    (void)do_look(me, fd);
    (void)do_so_error(me, fd);
    (void)do_so_error(me, fd);
    (void)do_connect(me, fd, &address, size);
    (void)close(fd);
}

/* The answer to a second call that finds the first one still going, in both modes. */
static void second_connect(struct actor *me)
{
    struct sockaddr_storage address;
    socklen_t size;
    int listener = listener_open(me, KIND_TCP, 0, &address, &size), accepted;
    int filler = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct action action = { .row = ROW_CONNECT,
                             .address = &address,
                             .address_size = size };
    struct actor *other;

    (void)reach(filler, &address, size);
    action.fd = client_socket(me, AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
    (void)do_connect(me, action.fd, &address, size);
    (void)do_connect(me, action.fd, &address, size);
    (void)do_recv(me, action.fd, (char[4]){ 0 }, 4, 0);
    (void)do_send(me, action.fd, "x", 1, 0);
    (void)do_fcntl(me, action.fd, F_SETFL, O_RDWR);
    set_timeout(me, action.fd, SO_SNDTIMEO, 40 * MS);
    action.waited_ns = 40 * MS;
    act(me, &action);
    action.waited_ns = 0;
    set_timeout(me, action.fd, SO_SNDTIMEO, 0);
    other = start(me, "connecter", act, &action);
    (void)watch(me, other);
    accepted = accept(listener, NULL, NULL);
    join(me, other);
    (void)do_connect(me, action.fd, &address, size);
    (void)close(accepted);
    (void)close(action.fd);
    (void)close(filler);
    (void)close(listener);
}

/* A send on a connection that is still being made waits for it. */
static void send_while_connecting(struct actor *me)
{
    struct sockaddr_storage address;
    socklen_t size;
    int listener = listener_open(me, KIND_TCP, 0, &address, &size), accepted[2];
    int filler = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct action action = { .row = ROW_SEND, .size = 4 };
    struct actor *other;

    (void)reach(filler, &address, size);
    action.fd = client_socket(me, AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
    (void)do_connect(me, action.fd, &address, size);
    (void)do_fcntl(me, action.fd, F_SETFL, O_RDWR);
    other = start(me, "sender", act, &action);
    (void)watch(me, other);
    accepted[0] = accept(listener, NULL, NULL);
    join(me, other);
    accepted[1] = accept(listener, NULL, NULL);
    note_received(me, accepted[1], 4);
    (void)close(accepted[0]);
    (void)close(accepted[1]);
    (void)close(action.fd);
    (void)close(filler);
    (void)close(listener);
}

static void wrong_addresses(struct actor *me)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "nobody" };
    struct sockaddr_in in = { .sin_family = AF_INET,
                              .sin_port = htons(1),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int tcp = client_socket(me, AF_INET, SOCK_STREAM);
    int local = client_socket(me, AF_UNIX, SOCK_STREAM);

    (void)do_connect(me, local, &un, sizeof(un));
    (void)do_connect(me, local, &in, sizeof(in));
    (void)do_connect(me, local, &un, 1);
    (void)do_connect(me, tcp, &un, sizeof(un));
    (void)do_connect(me, tcp, &in, 4);
    (void)do_connect(me, tcp, &in, 0);
    in.sin_family = AF_UNSPEC;
    (void)do_connect(me, tcp, &in, sizeof(in));
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(INADDR_BROADCAST);
    (void)do_connect(me, tcp, &in, sizeof(in));
    (void)do_connect(me, 0, &in, sizeof(in));
    (void)close(tcp);
    (void)close(local);
}

static void wrong_types(struct actor *me)
{
    struct sockaddr_storage address;
    socklen_t size;
    int listener = listener_open(me, KIND_UNIX, 3, &address, &size);
    int fd = client_socket(me, AF_UNIX, SOCK_DGRAM);

    (void)do_connect(me, fd, &address, size);
    (void)do_listen(me, fd, 3);
    (void)do_accept(me, fd, NULL, NULL);
    (void)close(fd);
    fd = client_socket(me, AF_UNIX, SOCK_SEQPACKET);
    (void)do_connect(me, fd, &address, size);
    (void)do_accept(me, fd, NULL, NULL);
    (void)close(fd);
    fd = client_socket(me, AF_INET, SOCK_STREAM);
    (void)do_accept(me, fd, NULL, NULL);
    (void)do_listen(me, fd, -1);
    (void)do_listen(me, fd, 1 << 30);
    (void)close(fd);
    (void)close(listener);
}

/* TCP queues one connection more than the backlog says; the next one waits. */
static void backlog_and_one(struct actor *me, enum kind kind, int backlog)
{
    struct sockaddr_storage address;
    socklen_t size;
    int listener = listener_open(me, kind, backlog, &address, &size), clients[8];
    int family = kind_is_unix(kind) ? AF_UNIX : AF_INET, connected = 0;
    struct action action = { .row = ROW_CONNECT,
                             .address = &address,
                             .address_size = size };
    struct actor *other;

    for (int i = 0; i < backlog + 1; i++) {
        clients[i] = socket(family, SOCK_STREAM, 0);
        connected += reach(clients[i], &address, size) == 0 ? 1 : 0;
    }
    note(me, "at once: %d of backlog and 1", connected - backlog);
    action.fd = client_socket(me, family, SOCK_STREAM);
    other = start(me, "connecter", act, &action);
    (void)watch(me, other);
    (void)close(accept(listener, NULL, NULL));
    join(me, other);
    for (int i = 0; i < backlog + 1; i++)
        (void)close(clients[i]);
    (void)close(action.fd);
    (void)close(listener);
}

static void backlog_and_one_tcp(struct actor *me)
{
    backlog_and_one(me, KIND_TCP, 2);
}

static void backlog_and_one_unix(struct actor *me)
{
    backlog_and_one(me, KIND_UNIX, 2);
}

static void backlog_of_nothing(struct actor *me)
{
    backlog_and_one(me, KIND_UNIX, 0);
}

static void connect_and_the_listener_goes(struct actor *me)
{
    struct sockaddr_storage address;
    socklen_t size;
    int listener = listener_open(me, KIND_UNIX, 0, &address, &size);
    int filler = socket(AF_UNIX, SOCK_STREAM, 0);
    struct action action = { .row = ROW_CONNECT,
                             .address = &address,
                             .address_size = size };
    struct actor *other;

    (void)expect(me, reach(filler, &address, size) == 0, "connect");
    action.fd = client_socket(me, AF_UNIX, SOCK_STREAM);
    other = start(me, "connecter", act, &action);
    (void)watch(me, other);
    (void)close(listener);
    join(me, other);
    (void)close(action.fd);
    (void)close(filler);
}

/* ---- accept --------------------------------------------------------------------------------------- */

static void accepted_addresses(struct actor *me)
{
    struct sockaddr_storage address, peer;
    socklen_t size, peer_size;
    static const socklen_t rooms[] = { sizeof(struct sockaddr_in), 200, 8, 1, 0 };
    int listener = listener_open(me, KIND_TCP, 9, &address, &size), client, fd;

    label(me, listener, "listener");
    for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
        client = socket(AF_INET, SOCK_STREAM, 0);
        (void)reach(client, &address, size);
        memset(&peer, 0, sizeof(peer));
        peer_size = rooms[i];
        fd = do_accept(me, listener, &peer, &peer_size);
        (void)close(fd);
        (void)close(client);
    }
    client = socket(AF_INET, SOCK_STREAM, 0);
    (void)reach(client, &address, size);
    peer_size = (socklen_t)-1;
    (void)do_accept(me, listener, &peer, &peer_size);
    (void)do_accept4(me, listener, NULL, NULL, 1 << 20);
    set_nonblock(listener, true);
    (void)do_accept(me, listener, NULL, NULL); /* was it lost? */
    (void)close(client);
    (void)close(listener);
}

static void accepted_unix_addresses(struct actor *me)
{
    struct sockaddr_un named = { .sun_family = AF_UNIX, .sun_path = "client" };
    struct sockaddr_storage address, peer;
    socklen_t size, peer_size = sizeof(peer);
    int listener = listener_open(me, KIND_UNIX, 3, &address, &size);
    int client = socket(AF_UNIX, SOCK_STREAM, 0), fd;

    label(me, listener, "listener");
    (void)bind(client, (void *)&named, sizeof(named));
    (void)reach(client, &address, size);
    fd = do_accept(me, listener, &peer, &peer_size);
    (void)close(fd);
    (void)close(client);
    client = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)reach(client, &address, size);
    peer_size = sizeof(peer);
    fd = do_accept(me, listener, &peer, &peer_size);
    (void)close(fd);
    (void)close(client);
    (void)close(listener);
}

/* No descriptor left: the connection stays where it is, and is accepted later. */
static void accept_without_descriptors(struct actor *me)
{
    struct sockaddr_storage address;
    socklen_t size;
    int listener = listener_open(me, KIND_TCP, 3, &address, &size);
    int client = socket(AF_INET, SOCK_STREAM, 0), fd;
    struct rlimit before, low;

    label(me, listener, "listener");
    (void)expect(me, reach(client, &address, size) == 0, "connect");
    (void)getrlimit(RLIMIT_NOFILE, &before);
    low = before;
    low.rlim_cur = 3;
    (void)expect(me, setrlimit(RLIMIT_NOFILE, &low) == 0, "setrlimit");
    (void)do_accept(me, listener, NULL, NULL);
    (void)do_socket(me, AF_INET, SOCK_STREAM, 0);
    (void)setrlimit(RLIMIT_NOFILE, &before);
    fd = do_accept(me, listener, NULL, NULL);
    (void)close(fd);
    (void)close(client);
    (void)close(listener);
}

static void two_accepters(struct actor *me)
{
    struct sockaddr_storage address;
    socklen_t size;
    struct action one = { .row = ROW_ACCEPT }, two = one;
    int client = socket(AF_INET, SOCK_STREAM, 0);
    struct actor *first, *second;
    unsigned round = 0;

    one.fd = two.fd = listener_open(me, KIND_TCP, 3, &address, &size);
    label(me, one.fd, "listener");
    first = start(me, "one", act, &one);
    second = start(me, "two", act, &two);
    (void)watch(me, first);
    (void)watch(me, second);
    (void)reach(client, &address, size);
    while (!atomic_load(&first->finished) && !atomic_load(&second->finished))
        me->run->way->pause(round++);
    note(me, "the other one: %s",
         watch_quietly(me, atomic_load(&first->finished) ? second : first) ? "blocked"
                                                                           : "returned");
    (void)close(client);
    client = socket(AF_INET, SOCK_STREAM, 0);
    (void)reach(client, &address, size);
    join(me, first);
    join(me, second);
    (void)close(client);
    (void)close(one.fd);
}

/* The listener's flags and what others see of them stay as they are. */
static void flags_stay(struct actor *me)
{
    struct sockaddr_storage address;
    socklen_t size;
    struct action action = { .row = ROW_ACCEPT };
    int client = socket(AF_INET, SOCK_STREAM, 0), copy;
    struct actor *other;

    action.fd = listener_open(me, KIND_TCP, 3, &address, &size);
    label(me, action.fd, "listener");
    copy = dup(action.fd);
    label(me, copy, "copy");
    other = start(me, "accepter", act, &action);
    (void)watch(me, other);
    (void)do_fcntl(me, copy, F_GETFL, 0);
    (void)do_connect(me, client, &address, size);
    join(me, other);
    (void)do_fcntl(me, action.fd, F_GETFL, 0);
    (void)do_fcntl(me, client, F_GETFL, 0);
    (void)close(client);
    (void)close(copy);
    (void)close(action.fd);
}

static void names(struct actor *me)
{
    struct sockaddr_in in = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "name" };
    socklen_t size = sizeof(in);
    int one = client_socket(me, AF_INET, SOCK_STREAM);
    int two = client_socket(me, AF_INET, SOCK_STREAM);
    int local = client_socket(me, AF_UNIX, SOCK_STREAM);

    (void)do_bind(me, one, &in, sizeof(in));
    (void)getsockname(one, (void *)&in, &size);
    label_port(me, in.sin_port, "bound");
    (void)do_bind(me, one, &in, sizeof(in));
    (void)do_bind(me, two, &in, sizeof(in));
    (void)do_listen(me, one, 3);
    (void)do_bind(me, two, &in, sizeof(in));
    in.sin_addr.s_addr = htonl(0x01020304);
    (void)do_bind(me, two, &in, sizeof(in));
    in.sin_family = AF_INET6;
    (void)do_bind(me, two, &in, sizeof(in));
    (void)do_bind(me, local, &un, sizeof(un));
    (void)close(local);
    local = client_socket(me, AF_UNIX, SOCK_STREAM);
    (void)do_bind(me, local, &un, sizeof(un)); /* the name is still there */
    un.sun_path[0] = '\0';
    (void)do_bind(me, local, &un, sizeof(sa_family_t)); /* autobind */
    (void)snprintf(un.sun_path, sizeof(un.sun_path), "no/such/directory");
    (void)do_bind(me, client_socket(me, AF_UNIX, SOCK_STREAM), &un, sizeof(un));
    (void)close(one);
    (void)close(two);
    (void)close(local);
}

/* TCP says EPIPE to who sends, with its signal; others, and who receives, ENOTCONN. */
static void not_connected(struct actor *me)
{
    static const struct {
        int family, type;
        const char *name;
    } sockets[] = { { AF_INET, SOCK_STREAM, "tcp" },
                    { AF_UNIX, SOCK_STREAM, "unix" },
                    { AF_UNIX, SOCK_SEQPACKET, "unix-seq" },
                    { AF_UNIX, SOCK_DGRAM, "unix-dgram" } };

    for (size_t i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++) {
        int fd = do_socket(me, sockets[i].family, sockets[i].type, 0);

        label(me, fd, sockets[i].name);
        (void)do_send(me, fd, "x", 1, 0);
        (void)do_write(me, fd, "x", 1);
        (void)do_shutdown(me, fd, SHUT_WR);
        if (sockets[i].type != SOCK_DGRAM)
            (void)do_recv(me, fd, (char[4]){ 0 }, 4, 0);
        (void)close(fd);
    }
}

void add_connect_scripts(struct script_list *list)
{
    static const struct script scripts[] = {
        SCRIPT(CONNECT, CLOSED, refused_tcp),
        SCRIPT(CONNECT, CLOSED, refused_tcp6),
        SCRIPT(CONNECT, CLOSED, refused_unix),
        SCRIPT(CONNECT, NONBLOCK, refused_without_waiting),
        CALM(CONNECT, TIMEOUT, second_connect),
        SCRIPT(SEND, OTHER, send_while_connecting),
        SCRIPT(CONNECT, OTHER, wrong_addresses),
        SCRIPT(LISTEN, OTHER, wrong_types),
        SCRIPT(LISTEN, FULL, backlog_and_one_tcp),
        SCRIPT(LISTEN, FULL, backlog_and_one_unix),
        SCRIPT(LISTEN, FULL, backlog_of_nothing),
        SCRIPT(CONNECT, FULL, connect_and_the_listener_goes),
        SCRIPT(ACCEPT, OTHER, accepted_addresses),
        SCRIPT(ACCEPT, OTHER, accepted_unix_addresses),
        SCRIPT(ACCEPT, OTHER, accept_without_descriptors),
        SCRIPT(ACCEPT, OTHER, two_accepters),
        SCRIPT(ACCEPT, DUP, flags_stay),
        SCRIPT(BIND, OTHER, names),
        SCRIPT(SEND, OTHER, not_connected),
    };

    list_add_all(list, scripts, sizeof(scripts) / sizeof(scripts[0]));
}
