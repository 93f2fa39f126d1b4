/* SPDX-License-Identifier: MIT */
/*
 * fd_outside_test.c -- <tenon/fd.h> outside of tasks, where there is nobody to park: the
 * plain system calls.
 */
#include <tenon/fd.h>

#include "net/net_rig.h"

static int listener_at(struct sockaddr_in *address)
{
    socklen_t size = sizeof(*address);
    int fd = tn_fd_socket(AF_INET, SOCK_STREAM, 0);

    *address = (struct sockaddr_in){ .sin_family = AF_INET };
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(tn_fd_bind(fd, (void *)address, size), 0);
    assert_int_equal(tn_fd_listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (void *)address, &size), 0);
    return fd;
}

TEST(outside_of_tasks_the_calls_are_the_plain_ones)
{
    struct sockaddr_in address;
    int listener = listener_at(&address), near = tn_fd_socket(AF_INET, SOCK_STREAM, 0);
    char one[2], two[2];
    struct iovec pieces[2] = { { one, 2 }, { two, 2 } };
    struct msghdr message = { .msg_iov = pieces, .msg_iovlen = 2 };
    struct pollfd entry;
    int far;

    assert_int_equal(tn_fd_connect(near, (void *)&address, sizeof(address)), 0);
    far = tn_fd_accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(far >= 0);
    entry = (struct pollfd){ .fd = far, .events = POLLIN };
    assert_int_equal(tn_fd_poll(&entry, 1, 0), 0);
    assert_int_equal(tn_fd_send(near, "ab", 2, 0), 2);
    assert_int_equal(tn_fd_poll(&entry, 1, -1), 1);
    assert_int_equal(tn_fd_recv(far, one, 2, 0), 2);
    assert_memory_equal(one, "ab", 2);
    two[0] = 'c';
    two[1] = 'd';
    assert_int_equal(tn_fd_sendmsg(near, &message, 0), 4);
    assert_int_equal(tn_fd_recvmsg(far, &message, 0), 4);
    assert_int_equal(tn_fd_writev(near, pieces, 2), 4);
    assert_int_equal(tn_fd_readv(far, pieces, 2), 4);
    assert_int_equal(tn_fd_write(near, "e", 1), 1);
    assert_int_equal(tn_fd_read(far, one, 2), 1);
    assert_memory_equal(two, "cd", 2);
    assert_int_equal(tn_fd_dup2(near, far), far);
    assert_int_equal(tn_fd_close(near), 0);
    assert_int_equal(tn_fd_close(far), 0);
    assert_int_equal(tn_fd_close(listener), 0);
    assert_int_equal(tn_fd_close(listener), -1);
    assert_int_equal(errno, EBADF);
}
