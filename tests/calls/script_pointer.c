/* SPDX-License-Identifier: MIT */
/*
 * script_pointer.c -- bad pointers at every argument: the kernel's EFAULT, never a crash.
 *
 * Three kinds of bad: NULL, an address that nothing is mapped at, a page that may not be
 * touched; and for what a call fills in, memory that may only be read.
 */
#include "calls.h"
#include "unit/sanitized.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum bad { BAD_NULL, BAD_UNMAPPED, BAD_FORBIDDEN, BAD_READ_ONLY, BADS };

static const char *const bad_names[BADS] = { "null", "unmapped", "forbidden",
                                             "read-only" };

static void *bad_pointer(enum bad bad)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);

    switch (bad) {
    case BAD_NULL:
        return NULL;
    case BAD_UNMAPPED:
        return (void *)(uintptr_t)0x1000;
    case BAD_FORBIDDEN:
        return mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    default:
        return mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
}

/* A pair with something to read, so that nothing has to wait. */
static bool filled(struct actor *me, enum kind kind, struct pair *pair)
{
    return pair_make(me, kind, STATE_DATA, false, pair);
}

static void receives(struct actor *me, enum kind kind, void *bad)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    struct iovec piece = { bad, 4 };
    struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
    char buf[8];
    struct pair pair;

    if (!filled(me, kind, &pair))
        return;
    (void)do_read(me, pair.near, bad, 4);
    (void)do_readv(me, pair.near, &piece, 1);
    (void)do_readv(me, pair.near, bad, 1);
    if (kind_is_socket(kind)) {
        (void)do_recv(me, pair.near, bad, 4, MSG_DONTWAIT);
        (void)do_recv(me, pair.near, bad, 4, MSG_WAITALL | MSG_DONTWAIT);
        (void)do_recv(me, pair.near, bad, 4, MSG_PEEK | MSG_DONTWAIT);
        (void)do_recvmsg(me, pair.near, &message, MSG_DONTWAIT);
        (void)do_recvmsg(me, pair.near, bad, MSG_DONTWAIT);
        message.msg_iov = bad;
        (void)do_recvmsg(me, pair.near, &message, MSG_DONTWAIT);
        (void)do_recv_now(me, pair.near);
        (void)far_puts(&pair, "more", 4);
        (void)await_events(me, pair.near, POLLIN);
        (void)do_recvfrom(me, pair.near, buf, 4, MSG_DONTWAIT, bad, &size);
        (void)far_puts(&pair, "more", 4);
        (void)await_events(me, pair.near, POLLIN);
        (void)do_recvfrom(me, pair.near, buf, 4, MSG_DONTWAIT, &address, bad);
        (void)do_recv_now(me, pair.near);
    }
    pair_close(me, &pair);
}

/* What is waited for comes into memory that is not there. */
static void receives_later(struct actor *me, void *bad, enum row row, int flags)
{
    struct pair pair;
    pid_t child;

    if (!pair_open(me, KIND_TCP, false, &pair))
        return;
    child = helper_fork(me);
    if (child == 0) {
        /* by then the parent waits, or it is about to: both must end in EFAULT */
        (void)poll(NULL, 0, 5);
        _exit(send(pair.far, "late", 4, 0) == 4 ? 0 : 1);
    }
    if (row == ROW_RECV)
        (void)do_recv(me, pair.near, bad, 4, flags);
    else if (row == ROW_RECVMSG)
        (void)do_recvmsg(me, pair.near, bad, flags);
    else
        (void)do_readv(me, pair.near, bad, 1);
    (void)helper_wait(me, child);
    (void)await_input(me, pair.near, 4);
    (void)do_recv_now(me, pair.near);
    pair_close(me, &pair);
}

static void sends(struct actor *me, enum kind kind, void *bad)
{
    struct iovec piece = { bad, 4 };
    struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
    ssize_t sent = 0;
    struct pair pair;

    if (!pair_open(me, kind, true, &pair))
        return;
    sent += do_write(me, pair.near, bad, 4) > 0 ? 4 : 0;
    sent += do_writev(me, pair.near, &piece, 1) > 0 ? 4 : 0;
    (void)do_writev(me, pair.near, bad, 1);
    if (kind_is_socket(kind)) {
        (void)do_send(me, pair.near, bad, 4, 0);
        (void)do_sendto(me, pair.near, "x", 1, 0, bad, 16);
        (void)do_sendmsg(me, pair.near, &message, 0);
        (void)do_sendmsg(me, pair.near, bad, 0);
        message.msg_iov = bad;
        (void)do_sendmsg(me, pair.near, &message, 0);
        message.msg_iovlen = 0;
        message.msg_control = bad;
        message.msg_controllen = 32;
        (void)do_sendmsg(me, pair.near, &message, 0);
        message.msg_control = NULL;
        message.msg_controllen = 0;
        message.msg_name = bad;
        message.msg_namelen = 16;
        (void)do_sendmsg(me, pair.near, &message, 0);
    }
    note_received(me, pair.far, kind == KIND_TTY || kind == KIND_TCP ? sent : 0);
    pair_close(me, &pair);
}

static void addresses(struct actor *me, void *bad)
{
    struct sockaddr_storage address;
    socklen_t size;
    int listener = listener_open(me, KIND_TCP, 9, &address, &size), clients[3];
    int fd = me->run->way->calls->socket(AF_INET, SOCK_STREAM, 0);

    label(me, fd, "client");
    label(me, listener, "listener");
    (void)do_bind(me, fd, bad, 16);
    (void)do_connect(me, fd, bad, 16);
    for (int i = 0; i < 3; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM, 0);
        (void)reach(clients[i], &address, size);
    }
    (void)await_events(me, listener, POLLIN);
    (void)do_accept(me, listener, bad, &size);
    (void)do_accept(me, listener, &address, bad);
    (void)do_accept4(me, listener, bad, bad, SOCK_NONBLOCK);
    for (int i = 0; i < 3; i++)
        (void)close(clients[i]);
    (void)close(fd);
    (void)close(listener);
}

static void options(struct actor *me, void *bad)
{
    socklen_t size = 4;
    int value = 0;
    struct pair pair;

    if (!pair_open(me, KIND_TCP, false, &pair))
        return;
    (void)do_setsockopt(me, pair.near, SOL_SOCKET, SO_RCVTIMEO, bad, 16);
    (void)do_setsockopt(me, pair.near, SOL_SOCKET, SO_RCVLOWAT, bad, 4);
    (void)do_setsockopt(me, pair.near, IPPROTO_TCP, TCP_NODELAY, bad, 4);
    (void)do_getsockopt(me, pair.near, SOL_SOCKET, SO_RCVLOWAT, bad, &size);
    (void)do_getsockopt(me, pair.near, SOL_SOCKET, SO_TYPE, &value, bad);
    (void)do_ioctl(me, pair.near, FIONREAD, bad);
    (void)do_ioctl(me, pair.near, FIONBIO, bad);
    (void)do_poll(me, bad, 2, 0);
    (void)do_poll(me, bad, 2, 10);
    (void)do_socketpair(me, AF_UNIX, SOCK_STREAM, 0, bad);
    pair_close(me, &pair);
}

static void play(struct actor *me)
{
    const struct script *script = me->run->script;
    void *bad = bad_pointer((enum bad)(script->flags % BADS));

    switch (script->row) {
    case ROW_RECV:
        if (strstr(script->name, "waiting") != NULL) {
            receives_later(me, bad, ROW_RECV, 0);
            receives_later(me, bad, ROW_RECV, MSG_WAITALL);
            receives_later(me, bad, ROW_RECVMSG, 0);
            receives_later(me, bad, ROW_RECVMSG, MSG_WAITALL);
            receives_later(me, bad, ROW_READV, 0);
        } else {
            receives(me, script->kind, bad);
        }
        break;
    case ROW_SEND:
        sends(me, script->kind, bad);
        break;
    case ROW_ACCEPT:
        if (SANITIZED)
            skip(me, "a sanitizer reads what the size points to before the kernel does");
        else
            addresses(me, bad);
        break;
    default:
        options(me, bad);
        break;
    }
}

void add_pointer_scripts(struct script_list *list)
{
    static const enum kind kinds[] = { KIND_TCP,  KIND_UNIX, KIND_UDP,     KIND_UNIX_SEQ,
                                       KIND_PIPE, KIND_TTY,  KIND_EVENTFD, KIND_FILE };

    for (int bad = 0; bad < BADS; bad++) {
        struct script script = { .state = STATE_OTHER, .play = play, .flags = bad };

        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
            script.kind = kinds[i];
            script.row = ROW_RECV;
            (void)snprintf(script.name, sizeof(script.name), "bad pointer/receive/%s/%s",
                           bad_names[bad], kind_name(kinds[i]));
            list_add(list, &script);
            script.row = ROW_SEND;
            (void)snprintf(script.name, sizeof(script.name), "bad pointer/send/%s/%s",
                           bad_names[bad], kind_name(kinds[i]));
            list_add(list, &script);
        }
        script.row = ROW_ACCEPT;
        (void)snprintf(script.name, sizeof(script.name), "bad pointer/address/%s",
                       bad_names[bad]);
        list_add(list, &script);
        script.row = ROW_SETSOCKOPT;
        (void)snprintf(script.name, sizeof(script.name), "bad pointer/option/%s",
                       bad_names[bad]);
        list_add(list, &script);
        script.row = ROW_RECV;
        (void)snprintf(script.name, sizeof(script.name), "bad pointer/waiting/%s",
                       bad_names[bad]);
        list_add(list, &script);
    }
}
