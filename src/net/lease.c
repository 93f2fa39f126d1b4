/* SPDX-License-Identifier: MIT */
/*
 * lease.c -- reading without a copy of one's own: bytes lent in the library's memory.
 *
 * On a feed the lease is the segment itself, still in the driver's buffer.  Otherwise it
 * is a buffer that is taken when data is there and given back with tn_return: an idle
 * connection has none.  (A buffer of its own per connection costs 18 to 38 % at 16 to
 * 64 KiB; docs/measuring.md.)
 */
#include <errno.h>

#include "base/check.h"
#include "base/err.h"
#include "net/conn.h"

void conn_return_lease(struct tn_conn *conn)
{
    if (conn->leased != NULL)
        os_driver_give(conn->driver, conn->leased);
    if (conn->buffer != NULL)
        buffer_give(conn->buffer);
    conn->leased = NULL;
    conn->buffer = NULL;
}

/*
 * Whether a receive would find nothing, seen without memory to receive into: taking a
 * buffer and giving it back before each park is 1 % of a small echo.
 */
static bool has_nothing(const struct tn_conn *conn, tn_deadline deadline)
{
    const struct os_feed *feed = &conn->feed;
    const struct os_watch *watch = &conn->watch;

    if (feed->end != 0)
        return false;
    if (feed->event.armed)
        return true;
    return conn->mode == CONN_DIRECT && watch->event.wanted && watch->error == 0 &&
           (watch->ready & READABLE) == 0 && park_check(deadline) != -ETIME;
}

ssize_t conn_lease_now(struct tn_conn *conn, size_t most, const void **data,
                       tn_deadline deadline)
{
    size_t size = most < BUFFER_SIZE ? most : BUFFER_SIZE;
    ssize_t got;

    if (conn->feed.head != NULL && conn->feed.head->size <= most) {
        conn_take_segment(conn, &conn->leased);
        *data = conn->leased->data;
        return (ssize_t)conn->leased->size;
    }
    if (conn->feed.head == NULL && has_nothing(conn, deadline))
        return -EAGAIN;
    conn->buffer = buffer_take();
    if (conn->buffer == NULL)
        return -ENOMEM;
    got = conn_receive_now(conn, conn->buffer, size, false);
    if (got == -EAGAIN)
        got = conn_receive_late(conn, conn->buffer, size, false, deadline);
    if (got <= 0)
        conn_return_lease(conn);
    *data = conn->buffer;
    return got;
}

tn_err tn_read_lease(struct tn_conn *conn, const void **data, size_t *size,
                     tn_deadline deadline)
{
    const void *lent = NULL;
    ssize_t got;

    CHECK(conn->leased == NULL && conn->buffer == NULL); /* one lease at a time */
    while ((got = conn_lease_now(conn, SIZE_MAX, &lent, deadline)) == -EAGAIN) {
        int result = conn_wait_readable(conn, NULL, 0, deadline);
        if (result < 0)
            return err_from(ERR_READ, result);
    }
    task_spend();
    if (got <= 0)
        return got == 0 ? err_make(ERR_READ, TN_EOF) : err_from(ERR_READ, (int)got);
    conn_note_read(conn, (size_t)got);
    *data = lent;
    *size = (size_t)got;
    return tn_ok();
}

void tn_return(struct tn_conn *conn)
{
    conn_return_lease(conn);
}
