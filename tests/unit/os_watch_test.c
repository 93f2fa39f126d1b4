/* SPDX-License-Identifier: MIT */
/*
 * os_watch_test.c -- watches, the edges of a descriptor's readiness, on each driver.
 */
#include <sys/eventfd.h>

#include "unit/driver_rig.h"

/* Clear what has been seen, as an owner does before it tries. */
static uint32_t seen(struct rig_watch *watch)
{
    uint32_t ready = watch->watch.ready;

    watch->watch.ready = 0;
    watch->answers = 0;
    return ready;
}

/* What can be had without waiting, as POLL... bits. */
static uint32_t edges_now(struct os_driver *driver, struct rig_watch *watch)
{
    for (int i = 0; i < 3; i++)
        rig_turn(driver, 0);
    return seen(watch);
}

TEST_ON_DRIVERS(a_watch_tells_what_is_ready_when_it_starts)
{
    struct os_driver *driver = rig_open();
    struct rig_watch watch;
    int fds[2];

    rig_pair(fds);
    rig_send(fds[1], "x", 1);
    rig_arm_watch(driver, &watch, fds[0]);
    TURN_UNTIL(driver, watch.answers > 0);
    assert_int_equal(seen(&watch) & (POLLIN | POLLOUT | POLLHUP | POLLERR),
                     POLLIN | POLLOUT);
    rig_end(driver, &watch.watch.event);
    rig_close_pair(fds);
    os_driver_close(driver);
}

TEST_ON_DRIVERS(each_arrival_is_an_edge_and_silence_is_none)
{
    struct os_driver *driver = rig_open();
    struct rig_watch watch;
    int fds[2];

    rig_tcp_pair(fds);
    rig_arm_watch(driver, &watch, fds[0]);
    TURN_UNTIL(driver, watch.answers > 0);
    seen(&watch);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(edges_now(driver, &watch), 0);
        rig_send(fds[1], "x", 1);
        TURN_UNTIL(driver, (watch.watch.ready & POLLIN) != 0);
        seen(&watch); /* unread bytes do not show again: edges, not levels */
    }
    rig_end(driver, &watch.watch.event);
    rig_close_pair(fds);
    os_driver_close(driver);
}

TEST_ON_DRIVERS(edges_of_several_watches_come_to_the_right_one)
{
    struct os_driver *driver = rig_open();
    struct rig_watch watches[2];
    int fds[2];

    rig_pair(fds);
    for (int i = 0; i < 2; i++) {
        rig_arm_watch(driver, &watches[i], fds[i]);
        TURN_UNTIL(driver, watches[i].answers > 0);
        seen(&watches[i]);
    }
    rig_send(fds[0], "x", 1);
    TURN_UNTIL(driver, (watches[1].watch.ready & POLLIN) != 0);
    assert_int_equal(watches[0].watch.ready & POLLIN, 0);
    for (int i = 0; i < 2; i++)
        rig_end(driver, &watches[i].watch.event);
    rig_close_pair(fds);
    os_driver_close(driver);
}

TEST_ON_DRIVERS(room_in_a_full_send_buffer_is_an_edge)
{
    struct os_driver *driver = rig_open();
    struct rig_watch watch;
    int fds[2];

    rig_tcp_pair(fds);
    rig_fill(fds[0]);
    rig_arm_watch(driver, &watch, fds[0]);
    assert_int_equal(edges_now(driver, &watch) & POLLOUT, 0);
    while ((watch.watch.ready & POLLOUT) == 0) {
        rig_drain(fds[1]);
        rig_turn(driver, 1000000);
    }
    assert_true(os_send(&os_linux, fds[0], "x", 1, MSG_DONTWAIT) == 1);
    rig_end(driver, &watch.watch.event);
    rig_close_pair(fds);
    os_driver_close(driver);
}

TEST_ON_DRIVERS(the_peers_end_is_rdhup_and_after_our_own_hup)
{
    struct os_driver *driver = rig_open();
    struct rig_watch watch;
    int fds[2];

    rig_tcp_pair(fds);
    rig_arm_watch(driver, &watch, fds[0]);
    TURN_UNTIL(driver, watch.answers > 0);
    seen(&watch);
    assert_errno(os_shutdown(&os_linux, fds[1], SHUT_WR), 0);
    TURN_UNTIL(driver, (watch.watch.ready & POLLRDHUP) != 0);
    assert_int_equal(watch.watch.ready & POLLHUP, 0);
    assert_true((seen(&watch) & POLLIN) != 0); /* the end is to be read */
    assert_errno(os_shutdown(&os_linux, fds[0], SHUT_WR), 0);
    TURN_UNTIL(driver, (watch.watch.ready & POLLHUP) != 0);
    rig_end(driver, &watch.watch.event);
    rig_close_pair(fds);
    os_driver_close(driver);
}

TEST_ON_DRIVERS(a_reset_is_an_edge_with_err)
{
    struct os_driver *driver = rig_open();
    struct linger reset = { .l_onoff = 1 };
    struct rig_watch watch;
    int fds[2];

    rig_tcp_pair(fds);
    rig_arm_watch(driver, &watch, fds[0]);
    TURN_UNTIL(driver, watch.answers > 0);
    seen(&watch);
    assert_errno(
        os_setsockopt(&os_linux, fds[1], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)),
        0);
    os_close(&os_linux, fds[1]);
    TURN_UNTIL(driver, (watch.watch.ready & POLLERR) != 0);
    rig_end(driver, &watch.watch.event);
    os_close(&os_linux, fds[0]);
    os_driver_close(driver);
}

/* dragonfly#5950: the wake-up of the first was lost to the second. */
TEST_ON_DRIVERS(an_end_and_a_close_in_quick_succession_are_seen)
{
    struct os_driver *driver = rig_open();
    struct rig_watch watch;
    int fds[2];
    char byte;

    for (int i = 0; i < 50; i++) {
        rig_tcp_pair(fds);
        rig_arm_watch(driver, &watch, fds[0]);
        TURN_UNTIL(driver, watch.answers > 0);
        seen(&watch);
        assert_errno(os_shutdown(&os_linux, fds[1], SHUT_WR), 0);
        os_close(&os_linux, fds[1]);
        TURN_UNTIL(driver, (watch.watch.ready & POLLIN) != 0);
        assert_int_equal(os_recv(&os_linux, fds[0], &byte, 1, MSG_DONTWAIT), 0);
        rig_end(driver, &watch.watch.event);
        os_close(&os_linux, fds[0]);
    }
    os_driver_close(driver);
}

TEST_ON_DRIVERS(urgent_data_is_an_edge_with_pri)
{
    struct os_driver *driver = rig_open();
    struct rig_watch watch;
    int fds[2];

    rig_tcp_pair(fds);
    rig_arm_watch(driver, &watch, fds[0]);
    TURN_UNTIL(driver, watch.answers > 0);
    seen(&watch);
    assert_int_equal(os_send(&os_linux, fds[1], "!", 1, MSG_OOB), 1);
    TURN_UNTIL(driver, (watch.watch.ready & POLLPRI) != 0);
    rig_end(driver, &watch.watch.event);
    rig_close_pair(fds);
    os_driver_close(driver);
}

static unsigned tcp_state(int fd)
{
    struct tcp_info info;
    socklen_t size = sizeof(info);

    assert_errno(os_getsockopt(&os_linux, fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
    return info.tcpi_state;
}

static void set_buffer(int fd, int which, int size)
{
    assert_errno(os_setsockopt(&os_linux, fd, SOL_SOCKET, which, &size, sizeof(size)), 0);
}

/*
 * When the peer's TCP has acknowledged everything, our FIN included, the state changes
 * and that is an edge, though no bit is new (semantics.md, fact 3): the close that waits
 * for it needs no timer.  Here the peer's full window holds the FIN back until all other
 * edges are over; the send buffer was never full, so no POLLOUT comes in between.
 */
TEST_ON_DRIVERS(the_acknowledgement_of_our_end_is_an_edge)
{
    struct os_driver *driver = rig_open();
    static char data[350000];
    struct rig_watch watch;
    size_t drained = 0;
    int fds[2];

    rig_tcp_pair(fds);
    set_buffer(fds[0], SO_SNDBUF, 400000);
    rig_send(fds[0], data, sizeof(data));
    rig_arm_watch(driver, &watch, fds[0]);
    assert_errno(os_shutdown(&os_linux, fds[0], SHUT_WR), 0);
    edges_now(driver, &watch);
    assert_int_equal(tcp_state(fds[0]), TCP_FIN_WAIT1);
    assert_int_equal(watch.answers, 0);

    while (drained < sizeof(data)) {
        ssize_t got = os_recv(&os_linux, fds[1], data, sizeof(data), 0);
        assert_true(got > 0);
        drained += (size_t)got;
    }
    TURN_UNTIL(driver, watch.answers > 0);
    assert_int_equal(tcp_state(fds[0]), TCP_FIN_WAIT2);
    rig_end(driver, &watch.watch.event);
    rig_close_pair(fds);
    os_driver_close(driver);
}

TEST_ON_DRIVERS(a_canceled_watch_comes_to_rest_and_may_start_again)
{
    struct os_driver *driver = rig_open();
    struct rig_watch watch;
    int fds[2];

    rig_pair(fds);
    for (int i = 0; i < 20; i++) {
        rig_arm_watch(driver, &watch, fds[0]);
        if (i % 2 == 0)
            rig_turn(driver, 0);
        if (i % 3 == 0)
            rig_send(fds[1], "x", 1);
        os_driver_cancel(driver, &watch.watch.event);
        os_driver_cancel(driver, &watch.watch.event);
        TURN_UNTIL(driver, os_event_idle(&watch.watch.event));
        assert_true(watch.answers > 0);
        assert_errno(watch.watch.error, 0);
    }
    rig_close_pair(fds);
    os_driver_close(driver);
}

/* A connect waits by a poll, and a connection is then watched. */
TEST_ON_DRIVERS(a_watch_may_follow_a_poll_and_a_poll_a_watch)
{
    struct os_driver *driver = rig_open();
    struct rig_watch watch;
    struct rig_poll poll;
    int fds[2];

    rig_pair(fds);
    for (int i = 0; i < 3; i++) {
        rig_arm_poll(driver, &poll, fds[0], POLLOUT);
        TURN_UNTIL(driver, poll.answers == 1);
        rig_arm_watch(driver, &watch, fds[0]);
        TURN_UNTIL(driver, watch.answers > 0);
        assert_errno(watch.watch.error, 0);
        assert_true((seen(&watch) & POLLOUT) != 0);
        rig_send(fds[1], "x", 1);
        TURN_UNTIL(driver, (watch.watch.ready & POLLIN) != 0);
        rig_drain(fds[0]);
        rig_end(driver, &watch.watch.event);
    }
    rig_close_pair(fds);
    os_driver_close(driver);
}

TEST_ON_DRIVERS(a_closed_watch_hears_nothing_of_the_next_file_of_its_number)
{
    struct os_driver *driver = rig_open();
    struct rig_watch watch;
    int fds[2], next[2];

    rig_pair(fds);
    rig_arm_watch(driver, &watch, fds[0]);
    TURN_UNTIL(driver, watch.answers > 0);
    rig_end(driver, &watch.watch.event);
    watch.answers = 0;
    rig_close_pair(fds);
    rig_pair(next);
    assert_int_equal(next[0], fds[0]);
    rig_send(next[1], "x", 1);
    rig_turn(driver, 0);
    assert_int_equal(watch.answers, 0);
    rig_close_pair(next);
    os_driver_close(driver);
}

TEST_ON_DRIVERS(an_eventfd_is_watched_as_a_socket_is)
{
    struct os_driver *driver = rig_open();
    int fd = os_eventfd(&os_linux, 0, EFD_NONBLOCK | EFD_CLOEXEC);
    uint64_t one = 1, got;
    struct rig_watch watch;

    rig_arm_watch(driver, &watch, fd);
    edges_now(driver, &watch);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(os_write(&os_linux, fd, &one, sizeof(one)), sizeof(one));
        TURN_UNTIL(driver, (watch.watch.ready & POLLIN) != 0);
        assert_int_equal(os_read(&os_linux, fd, &got, sizeof(got)), sizeof(got));
        edges_now(driver, &watch);
    }
    rig_end(driver, &watch.watch.event);
    os_close(&os_linux, fd);
    os_driver_close(driver);
}
