/* SPDX-License-Identifier: MIT */
/*
 * flow.h -- bytes through a stream whose both ends are in one program.
 *
 * They follow a pattern of their position, so a reader can tell at once a lost, doubled or
 * foreign one.
 */
#ifndef TORTURE_FLOW_H
#define TORTURE_FLOW_H

#include "torture/torture.h"

/* One direction of a stream: how far it has been written and read. */
struct flow {
    struct tn_conn *from, *to;
    size_t size, written, read;
    bool ends; /* the writer ends its side after the last byte */
    tn_err write_err, read_err;
};

static inline char byte_at(size_t position)
{
    return (char)(position * 2654435761u >> 16);
}

static inline void fill(char *buf, size_t at, size_t size)
{
    for (size_t i = 0; i < size; i++)
        buf[i] = byte_at(at + i);
}

static inline void check(const char *buf, size_t at, size_t size)
{
    for (size_t i = 0; i < size; i++)
        must(buf[i] == byte_at(at + i));
}

static inline tn_err write_flow(void *arg)
{
    struct flow *flow = arg;
    char buf[8000];
    tn_err err = tn_ok();

    while (flow->written < flow->size && !tn_failed(err)) {
        size_t part = flow->size - flow->written, done = 0;
        if (part > sizeof(buf))
            part = sizeof(buf);
        fill(buf, flow->written, part);
        err = tn_write(flow->from, buf, part, &done, PATIENCE);
        must(done <= part && (tn_failed(err) || done == part));
        flow->written += done;
    }
    if (!tn_failed(err) && flow->ends)
        err = tn_end(flow->from);
    flow->write_err = err;
    return err;
}

static inline tn_err read_flow(void *arg)
{
    struct flow *flow = arg;
    char buf[5000];
    tn_err err = tn_ok();

    while ((flow->read < flow->size || flow->ends) && !tn_failed(err)) {
        size_t got = 0;
        err = tn_read(flow->to, buf, sizeof(buf), &got, PATIENCE);
        must(tn_failed(err) ? got == 0 : got > 0);
        check(buf, flow->read, got);
        flow->read += got;
    }
    if (err.kind == TN_EOF) {
        must(flow->ends);
        err = tn_ok();
    }
    flow->read_err = err;
    return err;
}

/* Move SIZE bytes from one end to the other, by a task each. */
static inline tn_err move(struct tn_conn *from, struct tn_conn *to, size_t size,
                          bool ends)
{
    struct flow flow = { .from = from, .to = to, .size = size, .ends = ends };
    struct tn_group *group = NULL;
    tn_err err = tn_group_open(&group, TN_GROUP_ALL_OR_NONE);

    if (!tn_failed(err))
        err = tn_go(group, write_flow, &flow, NULL, NULL);
    if (!tn_failed(err))
        err = tn_go(group, read_flow, &flow, NULL, NULL);
    if (!tn_failed(err))
        err = tn_group_wait(group, TN_NEVER);
    tn_group_close(&group);
    must(flow.read <= flow.size);
    must(tn_failed(err) || flow.read == size);
    return err;
}

/* Read CONN to its end; a TCP peer that was aborted must not look like one that ended. */
static inline tn_err read_to_end(struct tn_conn *conn)
{
    char buf[4096];
    size_t got;
    tn_err err;

    do
        err = tn_read(conn, buf, sizeof(buf), &got, PATIENCE);
    while (!tn_failed(err));
    return err;
}

#endif
