/* SPDX-License-Identifier: MIT */
/*
 * pump.c -- one direction of a relay.
 *
 *      take (lease, or splice into a pipe)  ->  held  ->  give (send, or splice out of it)
 *
 * Nothing is taken while something is held, so what is held is one piece: a lease of the
 * source, memory of the pump's own, or the content of a pipe.  A lease is in others' way
 * (conn.h), so it becomes memory as soon as the sink does not take all of it at once; only
 * where there is no memory it is kept.
 *
 * The way is chosen by what comes (figures in docs/measuring.md).  Full buffers in a row
 * are a stream: splicing 1 MiB at a time costs a third of copying it.  Small pieces are
 * cheaper by a lease and a send, which on a ring are one call a piece.
 *
 * Always true: taken - given is what is held, to the byte, at every park (but one over a send
 * in a batch, whose answer comes before others run); a pipe that is not empty is the pump's,
 * an empty one the loop's.
 */
#include <errno.h>
#include <string.h>

#include <tenon/pump.h>

#include "base/check.h"
#include "base/err.h"
#include "net/conn.h"

/* So many full buffers, nothing small between them, begin splicing; so many small splices
 * end it. */
#define FULL_STREAK  4
#define SMALL_STREAK 4
/*
 * Below this a copy is cheaper than the two calls of a splice: a round trip of 4 KiB costs
 * the hand-written relays of bench/peers 16.6 us by copy and 19.0 by splice, of 16 KiB 19.0
 * and 18.9, of 64 KiB 45.3 and 39.4.
 */
#define SMALL_SPLICE ((size_t)16 * 1024)

/* After so many pieces without a park: has the deadline passed, is there a cancel? */
#define PIECES_A_CHECK 64

/* One call of tn_pump. */
struct run {
    struct tn_pump *pump;
    struct tn_conn *from, *to;
    tn_deadline deadline;
    unsigned pieces;
    bool yielded; /* so that a reader of TO could begin */
};

static size_t held(const struct tn_pump *pump)
{
    return (size_t)(pump->taken - pump->given);
}

/* Bytes that may still be taken. */
static size_t room(const struct tn_pump *pump)
{
    if (pump->limit == 0)
        return SIZE_MAX;
    return pump->limit > pump->taken ? (size_t)(pump->limit - pump->taken) : 0;
}

static bool is_lent(const struct tn_pump *pump)
{
    return pump->data != NULL && pump->buffer == NULL && pump->memory == NULL;
}

/* ---- giving ---- */

/*
 * Keep what is lent in memory of our own.  A buffer of the loop's changes hands; a part of
 * a driver's buffer, which serves others, is copied.  Without memory it stays lent.
 */
static void keep_lease(struct run *run)
{
    struct tn_pump *pump = run->pump;
    const char *data = pump->data;

    if (data == NULL || !is_lent(pump))
        return;
    if (run->from->buffer != NULL) {
        pump->buffer = run->from->buffer;
        run->from->buffer = NULL;
        return;
    }
    pump->memory = os_allocate(task_os(), held(pump));
    if (pump->memory == NULL)
        return;
    memcpy(pump->memory, data, held(pump));
    pump->data = pump->memory;
    conn_return_lease(run->from);
}

/* All of it is given: let go of what held it. */
static void drop_held(struct run *run)
{
    struct tn_pump *pump = run->pump;

    if (is_lent(pump))
        conn_return_lease(run->from);
    if (pump->buffer != NULL)
        buffer_give(pump->buffer);
    if (pump->memory != NULL)
        os_release(task_os(), pump->memory);
    if (pump->pipe != NULL)
        pipe_give(pump->pipe);
    pump->data = NULL;
    pump->buffer = pump->memory = pump->pipe = NULL;
}

/* Give all that is held, waiting for room.  0 or -errno. */
static int give(struct run *run)
{
    struct tn_pump *pump = run->pump;
    struct pipe *pipe = pump->pipe;
    int result = conn_check_write(run->to);

    while (result >= 0 && held(pump) > 0) {
        ssize_t sent = pipe != NULL ? conn_splice_out(run->to, pipe->fds[0], held(pump))
                                    : conn_send(run->to, pump->data, held(pump));
        if (sent > 0) {
            pump->given += (uint64_t)sent;
            pump->data = pipe != NULL ? NULL : pump->data + sent;
            task_spend();
        } else if (sent == -EAGAIN) {
            keep_lease(run);
            result = conn_park_writer(run->to, run->deadline);
        } else {
            result = (int)sent;
        }
    }
    if (result >= 0)
        drop_held(run);
    return result;
}

/* ---- taking: how many bytes, 0 at the end, -EAGAIN, or -errno ---- */

/*
 * Count what a lease has brought.  A stream comes in bursts, and a burst ends with what is
 * left: the piece behind a full one says nothing, be it small.
 */
static void count_full(struct tn_pump *pump, size_t got)
{
    bool is_rest = pump->was_full;

    pump->was_full = got == BUFFER_SIZE;
    if (pump->was_full)
        pump->streak++;
    else if (!is_rest && got < SMALL_SPLICE)
        pump->streak = 0;
}

static ssize_t take_by_lease(struct run *run)
{
    struct tn_pump *pump = run->pump;
    const void *data = NULL;
    ssize_t got = conn_lease_now(run->from, room(pump), &data, run->deadline);

    if (got <= 0)
        return got;
    pump->data = data;
    conn_note_read(run->from, (size_t)got);
    count_full(pump, (size_t)got);
    if (pump->streak == FULL_STREAK) {
        pump->streak = 0;
        pump->splices = !pump->no_splice && !run->from->urgent;
    }
    return got;
}

/* What splicing cannot do, or not now, the other way does. */
static ssize_t take_otherwise(struct run *run)
{
    run->pump->splices = false;
    run->pump->streak = 0;
    return take_by_lease(run);
}

static ssize_t take_by_splice(struct run *run)
{
    struct tn_pump *pump = run->pump;
    size_t size = room(pump) < PIPE_SIZE ? room(pump) : PIPE_SIZE;
    struct pipe *pipe;
    ssize_t got;

    if (run->from->mode != CONN_DIRECT || (pipe = pipe_take()) == NULL)
        return take_otherwise(run);
    got = conn_splice_in(run->from, pipe->fds[1], size);
    if (got <= 0) {
        pipe_give(pipe);
        return got == -EOPNOTSUPP ? take_otherwise(run) : got;
    }
    pump->pipe = pipe;
    run->from->received += (uint64_t)got;
    pump->streak = (size_t)got < SMALL_SPLICE ? pump->streak + 1 : 0;
    if (pump->streak == SMALL_STREAK) {
        pump->streak = 0;
        pump->splices = false;
    }
    return got;
}

/* ---- waiting ---- */

/* Whether anything tells of CONN: what a reader waits for, or a watch. */
static bool is_heard(const struct tn_conn *conn)
{
    return conn->feed.event.wanted || conn->watch.event.wanted;
}

/*
 * Park until FROM may have something, or TO has died.  Of that a reader of TO hears, who may
 * just be about to wait; if there is none, or TO's peer has ended its side, we watch it.
 */
static int wait_for_bytes(struct run *run)
{
    struct tn_conn *to = run->to;
    int result;

    if (!is_heard(to) && !to->peer_ended && !run->yielded) {
        run->yielded = true;
        tn_yield();
        return 0; /* FROM may have had something meanwhile */
    }
    if (!is_heard(to))
        conn_watch(to); /* without, for want of memory, the next send will tell */
    CHECK(to->pump == NULL);
    to->pump = task_self();
    result = conn_wait_readable(run->from, NULL, 0, run->deadline);
    to->pump = NULL;
    /* Each arrival would show in both. */
    if (to->mode == CONN_FEED && to->feed.event.wanted && to->watch.event.wanted)
        os_driver_cancel(to->driver, &to->watch.event);
    return result;
}

static bool sink_has_died(struct tn_conn *to)
{
    bool shows =
        to->feed.end < 0 || (to->watch.event.wanted &&
                             (to->watch.ready & (uint32_t)(POLLERR | POLLHUP)) != 0);

    return to->dead < 0 || (shows && conn_find_dead(to) < 0);
}

/* ---- the whole ---- */

/* Whose RESULT it is.  Time, cancel and memory are ours. */
static int fail(struct run *run, enum tn_pump_side side, int result)
{
    if (result != -ECANCELED && result != -ETIME && result != -ENOMEM &&
        result != -ENOBUFS)
        run->pump->failed = (uint8_t)side;
    return result;
}

/* The source has ended, and all of it is given. */
static int end(struct run *run)
{
    run->pump->ended = true;
    if (run->from->pump != NULL) /* nobody reads FROM any more: see wait_for_bytes */
        task_wake(run->from->pump);
    if (!run->pump->pass_end || !tn_failed(tn_end(run->to)))
        return 0;
    return fail(run, TN_PUMP_TO, run->to->dead < 0 ? run->to->dead : -ECONNRESET);
}

/* Nothing is there to take: wait for it. */
static int wait_more(struct run *run)
{
    int result;

    if (sink_has_died(run->to))
        return fail(run, TN_PUMP_TO, run->to->dead);
    result = wait_for_bytes(run);
    return result < 0 ? fail(run, TN_PUMP_FROM, result) : 0;
}

/* Take a piece and give it: 1, or 0 when it is over, or -errno. */
static int pump_piece(struct run *run)
{
    struct tn_pump *pump = run->pump;
    ssize_t got;
    int result;

    if (held(pump) > 0) {
        result = give(run);
        if (result < 0)
            return fail(run, TN_PUMP_TO, result);
    }
    if (pump->ended || room(pump) == 0)
        return 0;
    got = pump->splices ? take_by_splice(run) : take_by_lease(run);
    if (got > 0) {
        pump->taken += (uint64_t)got;
        return 1;
    }
    if (got == 0)
        return end(run);
    result = got == -EAGAIN ? wait_more(run) : fail(run, TN_PUMP_FROM, (int)got);
    return result < 0 ? result : 1;
}

static int pump_on(struct run *run)
{
    int result;

    do {
        result = pump_piece(run);
        if (result > 0 && ++run->pieces % PIECES_A_CHECK == 0 &&
            park_check(run->deadline) < 0)
            return park_check(run->deadline);
    } while (result > 0);
    return result;
}

tn_err tn_pump(struct tn_pump *pump, struct tn_conn *from, struct tn_conn *to,
               tn_deadline deadline)
{
    struct run run = { .pump = pump, .from = from, .to = to, .deadline = deadline };
    int result;

    /* No lease of the caller's; one of ours only where there was no memory for it. */
    CHECK(is_lent(pump) || (from->leased == NULL && from->buffer == NULL));
    pump->failed = TN_PUMP_NEITHER;
    result = pump_on(&run);
    keep_lease(&run);
    return err_from(ERR_PUMP, result);
}

void tn_pump_release(struct tn_pump *pump)
{
    if (pump->buffer != NULL)
        buffer_give(pump->buffer);
    if (pump->memory != NULL)
        os_release(task_os(), pump->memory);
    if (pump->pipe != NULL)
        pipe_drop(pump->pipe); /* it is not empty: else it were the loop's */
    pump->data = NULL;         /* a lease is the connection's to return */
    pump->buffer = pump->memory = pump->pipe = NULL;
}
