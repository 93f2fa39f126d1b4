/* SPDX-License-Identifier: MIT */
/*
 * echo_own.c -- examples/echo.c with a buffer of BYTES for each connection, as large as
 * those of the peers that own one: for large messages.  With a number of microseconds it
 * looks for work that long before it sleeps.
 *
 *      echo_own 127.0.0.1:7000 BYTES [MICROSECONDS]
 */
#include <errno.h>
#include <stdlib.h>

#include <tenon.h>

static size_t buffer_size;

static tn_err echo(struct tn_conn *conn, char *buf)
{
    size_t got;
    tn_err err;

    do {
        err = tn_read(conn, buf, buffer_size, &got, tn_in(TN_MINUTE));
        if (!tn_failed(err))
            err = tn_write(conn, buf, got, NULL, tn_in(TN_MINUTE));
    } while (!tn_failed(err));
    return err;
}

static tn_err serve(void *arg)
{
    struct tn_conn *conn = arg;
    char *buf = malloc(buffer_size);
    tn_err err = buf != NULL ? echo(conn, buf) : tn_err_errno(ENOMEM);

    if (err.kind == TN_EOF)
        err = tn_close(&conn, NULL, tn_in(TN_MINUTE));
    tn_abort(&conn); /* whatever failed, the client must not take it for an end */
    free(buf);
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
    struct tn_loop_options options = { 0 };

    if (argc != 3 && argc != 4)
        return 2;
    buffer_size = strtoul(argv[2], NULL, 10);
    if (argc == 4)
        options.spin = strtol(argv[3], NULL, 10) * TN_US;
    return tn_failed(tn_run(program, argv[1], &options));
}
