/* SPDX-License-Identifier: MIT */
/*
 * conn_listen_test.c -- listening: where, which families, the files of Unix sockets, faults.
 */
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "net/net_rig.h"
#include "os/fault.h"
#include "task/run.h"

static char folder[] = "/tmp/tenon-listen-XXXXXX";
static bool folder_made; /* its name does not tell: it may end with an X then, too */

/* The path of NAME in a folder of this test's own; "unix:" before it. */
static const char *in_folder(const char *name)
{
    static char path[4][96];
    static unsigned turn;
    char *text = path[turn++ % 4];

    if (!folder_made)
        assert_non_null(mkdtemp(folder));
    folder_made = true;
    snprintf(text, sizeof(path[0]), "unix:%s/%s", folder, name);
    return text;
}

static void remove_folder(void)
{
    assert_int_equal(rmdir(folder), 0); /* and so nothing is left in it */
}

static const char *path_of(const char *text)
{
    return text + strlen("unix:");
}

static struct tn_listener *listening(const char *where,
                                     const struct tn_listen_options *options)
{
    struct tn_listener *listener = NULL;

    assert_ok(tn_listen(&listener, where, options));
    return listener;
}

static void assert_refused(const tn_addr *addr)
{
    int fd = socket(addr->as.family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (const struct sockaddr *)addr->as.bytes, addr->size),
                     -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
}

/* LISTENER takes a connection that comes to ADDR. */
static void assert_accepts(struct tn_listener *listener, const tn_addr *addr)
{
    struct tn_conn *conn = NULL;
    int fd = raw_connect(addr);

    assert_ok(tn_accept(listener, &conn, rig_patience()));
    tn_abort(&conn);
    close(fd);
}

static tn_addr with_port(const char *host, uint16_t port)
{
    char text[TN_ADDR_TEXT];
    tn_addr addr;

    snprintf(text, sizeof(text), "%s:%u", host, port);
    assert_ok(tn_addr_parse(text, &addr));
    return addr;
}

TEST_IN_TASK(port_0_is_told_back)
{
    struct tn_listener *one = listening("127.0.0.1:0", NULL);
    struct tn_listener *other = listening("127.0.0.1:0", NULL);
    tn_addr addr = tn_listener_addr(one), addr2 = tn_listener_addr(other);

    assert_int_not_equal(tn_addr_port(&addr), 0);
    assert_int_not_equal(tn_addr_port(&addr), tn_addr_port(&addr2));
    assert_accepts(one, &addr);
    assert_accepts(other, &addr2);
    tn_listener_close(&one);
    assert_null(one);
    assert_refused(&addr);
    tn_listener_close(&other);
    tn_listener_close(&other); /* an empty one is fine */
}

TEST_IN_TASK(a_bare_port_takes_both_families)
{
    struct tn_listener *listener = listening(":0", NULL);
    tn_addr addr = tn_listener_addr(listener);
    uint16_t port = tn_addr_port(&addr);

    addr = with_port("127.0.0.1", port);
    assert_accepts(listener, &addr);
    addr = with_port("[::1]", port);
    assert_accepts(listener, &addr);
    tn_listener_close(&listener);
}

/* A socket that keeps others from listening at ADDR, or -1 if somebody does. */
static int hold(const tn_addr *addr)
{
    int fd = socket(addr->as.family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (addr->as.family == AF_INET6)
        raw_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (bind(fd, (const struct sockaddr *)addr->as.bytes, addr->size) == 0)
        return fd;
    assert_int_equal(errno, EADDRINUSE);
    close(fd);
    return -1;
}

/* That port of the SILENT address may be another program's: then another one is tried. */
static void assert_leaves_alone(const struct tn_listen_options *options,
                                const char *heard, const char *silent)
{
    struct tn_listener *listener = NULL;
    tn_addr there, not_there;
    int held = -1;

    for (int tries = 0; held < 0; tries++) {
        assert_true(tries < 20);
        tn_listener_close(&listener);
        listener = listening(":0", options);
        there = tn_listener_addr(listener);
        not_there = with_port(silent, tn_addr_port(&there));
        there = with_port(heard, tn_addr_port(&there));
        held = hold(&not_there);
    }
    assert_accepts(listener, &there);
    assert_refused(&not_there);
    close(held);
    tn_listener_close(&listener);
}

TEST_IN_TASK(only_ipv6_and_the_families_leave_the_other_alone)
{
    struct tn_listen_options only = { .only_ipv6 = true };
    struct tn_listen_options v6 = { .family = TN_IPV6 }, v4 = { .family = TN_IPV4 };

    assert_leaves_alone(&only, "[::1]", "127.0.0.1");
    assert_leaves_alone(&v6, "[::1]", "127.0.0.1");
    assert_leaves_alone(&v4, "127.0.0.1", "[::1]");
}

/* 127.0.0.2: the port is chosen for ::1 alone, and other programs use 127.0.0.1. */
TEST_IN_TASK(one_address_is_not_the_wildcard)
{
    struct tn_listener *listener = listening("[::1]:0", NULL);
    tn_addr addr = tn_listener_addr(listener);
    tn_addr v4 = with_port("127.0.0.2", tn_addr_port(&addr));

    assert_accepts(listener, &addr);
    assert_refused(&v4);
    tn_listener_close(&listener);
}

TEST_IN_TASK(an_address_in_use_is_said_to_be)
{
    struct tn_listener *listener = listening("127.77.0.1:0", NULL); /* its own host */
    struct tn_listener *second = (void *)&second;
    tn_addr addr = tn_listener_addr(listener);
    char text[TN_ADDR_TEXT];

    assert_kind(tn_listen(&second, tn_addr_text(&addr, text, sizeof(text)), NULL),
                TN_IN_USE);
    assert_ptr_equal(second, &second); /* as it was */
    tn_listener_close(&listener);
    listener = listening(text, NULL); /* free again at once */
    tn_listener_close(&listener);
}

TEST_IN_TASK(an_address_can_be_taken_again_while_old_connections_linger)
{
    struct tn_listener *listener = listening("127.0.0.1:0", NULL);
    tn_addr addr = tn_listener_addr(listener);
    int fd = raw_connect(&addr);
    struct tn_conn *conn = NULL;
    char text[TN_ADDR_TEXT];

    assert_ok(tn_accept(listener, &conn, rig_patience()));
    tn_ignore(tn_close(&conn, NULL, tn_in(0))); /* we end first: TIME_WAIT is ours */
    close(fd);
    tn_listener_close(&listener);
    listener = listening(tn_addr_text(&addr, text, sizeof(text)), NULL);
    tn_listener_close(&listener);
}

TEST_IN_TASK(a_port_can_be_shared_when_both_say_so)
{
    struct tn_listen_options options = { .reuse_port = true };
    struct tn_listener *one = listening("127.0.0.1:0", &options);
    tn_addr addr = tn_listener_addr(one);
    char text[TN_ADDR_TEXT];
    struct tn_listener *other =
        listening(tn_addr_text(&addr, text, sizeof(text)), &options);

    tn_listener_close(&one);
    assert_accepts(other, &addr);
    tn_listener_close(&other);
}

TEST_IN_TASK(what_is_no_address_of_ours_is_refused_by_kind)
{
    struct tn_listener *listener = NULL;

    assert_kind(tn_listen(&listener, "192.0.2.1:0", NULL), TN_UNREACHABLE);
    assert_kind(tn_listen(&listener, "127.0.0.1", NULL), TN_INVALID);
    assert_kind(tn_listen(&listener, "127.0.0.1:70000", NULL), TN_INVALID);
    assert_kind(tn_listen(&listener, "/nowhere/at/all", NULL), TN_NOT_FOUND);
    assert_null(listener);
}

/* ---- Unix sockets ---- */

TEST_IN_TASK(a_unix_listener_makes_its_file_and_removes_it)
{
    const char *where = in_folder("s");
    struct tn_listener *listener = listening(where, NULL);
    tn_addr addr = tn_listener_addr(listener);
    char text[TN_ADDR_TEXT];
    struct stat file;

    assert_string_equal(tn_addr_text(&addr, text, sizeof(text)), where);
    assert_int_equal(stat(path_of(where), &file), 0);
    assert_true(S_ISSOCK(file.st_mode));
    assert_accepts(listener, &addr);
    tn_listener_close(&listener);
    assert_int_equal(stat(path_of(where), &file), -1);
    remove_folder();
}

TEST_IN_TASK(a_forked_child_that_gives_up_its_copy_leaves_the_file)
{
    const char *where = in_folder("s");
    struct tn_listener *listener = listening(where, NULL);
    tn_addr addr = tn_listener_addr(listener);
    pid_t child = fork();
    int status = -1;

    if (child == 0) {
        tn_listener_close(&listener);
        _exit(0);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    assert_int_equal(status, 0);
    assert_accepts(listener, &addr);
    tn_listener_close(&listener);
    remove_folder();
}

TEST_IN_TASK(the_mode_of_the_file_is_as_asked)
{
    struct tn_listen_options options = { .mode = 0600 };
    const char *where = in_folder("s");
    struct tn_listener *listener = listening(where, &options);
    struct stat file;

    assert_int_equal(stat(path_of(where), &file), 0);
    assert_int_equal(file.st_mode & 07777, 0600);
    tn_listener_close(&listener);
    remove_folder();
}

TEST_IN_TASK(an_abstract_name_leaves_no_file)
{
    struct tn_listener *listener = NULL, *second = NULL;
    char where[64];
    tn_addr addr;

    snprintf(where, sizeof(where), "unix:@tenon-test-%d", (int)getpid());
    listener = listening(where, NULL);
    addr = tn_listener_addr(listener);
    assert_accepts(listener, &addr);
    assert_kind(tn_listen(&second, where, NULL), TN_IN_USE);
    tn_listener_close(&listener);
    assert_refused(&addr);
}

TEST_IN_TASK(a_left_over_socket_file_is_replaced)
{
    const char *where = in_folder("s");
    struct tn_listener *listener;
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    tn_addr addr;

    snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path_of(where));
    assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
    assert_int_equal(listen(fd, 1), 0);
    close(fd); /* as of a program that was killed: the file stays */
    listener = listening(where, NULL);
    addr = tn_listener_addr(listener);
    assert_accepts(listener, &addr);
    tn_listener_close(&listener);
    remove_folder();
}

TEST_IN_TASK(a_socket_that_somebody_listens_on_is_in_use)
{
    const char *where = in_folder("s");
    struct tn_listener *listener = listening(where, NULL), *second = NULL;
    tn_addr addr = tn_listener_addr(listener);

    assert_kind(tn_listen(&second, where, NULL), TN_IN_USE);
    while (tn_listener_addr(listener).size != 0) { /* its probe waits in the queue */
        struct tn_conn *conn = NULL;

        if (tn_failed(tn_accept(listener, &conn, tn_in(0))))
            break;
        tn_abort(&conn);
    }
    assert_accepts(listener, &addr);
    tn_listener_close(&listener);
    remove_folder();
}

/* connect(2) refuses a regular file with the very error of a left-over socket. */
TEST_IN_TASK(a_file_that_is_no_socket_is_kept)
{
    const char *where = in_folder("precious");
    struct tn_listener *listener = NULL;
    struct stat file;
    int fd = open(path_of(where), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    assert_int_equal(write(fd, "data", 4), 4);
    close(fd);
    assert_kind(tn_listen(&listener, where, NULL), TN_IN_USE);
    assert_int_equal(stat(path_of(where), &file), 0);
    assert_int_equal(file.st_size, 4);
    assert_int_equal(unlink(path_of(where)), 0);
    assert_int_equal(mkdir(path_of(where), 0700), 0);
    assert_kind(tn_listen(&listener, where, NULL), TN_IN_USE);
    assert_int_equal(rmdir(path_of(where)), 0);
    assert_int_equal(symlink("/nowhere/at/all", path_of(where)), 0);
    assert_kind(tn_listen(&listener, where, NULL), TN_IN_USE);
    assert_int_equal(unlink(path_of(where)), 0);
    remove_folder();
}

/* Only the one of the two that is a socket may be thrown away, and it is no file of ours. */
TEST_IN_TASK(a_link_to_a_left_over_socket_is_kept)
{
    const char *target = in_folder("target"), *where = in_folder("link");
    struct tn_listener *listener = NULL;
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path_of(target));
    assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
    close(fd);
    assert_int_equal(symlink(path_of(target), path_of(where)), 0);
    assert_kind(tn_listen(&listener, where, NULL), TN_IN_USE);
    assert_int_equal(unlink(path_of(where)), 0);
    assert_int_equal(unlink(path_of(target)), 0);
    remove_folder();
}

TEST_IN_TASK(a_file_that_took_the_place_of_ours_is_kept)
{
    const char *where = in_folder("s");
    struct tn_listener *listener = listening(where, NULL), *second;

    assert_int_equal(unlink(path_of(where)), 0);
    second = listening(where, NULL); /* somebody else's, by the same name */
    tn_listener_close(&listener);
    assert_int_equal(access(path_of(where), F_OK), 0);
    tn_listener_close(&second);
    assert_int_equal(access(path_of(where), F_OK), -1);
    remove_folder();
}

TEST_IN_TASK(a_datagram_socket_of_that_name_is_kept)
{
    const char *where = in_folder("s");
    struct tn_listener *listener = NULL;
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path_of(where));
    assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
    assert_kind(tn_listen(&listener, where, NULL), TN_IN_USE);
    close(fd);
    assert_int_equal(unlink(path_of(where)), 0);
    remove_folder();
}

/* ---- options ---- */

TEST_IN_TASK(a_backlog_is_as_asked_or_the_systems_most)
{
    struct tn_listen_options options = { .backlog = 2 };
    struct tn_listener *listener = listening("127.0.0.1:0", &options);
    tn_addr addr = tn_listener_addr(listener);
    int fds[3];

    for (int i = 0; i < 3; i++) /* listen(2) admits one more than it is told */
        fds[i] = raw_connect(&addr);
    int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(connect(late, (const struct sockaddr *)addr.as.bytes, addr.size),
                     -1);
    struct pollfd ready = { .fd = late, .events = POLLOUT };
    struct timespec wait = { .tv_nsec = 50 * TN_MS };
    sigset_t all;
    sigfillset(&all);                                   /* with alarms, too */
    assert_int_equal(ppoll(&ready, 1, &wait, &all), 0); /* its SYN is dropped */
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    close(late);
    tn_listener_close(&listener);
}

/* ---- what fails ---- */

struct listen_fault {
    struct fault fault;
    char where[64];
};

static tn_err listen_with_faults(void *arg)
{
    static const enum fault_call calls[] = { FAULT_SOCKET, FAULT_BIND, FAULT_CHMOD,
                                             FAULT_LISTEN, FAULT_ALLOCATE };
    struct tn_listen_options options = { .mode = 0600 };
    struct listen_fault *self = arg;
    struct tn_listener *listener = NULL;

    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        fault_name(&self->fault, calls[i], 1, 1, calls[i] == FAULT_BIND ? EACCES : 0);
        if (!tn_failed(tn_listen(&listener, self->where, &options)))
            fail_test("listens without %s", fault_text(calls[i]));
        assert_int_equal(access(self->where, F_OK), -1); /* no file is left */
    }
    assert_null(listener);
    return tn_ok();
}

/* Where the kernel has no IPv6, ":port" is IPv4's. */
static tn_err listen_without_ipv6(void *arg)
{
    const struct tn_listen_options only = { .only_ipv6 = true };
    struct fault *fault = arg;
    struct tn_listener *listener = NULL;
    tn_addr at;

    fault_name(fault, FAULT_SOCKET, 1, 1, EAFNOSUPPORT);
    assert_ok(tn_listen(&listener, ":0", NULL));
    at = tn_listener_addr(listener);
    assert_int_equal(at.as.family, AF_INET);
    assert_true(tn_addr_port(&at) != 0);
    tn_listener_close(&listener);
    fault_name(fault, FAULT_SOCKET, 1, 1, EAFNOSUPPORT);
    assert_kind(tn_listen(&listener, ":0", &only), TN_UNSUPPORTED);
    assert_null(listener);
    return tn_ok();
}

TEST_ON_DRIVERS(without_ipv6_a_bare_port_is_ipv4)
{
    struct fault fault;

    fault_init(&fault, &os_linux);
    assert_ok(run_on(&fault.os, listen_without_ipv6, &fault, NULL));
}

TEST_ON_DRIVERS(a_listen_that_fails_leaves_nothing)
{
    struct listen_fault self;

    fault_init(&self.fault, &os_linux);
    snprintf(self.where, sizeof(self.where), "/tmp/tenon-listen-%d", (int)getpid());
    assert_ok(run_on(&self.fault.os, listen_with_faults, &self, NULL));
}
