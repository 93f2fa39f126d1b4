/* SPDX-License-Identifier: MIT */
/*
 * conn_ahead_child_test.c -- a forked child and what its parent has accepted ahead.
 */
#include <sys/wait.h>

#include "net/ahead_rig.h"

/* CHILD has ended, and well. */
static void assert_well(pid_t child)
{
    int status = -1;
    pid_t ended;

    do
        ended = waitpid(child, &status, 0);
    while (ended < 0 && errno == EINTR); /* an alarm's: tests/torture/alarms */
    assert_int_equal(ended, child);
    assert_int_equal(status, 0);
}

/* A child has the parent's listener, and perhaps connections; giving them up is no end of them. */
TEST_IN_TASK(a_forked_child_may_close_the_listener_that_it_has_inherited)
{
    struct tn_conn *conns[3] = { NULL };
    struct taker taker;
    tn_addr addr;
    struct tn_listener *listener = listening("127.0.0.1:0", &addr);
    int fds[3];
    pid_t child;
    char byte = 0;

    taker_start(&taker, listener, 1, conns);
    for (int i = 0; i < 2; i++)
        fds[i] = raw_connect(&addr);
    assert_ok(taker_end(&taker));
    child = fork();
    if (child == 0) {
        tn_listener_close(&listener);
        _exit(0);
    }
    assert_well(child);
    fds[2] = raw_connect(&addr);
    for (int i = 1; i < 3; i++)
        assert_ok(tn_accept(listener, &conns[i], rig_patience()));
    for (int i = 0; i < 3; i++) {
        raw_send(fds[i], "x", 1);
        assert_ok(tn_read_all(conns[i], &byte, 1, NULL, rig_patience()));
        assert_int_equal(byte, 'x');
        tn_abort(&conns[i]);
        close(fds[i]);
    }
    tn_listener_close(&listener);
}

static tn_err accept_for_a_child(void *arg)
{
    struct tn_listener *listener = arg;
    struct tn_conn *conn = NULL;
    tn_err err = tn_accept(listener, &conn, TN_NEVER);

    tn_abort(&conn);
    return err;
}

/* The parent's request stands, and has brought QUEUED connections that are not the child's. */
static void let_a_child_accept(int queued)
{
    struct tn_conn *conn = NULL;
    struct taker taker;
    tn_addr addr, name;
    struct tn_listener *listener = listening("127.0.0.1:0", &addr);
    int fds[3], last = queued + 1;
    bool exact = strcmp(test_driver(), "uring") == 0 && !answers_are_late();
    pid_t child;
    char byte;

    taker_start(&taker, listener, 1, &conn);
    for (int i = 0; i < last; i++)
        fds[i] = raw_connect(&addr);
    assert_ok(taker_end(&taker));
    tn_abort(&conn);
    fds[last] = raw_connect(&addr); /* nobody turns our loop now */
    child = fork();
    if (child == 0) {
        struct tn_loop_options options = { .driver = test_driver() };

        (void)signal(SIGALRM, SIG_DFL);
        alarm(10 * test_scale());
        _exit(tn_failed(tn_run(accept_for_a_child, listener, &options)));
    }
    assert_well(child);
    if (exact) { /* the child had this one */
        assert_int_equal(recv(fds[last], &byte, 1, MSG_DONTWAIT), -1);
        assert_int_equal(errno, ECONNRESET);
    }
    for (int i = 1; exact && i <= queued; i++) {
        name = name_of(fds[i]);
        assert_ok(tn_accept(listener, &conn, rig_patience()));
        assert_peer(conn, &name);
        tn_abort(&conn);
    }
    for (int i = 0; i <= last; i++)
        close(fds[i]);
    tn_listener_close(&listener);
}

TEST_IN_TASK(a_forked_child_accepts_for_itself)
{
    let_a_child_accept(0);
    let_a_child_accept(1);
}
