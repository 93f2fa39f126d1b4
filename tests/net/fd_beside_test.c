/* SPDX-License-Identifier: MIT */
/*
 * fd_beside_test.c -- what travels beside the bytes (<tenon/control.h>), on real sockets:
 * descriptors, credentials, stamps, queued errors.
 */
#include <tenon/control.h>
#include <tenon/fd.h>

#include <linux/errqueue.h>
#include <sys/resource.h>
#include <time.h>

#include "net/net_rig.h"

/* A message of one byte. */
struct letter {
    char byte;
    struct iovec piece;
    struct msghdr message;
    struct tn_control control;
};

static void letter_init(struct letter *letter, char byte)
{
    memset(letter, 0, sizeof(*letter));
    letter->byte = byte;
    letter->piece = (struct iovec){ &letter->byte, 1 };
    letter->message.msg_iov = &letter->piece;
    letter->message.msg_iovlen = 1;
    tn_control_init(&letter->control);
}

static void letter_send(struct letter *letter, int fd)
{
    tn_control_attach(&letter->control, &letter->message);
    assert_int_equal(tn_fd_sendmsg(fd, &letter->message, 0), 1);
}

static void letter_receive(struct letter *letter, int fd, int flags)
{
    letter_init(letter, 0);
    assert_int_equal(tn_control_receive(fd, &letter->message, &letter->control, flags),
                     1);
}

/* Send the descriptors at FDS through one end of PAIR, and receive at the other one. */
static void pass(const int *pair, const int *fds, size_t count, struct letter *received)
{
    struct letter sent;

    letter_init(&sent, 'x');
    assert_int_equal(tn_control_add_rights(&sent.control, fds, count), 0);
    letter_send(&sent, pair[0]);
    tn_control_release(&sent.control); /* those to send stay the caller's */
    letter_receive(received, pair[1], 0);
    assert_int_equal(received->byte, 'x');
}

static void open_pair(int *pair)
{
    assert_int_equal(tn_fd_socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
}

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(tn_fd_close(fds[i]), 0);
}

/* ---- descriptors ------------------------------------------------------------------------ */

TEST_IN_TASK(passed_descriptors_are_the_takers_and_close_on_exec)
{
    struct letter received;
    int pair[2], ends[2], taken[2];
    char byte;

    open_pair(pair);
    assert_int_equal(pipe(ends), 0);
    pass(pair, ends, 2, &received);
    assert_false(tn_control_truncated(&received.control));
    assert_int_equal(tn_control_take_rights(&received.control, taken, 2), 2);
    assert_int_equal(tn_control_take_rights(&received.control, taken, 2), 0);
    tn_control_release(&received.control); /* closes none: they are taken */

    assert_int_equal(fcntl(taken[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(tn_fd_write(taken[1], "y", 1), 1);
    assert_int_equal(tn_fd_read(ends[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    close_all(taken, 2);
    close_all(ends, 2);
    close_all(pair, 2);
}

TEST_IN_TASK(descriptors_that_nobody_takes_are_closed_by_release)
{
    struct letter received;
    int pair[2], ends[2], taken[2] = { -1, -1 };
    char byte;

    open_pair(pair);
    assert_int_equal(pipe(ends), 0);
    pass(pair, ends, 2, &received);
    close_all(&ends[1], 1);
    assert_int_equal(tn_control_take_rights(&received.control, taken, 1), -1);
    assert_int_equal(errno, EMSGSIZE);
    assert_int_equal(taken[0], -1);
    errno = 7;
    tn_control_release(&received.control);
    assert_int_equal(errno, 7);
    assert_int_equal(tn_fd_read(ends[0], &byte, 1), 0); /* its last writer has gone */
    close_all(ends, 1);
    close_all(pair, 2);
}

/* ... and by the next receive into the same. */
TEST_IN_TASK(the_next_receive_closes_what_was_not_taken)
{
    struct letter received;
    int pair[2], ends[2];
    char byte;

    open_pair(pair);
    assert_int_equal(pipe(ends), 0);
    pass(pair, ends, 2, &received);
    close_all(&ends[1], 1);
    assert_int_equal(
        tn_control_receive(pair[1], &received.message, &received.control, MSG_DONTWAIT),
        -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(tn_fd_read(ends[0], &byte, 1), 0);
    close_all(ends, 1);
    close_all(pair, 2);
}

/* The kernel drops those that this process may not open (unix(7), MSG_CTRUNC). */
TEST_IN_TASK(a_list_with_descriptors_missing_is_refused_as_a_whole)
{
    struct letter received;
    struct tn_credentials who;
    struct tn_timestamp stamp;
    struct rlimit before, less;
    int pair[2], ends[2], taken[2] = { -1, -1 };
    char byte;

    open_pair(pair);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    less = before;
    less.rlim_cur = (rlim_t)dup(0) + 1; /* room for one */
    assert_int_equal(close((int)less.rlim_cur - 1), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &less), 0);
    pass(pair, ends, 2, &received);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);

    assert_true(tn_control_truncated(&received.control));
    assert_int_equal(tn_control_take_rights(&received.control, taken, 2), -1);
    assert_int_equal(errno, EBADMSG);
    assert_int_equal(taken[0], -1);
    assert_int_equal(tn_control_credentials(&received.control, &who), -1);
    assert_int_equal(errno, EBADMSG); /* it may have been what was dropped */
    assert_int_equal(tn_control_timestamp(&received.control, &stamp), -1);
    assert_int_equal(errno, EBADMSG);
    close_all(&ends[1], 1);
    tn_control_release(&received.control);
    assert_false(tn_control_truncated(&received.control));
    assert_int_equal(tn_fd_read(ends[0], &byte, 1), 0);
    close_all(ends, 1);
    close_all(pair, 2);
}

TEST_IN_TASK(what_cannot_be_sent_is_refused_when_it_is_added)
{
    static const int none[TN_CONTROL_RIGHTS_MAX + 1]; /* descriptor 0, many times */
    const int negative[2] = { 0, -1 };
    const struct tn_credentials me = { getpid(), getuid(), getgid() };
    struct letter letter;
    int pair[2], fds[1] = { 0 };

    letter_init(&letter, 'x');
    assert_int_equal(tn_control_add_rights(&letter.control, none, 0), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(
        tn_control_add_rights(&letter.control, none, TN_CONTROL_RIGHTS_MAX + 1), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(tn_control_add_rights(&letter.control, negative, 2), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(tn_control_add_rights(&letter.control, none, TN_CONTROL_RIGHTS_MAX),
                     0);
    assert_int_equal(tn_control_add_rights(&letter.control, none, TN_CONTROL_RIGHTS_MAX),
                     -1);
    assert_int_equal(errno, ENOBUFS);
    tn_control_release(&letter.control);

    open_pair(pair);
    fds[0] = pair[0];
    pass(pair, fds, 1, &letter);
    assert_int_equal(tn_control_add_rights(&letter.control, fds, 1), -1);
    assert_int_equal(errno, EINVAL); /* it holds something received */
    assert_int_equal(tn_control_add_credentials(&letter.control, &me), -1);
    assert_int_equal(errno, EINVAL);
    tn_control_release(&letter.control);
    close_all(pair, 2);
}

/* ---- credentials ------------------------------------------------------------------------ */

TEST_IN_TASK(credentials_say_who_sent)
{
    const struct tn_credentials me = { getpid(), getuid(), getgid() };
    const int on = 1;
    struct tn_credentials who = { 0 };
    struct tn_queued_error error;
    struct letter letter;
    int pair[2], taken[1];

    open_pair(pair);
    letter_init(&letter, 'a');
    letter_send(&letter, pair[0]);
    letter_receive(&letter, pair[1], 0); /* not asked for, so none came */
    assert_int_equal(tn_control_credentials(&letter.control, &who), -1);
    assert_int_equal(errno, ENOMSG);
    assert_int_equal(tn_control_take_rights(&letter.control, taken, 1), 0);

    assert_int_equal(tn_fd_setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)),
                     0);
    letter_init(&letter, 'b');
    assert_int_equal(tn_control_add_credentials(&letter.control, &me), 0);
    assert_int_equal(tn_control_credentials(&letter.control, &who), -1);
    assert_int_equal(errno, ENOMSG); /* what is to be sent was not received */
    letter_send(&letter, pair[0]);
    letter_receive(&letter, pair[1], 0);
    assert_int_equal(tn_control_credentials(&letter.control, &who), 0);
    assert_int_equal(who.pid, me.pid);
    assert_int_equal(who.uid, me.uid);
    assert_int_equal(who.gid, me.gid);
    assert_int_equal(tn_control_error(&letter.control, &error), -1);
    assert_int_equal(errno, ENOMSG);
    tn_control_release(&letter.control);
    close_all(pair, 2);
}

/* A letter, and where it is to be sent. */
struct delivery {
    struct letter letter;
    int fd;
};

static tn_err deliver(void *arg)
{
    struct delivery *delivery = arg;

    assert_int_equal(tn_fd_sendmsg(delivery->fd, &delivery->letter.message, 0),
                     delivery->letter.piece.iov_len);
    return tn_ok();
}

/* A message that goes in several pieces has its descriptors in the first one, and is from
 * the same sender in all. */
TEST_IN_TASK(descriptors_of_a_long_message_come_once_and_credentials_with_each_part)
{
    static char bytes[1024 * 1024];
    const struct tn_credentials me = { getpid(), getuid(), getgid() };
    const int on = 1, small = 8192;
    struct tn_credentials who = { 0 };
    struct tn_task *sender = NULL;
    struct delivery delivery;
    struct letter *sent = &delivery.letter, received;
    size_t all = 0, rights = 0;
    int pair[2], taken[1];

    open_pair(pair);
    assert_int_equal(tn_fd_setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)),
                     0);
    assert_int_equal(
        tn_fd_setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    delivery.fd = pair[0];
    letter_init(sent, 'x');
    sent->piece = (struct iovec){ bytes, sizeof(bytes) };
    assert_int_equal(tn_control_add_rights(&sent->control, pair, 1), 0);
    assert_int_equal(tn_control_add_credentials(&sent->control, &me), 0);
    tn_control_attach(&sent->control, &sent->message);
    assert_ok(tn_go(NULL, deliver, &delivery, NULL, &sender));
    while (all < sizeof(bytes)) {
        char part[4000];
        ssize_t got;

        letter_init(&received, 0);
        received.piece = (struct iovec){ part, sizeof(part) };
        got = tn_control_receive(pair[1], &received.message, &received.control, 0);
        assert_true(got > 0);
        assert_int_equal(tn_control_credentials(&received.control, &who), 0);
        assert_int_equal(who.pid, me.pid);
        if (tn_control_take_rights(&received.control, taken, 1) == 1) {
            rights++;
            close_all(taken, 1);
        }
        all += (size_t)got;
    }
    assert_int_equal(rights, 1);
    assert_ok(tn_join(&sender, NULL, rig_patience()));
    close_all(pair, 2);
}

/* ---- stamps and queued errors ------------------------------------------------------------ */

/* A datagram socket that only hears of its peer, which is nobody: others that send to its
 * port are refused. */
static int deaf_socket(int family, struct sockaddr_storage *at, socklen_t *size)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
    struct sockaddr *addr = family == AF_INET ? (void *)&v4 : (void *)&v6;
    int fd = tn_fd_socket(family, SOCK_DGRAM, 0);

    *size = family == AF_INET ? sizeof(v4) : sizeof(v6);
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || tn_fd_bind(fd, addr, *size) != 0)
        skip_test("no addresses of family %d here (%s)", family, strerror(errno));
    v4.sin_port = v6.sin6_port = htons(9);
    assert_int_equal(tn_fd_connect(fd, addr, *size), 0);
    *size = sizeof(*at);
    assert_int_equal(getsockname(fd, (void *)at, size), 0);
    return fd;
}

static void hear_of_a_refusal(int family, int level, int option, int origin)
{
    struct sockaddr_storage at;
    socklen_t size;
    const int on = 1;
    int deaf = deaf_socket(family, &at, &size);
    int fd = tn_fd_socket(family, SOCK_DGRAM, 0);
    struct tn_queued_error error = { 0 };
    struct letter letter;

    assert_int_equal(tn_fd_setsockopt(fd, level, option, &on, sizeof(on)), 0);
    assert_int_equal(tn_fd_sendto(fd, "?", 1, 0, (void *)&at, size), 1);
    letter_receive(&letter, fd, MSG_ERRQUEUE); /* gives back what was refused */
    assert_int_equal(letter.byte, '?');
    assert_int_equal(tn_control_error(&letter.control, &error), 0);
    assert_int_equal(error.error, ECONNREFUSED);
    assert_int_equal(error.origin, origin);
    assert_int_equal(error.offender.ss_family, family);
    tn_control_release(&letter.control);
    close_all((int[]){ fd, deaf }, 2);
}

TEST_IN_TASK(the_error_queue_tells_who_refused_a_datagram)
{
    hear_of_a_refusal(AF_INET, IPPROTO_IP, IP_RECVERR, SO_EE_ORIGIN_ICMP);
}

TEST_IN_TASK(the_error_queue_tells_it_of_ipv6_as_well)
{
    hear_of_a_refusal(AF_INET6, IPPROTO_IPV6, IPV6_RECVERR, SO_EE_ORIGIN_ICMP6);
}

static int64_t ns_of(const struct timespec *time)
{
    return time->tv_sec * TN_SECOND + time->tv_nsec;
}

/* By the clock that stamps: time(2) reads one that is up to a tick behind it. */
static int64_t wall_ns(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    return ns_of(&now);
}

TEST_IN_TASK(a_stamp_says_when_a_message_came)
{
    const int on = 1;
    struct tn_timestamp stamp = { { 0, 0 }, { 0, 0 } };
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t size = sizeof(at);
    int fd = tn_fd_socket(AF_INET, SOCK_DGRAM, 0);
    struct letter letter;
    int64_t before = wall_ns();

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(tn_fd_bind(fd, (void *)&at, size), 0);
    assert_int_equal(getsockname(fd, (void *)&at, &size), 0);
    assert_int_equal(tn_fd_setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)),
                     0);
    assert_int_equal(tn_fd_sendto(fd, "!", 1, 0, (void *)&at, size), 1);
    letter_receive(&letter, fd, 0);
    assert_int_equal(tn_control_timestamp(&letter.control, &stamp), 0);
    assert_true(ns_of(&stamp.software) >= before);
    assert_true(ns_of(&stamp.software) <= wall_ns());
    assert_int_equal(stamp.hardware.tv_sec, 0);
    tn_control_release(&letter.control);
    close_all(&fd, 1);
}
