/* SPDX-License-Identifier: MIT */
/*
 * peer.c -- tenon serve bench: what the client's first line asks for; see peer.h.
 *
 * Many clients at once on one port, each in a task.  A client that says something else
 * is told what is spoken here and loses its connection.
 */
#include "peer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "report.h"

/* What source sends at a time; zeros cost nothing to make, and nobody looks at them. */
#define BLOCK (256 << 10)
static const char block[BLOCK];

/* One connection that is read and written at once. */
struct both {
    struct service_run *run;
    tn_err err;
    bool ended; /* the client's side */
};

static tn_deadline idle_limit(const struct service_run *run)
{
    return run->idle == UNLIMITED ? TN_NEVER : tn_in(run->idle);
}

static tn_err say(struct service_run *run, const char *text)
{
    size_t done;
    tn_err err = tn_write(run->conn, text, strlen(text), &done, idle_limit(run));

    run->out += done;
    return err;
}

static void serve_sink(struct service_run *run)
{
    char line[BENCH_LINE_MOST];
    uint64_t before = run->in;
    const void *data;
    size_t size;

    for (;;) {
        run->err = tn_read_lease(run->conn, &data, &size, idle_limit(run));
        if (tn_failed(run->err))
            break;
        run->in += size;
        tn_return(run->conn);
    }
    if (run->err.kind != TN_EOF)
        return;
    (void)snprintf(line, sizeof(line), BENCH_LINE "got %" PRIu64 "\n", run->in - before);
    run->err = say(run, line);
}

/* Read until the client ends its side; then the sending stops. */
static tn_err read_task(void *arg)
{
    struct both *both = arg;
    struct service_run *run = both->run;
    const void *data;
    size_t size;

    for (;;) {
        both->err = tn_read_lease(run->conn, &data, &size, idle_limit(run));
        if (tn_failed(both->err))
            break;
        run->in += size;
        tn_return(run->conn);
    }
    both->ended = true;
    return tn_ok();
}

/* source and both: what the client sends is read, if it does. */
static void serve_source(struct service_run *run)
{
    struct both both = { .run = run };
    struct tn_task *reader = NULL;
    size_t done;

    run->err = tn_go(NULL, read_task, &both, NULL, &reader);
    while (!tn_failed(run->err) && !both.ended) {
        run->err = tn_write(run->conn, block, sizeof(block), &done, idle_limit(run));
        run->out += done;
    }
    if (!tn_failed(run->err))
        run->err = tn_end(run->conn);
    if (reader && tn_failed(run->err))
        tn_cancel(reader);
    tn_ignore(tn_join(&reader, NULL, tn_shielded(INT64_MAX))); /* canceled, or over */
    if (!tn_failed(run->err))
        run->err = both.err;
}

static const struct {
    const char *word;
    void (*run)(struct service_run *run); /* NULL: the service that echoes */
} kinds[] = {
    { "echo", NULL },
    { "sink", serve_sink },
    { "source", serve_source },
    { "both", serve_source },
};

void peer_serve(struct service_run *run)
{
    char line[BENCH_LINE_MOST] = "";
    size_t size = 0, head = strlen(BENCH_LINE);

    run->err = tn_read_until(run->conn, line, sizeof(line), '\n', &size, idle_limit(run));
    run->in += size;
    if (tn_failed(run->err) && run->err.kind != TN_LIMIT)
        return;
    if (size > 0)
        line[size - 1] = 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strncmp(line, BENCH_LINE, head) != 0 ||
            strcmp(line + head, kinds[i].word) != 0)
            continue;
        run->err = say(run, BENCH_LINE "ok\n");
        if (tn_failed(run->err))
            return;
        if (kinds[i].run)
            kinds[i].run(run);
        else
            service_find("echo")->run(run);
        return;
    }
    run->err = say(run, BENCH_LINE "error this is tenon serve bench\n");
}
