/* SPDX-License-Identifier: MIT */
/*
 * write.c -- handing bytes to the kernel, all of them or an error that counts.
 *
 * Sends do not wait, be they calls of our own or in a batch with others' (conn.h); when the
 * send buffer is full the task parks until there is room.  So after a cancel or a deadline it
 * is known to the byte what the kernel has taken, and the rest can be written later.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "net/conn.h"

/* Pieces handed over in one call: fewer than IOV_MAX, so that they fit a task's stack. */
#define PIECES_A_CALL 64

/* A stamp for each send lies in the receive buffer, and takes more of it than data. */
#define STAMPS_MAX 16

int conn_park_writer(struct tn_conn *conn, tn_deadline deadline)
{
    int result = 0;

    CHECK(conn->writer == NULL); /* two writers at once */
    if (conn->mode == CONN_DIRECT)
        result = conn->watch.error < 0 ? conn->watch.error : conn_watch(conn);
    if (result < 0 && result != -EAGAIN) {
        conn->watch.error = 0; /* said once: the next write tries again */
        return result;
    }
    conn->writer = task_self();
    conn->writer_wants = WRITABLE;
    conn->watch.ready &= ~WRITABLE;
    /* Never a poll beside a watch, one that is about to be armed included (driver.h). */
    if (conn->mode == CONN_DIRECT) {
        result = park(WAIT_CONN, conn, deadline);
    } else { /* beside a feed a watch would show each arrival once more */
        result = park_poll(conn->fd, POLLOUT, deadline);
        if (result > 0)
            result = 0;
    }
    conn->writer = NULL;
    return result;
}

static ssize_t send_pieces(struct tn_conn *conn, const struct iovec *pieces, size_t count)
{
    struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)pieces,
                              .msg_iovlen = count };
    ssize_t sent;

    do
        sent = os_sendmsg(conn->os, conn->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent == -EINTR);
    return sent;
}

int conn_send_error(struct tn_conn *conn, int error)
{
    conn_note_error(conn, error);
    return error == -EPIPE && conn->dead < 0 ? conn->dead : error;
}

/* What came of a send: count it, or note what it failed with. */
static ssize_t note_sent(struct tn_conn *conn, ssize_t sent)
{
    if (sent == -EAGAIN || sent == -EINTR)
        return sent;
    if (sent < 0)
        return conn_send_error(conn, (int)sent);
    conn->written += (uint64_t)sent;
    if (conn->confirmable && ++conn->stamps == STAMPS_MAX)
        conn_drop_stamps(conn);
    return sent;
}

struct batch {
    struct os_batch batch;
    struct tn_conn *conn;
    ssize_t sent;
};

/*
 * The kernel tells of a reset once.  If that was here, a reader that runs before the writer
 * would find an end: so the answer is noted as it comes.
 */
static void on_batch(struct os_event *event)
{
    struct batch *batch = CONTAINER(event, struct batch, batch.event);

    batch->sent = note_sent(batch->conn, batch->batch.result);
    task_wake(batch->conn->writer);
}

static ssize_t send_in_batch(struct tn_conn *conn, const void *data, size_t size)
{
    struct batch batch = {
        .batch.event = { .type = OS_BATCH, .fd = conn->fd, .notify = on_batch },
        .batch.data = data,
        .batch.size = size,
        .conn = conn,
    };

    CHECK(conn->writer == NULL); /* two writers at once */
    conn->writer = task_self();
    conn->writer_wants = 0;
    park_batch(&batch.batch);
    conn->writer = NULL;
    return batch.sent;
}

static ssize_t send_alone(struct tn_conn *conn, const void *data, size_t size)
{
    return note_sent(
        conn, os_send(conn->os, conn->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL));
}

ssize_t conn_send(struct tn_conn *conn, const void *data, size_t size)
{
    ssize_t sent = -EINTR;

    if (park_pays_batch(size))
        sent = send_in_batch(conn, data, size);
    if (sent != -EINTR && sent != -EAGAIN)
        return sent;
    /* An edge may have come behind a batch's answer, and told nobody (writer_wants): who is to
     * park until the next one asks in the turn in which it parks. */
    do
        sent = send_alone(conn, data, size);
    while (sent == -EINTR);
    return sent;
}

ssize_t conn_splice_out(struct tn_conn *conn, int pipe, size_t size)
{
    ssize_t sent;

    do
        sent = os_splice_out(conn->os, pipe, conn->fd, size);
    while (sent == -EINTR);
    /* Linux sends piece by piece, and an error behind the first one is told to nobody
     * (splice_to_socket, sk_stream_error). */
    conn->error_lost |= sent > 0 && (size_t)sent < size;
    sent = note_sent(conn, sent);
    if (conn->confirmable) /* it was many sends, of 64 KiB at the most */
        conn_drop_stamps(conn);
    return sent;
}

/* Send some of PIECES: how many bytes, or -errno. */
static ssize_t send_some(struct tn_conn *conn, const struct iovec *pieces, size_t count,
                         tn_deadline deadline)
{
    for (;;) {
        ssize_t sent = note_sent(conn, send_pieces(conn, pieces, count));
        int result;

        if (sent != -EAGAIN) {
            task_spend();
            return sent;
        }
        result = conn_park_writer(conn, deadline);
        if (result < 0)
            return result;
    }
}

int conn_check_write(const struct tn_conn *conn)
{
    return conn->ended ? -ESHUTDOWN : conn->dead;
}

/* Copy what follows SKIP bytes of the first of PIECES into SOME; gives how many. */
static size_t gather(struct iovec *some, const struct iovec *pieces, size_t count,
                     size_t skip)
{
    size_t used = count < PIECES_A_CALL ? count : PIECES_A_CALL;

    memcpy(some, pieces, used * sizeof(*some));
    some[0].iov_base = (char *)some[0].iov_base + skip;
    some[0].iov_len -= skip;
    return used;
}

tn_err tn_writev(struct tn_conn *conn, const struct iovec *pieces, size_t count,
                 size_t *done, tn_deadline deadline)
{
    struct iovec some[PIECES_A_CALL];
    ssize_t sent = conn_check_write(conn);
    size_t total = 0, skip = 0;

    while (count > 0 && sent >= 0) {
        if (skip == pieces->iov_len) { /* empty ones among them */
            pieces++;
            count--;
            skip = 0;
            continue;
        }
        sent = send_some(conn, some, gather(some, pieces, count, skip), deadline);
        for (size_t left = sent > 0 ? (size_t)sent : 0; left > 0;) {
            size_t part = pieces->iov_len - skip;
            total += left < part ? left : part;
            skip += left < part ? left : part;
            if (left < part)
                break;
            left -= part;
            pieces++;
            count--;
            skip = 0;
        }
    }
    if (done != NULL)
        *done = total;
    return sent < 0 ? err_from(ERR_WRITE, (int)sent) : tn_ok();
}

tn_err tn_write(struct tn_conn *conn, const void *buf, size_t size, size_t *done,
                tn_deadline deadline)
{
    ssize_t sent = conn_check_write(conn);
    size_t total = 0;

    while (total < size && sent >= 0) {
        sent = conn_send(conn, (const char *)buf + total, size - total);
        if (sent == -EAGAIN)
            sent = conn_park_writer(conn, deadline);
        else
            task_spend();
        total += sent > 0 ? (size_t)sent : 0;
    }
    if (done != NULL)
        *done = total;
    return sent < 0 ? err_from(ERR_WRITE, (int)sent) : tn_ok();
}

tn_err tn_end(struct tn_conn *conn)
{
    int result;

    if (conn->ended)
        return tn_ok();
    if (conn->dead < 0)
        return err_from(ERR_END, conn->dead);
    CHECK(conn->writer == NULL); /* or its bytes would come after our end */
    result = os_shutdown(conn->os, conn->fd, SHUT_WR);
    if (result == -ENOTCONN) /* a reset has come meanwhile */
        result = conn_find_dead(conn) < 0 ? conn->dead : -ECONNRESET;
    if (result >= 0)
        conn->ended = true;
    else
        conn_note_error(conn, result);
    return err_from(ERR_END, result);
}
