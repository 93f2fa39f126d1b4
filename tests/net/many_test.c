/* SPDX-License-Identifier: MIT */
/*
 * many_test.c -- nine thousand tasks of one thread, each with a connection of its own to
 * an echo server in another process, all at the same time, all bytes right.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/harness.h"
#include "unit/sanitized.h"

#define MANY   (SANITIZED ? 1500U : 9000U)
#define ROUNDS 3

struct crowd {
    char where[64];
    unsigned connected, right;
    struct tn_cond all_there; /* signaled when everybody is connected */
    struct tn_mutex mutex;
};

/* ---- the server, in a process of its own ---- */

static tn_err echo(void *arg)
{
    struct tn_conn *conn = arg;
    char buf[2000];
    size_t got;
    tn_err err;

    for (;;) {
        err = tn_read(conn, buf, sizeof(buf), &got, TN_NEVER);
        if (!tn_failed(err))
            err = tn_write(conn, buf, got, NULL, TN_NEVER);
        if (tn_failed(err))
            break;
    }
    if (err.kind == TN_EOF)
        err = tn_close(&conn, NULL, tn_in(10 * TN_SECOND));
    tn_abort(&conn);
    return err;
}

static tn_err serve(void *arg)
{
    struct tn_listener *listener = NULL;
    const int *out = arg;
    tn_addr addr;
    char text[64];
    tn_err err = tn_listen(&listener, "127.0.0.1:0", NULL);

    if (tn_failed(err))
        return err;
    addr = tn_listener_addr(listener);
    tn_addr_text(&addr, text, sizeof(text));
    if (write(*out, text, strlen(text) + 1) < 0)
        return tn_err_errno(errno);
    while (!tn_failed(err)) {
        struct tn_conn *conn = NULL;
        err = tn_accept(listener, &conn, TN_NEVER);
        if (!tn_failed(err))
            err = tn_go(NULL, echo, conn, NULL, NULL);
    }
    return err; /* the parent kills us before */
}

static pid_t start_server(struct crowd *crowd)
{
    int ends[2];
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        close(ends[0]);
        _exit(tn_failed(tn_run(serve, &ends[1], NULL)));
    }
    close(ends[1]);
    assert_true(TEMP_FAILURE_RETRY(read(ends[0], crowd->where, sizeof(crowd->where))) >
                0);
    close(ends[0]);
    return child;
}

/* ---- the clients, all of this process ---- */

/* Wait, whoever comes early, until the last is connected. */
static tn_err await_all(struct crowd *crowd)
{
    tn_err err = tn_mutex_lock(&crowd->mutex, TN_NEVER);

    if (tn_failed(err))
        return err;
    if (++crowd->connected == MANY)
        tn_cond_broadcast(&crowd->all_there);
    while (crowd->connected < MANY && !tn_failed(err))
        err = tn_cond_wait(&crowd->all_there, &crowd->mutex, tn_in(60 * TN_SECOND));
    tn_mutex_unlock(&crowd->mutex);
    return err;
}

static tn_err talk(struct tn_conn *conn, unsigned number)
{
    char sent[100], got[100];
    tn_err err = tn_ok();

    for (int round = 0; round < ROUNDS && !tn_failed(err); round++) {
        size_t size = (size_t)snprintf(sent, sizeof(sent), "task %u, round %d, %.*s",
                                       number, round, (int)(number % 60),
                                       "....................................."
                                       "........................");
        err = tn_write(conn, sent, size, NULL, TN_NEVER);
        if (!tn_failed(err))
            err = tn_read_all(conn, got, size, NULL, tn_in(60 * TN_SECOND));
        if (!tn_failed(err) && memcmp(sent, got, size) != 0)
            return tn_err_user(TN_PROTOCOL, (int32_t)number);
    }
    return err;
}

static tn_err be_one_of_many(void *arg)
{
    struct crowd *crowd = arg;
    struct tn_conn *conn = NULL;
    static unsigned numbers;
    unsigned number = numbers++;
    tn_err err = tn_dial(&conn, crowd->where, NULL, tn_in(60 * TN_SECOND));

    if (!tn_failed(err))
        err = await_all(crowd);
    if (!tn_failed(err))
        err = talk(conn, number);
    if (!tn_failed(err))
        err = tn_close(&conn, NULL, tn_in(60 * TN_SECOND));
    if (!tn_failed(err))
        crowd->right++;
    tn_abort(&conn);
    return err;
}

static tn_err be_many(void *arg)
{
    struct crowd *crowd = arg;
    struct tn_group *group = NULL;
    tn_err err = tn_group_open(&group, TN_GROUP_ALL_OR_NONE);
    struct tn_loop_facts facts;

    for (unsigned i = 0; i < MANY && !tn_failed(err); i++)
        err = tn_go(group, be_one_of_many, crowd, NULL, NULL);
    if (!tn_failed(err))
        err = tn_group_wait(group, TN_NEVER);
    tn_loop_facts(NULL, &facts);
    printf("%u connections, %llu switches, %llu turns\n", crowd->right,
           (unsigned long long)facts.switches, (unsigned long long)facts.turns);
    tn_group_close(&group);
    return err;
}

TEST_ON_DRIVERS(nine_thousand_tasks_each_talk_to_an_echo_server, .limit_s = 90)
{
    struct rlimit limit;
    struct crowd crowd;
    pid_t server;

    memset(&crowd, 0, sizeof(crowd));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < MANY + 100)
        skip_test("only %lu descriptors may be open", (unsigned long)limit.rlim_cur);
    server = start_server(&crowd);
    run_ok(be_many, &crowd);
    kill(server, SIGKILL);
    assert_int_equal(TEMP_FAILURE_RETRY(waitpid(server, NULL, 0)), server);
    assert_int_equal(crowd.connected, MANY);
    assert_int_equal(crowd.right, MANY);
}
