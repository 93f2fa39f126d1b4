/* SPDX-License-Identifier: MIT */
/*
 * conn.c -- connections as things: made, looked at, handed over, let go.
 *
 * Letting go never waits.  A connection whose watch or feed the kernel still knows is
 * `dying`: it asks for their end and closes the descriptor and frees itself with their
 * last answer, which the loop waits for before it ends.  Closing earlier would not close:
 * a pending receive holds the socket (io_uring; reference in docs/design.md).
 *
 * Always true: a dying connection has no reader, no writer and no lease.
 */
#include "net/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/net_tstamp.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/un.h>

#include "base/check.h"
#include "base/err.h"

/*
 * A silent dead peer is found after 15 to 25 and then five times 6 or 7 seconds.
 *
 * Not all after the same time: Linux lets timers that are far off fire together, those of
 * thousands of connections made within two seconds at once, and a queue holds a thousand
 * packets (net.core.netdev_max_backlog).  Each further probe would be lost, the same at the
 * next try, until most of the connections were taken for dead, at the same moment.
 */
#define KEEPALIVE_IDLE_S     15
#define KEEPALIVE_IDLES      11
#define KEEPALIVE_INTERVAL_S 6
#define KEEPALIVE_INTERVALS  2
#define KEEPALIVE_PROBES     5

static void free_when_idle(struct tn_conn *conn)
{
    if (!os_event_idle(&conn->watch.event) || !os_event_idle(&conn->feed.event))
        return;
    while (conn->feed.head != NULL) {
        struct os_segment *segment;
        conn_take_segment(conn, &segment);
        os_driver_give(conn->driver, segment);
    }
    os_close(conn->os, conn->fd); /* whatever it says: the descriptor is gone */
    os_release(conn->os, conn);
}

int conn_state(const struct tn_conn *conn)
{
    struct tcp_info info;
    socklen_t size = sizeof(info);

    memset(&info, 0, sizeof(info));
    if (!conn->tcp ||
        os_getsockopt(conn->os, conn->fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return 0;
    return info.tcpi_state;
}

/*
 * When both ends are on their way and ours is not acknowledged, Linux lets a connection that
 * disconnects go without a word (tcp_disconnect), and the peer would wait for our end until
 * its keepalive.  That is how it may be, too, by the time of the call, if the peer's end is
 * still to come.  A close resets for what is unread in any state (tcp_close).
 */
static bool goes_without_a_word(const struct tn_conn *conn)
{
    int state = conn_state(conn);

    return state == TCP_CLOSING || (state == TCP_FIN_WAIT1 && conn_unread(conn) > 0);
}

/*
 * Reset the connection now (connect(2), AF_UNSPEC), though the driver may still hold the
 * descriptor for a turn and a forked child for longer.  The linger time is for systems
 * that do not know this, and for where that would be no reset: there the close does it.
 */
static void reset_now(struct tn_conn *conn)
{
    struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
    struct sockaddr nobody = { .sa_family = AF_UNSPEC };

    if (!conn->tcp)
        return; /* Unix sockets know no reset */
    os_setsockopt(conn->os, conn->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    if (!goes_without_a_word(conn))
        os_connect(conn->os, conn->fd, &nobody, sizeof(nobody));
}

void conn_let_go(struct tn_conn *conn, bool reset)
{
    CHECK(conn->driver == task_driver()); /* not from another loop, nor a forked child */
    CHECK(conn->reader == NULL && conn->writer == NULL && conn->urgent_waiter == NULL);
    CHECK(conn->late == NULL); /* it waits for its first byte, and is not the caller's */
    CHECK(conn->pump == NULL);
    conn_return_lease(conn);
    if (reset)
        reset_now(conn);
    task_count_conn(-1);
    conn->dying = true;
    os_driver_cancel(conn->driver, &conn->watch.event);
    os_driver_cancel(conn->driver, &conn->feed.event);
    free_when_idle(conn);
}

/* The watch or the feed has an answer: pass it on to whom it concerns. */
static void wake(struct tn_conn *conn, uint32_t ready)
{
    if (conn->reader != NULL && (conn->closing || (ready & READABLE) != 0))
        task_wake(conn->reader);
    if (conn->writer != NULL && (ready & conn->writer_wants) != 0)
        task_wake(conn->writer);
    if (conn->urgent_waiter != NULL)
        task_wake(conn->urgent_waiter);
    if (conn->pump != NULL && (!conn->watch.event.wanted || /* it needs a new watch */
                               (ready & (uint32_t)(POLLERR | POLLHUP)) != 0))
        task_wake(conn->pump);
}

static void on_watch(struct os_event *event)
{
    struct tn_conn *conn = CONTAINER(event, struct tn_conn, watch.event);

    if (conn->dying)
        free_when_idle(conn);
    else if (conn->late != NULL)
        conn_late_look(conn);
    else
        wake(conn, event->wanted ? conn->watch.ready : READABLE | WRITABLE);
}

static void on_feed(struct os_event *event)
{
    struct tn_conn *conn = CONTAINER(event, struct tn_conn, feed.event);

    if (conn->dying) {
        free_when_idle(conn);
        return;
    }
    if (conn->pump != NULL && !event->wanted) /* dead, or it tells of no death any more */
        task_wake(conn->pump);
    if (conn->reader != NULL)
        task_wake(conn->reader);
    else if (conn->late != NULL)
        conn_late_look(conn);
}

int conn_watch(struct tn_conn *conn)
{
    if (conn->watch.event.wanted)
        return 0;
    if (!os_event_idle(&conn->watch.event))
        return -EAGAIN;
    os_driver_arm(conn->driver, &conn->watch.event);
    return conn->watch.error;
}

void conn_leave_feed(struct tn_conn *conn)
{
    if (conn->mode != CONN_FEED)
        return;
    conn->mode = CONN_LEAVING;
    conn->streak = 0;
    os_driver_cancel(conn->driver, &conn->feed.event);
}

static int set_number(struct os *os, int fd, int level, int name, int value)
{
    return os_setsockopt(os, fd, level, name, &value, sizeof(value));
}

int conn_set_keepalive_times(struct os *os, int fd, unsigned number)
{
    int idle_s = KEEPALIVE_IDLE_S + (int)(number % KEEPALIVE_IDLES);
    int interval_s =
        KEEPALIVE_INTERVAL_S + (int)(number / KEEPALIVE_IDLES % KEEPALIVE_INTERVALS);
    int result = set_number(os, fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_s);

    return result < 0 ? result
                      : set_number(os, fd, IPPROTO_TCP, TCP_KEEPINTVL, interval_s);
}

static int set_keepalive(struct os *os, int fd)
{
    int result = set_number(os, fd, SOL_SOCKET, SO_KEEPALIVE, 1);

    if (result >= 0) /* neighbours in number are often of the same age */
        result = conn_set_keepalive_times(os, fd, (unsigned)fd);
    if (result >= 0)
        result = set_number(os, fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
    return result;
}

tn_err tn_keepalive(struct tn_conn *conn)
{
    return err_from(ERR_OPTION, conn->tcp ? set_keepalive(conn->os, conn->fd) : 0);
}

/* 0 would be the system's choice, so a part of a millisecond is one. */
static int in_milliseconds(int64_t length)
{
    int64_t whole = length / TN_MS + (length % TN_MS != 0);

    return whole < INT_MAX ? (int)whole : INT_MAX;
}

static int set_tcp_options(struct os *os, int fd, const struct tn_conn_options *options)
{
    int result = 0;

    if (!options->nagle)
        result = set_number(os, fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (result >= 0 && !options->no_keepalive)
        result = set_keepalive(os, fd);
    if (result >= 0 && options->user_timeout > 0)
        result = set_number(os, fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
                            in_milliseconds(options->user_timeout));
    return result;
}

int conn_set_options(struct os *os, int fd, bool tcp,
                     const struct tn_conn_options *options)
{
    int result = tcp ? set_tcp_options(os, fd, options) : 0;

    if (result >= 0 && options->send_buffer > 0)
        result = set_number(os, fd, SOL_SOCKET, SO_SNDBUF, options->send_buffer);
    if (result >= 0 && options->receive_buffer > 0)
        result = set_number(os, fd, SOL_SOCKET, SO_RCVBUF, options->receive_buffer);
    return result;
}

/* Stamps only wake tn_confirm; where there are none its timer does. */
static bool ask_for_stamps(struct os *os, int fd)
{
    return set_number(os, fd, SOL_SOCKET, SO_TIMESTAMPING,
                      SOF_TIMESTAMPING_TX_ACK | SOF_TIMESTAMPING_SOFTWARE |
                          SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY) >= 0;
}

/*
 * Whoever has the socket next does not take stamps away, and they take the room of what the
 * peer sends.  What is under way may still bring some: let them be small.
 */
static void end_stamps(struct tn_conn *conn)
{
    bool all;
    int still = conn_outq(conn, &all) > 0 ? SOF_TIMESTAMPING_OPT_TSONLY : 0;

    set_number(conn->os, conn->fd, SOL_SOCKET, SO_TIMESTAMPING, still);
    conn_drop_stamps(conn);
}

/*
 * With `urgent` nothing may receive ahead: it would swallow the urgent byte.  Where there
 * are stamps somebody has to see them come and take them away (conn_drop_stamps).  On a
 * Unix stream, what is unread must stay with the kernel, which resets the peer for it at
 * close; there is no other way to.
 */
bool conn_may_feed(const struct tn_conn *conn)
{
    return (conn->driver->abilities & OS_CAN_FEED) != 0 && conn->tcp && !conn->urgent &&
           !conn->confirmable;
}

int conn_new(struct tn_conn **conn, int fd, int family,
             const struct tn_conn_options *options, bool inherited)
{
    static const struct tn_conn_options none;
    struct os *os = task_os();
    struct tn_conn *made;
    int result;

    CHECK(task_self() != NULL); /* connections live in tasks */
    made = os_allocate(os, sizeof(*made));
    if (made == NULL)
        return -ENOMEM;
    made->os = os;
    made->driver = task_driver();
    made->fd = fd;
    made->tcp = family != AF_UNIX;
    made->watch.event =
        (struct os_event){ .type = OS_WATCH, .fd = fd, .notify = on_watch };
    made->feed.event = (struct os_event){ .type = OS_FEED, .fd = fd, .notify = on_feed };
    if (options == NULL)
        options = &none;
    made->urgent = options->urgent && made->tcp;
    result = inherited ? 0 : conn_set_options(os, fd, made->tcp, options);
    if (result < 0) {
        os_release(os, made);
        return result;
    }
    made->confirmable = options->confirmable && made->tcp && ask_for_stamps(os, fd);
    made->mode = conn_may_feed(made) ? CONN_FEED : CONN_DIRECT;
    if (made->mode == CONN_DIRECT)
        conn_watch(made);
    task_count_conn(1);
    *conn = made;
    return 0;
}

void conn_set_peer(struct tn_conn *conn, const struct sockaddr *addr, socklen_t size)
{
    if (size >= sizeof(conn->peer.in) && size <= sizeof(conn->peer) &&
        (addr->sa_family == AF_INET || addr->sa_family == AF_INET6))
        memcpy(&conn->peer, addr, size);
}

tn_err tn_pair(struct tn_conn **near, struct tn_conn **far)
{
    int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    struct tn_conn *one = NULL, *other = NULL;
    struct os *os = task_os();
    int fds[2];
    int result = os_socketpair(os, AF_UNIX, type, 0, fds);

    if (result < 0)
        return err_from(ERR_DIAL, result);
    result = conn_new(&one, fds[0], AF_UNIX, NULL, false);
    if (result >= 0)
        result = conn_new(&other, fds[1], AF_UNIX, NULL, false);
    if (result >= 0) {
        *near = one;
        *far = other;
        return tn_ok();
    }
    if (one != NULL)
        conn_let_go(one, true);
    else
        os_close(os, fds[0]);
    os_close(os, fds[1]);
    return err_from(ERR_DIAL, result);
}

/* 0 if FD is a connected stream socket, with its family in *FAMILY. */
static int look_at_stream(struct os *os, int fd, int *family)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof(int), peer_size = sizeof(peer);
    int type, result;

    result = os_getsockopt(os, fd, SOL_SOCKET, SO_TYPE, &type, &size);
    if (result >= 0 && type != SOCK_STREAM)
        return -EINVAL;
    size = sizeof(int);
    if (result >= 0)
        result = os_getsockopt(os, fd, SOL_SOCKET, SO_DOMAIN, family, &size);
    if (result >= 0)
        result = os_getpeername(os, fd, (struct sockaddr *)&peer, &peer_size);
    return result == -ENOTCONN ? -EINVAL : result;
}

/*
 * What of the peer's was received before CONN was made is in TCP's count, too.  A mark hides what
 * stands behind it: an urgent byte whose place is looked for would wait for as much.
 */
static void count_former(struct tn_conn *conn)
{
    int64_t come, before;
    uint64_t unread;
    int state;

    come = conn_come_in_order(conn, &state);
    do { /* more may come between the looks */
        before = come;
        unread = conn_unread(conn);
        come = unread > 0 ? conn_come_in_order(conn, &state) : come;
    } while (come != before);
    if (come < 0 || (conn->urgent && (unread > 0 || conn_at_mark(conn))))
        return;
    conn->uncounted = (uint64_t)come - unread;
    if (state != TCP_ESTABLISHED && state != TCP_FIN_WAIT1 && state != TCP_FIN_WAIT2)
        conn->uncounted--; /* the peer's end */
}

tn_err tn_adopt(struct tn_conn **conn, int fd, const struct tn_conn_options *options)
{
    struct os *os = task_os();
    int family, flags;
    int result = look_at_stream(os, fd, &family);

    if (result >= 0 && family != AF_INET && family != AF_INET6 && family != AF_UNIX)
        result = -EINVAL;
    flags = result < 0 ? result : os_fcntl(os, fd, F_GETFL, 0);
    result = flags < 0 ? flags : os_fcntl(os, fd, F_SETFL, flags | O_NONBLOCK);
    if (result >= 0) {
        result = conn_new(conn, fd, family, options, false);
        if (result < 0)
            os_fcntl(os, fd, F_SETFL, flags);
        else if ((*conn)->tcp)
            count_former(*conn);
    }
    return err_from(ERR_ADOPT, result);
}

tn_err tn_release(struct tn_conn **conn, int *fd, tn_deadline deadline)
{
    struct tn_conn *old = *conn;

    CHECK(old->writer == NULL && old->urgent_waiter == NULL && old->late == NULL &&
          old->pump == NULL);
    conn_leave_feed(old);
    os_driver_cancel(old->driver, &old->watch.event);
    while (!os_event_idle(&old->feed.event) || !os_event_idle(&old->watch.event)) {
        int result = conn_park_reader(old, deadline);
        if (result < 0)
            return err_from(ERR_ADOPT, result);
    }
    if (old->feed.head != NULL)
        return err_make(ERR_ADOPT, TN_IN_USE);
    /* The kernel has told us already, and would show others an end instead. */
    if (conn_find_dead(old) < 0)
        return err_from(ERR_ADOPT, old->dead);
    if (old->confirmable)
        end_stamps(old);
    conn_return_lease(old);
    *fd = old->fd;
    task_count_conn(-1);
    os_release(old->os, old);
    *conn = NULL;
    return tn_ok();
}

void tn_abort(struct tn_conn **conn)
{
    if (*conn == NULL)
        return;
    conn_let_go(*conn, true);
    *conn = NULL;
}

tn_addr tn_local(const struct tn_conn *conn)
{
    struct sockaddr_storage storage;
    socklen_t size = sizeof(storage);
    tn_addr none = { 0 };

    if (os_getsockname(conn->os, conn->fd, (struct sockaddr *)&storage, &size) < 0)
        return none;
    return tn_addr_from((struct sockaddr *)&storage, size);
}

/*
 * getpeername(2) knows no name of a connection that is over; SO_PEERNAME does.  It takes no
 * more room than the address needs.
 */
static int name_of_dead(const struct tn_conn *conn, struct sockaddr_storage *name,
                        socklen_t *size)
{
    static const socklen_t sizes[] = { sizeof(struct sockaddr_in6),
                                       sizeof(struct sockaddr_in) };
    int result = -ENOTCONN;

    for (int i = 0; conn->tcp && result < 0 && i < 2; i++) {
        *size = sizes[i];
        result = os_getsockopt(conn->os, conn->fd, SOL_SOCKET, SO_PEERNAME, name, size);
    }
    return result;
}

tn_addr tn_peer(const struct tn_conn *conn)
{
    struct sockaddr_storage storage;
    socklen_t size = sizeof(storage);
    tn_addr none = { 0 };

    if (conn->peer.family == AF_INET)
        return tn_addr_from((const struct sockaddr *)&conn->peer.in,
                            sizeof(conn->peer.in));
    if (conn->peer.family == AF_INET6)
        return tn_addr_from((const struct sockaddr *)&conn->peer.in6,
                            sizeof(conn->peer.in6));
    if (os_getpeername(conn->os, conn->fd, (struct sockaddr *)&storage, &size) < 0 &&
        name_of_dead(conn, &storage, &size) < 0)
        return none;
    return tn_addr_from((struct sockaddr *)&storage, size);
}
