/* SPDX-License-Identifier: MIT */
/*
 * conn_names_test.c -- connecting to names of several addresses.
 *
 * Names ending in ".test" are this file's: it stands before the C library's getaddrinfo
 * and gives the addresses that a test has put into `book`.
 */
#include <dlfcn.h>
#include <netdb.h>

#include "net/net_rig.h"
#include "os/fault.h"
#include "task/run.h"

static struct {
    tn_addr addr[4];
    size_t count;
} book;

static struct addrinfo *entry(const tn_addr *addr, struct addrinfo *next)
{
    struct addrinfo *made = calloc(1, sizeof(*made) + addr->size);

    assert_non_null(made); /* one block, as freeaddrinfo(3) of glibc has it */
    *made = (struct addrinfo){ .ai_family = addr->as.family,
                               .ai_socktype = SOCK_STREAM,
                               .ai_addrlen = addr->size,
                               .ai_addr = (struct sockaddr *)(made + 1),
                               .ai_next = next };
    memcpy(made + 1, addr->as.bytes, addr->size);
    return made;
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): __restrict there */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

    if (node != NULL && strstr(node, ".test") != NULL) {
        *found = NULL;
        for (size_t i = book.count; i-- > 0;)
            *found = entry(&book.addr[i], *found);
        return 0;
    }
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    return real(node, service, hints, found);
}

struct dialer {
    const char *where;
    tn_deadline deadline;
    struct tn_conn *conn;
};

static tn_err dial_where(void *arg)
{
    struct dialer *self = arg;

    return tn_dial(&self->conn, self->where, NULL, self->deadline);
}

/* A listener of FAMILY on PORT. */
static int listen_on_port(sa_family_t family, uint16_t port, tn_addr *addr)
{
    char text[32];
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(text, sizeof(text), family == AF_INET ? "127.0.0.1:%u" : "[::1]:%u", port);
    assert_ok(tn_addr_parse(text, addr));
    raw_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    assert_int_equal(bind(fd, (const struct sockaddr *)addr->as.bytes, addr->size), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static void set_book(const tn_addr *one, const tn_addr *two, const tn_addr *three)
{
    book.count = three != NULL ? 3 : 2;
    book.addr[0] = *one;
    book.addr[1] = *two;
    if (three != NULL)
        book.addr[2] = *three;
}

static unsigned descriptors_open(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

#define TRIES 10 /* to be in time although others keep the machine busy */

/* Dial NAME: it takes 250 ms, or a bit more. */
static void dial_in_250_ms(const char *name, struct tn_conn **conn)
{
    int64_t took = 0;

    for (int tries = 0; tries < TRIES; tries++) {
        int64_t start = tn_now();

        tn_abort(conn);
        assert_ok(tn_dial(conn, name, NULL, rig_patience()));
        took = tn_now() - start;
        assert_true(took >= 250 * TN_MS);
        if (took < 400 * TN_MS)
            return;
    }
    fail_test("took %lld us", (long long)(took / TN_US));
}

/* Dial NAME, which ends in KIND, and does not wait for an attempt's 250 ms. */
static void dial_at_once(const char *name, unsigned kind, struct tn_conn **conn)
{
    int64_t took = 0;

    for (int tries = 0; tries < TRIES; tries++) {
        int64_t start = tn_now();

        tn_abort(conn);
        assert_kind(tn_dial(conn, name, NULL, rig_patience()), kind);
        took = tn_now() - start;
        if (took < 100 * TN_MS)
            return;
    }
    fail_test("took %lld us", (long long)(took / TN_US));
}

/* The loop's first look-up opens what it needs for helper threads, and keeps it. */
static void look_up_once(void)
{
    tn_addr list[1];
    size_t count;

    book.count = 1;
    assert_ok(tn_addr_parse("127.0.0.1:1", &book.addr[0]));
    assert_ok(tn_resolve("first.test:1", TN_ANY, list, 1, &count, rig_patience()));
}

TEST_IN_TASK(a_dead_first_address_costs_250_ms)
{
    struct tn_conn *conn = NULL;
    struct deaf deaf;
    tn_addr addr, peer;
    int listener = raw_listen(AF_INET, &addr);
    unsigned before;

    look_up_once();
    before = descriptors_open() + 4 + 1;
    deaf_open_at(&deaf, AF_INET6);
    set_book(&deaf.addr, &addr, NULL);
    dial_in_250_ms("dead-first.test:1", &conn);
    peer = tn_peer(conn);
    assert_true(tn_addr_same(&peer, &addr));
    assert_int_equal(descriptors_open(), before + 1); /* the other attempt is gone */
    tn_abort(&conn);
    deaf_close(&deaf);
    close(listener);
}

TEST_IN_TASK(a_refused_first_address_costs_nothing)
{
    struct tn_conn *conn = NULL;
    tn_addr first = nobody(AF_INET6), addr, peer;
    int listener = raw_listen(AF_INET, &addr);

    set_book(&first, &addr, NULL);
    dial_at_once("refused-first.test:1", TN_OK, &conn);
    peer = tn_peer(conn);
    assert_true(tn_addr_same(&peer, &addr));
    tn_abort(&conn);
    close(listener);
}

/* "As soon as that failed": though an earlier attempt is still under way. */
TEST_IN_TASK(a_failed_attempt_is_followed_at_once)
{
    struct tn_conn *conn = NULL;
    struct deaf deaf;
    tn_addr second = nobody(AF_INET), addr;
    int listener = raw_listen(AF_INET, &addr);

    deaf_open_at(&deaf, AF_INET6);
    set_book(&deaf.addr, &second, &addr);
    dial_in_250_ms("three.test:1", &conn);
    tn_abort(&conn);
    deaf_close(&deaf);
    close(listener);
}

TEST_IN_TASK(a_first_address_that_answers_late_still_wins)
{
    struct dialer self = { .where = "late.test:1", .deadline = rig_patience() };
    struct tn_task *task = NULL;
    tn_addr other = nobody(AF_INET), peer;
    struct deaf deaf;
    tn_err result;

    deaf_open_at(&deaf, AF_INET6);
    set_book(&deaf.addr, &other, NULL);
    assert_ok(tn_go(NULL, dial_where, &self, NULL, &task));
    assert_ok(tn_sleep(tn_in(300 * TN_MS))); /* the second has been refused */
    for (int i = 0; i < 4; i++)
        close((int)TEMP_FAILURE_RETRY(
            accept4(deaf.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)));
    assert_ok(tn_join(&task, &result, rig_patience())); /* its SYN is sent again at 1 s */
    assert_ok(result);
    peer = tn_peer(self.conn);
    assert_true(tn_addr_same(&peer, &deaf.addr));
    tn_abort(&self.conn);
    deaf_close(&deaf);
}

TEST_IN_TASK(when_all_fail_the_last_failure_is_told)
{
    struct tn_conn *conn = NULL;
    tn_addr one = nobody(AF_INET6), two = nobody(AF_INET);

    set_book(&one, &two, NULL);
    dial_at_once("nobody.test:1", TN_REFUSED, &conn);
    assert_ok(tn_addr_parse("224.0.0.1:1", &two));
    set_book(&one, &two, NULL);
    assert_kind(tn_dial(&conn, "nobody.test:1", NULL, rig_patience()), TN_UNREACHABLE);
    assert_null(conn);
}

TEST_IN_TASK(a_deadline_ends_all_attempts)
{
    struct tn_conn *conn = NULL;
    struct deaf one, two;
    unsigned before;
    int64_t took = TN_SECOND;

    look_up_once();
    deaf_open_at(&one, AF_INET6);
    deaf_open_at(&two, AF_INET);
    set_book(&one.addr, &two.addr, NULL);
    before = descriptors_open();
    for (int tries = 0; took > 450 * TN_MS; tries++) {
        int64_t start = tn_now();

        assert_true(tries < TRIES);
        assert_kind(tn_dial(&conn, "deaf.test:1", NULL, tn_in(300 * TN_MS)), TN_DEADLINE);
        took = tn_now() - start;
        assert_true(took >= 300 * TN_MS);
    }
    assert_int_equal(descriptors_open(), before);
    assert_null(conn);
    deaf_close(&one);
    deaf_close(&two);
}

static tn_err cancel_soon(void *arg)
{
    assert_ok(tn_sleep(tn_in(20 * TN_MS)));
    tn_cancel(*(struct tn_task **)arg);
    return tn_ok();
}

TEST_IN_TASK(a_cancel_ends_all_attempts)
{
    struct dialer self = { .where = "deaf.test:1", .deadline = rig_patience() };
    struct tn_task *task = NULL;
    struct deaf one, two;
    tn_err result;

    deaf_open_at(&one, AF_INET6);
    deaf_open_at(&two, AF_INET);
    set_book(&one.addr, &two.addr, NULL);
    assert_ok(tn_go(NULL, dial_where, &self, NULL, &task));
    assert_ok(tn_go(NULL, cancel_soon, &task, NULL, NULL));
    assert_ok(tn_join(&task, &result, rig_patience()));
    assert_kind(result, TN_CANCELED);
    assert_null(self.conn);
    deaf_close(&one);
    deaf_close(&two);
}

/* A shielded dial in a canceled task, as a clean-up may need it. */
static tn_err dial_canceled(void *arg)
{
    struct dialer *self = arg;

    while (!tn_canceled())
        tn_yield();
    self->deadline = tn_shielded(RIG_PATIENCE);
    return dial_where(self);
}

TEST_IN_TASK(a_shield_holds_for_all_attempts_and_no_longer_than_needed)
{
    struct dialer self = { .where = "dead-first.test:1" };
    struct tn_task *task = NULL;
    struct deaf deaf;
    tn_addr addr;
    int listener = raw_listen(AF_INET, &addr);
    int64_t start = tn_now();
    tn_err result;

    deaf_open_at(&deaf, AF_INET6);
    set_book(&deaf.addr, &addr, NULL);
    assert_ok(tn_go(NULL, dial_canceled, &self, NULL, &task));
    tn_cancel(task);
    assert_ok(tn_join(&task, &result, rig_patience()));
    assert_ok(result);
    assert_true(tn_now() - start < RIG_PATIENCE / 2);
    tn_abort(&self.conn);
    deaf_close(&deaf);
    close(listener);
}

TEST_IN_TASK(families_take_turns_and_doubles_are_left_out)
{
    tn_addr list[4];
    size_t count = 0;

    book.count = 4;
    assert_ok(tn_addr_parse("[::1]:1", &book.addr[0]));
    assert_ok(tn_addr_parse("[::1]:1", &book.addr[1]));
    assert_ok(tn_addr_parse("[::2]:1", &book.addr[2]));
    assert_ok(tn_addr_parse("127.0.0.1:1", &book.addr[3]));
    assert_ok(tn_resolve("many.test:1", TN_ANY, list, 4, &count, rig_patience()));
    assert_int_equal(count, 3);
    assert_true(tn_addr_same(&list[0], &book.addr[0]));
    assert_true(tn_addr_same(&list[1], &book.addr[3]));
    assert_true(tn_addr_same(&list[2], &book.addr[2]));
    assert_ok(tn_resolve("many.test:1", TN_ANY, list, 2, &count, rig_patience()));
    assert_int_equal(count, 2);
}

/* One port on both families, as a real server has it; the name is the system's. */
/* The helper that was left behind may still have its files open. */
TEST_IN_TASK(a_name_is_not_waited_for_once_the_time_is_over, .may_leave_fds = true)
{
    tn_addr list[1];
    size_t count = 7;

    assert_kind(tn_resolve("localhost:80", TN_ANY, list, 1, &count, tn_in(0)),
                TN_DEADLINE);
    assert_int_equal(count, 7);
}

TEST_IN_TASK(localhost_is_dialed_by_name)
{
    struct tn_conn *conn = NULL;
    tn_addr v4, v6;
    int listener = raw_listen(AF_INET, &v4), listener6;
    char where[32];

    listener6 = listen_on_port(AF_INET6, tn_addr_port(&v4), &v6);
    snprintf(where, sizeof(where), "localhost:%u", tn_addr_port(&v4));
    assert_ok(tn_dial(&conn, where, NULL, rig_patience()));
    tn_abort(&conn);
    close(listener);
    close(listener6);
}

/* ---- want ---- */

struct want {
    struct fault fault;
    unsigned failures;
};

static tn_err dial_with_faults(void *arg)
{
    struct want *self = arg;
    tn_addr first = nobody(AF_INET6), addr;
    int listener = raw_listen(AF_INET, &addr);

    set_book(&first, &addr, NULL);
    for (uint64_t nth = 1;; nth++) {
        struct tn_conn *conn = NULL;
        uint64_t failed = self->fault.failed;
        tn_err err;

        fault_nth(&self->fault, nth, ENOMEM);
        err = tn_dial(&conn, "both.test:1", NULL, rig_patience());
        fault_off(&self->fault);
        /* It may have been got round; but then there is a connection. */
        assert_true(tn_failed(err) == (conn == NULL));
        if (tn_failed(err))
            assert_int_equal(err.kind, TN_LIMIT);
        self->failures += tn_failed(err);
        tn_abort(&conn);
        if (self->fault.failed == failed)
            break;
    }
    close(listener);
    return tn_ok();
}

/* The first attempt is refused anyhow; no failure may leave success without a connection. */
TEST_ON_DRIVERS(each_call_of_a_dial_may_fail)
{
    struct want self = { .failures = 0 };

    fault_init(&self.fault, &os_linux);
    assert_ok(run_on(&self.fault.os, dial_with_faults, &self, NULL));
    assert_in_range(self.failures, 3, 60);
}

static tn_err dial_without_memory(void *arg)
{
    struct want *self = arg;
    struct tn_conn *conn = NULL;
    tn_addr addr;
    int listener = raw_listen(AF_INET, &addr), fd, end = 0;

    fault_name(&self->fault, FAULT_ALLOCATE, 1, 1, ENOMEM);
    assert_kind(tn_dial_addr(&conn, &addr, NULL, rig_patience()), TN_LIMIT);
    fault_off(&self->fault);
    assert_null(conn);
    fd = raw_accept(listener); /* the kernel had connected them */
    WAIT_UNTIL((raw_drain(fd, &end), end != 0));
    assert_int_equal(end, -ECONNRESET);
    close(fd);
    close(listener);
    return tn_ok();
}

TEST_ON_DRIVERS(a_dial_that_fails_after_it_connected_is_no_end_for_the_peer)
{
    struct want self = { .failures = 0 };

    fault_init(&self.fault, &os_linux);
    assert_ok(run_on(&self.fault.os, dial_without_memory, &self, NULL));
}

static tn_err dial_without_tasks(void *arg)
{
    struct tn_conn *conn = NULL;
    struct deaf deaf;
    tn_addr addr;
    int listener = raw_listen(AF_INET, &addr);

    (void)arg;
    deaf_open_at(&deaf, AF_INET6);
    set_book(&deaf.addr, &addr, NULL);
    assert_kind(tn_dial(&conn, "dead-first.test:1", NULL, tn_in(350 * TN_MS)),
                TN_DEADLINE);
    assert_null(conn);
    set_book(&addr, &deaf.addr, NULL);
    assert_ok(tn_dial(&conn, "live-first.test:1", NULL, rig_patience()));
    tn_abort(&conn);
    deaf_close(&deaf);
    close(listener);
    return tn_ok();
}

TEST_ON_DRIVERS(without_a_task_for_it_an_attempt_is_left_out)
{
    struct tn_loop_options options = { .tasks_max = 2 };

    test_run(dial_without_tasks, NULL, &options, TN_OK, __FILE__, __LINE__);
}
