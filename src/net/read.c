/* SPDX-License-Identifier: MIT */
/*
 * read.c -- taking bytes out of a connection.
 *
 * Everything here is made of two steps: conn_receive_now takes what there is without
 * waiting, conn_wait_readable parks until there may be more.  A reader that waits on a
 * feed lends its memory as the sink, and the driver puts the bytes there as it takes them
 * in; a sink filled in the moment of a cancel or a deadline counts as a read.
 *
 * In CONN_DIRECT readiness is edge-triggered: `ready` keeps what has been seen, and is
 * cleared by EAGAIN or by a short read, which on a stream says that the queue is empty
 * (epoll(7)).  Not so after an end or an error was seen: then no further edge may come;
 * nor at the mark of an urgent byte, where every read stops (conn_park_unsure).
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "base/hot.h"
#include "net/conn.h"

/* Reads of this many bytes suit direct receives better, this many in a row settle it. */
#define LARGE_READ   4096
#define LARGE_STREAK 4
/* And back. */
#define SMALL_READ   1024
#define SMALL_STREAK 16

#define UNSURE_FOR (50 * TN_MS)

void conn_take_segment(struct tn_conn *conn, struct os_segment **segment)
{
    struct os_feed *feed = &conn->feed;

    *segment = feed->head;
    feed->head = feed->head->next;
    if (feed->head == NULL)
        feed->tail = NULL;
    feed->queued -= (*segment)->size;
}

RARE static size_t take_queued(struct tn_conn *conn, char *buf, size_t size, bool peek)
{
    struct os_segment *segment = conn->feed.head;
    size_t done = 0;

    while (segment != NULL && done < size) {
        size_t part = segment->size < size - done ? segment->size : size - done;

        memcpy(buf + done, segment->data, part);
        done += part;
        if (peek) {
            segment = segment->next;
        } else if (part < segment->size) {
            segment->data += part;
            segment->size -= (uint32_t)part;
            conn->feed.queued -= (uint32_t)part;
        } else {
            struct os_segment *empty;
            conn_take_segment(conn, &empty);
            os_driver_give(conn->driver, empty);
            segment = conn->feed.head;
        }
    }
    return done;
}

/*
 * Whether the peer's end has come, where nothing is left to be read.  After a reset there is
 * none, unless it came before: TCP counts it as a byte, and urgent bytes, which we do not.
 */
static bool has_ended(const struct tn_conn *conn)
{
    int state;
    int64_t come = conn_come_in_order(conn, &state);
    int64_t more = come - (int64_t)(conn->received + conn->uncounted);
    bool marked = conn->marked || ((conn->driver->abilities & OS_VAGUE_PRI) == 0 &&
                                   (conn->watch.ready & POLLPRI) != 0);

    return state != TCP_CLOSE || (more == 1 && !marked);
}

/*
 * The kernel tells of a reset once, and if a send was told, receives see an end.  An end
 * it is only if it came before: then the error is EPIPE (tcp_reset in CLOSE_WAIT).  Where a
 * splice may have passed over the error, TCP's count decides.
 */
static ssize_t end_or_error(struct tn_conn *conn)
{
    if (conn->error_lost && conn->tcp && (conn->dead == 0 || conn->dead == -EPIPE) &&
        !has_ended(conn))
        conn->dead = -ECONNRESET;
    return conn->dead < 0 && conn->dead != -EPIPE ? conn->dead : 0;
}

/* What the kernel has answered: bytes, 0 at the end, or -errno, noted. */
static ssize_t note_received(struct tn_conn *conn, ssize_t got)
{
    if (got < 0 && got != -EAGAIN)
        conn_note_error(conn, (int)got);
    else if (got == -EAGAIN && (conn->watch.ready & POLLERR) != 0)
        conn_drop_stamps(conn);
    if (got != 0)
        return got;
    got = end_or_error(conn);
    conn->peer_ended |= got == 0;
    return got;
}

/* Ask the kernel itself: bytes, 0 at the end, or -errno. */
static ssize_t receive_kernel(struct tn_conn *conn, void *buf, size_t size, bool peek)
{
    return note_received(conn, conn->urgent
                                   ? conn_receive_urgent(conn, buf, size, peek)
                                   : conn_recv(conn, buf, size, peek ? MSG_PEEK : 0));
}

/* Whether a read that brought GOT of SIZE bytes has emptied the queue. */
static bool has_emptied(struct tn_conn *conn, size_t got, size_t size)
{
    if (got == size || conn->urgent ||
        (conn->watch.ready & (POLLRDHUP | POLLHUP | POLLERR)) != 0)
        return false;
    if ((conn->watch.ready & POLLPRI) == 0)
        return true;
    if ((conn->driver->abilities & OS_VAGUE_PRI) == 0) {
        conn->marked = true;
        return !conn_at_mark(conn);
    }
    conn->unsure = true;
    return true;
}

/*
 * Where POLLPRI comes with any data, to ask the kernel after each short read whether it
 * stopped at a mark is 4 % of an echo of 16 KiB.  So only a reader that has waited for a
 * while asks: what is behind an urgent byte that nobody wanted comes that much later.
 */
int conn_park_unsure(struct tn_conn *conn, tn_deadline deadline)
{
    int64_t soon = os_late_now(conn->os) + UNSURE_FOR, point = deadline_point(deadline);
    tn_deadline look =
        deadline_make(soon < point ? soon : point, deadline_shielded(deadline));
    int result = park_at(&conn->reader, WAIT_CONN, conn, look);

    if (result != -ETIME || soon >= point)
        return result;
    conn->unsure = false;
    if (conn_at_mark(conn)) {
        conn->watch.ready |= POLLIN | POLLPRI; /* the second: see conn_recv */
        conn->marked = true;
    }
    return 0;
}

/* In CONN_DIRECT, whether the kernel is worth asking: 0, -EAGAIN, or -errno. */
static int direct_ready(struct tn_conn *conn)
{
    int error = conn->watch.error;

    if (error < 0) { /* said once: the next read tries again */
        conn->watch.error = 0;
        return error;
    }
    if (conn_watch(conn) < 0)
        return -EAGAIN; /* the last watch is still ending: its end wakes us */
    return (conn->watch.ready & READABLE) != 0 ? 0 : -EAGAIN;
}

static ssize_t receive_direct(struct tn_conn *conn, void *buf, size_t size, bool peek)
{
    ssize_t got = direct_ready(conn);

    if (got < 0)
        return got;
    got = receive_kernel(conn, buf, size, peek);
    conn->unsure = false;
    if (got == -EAGAIN)
        conn->watch.ready &= ~READABLE;
    else if (got > 0 && !peek && has_emptied(conn, (size_t)got, size))
        conn->watch.ready &= ~(uint32_t)(POLLIN | POLLPRI);
    return got;
}

/*
 * splice(2) stops at the mark of an urgent byte and says EAGAIN for good; a receive steps
 * over it, as everybody's does.
 */
ssize_t conn_splice_in(struct tn_conn *conn, int pipe, size_t size)
{
    ssize_t got = direct_ready(conn);

    if (got < 0)
        return got;
    do
        got = os_splice_in(conn->os, conn->fd, pipe, size);
    while (got == -EINTR);
    if (got == -EINVAL || got == -ENOMEM)
        return -EOPNOTSUPP;
    if (got == -EAGAIN && (conn->watch.ready & POLLPRI) != 0 && conn_at_mark(conn))
        return -EOPNOTSUPP;
    got = note_received(conn, got);
    if (got == -EAGAIN)
        conn->watch.ready &= ~READABLE;
    return got;
}

/* The same when the feed has no bytes, but not much to say about them either. */
RARE static ssize_t receive_without_feed(struct tn_conn *conn, void *buf, size_t size,
                                         bool peek)
{
    struct os_feed *feed = &conn->feed;

    if (feed->end < 0)
        return feed->end;
    if (feed->end == OS_FEED_EOF) {
        conn->peer_ended = true;
        return end_or_error(conn);
    }
    if (!os_event_idle(&feed->event))
        return -EAGAIN;
    /* The feed's last answer has come and all of it has been read. */
    feed->starved = false;
    conn->mode = CONN_DIRECT;
    return receive_direct(conn, buf, size, peek);
}

HOT_INLINE ssize_t receive_now(struct tn_conn *conn, void *buf, size_t size, bool peek)
{
    const struct os_feed *feed = &conn->feed;

    if (feed->head != NULL)
        return (ssize_t)take_queued(conn, buf, size, peek);
    if (conn->mode == CONN_FEED && feed->end == 0 && !feed->starved)
        return -EAGAIN;
    return receive_without_feed(conn, buf, size, peek);
}

ssize_t conn_receive_now(struct tn_conn *conn, void *buf, size_t size, bool peek)
{
    return receive_now(conn, buf, size, peek);
}

HOT_INLINE ssize_t receive_late(struct tn_conn *conn, void *buf, size_t size, bool peek,
                                tn_deadline deadline)
{
    /* What is being received ahead is in the driver's hands until it says so. */
    if (!os_event_idle(&conn->feed.event) || park_check(deadline) != -ETIME)
        return -EAGAIN;
    return receive_kernel(conn, buf, size, peek);
}

ssize_t conn_receive_late(struct tn_conn *conn, void *buf, size_t size, bool peek,
                          tn_deadline deadline)
{
    return receive_late(conn, buf, size, peek, deadline);
}

/*
 * See that the feed brings what comes.  At the mark of an urgent byte it may be asleep beside
 * bytes: a signal stops a ring's receive there as it does conn_recv's, and the ring makes it
 * again only when more comes (Linux 6.18).
 */
RARE static void run_feed(struct tn_conn *conn)
{
    struct os_feed *feed = &conn->feed;

    if (!feed->event.wanted && os_event_idle(&feed->event))
        os_driver_arm(conn->driver, &feed->event);
    else if (feed->event.wanted && feed->more && conn_at_mark(conn))
        conn_leave_feed(conn);
}

HOT_INLINE int wait_readable(struct tn_conn *conn, void *sink, size_t size,
                             tn_deadline deadline)
{
    struct os_feed *feed = &conn->feed;
    int result;

    if (conn->mode == CONN_FEED && (!feed->event.wanted || feed->more)) {
        result = park_check(deadline);
        if (result < 0)
            return result;
        run_feed(conn);
    }
    feed->sink = sink;
    feed->sink_room = size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
    feed->sink_got = 0;
    result = conn_park_reader(conn, deadline);
    feed->sink = NULL;
    return result;
}

int conn_wait_readable(struct tn_conn *conn, void *sink, size_t size,
                       tn_deadline deadline)
{
    return wait_readable(conn, sink, size, deadline);
}

/* Choose the mode by what reads bring: see conn.h. */
static void choose_mode(struct tn_conn *conn, size_t size)
{
    bool wants_change = conn->mode == CONN_FEED ? size >= LARGE_READ : size < SMALL_READ;
    unsigned streak = conn->mode == CONN_FEED ? LARGE_STREAK : SMALL_STREAK;

    if (!wants_change || conn->mode == CONN_LEAVING) {
        conn->streak = 0;
        return;
    }
    if (++conn->streak < streak)
        return;
    conn->streak = 0;
    if (conn->mode == CONN_FEED) {
        conn_leave_feed(conn);
    } else if (conn->writer == NULL && !conn_at_mark(conn)) { /* see run_feed */
        os_driver_cancel(conn->driver, &conn->watch.event);
        conn->mode = CONN_FEED;
    }
}

void conn_note_read(struct tn_conn *conn, size_t size)
{
    conn->received += size;
    if (conn_may_feed(conn))
        choose_mode(conn, size);
}

/* Between 1 and SIZE bytes, 0 at the end, or -errno. */
HOT_INLINE ssize_t receive(struct tn_conn *conn, void *buf, size_t size, bool peek,
                           tn_deadline deadline)
{
    CHECK(size > 0 && conn->leased == NULL && conn->buffer == NULL);
    for (;;) {
        ssize_t got = receive_now(conn, buf, size, peek);
        int result;

        if (got == -EAGAIN)
            got = receive_late(conn, buf, size, peek, deadline);
        if (got != -EAGAIN) {
            task_spend();
            if (got > 0 && !peek)
                conn_note_read(conn, (size_t)got);
            return got;
        }
        result = wait_readable(conn, peek ? NULL : buf, size, deadline);
        if (conn->feed.sink_got > 0) {
            got = (ssize_t)conn->feed.sink_got;
            conn->feed.sink_got = 0;
            conn_note_read(conn, (size_t)got);
            return got;
        }
        if (result < 0)
            return result;
    }
}

static tn_err read_error(ssize_t got)
{
    return got == 0 ? err_make(ERR_READ, TN_EOF) : err_from(ERR_READ, (int)got);
}

tn_err tn_read(struct tn_conn *conn, void *buf, size_t size, size_t *got,
               tn_deadline deadline)
{
    ssize_t result = receive(conn, buf, size, false, deadline);

    if (result <= 0)
        return read_error(result);
    *got = (size_t)result;
    return tn_ok();
}

tn_err tn_peek(struct tn_conn *conn, void *buf, size_t size, size_t *got,
               tn_deadline deadline)
{
    ssize_t result = receive(conn, buf, size, true, deadline);

    if (result <= 0)
        return read_error(result);
    *got = (size_t)result;
    return tn_ok();
}

tn_err tn_read_all(struct tn_conn *conn, void *buf, size_t size, size_t *done,
                   tn_deadline deadline)
{
    ssize_t result = 1;
    size_t have = 0;

    while (have < size && result > 0) {
        result = receive(conn, (char *)buf + have, size - have, false, deadline);
        have += result > 0 ? (size_t)result : 0;
    }
    if (done != NULL)
        *done = have;
    return result > 0 ? tn_ok() : read_error(result);
}

/*
 * What comes after the delimiter must stay unread, so bytes are looked at first and then
 * taken, up to the delimiter or all of them.
 */
static ssize_t take_line_part(struct tn_conn *conn, char *buf, size_t size,
                              char delimiter, bool *found, tn_deadline deadline)
{
    ssize_t seen = receive(conn, buf, size, true, deadline);
    const char *end;
    size_t want;

    if (seen <= 0)
        return seen;
    end = memchr(buf, delimiter, (size_t)seen);
    *found = end != NULL;
    want = end != NULL ? (size_t)(end - buf) + 1 : (size_t)seen;
    return receive(conn, buf, want, false, deadline);
}

tn_err tn_read_until(struct tn_conn *conn, void *buf, size_t size, char delimiter,
                     size_t *done, tn_deadline deadline)
{
    char *at = buf;
    bool found = false;

    *done = 0;
    while (!found && *done < size) {
        ssize_t got =
            take_line_part(conn, at + *done, size - *done, delimiter, &found, deadline);
        if (got <= 0)
            return read_error(got);
        *done += (size_t)got;
        found = found && at[*done - 1] == delimiter;
    }
    return found ? tn_ok() : err_make(ERR_READ, TN_LIMIT);
}
