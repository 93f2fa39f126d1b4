/* SPDX-License-Identifier: MIT */
/*
 * record.c -- the recorded calls: make the call of this way, write down what came of it.
 *
 * begin() and end() stand around every call: between them the actor counts as being in the
 * call.  errno holds a mark before each call, and must still hold it after a success.
 */
#include "record.h"

#include <stdio.h>
#include <string.h>

enum { ERRNO_MARK = 4095 /* no errno */ };

void begin(struct actor *me, struct attempt *attempt, const char *call)
{
    me->call = call;
    attempt->pipes = sigpipes_taken();
    attempt->start_ns = clock_ns();
    attempt->start_tick_ns = tick_ns();
    attempt->line.used = 0;
    attempt->line.bytes[0] = '\0';
    (void)atomic_fetch_add(&me->entered, 1);
    errno = ERRNO_MARK;
}

bool end(struct actor *me, struct attempt *attempt, ssize_t result)
{
    int error = errno;

    (void)atomic_fetch_add(&me->returned, 1);
    me->elapsed_ns = clock_ns() - attempt->start_ns;
    if (me->elapsed_ns < tick_ns() - attempt->start_tick_ns)
        me->elapsed_ns = tick_ns() - attempt->start_tick_ns;
    me->error = result < 0 ? error : 0;
    attempt->result = result;
    attempt->error = error;
    if (result >= 0 || error != EINTR || !me->run->retries)
        return false;
    me->run->record->interruptions++;
    (void)atomic_fetch_add(&me->interruptions, 1);
    return true;
}

void text_add_result(struct actor *me, struct attempt *attempt)
{
    struct text *line = &attempt->line;

    (void)me;
    if (attempt->result < 0)
        text_add(line, " = %s",
                 strerrorname_np(attempt->error) != NULL ? strerrorname_np(attempt->error)
                                                         : "unknown errno");
    else
        text_add(line, " = %zd", attempt->result);
}

void finish(struct actor *me, struct attempt *attempt)
{
    unsigned pipes = sigpipes_taken() - attempt->pipes;

    if (attempt->result >= 0 && attempt->error != ERRNO_MARK)
        text_add(&attempt->line, " errno touched: %d", attempt->error);
    if (pipes != 0)
        text_add(&attempt->line, " +%u SIGPIPE", pipes);
    if (me->silent == 0)
        note(me, "%s", attempt->line.bytes);
    errno = attempt->error;
}

/* ---- making and ending ----------------------------------------------------------------- */

/* A new descriptor shows as "ok", with what it starts with. */
static void add_new_fd(struct attempt *attempt)
{
    int fd = (int)attempt->result;

    if (fd < 0)
        return;
    if ((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0)
        text_add(&attempt->line, " nonblock");
    if ((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0)
        text_add(&attempt->line, " cloexec");
}

static void add_fd_result(struct actor *me, struct attempt *attempt)
{
    if (attempt->result < 0) {
        text_add_result(me, attempt);
        return;
    }
    text_add(&attempt->line, " = ok");
    add_new_fd(attempt);
}

int do_socket(struct actor *me, int domain, int type, int protocol)
{
    struct attempt attempt;

    do
        begin(me, &attempt, "socket");
    while (end(me, &attempt, me->run->way->calls->socket(domain, type, protocol)));
    text_add(&attempt.line, "socket(%d, %#x, %d)", domain, (unsigned)type, protocol);
    add_fd_result(me, &attempt);
    finish(me, &attempt);
    return (int)attempt.result;
}

int do_socketpair(struct actor *me, int domain, int type, int protocol, int pair[2])
{
    struct attempt attempt;

    do
        begin(me, &attempt, "socketpair");
    while (
        end(me, &attempt, me->run->way->calls->socketpair(domain, type, protocol, pair)));
    text_add(&attempt.line, "socketpair(%d, %#x, %d)", domain, (unsigned)type, protocol);
    text_add_result(me, &attempt);
    finish(me, &attempt);
    return (int)attempt.result;
}

static void add_given_address(struct actor *me, struct attempt *attempt,
                              const void *address, socklen_t size)
{
    /* what failed may have failed because the address cannot be read */
    text_add(&attempt->line, ", ");
    if (attempt->result < 0 && attempt->error == EFAULT)
        text_add(&attempt->line, "bad");
    else if (address == NULL || size > sizeof(struct sockaddr_storage))
        text_add(&attempt->line, "null (%u)", size);
    else
        text_add_address(&attempt->line, me->run, address, size);
}

int do_bind(struct actor *me, int fd, const void *address, socklen_t size)
{
    struct attempt attempt;

    do
        begin(me, &attempt, "bind");
    while (end(me, &attempt, me->run->way->calls->bind(fd, address, size)));
    text_add(&attempt.line, "bind(");
    text_add_fd(&attempt.line, me->run, fd);
    add_given_address(me, &attempt, address, size);
    text_add(&attempt.line, ")");
    text_add_result(me, &attempt);
    finish(me, &attempt);
    return (int)attempt.result;
}

int do_listen(struct actor *me, int fd, int backlog)
{
    struct attempt attempt;

    do
        begin(me, &attempt, "listen");
    while (end(me, &attempt, me->run->way->calls->listen(fd, backlog)));
    text_add(&attempt.line, "listen(");
    text_add_fd(&attempt.line, me->run, fd);
    text_add(&attempt.line, ", %d)", backlog);
    text_add_result(me, &attempt);
    finish(me, &attempt);
    return (int)attempt.result;
}

static void finish_accept(struct actor *me, struct attempt *attempt, int fd,
                          const void *address, const socklen_t *size, socklen_t room)
{
    text_add(&attempt->line, "(");
    text_add_fd(&attempt->line, me->run, fd);
    text_add(&attempt->line, ")");
    add_fd_result(me, attempt);
    if (attempt->result >= 0 && address != NULL && size != NULL) {
        text_add(&attempt->line, " from ");
        text_add_address(&attempt->line, me->run, address, *size < room ? *size : room);
        text_add(&attempt->line, " of %u", *size);
    }
    finish(me, attempt);
}

int do_accept(struct actor *me, int fd, void *address, socklen_t *size)
{
    struct attempt attempt;
    socklen_t room = 0;

    if (address != NULL && size != NULL && fd >= 0 && is_readable(size, sizeof(*size)))
        room = *size;
    do
        begin(me, &attempt, "accept");
    while (end(me, &attempt, me->run->way->calls->accept(fd, address, size)));
    text_add(&attempt.line, "accept");
    finish_accept(me, &attempt, fd, address, size, room);
    return (int)attempt.result;
}

int do_accept4(struct actor *me, int fd, void *address, socklen_t *size, int flags)
{
    struct attempt attempt;
    socklen_t room = 0;

    if (address != NULL && size != NULL && fd >= 0 && is_readable(size, sizeof(*size)))
        room = *size;
    do
        begin(me, &attempt, "accept4");
    while (end(me, &attempt, me->run->way->calls->accept4(fd, address, size, flags)));
    text_add(&attempt.line, "accept4[%s%s]",
             (flags & SOCK_NONBLOCK) != 0 ? "nonblock " : "",
             (flags & SOCK_CLOEXEC) != 0 ? "cloexec" : "");
    finish_accept(me, &attempt, fd, address, size, room);
    return (int)attempt.result;
}

int do_connect(struct actor *me, int fd, const void *address, socklen_t size)
{
    struct attempt attempt;

    do
        begin(me, &attempt, "connect");
    while (end(me, &attempt, me->run->way->calls->connect(fd, address, size)));
    text_add(&attempt.line, "connect(");
    text_add_fd(&attempt.line, me->run, fd);
    add_given_address(me, &attempt, address, size);
    text_add(&attempt.line, ")");
    text_add_result(me, &attempt);
    finish(me, &attempt);
    return (int)attempt.result;
}

int do_shutdown(struct actor *me, int fd, int how)
{
    static const char *const names[] = { "RD", "WR", "RDWR" };
    struct attempt attempt;

    do
        begin(me, &attempt, "shutdown");
    while (end(me, &attempt, me->run->way->calls->shutdown(fd, how)));
    text_add(&attempt.line, "shutdown(");
    text_add_fd(&attempt.line, me->run, fd);
    text_add(&attempt.line, ", %s)", how >= 0 && how < 3 ? names[how] : "bad");
    text_add_result(me, &attempt);
    finish(me, &attempt);
    return (int)attempt.result;
}

int do_close(struct actor *me, int fd)
{
    struct attempt attempt;

    begin(me, &attempt, "close"); /* whatever it says, it is not done twice */
    (void)end(me, &attempt, me->run->way->calls->close(fd));
    text_add(&attempt.line, "close(");
    text_add_fd(&attempt.line, me->run, fd);
    text_add(&attempt.line, ")");
    text_add_result(me, &attempt);
    finish(me, &attempt);
    return (int)attempt.result;
}

int do_dup2(struct actor *me, int old_fd, int new_fd)
{
    struct attempt attempt;

    begin(me, &attempt, "dup2");
    (void)end(me, &attempt, me->run->way->calls->dup2(old_fd, new_fd));
    text_add(&attempt.line, "dup2(");
    text_add_fd(&attempt.line, me->run, old_fd);
    text_add(&attempt.line, ", ");
    text_add_fd(&attempt.line, me->run, new_fd);
    text_add(&attempt.line, ")%s", attempt.result == new_fd ? " same" : "");
    add_fd_result(me, &attempt);
    finish(me, &attempt);
    return (int)attempt.result;
}

int do_dup3(struct actor *me, int old_fd, int new_fd, int flags)
{
    struct attempt attempt;

    begin(me, &attempt, "dup3");
    (void)end(me, &attempt, me->run->way->calls->dup3(old_fd, new_fd, flags));
    text_add(&attempt.line, "dup3(");
    text_add_fd(&attempt.line, me->run, old_fd);
    text_add(&attempt.line, ", ");
    text_add_fd(&attempt.line, me->run, new_fd);
    text_add(&attempt.line, ", %s)",
             flags == O_CLOEXEC ? "cloexec"
             : flags == 0       ? "0"
                                : "?");
    add_fd_result(me, &attempt);
    finish(me, &attempt);
    return (int)attempt.result;
}
