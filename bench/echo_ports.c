/* SPDX-License-Identifier: MIT */
/*
 * echo_ports.c -- the other form of examples/echo_cores.c, to be measured beside it: every
 * loop has a listener of its own on one port, and the kernel chooses (SO_REUSEPORT).
 * `echo_ports 127.0.0.1:7000 4`; TERM ends it, and it says what each loop accepted.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <tenon.h>

#define LOOPS_MAX 64

struct own {
    struct tn_loop *loop;
    unsigned accepted;
};

static const char *where;

static tn_err serve(void *arg)
{
    struct tn_conn *conn = arg;
    char buf[1024];
    size_t got;
    tn_err err;

    do {
        err = tn_read(conn, buf, sizeof(buf), &got, tn_in(TN_MINUTE));
        if (!tn_failed(err))
            err = tn_write(conn, buf, got, NULL, tn_in(TN_MINUTE));
    } while (!tn_failed(err));
    if (err.kind == TN_EOF)
        err = tn_close(&conn, NULL, tn_in(TN_MINUTE));
    tn_abort(&conn);
    return err;
}

static tn_err accept_all(void *arg)
{
    struct tn_listen_options options = { .reuse_port = true };
    struct tn_listener *listener = NULL;
    struct own *own = arg;
    struct tn_conn *conn = NULL;
    tn_err err = tn_listen(&listener, where, &options);

    while (!tn_failed(err)) {
        err = tn_accept(listener, &conn, TN_NEVER);
        own->accepted += !tn_failed(err);
        if (!tn_failed(err) && tn_failed(tn_go(NULL, serve, conn, NULL, NULL)))
            tn_abort(&conn);
    }
    tn_listener_close(&listener);
    return err;
}

int main(int argc, char **argv)
{
    static struct own owns[LOOPS_MAX];
    long count = argc >= 3 ? strtol(argv[2], NULL, 10) : 0;
    sigset_t ends;
    int number;

    if (count < 1 || count > LOOPS_MAX)
        return 2;
    where = argv[1];
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    for (long i = 0; i < count; i++)
        if (tn_failed(tn_thread_open(&owns[i].loop, NULL)) ||
            tn_failed(tn_post(owns[i].loop, accept_all, &owns[i], NULL)))
            return 1;
    sigwait(&ends, &number);
    for (long i = 0; i < count; i++) {
        tn_thread_close(&owns[i].loop, true);
        fprintf(stderr, "loop %ld: %u clients\n", i, owns[i].accepted);
    }
    return 0;
}
