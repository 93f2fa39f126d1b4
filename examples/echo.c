/* SPDX-License-Identifier: MIT */
/* echo.c -- a server whose clients read back what they write: `echo 127.0.0.1:7000` */
#include <tenon.h>

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
        if (!tn_failed(err) && tn_failed(tn_go(NULL, serve, conn, NULL, NULL)))
            tn_abort(&conn);
    }
    tn_listener_close(&listener);
    return err;
}

int main(int argc, char **argv)
{
    return argc != 2 || tn_failed(tn_run(program, argv[1], NULL));
}
