/* SPDX-License-Identifier: MIT */
/*
 * pump_scenarios.c -- a stream through a pump, from one connection to another one.
 *
 * The pieces are large, so that it is spliced as soon as four of them have come.  A pump
 * that stands still for want of memory has lost nothing, and is simply run again.
 */
#include "torture/torture.h"

#include <string.h>

#define STREAM ((size_t)600000)

/* The line: source -> from, pumped, to -> sink. */
struct line {
    struct tn_conn *source, *from, *to, *sink;
    struct tn_pump pump;
    size_t arrived;
};

static char byte_at(size_t position)
{
    return (char)(position * 2654435761u >> 16);
}

static tn_err write_stream(void *arg)
{
    struct line *line = arg;
    char buf[8000];
    tn_err err = tn_ok();

    for (size_t at = 0; at < STREAM && !tn_failed(err); at += sizeof(buf)) {
        for (size_t i = 0; i < sizeof(buf); i++)
            buf[i] = byte_at(at + i);
        err = tn_write(line->source, buf, sizeof(buf), NULL, PATIENCE);
    }
    return tn_failed(err) ? err : tn_end(line->source);
}

static tn_err read_stream(void *arg)
{
    struct line *line = arg;
    char buf[5000];
    size_t got;
    tn_err err;

    while (!tn_failed(err = tn_read(line->sink, buf, sizeof(buf), &got, PATIENCE))) {
        for (size_t i = 0; i < got; i++)
            must(buf[i] == byte_at(line->arrived + i));
        line->arrived += got;
    }
    return err.kind == TN_EOF ? tn_ok() : err;
}

static tn_err pump_stream(void *arg)
{
    struct line *line = arg;
    struct tn_pump *pump = &line->pump;
    tn_err err;

    do {
        err = tn_pump(pump, line->from, line->to, PATIENCE);
        must(pump->given <= pump->taken);
    } while (err.kind == TN_LIMIT && pump->failed == TN_PUMP_NEITHER);
    must(tn_failed(err) || (pump->ended && pump->taken == pump->given));
    if (tn_failed(err)) /* its reader must not wait for more */
        tn_abort(&line->to);
    return err;
}

/* Connect two ends over a listener on loopback, or as a pair. */
static tn_err connect_two(const char *where, struct tn_conn **one, struct tn_conn **other)
{
    struct tn_listener *listener = NULL;
    tn_addr addr;
    tn_err err;

    if (strcmp(where, "pair") == 0)
        return tn_pair(one, other);
    err = tn_listen(&listener, where, NULL);
    if (tn_failed(err))
        return err;
    addr = tn_listener_addr(listener);
    err = tn_dial_addr(one, &addr, NULL, PATIENCE);
    /* One that cannot be set up is dropped by accept: then none is left. */
    if (!tn_failed(err))
        err = tn_accept(listener, other, tn_in(20 * TN_MS));
    tn_listener_close(&listener);
    return err.kind == TN_DEADLINE ? tn_err_user(TN_LIMIT, 0) : err;
}

static tn_err run_line(struct line *line)
{
    tn_task_fn *const parts[] = { write_stream, pump_stream, read_stream };
    struct tn_group *group = NULL;
    tn_err err = tn_group_open(&group, TN_GROUP_ALL_OR_NONE);

    for (size_t i = 0; i < 3 && !tn_failed(err); i++)
        err = tn_go(group, parts[i], line, NULL, NULL);
    if (!tn_failed(err))
        err = tn_group_wait(group, TN_NEVER);
    tn_group_close(&group);
    return err;
}

static tn_err run_relayed(const struct scenario *self)
{
    struct line line = { .pump.pass_end = true };
    tn_err err = connect_two(self->where, &line.source, &line.from);

    if (!tn_failed(err))
        err = connect_two(self->where, &line.to, &line.sink);
    if (!tn_failed(err))
        err = run_line(&line);
    must(tn_failed(err) || line.arrived == line.pump.given);
    tn_pump_release(&line.pump);
    tn_abort(&line.source);
    tn_abort(&line.from);
    tn_abort(&line.to);
    tn_abort(&line.sink);
    return err;
}

const struct scenario pump_scenarios[] = {
    { .name = "relayed over a pair", .run = run_relayed, .where = "pair" },
    { .name = "relayed over TCP", .run = run_relayed, .where = "127.0.0.1:0" },
    { .name = NULL },
};
