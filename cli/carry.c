/* SPDX-License-Identifier: MIT */
/*
 * carry.c -- two tasks, one for each direction, and how they stop each other.
 *
 * A task that finds a reason to stop everything notes it and returns an error: the
 * group then cancels the other one.  A dead connection is no such reason for the sender:
 * what had come before the reset is still to be read and put out, and the receiver finds
 * the end of it by itself.
 *
 * Always true: input bytes are in `sent` or in `pending`; received ones are counted once
 * they are ours.  `stop` is set at most once, by whoever was first.
 */
#include "carry.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "progress.h"
#include "report.h"

/* Of our input; enough for a pipe's content, and for few calls on a file. */
#define BLOCK_SIZE ((size_t)128 * 1024)

/* Once both sides have ended only the acknowledgement of our end is out. */
#define CLOSE_LIMIT (30 * TN_SECOND)

/* How long our bytes are waited for before a reset of our own. */
#define SETTLE_LIMIT (2 * TN_SECOND)

/* What a task returns to end its group: never seen outside of this file. */
static tn_err stop_all(struct carry *carry, enum stop reason)
{
    if (carry->stop == STOP_NOT)
        carry->stop = reason;
    return tn_err_user(TN_SYSTEM, (int32_t)reason);
}

/* Is ERR the end of the connection itself? */
static bool is_death(tn_err err)
{
    return err.kind != TN_EOF && err.kind != TN_DEADLINE && err.kind != TN_CANCELED;
}

/* Send SIZE bytes of the input, now in DATA.  Errors: as tn_write. */
static tn_err send_bytes(struct carry *carry, const char *data, size_t size)
{
    size_t done = 0;
    tn_err err;

    carry->pending += size;
    err = tn_write(carry->conn, data, size, &done, TN_NEVER);
    carry->sent += done;
    carry->pending -= done;
    carry->moved_at = tn_now();
    return err;
}

/* As send_bytes, with CR put before each LF that has none. */
static tn_err send_crlf(struct carry *carry, const char *data, size_t size)
{
    size_t start = 0;
    tn_err err;

    for (size_t i = 0; i < size; i++) {
        bool bare = data[i] == '\n' && !carry->after_cr;
        carry->after_cr = data[i] == '\r';
        if (!bare)
            continue;
        err = i > start ? send_bytes(carry, data + start, i - start) : tn_ok();
        if (!tn_failed(err))
            err = send_bytes(carry, "\r\n", 2);
        if (tn_failed(err)) {
            carry->pending += size - i - 1; /* read, and now never to be sent */
            return err;
        }
        start = i + 1;
    }
    return size > start ? send_bytes(carry, data + start, size - start) : tn_ok();
}

/*
 * Our input has ended: tell the peer, see when it has all, and stay for what may come
 * then: -q is over, or nobody reads our output any more ("tenon ... | head -1" should
 * come back to the prompt even if the peer says nothing more).
 */
static tn_err end_sending(struct carry *carry)
{
    tn_err err = tn_end(carry->conn);

    carry->input_ended = true;
    if (!tn_failed(err))
        err = tn_confirm(carry->conn, NULL, TN_NEVER);
    if (tn_failed(err)) {
        if (is_death(err))
            carry->dead = err;
        return tn_ok();
    }
    carry->acked_at = tn_now();
    if (carry->peer_ended)
        return tn_ok();
    err = local_gone(carry->output, carry->settings->after_end);
    if (err.kind == TN_DEADLINE)
        return stop_all(carry, STOP_ENOUGH);
    if (tn_failed(err))
        return tn_ok();
    carry->local_errno = EPIPE;
    return stop_all(carry, STOP_OUTPUT);
}

static tn_err send_task(void *arg)
{
    struct carry *carry = arg;
    tn_err err = tn_ok();

    if (carry->input.fd < 0)
        return end_sending(carry);
    while (!tn_failed(err)) {
        size_t got = 0;

        err = local_read(carry->input, carry->block, BLOCK_SIZE, &got);
        if (err.kind == TN_EOF)
            return end_sending(carry);
        if (tn_failed(err) && err.kind != TN_CANCELED) {
            carry->local_errno = err.code;
            return stop_all(carry, STOP_INPUT);
        }
        if (tn_failed(err))
            return tn_ok();
        err = carry->settings->crlf ? send_crlf(carry, carry->block, got)
                                    : send_bytes(carry, carry->block, got);
    }
    if (is_death(err))
        carry->dead = err;
    return tn_ok();
}

/* The peer has ended its side, or the connection is dead: ERR. */
static tn_err end_receiving(struct carry *carry, tn_err err)
{
    if (is_death(err)) {
        if (!tn_failed(carry->dead))
            carry->dead = err;
        return stop_all(carry, STOP_NOT);
    }
    if (err.kind != TN_EOF)
        return tn_ok(); /* canceled */
    carry->peer_ended = true;
    if (carry->input.is_terminal && !carry->input_ended)
        return stop_all(carry, STOP_ENOUGH); /* nobody wants to type more */
    if (carry->acked_at)
        return stop_all(carry, STOP_NOT); /* the sender only waited for this */
    return tn_ok();
}

static tn_err receive_task(void *arg)
{
    struct carry *carry = arg;

    for (;;) {
        const void *data;
        size_t size, done;
        tn_err err = tn_read_lease(carry->conn, &data, &size, TN_NEVER);

        if (tn_failed(err))
            return end_receiving(carry, err);
        carry->received += size;
        carry->moved_at = tn_now();
        err = local_write(carry->output, data, size, &done);
        tn_return(carry->conn);
        carry->undelivered = size - done;
        if (err.kind == TN_CANCELED)
            return tn_ok();
        if (tn_failed(err)) {
            carry->local_errno = err.code;
            return stop_all(carry, STOP_OUTPUT);
        }
    }
}

/* The next moment at which something has to be decided. */
static tn_deadline next_check(const struct carry *carry)
{
    int64_t idle = carry->settings->idle_timeout;

    if (idle == UNLIMITED)
        return carry->deadline;
    /* In this order nothing overflows, however long it is. */
    return tn_sooner(carry->deadline, tn_in(idle - (tn_now() - carry->moved_at)));
}

/* Wait until both directions are over, a limit is reached, or we are canceled. */
static void wait_for_all(struct carry *carry)
{
    for (;;) {
        tn_err err = tn_group_wait(carry->group, next_check(carry));

        if (err.kind != TN_DEADLINE && err.kind != TN_CANCELED)
            return;
        if (err.kind == TN_CANCELED)
            tn_ignore(stop_all(carry, STOP_SIGNAL)); /* only the note is wanted */
        else if (tn_left(carry->deadline) == 0)
            tn_ignore(stop_all(carry, STOP_MAX_TIME));
        else if (tn_left(next_check(carry)) == 0)
            tn_ignore(stop_all(carry, STOP_IDLE));
        else
            continue;
        return;
    }
}

/* May the connection end in order, or is that a lie to the peer? */
static bool may_end_in_order(const struct carry *carry)
{
    if (carry->pending || carry->undelivered)
        return false;
    switch (carry->stop) {
    case STOP_NOT:
    case STOP_ENOUGH:
        return true;
    case STOP_MAX_TIME:
    case STOP_IDLE:
        return carry->input_ended; /* it has been told so already */
    default:
        return false;
    }
}

/* What the system says of a file only when it is closed (a full disk far away). */
static void close_output(struct carry *carry)
{
    if (carry->close_output && close(carry->output.fd) < 0 && errno != EINTR) {
        carry->local_errno = errno;
        if (carry->stop == STOP_NOT || carry->stop == STOP_ENOUGH)
            carry->stop = STOP_OUTPUT;
    }
    carry->output.fd = -1;
}

/* End the connection as what has happened asks for, and note how that went. */
static void finish(struct carry *carry)
{
    bool dead = carry->dead.kind == TN_RESET || carry->dead.kind == TN_TIMEDOUT ||
                carry->dead.kind == TN_UNREACHABLE;
    tn_deadline limit = tn_sooner(carry->deadline, tn_in(CLOSE_LIMIT));

    close_output(carry);
    /* A reset destroys what is on its way: let our bytes arrive first. */
    if (!dead && carry->stop == STOP_OUTPUT)
        tn_ignore(tn_confirm(carry->conn, NULL, /* reset in any case, in time */
                             tn_sooner(carry->deadline, tn_in(SETTLE_LIMIT))));
    tn_conn_facts(carry->conn, &carry->tcp);
    if (dead || (carry->stop != STOP_NOT && !carry->peer_ended))
        limit = TN_NOW;
    if (dead || (!tn_failed(carry->dead) && may_end_in_order(carry))) {
        carry->closed = tn_close(&carry->conn, &carry->ending, limit);
        if (!tn_failed(carry->closed) && !carry->acked_at)
            carry->acked_at = tn_now();
        return;
    }
    carry->ending.how = TN_ENDED_DEADLINE;
    carry->ending.unacked = carry->tcp.unacked;
    carry->ending.unread = carry->tcp.unread;
    carry->closed = tn_err_user(TN_CANCELED, 0);
    tn_abort(&carry->conn);
}

static tn_err start_tasks(struct carry *carry)
{
    tn_err err = tn_ok();

    if (!carry->receive_only)
        err = tn_go(carry->group, send_task, carry, NULL, NULL);
    if (!tn_failed(err))
        err = tn_go(carry->group, receive_task, carry, NULL, NULL);
    return err;
}

tn_err carry_run(struct carry *carry)
{
    struct meter meter = { .started = carry->started,
                           .sent = &carry->sent,
                           .received = &carry->received };
    tn_err err;

    carry->moved_at = tn_now();
    carry->block = malloc(BLOCK_SIZE);
    err = carry->block ? tn_group_open(&carry->group, TN_GROUP_ALL_OR_NONE)
                       : tn_err_errno(ENOMEM);
    if (!tn_failed(err))
        err = start_tasks(carry);
    if (!tn_failed(err)) {
        /* On a terminal the bytes themselves are what is to be seen. */
        progress_start(&meter, carry->settings->silent || carry->output.is_terminal ||
                                   carry->input.is_terminal);
        wait_for_all(carry);
    }
    tn_group_close(&carry->group);
    progress_stop(&meter);
    if (tn_failed(err))
        tn_abort(&carry->conn);
    else
        finish(carry);
    free(carry->block);
    carry->block = NULL;
    return err;
}
