/* SPDX-License-Identifier: MIT */
/*
 * net/conn.h -- the inside of a connection, for the files of this folder.
 *
 * How bytes come in.  On a driver that can feed (io_uring), small messages are received
 * ahead into the driver's buffers (CONN_FEED): the cheapest way up to about 1 KiB.  Not
 * with `urgent`, whose byte that would swallow; nor on Unix streams: closed with bytes
 * unread they tell the peer so only as long as those are the kernel's.  From
 * 4 KiB on, and on epoll, it is cheaper to wait for readiness and to receive straight into
 * the reader's memory (CONN_DIRECT).  A connection changes by what it sees; between the
 * two it is CONN_LEAVING: the feed has been asked to end, and only when its last answer
 * has come and its queue is empty may a direct receive run, or bytes would change order.
 *
 * How bytes go out.  By sends on the caller's memory that do not wait, so that no cancel
 * can race with one.  They are direct calls; but a small one on a ring, while other tasks
 * are ready, is submitted with theirs in the loop's next wait (park_batch): a system call
 * less for each (docs/measuring.md).  Alone in its turn a task sends sooner by itself.
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include <tenon/conn.h>

#include "base/check.h"
#include "base/deadline.h"
#include "os/driver.h"
#include "os/os.h"
#include "task/park.h"

struct late;

enum conn_mode { CONN_FEED, CONN_LEAVING, CONN_DIRECT };

/* What wakes a reader, and what wakes a writer. */
#define READABLE ((uint32_t)(POLLIN | POLLRDHUP | POLLHUP | POLLERR))
#define WRITABLE ((uint32_t)(POLLOUT | POLLHUP | POLLERR))

/* What each read and write touches stands first, in as few cache lines as it fits. */
struct tn_conn {
    struct os *os;
    struct os_driver *driver;
    int fd;
    int dead;         /* -errno once the connection is known to be dead, else 0 */
    uint8_t mode;     /* enum conn_mode */
    uint8_t streak;   /* reads in a row that would suit the other mode better */
    bool tcp;         /* or a Unix stream */
    bool urgent;      /* the option */
    bool confirmable; /* the option, and the kernel took it */
    bool ended;       /* our end has been sent */
    bool peer_ended;  /* the peer's end has come, behind all that is queued */
    bool error_lost;  /* perhaps: a splice may have passed over one */
    bool marked;    /* an urgent byte has been seen coming; on a ring not every one is */
    bool dying;     /* let go: it frees itself when the driver has done with it */
    bool closing;   /* tn_close waits for any edge */
    bool unsure;    /* was a read short for want of bytes, or at a mark (read.c)? */
    uint8_t stamps; /* sent since the error queue was emptied, at least */
    bool urgent_come;
    bool urgent_unplaced; /* fetched, and not known yet where its mark is */
    char urgent_byte;
    struct tn_task *reader; /* parked here; so is the writer below */
    struct os_feed feed;
    uint64_t received, written;
    struct os_segment *leased; /* lent: a segment of the feed, */
    char *buffer;              /* or a buffer of the loop's */

    struct os_watch watch;
    struct tn_task *writer;
    struct late *late;    /* a task that its first byte will start */
    struct tn_task *pump; /* waits for bytes for us; to be woken when we die */
    struct tn_task *urgent_waiter;
    uint64_t urgent_offset;
    uint64_t uncounted; /* of the peer's bytes in TCP's count, those not in `received` */
    uint64_t urgent_sent_at; /* `written` after the last urgent byte of ours; 0: none */

    uint32_t writer_wants; /* what of `ready` wakes the writer */
    union {
        sa_family_t family; /* 0: ask the kernel */
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } peer; /* as accept or dial knew it */
};

static_assert(sizeof(struct tn_conn) <= 280, "an idle connection has few of these");

/*
 * conn_look_in -- when to look again: after WAIT, or at DEADLINE if that is sooner, and
 * shielded from cancels exactly if that is.
 */
static inline tn_deadline conn_look_in(int64_t wait, tn_deadline deadline)
{
    int64_t point = deadline_point(tn_sooner(tn_in(wait), deadline));

    return deadline_make(point, deadline_shielded(deadline));
}

/* conn_park_unsure -- the same, and look after a while whether a mark has stopped us. */
int conn_park_unsure(struct tn_conn *conn, tn_deadline deadline);

/* conn_park_reader -- park as the reader until something concerns reading. */
static inline int conn_park_reader(struct tn_conn *conn, tn_deadline deadline)
{
    CHECK(conn->reader == NULL); /* two readers at once */
    if (conn->mode == CONN_DIRECT && conn->unsure)
        return conn_park_unsure(conn, deadline);
    return park_at(&conn->reader, WAIT_CONN, conn, deadline);
}

/* How often EAGAIN has to come at an urgent mark to be believed: see conn_recv. */
#define MARK_TRIES 8

/* conn_at_mark -- whether the next byte is the one behind an urgent byte's place. */
bool conn_at_mark(const struct tn_conn *conn);

/* Whether an EAGAIN may be that of a mark.  One that no edge has told of yet has an edge to come. */
static inline bool conn_may_stand_at_mark(const struct tn_conn *conn, int flags)
{
    return (conn->urgent || (conn->watch.ready & POLLPRI) != 0) &&
           (flags & MSG_OOB) == 0 && conn_at_mark(conn);
}

/*
 * conn_recv -- recv(2) that does not wait.
 *
 * At the mark of an urgent byte Linux says EAGAIN, whatever stands behind it, while a signal
 * is pending (tcp_recvmsg_locked, 6.18): one that comes in the microsecond between the start
 * of the call and that look.  No edge would follow.  By the next call it has been handled.
 */
static inline ssize_t conn_recv(const struct tn_conn *conn, void *buf, size_t size,
                                int flags)
{
    unsigned tries = 0;
    ssize_t got;

    do
        got = os_recv(conn->os, conn->fd, buf, size, flags | MSG_DONTWAIT);
    while (got == -EINTR || (got == -EAGAIN && conn_may_stand_at_mark(conn, flags) &&
                             ++tries < MARK_TRIES));
    return got;
}

/* conn.c */
/* conn_new -- INHERITED: FD has the options already, from its listener. */
int conn_new(struct tn_conn **conn, int fd, int family,
             const struct tn_conn_options *options, bool inherited);
/* conn_set_options -- those that Linux copies from a TCP listener to what it accepts. */
int conn_set_options(struct os *os, int fd, bool tcp,
                     const struct tn_conn_options *options);
/*
 * conn_set_keepalive_times -- when to ask whether FD's peer lives.  Numbers that follow each
 * other give different times: connections of the same age are not to ask all at once.
 */
int conn_set_keepalive_times(struct os *os, int fd, unsigned number);
void conn_set_peer(struct tn_conn *conn, const struct sockaddr *addr, socklen_t size);
/* conn_let_go -- free CONN when the driver has done with it; RESET: end it by a reset. */
void conn_let_go(struct tn_conn *conn, bool reset);
/* conn_may_feed -- whether CONN may be in CONN_FEED at all. */
bool conn_may_feed(const struct tn_conn *conn);
/* conn_watch -- see that the watch is armed: 0; -EAGAIN, it is still ending; or -errno. */
int conn_watch(struct tn_conn *conn);
/* conn_leave_feed -- stop receiving ahead; reading goes on in between. */
void conn_leave_feed(struct tn_conn *conn);

/* read.c */
/* conn_receive_now -- what has come, without waiting: bytes, 0 at the end, -EAGAIN. */
ssize_t conn_receive_now(struct tn_conn *conn, void *buf, size_t size, bool peek);
/*
 * conn_receive_late -- for when conn_receive_now knows of nothing and DEADLINE leaves no
 * time to be told: ask the kernel whether something has come all the same.
 */
ssize_t conn_receive_late(struct tn_conn *conn, void *buf, size_t size, bool peek,
                          tn_deadline deadline);
/* conn_wait_readable -- park until conn_receive_now may have an answer; sink or NULL. */
int conn_wait_readable(struct tn_conn *conn, void *sink, size_t size,
                       tn_deadline deadline);
/* conn_note_read -- SIZE bytes were read at once: count them, and choose the mode. */
void conn_note_read(struct tn_conn *conn, size_t size);
/*
 * conn_splice_in -- as conn_receive_now, into PIPE, in CONN_DIRECT only.  -EOPNOTSUPP: only
 * a receive can do it, this time or ever.
 */
ssize_t conn_splice_in(struct tn_conn *conn, int pipe, size_t size);
/* conn_take_segment -- unlink the feed's first segment; it is the caller's to give back. */
void conn_take_segment(struct tn_conn *conn, struct os_segment **segment);

/* write.c */
/* conn_park_writer -- park as the writer until there may be room. */
int conn_park_writer(struct tn_conn *conn, tn_deadline deadline);
/* conn_check_write -- 0, or why nothing can be written any more. */
int conn_check_write(const struct tn_conn *conn);
/*
 * conn_send -- send what there is room for: bytes, -EAGAIN, or -errno.  What is small may
 * park for the rest of the turn, to go out with that of others.
 */
ssize_t conn_send(struct tn_conn *conn, const void *data, size_t size);
/* conn_splice_out -- the same, of what is in PIPE. */
ssize_t conn_splice_out(struct tn_conn *conn, int pipe, size_t size);
/* conn_send_error -- note what a send failed with; gives what to say. */
int conn_send_error(struct tn_conn *conn, int error);

/* late.c */
/* conn_late_look -- start the late task if what it waits for has come. */
void conn_late_look(struct tn_conn *conn);

/* urgent.c */
/* conn_come_in_order -- TCP's count of what has come without a gap, urgent bytes and the
 * peer's end among it, or -errno; and its state. */
int64_t conn_come_in_order(const struct tn_conn *conn, int *state);
/* conn_receive_urgent -- recv(2) for connections with `urgent`: never over the byte. */
ssize_t conn_receive_urgent(struct tn_conn *conn, void *buf, size_t size, bool peek);

/* close.c */
/* conn_note_error -- the kernel tells of a dead connection only once: keep it. */
void conn_note_error(struct tn_conn *conn, int error);
uint64_t conn_unread(const struct tn_conn *conn);
/* conn_outq -- bytes not acknowledged, the FIN not counted; *ALL: nor is a FIN. */
uint64_t conn_outq(const struct tn_conn *conn, bool *all);
/* conn_drop_stamps -- empty the error queue of a `confirmable` connection. */
void conn_drop_stamps(struct tn_conn *conn);
/* conn_state -- TCP's, as TCP_INFO numbers them; 0 where there is none. */
int conn_state(const struct tn_conn *conn);
/* conn_find_dead -- ask the kernel whether the connection has failed; sets `dead`. */
int conn_find_dead(struct tn_conn *conn);

/* lease.c */
/* conn_lease_now -- lend up to MOST bytes of what has come: as conn_receive_now, _late. */
ssize_t conn_lease_now(struct tn_conn *conn, size_t most, const void **data,
                       tn_deadline deadline);
void conn_return_lease(struct tn_conn *conn);

#endif
