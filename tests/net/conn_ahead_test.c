/* SPDX-License-Identifier: MIT */
/*
 * conn_ahead_test.c -- connections that the driver accepts for tasks that wait: nobody sees a
 * difference, but for the calls that are not made.
 */
#include <sys/resource.h>

#include "net/ahead_rig.h"
#include "os/driver.h"
#include "task/run.h"

/* More than are accepted ahead. */
#define MANY ((int)OS_ACCEPT_QUEUE_MAX + 100)

TEST_IN_TASK(a_crowd_is_given_out_in_the_order_in_which_it_came)
{
    static struct tn_conn *conns[MANY];
    static int fds[MANY];
    struct taker taker;
    tn_addr addr, name;
    struct tn_listener *listener = listening("127.0.0.1:0", &addr);

    taker_start(&taker, listener, MANY, conns);
    for (int i = 0; i < MANY; i++)
        fds[i] = raw_connect(&addr);
    assert_ok(taker_end(&taker));
    for (int i = 0; i < MANY; i++) {
        name = name_of(fds[i]);
        assert_peer(conns[i], &name);
        tn_abort(&conns[i]);
        close(fds[i]);
    }
    tn_listener_close(&listener);
}

TEST_IN_TASK(without_going_ahead_only_what_is_taken_has_a_descriptor)
{
    struct tn_listen_options options = { .no_ahead = true };
    struct tn_conn *conns[8] = { NULL };
    struct tn_listener *listener = NULL;
    struct taker taker;
    int fds[8], before;
    tn_addr addr;

    assert_ok(tn_listen(&listener, "127.0.0.1:0", &options));
    addr = tn_listener_addr(listener);
    taker_start(&taker, listener, 1, conns);
    before = descriptors();
    for (int i = 0; i < 8; i++)
        fds[i] = raw_connect(&addr);
    assert_ok(taker_end(&taker));
    assert_int_equal(descriptors(), before + 8 + 1);
    taker_start(&taker, listener, 7, conns + 1);
    assert_ok(taker_end(&taker));
    for (int i = 0; i < 8; i++) {
        tn_abort(&conns[i]);
        close(fds[i]);
    }
    tn_listener_close(&listener);
}

static void see_who_has_reset(const char *where)
{
    struct tn_conn *conn = NULL;
    struct taker taker;
    tn_addr addr, name;
    struct tn_listener *listener = listening(where, &addr);
    char bytes[4];
    int fd;

    taker_start(&taker, listener, 1, &conn);
    fd = raw_connect(&addr);
    name = name_of(fd);
    raw_send(fd, "abc", 3);
    raw_reset(fd);
    assert_ok(taker_end(&taker));
    assert_peer(conn, &name);
    assert_ok(tn_read_all(conn, bytes, 3, NULL, rig_patience()));
    assert_kind(tn_read(conn, bytes, 1, NULL, rig_patience()), TN_RESET);
    assert_peer(conn, &name);
    tn_abort(&conn);
    tn_listener_close(&listener);
}

/* getpeername(2) does not know it any more. */
TEST_IN_TASK(who_has_reset_before_it_was_given_out_still_has_a_name)
{
    see_who_has_reset("127.0.0.1:0");
    see_who_has_reset("[::1]:0");
}

TEST_IN_TASK(nobody_is_accepted_while_nobody_asks)
{
    struct tn_conn *conn = NULL;
    tn_addr addr;
    struct tn_listener *listener = listening("127.0.0.1:0", &addr);
    int fds[3], before;

    assert_kind(tn_accept(listener, &conn, tn_in(TN_MS)), TN_DEADLINE);
    before = descriptors();
    for (int i = 0; i < 3; i++)
        fds[i] = raw_connect(&addr);
    rig_turns();
    if (!answers_are_late())
        assert_int_equal(descriptors(), before + 3);
    assert_ok(tn_accept(listener, &conn, TN_NOW));
    tn_abort(&conn);
    rig_turns();
    if (!answers_are_late())
        assert_int_equal(descriptors(), before + 3);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    tn_listener_close(&listener);
}

/* Who takes one and does not come again: what follows is accepted for once, at most. */
TEST_IN_TASK(a_program_that_stops_asking_is_not_accepted_for_again)
{
    struct tn_conn *conn = NULL;
    struct taker taker;
    tn_addr addr;
    struct tn_listener *listener = listening("127.0.0.1:0", &addr);
    int fds[6], before;

    taker_start(&taker, listener, 1, &conn);
    fds[0] = raw_connect(&addr);
    assert_ok(taker_end(&taker));
    fds[1] = raw_connect(&addr);
    rig_turns();
    before = descriptors();
    for (int i = 2; i < 6; i++)
        fds[i] = raw_connect(&addr);
    rig_turns();
    if (!answers_are_late())
        assert_int_equal(descriptors(), before + 4);
    for (int i = 1; i < 6; i++) {
        tn_addr name = name_of(fds[i]);

        tn_abort(&conn);
        assert_ok(tn_accept(listener, &conn, rig_patience()));
        assert_peer(conn, &name);
    }
    tn_abort(&conn);
    for (int i = 0; i < 6; i++)
        close(fds[i]);
    tn_listener_close(&listener);
}

/* As the kernel does with those that it has queued. */
TEST_IN_TASK(what_was_not_taken_is_reset_when_the_listener_closes)
{
    struct tn_conn *conn = NULL;
    struct taker taker;
    tn_addr addr;
    struct tn_listener *listener = listening("127.0.0.1:0", &addr);
    int fds[4];
    char byte;

    taker_start(&taker, listener, 1, &conn);
    for (int i = 0; i < 4; i++)
        fds[i] = raw_connect(&addr);
    assert_ok(taker_end(&taker));
    tn_listener_close(&listener);
    for (int i = 1; i < 4; i++) {
        assert_int_equal(recv(fds[i], &byte, 1, 0), -1);
        assert_int_equal(errno, ECONNRESET);
    }
    tn_abort(&conn);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
}

/* The place is free when the call returns, although somebody has just waited there. */
TEST_IN_TASK(a_place_may_be_listened_at_again_at_once)
{
    struct tn_conn *conn = NULL;
    char text[TN_ADDR_TEXT];
    tn_addr addr;
    struct tn_listener *listener = listening("127.77.0.1:0", &addr); /* its own host */

    for (int i = 0; i < 20; i++) {
        assert_kind(tn_accept(listener, &conn, tn_in(TN_US)), TN_DEADLINE);
        tn_listener_close(&listener);
        listener = listening(tn_addr_text(&addr, text, sizeof(text)), &addr);
    }
    tn_listener_close(&listener);
}

/* What has come is not taken back: the task was as good as woken. */
TEST_IN_TASK(a_canceled_task_leaves_the_connection_to_the_next)
{
    struct tn_conn *conn = NULL, *other = NULL;
    struct taker taker;
    tn_addr addr, name;
    struct tn_listener *listener = listening("127.0.0.1:0", &addr);
    tn_err result;
    int fd;

    taker_start(&taker, listener, 1, &conn);
    fd = raw_connect(&addr);
    name = name_of(fd);
    tn_cancel(taker.task);
    result = taker_end(&taker);
    if (tn_failed(result)) {
        assert_kind(result, TN_CANCELED);
        assert_ok(tn_accept(listener, &other, rig_patience()));
    }
    assert_peer(conn != NULL ? conn : other, &name);
    tn_abort(&conn);
    tn_abort(&other);
    close(fd);
    tn_listener_close(&listener);
}

TEST_IN_TASK(what_is_there_is_taken_at_once_though_others_wait)
{
    struct tn_conn *first = NULL, *second = NULL;
    struct taker taker;
    tn_addr addr;
    struct tn_listener *listener = listening("127.0.0.1:0", &addr);
    int fds[2];

    taker_start(&taker, listener, 1, &first);
    fds[0] = raw_connect(&addr);
    assert_ok(tn_accept(listener, &second, TN_NOW));
    fds[1] = raw_connect(&addr);
    assert_ok(taker_end(&taker));
    tn_abort(&first);
    tn_abort(&second);
    close(fds[0]);
    close(fds[1]);
    tn_listener_close(&listener);
}

/* ---- outside of tasks ---- */

static struct {
    struct tn_listener *listener;
    tn_addr addr;
    int fds[3];
} outside;

static tn_err accept_one_of_three(void *arg)
{
    struct tn_conn *conn = NULL;
    struct taker taker;

    (void)arg;
    outside.listener = listening("127.77.0.1:0", &outside.addr);
    taker_start(&taker, outside.listener, 1, &conn);
    for (int i = 0; i < 3; i++)
        outside.fds[i] = raw_connect(&outside.addr);
    assert_ok(taker_end(&taker));
    tn_abort(&conn);
    return tn_ok();
}

static void assert_reset_and_free(void)
{
    struct sockaddr_storage place;
    char byte;
    int fd;

    for (int i = 0; i < 3; i++) {
        assert_int_equal(recv(outside.fds[i], &byte, 1, 0), -1);
        assert_int_equal(errno, ECONNRESET);
        close(outside.fds[i]);
    }
    memcpy(&place, outside.addr.as.bytes, outside.addr.size);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    raw_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&place, outside.addr.size), 0);
    assert_int_equal(listen(fd, 1), 0);
    close(fd);
}

/* The request that still stands neither keeps the loop from its end nor outlives it. */
TEST_ON_DRIVERS(a_listener_may_be_closed_after_its_loop_has_ended)
{
    struct tn_loop_options options = { .driver = test_driver() };

    assert_ok(tn_run(accept_one_of_three, NULL, &options));
    tn_listener_close(&outside.listener);
    assert_null(outside.listener);
    assert_reset_and_free();
}

TEST_ON_DRIVERS(a_listener_may_be_closed_between_two_turns)
{
    struct tn_loop_options options = { .driver = test_driver() };
    struct tn_loop *loop = NULL;
    unsigned alive = 1;

    assert_ok(tn_loop_open(&loop, &options));
    assert_ok(tn_loop_go(loop, accept_one_of_three, NULL, NULL));
    while (alive > 0)
        assert_ok(tn_loop_turn(loop, rig_patience(), &alive));
    tn_listener_close(&outside.listener);
    assert_null(outside.listener);
    for (int i = 0; i < 3; i++) /* what is asked for is submitted, and answered */
        assert_ok(tn_loop_turn(loop, TN_NOW, &alive));
    if (!answers_are_late())
        assert_reset_and_free();
    tn_loop_close(&loop);
    if (answers_are_late())
        assert_reset_and_free();
}

/* ---- want ---- */

/* The one that finds out about want waits for it to pass, and then sees to the others. */
TEST_IN_TASK(after_want_all_who_wait_are_served, .may_leave_fds = true)
{
    struct tn_conn *conns[3] = { NULL };
    struct taker takers[3];
    struct rlimit limit;
    tn_addr addr;
    int fds[3], filled[64], count = 0, fd;
    struct tn_listener *listener;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 64; /* before it is asked for: the ring goes by that */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    listener = listening("127.0.0.1:0", &addr);
    for (int i = 0; i < 3; i++)
        taker_start(&takers[i], listener, 1, &conns[i]);
    fds[0] = raw_connect(&addr);
    while ((fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)) >= 0)
        filled[count++] = fd;
    WAIT_UNTIL(tn_accept_pauses(listener) > 0);
    while (count > 0)
        close(filled[--count]);
    fds[1] = raw_connect(&addr);
    fds[2] = raw_connect(&addr);
    for (int i = 0; i < 3; i++) {
        assert_ok(taker_end(&takers[i]));
        tn_abort(&conns[i]);
        close(fds[i]);
    }
    tn_listener_close(&listener);
}
