/* SPDX-License-Identifier: MIT */
/*
 * flow_scenarios.c -- bytes over one connection: out, in, both ways, there and back, with a
 * late answer, with interruptions, and accepted.
 */
#include "rough/near.h"

#define CLEAN (1U << TN_CLEAN)

static struct line *dial_plainly(void)
{
    struct tn_conn_options options = conn_options();
    char where[TN_ADDR_TEXT];

    return line_dial(where_far(FAR_HOST, where), &options);
}

static tn_err bulk_out(void *unused)
{
    struct line *line = dial_plainly();

    (void)unused;
    if (line != NULL)
        (void)line_write(line, stage->size); /* the view has what went wrong */
    line_close(&line, false);
    return tn_ok();
}

static tn_err bulk_in(void *unused)
{
    struct line *line = dial_plainly();

    (void)unused;
    if (line != NULL)
        (void)line_drain(line);
    line_close(&line, false);
    return tn_ok();
}

static tn_err write_all(void *line)
{
    if (line_write(line, stage->size))
        (void)line_end(line);
    return tn_ok();
}

static tn_err both_ways(void *unused)
{
    struct line *line = dial_plainly();
    struct tn_group *group = NULL;

    (void)unused;
    if (line == NULL || tn_failed(tn_group_open(&group, TN_GROUP_EACH_ALONE)))
        goto out;
    line_beside(group, write_all, line);
    (void)line_drain(line);
    tn_ignore(tn_group_wait(group, TN_NEVER)); /* each of its calls has a limit */
out:
    tn_group_close(&group);
    line_close(&line, false);
    return tn_ok();
}

static tn_err echo(void *unused)
{
    struct line *line = dial_plainly();
    uint64_t left = stage->size / 2;

    (void)unused;
    while (line != NULL && left > 0) {
        uint64_t size =
            1 + pick(&line->random, pick(&line->random, 4) == 0 ? 20000 : 600);

        if (size > left)
            size = left;
        if (!line_write(line, size) || !line_read(line, size))
            break;
        left -= size;
    }
    line_close(&line, false);
    return tn_ok();
}

static tn_err late_reply(void *unused)
{
    struct line *line = dial_plainly();

    (void)unused;
    if (line != NULL && line_write(line, stage->size / 4) && line_end(line))
        (void)line_drain(line);
    line_close(&line, false);
    return tn_ok();
}

/* ---- interruptions: limits far too short, again and again, and cancels ---- */

struct errand {
    struct line *line;
    uint64_t left;
    bool write;
};

/* Some of it, until the limit or a cancel comes; what was done counts. */
static tn_err errand_main(void *argument)
{
    struct errand *errand = argument;
    struct line *line = errand->line;
    size_t size = errand->left < LINE_CHUNK ? (size_t)errand->left : LINE_CHUNK, done = 0;
    tn_deadline limit = tn_in((int64_t)pick(&line->random, 3000) * TN_US);
    tn_err err;

    if (errand->write) {
        struct iovec halves[2] = { { line->bytes, size / 2 },
                                   { line->bytes + size / 2, size - size / 2 } };

        tape_fill(&line->view->wrote, line->bytes, size);
        err = pick(&line->random, 2) == 0
                  ? tn_write(line->conn, line->bytes, size, &done, limit)
                  : tn_writev(line->conn, halves, 2, &done, limit);
        line_put(line, done);
    } else {
        err = tn_read_all(line->conn, line->sink, size, &done, limit);
        line_took(line, line->sink, done);
    }
    errand->left -= done;
    if (err.kind != TN_DEADLINE && err.kind != TN_CANCELED)
        (void)line_failed(line, err);
    return tn_ok();
}

/* Run it in a task of its own, which is canceled if it is not done by itself. */
static bool errand_interrupted(struct errand *errand)
{
    int64_t moment = (int64_t)pick(&errand->line->random, 2000) * TN_US;
    struct tn_task *task = NULL;

    if (line_failed(errand->line, tn_go(NULL, errand_main, errand, NULL, &task)))
        return false;
    if (tn_failed(tn_join(&task, NULL, tn_in(moment)))) {
        tn_cancel(task);
        tn_ignore(tn_join(&task, NULL, TN_NEVER)); /* it ends, being canceled */
    }
    return !tn_failed(errand->line->near->error);
}

static tn_err interrupted(void *unused)
{
    struct tn_conn_options options = conn_options();
    char where[TN_ADDR_TEXT];
    struct line *line;
    int64_t end = tn_now() + tn_left(patience());
    uint64_t size = stage->size / 4;

    (void)unused;
    options.send_buffer = LINE_CHUNK / 4; /* so that writes have to wait, too */
    line = line_dial(where_far(FAR_HOST, where), &options);
    if (line != NULL) {
        struct errand out = { line, size, true }, in = { line, size, false };

        while (out.left + in.left > 0 && tn_now() < end) {
            bool outwards = out.left > 0 && (in.left <= out.left || in.left == 0);

            if (!errand_interrupted(outwards ? &out : &in))
                break;
        }
    }
    line_close(&line, false);
    return tn_ok();
}

static tn_err accept_one(void *unused)
{
    struct tn_listen_options options = { .conn = conn_options() };
    struct tn_listener *listener = NULL;
    struct tn_conn *conn = NULL;
    struct line *line = NULL;
    tn_addr here;
    tn_err err = tn_listen(&listener, NEAR_HOST ":0", &options);

    (void)unused;
    if (tn_failed(err))
        return err;
    if (stage->strike_at == 0)
        strike();
    here = tn_listener_addr(listener);
    atomic_store(&stage->near_port, tn_addr_port(&here));
    err = tn_accept(listener, &conn, patience());
    if (tn_failed(err)) {
        stage->dialled = err;
        goto out;
    }
    line = line_take(conn);
    if (line_drain(line)) /* a server reads, then writes */
        (void)line_write(line, stage->size);
out:
    line_close(&line, false);
    tn_listener_close(&listener);
    return tn_ok();
}

const struct scenario flow_scenarios[] = {
    { "bulk-out", bulk_out, { 0 }, .how = CLEAN },
    { "bulk-in", bulk_in, { .source = 100 }, .how = CLEAN },
    { "both-ways", both_ways, { .source = 100 }, .how = CLEAN },
    { "echo", echo, { .echo = true }, .how = CLEAN },
    { "late-reply", late_reply, { .source = 50, .after_end = true }, .how = CLEAN },
    { "interrupted", interrupted, { .echo = true }, .how = CLEAN },
    { "accept", accept_one, { .source = 60, .dials = true }, .how = CLEAN },
    { .name = NULL },
};
