/* SPDX-License-Identifier: MIT */
/*
 * fd_outside_test.c -- <tenon/fd.h> outside of tasks, where there is nobody to park: the
 * plain system calls.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

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

static atomic_bool enough;

/* Nobody is there: over at once, each time. */
static tn_err connect_on_and_on(void *arg)
{
    tn_addr addr = nobody(AF_INET);

    (void)arg;
    while (!atomic_load(&enough)) {
        int fd = tn_fd_socket(AF_INET, SOCK_STREAM, 0);

        assert_int_equal(tn_fd_connect(fd, (void *)addr.as.bytes, addr.size), -1);
        assert_int_equal(tn_fd_close(fd), 0);
        tn_yield();
    }
    return tn_ok();
}

static tn_err connect_once(void *arg)
{
    tn_addr addr = nobody(AF_INET);
    int fd = tn_fd_socket(AF_INET, SOCK_STREAM, 0);

    (void)arg;
    return tn_fd_connect(fd, (void *)addr.as.bytes, addr.size) < 0 &&
                   errno == ECONNREFUSED
               ? tn_ok()
               : tn_err_user(TN_SYSTEM, errno);
}

static void *run_on_and_on(void *arg)
{
    (void)arg;
    assert_ok(tn_run(connect_on_and_on, NULL, NULL));
    return NULL;
}

/* What a call holds for a moment, no other thread may hold in a forked child for ever. */
TEST(a_child_that_was_forked_in_the_middle_of_a_call_can_make_calls)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, run_on_and_on, NULL), 0);
    for (int i = 0; i < 50; i++) {
        int status = -1;
        pid_t child = fork();

        if (child == 0) {
            alarm(5 * test_scale());
            _exit(tn_failed(tn_run(connect_once, NULL, NULL)));
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    atomic_store(&enough, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
}
