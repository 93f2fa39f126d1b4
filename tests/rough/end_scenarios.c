/* SPDX-License-Identifier: MIT */
/*
 * end_scenarios.c -- what a connection's end may not hide: bytes unread, thrown away or
 * confirmed, and the urgent byte.
 */
#include "rough/near.h"

#define CLEAN  (1U << TN_CLEAN)
#define UNREAD (1U << TN_UNREAD)

static struct line *dial_with(bool confirmable, bool urgent)
{
    struct tn_conn_options options = conn_options();
    char where[TN_ADDR_TEXT];

    options.confirmable = confirmable;
    options.urgent = urgent;
    return line_dial(where_far(FAR_HOST, where), &options);
}

/* Park until something has come that nobody has read; a peer that ended counts as well. */
static bool wait_unread(struct line *line)
{
    char byte;
    size_t got;

    return !line_failed(line, tn_peek(line->conn, &byte, 1, &got, patience()));
}

/* Much is written and little is read: the rest is there, or on its way, at the close. */
static tn_err unread(void *unused)
{
    struct line *line = dial_with(false, false);

    (void)unused;
    if (line != NULL && line_read(line, stage->size / 8) &&
        line_write(line, stage->size / 2))
        (void)wait_unread(line);
    line_close(&line, false);
    return tn_ok();
}

static tn_err discard(void *unused)
{
    struct line *line = dial_with(false, false);

    (void)unused;
    if (line != NULL && line_read(line, stage->size / 8) &&
        line_write(line, stage->size / 2))
        (void)wait_unread(line);
    line_close(&line, true);
    return tn_ok();
}

/* Bursts, each of them confirmed before the next. */
static tn_err confirm(void *unused)
{
    struct line *line = dial_with(stage->seed % 2 == 0, false);
    uint64_t left = stage->size / 2;

    (void)unused;
    while (line != NULL && left > 0) {
        uint64_t size = 1 + pick(&line->random, stage->size / 8), unacked = 0;
        uint64_t written;
        tn_err err;

        if (size > left)
            size = left;
        if (!line_write(line, size))
            break;
        written = line->view->wrote.count;
        err = tn_confirm(line->conn, &unacked, patience());
        if (unacked <= written && line->near->confirmed < written - unacked)
            line->near->confirmed = written - unacked;
        if (line_failed(line, err))
            break;
        left -= size;
    }
    line_close(&line, false);
    return tn_ok();
}

/* ---- an urgent byte each way, among ordinary ones ---- */

static tn_err await_urgent(void *argument)
{
    struct line *line = argument;
    uint64_t offset = NOWHERE;
    char byte = 0;
    tn_err err = tn_wait_urgent(line->conn, &byte, &offset, patience());

    if (!tn_failed(err)) {
        line->view->marked = offset;
        line->near->urgent_byte = byte;
    }
    return tn_ok(); /* where it should have come, the oracle misses it */
}

static tn_err send_with_urgent(void *argument)
{
    struct line *line = argument;
    uint64_t before = line->view->wrote.urgent_at;

    if (!line_write(line, before) ||
        line_failed(line, tn_send_urgent(line->conn, URGENT, patience())))
        return tn_ok();
    line_put(line, 1);
    if (line_write(line, stage->size / 2 - before))
        (void)line_end(line);
    return tn_ok();
}

static tn_err urgent(void *unused)
{
    struct line *line = dial_with(false, true);
    struct tn_group *group = NULL;

    (void)unused;
    if (line == NULL || tn_failed(tn_group_open(&group, TN_GROUP_EACH_ALONE)))
        goto out;
    line_beside(group, await_urgent, line);
    line_beside(group, send_with_urgent, line);
    (void)line_drain(line);
    tn_ignore(tn_group_wait(group, TN_NEVER)); /* each of its calls has a limit */
out:
    tn_group_close(&group);
    line_close(&line, false);
    return tn_ok();
}

const struct scenario end_scenarios[] = {
    { "unread", unread, { .source = 50 }, .how = UNREAD },
    { "discard", discard, { .source = 50 }, .how = CLEAN },
    { "confirm", confirm, { 0 }, .how = CLEAN },
    { "urgent", urgent, { .source = 75, .urgent = true }, .how = CLEAN },
    { .name = NULL },
};
