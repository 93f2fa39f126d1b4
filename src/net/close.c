/* SPDX-License-Identifier: MIT */
/*
 * close.c -- delivery told truly: confirm, and the end of a connection.
 *
 * The order of the truth: what the kernel's own calls have returned, then SIOCOUTQ (bytes
 * not acknowledged; it stays valid after a reset), then SO_ERROR, then the state of TCP.
 * Acknowledgement stamps and edges only wake; a time that has passed proves nothing.
 *
 * The closing rule:
 *
 *      nothing unread:  send our end; wait until it is acknowledged and the peer ended
 *      something unread, now or while waiting:  wait until our bytes are acknowledged,
 *                       then reset; an orderly end would say that we read it all
 *
 * After our end was sent the kernel wakes us at the moments that matter: data or an end
 * arriving, a reset, and the acknowledgement of the FIN, which is a change of state and
 * shows as an edge (FIN_WAIT1 to FIN_WAIT2, LAST_ACK to CLOSE; Linux sk_state_change).  So
 * nothing is polled.  Only bytes without a FIN behind them give no edge; a timer that backs
 * off looks then, woken earlier by stamps where the connection is `confirmable`.
 *
 * SO_LINGER is never used to wait: close(2) would block the thread and hide the result.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include "base/check.h"
#include "base/deadline.h"
#include "base/err.h"
#include "net/conn.h"

/*
 * The timer of a wait without edges: from about a round trip on loopback up to this.  Where
 * stamps wake it is for those that the kernel drops, and so first looks when a delayed
 * acknowledgement (40 ms) must have come.
 */
#define LOOK_FIRST  (100 * TN_US)
#define LOOK_MOST   (200 * TN_MS)
#define LOOK_STAMPS (50 * TN_MS)

void conn_note_error(struct tn_conn *conn, int error)
{
    if (error == -ENOMEM || error == -ENOBUFS || error == -EFAULT || error == -EINVAL)
        return; /* of the call, not of the connection */
    if (error == -EPIPE && !conn->tcp)
        return;          /* the peer's end is closed, which reading shows as well */
    if (conn->dead == 0) /* what the feed was told, nobody else has been */
        conn->dead = conn->feed.end < 0 ? conn->feed.end : error;
}

/*
 * SO_ERROR also tells what the network has said while TCP goes on trying (sk_err_soft: an
 * unreachable host or network, which may be back in time).  That is no end yet.
 */
static bool is_final(const struct tn_conn *conn, int error)
{
    int state;

    if (!conn->tcp || error == ECONNRESET || error == EPIPE || error == ETIMEDOUT)
        return true;
    state = conn_state(conn);
    return state == TCP_CLOSE || state == 0; /* 0: not known */
}

int conn_find_dead(struct tn_conn *conn)
{
    int error = 0;
    socklen_t size = sizeof(error);

    if (conn->feed.end < 0)
        conn_note_error(conn, conn->feed.end);
    if (os_getsockopt(conn->os, conn->fd, SOL_SOCKET, SO_ERROR, &error, &size) >= 0 &&
        error != 0 && is_final(conn, error))
        conn_note_error(conn, -error);
    return conn->dead;
}

uint64_t conn_unread(const struct tn_conn *conn)
{
    int waiting = 0;

    if (os_ioctl(conn->os, conn->fd, SIOCINQ, &waiting) < 0 || waiting < 0)
        waiting = 0;
    return conn->feed.queued + (uint64_t)waiting;
}

uint64_t conn_outq(const struct tn_conn *conn, bool *all)
{
    int outq = 0;

    /* A Unix stream's bytes are in the peer's queue at once. */
    if (!conn->tcp || os_ioctl(conn->os, conn->fd, SIOCOUTQ, &outq) < 0 || outq < 0)
        outq = 0;
    *all = outq == 0;
    return (uint64_t)(outq > 0 && conn->ended ? outq - 1 : outq);
}

/*
 * Stamps have done their work by waking.  Left alone they stay in the receive buffer until
 * there is no room for data: a peer then may never send again.
 */
void conn_drop_stamps(struct tn_conn *conn)
{
    char control[256];
    struct msghdr message = { .msg_control = control };

    conn->stamps = 0;
    if (!conn->confirmable)
        return;
    do
        message.msg_controllen = sizeof(control);
    while (os_recvmsg(conn->os, conn->fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0);
}

/* Park until something happens to the connection, or for WAIT at most. */
static int wait_a_little(struct tn_conn *conn, int64_t *wait, tn_deadline deadline)
{
    tn_deadline look = conn_look_in(*wait, deadline);
    int result;

    CHECK(conn->writer == NULL);
    conn->writer = task_self();
    conn->writer_wants = POLLERR | POLLHUP; /* room to send is no acknowledgement */
    conn->watch.ready &= ~(uint32_t)(POLLERR | POLLHUP);
    result = park(WAIT_CONN, conn, look);
    conn->writer = NULL;
    if (result == -ETIME) /* what wakes us earlier is no reason to look more seldom */
        *wait = *wait * 2 < LOOK_MOST ? *wait * 2 : LOOK_MOST;
    if (result == -ETIME && tn_left(deadline) > 0)
        result = 0;
    return result;
}

/*
 * Wait until every byte is acknowledged, without an end of ours behind them; writes how
 * many are not.  0, -errno of the dead connection, -ETIME or -ECANCELED.
 */
static int wait_acknowledged(struct tn_conn *conn, uint64_t *unacked,
                             tn_deadline deadline)
{
    int64_t wait = conn->confirmable ? LOOK_STAMPS : LOOK_FIRST;
    bool all;

    for (;;) {
        int result;

        conn_drop_stamps(conn);
        *unacked = conn_outq(conn, &all);
        if (*unacked == 0) /* acknowledged, even if it died since */
            return 0;
        if (conn_find_dead(conn) < 0 || conn_state(conn) == TCP_CLOSE) {
            *unacked = conn_outq(conn, &all); /* some may have come between the looks */
            if (*unacked == 0)
                return 0;
            conn_note_error(conn, -ECONNRESET); /* or it was told to somebody else */
            return conn->dead;
        }
        if (conn->watch.error == 0) /* without it, for want of memory, time must do */
            conn_watch(conn);
        result = wait_a_little(conn, &wait, deadline);
        if (result < 0) {
            *unacked = conn_outq(conn, &all);
            return *unacked == 0 ? 0 : result;
        }
    }
}

tn_err tn_confirm(struct tn_conn *conn, uint64_t *unacked, tn_deadline deadline)
{
    uint64_t left;
    int result = wait_acknowledged(conn, &left, deadline);

    if (unacked != NULL)
        *unacked = left;
    /* The watch is costly beside a feed: each arrival would show in both. */
    if (conn->mode == CONN_FEED && conn->watch.event.wanted)
        os_driver_cancel(conn->driver, &conn->watch.event);
    return err_from(ERR_CONFIRM, result);
}

/* The state of a closing connection, as one look finds it. */
struct look {
    bool all_acked; /* our end included */
    bool peer_ended;
    int dead;
    uint64_t unacked, unread;
};

/* What a read would find, without taking it: bytes, 0 at the end, or -errno, noted. */
static ssize_t look_for_end(struct tn_conn *conn)
{
    char byte;
    ssize_t got;

    if (conn->peer_ended || conn->feed.end == OS_FEED_EOF)
        return 0;
    if (conn->dead < 0)
        return conn->dead;
    got = conn_recv(conn, &byte, 1, MSG_PEEK);
    if (got < 0 && got != -EAGAIN)
        conn_note_error(conn, (int)got);
    return got;
}

static struct look look_at(struct tn_conn *conn)
{
    struct look look = { 0 };
    ssize_t found;

    conn_drop_stamps(conn);
    if (conn->feed.end < 0)
        conn_note_error(conn, conn->feed.end);
    look.unread = conn_unread(conn);
    found = look.unread == 0 ? look_for_end(conn) : -EAGAIN;
    look.peer_ended = found == 0;
    if (found > 0) /* it has just come; or it stands behind an urgent byte, uncounted */
        look.unread = conn_unread(conn) > 0 ? conn_unread(conn) : 1;
    if (conn->dead == 0 && (conn->watch.ready & (POLLERR | POLLHUP)) != 0)
        conn_find_dead(conn);
    look.dead = conn->dead;
    look.unacked = conn_outq(conn, &look.all_acked);
    return look;
}

/*
 * Wait until the feed has ended, so that all it has received is counted.  That is soon: it
 * depends on no peer, and so neither a deadline nor a cancel cuts it short.
 */
static void end_feed(struct tn_conn *conn)
{
    conn_leave_feed(conn);
    while (conn_watch(conn) == -EAGAIN || !os_event_idle(&conn->feed.event))
        CHECK(conn_park_reader(conn, deadline_make(INT64_MAX, true)) == 0);
    conn->mode = CONN_DIRECT;
}

/* Read and throw away what has come; counts it. */
static void discard(struct tn_conn *conn, uint64_t *count, tn_deadline deadline)
{
    char scrap[2048];
    ssize_t got;

    do {
        got = conn_receive_now(conn, scrap, sizeof(scrap), false);
        if (got > 0)
            *count += (uint64_t)got;
        task_spend(); /* it may come as fast as we read */
    } while (got > 0 && park_check(deadline) == 0);
}

struct closing {
    struct tn_conn *conn;
    struct look look;
    uint64_t discarded;
    bool discard;
    int result; /* what ended the waiting: 0, -ETIME, -ECANCELED */
};

/* Park until an edge; where watching failed, for want of memory, for a while at most. */
static int wait_for_edge(struct tn_conn *conn, tn_deadline deadline)
{
    bool blind = conn->watch.error < 0;
    int result =
        conn_park_reader(conn, blind ? conn_look_in(LOOK_MOST, deadline) : deadline);

    return blind && result == -ETIME && tn_left(deadline) > 0 ? 0 : result;
}

/* Our end has been sent: wait for its acknowledgement and for the peer's end. */
static void wait_for_both_ends(struct closing *closing, tn_deadline deadline)
{
    struct tn_conn *conn = closing->conn;

    for (;;) {
        if (closing->discard)
            discard(conn, &closing->discarded, deadline);
        closing->look = look_at(conn);
        if (closing->look.dead < 0 || (closing->look.unread > 0 && !closing->discard) ||
            closing->result < 0 || (closing->look.all_acked && closing->look.peer_ended))
            return;
        closing->result = wait_for_edge(conn, deadline);
    }
}

/* Something is unread: our bytes shall arrive all the same before the reset. */
static void wait_before_reset(struct closing *closing, tn_deadline deadline)
{
    struct tn_conn *conn = closing->conn;
    int result = wait_acknowledged(conn, &closing->look.unacked, deadline);
    uint64_t unread = conn_unread(conn);

    closing->look.dead = conn->dead;
    if (result == -ETIME || result == -ECANCELED)
        closing->result = result;
    if (unread > closing->look.unread) /* nobody reads: it can only grow */
        closing->look.unread = unread;
}

static bool is_reset(int dead)
{
    return dead == -ECONNRESET || dead == -EPIPE || dead == -ECONNABORTED;
}

static enum tn_how how_it_ended(const struct closing *closing)
{
    const struct look *look = &closing->look;

    if (look->dead < 0) /* if not by a reset, then TCP gave up, for whatever reason */
        return is_reset(look->dead) ? TN_ENDED_RESET : TN_ENDED_TIMEDOUT;
    if (look->unacked > 0)
        return TN_ENDED_DEADLINE;
    if (look->unread > 0 && !closing->discard)
        return TN_UNREAD;
    if (look->all_acked && look->peer_ended && closing->conn->ended)
        return TN_CLEAN;
    return closing->conn->ended ? TN_ACKED : TN_ENDED_DEADLINE;
}

static tn_err error_of(enum tn_how how, const struct closing *closing)
{
    tn_err err;

    switch (how) {
    case TN_CLEAN:
        return tn_ok();
    case TN_UNREAD:
        return err_make(ERR_CLOSE, TN_IN_USE);
    case TN_ENDED_RESET:
    case TN_ENDED_TIMEDOUT:
        err = err_from(ERR_CLOSE, closing->look.dead);
        err.kind = how == TN_ENDED_RESET ? TN_RESET : TN_TIMEDOUT;
        return err;
    default:
        return err_from(ERR_CLOSE, closing->result < 0 ? closing->result : -ETIME);
    }
}

/*
 * The common end of a server's connection: the peer has ended, we have read it all, and
 * nothing more can come.  Then our end and one look suffice if the acknowledgement is back
 * at once, as on loopback: no watch is armed and cancelled for it (a turn of the loop, and
 * 2 us of 24).
 */
static bool end_at_once(struct closing *closing)
{
    struct tn_conn *conn = closing->conn;
    struct look *look = &closing->look;

    if (!conn->tcp || conn->dead < 0 || conn->feed.queued > 0 || !conn->peer_ended ||
        !os_event_idle(&conn->feed.event))
        return false;
    if (tn_failed(tn_end(conn)))
        return false;
    look->unacked = conn_outq(conn, &look->all_acked);
    look->peer_ended = true;
    return look->all_acked;
}

static void close_in_order(struct closing *closing, tn_deadline deadline)
{
    struct tn_conn *conn = closing->conn;

    if (end_at_once(closing))
        return;
    end_feed(conn);
    if (closing->discard)
        discard(conn, &closing->discarded, deadline);
    closing->look = look_at(conn);
    if (closing->look.dead == 0 && (closing->look.unread == 0 || closing->discard)) {
        tn_ignore(tn_end(conn)); /* a failure is found by the look */
        wait_for_both_ends(closing, deadline);
    }
    if (closing->look.dead == 0 && closing->look.unread > 0 && closing->result == 0)
        wait_before_reset(closing, deadline);
}

static tn_err close_conn(struct tn_conn **conn, tn_ending *ending, bool throw_away,
                         tn_deadline deadline)
{
    struct closing closing = { .conn = *conn, .discard = throw_away };
    enum tn_how how;

    if (*conn == NULL) {
        if (ending != NULL)
            *ending = (tn_ending){ .how = TN_CLEAN };
        return tn_ok();
    }
    CHECK(closing.conn->reader == NULL && closing.conn->writer == NULL);
    CHECK(closing.conn->late == NULL && closing.conn->pump == NULL);
    conn_return_lease(closing.conn);
    closing.conn->closing = true;
    close_in_order(&closing, deadline);
    how = how_it_ended(&closing);
    if (ending != NULL)
        *ending = (tn_ending){ .how = how,
                               .unacked = closing.look.unacked,
                               .unread = closing.look.unread + closing.discarded };
    conn_let_go(closing.conn, how != TN_CLEAN && how != TN_ACKED);
    *conn = NULL;
    return error_of(how, &closing);
}

tn_err tn_close(struct tn_conn **conn, tn_ending *ending, tn_deadline deadline)
{
    return close_conn(conn, ending, false, deadline);
}

tn_err tn_close_discard(struct tn_conn **conn, tn_ending *ending, tn_deadline deadline)
{
    return close_conn(conn, ending, true, deadline);
}

const char *tn_how_text(enum tn_how how)
{
    static const char *const texts[] = {
        [TN_CLEAN] = "clean",
        [TN_ACKED] = "all acknowledged, peer still open",
        [TN_ENDED_RESET] = "reset by peer",
        [TN_ENDED_TIMEDOUT] = "timed out",
        [TN_ENDED_DEADLINE] = "given up, and reset",
        [TN_UNREAD] = "reset, bytes of the peer's were unread",
    };

    return (unsigned)how < sizeof(texts) / sizeof(texts[0]) ? texts[how] : "?";
}
