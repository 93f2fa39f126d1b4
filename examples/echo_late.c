/* SPDX-License-Identifier: MIT */
/*
 * echo_late.c -- echo_lease.c with a task for each message instead of each connection: it
 * starts when one has come, answers, and hands the connection back to the library, so a
 * quiet client has neither a buffer nor a stack.
 */
#include <tenon.h>

static tn_err serve(void *arg)
{
    struct tn_conn *conn = arg;
    const void *data;
    size_t size;
    tn_err err = tn_read_lease(conn, &data, &size, tn_in(TN_MINUTE));

    if (!tn_failed(err))
        err = tn_write(conn, data, size, NULL, tn_in(TN_MINUTE));
    if (!tn_failed(err))
        err = tn_go_late(NULL, serve, conn, NULL);
    if (!tn_failed(err))
        return err; /* the connection is the library's, until there is more */
    if (err.kind == TN_EOF)
        err = tn_close(&conn, NULL, tn_in(TN_MINUTE));
    tn_abort(&conn); /* whatever failed, the client must not take it for an end */
    return err;
}

static tn_err program(void *where)
{
    struct tn_listener *listener = NULL;
    struct tn_conn *conn = NULL;
    tn_err err = tn_listen(&listener, where, NULL);

    while (!tn_failed(err)) {
        err = tn_accept(listener, &conn, TN_NEVER);
        if (!tn_failed(err) && tn_failed(tn_go_late(NULL, serve, conn, NULL)))
            tn_abort(&conn);
    }
    tn_listener_close(&listener);
    return err;
}

int main(int argc, char **argv)
{
    return argc != 2 || tn_failed(tn_run(program, argv[1], NULL));
}
