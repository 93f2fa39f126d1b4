/* SPDX-License-Identifier: MIT */
/* ask.c -- a client: write, end, read the answer: `ask 127.0.0.1:7000 hello` */
#include <stdio.h>
#include <string.h>
#include <tenon.h>

static tn_err program(void *arg)
{
    char **words = arg;
    char buf[1024];
    size_t got;
    struct tn_conn *conn = NULL;
    tn_deadline deadline = tn_in(10 * TN_SECOND); /* for all of it together */
    tn_err err = tn_dial(&conn, words[1], NULL, deadline);

    if (!tn_failed(err))
        err = tn_write(conn, words[2], strlen(words[2]), NULL, deadline);
    if (!tn_failed(err))
        err = tn_end(conn);
    while (!tn_failed(err)) {
        err = tn_read(conn, buf, sizeof(buf), &got, deadline);
        if (!tn_failed(err))
            fwrite(buf, 1, got, stdout);
    }
    if (err.kind == TN_EOF)
        err = tn_close(&conn, NULL, deadline);
    tn_abort(&conn);
    return err;
}

int main(int argc, char **argv)
{
    char text[128];
    tn_err err = argc == 3 ? tn_run(program, argv, NULL) : tn_err_user(TN_INVALID, argc);

    if (tn_failed(err))
        fprintf(stderr, "ask: %s\n", tn_err_text(err, text, sizeof(text)));
    return tn_failed(err);
}
