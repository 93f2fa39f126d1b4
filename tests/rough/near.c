/* SPDX-License-Identifier: MIT */
/*
 * near.c -- lines: connections whose every step is written down on the stage.
 *
 * Counts are taken from what the calls return, and from nothing else: how many bytes a
 * write says that it has done, how many a read says that it gave.
 */
#include "rough/near.h"

#include <stdio.h>
#include <stdlib.h>

#include <tenon/fd.h>

#define PATIENT_S       30
#define IMPATIENT_MS    900
#define USER_TIMEOUT_MS 500
#define CLOSE_MS        1500
#define TINY_BUFFER     4096

static uint64_t moved; /* bytes through all lines, until the strike */

uint64_t pick(uint64_t *random, uint64_t limit)
{
    *random = mix(*random, limit);
    return *random % limit;
}

tn_deadline patience(void)
{
    return tn_in(stage->patient ? PATIENT_S * TN_SECOND : IMPATIENT_MS * TN_MS);
}

static tn_err ask_router(void *unused)
{
    char byte = 's';

    (void)unused;
    if (tn_fd_write(stage->to_router, &byte, 1) != 1 ||
        tn_fd_read(stage->to_router, &byte, 1) != 1)
        abort(); /* the runner is gone */
    return tn_ok();
}

void strike(void)
{
    struct tn_task *task = NULL;

    if (stage->strike_at == NOWHERE)
        return;
    stage->strike_at = NOWHERE; /* other tasks go on meanwhile, and shall not strike */
    /* Who calls may be canceled, and shall wait all the same. */
    if (tn_failed(tn_go(NULL, ask_router, NULL, NULL, &task)) ||
        tn_failed(tn_join(&task, NULL, tn_shielded(PATIENT_S * TN_SECOND))))
        abort();
}

static void strike_if_due(size_t bytes)
{
    moved += bytes;
    if (moved >= stage->strike_at)
        strike();
}

struct tn_conn_options conn_options(void)
{
    struct tn_conn_options options = { 0 };

    if (!stage->patient && stage->seed % 3 != 0) /* else our own limit is the shorter */
        options.user_timeout = USER_TIMEOUT_MS * TN_MS;
    if (stage->tiny)
        options.send_buffer = options.receive_buffer = TINY_BUFFER;
    return options;
}

const char *where_far(const char *host, char *text)
{
    snprintf(text, TN_ADDR_TEXT, "%s:%u", host, stage->far_port);
    return text;
}

static struct line *line_new(struct tn_conn *conn, uint16_t port, bool dialled)
{
    struct line *line = calloc(1, sizeof(*line));

    if (line == NULL || stage->near_count == WIRES_MAX)
        abort();
    line->conn = conn;
    line->near = &stage->near[stage->near_count];
    line->view = &line->near->view;
    line->random = mix(stage->seed, stage->near_count++);
    view_open(line->view, port, dialled, false);
    return line;
}

struct line *line_dial(const char *where, const struct tn_conn_options *options)
{
    struct tn_conn *conn = NULL;
    tn_addr here;
    tn_err err;

    strike_if_due(0);
    err = tn_dial(&conn, where, options, patience());
    if (tn_failed(err)) {
        if (!tn_failed(stage->dialled))
            stage->dialled = err;
        return NULL;
    }
    here = tn_local(conn);
    return line_new(conn, tn_addr_port(&here), true);
}

struct line *line_take(struct tn_conn *conn)
{
    tn_addr there = tn_peer(conn);

    return line_new(conn, tn_addr_port(&there), false);
}

bool line_failed(struct line *line, tn_err err)
{
    if (tn_failed(err) && !tn_failed(line->near->error))
        line->near->error = err;
    return tn_failed(err);
}

void line_took(struct line *line, const void *bytes, size_t got)
{
    tape_got(&line->view->got, bytes, got);
    strike_if_due(got);
}

void line_put(struct line *line, size_t wrote)
{
    tape_wrote(&line->view->wrote, wrote);
    strike_if_due(wrote);
}

bool line_write(struct line *line, uint64_t size)
{
    while (size > 0) {
        size_t piece = 1 + (size_t)pick(&line->random, LINE_CHUNK), done = 0;
        tn_err err;

        if (piece > size)
            piece = (size_t)size;
        tape_fill(&line->view->wrote, line->bytes, piece);
        err = tn_write(line->conn, line->bytes, piece, &done, patience());
        line_put(line, done);
        if (line_failed(line, err))
            return false;
        size -= piece;
    }
    return true;
}

bool line_read(struct line *line, uint64_t size)
{
    while (size > 0) {
        size_t piece = 1 + (size_t)pick(&line->random, LINE_CHUNK), got = 0;

        if (piece > size)
            piece = (size_t)size;
        if (line_failed(line, tn_read(line->conn, line->sink, piece, &got, patience())))
            return false;
        line_took(line, line->sink, got);
        size -= got;
    }
    return true;
}

bool line_drain(struct line *line)
{
    tn_err err;

    for (;;) {
        size_t got = 0;

        err = tn_read(line->conn, line->sink, LINE_CHUNK, &got, patience());
        if (tn_failed(err))
            break;
        line_took(line, line->sink, got);
    }
    line->view->saw_end = err.kind == TN_EOF;
    return line->view->saw_end || !line_failed(line, err);
}

bool line_end(struct line *line)
{
    line->near->ended_before_strike = !atomic_load(&stage->struck);
    if (line_failed(line, tn_end(line->conn)))
        return false;
    line->view->ended = true;
    return true;
}

void line_close(struct line **line, bool discard)
{
    struct near_view *near;
    tn_deadline limit;

    if (*line == NULL)
        return;
    near = (*line)->near;
    strike(); /* if it is not for later than this, it never is */
    if (!atomic_load(&stage->struck))
        near->ended_before_strike = true; /* another line's strike is not done yet */
    if (!stage->patient)
        limit = tn_in(CLOSE_MS * TN_MS);
    else
        limit = patience();
    near->closed = discard ? tn_close_discard(&(*line)->conn, &near->ending, limit)
                           : tn_close(&(*line)->conn, &near->ending, limit);
    near->over = true;
    free(*line);
    *line = NULL;
}

void line_beside(struct tn_group *group, tn_err (*fn)(void *line), struct line *line)
{
    line_failed(line, tn_go(group, fn, line, NULL, NULL));
}
