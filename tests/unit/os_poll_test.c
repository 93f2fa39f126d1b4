/* SPDX-License-Identifier: MIT */
/*
 * os_poll_test.c -- one-shot polls, cancels and descriptors, on each driver, without
 * tasks: the contract of os/driver.h as both must keep it.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>

#include "unit/driver_rig.h"

TEST_ON_DRIVERS(a_poll_of_what_is_ready_is_answered_at_the_next_wait)
{
    struct os_driver *driver = rig_open();
    struct rig_poll poll;
    int fds[2];

    rig_pair(fds);
    rig_arm_poll(driver, &poll, fds[0], POLLOUT);
    TURN_UNTIL(driver, poll.answers == 1);
    assert_int_equal(poll.poll.result, POLLOUT);
    assert_true(os_event_idle(&poll.poll.event));
    rig_close_pair(fds);
    os_driver_close(driver);
}

TEST_ON_DRIVERS(a_poll_waits_for_its_event_and_for_no_other)
{
    struct os_driver *driver = rig_open();
    struct rig_poll poll;
    int fds[2];

    rig_pair(fds);
    rig_arm_poll(driver, &poll, fds[0], POLLIN);
    rig_turn(driver, 0);
    assert_int_equal(poll.answers, 0); /* POLLOUT alone */
    rig_send(fds[1], "x", 1);
    TURN_UNTIL(driver, poll.answers == 1);
    assert_int_equal(poll.poll.result, POLLIN);
    rig_turn(driver, 0);
    assert_int_equal(poll.answers, 1);
    rig_close_pair(fds);
    os_driver_close(driver);
}

TEST_ON_DRIVERS(a_hang_up_and_an_error_answer_any_poll)
{
    struct os_driver *driver = rig_open();
    struct linger reset = { .l_onoff = 1 };
    struct rig_poll poll;
    int fds[2];

    rig_tcp_pair(fds);
    rig_arm_poll(driver, &poll, fds[0], POLLPRI);
    rig_turn(driver, 0);
    assert_int_equal(poll.answers, 0);
    assert_errno(
        os_setsockopt(&os_linux, fds[1], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)),
        0);
    os_close(&os_linux, fds[1]);
    TURN_UNTIL(driver, poll.answers == 1);
    assert_true((poll.poll.result & POLLHUP) != 0);
    assert_true((poll.poll.result & POLLERR) != 0);
    os_close(&os_linux, fds[0]);
    os_driver_close(driver);
}

/* How many turns it takes until DRIVER has waited for 10 ms: 1, and few by accident. */
static unsigned turns_of_waiting(struct os_driver *driver)
{
    int64_t left, end = os_now(&os_linux) + 10000000;
    unsigned turns = 0;

    while ((left = end - os_now(&os_linux)) > 0) {
        rig_turn(driver, left);
        turns++;
    }
    return turns;
}

/* A ring tells of POLLRDHUP though nobody asked. */
static void wait_for_room_behind_an_end(void (*open_pair)(int *))
{
    struct os_driver *driver = rig_open();
    struct rig_poll poll;
    int fds[2];

    /* A pair each: one that was drained gets room by acknowledgements that come late. */
    for (int canceled = 0; canceled < 2; canceled++) {
        open_pair(fds);
        rig_fill(fds[0]);
        assert_errno(os_shutdown(&os_linux, fds[1], SHUT_WR), 0);
        rig_arm_poll(driver, &poll, fds[0], POLLOUT);
        assert_in_range(turns_of_waiting(driver), 1, 20);
        assert_int_equal(poll.answers, 0);
        if (canceled)
            rig_end(driver, &poll.poll.event);
        else
            rig_drain(fds[1]);
        TURN_UNTIL(driver, poll.answers == 1);
        assert_int_equal(poll.poll.result, canceled ? -ECANCELED : POLLOUT);
        rig_close_pair(fds);
    }
    os_driver_close(driver);
}

TEST_ON_DRIVERS(a_poll_for_room_sleeps_although_the_peer_has_ended_its_side)
{
    wait_for_room_behind_an_end(rig_pair);
    wait_for_room_behind_an_end(rig_tcp_pair);
}

TEST_ON_DRIVERS(what_is_ready_at_once_does_not_keep_others_from_their_answers)
{
    struct os_driver *driver = rig_open();
    struct rig_poll ready, other;
    int fds[2], others[2];

    rig_pair(fds);
    rig_pair(others);
    driver->report_signals = true; /* as while tasks wait in calls of tenon/fd.h */
    rig_arm_poll(driver, &other, others[0], POLLIN);
    rig_turn(driver, 0);
    rig_send(others[1], "x", 1);
    for (int i = 0; i < 20 && other.answers == 0; i++) {
        rig_arm_poll(driver, &ready, fds[0], POLLOUT);
        rig_turn(driver, RIG_PATIENCE_NS);
        TURN_UNTIL(driver, ready.answers == 1);
    }
    assert_int_equal(other.answers, 1);
    rig_close_pair(fds);
    rig_close_pair(others);
    os_driver_close(driver);
}

TEST_ON_DRIVERS(several_polls_of_one_descriptor_are_answered_each_for_its_own)
{
    struct os_driver *driver = rig_open();
    struct rig_poll in, out, also_in;
    int fds[2];

    rig_pair(fds);
    rig_fill(fds[0]);
    rig_arm_poll(driver, &in, fds[0], POLLIN);
    rig_arm_poll(driver, &out, fds[0], POLLOUT);
    rig_arm_poll(driver, &also_in, fds[0], POLLIN);
    rig_turn(driver, 0);
    assert_int_equal(in.answers + out.answers + also_in.answers, 0);

    rig_send(fds[1], "x", 1);
    TURN_UNTIL(driver, in.answers == 1 && also_in.answers == 1);
    assert_int_equal(out.answers, 0);
    rig_drain(fds[1]);
    TURN_UNTIL(driver, out.answers == 1);
    assert_int_equal(out.poll.result, POLLOUT);
    rig_close_pair(fds);
    os_driver_close(driver);
}

TEST_ON_DRIVERS(urgent_data_answers_a_poll_for_it)
{
    struct os_driver *driver = rig_open();
    struct rig_poll poll;
    int fds[2];

    rig_tcp_pair(fds);
    rig_arm_poll(driver, &poll, fds[0], POLLPRI);
    rig_turn(driver, 0);
    assert_int_equal(poll.answers, 0);
    assert_int_equal(os_send(&os_linux, fds[1], "!", 1, MSG_OOB), 1);
    TURN_UNTIL(driver, poll.answers == 1);
    assert_int_equal(poll.poll.result, POLLPRI);
    rig_close_pair(fds);
    os_driver_close(driver);
}

TEST_ON_DRIVERS(a_canceled_poll_ends_with_ecanceled_and_only_once)
{
    struct os_driver *driver = rig_open();
    struct rig_poll poll;
    int fds[2];

    rig_pair(fds);
    rig_arm_poll(driver, &poll, fds[0], POLLIN);
    rig_turn(driver, 0);
    os_driver_cancel(driver, &poll.poll.event);
    os_driver_cancel(driver, &poll.poll.event);
    TURN_UNTIL(driver, os_event_idle(&poll.poll.event));
    assert_int_equal(poll.answers, 1);
    assert_errno(poll.poll.result, ECANCELED);
    os_driver_cancel(driver, &poll.poll.event); /* harmless now */
    rig_turn(driver, 0);
    assert_int_equal(poll.answers, 1);
    rig_close_pair(fds);
    os_driver_close(driver);
}

TEST_ON_DRIVERS(a_poll_canceled_before_it_was_handed_over_ends_as_well)
{
    struct os_driver *driver = rig_open();
    struct rig_poll poll;
    int fds[2];

    rig_pair(fds);
    rig_arm_poll(driver, &poll, fds[0], POLLIN);
    os_driver_cancel(driver, &poll.poll.event);
    TURN_UNTIL(driver, os_event_idle(&poll.poll.event));
    assert_int_equal(poll.answers, 1);
    assert_errno(poll.poll.result, ECANCELED);
    rig_close_pair(fds);
    os_driver_close(driver);
}

/* The last answer is the event's own; a cancel only asks. */
TEST_ON_DRIVERS(what_came_before_a_cancel_is_not_taken_back)
{
    struct os_driver *driver = rig_open();
    struct rig_poll poll;
    int fds[2];

    rig_pair(fds);
    rig_arm_poll(driver, &poll, fds[0], POLLIN);
    rig_send(fds[1], "x", 1);
    (void)os_driver_wait(driver, 0); /* taken in, not told yet */
    os_driver_cancel(driver, &poll.poll.event);
    TURN_UNTIL(driver, os_event_idle(&poll.poll.event));
    assert_int_equal(poll.answers, 1);
    assert_int_equal(poll.poll.result, POLLIN);
    rig_close_pair(fds);
    os_driver_close(driver);
}

TEST_ON_DRIVERS(a_canceled_poll_leaves_the_others_of_its_descriptor_alone)
{
    struct os_driver *driver = rig_open();
    struct rig_poll one, other;
    int fds[2];

    rig_pair(fds);
    rig_arm_poll(driver, &one, fds[0], POLLIN);
    rig_arm_poll(driver, &other, fds[0], POLLIN);
    rig_turn(driver, 0);
    rig_end(driver, &one.poll.event);
    assert_errno(one.poll.result, ECANCELED);
    assert_int_equal(other.answers, 0);
    rig_send(fds[1], "x", 1);
    TURN_UNTIL(driver, other.answers == 1);
    assert_int_equal(other.poll.result, POLLIN);
    rig_close_pair(fds);
    os_driver_close(driver);
}

TEST_ON_DRIVERS(cancel_fd_ends_every_poll_of_a_descriptor_and_of_no_other)
{
    struct os_driver *driver = rig_open();
    struct rig_poll polls[5], other;
    int fds[2], others[2];

    rig_pair(fds);
    rig_pair(others);
    for (int i = 0; i < 5; i++)
        rig_arm_poll(driver, &polls[i], fds[0], i % 2 == 0 ? POLLIN : POLLPRI);
    rig_arm_poll(driver, &other, others[0], POLLIN);
    rig_turn(driver, 0);
    assert_int_equal(os_driver_cancel_fd(driver, fds[0]), 5);
    TURN_UNTIL(driver, os_driver_cancel_fd(driver, fds[0]) == 0);
    rig_turn(driver, 0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(polls[i].answers, 1);
        assert_errno(polls[i].poll.result, ECANCELED);
    }
    assert_int_equal(other.answers, 0);
    assert_int_equal(os_driver_cancel_fd(driver, 100000), 0);
    rig_end(driver, &other.poll.event);
    rig_close_pair(fds);
    rig_close_pair(others);
    os_driver_close(driver);
}

/* close(2) under a pending operation sends no FIN (semantics.md, fact 5). */
TEST_ON_DRIVERS(after_cancel_fd_a_close_lets_the_peer_see_the_end_at_once)
{
    struct os_driver *driver = rig_open();
    struct rig_poll poll;
    char byte;
    int fds[2];

    rig_tcp_pair(fds);
    rig_arm_poll(driver, &poll, fds[0], POLLIN);
    rig_turn(driver, 0);
    TURN_UNTIL(driver, os_driver_cancel_fd(driver, fds[0]) == 0);
    os_close(&os_linux, fds[0]);
    assert_int_equal(os_recv(&os_linux, fds[1], &byte, 1, MSG_DONTWAIT), 0);
    os_close(&os_linux, fds[1]);
    os_driver_close(driver);
}

TEST_ON_DRIVERS(a_regular_file_is_always_ready)
{
    struct os_driver *driver = rig_open();
    struct rig_poll in, both;
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    rig_arm_poll(driver, &in, file, POLLIN);
    rig_arm_poll(driver, &both, file, POLLIN | POLLOUT);
    TURN_UNTIL(driver, in.answers == 1 && both.answers == 1);
    assert_int_equal(in.poll.result, POLLIN);
    assert_int_equal(both.poll.result, POLLIN | POLLOUT);
    close(file);
    os_driver_close(driver);
}

TEST_ON_DRIVERS(a_descriptor_that_is_none_is_ebadf)
{
    struct os_driver *driver = rig_open();
    struct rig_poll negative, closed, huge;
    struct rig_watch watch;
    int fd = eventfd(0, EFD_CLOEXEC);

    close(fd);
    rig_arm_poll(driver, &negative, -1, POLLIN);
    rig_arm_poll(driver, &closed, fd, POLLIN);
    rig_arm_poll(driver, &huge, 1000000, POLLIN);
    rig_arm_watch(driver, &watch, fd);
    TURN_UNTIL(driver, negative.answers == 1 && closed.answers == 1 &&
                           huge.answers == 1 && watch.answers == 1);
    assert_errno(negative.poll.result, EBADF);
    assert_errno(closed.poll.result, EBADF);
    assert_errno(huge.poll.result, EBADF);
    assert_errno(watch.watch.error, EBADF);
    assert_true(os_event_idle(&watch.watch.event));
    os_driver_close(driver);
}

/*
 * The descriptor is closed behind our back while a copy of it lives on, and its number
 * comes to mean another file: a poll of the number is one of the new file, whatever the
 * old one does (epoll keeps a registration that nobody can remove any more).
 */
/* It wakes both queues of the terminal, and nothing has come. */
TEST_ON_DRIVERS(a_terminals_settings_may_change_under_a_poll)
{
    struct os_driver *driver = rig_open();
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;
    struct termios settings;
    struct rig_poll poll;

    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(slave >= 0);
    rig_arm_poll(driver, &poll, slave, POLLIN);
    rig_turn(driver, 0);
    assert_int_equal(tcgetattr(slave, &settings), 0);
    for (int i = 0; i < 3; i++) {
        settings.c_lflag ^= ECHO;
        assert_int_equal(tcsetattr(slave, TCSANOW, &settings), 0);
        rig_turn(driver, 0);
        rig_turn(driver, 0);
        assert_int_equal(poll.answers, 0);
    }
    assert_int_equal(write(master, "x\n", 2), 2);
    TURN_UNTIL(driver, poll.answers == 1);
    assert_int_equal(poll.poll.result, POLLIN);
    close(slave);
    close(master);
    os_driver_close(driver);
}

TEST_ON_DRIVERS(a_reused_number_is_polled_as_what_it_is_now)
{
    struct os_driver *driver = rig_open();
    struct rig_poll poll;
    int old[2], new[2], copy;

    rig_pair(old);
    rig_pair(new);
    rig_arm_poll(driver, &poll, old[0], POLLIN);
    rig_turn(driver, 0);
    rig_end(driver, &poll.poll.event);
    copy = fcntl(old[0], F_DUPFD_CLOEXEC, 0);
    assert_int_equal(dup3(new[0], old[0], O_CLOEXEC), old[0]);

    rig_arm_poll(driver, &poll, old[0], POLLIN);
    rig_turn(driver, 0);
    assert_int_equal(poll.answers, 0);
    rig_send(new[1], "n", 1);
    TURN_UNTIL(driver, poll.answers == 1);
    assert_int_equal(poll.poll.result, POLLIN);
    rig_drain(new[0]);

    /* The old file gets ready: one answer for nothing is allowed, a second is not. */
    rig_send(old[1], "o", 1);
    rig_arm_poll(driver, &poll, old[0], POLLIN);
    rig_turn(driver, 0);
    if (poll.answers == 1)
        rig_arm_poll(driver, &poll, old[0], POLLIN);
    for (int i = 0; i < 3; i++)
        rig_turn(driver, 0);
    assert_int_equal(poll.answers, 0);
    rig_send(new[1], "n", 1);
    TURN_UNTIL(driver, poll.answers == 1);
    close(copy);
    rig_close_pair(old);
    rig_close_pair(new);
    os_driver_close(driver);
}

/* As fd.h promises: closing what others wait on is cancel_fd first, then close. */
TEST_ON_DRIVERS(a_number_is_free_for_another_file_after_cancel_fd)
{
    struct os_driver *driver = rig_open();
    struct rig_poll poll;
    int fds[2], before = -1;

    for (int round = 0; round < 100; round++) {
        rig_pair(fds);
        assert_true(before < 0 || before == fds[0]);
        before = fds[0];
        rig_arm_poll(driver, &poll, fds[0], POLLIN);
        rig_turn(driver, 0);
        assert_int_equal(poll.answers, 0);
        if (round % 2 == 0) {
            rig_send(fds[1], "x", 1);
            TURN_UNTIL(driver, poll.answers == 1);
            assert_int_equal(poll.poll.result, POLLIN);
        }
        TURN_UNTIL(driver, os_driver_cancel_fd(driver, fds[0]) == 0);
        rig_close_pair(fds);
    }
    os_driver_close(driver);
}

static void on_alarm(int number)
{
    (void)number;
}

TEST_ON_DRIVERS(a_signal_ends_a_wait_with_eintr_even_under_sa_restart)
{
    struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
    struct itimerval soon = { { 0, 1000 }, { 0, 1000 } }, never = { { 0, 0 }, { 0, 0 } };
    struct os_driver *driver = rig_open();
    struct rig_poll poll;
    int fds[2];

    rig_pair(fds);
    rig_arm_poll(driver, &poll, fds[0], POLLIN);
    rig_turn(driver, 0);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    for (int i = 0; i < 20; i++)
        assert_errno(rig_turn(driver, INT64_MAX), EINTR);
    setitimer(ITIMER_REAL, &never, NULL);
    assert_int_equal(poll.answers, 0);
    rig_send(fds[1], "x", 1);
    TURN_UNTIL(driver, poll.answers == 1);
    rig_close_pair(fds);
    os_driver_close(driver);
}

TEST_ON_DRIVERS(a_wait_ends_at_its_limit_and_not_before)
{
    struct os_driver *driver = rig_open();
    int64_t limits[] = { 1, 300000, 2500000 };

    for (int i = 0; i < 3; i++) {
        int64_t start = os_now(&os_linux);
        assert_errno(rig_turn(driver, limits[i]), 0);
        assert_true(os_now(&os_linux) - start >= limits[i]);
    }
    os_driver_close(driver);
}
