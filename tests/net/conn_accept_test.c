/* SPDX-License-Identifier: MIT */
/*
 * conn_accept_test.c -- accepting: who came, what failed on the way, and want.
 */
#include <sys/resource.h>

#include "net/net_rig.h"
#include "os/fault.h"
#include "task/run.h"

static struct tn_listener *listening(const char *where)
{
    struct tn_listener *listener = NULL;

    assert_ok(tn_listen(&listener, where, NULL));
    return listener;
}

TEST_IN_TASK(the_peers_address_is_told)
{
    struct tn_listener *listener = listening("127.0.0.1:0");
    tn_addr addr = tn_listener_addr(listener), near, far;
    int fd = raw_connect(&addr);
    struct sockaddr_in in;
    socklen_t size = sizeof(in);
    struct tn_conn *conn = NULL;

    assert_ok(tn_accept(listener, &conn, rig_patience()));
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &size), 0);
    far = tn_addr_from((struct sockaddr *)&in, size);
    near = tn_peer(conn);
    assert_true(tn_addr_same(&near, &far));
    near = tn_local(conn);
    assert_true(tn_addr_same(&near, &addr));
    tn_abort(&conn);
    close(fd);
    tn_listener_close(&listener);
}

TEST_IN_TASK(a_unix_peer_without_a_name_is_told_as_such)
{
    char where[64], text[TN_ADDR_TEXT];
    struct tn_listener *listener;
    struct tn_conn *conn = NULL;
    tn_addr addr;
    int fd;

    snprintf(where, sizeof(where), "unix:@tenon-accept-%d", (int)getpid());
    listener = listening(where);
    addr = tn_listener_addr(listener);
    fd = raw_connect(&addr);
    assert_ok(tn_accept(listener, &conn, rig_patience()));
    addr = tn_peer(conn);
    assert_string_equal(tn_addr_text(&addr, text, sizeof(text)), "unix:");
    addr = tn_local(conn);
    assert_string_equal(tn_addr_text(&addr, text, sizeof(text)), where);
    tn_abort(&conn);
    close(fd);
    tn_listener_close(&listener);
}

/* accept(2) gives it out as if nothing were; getpeername would say ENOTCONN. */
TEST_IN_TASK(a_connection_reset_while_it_was_queued_reads_as_reset)
{
    struct tn_listener *listener = listening("127.0.0.1:0");
    tn_addr addr = tn_listener_addr(listener), far;
    int fd = raw_connect(&addr);
    struct tn_conn *conn = NULL;
    struct sockaddr_in in;
    socklen_t size = sizeof(in);
    tn_ending ending;
    size_t got = 7;
    char byte[8];

    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &size), 0);
    raw_send(fd, "abc", 3);
    raw_reset(fd);
    assert_ok(tn_accept(listener, &conn, rig_patience()));
    addr = tn_peer(conn);
    far = tn_addr_from((struct sockaddr *)&in, size);
    assert_true(tn_addr_same(&addr, &far));
    assert_ok(tn_read_all(conn, byte, 3, NULL, rig_patience())); /* had come before */
    assert_kind(tn_read(conn, byte, 1, &got, rig_patience()), TN_RESET);
    assert_kind(tn_read(conn, byte, 1, &got, rig_patience()), TN_RESET);
    assert_int_equal(got, 7);
    assert_kind(tn_close(&conn, &ending, rig_patience()), TN_RESET);
    assert_int_equal(ending.how, TN_ENDED_RESET);
    tn_listener_close(&listener);
}

TEST_IN_TASK(a_deadline_leaves_the_listener_good)
{
    struct tn_listener *listener = listening("127.0.0.1:0");
    tn_addr addr = tn_listener_addr(listener);
    struct tn_conn *conn = NULL;
    int64_t start = tn_now();
    int fd;

    assert_kind(tn_accept(listener, &conn, tn_in(20 * TN_MS)), TN_DEADLINE);
    assert_true(tn_now() - start >= 20 * TN_MS);
    assert_kind(tn_accept(listener, &conn, TN_NOW), TN_DEADLINE);
    assert_null(conn);
    fd = raw_connect(&addr);
    assert_ok(tn_accept(listener, &conn, TN_NOW)); /* can be done at once */
    tn_abort(&conn);
    close(fd);
    tn_listener_close(&listener);
}

struct acceptor {
    struct tn_listener *listener;
    unsigned *accepted;
};

static tn_err accept_one(void *arg)
{
    struct acceptor *self = arg;
    struct tn_conn *conn = NULL;
    tn_err err = tn_accept(self->listener, &conn, rig_patience());

    if (!tn_failed(err))
        (*self->accepted)++;
    tn_abort(&conn);
    return err;
}

TEST_IN_TASK(several_tasks_accept_at_one_listener)
{
    struct tn_listener *listener = listening("127.0.0.1:0");
    tn_addr addr = tn_listener_addr(listener);
    struct tn_group *group = NULL;
    unsigned accepted = 0;
    struct acceptor self = { listener, &accepted };
    int fds[10];

    assert_ok(tn_group_open(&group, TN_GROUP_ALL_OR_NONE));
    for (int i = 0; i < 10; i++)
        assert_ok(tn_go(group, accept_one, &self, NULL, NULL));
    rig_turns();
    for (int i = 0; i < 10; i++) {
        fds[i] = raw_connect(&addr);
        if (i % 3 == 0)
            WAIT_UNTIL(accepted == (unsigned)i + 1);
    }
    assert_ok(tn_group_wait(group, rig_patience()));
    assert_int_equal(accepted, 10);
    tn_group_close(&group);
    for (int i = 0; i < 10; i++)
        close(fds[i]);
    tn_listener_close(&listener);
}

TEST_IN_TASK(a_cancel_ends_an_accept_and_takes_no_connection)
{
    struct tn_listener *listener = listening("127.0.0.1:0");
    tn_addr addr = tn_listener_addr(listener);
    unsigned accepted = 0;
    struct acceptor self = { listener, &accepted };
    struct tn_task *task = NULL;
    struct tn_conn *conn = NULL;
    tn_err result;
    int fd;

    assert_ok(tn_go(NULL, accept_one, &self, NULL, &task));
    rig_turns();
    tn_cancel(task);
    assert_ok(tn_join(&task, &result, rig_patience()));
    assert_kind(result, TN_CANCELED);
    fd = raw_connect(&addr);
    assert_ok(tn_accept(listener, &conn, rig_patience()));
    tn_abort(&conn);
    close(fd);
    tn_listener_close(&listener);
}

TEST_IN_TASK(options_of_the_listener_are_those_of_its_connections)
{
    struct tn_listen_options options = {
        .conn = { .nagle = true, .no_keepalive = true, .user_timeout = 1500 * TN_MS },
    };
    struct tn_listener *listener = NULL, *plain = listening("127.0.0.1:0");
    tn_addr addr, addr2 = tn_listener_addr(plain);
    struct tn_conn *conn = NULL, *conn2 = NULL;
    int fd, fd2, held, held2;

    assert_ok(tn_listen(&listener, "127.0.0.1:0", &options));
    addr = tn_listener_addr(listener);
    fd = raw_connect(&addr);
    fd2 = raw_connect(&addr2);
    assert_ok(tn_accept(listener, &conn, rig_patience()));
    assert_ok(tn_accept(plain, &conn2, rig_patience()));
    assert_ok(tn_release(&conn, &held, rig_patience()));
    assert_ok(tn_release(&conn2, &held2, rig_patience()));
    assert_int_equal(raw_number(held, IPPROTO_TCP, TCP_NODELAY), 0);
    assert_int_equal(raw_number(held2, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(raw_number(held, SOL_SOCKET, SO_KEEPALIVE), 0);
    assert_int_equal(raw_number(held2, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(raw_number(held, IPPROTO_TCP, TCP_USER_TIMEOUT), 1500);
    close(held);
    close(held2);
    close(fd);
    close(fd2);
    tn_listener_close(&listener);
    tn_listener_close(&plain);
}

/* ---- want ---- */

#define TRIES 10 /* to be in time */

/* Take every descriptor that this process may have; they end with the process. */
static void take_all_descriptors(int *last)
{
    struct rlimit limit;
    int fd;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    while ((fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)) >= 0)
        *last = fd;
    assert_int_equal(errno, EMFILE);
}

static int64_t cpu_used(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * TN_SECOND +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * TN_US;
}

/* How often LISTENER pauses in 550 ms, for which it uses hardly any of the processor. */
static uint64_t pauses_in_550_ms(struct tn_listener *listener)
{
    uint64_t before = tn_accept_pauses(listener);
    int64_t cpu = cpu_used(), start = tn_now();
    struct tn_conn *conn = NULL;

    assert_kind(tn_accept(listener, &conn, tn_in(550 * TN_MS)), TN_DEADLINE);
    cpu = cpu_used() - cpu;
    if (cpu > (tn_now() - start) / 100 * test_scale())
        fail_test("used %lld us of CPU while it paused", (long long)(cpu / TN_US));
    return tn_accept_pauses(listener) - before;
}

/* It may leave descriptors: those with which it exhausted them. */
TEST_IN_TASK(out_of_descriptors_accepting_pauses_and_goes_on, .may_leave_fds = true)
{
    struct tn_listener *listener = listening("127.0.0.1:0");
    tn_addr addr = tn_listener_addr(listener);
    int fds[3], last = -1;
    struct tn_conn *conn = NULL;
    uint64_t pauses = 0;

    for (int i = 0; i < 3; i++)
        fds[i] = raw_connect(&addr);
    take_all_descriptors(&last);
    for (int tries = 0; pauses < 4; tries++) { /* each is longer on a busy machine */
        assert_true(tries < TRIES);
        pauses = pauses_in_550_ms(listener);
        assert_in_range(pauses, 1, 6);
    }
    close(last);
    pauses = tn_accept_pauses(listener);
    assert_ok(tn_accept(listener, &conn, rig_patience()));
    assert_int_equal(tn_accept_pauses(listener), pauses);
    tn_abort(&conn);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    tn_listener_close(&listener);
}

struct freed {
    int fd;
    struct tn_listener *listener;
    uint64_t pauses; /* up to then */
};

static tn_err free_one(void *arg)
{
    struct freed *self = arg;
    tn_err err = tn_sleep(tn_in(130 * TN_MS));

    close(self->fd);
    self->pauses = tn_accept_pauses(self->listener);
    return err;
}

/* How long a pause lasts is the business of the test before. */
TEST_IN_TASK(a_paused_accept_resumes_soon_after_a_descriptor_is_free,
             .may_leave_fds = true)
{
    struct tn_listener *listener = listening("127.0.0.1:0");
    tn_addr addr = tn_listener_addr(listener);
    struct freed freed = { .fd = -1, .listener = listener };
    struct tn_conn *conn = NULL;
    int fd = raw_connect(&addr);

    take_all_descriptors(&freed.fd);
    assert_ok(tn_go(NULL, free_one, &freed, NULL, NULL));
    assert_ok(tn_accept(listener, &conn, rig_patience()));
    assert_int_not_equal(freed.pauses, 0);
    assert_int_equal(tn_accept_pauses(listener), freed.pauses); /* not one more */
    tn_abort(&conn);
    close(fd);
    tn_listener_close(&listener);
}

TEST_IN_TASK(a_cancel_ends_the_pause, .may_leave_fds = true)
{
    struct tn_listener *listener = listening("127.0.0.1:0");
    tn_addr addr = tn_listener_addr(listener);
    unsigned accepted = 0;
    struct acceptor self = { listener, &accepted };
    struct tn_task *task = NULL;
    int fd = raw_connect(&addr), last;
    bool soon = false;

    take_all_descriptors(&last);
    for (int tries = 0; !soon; tries++) { /* it may take longer on a busy machine */
        uint64_t before = tn_accept_pauses(listener);
        int64_t start;
        tn_err result;

        assert_true(tries < TRIES);
        assert_ok(tn_go(NULL, accept_one, &self, NULL, &task));
        WAIT_UNTIL(tn_accept_pauses(listener) > before);
        start = tn_now();
        tn_cancel(task);
        assert_ok(tn_join(&task, &result, rig_patience()));
        assert_kind(result, TN_CANCELED);
        soon = tn_now() - start < 50 * TN_MS;
    }
    close(fd);
    tn_listener_close(&listener);
}

/* ---- errors of accept(2), which the kernel seldom gives ---- */

struct on_faults {
    struct fault fault;
    int error;
    uint64_t times;
    unsigned kind; /* expected */
    uint64_t pauses;
};

static tn_err accept_with_faults(void *arg)
{
    struct on_faults *self = arg;
    struct tn_listener *listener = listening("127.0.0.1:0");
    tn_addr addr = tn_listener_addr(listener);
    struct tn_conn *conn = NULL;
    int fd = raw_connect(&addr);

    fault_name(&self->fault, FAULT_ACCEPT, 1, self->times, self->error);
    assert_kind(tn_accept(listener, &conn,
                          self->kind == TN_OK ? rig_patience() : tn_in(450 * TN_MS)),
                self->kind);
    fault_off(&self->fault);
    self->pauses = tn_accept_pauses(listener);
    assert_true((conn != NULL) == (self->kind == TN_OK));
    if (conn == NULL && self->kind != TN_INVALID)
        assert_ok(tn_accept(listener, &conn, rig_patience()));
    tn_abort(&conn);
    close(fd);
    tn_listener_close(&listener);
    return tn_ok();
}

static void run_with_faults(struct on_faults *self)
{
    fault_init(&self->fault, &os_linux);
    assert_ok(run_on(&self->fault.os, accept_with_faults, self, NULL));
}

TEST_ON_DRIVERS(failed_connections_are_passed_over)
{
    static const int errors[] = { EINTR,      ECONNABORTED, EPROTO,      EPERM,
                                  ENETDOWN,   ENOPROTOOPT,  EHOSTDOWN,   ENONET,
                                  EOPNOTSUPP, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT };

    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        struct on_faults self = { .error = errors[i], .times = 3, .kind = TN_OK };

        run_with_faults(&self);
        assert_int_equal(self.fault.failed, 3);
        assert_int_equal(self.pauses, 0);
    }
}

TEST_ON_DRIVERS(want_of_anything_pauses)
{
    static const int errors[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM };

    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        struct on_faults self = { .error = errors[i], .times = 1, .kind = TN_OK };

        run_with_faults(&self);
        assert_int_equal(self.pauses, 1);
    }
}

TEST_ON_DRIVERS(what_is_no_listener_any_more_is_final)
{
    static const int errors[] = { EBADF, EINVAL, ENOTSOCK, EFAULT };

    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        struct on_faults self = { .error = errors[i], .times = 1, .kind = TN_INVALID };

        run_with_faults(&self);
        assert_int_equal(self.fault.failed, 1);
    }
}

/* A seccomp filter's EPERM, say: neither spinning nor beyond the deadline. */
TEST_ON_DRIVERS(an_error_that_never_ends_does_not_spin)
{
    struct on_faults self = { .error = EPERM, .times = 1000000, .kind = TN_DEADLINE };

    run_with_faults(&self);
    assert_in_range(self.fault.failed, 16, 16 * 6);
}

static tn_err wait_without_memory(void *arg)
{
    struct on_faults *self = arg;
    struct tn_listener *listener = listening("127.0.0.1:0");
    tn_addr addr = tn_listener_addr(listener);
    struct tn_conn *conn = NULL;
    int fd;

    fault_name(&self->fault, FAULT_ARM, 1, 1000000, ENOMEM);
    assert_kind(tn_accept(listener, &conn, tn_in(450 * TN_MS)), TN_DEADLINE);
    self->pauses = tn_accept_pauses(listener);
    fd = raw_connect(&addr);
    assert_ok(tn_accept(listener, &conn, rig_patience())); /* that needs no waiting */
    fault_off(&self->fault);
    tn_abort(&conn);
    close(fd);
    tn_listener_close(&listener);
    return tn_ok();
}

/* Nor does it spin when it cannot even wait. */
TEST_ON_DRIVERS(for_want_of_memory_to_wait_with_it_pauses)
{
    struct on_faults self = { .error = 0 };

    fault_init(&self.fault, &os_linux);
    assert_ok(run_on(&self.fault.os, wait_without_memory, &self, NULL));
    assert_in_range(self.pauses, 1, 5);
    assert_in_range(self.fault.failed, 1, 12);
}

static tn_err accept_without_memory(void *arg)
{
    struct on_faults *self = arg;
    struct tn_listener *listener = listening("127.0.0.1:0");
    tn_addr addr = tn_listener_addr(listener);
    int fd = raw_connect(&addr), fd2 = raw_connect(&addr), end;
    struct tn_conn *conn = NULL;

    fault_name(&self->fault, FAULT_ALLOCATE, 1, 1, ENOMEM);
    assert_ok(tn_accept(listener, &conn, rig_patience()));
    assert_int_equal(tn_accept_pauses(listener), 1);
    raw_drain(fd, &end); /* the first was dropped, and can tell */
    assert_int_equal(end, -ECONNRESET);
    raw_drain(fd2, &end);
    assert_int_equal(end, 0);
    tn_abort(&conn);
    close(fd);
    close(fd2);
    tn_listener_close(&listener);
    return tn_ok();
}

TEST_ON_DRIVERS(a_connection_for_which_there_is_no_memory_is_reset)
{
    struct on_faults self = { .error = 0 };

    fault_init(&self.fault, &os_linux);
    assert_ok(run_on(&self.fault.os, accept_without_memory, &self, NULL));
}
