/* SPDX-License-Identifier: MIT */
/*
 * sim_fd_test.c -- the plain socket calls (<tenon/fd.h>) and Unix paths on a simulated
 * network: as on a real one, in virtual time.
 */
#include "harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <tenon/fd.h>
#include <tenon/sim.h>

#include "os/os.h"
#include "task/park.h"

static const uint32_t no_chances[TN_SIM_FAULT_COUNT];

static void simulated(tn_task_fn *fn)
{
    struct tn_sim_options options = { .chances = no_chances, .driver = test_driver() };
    struct tn_sim_outcome outcome;

    for (options.seed = 0; options.seed < 5; options.seed++) {
        assert_ok(tn_sim_run(fn, NULL, &options, &outcome));
        assert_int_equal(outcome.descriptors, 0);
    }
}

static struct sockaddr_in address_of(uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };

    address.sin_addr.s_addr = htonl(0x0a000001); /* 10.0.0.1 */
    return address;
}

static int number_of(int fd, int level, int name)
{
    int number = -1;
    socklen_t size = sizeof(number);

    assert_int_equal(tn_fd_getsockopt(fd, level, name, &number, &size), 0);
    return number;
}

/* ---- streams ----------------------------------------------------------------------------- */

struct ends {
    int listener, near, far;
};

static void ends_open(struct ends *ends)
{
    struct sockaddr_in address = address_of(7000);

    ends->listener = tn_fd_socket(AF_INET, SOCK_STREAM, 0);
    ends->near = tn_fd_socket(AF_INET, SOCK_STREAM, 0);
    assert_true(ends->listener >= 0 && ends->near >= 0);
    assert_int_equal(number_of(ends->listener, SOL_SOCKET, SO_ACCEPTCONN), 0);
    assert_int_equal(tn_fd_bind(ends->listener, (void *)&address, sizeof(address)), 0);
    assert_int_equal(tn_fd_listen(ends->listener, 5), 0);
    assert_int_equal(number_of(ends->listener, SOL_SOCKET, SO_ACCEPTCONN), 1);
    assert_int_equal(tn_fd_connect(ends->near, (void *)&address, sizeof(address)), 0);
    ends->far = tn_fd_accept(ends->listener, NULL, NULL);
    assert_true(ends->far >= 0);
}

static void ends_close(const struct ends *ends)
{
    assert_int_equal(tn_fd_close(ends->listener), 0);
    assert_int_equal(tn_fd_close(ends->near), 0);
    assert_int_equal(tn_fd_close(ends->far), 0);
}

static tn_err send_by_all_calls(void *arg)
{
    const struct ends *ends = arg;
    struct iovec pieces[2] = { { (char[]){ "cd" }, 2 }, { (char[]){ "ef" }, 2 } };
    const struct msghdr message = { .msg_iov = pieces, .msg_iovlen = 2 };

    assert_int_equal(tn_fd_write(ends->near, "ab", 2), 2);
    assert_int_equal(tn_fd_writev(ends->near, pieces, 2), 4);
    assert_ok(tn_sleep(tn_in(TN_SECOND)));
    assert_int_equal(tn_fd_send(ends->near, "gh", 2, 0), 2);
    assert_int_equal(tn_fd_sendmsg(ends->near, &message, 0), 4);
    assert_int_equal(tn_fd_shutdown(ends->near, SHUT_WR), 0);
    return tn_ok();
}

static tn_err receive_by_all_calls(void *arg)
{
    struct ends ends;
    char one[3] = { 0 }, two[3] = { 0 };
    struct iovec pieces[2] = { { one, 2 }, { two, 2 } };
    struct msghdr message = { .msg_iov = pieces, .msg_iovlen = 2 };
    struct tn_task *sender = NULL;

    (void)arg;
    ends_open(&ends);
    assert_ok(tn_go(NULL, send_by_all_calls, &ends, NULL, &sender));
    assert_int_equal(tn_fd_recv(ends.far, one, 2, MSG_PEEK | MSG_WAITALL), 2);
    assert_string_equal(one, "ab");
    assert_int_equal(tn_fd_read(ends.far, one, 2), 2);
    assert_int_equal(tn_fd_recv(ends.far, two, 2, MSG_WAITALL), 2);
    assert_string_equal(two, "cd");
    assert_int_equal(tn_fd_readv(ends.far, pieces, 2), 2); /* the others come later */
    assert_string_equal(one, "ef");
    assert_int_equal(tn_fd_recvmsg(ends.far, &message, MSG_WAITALL), 4);
    assert_string_equal(one, "gh");
    assert_string_equal(two, "cd");
    assert_int_equal(tn_fd_recv(ends.far, one, 2, MSG_WAITALL), 2);
    assert_string_equal(one, "ef");
    assert_int_equal(tn_fd_read(ends.far, one, 2), 0);
    assert_ok(tn_join(&sender, NULL, TN_NEVER));
    ends_close(&ends);
    return tn_ok();
}

TEST_ON_DRIVERS(all_ways_to_send_and_receive_move_bytes_in_order)
{
    simulated(receive_by_all_calls);
}

/* ---- what a descriptor is told ------------------------------------------------------------ */

static tn_err play_with_limits(void *arg)
{
    const struct timeval limit = { 1, 500000 };
    struct timeval found = { 0, 0 };
    socklen_t size = sizeof(found);
    struct ends ends;
    int64_t start;
    char byte;

    (void)arg;
    ends_open(&ends);
    assert_int_equal(number_of(ends.far, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
    assert_int_equal(number_of(ends.far, SOL_SOCKET, SO_DOMAIN), AF_INET);
    assert_int_equal(number_of(ends.far, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
    assert_int_equal(number_of(ends.far, SOL_SOCKET, SO_ERROR), 0);
    assert_true(number_of(ends.far, SOL_SOCKET, SO_RCVBUF) > 0);
    assert_true(number_of(ends.far, SOL_SOCKET, SO_SNDBUF) > 0);
    assert_int_equal(
        tn_fd_setsockopt(ends.far, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)), 0);
    assert_int_equal(tn_fd_getsockopt(ends.far, SOL_SOCKET, SO_SNDTIMEO, &found, &size),
                     0);
    assert_memory_equal(&found, &limit, sizeof(limit));
    assert_int_equal(
        tn_fd_setsockopt(ends.far, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    assert_int_equal(tn_fd_getsockopt(ends.far, SOL_SOCKET, SO_RCVTIMEO, &found, &size),
                     0);
    assert_memory_equal(&found, &limit, sizeof(limit));

    start = tn_now();
    assert_int_equal(tn_fd_recv(ends.far, &byte, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
    assert_in_range(tn_now() - start, 1500 * TN_MS, 1510 * TN_MS);
    assert_int_equal(tn_fd_getsockopt(ends.far, SOL_SOCKET, 9999, &found, &size), -1);
    assert_int_equal(errno, ENOPROTOOPT);
    assert_int_equal(tn_fd_getsockopt(99, SOL_SOCKET, SO_ERROR, &found, &size), -1);
    assert_int_equal(errno, EBADF);
    ends_close(&ends);
    return tn_ok();
}

TEST_ON_DRIVERS(a_time_limit_of_a_socket_ends_a_receive)
{
    simulated(play_with_limits);
}

static tn_err play_with_modes(void *arg)
{
    int off = 0, on = 1, copy;
    struct ends ends;
    struct pollfd entry;
    char byte;

    (void)arg;
    ends_open(&ends);
    assert_int_equal(tn_fd_fcntl(ends.far, F_GETFD), 0);
    assert_int_equal(tn_fd_fcntl(ends.far, F_SETFD, FD_CLOEXEC), 0);
    assert_int_equal(tn_fd_fcntl(ends.far, F_GETFD), FD_CLOEXEC);
    assert_int_equal(tn_fd_ioctl(ends.far, FIONBIO, &on), 0);
    assert_int_equal(tn_fd_fcntl(ends.far, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    assert_int_equal(tn_fd_read(ends.far, &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(tn_fd_ioctl(ends.far, FIONBIO, &off), 0);
    assert_int_equal(tn_fd_fcntl(ends.far, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(tn_fd_fcntl(ends.far, F_SETFL, 0), 0);
    assert_int_equal(tn_fd_fcntl(ends.far, F_SETLEASE, 0), -1);
    assert_int_equal(errno, EINVAL);

    copy = tn_fd_fcntl(ends.far, F_DUPFD_CLOEXEC, 15);
    assert_true(copy >= 15);
    assert_int_equal(tn_fd_dup2(ends.far, copy), copy); /* the same once more */
    assert_int_equal(tn_fd_dup2(ends.far, 10000), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(tn_fd_fcntl(ends.far, F_DUPFD, 10000), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(tn_fd_write(ends.near, "x", 1), 1);
    entry = (struct pollfd){ .fd = copy, .events = POLLIN };
    assert_int_equal(tn_fd_poll(&entry, 1, -1), 1);
    assert_int_equal(tn_fd_read(copy, &byte, 1), 1);
    assert_int_equal(tn_fd_close(copy), 0);
    ends_close(&ends);
    return tn_ok();
}

TEST_ON_DRIVERS(modes_and_copies_of_descriptors_are_as_fcntl_says)
{
    simulated(play_with_modes);
}

static tn_err play_with_polls(void *arg)
{
    struct pollfd entries[3];
    struct ends ends;

    (void)arg;
    ends_open(&ends);
    entries[0] = (struct pollfd){ .fd = -1, .events = POLLIN };
    entries[1] = (struct pollfd){ .fd = 14, .events = POLLIN }; /* nobody's */
    entries[2] = (struct pollfd){ .fd = ends.far, .events = POLLIN | POLLOUT };
    assert_int_equal(tn_fd_poll(entries, 3, -1), 2);
    assert_int_equal(entries[0].revents, 0);
    assert_int_equal(entries[1].revents, POLLNVAL);
    assert_int_equal(entries[2].revents, POLLOUT);
    assert_int_equal(tn_fd_dup2(ends.far, ends.near), ends.near); /* ends the one there */
    entries[2].events = POLLIN;
    assert_int_equal(tn_fd_poll(&entries[2], 1, -1), 1);
    assert_int_equal(entries[2].revents, POLLIN);
    ends_close(&ends);
    return tn_ok();
}

TEST_ON_DRIVERS(a_poll_sees_all_that_there_is)
{
    simulated(play_with_polls);
}

/* ---- closing ------------------------------------------------------------------------------ */

static tn_err close_slowly(void *arg)
{
    const struct linger linger = { 1, 30 };
    char bytes[1000] = { 0 };
    struct tcp_info info;
    socklen_t size = sizeof(info);
    struct ends ends;

    (void)arg;
    ends_open(&ends);
    assert_int_equal(
        tn_fd_setsockopt(ends.near, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    assert_int_equal(tn_fd_write(ends.near, bytes, sizeof(bytes)), sizeof(bytes));
    assert_int_equal(tn_fd_close(ends.near), 0); /* until the peer's host has it all */
    assert_int_equal(tn_fd_getsockopt(ends.far, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
    assert_int_equal(info.tcpi_bytes_received, sizeof(bytes) + 1); /* it counts our end */
    assert_int_equal(info.tcpi_state, 8 /* CLOSE_WAIT */);
    assert_int_equal(tn_fd_recv(ends.far, bytes, sizeof(bytes), 0), sizeof(bytes));
    assert_int_equal(tn_fd_close(ends.far), 0);
    assert_int_equal(tn_fd_close(ends.listener), 0);
    return tn_ok();
}

TEST_ON_DRIVERS(a_close_that_lingers_waits_for_the_acknowledgement)
{
    simulated(close_slowly);
}

static tn_err read_from(void *arg)
{
    char byte;

    assert_int_equal(tn_fd_read(*(int *)arg, &byte, 1), -1);
    assert_int_equal(errno, ECANCELED);
    return tn_ok();
}

static tn_err close_under_a_reader(void *arg)
{
    struct ends ends;
    struct tn_task *reader = NULL;

    (void)arg;
    ends_open(&ends);
    assert_ok(tn_go(NULL, read_from, &ends.far, NULL, &reader));
    assert_ok(tn_sleep(tn_in(TN_SECOND)));
    ends_close(&ends);
    assert_ok(tn_join(&reader, NULL, TN_NEVER));
    return tn_ok();
}

TEST_ON_DRIVERS(whoever_waits_on_a_closed_descriptor_is_sent_off)
{
    simulated(close_under_a_reader);
}

/* ---- Unix sockets -------------------------------------------------------------------------- */

static tn_err listen_by_path(void *arg)
{
    const struct tn_listen_options options = { .mode = 0600 };
    struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/it" };
    struct tn_listener *listener = NULL, *other = NULL;
    struct os *os = task_os();
    struct stat file;
    int fd = tn_fd_socket(AF_UNIX, SOCK_STREAM, 0);

    (void)arg;
    assert_int_equal(tn_fd_bind(fd, (void *)&address, sizeof(address)), 0);
    assert_int_equal(tn_fd_listen(fd, 5), 0);
    assert_int_equal(number_of(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
    assert_int_equal(number_of(fd, SOL_SOCKET, SO_PROTOCOL), 0);
    assert_kind(tn_listen(&listener, "unix:/run/it", NULL), TN_IN_USE);
    assert_int_equal(tn_fd_close(fd), 0); /* leaves its file, which nobody serves */

    assert_ok(tn_listen(&listener, "unix:/run/it", &options));
    assert_errno(os_stat(os, "/run/it", &file), 0);
    assert_int_equal(file.st_mode, S_IFSOCK | 0600);
    assert_kind(tn_listen(&other, "unix:/run/it", NULL), TN_IN_USE);
    assert_errno(os_unlink(os, "/run/it"), 0); /* somebody takes its name ... */
    assert_ok(tn_listen(&other, "unix:/run/it", NULL));
    tn_listener_close(&listener); /* ... and keeps it */
    assert_errno(os_stat(os, "/run/it", &file), 0);
    tn_listener_close(&other);
    assert_errno(os_stat(os, "/run/it", &file), ENOENT);
    assert_errno(os_chmod(os, "/run/it", 0600), ENOENT);
    assert_errno(os_unlink(os, ""), ENOENT);
    return tn_ok();
}

TEST_ON_DRIVERS(the_file_of_a_unix_socket_is_taken_over_and_removed_by_whose_it_is)
{
    simulated(listen_by_path);
}

static tn_err meet_by_path(void *arg)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/it" }, found;
    int listener = tn_fd_socket(AF_UNIX, SOCK_STREAM, 0);
    int near = tn_fd_socket(AF_UNIX, SOCK_STREAM, 0), far, late, waiting;
    socklen_t size = sizeof(found);
    char byte;

    (void)arg;
    assert_int_equal(tn_fd_connect(near, (void *)&address, sizeof(address)), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(tn_fd_bind(listener, (void *)&address, sizeof(address)), 0);
    assert_int_equal(tn_fd_connect(near, (void *)&address, sizeof(address)), -1);
    assert_int_equal(errno, ECONNREFUSED);
    assert_int_equal(tn_fd_listen(listener, 5), 0);
    assert_int_equal(tn_fd_connect(near, (void *)&address, sizeof(address)), 0);
    far = tn_fd_accept(listener, (void *)&found, &size);
    assert_true(far >= 0);
    assert_int_equal(size, sizeof(sa_family_t)); /* a client without a name */
    late = tn_fd_socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(tn_fd_connect(late, (void *)&address, sizeof(address)), 0);
    assert_int_equal(tn_fd_write(near, "abc", 3), 3);
    assert_int_equal(tn_fd_ioctl(far, FIONREAD, &waiting), 0);
    assert_int_equal(waiting, 3);
    assert_int_equal(tn_fd_ioctl(near, TIOCOUTQ, &waiting), 0);
    assert_true(waiting >= 3);
    assert_int_equal(tn_fd_close(listener), 0);
    assert_int_equal(tn_fd_read(late, &byte, 1), -1); /* nobody will accept it */
    assert_int_equal(errno, ECONNRESET);
    assert_int_equal(tn_fd_close(late), 0);
    assert_int_equal(tn_fd_close(near), 0);
    assert_int_equal(tn_fd_close(far), 0);
    assert_errno(os_unlink(task_os(), "/run/it"), 0);
    return tn_ok();
}

TEST_ON_DRIVERS(unix_sockets_meet_by_path_and_are_reset_when_nobody_accepts)
{
    simulated(meet_by_path);
}

/* ---- threads -------------------------------------------------------------------------------- */

static void work(void *arg)
{
    ++*(int *)arg;
}

static tn_err offload_twice(void *arg)
{
    int done = 0;

    (void)arg;
    assert_ok(tn_offload(work, &done, work, TN_NEVER));
    assert_ok(tn_offload(work, &done, work, TN_NEVER));
    assert_int_equal(done, 2);
    return tn_ok();
}

TEST_ON_DRIVERS(work_that_is_offloaded_is_done_in_its_place)
{
    simulated(offload_twice);
}
