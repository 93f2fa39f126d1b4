/* SPDX-License-Identifier: MIT */
/*
 * works.c -- what goes on during a soak: echo, a relay, connections that come and go, and
 * cancels in the middle of all that.
 *
 * Every answer is looked at and every byte compared, so that a soak that goes wrong does
 * not go on.
 */
#include <string.h>

#include "soak/soak.h"

#define MESSAGE_MOST 6000
#define ROUND_TRIPS  40
#define RELAYED      (64 << 10)

struct copying {
    struct tn_conn *from, *to;
};

/* ---- servers ---- */

static void free_handler(struct tn_conn *conn)
{
    tn_abort(&conn);
}

/* Echo by a lease, up to the end; the peer may reset. */
static tn_err copy(void *argument)
{
    const struct copying *copying = argument;
    const void *data;
    size_t size;
    tn_err err;

    for (;;) {
        err = tn_read_lease(copying->from, &data, &size, PATIENCE);
        if (tn_failed(err))
            break;
        err = tn_write(copying->to, data, size, NULL, PATIENCE);
        tn_return(copying->from);
        if (tn_failed(err))
            break;
    }
    if (err.kind == TN_EOF)
        err = tn_end(copying->to);
    return err;
}

/* Only what peers do is passed over: they reset, also by closing with bytes unread. */
static bool peer_left(tn_err err)
{
    return err.kind == TN_RESET || err.kind == TN_CANCELED;
}

static tn_err handle_echo(void *argument)
{
    struct copying both = { argument, argument };
    tn_err err = copy(&both);

    must(!tn_failed(err) || peer_left(err));
    if (!tn_failed(err)) {
        err = tn_close(&both.from, NULL, PATIENCE);
        must(!tn_failed(err) || peer_left(err));
    }
    free_handler(both.from);
    return tn_ok();
}

static tn_err handle_relay(void *argument)
{
    struct tn_conn *client = argument, *server = NULL;
    struct copying there = { client, NULL }, back = { NULL, client };
    struct tn_group *group = NULL;

    must_ok(tn_dial(&server, soak.tcp, NULL, PATIENCE));
    there.to = back.from = server;
    must_ok(tn_group_open(&group, TN_GROUP_ALL_OR_NONE));
    must_ok(tn_go(group, copy, &there, NULL, NULL));
    must_ok(tn_go(group, copy, &back, NULL, NULL));
    must_ok(tn_group_wait(group, PATIENCE));
    tn_group_close(&group);
    must_ok(tn_close(&server, NULL, PATIENCE));
    must_ok(tn_close(&client, NULL, PATIENCE));
    return tn_ok();
}

static tn_err serve(struct tn_listener *listener, tn_task_fn *handler)
{
    for (;;) {
        struct tn_conn *conn = NULL;
        tn_err err = tn_accept(listener, &conn, TN_NEVER);

        if (err.kind == TN_CANCELED)
            return tn_ok();
        must_ok(err);
        must_ok(tn_go(soak.handlers, handler, conn, NULL, NULL));
    }
}

tn_err serve_echo(void *listener)
{
    return serve(listener, handle_echo);
}

tn_err serve_relay(void *listener)
{
    return serve(listener, handle_relay);
}

/* ---- clients ---- */

static bool round_is_over(void)
{
    return tn_now() >= soak.round_end;
}

static struct tn_conn *dial(const char *where)
{
    struct tn_conn *conn = NULL;

    must_ok(tn_dial(&conn, where, NULL, PATIENCE));
    soak.counts.connections++;
    return conn;
}

/* Send SIZE bytes in a task's small memory and have them back. */
static void round_trip(struct tn_conn *conn, size_t size)
{
    char out[MESSAGE_MOST], in[MESSAGE_MOST];

    memset(out, (int)pick(256), size);
    must_ok(tn_write(conn, out, size, NULL, PATIENCE));
    must_ok(tn_read_all(conn, in, size, NULL, PATIENCE));
    must(memcmp(out, in, size) == 0);
    soak.counts.messages++;
    soak.counts.bytes += 2 * size;
}

static tn_err echo_client(void *unused)
{
    (void)unused;
    while (!round_is_over()) {
        struct tn_conn *conn = dial(soak.tcp);

        for (int i = 0; i < ROUND_TRIPS; i++)
            round_trip(conn, 1 + (size_t)pick(pick(4) == 0 ? MESSAGE_MOST : 200));
        must_ok(tn_close(&conn, NULL, PATIENCE));
    }
    return tn_ok();
}

static tn_err send_relayed(void *conn)
{
    char piece[4096];

    memset(piece, 'r', sizeof(piece));
    for (size_t sent = 0; sent < RELAYED; sent += sizeof(piece))
        must_ok(tn_write(conn, piece, sizeof(piece), NULL, PATIENCE));
    return tn_end(conn);
}

static tn_err relay_client(void *unused)
{
    (void)unused;
    while (!round_is_over()) {
        struct tn_conn *conn = dial(soak.relay);
        struct tn_task *sender = NULL;
        char piece[4096];
        size_t total = 0, got = 0;
        tn_err sent, err;

        must_ok(tn_go(NULL, send_relayed, conn, NULL, &sender));
        while (!tn_failed(err = tn_read(conn, piece, sizeof(piece), &got, PATIENCE)))
            total += got;
        must(err.kind == TN_EOF && total == RELAYED);
        must_ok(tn_join(&sender, &sent, PATIENCE));
        must_ok(sent);
        must_ok(tn_close(&conn, NULL, PATIENCE));
        soak.counts.bytes += 2 * RELAYED;
    }
    return tn_ok();
}

/* Connections that come, do next to nothing, and go in one way or another. */
static tn_err churn_client(void *unused)
{
    (void)unused;
    while (!round_is_over()) {
        struct tn_conn *conn = dial(pick(2) == 0 ? soak.tcp : soak.unix_path);

        switch (pick(4)) {
        case 0:
            must_ok(tn_close(&conn, NULL, PATIENCE));
            break;
        case 1:
            tn_abort(&conn);
            break;
        case 2:
            round_trip(conn, 1 + (size_t)pick(100));
            must_ok(tn_close(&conn, NULL, PATIENCE));
            break;
        default: /* the answer comes to nobody */
            must_ok(tn_write(conn, "unread", 6, NULL, PATIENCE));
            tn_abort(&conn);
        }
    }
    return tn_ok();
}

static tn_err read_for_ever(void *conn)
{
    char byte;
    size_t got;

    return tn_read(conn, &byte, 1, &got, TN_NEVER);
}

/* Dial and close, if it is not canceled on the way. */
static tn_err dial_for_ever(void *unused)
{
    struct tn_conn *conn = NULL;
    tn_err err = tn_dial(&conn, soak.tcp, NULL, TN_NEVER);

    (void)unused;
    if (!tn_failed(err))
        err = tn_close(&conn, NULL, TN_NEVER);
    return err;
}

static void cancel_soon(tn_task_fn *fn, void *arg, bool must_be_canceled)
{
    struct tn_task *task = NULL;
    tn_err result;

    must_ok(tn_go(NULL, fn, arg, NULL, &task));
    must_ok(tn_sleep(tn_in((int64_t)pick(300) * TN_US)));
    tn_cancel(task);
    must_ok(tn_join(&task, &result, PATIENCE));
    must(result.kind == TN_CANCELED || (!must_be_canceled && !tn_failed(result)));
    soak.counts.cancels++;
}

static tn_err cancel_client(void *unused)
{
    (void)unused;
    while (!round_is_over()) {
        struct tn_conn *conn = dial(soak.tcp);

        for (int i = 0; i < 8; i++) {
            cancel_soon(read_for_ever, conn, true);
            round_trip(conn, 1 + (size_t)pick(2000)); /* it is as good as before */
        }
        must_ok(tn_close(&conn, NULL, PATIENCE));
        cancel_soon(dial_for_ever, NULL, false);
    }
    return tn_ok();
}

tn_task_fn *const clients[] = {
    echo_client,  echo_client,  echo_client,  echo_client,   relay_client,  relay_client,
    churn_client, churn_client, churn_client, cancel_client, cancel_client,
};

const unsigned client_count = sizeof(clients) / sizeof(clients[0]);
