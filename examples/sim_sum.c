/* SPDX-License-Identifier: MIT */
/* sim_sum.c -- a server that adds up numbers, tried on 1,000 simulated networks */
#include <stdio.h>
#include <stdlib.h>
#include <tenon.h>
#include <tenon/sim.h>

static void serve(struct tn_conn *conn)
{
    char line[32] = "";
    size_t size;
    long sum = 0;
    tn_err err;

    while (!tn_failed(err = tn_read_until(conn, line, 31, '\n', &size, TN_NEVER)))
        sum += strtol(line, NULL, 10);
    size = (size_t)snprintf(line, sizeof(line), "%ld\n", sum);
    if (err.kind == TN_EOF && !tn_failed(tn_write(conn, line, size, NULL, TN_NEVER)))
        tn_ignore(tn_close(&conn, NULL, TN_NEVER)); /* the client tells how it went */
    tn_abort(&conn); /* whatever failed must not look like an answer */
}

static tn_err ask(void *unused)
{
    struct tn_conn *conn = NULL;
    char line[32] = "";
    tn_err err = tn_dial(&conn, "10.0.0.1:7000", unused, TN_NEVER);

    for (int i = 0; i < 100 && !tn_failed(err); i++)
        err = tn_write(conn, "50\n", 3, NULL, TN_NEVER);
    if (!tn_failed(err) && !tn_failed(err = tn_end(conn)))
        err = tn_read_until(conn, line, 31, '\n', &(size_t){ 0 }, TN_NEVER);
    tn_abort(&conn);
    return tn_failed(err) || strtol(line, NULL, 10) == 5000 ? err
                                                            : tn_err_user(TN_PROTOCOL, 0);
}

static tn_err program(void *unused)
{
    struct tn_listener *listener = NULL;
    struct tn_conn *conn = NULL;
    tn_err err = tn_listen(&listener, "10.0.0.1:7000", unused);

    if (!tn_failed(err) && !tn_failed(err = tn_go(NULL, ask, NULL, NULL, NULL)) &&
        !tn_failed(tn_accept(listener, &conn, tn_in(TN_MINUTE))))
        serve(conn);
    tn_listener_close(&listener);
    return err;
}

int main(void)
{
    for (struct tn_sim_options at = { .seed = 1 }; at.seed <= 1000; at.seed++) {
        struct tn_sim_outcome outcome;
        tn_err err = tn_sim_run(program, NULL, &at, &outcome);
        if (tn_failed(err) && (outcome.struck == 0 || err.kind == TN_PROTOCOL))
            return printf("seed %llu\n", (unsigned long long)at.seed), 1;
    }
    return 0;
}
