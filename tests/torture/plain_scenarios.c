/* SPDX-License-Identifier: MIT */
/*
 * plain_scenarios.c -- the calls of <tenon/fd.h>: whatever fails, errno is the kernel's.
 *
 * A scenario goes through its calls until one fails; the descriptors are closed with
 * close(2) at the end, so that no failure of ours can leave one.
 */
#include "torture/torture.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define BIG 300000

/* The last call's errno, as a task's error. */
static tn_err failed(void)
{
    return tn_err_errno(errno);
}

static void close_both(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

/* One task writes SIZE bytes to fds[1], in its way, and another reads them from fds[0]. */
struct transfer {
    int fds[2];
    size_t size;
    bool pieces, sockets, messages;
};

static char big[BIG], room[BIG];

static ssize_t put(const struct transfer *transfer, size_t at)
{
    struct iovec parts[2] = { { big + at, (transfer->size - at) / 2 }, { NULL, 0 } };
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };

    parts[1].iov_base = big + at + parts[0].iov_len;
    parts[1].iov_len = transfer->size - at - parts[0].iov_len;
    if (transfer->messages)
        return tn_fd_sendmsg(transfer->fds[1], &message, MSG_NOSIGNAL);
    if (transfer->sockets)
        return tn_fd_send(transfer->fds[1], big + at, transfer->size - at, MSG_NOSIGNAL);
    if (transfer->pieces)
        return tn_fd_writev(transfer->fds[1], parts, 2);
    return tn_fd_write(transfer->fds[1], big + at, transfer->size - at);
}

static ssize_t take(const struct transfer *transfer, size_t at)
{
    struct iovec parts[2] = { { room + at, 10 }, { room + at + 10, 0 } };
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };

    parts[0].iov_len = transfer->size - at < 10 ? transfer->size - at : 10;
    parts[1].iov_base = room + at + parts[0].iov_len;
    parts[1].iov_len = transfer->size - at - parts[0].iov_len;
    if (transfer->messages)
        return tn_fd_recvmsg(transfer->fds[0], &message, 0);
    if (transfer->sockets)
        return tn_fd_recv(transfer->fds[0], room + at, transfer->size - at, 0);
    if (transfer->pieces)
        return tn_fd_readv(transfer->fds[0], parts, 2);
    return tn_fd_read(transfer->fds[0], room + at, transfer->size - at);
}

static tn_err put_all(void *arg)
{
    const struct transfer *transfer = arg;

    for (size_t at = 0; at < transfer->size;) {
        ssize_t done = put(transfer, at);

        if (done < 0)
            return failed();
        at += (size_t)done;
    }
    return tn_ok();
}

static tn_err take_all(void *arg)
{
    const struct transfer *transfer = arg;

    for (size_t at = 0; at < transfer->size;) {
        ssize_t got = take(transfer, at);

        if (got < 0)
            return failed();
        must(got > 0 && memcmp(room + at, big + at, (size_t)got) == 0);
        at += (size_t)got;
    }
    return tn_ok();
}

/* The reader first, so that it parks; the writer parks when the buffer is full. */
static tn_err transfer_all(const struct transfer *transfer)
{
    struct tn_group *group = NULL;
    tn_err err = tn_group_open(&group, TN_GROUP_ALL_OR_NONE);

    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)(i * 2654435761u >> 16);
    if (!tn_failed(err))
        err = tn_go(group, take_all, (void *)(uintptr_t)transfer, NULL, NULL);
    if (!tn_failed(err))
        err = tn_go(group, put_all, (void *)(uintptr_t)transfer, NULL, NULL);
    if (!tn_failed(err))
        err = tn_group_wait(group, PATIENCE);
    tn_group_close(&group);
    return err;
}

static tn_err over_sockets(struct transfer *transfer)
{
    tn_err err;

    if (tn_fd_socketpair(AF_UNIX, SOCK_STREAM, 0, transfer->fds) < 0)
        return failed();
    err = transfer_all(transfer);
    close_both(transfer->fds);
    return err;
}

static tn_err over_a_pipe(struct transfer *transfer)
{
    tn_err err;

    must(pipe2(transfer->fds, O_CLOEXEC) == 0);
    err = transfer_all(transfer);
    close_both(transfer->fds);
    return err;
}

static tn_err run_read_write(const struct scenario *self)
{
    (void)self;
    return over_sockets(&(struct transfer){ .size = BIG });
}

static tn_err run_readv_writev(const struct scenario *self)
{
    (void)self;
    return over_sockets(&(struct transfer){ .size = BIG, .pieces = true });
}

static tn_err run_send_recv(const struct scenario *self)
{
    (void)self;
    return over_sockets(&(struct transfer){ .size = BIG, .sockets = true });
}

static tn_err run_messages(const struct scenario *self)
{
    (void)self;
    return over_sockets(&(struct transfer){ .size = BIG, .messages = true });
}

static tn_err run_pipe(const struct scenario *self)
{
    (void)self;
    return over_a_pipe(&(struct transfer){ .size = BIG });
}

static tn_err run_pipe_pieces(const struct scenario *self)
{
    (void)self;
    return over_a_pipe(&(struct transfer){ .size = BIG, .pieces = true });
}

/* ---- TCP from its beginning ---- */

struct caller {
    struct sockaddr_in addr;
    int fd;
};

static tn_err call(void *arg)
{
    struct caller *caller = arg;
    char byte;

    if (tn_fd_connect(caller->fd, (struct sockaddr *)&caller->addr,
                      sizeof(caller->addr)) < 0)
        return failed();
    if (tn_fd_shutdown(caller->fd, SHUT_WR) < 0)
        return failed();
    if (tn_fd_recvfrom(caller->fd, &byte, 1, 0, NULL, NULL) < 0)
        return failed();
    return tn_ok();
}

static tn_err answer(int listening)
{
    struct timeval limit = { .tv_usec = 50000 }; /* who calls may fail alone */
    char byte;
    int fd = tn_fd_accept(listening, NULL, NULL);
    tn_err err = tn_ok();

    if (fd < 0)
        return failed();
    if (tn_fd_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
        ((tn_fd_recvfrom)(fd, &byte, 1, 0, NULL, NULL) < 0 && errno != EAGAIN) ||
        tn_fd_sendto(fd, "x", 1, MSG_NOSIGNAL, NULL, 0) < 0)
        err = failed();
    if (tn_fd_close(fd) < 0 && !tn_failed(err))
        err = failed();
    return err;
}

static tn_err listen_and_call(int listening, struct caller *caller)
{
    socklen_t size = sizeof(caller->addr), flag_size = sizeof(int);
    struct tn_group *group = NULL;
    int flag = 0, ready;
    tn_err err;

    if (tn_fd_bind(listening, (struct sockaddr *)&caller->addr, size) < 0 ||
        tn_fd_listen(listening, 3) < 0 ||
        tn_fd_getsockopt(listening, SOL_SOCKET, SO_ACCEPTCONN, &flag, &flag_size) < 0)
        return failed();
    must(flag == 1);
    must(getsockname(listening, (struct sockaddr *)&caller->addr, &size) == 0);
    err = tn_group_open(&group, TN_GROUP_ALL_OR_NONE);
    if (!tn_failed(err))
        err = tn_go(group, call, caller, NULL, NULL);
    if (!tn_failed(err)) {
        tn_yield();
        /* Who calls may fail alone: then nobody comes. */
        ready = tn_fd_poll(&(struct pollfd){ .fd = listening, .events = POLLIN }, 1, 20);
        err = ready < 0 ? failed() : ready == 1 ? answer(listening) : tn_ok();
    }
    if (!tn_failed(err))
        err = tn_group_wait(group, PATIENCE);
    tn_group_close(&group); /* cancels who is left */
    return err;
}

static tn_err run_tcp(const struct scenario *self)
{
    struct caller caller = { .addr = { .sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) } };
    int listening = tn_fd_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    tn_err err;

    (void)self;
    if (listening < 0)
        return failed();
    caller.fd = tn_fd_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    err = caller.fd < 0 ? failed() : listen_and_call(listening, &caller);
    if (caller.fd >= 0)
        close(caller.fd);
    close(listening);
    return err;
}

/* ---- datagrams, modes, copies of descriptors ---- */

static tn_err run_datagrams(const struct scenario *self)
{
    struct sockaddr_in addr = { .sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(addr);
    int fd = tn_fd_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char buf[10];
    tn_err err = tn_ok();

    (void)self;
    if (fd < 0)
        return failed();
    if (tn_fd_bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
        err = failed();
    must(getsockname(fd, (struct sockaddr *)&addr, &size) == 0);
    if (!tn_failed(err) &&
        (tn_fd_sendto(fd, "hello", 5, 0, (struct sockaddr *)&addr, size) < 0 ||
         tn_fd_recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&addr, &size) < 0))
        err = failed();
    must(tn_failed(err) || memcmp(buf, "hello", 5) == 0);
    close(fd);
    return err;
}

static tn_err run_modes(const struct scenario *self)
{
    int fds[2], mode = 1, unread = 0, copy = -1;
    tn_err err = tn_ok();

    (void)self;
    if (tn_fd_socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return failed();
    if (tn_fd_ioctl(fds[0], FIONBIO, &mode) < 0 ||
        (mode = tn_fd_fcntl(fds[0], F_GETFL)) < 0 ||
        tn_fd_fcntl(fds[0], F_SETFL, mode & ~O_NONBLOCK) < 0 ||
        tn_fd_ioctl(fds[0], FIONREAD, &unread) < 0)
        err = failed();
    must(unread == 0);
    copy = dup(fds[1]);
    must(copy >= 0);
    if (!tn_failed(err) &&
        (tn_fd_dup2(fds[0], copy) < 0 || tn_fd_dup3(fds[1], copy, O_CLOEXEC) < 0))
        err = failed();
    if (!tn_failed(err) && tn_fd_close(copy) < 0)
        err = failed();
    else if (tn_failed(err))
        close(copy);
    close_both(fds);
    return err;
}

/* ---- what is no socket ---- */

static tn_err count_up(void *arg)
{
    uint64_t one = 1;

    return tn_fd_write(*(int *)arg, &one, sizeof(one)) < 0 ? failed() : tn_ok();
}

static tn_err run_eventfd(const struct scenario *self)
{
    struct tn_task *task = NULL;
    int fd = eventfd(0, EFD_CLOEXEC);
    uint64_t count = 0;
    tn_err result = tn_ok(), err;

    (void)self;
    must(fd >= 0);
    err = tn_go(NULL, count_up, &fd, NULL, &task);
    if (!tn_failed(err)) {
        tn_yield(); /* who counts may fail alone: then there is nothing to wait for */
        if (tn_fd_poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 20) == 1 &&
            tn_fd_read(fd, &count, sizeof(count)) < 0)
            err = failed();
        must(count <= 1);
        must(!tn_failed(tn_join(&task, &result, PATIENCE)));
    }
    close(fd);
    return tn_failed(err) ? err : result;
}

static tn_err run_file(const struct scenario *self)
{
    char path[] = "/tmp/tenon-torture-XXXXXX", buf[5];
    int fd = mkstemp(path);
    tn_err err = tn_ok();

    (void)self;
    must(fd >= 0 && unlink(path) == 0);
    if (tn_fd_write(fd, "hello", 5) < 0 || tn_fd_write(fd, "", 0) < 0)
        err = failed();
    must(lseek(fd, 0, SEEK_SET) == 0);
    if (!tn_failed(err) && (tn_fd_read(fd, buf, 5) < 0 || tn_fd_read(fd, buf, 0) < 0))
        err = failed();
    close(fd);
    return err;
}

/* A terminal knows no RWF_NOWAIT: it is opened a second time, non-blocking. */
static tn_err run_terminal(const struct scenario *self)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;
    char buf[10];
    tn_err err = tn_ok();

    (void)self;
    must(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    must(slave >= 0);
    if (tn_fd_write(slave, "hi\n", 3) < 0 || tn_fd_read(master, buf, sizeof(buf)) < 0)
        err = failed();
    close(slave);
    close(master);
    return err;
}

static tn_err poke(void *arg)
{
    return tn_fd_write(*(int *)arg, "x", 1) < 0 ? failed() : tn_ok();
}

static tn_err run_poll(const struct scenario *self)
{
    struct pollfd entries[2] = { { .events = POLLIN }, { .events = POLLIN } };
    struct tn_task *task = NULL;
    int first[2], second[2], ready;
    tn_err result = tn_ok(), err;

    (void)self;
    must(pipe2(first, O_CLOEXEC) == 0 && pipe2(second, O_CLOEXEC) == 0);
    entries[0].fd = first[0];
    entries[1].fd = second[0];
    err = tn_go(NULL, poke, &second[1], NULL, &task);
    if (!tn_failed(err)) {
        ready = tn_fd_poll(entries, 2, 20); /* the writer may fail alone */
        if (ready < 0)
            err = failed();
        must(ready <= 1 && (ready < 1 || entries[1].revents == POLLIN));
        must(!tn_failed(tn_join(&task, &result, PATIENCE)));
    }
    close_both(first);
    close_both(second);
    return tn_failed(err) ? err : result;
}

const struct scenario plain_scenarios[] = {
    { .name = "plain read and write", .run = run_read_write, .plain = true },
    { .name = "plain readv and writev", .run = run_readv_writev, .plain = true },
    { .name = "plain send and recv", .run = run_send_recv, .plain = true },
    { .name = "plain sendmsg and recvmsg", .run = run_messages, .plain = true },
    { .name = "a pipe", .run = run_pipe, .plain = true },
    { .name = "a pipe in pieces", .run = run_pipe_pieces, .plain = true },
    { .name = "plain TCP", .run = run_tcp, .plain = true },
    { .name = "plain datagrams", .run = run_datagrams, .plain = true },
    { .name = "modes and copies", .run = run_modes, .plain = true },
    { .name = "an eventfd", .run = run_eventfd, .plain = true },
    { .name = "a file", .run = run_file, .plain = true },
    { .name = "a terminal", .run = run_terminal, .plain = true },
    { .name = "a poll of two", .run = run_poll, .plain = true },
    { .name = NULL },
};
