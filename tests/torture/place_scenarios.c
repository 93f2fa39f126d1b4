/* SPDX-License-Identifier: MIT */
/*
 * place_scenarios.c -- where connections come from: names, Unix sockets in the file system,
 * options, urgent bytes; and what else a program waits for: signals, channels, helpers.
 */
#include "torture/torture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tenon/loop.h>
#include <tenon/sync.h>

/* Dial ADDR's listener, accept, and see one byte through. */
static tn_err see_through(struct tn_listener *listener, const char *where,
                          const struct tn_conn_options *options)
{
    struct tn_conn *near = NULL, *far = NULL;
    tn_addr addr = tn_listener_addr(listener);
    char byte = 0;
    size_t got = 0;
    tn_err err;

    if (where != NULL)
        err = tn_dial(&near, where, options, PATIENCE);
    else
        err = tn_dial_addr(&near, &addr, options, PATIENCE);
    must(tn_failed(err) == (near == NULL));
    if (!tn_failed(err)) /* one that cannot be set up is dropped: then none is left */
        err = tn_accept(listener, &far, tn_in(20 * TN_MS));
    if (err.kind == TN_DEADLINE)
        err = tn_err_user(TN_LIMIT, 0);
    if (!tn_failed(err))
        err = tn_write(near, "x", 1, NULL, PATIENCE);
    if (!tn_failed(err))
        err = tn_read(far, &byte, 1, &got, PATIENCE);
    must(tn_failed(err) || (got == 1 && byte == 'x'));
    tn_abort(&near);
    tn_abort(&far);
    return err;
}

/* ---- the file of a Unix socket ---- */

static tn_err run_socket_file(const struct scenario *self)
{
    struct tn_listen_options options = { .mode = 0600 };
    struct tn_listener *first = NULL, *second = NULL;
    char dir[] = "/tmp/tenon-torture-XXXXXX", where[64];
    tn_err err;

    (void)self;
    must(mkdtemp(dir) != NULL);
    snprintf(where, sizeof(where), "unix:%s/socket", dir);
    err = tn_listen(&first, where, &options);
    must(tn_failed(err) == (first == NULL));
    if (!tn_failed(err))
        err = see_through(first, where, NULL);
    tn_listener_close(&first);
    if (!tn_failed(err)) /* the file is still there, and nobody listens: it is replaced */
        err = tn_listen(&second, where, &options);
    tn_listener_close(&second);
    unlink(where + 5);
    must(rmdir(dir) == 0);
    return err;
}

static tn_err run_socket_file_in_use(const struct scenario *self)
{
    struct tn_listener *first = NULL, *second = NULL;
    char dir[] = "/tmp/tenon-torture-XXXXXX", where[64];
    tn_err err;

    (void)self;
    must(mkdtemp(dir) != NULL);
    snprintf(where, sizeof(where), "unix:%s/socket", dir);
    err = tn_listen(&first, where, NULL);
    if (!tn_failed(err)) {
        err = tn_listen(&second, where, NULL);
        if (err.kind == TN_IN_USE) /* it is not taken away from who listens */
            err = tn_ok();
        else /* but for a kernel that says that nobody does */
            must(tn_failed(err) || torture_injected() == ECONNREFUSED);
    }
    tn_listener_close(&first);
    tn_listener_close(&second);
    unlink(where + 5);
    must(rmdir(dir) == 0);
    return err;
}

/* ---- names, options ---- */

static tn_err run_name(const struct scenario *self)
{
    struct tn_listener *listener = NULL;
    tn_addr found[4], addr;
    size_t count = 99;
    char where[64];
    tn_err err = tn_listen(&listener, "localhost:0", NULL);

    (void)self;
    if (!tn_failed(err)) {
        addr = tn_listener_addr(listener);
        snprintf(where, sizeof(where), "localhost:%u", (unsigned)tn_addr_port(&addr));
        err = tn_resolve(where, TN_ANY, found, 4, &count, PATIENCE);
        must(tn_failed(err) ? count == 99 : count >= 1 && count <= 4);
    }
    if (!tn_failed(err))
        err = see_through(listener, where, NULL);
    tn_listener_close(&listener);
    return err;
}

static tn_err run_options(const struct scenario *self)
{
    struct tn_conn_options options = { .confirmable = true,
                                       .nagle = true,
                                       .no_keepalive = true,
                                       .user_timeout = TN_MINUTE,
                                       .source = "127.0.0.1:0",
                                       .send_buffer = 10000,
                                       .receive_buffer = 10000 };
    struct tn_listen_options listen = { .backlog = 3, .reuse_port = true };
    struct tn_listener *listener = NULL;
    tn_err err;

    (void)self;
    listen.conn = options;
    listen.conn.source = NULL;
    err = tn_listen(&listener, "127.0.0.1:0", &listen);
    if (!tn_failed(err))
        err = see_through(listener, NULL, &options);
    tn_listener_close(&listener);
    return err;
}

static tn_err run_every_interface(const struct scenario *self)
{
    struct tn_listener *listener = NULL;
    char where[64];
    tn_addr addr;
    tn_err err = tn_listen(&listener, ":0", NULL);

    (void)self;
    if (!tn_failed(err)) {
        addr = tn_listener_addr(listener);
        snprintf(where, sizeof(where), "127.0.0.1:%u", (unsigned)tn_addr_port(&addr));
        err = see_through(listener, where, NULL);
    }
    tn_listener_close(&listener);
    return err;
}

static tn_err run_refused(const struct scenario *self)
{
    struct tn_listener *listener = NULL;
    struct tn_conn *conn = NULL;
    tn_addr addr;
    tn_err err = tn_listen(&listener, "127.0.0.1:0", NULL);

    (void)self;
    if (tn_failed(err))
        return err;
    addr = tn_listener_addr(listener);
    tn_listener_close(&listener);
    err = tn_dial_addr(&conn, &addr, NULL, PATIENCE);
    must(tn_failed(err) && conn == NULL);
    return err.kind == TN_REFUSED ? tn_ok() : err;
}

/* ---- urgent and confirmed ---- */

static tn_err pass_urgent(struct tn_conn *near, struct tn_conn *far)
{
    uint64_t offset = 99;
    char byte = 0, buf[6];
    tn_err err = tn_write(near, "before", 6, NULL, PATIENCE);

    if (!tn_failed(err))
        err = tn_send_urgent(near, '!', PATIENCE);
    if (!tn_failed(err))
        err = tn_wait_urgent(far, &byte, &offset, PATIENCE);
    must(tn_failed(err) ? offset == 99 : offset == 6 && byte == '!');
    if (!tn_failed(err))
        err = tn_read_all(far, buf, 6, NULL, PATIENCE);
    must(tn_failed(err) || memcmp(buf, "before", 6) == 0);
    if (!tn_failed(err))
        err = tn_confirm(near, NULL, PATIENCE);
    return err;
}

static tn_err run_urgent(const struct scenario *self)
{
    struct tn_listen_options listen = { .conn = { .urgent = true, .confirmable = true } };
    struct tn_listener *listener = NULL;
    struct tn_conn *near = NULL, *far = NULL;
    tn_addr addr;
    tn_err err = tn_listen(&listener, "127.0.0.1:0", &listen);

    (void)self;
    if (tn_failed(err))
        return err;
    addr = tn_listener_addr(listener);
    err = tn_dial_addr(&near, &addr, &listen.conn, PATIENCE);
    if (!tn_failed(err))
        err = tn_accept(listener, &far, tn_in(20 * TN_MS));
    if (err.kind == TN_DEADLINE)
        err = tn_err_user(TN_LIMIT, 0);
    if (!tn_failed(err))
        err = pass_urgent(near, far);
    tn_listener_close(&listener);
    tn_abort(&near);
    tn_abort(&far);
    return err;
}

/* ---- signals, channels, helpers ---- */

static tn_err run_signals(const struct scenario *self)
{
    static const int numbers[] = { SIGUSR1, SIGUSR2 };
    struct tn_signals *signals = NULL;
    int number = 0;
    tn_err err = tn_signals_open(&signals, numbers, 2);

    (void)self;
    if (!tn_failed(err)) {
        must(raise(SIGUSR2) == 0);
        err = tn_signals_wait(signals, &number, PATIENCE);
        must(tn_failed(err) || number == SIGUSR2);
    }
    if (number == 0 && signals != NULL) { /* take it, or it would come when unblocked */
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGUSR2);
        must(sigtimedwait(&set, NULL, &(struct timespec){ 0, 0 }) == SIGUSR2);
    }
    tn_signals_close(&signals);
    return err;
}

static tn_err send_numbers(void *arg)
{
    tn_err err = tn_ok();

    for (int i = 0; i < 20 && !tn_failed(err); i++)
        err = tn_chan_send(arg, &i, PATIENCE);
    tn_chan_end(arg);
    return err;
}

static tn_err run_channel(const struct scenario *self)
{
    struct tn_chan *chan = NULL;
    struct tn_task *sender = NULL;
    struct tn_case wait = { .send = false };
    int number = -1, expected = 0;
    size_t which = 99;
    tn_err err = tn_chan_open(&chan, sizeof(int), 3);

    (void)self;
    if (tn_failed(err))
        return err;
    err = tn_go(NULL, send_numbers, chan, NULL, &sender);
    wait.chan = chan;
    wait.item = &number;
    while (!tn_failed(err)) {
        err = tn_select(&wait, 1, &which, PATIENCE);
        must(tn_failed(err) || number == expected);
        expected++;
    }
    must(err.kind != TN_EOF || expected == 21);
    if (err.kind == TN_EOF)
        err = tn_join(&sender, NULL, PATIENCE);
    tn_chan_close(&chan);
    return err;
}

static void work(void *arg)
{
    *(int *)arg += 1;
}

static void drop(void *arg)
{
    *(int *)arg += 100;
}

static tn_err run_helper(const struct scenario *self)
{
    int count = 0;
    tn_err err = tn_offload(work, &count, drop, PATIENCE);

    (void)self;
    must(count == (tn_failed(err) ? 100 : 1));
    return err;
}

static tn_err add_one(void *arg)
{
    *(int *)arg += 1;
    return tn_ok();
}

static tn_err run_post(const struct scenario *self)
{
    struct tn_loop *loop = NULL;
    static int count;
    tn_err err = tn_loop_self(&loop);

    (void)self;
    count = 0;
    if (!tn_failed(err))
        err = tn_post(loop, add_one, &count, NULL);
    if (tn_failed(err))
        return err;
    for (int i = 0; i < 1000 && count == 0; i++) /* the new task's stack may fail */
        err = tn_sleep(tn_in(10 * TN_US));
    must(count <= 1);
    return err;
}

const struct scenario place_scenarios[] = {
    { .name = "a Unix socket's file", .run = run_socket_file },
    { .name = "a Unix socket's file in use", .run = run_socket_file_in_use },
    { .name = "a name", .run = run_name },
    { .name = "every option", .run = run_options },
    { .name = "every interface", .run = run_every_interface },
    { .name = "nobody listens", .run = run_refused },
    { .name = "an urgent byte, confirmed", .run = run_urgent },
    { .name = "a signal", .run = run_signals },
    { .name = "a channel", .run = run_channel },
    { .name = "a helper thread", .run = run_helper },
    { .name = "a post", .run = run_post, .spares_writes = true },
    { .name = NULL },
};
