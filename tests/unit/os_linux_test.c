/* SPDX-License-Identifier: MIT */
/*
 * os_linux_test.c -- what the real kernel is asked to do, and is not.
 *
 * close(2) is ours here, so that a signal can come into it as it does on file systems over a
 * network: the descriptor has gone, its number is another file's already, and the call says
 * EINTR.  (The kernel's own close of a socket never does.)
 */
#include "harness/harness.h"

#include <tenon/fd.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int interrupted = -1, stranger = -1; /* descriptors */
static unsigned closes_of_interrupted;

int close(int fd)
{
    if (fd < 0 || fd != interrupted)
        return (int)syscall(SYS_close, fd);
    closes_of_interrupted++;
    if (closes_of_interrupted > 1)
        return (int)syscall(SYS_close, fd);
    dup3(stranger, fd, O_CLOEXEC); /* what another thread has opened meanwhile */
    errno = EINTR;
    return -1;
}

static void expect_one_close(int fds[2])
{
    interrupted = fds[0];
    stranger = fds[1];
    closes_of_interrupted = 0;
    errno = 0;
    assert_int_equal(tn_fd_close(fds[0]), -1);
    assert_int_equal(errno, EINTR);
    assert_int_equal(closes_of_interrupted, 1);
    assert_true(fcntl(fds[0], F_GETFD) >= 0); /* the stranger's */
    interrupted = -1;
    assert_int_equal(close(fds[0]), 0);
    assert_int_equal(close(fds[1]), 0);
}

TEST_IN_TASK(a_close_that_a_signal_interrupted_is_not_made_again)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    expect_one_close(fds);
}

TEST(nor_is_it_outside_of_tasks)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    expect_one_close(fds);
}

TEST_IN_TASK(a_connections_socket_is_closed_once_though_a_signal_came)
{
    struct tn_conn *conn = NULL;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_ok(tn_adopt(&conn, fds[0], NULL));
    interrupted = fds[0];
    stranger = fds[1];
    closes_of_interrupted = 0;
    tn_abort(&conn);
    for (int i = 0; i < 1000 && closes_of_interrupted == 0; i++)
        assert_ok(tn_sleep(tn_in(TN_MS))); /* the driver lets go of it in some turn */
    assert_ok(tn_sleep(tn_in(TN_MS)));
    assert_int_equal(closes_of_interrupted, 1);
    assert_true(fcntl(fds[0], F_GETFD) >= 0);
    interrupted = -1;
    assert_int_equal(close(fds[0]), 0);
    assert_int_equal(close(fds[1]), 0);
}
