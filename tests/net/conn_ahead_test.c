/* SPDX-License-Identifier: MIT */
/*
 * conn_ahead_test.c -- connections that the driver accepts for tasks that wait: nobody sees a
 * difference, but for the calls that are not made.
 */
#include <dirent.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "net/net_rig.h"
#include "os/driver.h"
#include "task/run.h"

/* More than are accepted ahead. */
#define MANY ((int)OS_ACCEPT_QUEUE_MAX + 100)

static struct tn_listener *listening(const char *where, tn_addr *addr)
{
    struct tn_listener *listener = NULL;

    assert_ok(tn_listen(&listener, where, NULL));
    *addr = tn_listener_addr(listener);
    return listener;
}

static tn_addr name_of(int fd)
{
    struct sockaddr_storage name;
    socklen_t size = sizeof(name);

    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &size), 0);
    return tn_addr_from((struct sockaddr *)&name, size);
}

static void assert_peer(const struct tn_conn *conn, const tn_addr *wanted)
{
    tn_addr found = tn_peer(conn);

    assert_true(tn_addr_same(&found, wanted));
}

static int descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

/* On a ring of odd completions (tests/tools/odd_ring.sh): the loop cannot act before it knows. */
static bool answers_are_late(void)
{
    return getenv("TENON_RING_FAULTS") != NULL;
}

/* One of those who wait: it takes COUNT connections and is done. */
struct taker {
    struct tn_listener *listener;
    int count;
    struct tn_conn **conns;
    struct tn_task *task;
};

static tn_err take(void *arg)
{
    struct taker *self = arg;
    tn_err err = tn_ok();

    for (int i = 0; i < self->count && !tn_failed(err); i++)
        err = tn_accept(self->listener, &self->conns[i], TN_NEVER);
    return err;
}

static void taker_start(struct taker *self, struct tn_listener *listener, int count,
                        struct tn_conn **conns)
{
    *self = (struct taker){ .listener = listener, .count = count, .conns = conns };
    assert_ok(tn_go(NULL, take, self, NULL, &self->task));
    rig_turns(); /* it waits */
}

static tn_err taker_end(struct taker *self)
{
    tn_err result;

    assert_ok(tn_join(&self->task, &result, rig_patience()));
    return result;
}

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
