/* SPDX-License-Identifier: MIT */
/*
 * conn_misuse_test.c -- what is a bug of the program stops it, and says which (tenon/conn.h):
 * bytes of two readers or two writers would be mixed, and nobody could tell.
 */
#include "net_rig.h"

#include <signal.h>
#include <sys/wait.h>

#include <tenon/pump.h>

/* Run BODY(ARG) as a program of its own: it has to be stopped by the check that SAYS so. */
static void expect_stopped(tn_task_fn *body, const char *says, const void *arg)
{
    char said[4096] = "";
    size_t used = 0;
    int ends[2], status;
    ssize_t got;
    pid_t child;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        tn_ignore(tn_run(body, (void *)(uintptr_t)arg, NULL));
        _exit(0);
    }
    assert_true(child > 0);
    close(ends[1]);
    while ((got = read(ends[0], said + used, sizeof(said) - 1 - used)) > 0 ||
           (got < 0 && errno == EINTR)) /* in the torture alarms rain */
        used += got > 0 ? (size_t)got : 0;
    close(ends[0]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (strstr(said, says) == NULL)
        fail_test("the program was to say '%s' and said '%s'", says, said);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static tn_err read_one(void *arg)
{
    struct tn_conn *conn = arg;
    size_t got;
    char byte;

    return tn_read(conn, &byte, 1, &got, TN_NEVER);
}

/* More than any socket takes: it waits. */
static tn_err write_much(void *arg)
{
    static char much[16 * 1024 * 1024];
    struct tn_conn *conn = arg;

    return tn_write(conn, much, sizeof(much), NULL, TN_NEVER);
}

static tn_err close_in_order(void *arg)
{
    struct tn_conn *conn = arg;

    return tn_close(&conn, NULL, tn_in(TN_SECOND));
}

/* ONE parks with a connection; then OTHER uses it, too. */
static tn_err both_use(tn_task_fn *one, tn_task_fn *other)
{
    struct tn_conn *near = NULL, *far = NULL;
    struct tn_task *task = NULL;

    assert_ok(tn_pair(&near, &far));
    assert_ok(tn_go(NULL, one, near, NULL, &task));
    tn_yield();
    tn_ignore(other(near));
    tn_cancel(task);
    assert_ok(tn_join(&task, NULL, TN_NEVER));
    return tn_ok();
}

static tn_err two_readers(void *arg)
{
    (void)arg;
    return both_use(read_one, read_one);
}

static tn_err two_writers(void *arg)
{
    (void)arg;
    return both_use(write_much, write_much);
}

static tn_err close_beside_a_reader(void *arg)
{
    (void)arg;
    return both_use(read_one, close_in_order);
}

static tn_err close_beside_a_writer(void *arg)
{
    (void)arg;
    return both_use(write_much, close_in_order);
}

static tn_err pump_into(void *arg)
{
    struct tn_conn *near = NULL, *far = NULL;
    struct tn_pump pump = { 0 };

    assert_ok(tn_pair(&near, &far));
    return tn_pump(&pump, near, arg, TN_NEVER);
}

static tn_err abort_conn(void *arg)
{
    struct tn_conn *conn = arg;

    tn_abort(&conn);
    return tn_ok();
}

static tn_err release_conn(void *arg)
{
    struct tn_conn *conn = arg;
    int fd;

    return tn_release(&conn, &fd, TN_NEVER);
}

static tn_err let_go_beside_a_pump(void *arg)
{
    return both_use(pump_into, *(tn_task_fn *const *)arg);
}

TEST_ON_DRIVERS(letting_go_of_the_sink_of_a_pump_stops_the_program)
{
    static tn_task_fn *const ways[] = { close_in_order, abort_conn, release_conn };

    for (size_t i = 0; i < COUNT_OF(ways); i++)
        expect_stopped(let_go_beside_a_pump, "pump == NULL", &ways[i]);
}

static tn_err leave_open(void *arg)
{
    struct tn_conn *near = NULL, *far = NULL;
    char byte;

    (void)arg;
    assert_ok(tn_pair(&near, &far));
    tn_abort(&far);
    return tn_read(near, &byte, 1, NULL, tn_in(TN_SECOND));
}

TEST_ON_DRIVERS(a_connection_that_is_left_open_stops_the_program_as_its_loop_ends)
{
    expect_stopped(leave_open, "a connection is still open", NULL);
}

TEST_ON_DRIVERS(two_readers_at_once_stop_the_program)
{
    expect_stopped(two_readers, "conn->reader == NULL", NULL);
}

TEST_ON_DRIVERS(two_writers_at_once_stop_the_program)
{
    expect_stopped(two_writers, "conn->writer == NULL", NULL);
}

TEST_ON_DRIVERS(a_close_while_another_task_reads_or_writes_stops_the_program)
{
    expect_stopped(close_beside_a_reader, "reader == NULL", NULL);
    expect_stopped(close_beside_a_writer, "writer == NULL", NULL);
}

static tn_err use_while_it_waits_for_its_first_byte(void *arg)
{
    tn_err (*const *use)(struct tn_conn *) = arg;
    struct tn_conn *near = NULL, *far = NULL;

    assert_ok(tn_pair(&near, &far));
    assert_ok(tn_go_late(NULL, read_one, near, NULL));
    return (*use)(near);
}

static tn_err abort_it(struct tn_conn *conn)
{
    tn_abort(&conn);
    return tn_ok();
}

static tn_err close_it(struct tn_conn *conn)
{
    return tn_close(&conn, NULL, TN_NOW);
}

static tn_err go_late_again(struct tn_conn *conn)
{
    return tn_go_late(NULL, read_one, conn, NULL);
}

TEST_ON_DRIVERS(a_connection_that_waits_for_its_first_byte_is_nobodys_to_end)
{
    static tn_err (*const uses[])(struct tn_conn *) = { abort_it, close_it,
                                                        go_late_again };

    for (size_t i = 0; i < COUNT_OF(uses); i++)
        expect_stopped(use_while_it_waits_for_its_first_byte, "late == NULL", &uses[i]);
}
