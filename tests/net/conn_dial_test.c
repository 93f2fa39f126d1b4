/* SPDX-License-Identifier: MIT */
/*
 * conn_dial_test.c -- connecting: to whom, from where, and what it says when it cannot.
 */
#include <sys/resource.h>
#include <sys/wait.h>

#include "net/net_rig.h"

static const char *text_of(const tn_addr *addr)
{
    static char text[TN_ADDR_TEXT];

    return tn_addr_text(addr, text, sizeof(text));
}

TEST_IN_TASK(a_dial_connects_and_knows_both_addresses)
{
    static const sa_family_t families[] = { AF_INET, AF_INET6, AF_UNIX };

    for (size_t i = 0; i < COUNT_OF(families); i++) {
        struct tn_conn *conn = NULL;
        struct sockaddr_storage at;
        socklen_t size = sizeof(at);
        tn_addr addr, found;
        int listener = raw_listen(families[i], &addr), fd;

        assert_ok(tn_dial(&conn, text_of(&addr), NULL, rig_patience()));
        fd = raw_accept(listener);
        found = tn_peer(conn);
        assert_true(tn_addr_same(&found, &addr));
        assert_int_equal(getpeername(fd, (struct sockaddr *)&at, &size), 0);
        addr = tn_addr_from((struct sockaddr *)&at, size);
        found = tn_local(conn);
        assert_true(tn_addr_same(&found, &addr));
        tn_abort(&conn);
        close(fd);
        close(listener);
    }
}

TEST_IN_TASK(the_wildcard_dials_this_host_and_tells_the_real_peer)
{
    static const sa_family_t families[] = { AF_INET, AF_INET6 };
    static const char *const wildcards[] = { "0.0.0.0", "" };

    for (size_t i = 0; i < COUNT_OF(families); i++) {
        struct tn_conn *conn = NULL;
        tn_addr addr, peer;
        int listener = raw_listen(families[i], &addr);
        char where[32];

        snprintf(where, sizeof(where), "%s:%u", wildcards[i], tn_addr_port(&addr));
        assert_ok(tn_dial(&conn, where, NULL, rig_patience()));
        peer = tn_peer(conn);
        assert_true(tn_addr_same(&peer, &addr));
        tn_abort(&conn);
        close(listener);
    }
}

TEST_IN_TASK(on_loopback_a_dial_is_over_without_a_turn_of_the_loop)
{
    static const sa_family_t families[] = { AF_INET, AF_INET6 };

    for (size_t i = 0; i < COUNT_OF(families); i++) {
        struct tn_loop_facts before, after;
        struct tn_conn *conn = NULL;
        tn_addr addr;
        int listener = raw_listen(families[i], &addr);

        tn_loop_facts(NULL, &before);
        assert_ok(tn_dial_addr(&conn, &addr, NULL, rig_patience()));
        tn_loop_facts(NULL, &after);
        assert_int_equal(after.turns, before.turns);
        tn_abort(&conn);
        assert_kind(tn_dial_addr(&conn, &addr, NULL, TN_NOW), TN_DEADLINE);
        close(listener);
    }
}

TEST_IN_TASK(nobody_there_is_refused)
{
    static const sa_family_t families[] = { AF_INET, AF_INET6, AF_UNIX };
    struct tn_conn *conn = (void *)&conn;

    for (size_t i = 0; i < COUNT_OF(families); i++) {
        tn_addr addr = nobody(families[i]);

        assert_kind(tn_dial(&conn, text_of(&addr), NULL, rig_patience()), TN_REFUSED);
        assert_kind(tn_dial_addr(&conn, &addr, NULL, rig_patience()), TN_REFUSED);
    }
    assert_ptr_equal(conn, &conn); /* as it was */
}

TEST_IN_TASK(no_such_unix_socket_is_not_found)
{
    struct tn_conn *conn = NULL;

    assert_kind(tn_dial(&conn, "/nowhere/at/all", NULL, rig_patience()), TN_NOT_FOUND);
    assert_kind(tn_dial(&conn, "/dev/null/x", NULL, rig_patience()), TN_NOT_FOUND);
    assert_kind(tn_dial(&conn, "/dev/null", NULL, rig_patience()), TN_REFUSED);
}

TEST_IN_TASK(what_no_route_leads_to_is_unreachable)
{
    struct tn_conn *conn = NULL;

    /* TCP has no way to a group of hosts (tcp_v4_connect), whatever routes there are. */
    assert_kind(tn_dial(&conn, "224.0.0.1:80", NULL, rig_patience()), TN_UNREACHABLE);
    assert_kind(tn_dial(&conn, "255.255.255.255:80", NULL, rig_patience()),
                TN_UNREACHABLE);
    assert_null(conn);
}

TEST_IN_TASK(a_host_without_routes_is_unreachable)
{
    struct tn_conn *conn = NULL;

    rig_own_network();
    assert_kind(tn_dial(&conn, "192.0.2.1:80", NULL, rig_patience()), TN_UNREACHABLE);
    assert_kind(tn_dial(&conn, "[2001:db8::1]:80", NULL, rig_patience()), TN_UNREACHABLE);
}

TEST_IN_TASK(an_address_that_is_none_is_invalid)
{
    struct tn_conn *conn = NULL;
    struct tn_conn_options options = { .source = "127.0.0.1" };

    assert_kind(tn_dial(&conn, "127.0.0.1", NULL, rig_patience()), TN_INVALID);
    assert_kind(tn_dial(&conn, "127.0.0.1:99999", NULL, rig_patience()), TN_INVALID);
    assert_kind(tn_dial(&conn, "127.0.0.1:1", &options, rig_patience()), TN_INVALID);
}

TEST_IN_TASK(no_answer_ends_at_the_deadline)
{
    struct tn_conn *conn = NULL;
    struct deaf deaf;
    int64_t start = tn_now();

    deaf_open_at(&deaf, AF_INET);
    assert_kind(tn_dial_addr(&conn, &deaf.addr, NULL, tn_in(60 * TN_MS)), TN_DEADLINE);
    assert_in_range(tn_now() - start, 60 * TN_MS, RIG_PATIENCE * test_scale());
    assert_kind(tn_dial_addr(&conn, &deaf.addr, NULL, TN_NOW), TN_DEADLINE);
    assert_null(conn);
    deaf_close(&deaf);
}

/* connect(2) on a full Unix queue says EAGAIN and promises no event. */
TEST_IN_TASK(a_full_unix_queue_is_waited_for)
{
    struct tn_conn *conn = NULL;
    struct deaf deaf;

    deaf_open_at(&deaf, AF_UNIX);
    assert_kind(tn_dial_addr(&conn, &deaf.addr, NULL, tn_in(30 * TN_MS)), TN_DEADLINE);
    assert_null(conn);
    for (int i = 0; i < 2; i++)
        close(raw_accept(deaf.listener));
    assert_ok(tn_dial_addr(&conn, &deaf.addr, NULL, rig_patience()));
    tn_abort(&conn);
    deaf_close(&deaf);
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

TEST_IN_TASK(a_cancel_ends_a_dial)
{
    static const sa_family_t families[] = { AF_INET, AF_UNIX };

    for (size_t i = 0; i < COUNT_OF(families); i++) {
        struct tn_task *task = NULL;
        struct dialer self = { .deadline = rig_patience() };
        struct deaf deaf;
        tn_err result;

        deaf_open_at(&deaf, families[i]);
        self.where = text_of(&deaf.addr);
        assert_ok(tn_go(NULL, dial_where, &self, NULL, &task));
        rig_turns();
        tn_cancel(task);
        assert_ok(tn_join(&task, &result, rig_patience()));
        assert_kind(result, TN_CANCELED);
        assert_null(self.conn);
        deaf_close(&deaf);
    }
}

/*
 * The socket of a dial that was given up lives on in a child, and so does the driver's request
 * on it: its death is told under a number that is another socket's by then.
 */
TEST_IN_TASK(what_becomes_of_a_former_dial_is_not_told_to_the_next_one)
{
    struct tn_task *task = NULL;
    struct dialer former = { .deadline = tn_in(200 * TN_MS) };
    struct deaf one, other;
    struct tn_conn *conn = NULL;
    tn_err result;
    pid_t child;

    deaf_open_at(&one, AF_INET);
    deaf_open_at(&other, AF_INET);
    former.where = text_of(&one.addr);
    assert_ok(tn_go(NULL, dial_where, &former, NULL, &task));
    rig_turns();
    child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    assert_ok(tn_join(&task, &result, rig_patience()));
    assert_kind(result, TN_DEADLINE);
    assert_int_equal(shutdown(one.listener, SHUT_RDWR), 0); /* its next SYN is refused */
    assert_kind(tn_dial_addr(&conn, &other.addr, NULL, tn_in(1500 * TN_MS)), TN_DEADLINE);
    kill(child, SIGKILL);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        continue;
    deaf_close(&one);
    deaf_close(&other);
}

/* ---- options ---- */

TEST_IN_TASK(the_source_address_is_as_asked)
{
    struct tn_conn_options options = { .source = "127.0.0.77:0" };
    struct tn_conn *conn = NULL;
    tn_addr addr, near;
    int listener = raw_listen(AF_INET, &addr);
    char text[TN_ADDR_TEXT];

    assert_ok(tn_dial_addr(&conn, &addr, &options, rig_patience()));
    near = tn_local(conn);
    assert_memory_equal(tn_addr_text(&near, text, sizeof(text)), "127.0.0.77:", 11);
    tn_abort(&conn);
    options.source = "192.0.2.1:0"; /* not of this host */
    assert_kind(tn_dial_addr(&conn, &addr, &options, rig_patience()), TN_UNREACHABLE);
    close(listener);
}

TEST_IN_TASK(buffers_are_set_before_the_handshake)
{
    struct tn_conn_options options = { .receive_buffer = 4096 };
    struct wire wire = wire_open_with(AF_INET, &options);
    size_t took = 0;
    ssize_t sent;
    static char bytes[1 << 20];

    /* What the peer may send before we read is the window that the handshake offered. */
    while ((sent = send(wire.peer, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL)) >
           0)
        took += (size_t)sent;
    int queued = 0;
    assert_int_equal(ioctl(wire.peer, SIOCOUTQ, &queued), 0);
    assert_true(took - (size_t)queued < 8192);
    wire_drop(&wire);
}

TEST_IN_TASK(a_source_port_can_be_chosen)
{
    struct tn_conn_options options = { 0 };
    tn_addr source = nobody(AF_INET), addr, near;
    struct tn_conn *conn = NULL;
    int listener = raw_listen(AF_INET, &addr);
    char text[TN_ADDR_TEXT];

    options.source = tn_addr_text(&source, text, sizeof(text));
    assert_ok(tn_dial_addr(&conn, &addr, &options, rig_patience()));
    near = tn_local(conn);
    assert_true(tn_addr_same(&near, &source));
    tn_abort(&conn);
    close(listener);
}

TEST_IN_TASK(a_source_port_that_has_such_a_connection_is_in_use)
{
    struct tn_conn_options options = { 0 };
    tn_addr source = nobody(AF_INET), addr;
    struct tn_conn *conn = NULL, *second = NULL;
    int listener = raw_listen(AF_INET, &addr);
    char text[TN_ADDR_TEXT];

    options.source = tn_addr_text(&source, text, sizeof(text));
    assert_ok(tn_dial_addr(&conn, &addr, &options, rig_patience()));
    assert_kind(tn_dial_addr(&second, &addr, &options, rig_patience()), TN_IN_USE);
    assert_null(second);
    tn_abort(&conn);
    close(listener);
}

TEST_IN_TASK(a_host_without_a_free_port_is_at_a_limit)
{
    struct tn_conn *conns[2] = { NULL }, *third = NULL;
    tn_addr addr;
    int listener, range;

    rig_own_network();
    listener = raw_listen(AF_INET, &addr);
    range = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY | O_CLOEXEC);
    if (range < 0)
        skip_test("no range of ports of one's own (%s)", strerror(errno));
    assert_int_equal(write(range, "20000 20001", 11), 11);
    close(range);
    for (int i = 0; i < 2; i++)
        assert_ok(tn_dial_addr(&conns[i], &addr, NULL, rig_patience()));
    assert_kind(tn_dial_addr(&third, &addr, NULL, rig_patience()), TN_LIMIT);
    assert_null(third);
    for (int i = 0; i < 2; i++)
        tn_abort(&conns[i]);
    close(listener);
}

/* With its own port as the source, TCP would connect a socket to itself (RFC 9293, 3.5). */
TEST_IN_TASK(a_connection_to_itself_is_refused)
{
    struct tn_conn_options options = { 0 };
    tn_addr source = nobody(AF_INET);
    struct tn_conn *conn = NULL;
    char text[TN_ADDR_TEXT];

    options.source = tn_addr_text(&source, text, sizeof(text));
    assert_kind(tn_dial_addr(&conn, &source, &options, rig_patience()), TN_REFUSED);
    assert_null(conn);
}

/* What was let go is closed by a turn of the loop, and on loopback no dial needs one. */
TEST_IN_TASK(dials_that_never_park_do_not_run_out_of_descriptors)
{
    int listener;
    tn_addr addr;
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 400;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    listener = raw_listen(AF_INET, &addr);
    for (int i = 0; i < 2000; i++) {
        struct tn_conn *conn = NULL;

        assert_ok(tn_dial_addr(&conn, &addr, NULL, rig_patience()));
        tn_abort(&conn);
        close(raw_accept(listener));
    }
    close(listener);
}
