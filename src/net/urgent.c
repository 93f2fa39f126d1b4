/* SPDX-License-Identifier: MIT */
/*
 * urgent.c -- TCP's urgent byte, as far as it can be relied on.
 *
 * It is kept out of the stream (SO_OOBINLINE off) and fetched, before anything else is
 * received, as soon as the kernel shows POLLPRI: a receive that is waiting when it comes
 * would skip and lose it, which is why these connections never receive ahead.  A second
 * urgent byte turns an unread first one into ordinary data, at the receiver; so we send
 * none while the last one is unacknowledged.
 *
 * The byte can come before those in front of it, when a segment was lost.  Then nobody
 * knows yet where its mark is, and it is kept until they do.
 */
#include <errno.h>
#include <linux/tcp.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "net/conn.h"

/* Bytes that may be read before the mark of an urgent byte, or before the end of all. */
static int before_mark(const struct tn_conn *conn)
{
    int before = 0, result = os_ioctl(conn->os, conn->fd, SIOCINQ, &before);

    return result < 0 ? result : before;
}

int64_t conn_come_in_order(const struct tn_conn *conn, int *state)
{
    struct tcp_info info;
    socklen_t size = sizeof(info);
    int result;

    memset(&info, 0, sizeof(info));
    result = os_getsockopt(conn->os, conn->fd, IPPROTO_TCP, TCP_INFO, &info, &size);
    *state = info.tcpi_state;
    return result < 0 ? result : (int64_t)info.tcpi_bytes_received;
}

bool conn_at_mark(const struct tn_conn *conn)
{
    int is = 0;

    return os_ioctl(conn->os, conn->fd, SIOCATMARK, &is) >= 0 && is != 0;
}

/*
 * There is still the mark, and it is what is counted up to (tcp_inq), once more has come
 * in order than that.
 */
static int place_urgent(struct tn_conn *conn)
{
    int state;
    int64_t in_order = conn_come_in_order(conn, &state); /* first: more may come after */
    int before = before_mark(conn);
    uint64_t place = conn->received + (uint64_t)before;

    if (in_order < 0 || before < 0)
        return in_order < 0 ? (int)in_order : before;
    if ((uint64_t)in_order <= place + conn->uncounted && !conn_at_mark(conn))
        return 0;
    conn->urgent_unplaced = false;
    conn->urgent_come = true;
    conn->urgent_offset = place;
    if (conn->urgent_waiter != NULL)
        task_wake(conn->urgent_waiter);
    return 0;
}

/*
 * Fetch the urgent byte if it is there: 1, else 0, or the -errno that leaves it there.  It
 * stays announced until it has come, or the kernel says that there is none (EINVAL), or
 * none any more (ENOTCONN: the connection is dead, of which reading tells more).
 */
static int fetch_urgent(struct tn_conn *conn)
{
    char byte = 0;
    ssize_t got = conn_recv(conn, &byte, 1, MSG_OOB);

    if (got == -ENOTCONN)
        got = -EINVAL;
    if (got >= 0 || got == -EINVAL)
        conn->watch.ready &= ~(uint32_t)POLLPRI;
    if (got == 1) {
        conn->urgent_byte = byte;
        conn->urgent_unplaced = true;
    }
    if (conn->urgent_unplaced) {
        int result = place_urgent(conn);

        if (result < 0)
            return result;
    }
    return got == -EINVAL || got == -EAGAIN ? 0 : (int)got;
}

/*
 * A receive at the mark skips the urgent byte, and loses it unless it has been fetched;
 * and it may come at any moment, between any two calls.  But never into what had come
 * before it (tcp_check_urg).  So what is known to stand before any mark is received, by
 * its number; and when that is nothing, one byte that has been seen beyond a mark whose
 * byte is ours.
 */
ssize_t conn_receive_urgent(struct tn_conn *conn, void *buf, size_t size, bool peek)
{
    int flags = peek ? MSG_PEEK : 0;

    for (;;) {
        int before = before_mark(conn);
        int fetched = before < 0 ? before : 0;
        ssize_t got;

        if (fetched == 0 && conn->urgent_unplaced)
            fetched = place_urgent(conn);
        if (fetched < 0)
            return fetched;
        if (before > 0)
            return conn_recv(conn, buf, (size_t)before < size ? (size_t)before : size,
                             flags);
        fetched = fetch_urgent(conn);
        if (fetched < 0)
            return fetched;
        got = conn_recv(conn, buf, 1, MSG_PEEK);
        if (got == 0) /* it may have come with the end, behind our first look */
            fetched = fetch_urgent(conn);
        if (fetched < 0)
            return fetched;
        if (got <= 0)
            return got;
        if (before_mark(conn) == 0) {
            fetched = fetch_urgent(conn);
            if (fetched > 0)
                continue;
            if (fetched < 0)
                return fetched;
            got = conn_recv(conn, buf, 1, flags);
            conn->uncounted += !peek && got == 1; /* the urgent one, before it */
            return got;
        }
    }
}

tn_err tn_send_urgent(struct tn_conn *conn, char byte, tn_deadline deadline)
{
    int flags = MSG_OOB | MSG_DONTWAIT | MSG_NOSIGNAL;
    bool all;

    if (!conn->urgent)
        return err_make(ERR_URGENT, TN_UNSUPPORTED);
    if (conn->ended || conn->dead < 0)
        return err_from(ERR_URGENT, conn->ended ? -ESHUTDOWN : conn->dead);
    if (conn->urgent_sent_at > 0 &&
        conn_outq(conn, &all) > conn->written - conn->urgent_sent_at)
        return err_make(ERR_URGENT, TN_IN_USE);
    for (;;) {
        ssize_t sent = os_send(conn->os, conn->fd, &byte, 1, flags);
        int result;

        if (sent == -EINTR)
            continue; /* there may well be room, and then no edge comes */
        if (sent == 1) {
            conn->urgent_sent_at = ++conn->written;
            return tn_ok();
        }
        if (sent != -EAGAIN)
            return err_from(ERR_URGENT, conn_send_error(conn, (int)sent));
        result = conn_park_writer(conn, deadline);
        if (result < 0)
            return err_from(ERR_URGENT, result);
    }
}

tn_err tn_wait_urgent(struct tn_conn *conn, char *byte, uint64_t *offset,
                      tn_deadline deadline)
{
    if (!conn->urgent)
        return err_make(ERR_URGENT, TN_UNSUPPORTED);
    CHECK(conn->urgent_waiter == NULL);
    for (;;) {
        int result = conn->watch.error < 0 ? conn->watch.error : conn_watch(conn);
        int fetched = 0;
        uint32_t over;

        if (result < 0 && result != -EAGAIN) {
            conn->watch.error = 0; /* said once, as by reads and writes */
            return err_from(ERR_URGENT, result);
        }
        /* Looked at first, so that nothing that comes before an end is missed. */
        over = conn->watch.ready & (POLLRDHUP | POLLHUP | POLLERR);
        if (!conn->urgent_come &&
            (conn->urgent_unplaced || (over | (conn->watch.ready & POLLPRI)) != 0))
            fetched = fetch_urgent(conn);
        if (conn->urgent_come)
            break;
        if (fetched < 0) {
            conn_note_error(conn, fetched);
            return err_from(ERR_URGENT, fetched);
        }
        if (over != 0 && conn_find_dead(conn) < 0)
            return err_from(ERR_URGENT, conn->dead);
        if ((over & (POLLRDHUP | POLLHUP)) != 0) /* POLLERR may be a mere stamp */
            return err_make(ERR_URGENT, TN_EOF);
        conn->urgent_waiter = task_self();
        result = park(WAIT_CONN, conn, deadline);
        conn->urgent_waiter = NULL;
        if (result < 0)
            return err_from(ERR_URGENT, result);
    }
    conn->urgent_come = false;
    *byte = conn->urgent_byte;
    *offset = conn->urgent_offset;
    return tn_ok();
}
