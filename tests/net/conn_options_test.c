/* SPDX-License-Identifier: MIT */
/*
 * conn_options_test.c -- the options of accepted connections, and the end of one whose
 * peer has ended first.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/harness.h"

static int raw_client(struct tn_listener *listener)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    tn_addr addr = tn_listener_addr(listener);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    in.sin_port = htons(tn_addr_port(&addr));
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    /* After a signal it goes on by itself, and may be through by the next call. */
    while (connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0 && errno != EISCONN)
        assert_int_equal(errno, EINTR);
    return fd;
}

static int number_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);

    assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

/* The descriptor that a listener with OPTIONS gives a connection. */
static int accepted_with(const struct tn_conn_options *conn_options, int *client)
{
    struct tn_listen_options options = { .conn = *conn_options };
    struct tn_listener *listener = NULL;
    struct tn_conn *conn = NULL;
    int fd = -1;

    assert_ok(tn_listen(&listener, "127.0.0.1:0", &options));
    *client = raw_client(listener);
    assert_ok(tn_accept(listener, &conn, tn_in(5 * TN_SECOND)));
    assert_ok(tn_release(&conn, &fd, tn_in(5 * TN_SECOND)));
    tn_listener_close(&listener);
    return fd;
}

TEST_IN_TASK(an_accepted_connection_does_not_delay_and_keeps_alive)
{
    struct tn_conn_options options = { 0 };
    int client, fd = accepted_with(&options, &client);

    assert_int_equal(number_of(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(number_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_in_range(number_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 15, 25);
    assert_in_range(number_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 6, 7);
    assert_int_equal(number_of(fd, IPPROTO_TCP, TCP_KEEPCNT), 5);
    close(client);
    close(fd);
}

/* Times of keepalive that were seen: a row for each idle time, a column for each interval. */
struct times {
    unsigned seen[11][2];
};

static void note_times(struct times *times, struct tn_conn **conn)
{
    int fd = -1, idle_s, interval_s;

    assert_ok(tn_release(conn, &fd, tn_in(5 * TN_SECOND)));
    idle_s = number_of(fd, IPPROTO_TCP, TCP_KEEPIDLE);
    interval_s = number_of(fd, IPPROTO_TCP, TCP_KEEPINTVL);
    assert_in_range(idle_s, 15, 25);
    assert_in_range(interval_s, 6, 7);
    times->seen[idle_s - 15][interval_s - 6]++;
    close(fd);
}

static void assert_even(const struct times *times, unsigned least, unsigned most)
{
    for (size_t i = 0; i < sizeof(*times) / sizeof(unsigned); i++)
        assert_in_range((&times->seen[0][0])[i], least, most);
}

TEST_IN_TASK(connections_of_the_same_age_do_not_keep_alive_at_the_same_time)
{
    enum { ACCEPTED = 23 * 64, DIALED = 44 };
    struct times accepted = { 0 }, dialed = { 0 };
    struct tn_conn *conns[DIALED] = { 0 }, *conn = NULL;
    struct tn_listener *listener = NULL;
    tn_addr addr;
    int client;

    assert_ok(tn_listen(&listener, "127.0.0.1:0", NULL));
    addr = tn_listener_addr(listener);
    for (int i = 0; i < ACCEPTED; i++) {
        client = raw_client(listener);
        assert_ok(tn_accept(listener, &conn, tn_in(5 * TN_SECOND)));
        note_times(&accepted, &conn);
        close(client);
    }
    assert_even(&accepted, 1,
                128); /* the first 64 have the times of a number of their own */

    for (int i = 0; i < DIALED; i++) /* all open at once, so their numbers differ */
        assert_ok(tn_dial_addr(&conns[i], &addr, NULL, tn_in(5 * TN_SECOND)));
    for (int i = 0; i < DIALED; i++)
        note_times(&dialed, &conns[i]);
    assert_even(&dialed, 1, 3);
    tn_listener_close(&listener);
}

TEST_IN_TASK(an_accepted_connection_has_the_options_of_its_listener)
{
    struct tn_conn_options options = { .nagle = true,
                                       .no_keepalive = true,
                                       .user_timeout = 7 * TN_SECOND,
                                       .send_buffer = 40000,
                                       .receive_buffer = 50000 };
    int client, fd = accepted_with(&options, &client);

    assert_int_equal(number_of(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    assert_int_equal(number_of(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    assert_int_equal(number_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 7000);
    assert_int_equal(number_of(fd, SOL_SOCKET, SO_SNDBUF),
                     80000); /* socket(7): doubled */
    assert_int_equal(number_of(fd, SOL_SOCKET, SO_RCVBUF), 100000);
    close(client);
    close(fd);
}

TEST_IN_TASK(a_peer_that_ended_first_reads_our_end_and_the_close_is_clean)
{
    struct tn_listener *listener = NULL;
    struct tn_conn *conn = NULL;
    tn_ending ending = { .how = TN_ENDED_RESET, .unacked = 9, .unread = 9 };
    char buf[8];
    size_t got = 0;
    int client;

    assert_ok(tn_listen(&listener, "127.0.0.1:0", NULL));
    client = raw_client(listener);
    assert_ok(tn_accept(listener, &conn, tn_in(5 * TN_SECOND)));
    assert_int_equal(send(client, "bye", 3, 0), 3);
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    assert_ok(tn_read_all(conn, buf, 3, NULL, tn_in(5 * TN_SECOND)));
    assert_kind(tn_read(conn, buf, sizeof(buf), &got, tn_in(5 * TN_SECOND)), TN_EOF);
    assert_ok(tn_write(conn, "and you", 7, NULL, tn_in(5 * TN_SECOND)));
    assert_ok(tn_close(&conn, &ending, tn_in(5 * TN_SECOND)));
    assert_int_equal(ending.how, TN_CLEAN);
    assert_int_equal(ending.unacked, 0);
    assert_int_equal(ending.unread, 0);
    assert_int_equal(recv(client, buf, sizeof(buf), 0), 7);
    assert_memory_equal(buf, "and you", 7);
    assert_int_equal(recv(client, buf, sizeof(buf), 0), 0);
    close(client);
    tn_listener_close(&listener);
}

TEST_IN_TASK(a_peer_that_ended_first_and_then_died_is_no_clean_end)
{
    struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
    struct tn_listener *listener = NULL;
    struct tn_conn *conn = NULL;
    tn_ending ending = { .how = TN_CLEAN };
    char byte;
    size_t got = 0;
    int client;

    assert_ok(tn_listen(&listener, "127.0.0.1:0", NULL));
    client = raw_client(listener);
    assert_ok(tn_accept(listener, &conn, tn_in(5 * TN_SECOND)));
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    assert_kind(tn_read(conn, &byte, 1, &got, tn_in(5 * TN_SECOND)), TN_EOF);
    assert_ok(tn_write(conn, "unread", 6, NULL, tn_in(5 * TN_SECOND)));
    setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(client); /* a reset: it has not read those six */
    assert_kind(tn_close(&conn, &ending, tn_in(5 * TN_SECOND)), TN_RESET);
    assert_int_equal(ending.how, TN_ENDED_RESET);
    tn_listener_close(&listener);
}
