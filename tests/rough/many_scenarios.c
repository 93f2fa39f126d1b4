/* SPDX-License-Identifier: MIT */
/*
 * many_scenarios.c -- several connections: a relay, many at a time, a name with several
 * addresses of which some lead nowhere.
 */
#include "rough/near.h"

#define CLEAN (1U << TN_CLEAN)
#define MANY  16

/* ---- a relay: the witness dials us, we dial the witness ---- */

struct direction {
    struct line *from, *to;
};

/* Copy by leases until the end, and pass that on, too. */
static tn_err copy(void *argument)
{
    const struct direction *direction = argument;
    struct line *from = direction->from, *to = direction->to;
    const void *data;
    size_t size;

    for (;;) {
        tn_err err = tn_read_lease(from->conn, &data, &size, patience());
        size_t done = 0;

        if (err.kind == TN_EOF) {
            from->view->saw_end = true;
            (void)line_end(to);
            return tn_ok();
        }
        if (line_failed(from, err))
            return tn_ok();
        line_took(from, data, size);
        err = tn_write(to->conn, data, size, &done, patience());
        line_put(to, done);
        tn_return(from->conn);
        if (line_failed(to, err))
            return tn_ok();
    }
}

static void copy_both_ways(struct line *one, struct line *other)
{
    struct direction there = { one, other }, back = { other, one };
    struct tn_group *group = NULL;

    if (tn_failed(tn_group_open(&group, TN_GROUP_EACH_ALONE)))
        return;
    (void)line_failed(one, tn_go(group, copy, &there, NULL, NULL));
    (void)line_failed(other, tn_go(group, copy, &back, NULL, NULL));
    tn_ignore(tn_group_wait(group, TN_NEVER)); /* each of its calls has a limit */
    tn_group_close(&group);
}

static tn_err relay(void *unused)
{
    struct tn_conn_options options = conn_options();
    struct tn_listen_options listen_options = { .conn = options };
    struct tn_listener *listener = NULL;
    struct tn_conn *conn = NULL;
    struct line *client = NULL, *server = NULL;
    char where[TN_ADDR_TEXT];
    tn_addr here;
    tn_err err = tn_listen(&listener, NEAR_HOST ":0", &listen_options);

    (void)unused;
    if (tn_failed(err))
        return err;
    here = tn_listener_addr(listener);
    atomic_store(&stage->near_port, tn_addr_port(&here));
    err = tn_accept(listener, &conn, patience());
    if (tn_failed(err)) {
        stage->dialled = err;
    } else {
        client = line_take(conn);
        server = line_dial(where_far(FAR_HOST, where), &options);
    }
    if (server != NULL)
        copy_both_ways(client, server);
    line_close(&server, false);
    line_close(&client, false);
    tn_listener_close(&listener);
    return tn_ok();
}

/* ---- many at a time ---- */

static tn_err one_of_many(void *unused)
{
    struct tn_conn_options options = conn_options();
    char where[TN_ADDR_TEXT];
    struct line *line = line_dial(where_far(FAR_HOST, where), &options);
    uint64_t left = stage->size;

    (void)unused;
    while (line != NULL && left > 0) {
        uint64_t size = 1 + pick(&line->random, 3000);

        if (size > left)
            size = left;
        if (!line_write(line, size) || !line_read(line, size))
            break;
        left -= size;
    }
    line_close(&line, false);
    return tn_ok();
}

static tn_err many(void *unused)
{
    struct tn_group *group = NULL;
    tn_err err = tn_group_open(&group, TN_GROUP_EACH_ALONE);

    (void)unused;
    for (unsigned i = 0; i < MANY && !tn_failed(err); i++)
        err = tn_go(group, one_of_many, NULL, NULL, NULL);
    if (!tn_failed(err))
        err = tn_group_wait(group, TN_NEVER); /* each of its calls has a limit */
    tn_group_close(&group);
    return err;
}

/* ---- names ---- */

static tn_err names(void *unused)
{
    struct tn_conn_options options = conn_options();
    char where[TN_ADDR_TEXT];
    struct tn_conn *conn = NULL;
    struct line *line;

    (void)unused;
    if (stage->strike_at == 0)
        strike();
    stage->refused = tn_dial(&conn, where_far(FAR_NOBODY, where), &options, patience());
    tn_abort(&conn);
    line = line_dial(where_far(MANY_NAME, where), &options);
    if (line != NULL && line_write(line, stage->size / 8))
        (void)line_read(line, stage->size / 8);
    line_close(&line, false);
    return tn_ok();
}

const struct scenario many_scenarios[] = {
    { "relay", relay, { .source = 40, .dials = true }, .how = CLEAN, .one_key = true },
    { "many", many, { .echo = true }, .how = CLEAN, .share = MANY },
    { "names", names, { .echo = true }, .how = CLEAN, .in_hosts = true },
    { .name = NULL },
};
