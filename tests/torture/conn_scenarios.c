/* SPDX-License-Identifier: MIT */
/*
 * conn_scenarios.c -- connections: each pattern of use over each kind of stream.
 */
#include <string.h>
#include <unistd.h>
#include <stdio.h>

#include "torture/flow.h"
#include "torture/torture.h"

#define SMALL 100
#define LARGE 300000

static tn_err small_echo(struct tn_conn **near, struct tn_conn **far)
{
    tn_err err = move(*near, *far, SMALL, false);

    return tn_failed(err) ? err : move(*far, *near, SMALL, false);
}

static tn_err large_one_way(struct tn_conn **near, struct tn_conn **far)
{
    return move(*near, *far, LARGE, false);
}

static tn_err half_close_then_reply(struct tn_conn **near, struct tn_conn **far)
{
    tn_err err = move(*near, *far, SMALL, true);

    if (!tn_failed(err))
        err = move(*far, *near, LARGE, true);
    return err;
}

struct closer {
    struct tn_conn **conn;
    tn_ending ending;
    tn_err err;
};

static tn_err close_one(void *arg)
{
    struct closer *closer = arg;

    closer->err = tn_close(closer->conn, &closer->ending, PATIENCE);
    must(*closer->conn == NULL);
    return closer->err;
}

static tn_err close_both(struct tn_conn **near, struct tn_conn **far)
{
    struct closer one = { .conn = near }, other = { .conn = far };
    struct tn_group *group = NULL;
    tn_err err = tn_group_open(&group, TN_GROUP_EACH_ALONE);

    if (!tn_failed(err))
        err = tn_go(group, close_one, &one, NULL, NULL);
    if (!tn_failed(err))
        err = tn_go(group, close_one, &other, NULL, NULL);
    if (!tn_failed(err))
        err = tn_group_wait(group, TN_NEVER);
    tn_group_close(&group);
    if (!tn_failed(err)) {
        must(one.ending.how == TN_CLEAN && one.ending.unacked == 0);
        must(other.ending.how == TN_CLEAN && other.ending.unread == 0);
    }
    return err;
}

static tn_err write_then_close_both(struct tn_conn **near, struct tn_conn **far)
{
    tn_err err = move(*near, *far, SMALL, true);

    return tn_failed(err) ? err : close_both(near, far);
}

static tn_err close_with_unread(struct tn_conn **near, struct tn_conn **far)
{
    tn_ending ending = { .how = TN_CLEAN };
    char byte;
    size_t got;
    tn_err err = tn_write(*near, "unread", 6, NULL, PATIENCE);

    if (!tn_failed(err))
        err = tn_peek(*far, &byte, 1, &got, PATIENCE);
    if (tn_failed(err))
        return err;
    err = tn_close(far, &ending, PATIENCE);
    must(tn_failed(err) && *far == NULL && ending.how != TN_CLEAN);
    err = read_to_end(*near);
    must(err.kind != TN_EOF);
    return err.kind == TN_RESET ? tn_ok() : err;
}

static tn_err close_discarding(struct tn_conn **near, struct tn_conn **far)
{
    tn_ending ending;
    char byte;
    size_t got;
    tn_err err = tn_write(*near, "unwanted", 8, NULL, PATIENCE);

    if (!tn_failed(err))
        err = tn_end(*near);
    if (!tn_failed(err))
        err = tn_peek(*far, &byte, 1, &got, PATIENCE);
    if (!tn_failed(err))
        err = tn_close_discard(far, &ending, tn_in(3 * TN_MS));
    /* The other end is in the same task and cannot close meanwhile. */
    return err.kind == TN_DEADLINE ? tn_ok() : err;
}

static tn_err abort_one(struct tn_conn **near, struct tn_conn **far)
{
    tn_err err = tn_write(*near, "cut", 3, NULL, PATIENCE);

    tn_abort(near);
    must(*near == NULL);
    if (!tn_failed(err))
        err = read_to_end(*far);
    /* A Unix stream knows no reset: EOF is then all there is. */
    return err.kind == TN_RESET || err.kind == TN_EOF ? tn_ok() : err;
}

static tn_err read_exactly(struct tn_conn **near, struct tn_conn **far)
{
    char buf[SMALL];
    size_t done = 99;
    tn_err err;

    fill(buf, 0, SMALL);
    err = tn_write(*near, buf, SMALL, NULL, PATIENCE);
    if (!tn_failed(err))
        err = tn_read_all(*far, buf, SMALL / 2, &done, PATIENCE);
    if (tn_failed(err))
        return err;
    must(done == SMALL / 2);
    err = tn_read_all(*far, buf + done, SMALL - done, NULL, PATIENCE);
    if (!tn_failed(err))
        check(buf, 0, SMALL);
    return err;
}

static tn_err read_lines(struct tn_conn **near, struct tn_conn **far)
{
    char line[16];
    size_t done = 0;
    tn_err err = tn_write(*near, "one\ntwo\nendless", 15, NULL, PATIENCE);

    if (!tn_failed(err))
        err = tn_read_until(*far, line, sizeof(line), '\n', &done, PATIENCE);
    if (!tn_failed(err)) {
        must(done == 4 && memcmp(line, "one\n", 4) == 0);
        err = tn_read_until(*far, line, sizeof(line), '\n', &done, PATIENCE);
    }
    if (!tn_failed(err)) {
        must(done == 4 && memcmp(line, "two\n", 4) == 0);
        err = tn_read_until(*far, line, 5, '\n', &done, PATIENCE);
        must(tn_failed(err));
        must(err.kind != TN_LIMIT || err.code != 0 || done == 5);
        err = err.kind == TN_LIMIT && err.code == 0 ? tn_ok() : err;
    }
    return err;
}

static tn_err read_leased(struct tn_conn **near, struct tn_conn **far)
{
    char buf[SMALL];
    tn_err err;

    fill(buf, 0, SMALL);
    err = tn_write(*near, buf, SMALL, NULL, PATIENCE);
    for (size_t at = 0; at < SMALL && !tn_failed(err);) {
        const void *data;
        size_t size;
        err = tn_read_lease(*far, &data, &size, PATIENCE);
        if (tn_failed(err))
            break;
        check(data, at, size);
        at += size;
        tn_return(*far);
    }
    return err;
}

static tn_err write_pieces(struct tn_conn **near, struct tn_conn **far)
{
    char buf[SMALL], out[SMALL];
    struct iovec pieces[SMALL + 2];
    size_t done = 0;
    tn_err err;

    fill(buf, 0, SMALL);
    pieces[0] = pieces[1] = (struct iovec){ NULL, 0 };
    for (size_t i = 0; i < SMALL; i++)
        pieces[2 + i] = (struct iovec){ buf + i, 1 };
    err = tn_writev(*near, pieces, SMALL + 2, &done, PATIENCE);
    must(done <= SMALL && (tn_failed(err) || done == SMALL));
    if (!tn_failed(err))
        err = tn_read_all(*far, out, SMALL, NULL, PATIENCE);
    if (!tn_failed(err))
        check(out, 0, SMALL);
    return err;
}

static tn_err confirm(struct tn_conn **near, struct tn_conn **far)
{
    uint64_t unacked = 99;
    tn_err err = tn_write(*near, "sure", 4, NULL, PATIENCE);

    (void)far;
    if (!tn_failed(err))
        err = tn_confirm(*near, &unacked, PATIENCE);
    must(tn_failed(err) || unacked != 99);
    return err;
}

static tn_err read_past_deadline(struct tn_conn **near, struct tn_conn **far)
{
    char buf[8];
    size_t got = 77;
    tn_err err = tn_read(*far, buf, sizeof(buf), &got, tn_in(2 * TN_MS));

    must(tn_failed(err) && got == 77);
    if (err.kind != TN_DEADLINE)
        return err;
    err = tn_write(*near, "late", 4, NULL, PATIENCE);
    if (!tn_failed(err))
        err = tn_read_all(*far, buf, 4, &got, PATIENCE);
    must(tn_failed(err) || memcmp(buf, "late", 4) == 0);
    return err;
}

static tn_err read_one(void *arg)
{
    struct flow *flow = arg;
    char buf[8];
    size_t got = 0;

    flow->read_err = tn_read(flow->to, buf, sizeof(buf), &got, PATIENCE);
    flow->read += got;
    return tn_ok();
}

static tn_err cancel_reader(struct tn_conn **near, struct tn_conn **far)
{
    struct flow flow = { .to = *far };
    struct tn_task *reader = NULL;
    char buf[8];
    tn_err err = tn_go(NULL, read_one, &flow, NULL, &reader);

    if (tn_failed(err))
        return err;
    tn_yield();
    tn_cancel(reader);
    err = tn_join(&reader, NULL, PATIENCE);
    if (!tn_failed(err) && flow.read_err.kind != TN_CANCELED)
        err = flow.read_err;
    if (!tn_failed(err))
        err = tn_write(*near, "after", 5, NULL, PATIENCE);
    if (!tn_failed(err))
        err = tn_read_all(*far, buf, 5, NULL, PATIENCE);
    must(tn_failed(err) || memcmp(buf, "after", 5) == 0);
    return err;
}

static tn_err cancel_writer(struct tn_conn **near, struct tn_conn **far)
{
    struct flow flow = { .from = *near, .to = *far, .size = 100u * 1000 * 1000 };
    struct tn_task *writer = NULL;
    tn_err err = tn_go(NULL, write_flow, &flow, NULL, &writer);

    if (tn_failed(err))
        return err;
    tn_yield();
    tn_ignore(tn_sleep(tn_in(1 * TN_MS))); /* whether it parks by then is its affair */
    tn_cancel(writer);
    err = tn_join(&writer, NULL, PATIENCE);
    if (tn_failed(err))
        return err;
    if (flow.write_err.kind != TN_CANCELED)
        return flow.write_err;
    flow.size = flow.written; /* exactly what the kernel took must come out */
    return read_flow(&flow);
}

static struct flow late_flow;

static tn_err read_late(void *arg)
{
    struct tn_conn *conn = arg;
    tn_err err;

    must(late_flow.to == NULL); /* once */
    late_flow.to = conn;
    late_flow.size = SMALL;
    late_flow.ends = true;
    err = read_flow(&late_flow);
    tn_abort(&conn);
    return err;
}

/* Started by what comes, or dropped with its connection by the group's end. */
static tn_err start_late(struct tn_conn **near, struct tn_conn **far)
{
    struct flow flow = { .from = *near, .size = SMALL, .ends = true };
    struct tn_group *group = NULL;
    tn_err err = tn_group_open(&group, TN_GROUP_ALL_OR_NONE);

    late_flow = (struct flow){ 0 };
    if (!tn_failed(err))
        err = tn_go_late(group, read_late, *far, NULL);
    if (!tn_failed(err)) {
        *far = NULL;
        err = write_flow(&flow);
    }
    if (!tn_failed(err))
        err = tn_group_wait(group, PATIENCE);
    tn_group_close(&group);
    must(tn_failed(err) || late_flow.read == SMALL);
    return err;
}

static tn_err release_and_adopt(struct tn_conn **near, struct tn_conn **far)
{
    int fd = -1;
    tn_err err = tn_release(near, &fd, PATIENCE);

    if (tn_failed(err)) {
        must(*near != NULL && fd == -1);
        return err;
    }
    must(*near == NULL && fd >= 0);
    err = tn_adopt(near, fd, NULL);
    if (tn_failed(err)) {
        close(fd);
        return err;
    }
    return move(*far, *near, SMALL, false);
}

static tn_err facts_and_names(struct tn_conn **near, struct tn_conn **far)
{
    struct tn_conn_facts facts;
    tn_addr local, peer;
    char text[TN_ADDR_TEXT];
    tn_err err = move(*near, *far, SMALL, false);

    tn_conn_facts(*near, &facts);
    must(facts.written <= SMALL);
    local = tn_local(*near);
    peer = tn_peer(*near);
    must(tn_addr_text(&local, text, sizeof(text)) == text);
    must(tn_addr_text(&peer, text, sizeof(text)) == text);
    return err;
}

/* Connect the two ends as WHERE says: over a listener, or as a pair. */
static tn_err connect_ends(const char *where, struct tn_conn **near, struct tn_conn **far)
{
    struct tn_listener *listener = NULL;
    char text[TN_ADDR_TEXT];
    tn_addr addr;
    tn_err err;

    if (strcmp(where, "pair") == 0)
        return tn_pair(near, far);
    snprintf(text, sizeof(text), "%s", where);
    if (strcmp(where, "abstract") == 0)
        snprintf(text, sizeof(text), "unix:@tenon-torture-%d", (int)getpid());
    err = tn_listen(&listener, text, NULL);
    if (tn_failed(err))
        return err;
    addr = tn_listener_addr(listener);
    err = tn_dial_addr(near, &addr, NULL, PATIENCE);
    /* An accepted connection that cannot be set up is dropped: then none is left. */
    if (!tn_failed(err))
        err = tn_accept(listener, far, tn_in(20 * TN_MS));
    tn_listener_close(&listener);
    return err.kind == TN_DEADLINE ? tn_err_user(TN_LIMIT, 0) : err;
}

static tn_err run_pattern(const struct scenario *self)
{
    struct tn_conn *near = NULL, *far = NULL;
    tn_err err = connect_ends(self->where, &near, &far);

    if (!tn_failed(err))
        err = self->pattern(&near, &far);
    tn_abort(&near);
    tn_abort(&far);
    return err;
}

#define OVER(what, text, place)                                                          \
    {                                                                                    \
        .name = #what " over " text, .run = run_pattern, .where = (place),               \
        .pattern = (what),                                                               \
    }
#define OVER_EACH(pattern)                                                               \
    OVER(pattern, "a pair", "pair"), OVER(pattern, "TCP", "127.0.0.1:0"),                \
        OVER(pattern, "TCP/IPv6", "[::1]:0"),                                            \
        OVER(pattern, "an abstract Unix socket", "abstract")

const struct scenario conn_scenarios[] = {
    OVER_EACH(small_echo),
    OVER_EACH(large_one_way),
    OVER_EACH(half_close_then_reply),
    OVER_EACH(close_both),
    OVER_EACH(write_then_close_both),
    OVER_EACH(close_with_unread),
    OVER_EACH(close_discarding),
    OVER_EACH(abort_one),
    OVER_EACH(read_exactly),
    OVER_EACH(read_lines),
    OVER_EACH(read_leased),
    OVER_EACH(write_pieces),
    OVER_EACH(confirm),
    OVER_EACH(read_past_deadline),
    OVER_EACH(cancel_reader),
    OVER_EACH(cancel_writer),
    OVER_EACH(start_late),
    OVER_EACH(release_and_adopt),
    OVER_EACH(facts_and_names),
    { .name = NULL },
};
