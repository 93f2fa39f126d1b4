/* SPDX-License-Identifier: MIT */
/*
 * dial.c -- connecting, to the first address of a name that answers.
 *
 * One address is tried in the caller's own task.  Several are tried by a task each, the
 * next one 250 ms after the one before (RFC 8305, 5: Connection Attempt Delay) or as soon
 * as that failed; the first that connects wins and the others are canceled.
 */
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/deadline.h"
#include "base/err.h"
#include "net/conn.h"
#include "os/accepted.h"

#define ATTEMPT_DELAY (250 * TN_MS)

/* A Unix listener whose queue is full gives no edge to wait for: look again, backing off. */
#define QUEUE_LOOK_FIRST (1 * TN_MS)
#define QUEUE_LOOK_MOST  (50 * TN_MS)

static int connect_in_turn(struct os *os, int fd, const tn_addr *addr,
                           tn_deadline deadline)
{
    int64_t wait = QUEUE_LOOK_FIRST;
    int result;

    for (;;) {
        result = os_connect(os, fd, (const struct sockaddr *)addr->as.bytes, addr->size);
        if (result != -EAGAIN || addr->as.family != AF_UNIX)
            return result;
        result = park(WAIT_TIME, NULL, conn_look_in(wait, deadline));
        if (result == -ECANCELED)
            return result;
        if (tn_left(deadline) == 0)
            return -ETIME;
        wait = wait * 2 < QUEUE_LOOK_MOST ? wait * 2 : QUEUE_LOOK_MOST;
    }
}

/*
 * Whether a connect under way has come to its end: 0, -errno, or -EALREADY.  A wake-up alone
 * does not tell, for it may be for nothing (park.h), nor does SO_ERROR, which is 0 until
 * then.  Connecting once more does, in one call (Linux: __inet_stream_connect).
 */
static int connect_outcome(struct os *os, int fd, const tn_addr *addr)
{
    int result = os_connect(os, fd, (const struct sockaddr *)addr->as.bytes, addr->size);

    return result == -EISCONN ? 0 : result;
}

static bool is_loopback(const tn_addr *addr)
{
    struct sockaddr_in6 in6;
    struct sockaddr_in in;

    memcpy(&in, addr->as.bytes, sizeof(in));
    memcpy(&in6, addr->as.bytes, sizeof(in6));
    return addr->as.family == AF_INET
               ? ntohl(in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET
               : addr->as.family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
}

static bool is_under_way(int result)
{
    return result == -EINPROGRESS || result == -EALREADY || result == -EINTR;
}

/* A wake may be for nothing: for a former file of that number that a forked child has open. */
static bool is_over(struct os *os, int fd)
{
    struct pollfd now = { .fd = fd, .events = POLLOUT };

    return os_poll(os, &now, 1, 0) > 0 && (now.revents & (POLLERR | POLLHUP)) != 0;
}

/*
 * FD's connect has failed, though the kernel says that it is under way.  An ICMP error that
 * comes inside of connect(2), as from a firewall of this very host, is kept apart until the
 * next SYN (tcp_v4_err: sk_err_soft), where only SO_ERROR finds it.
 */
static int soft_error(struct os *os, int fd)
{
    int error = 0;
    socklen_t size = sizeof(error);

    if (os_getsockopt(os, fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error == 0)
        return -ECONNRESET; /* over, and nobody says why */
    return -error;
}

/*
 * EINTR leaves a connect under way, like EINPROGRESS (connect(2)).  On loopback it is over
 * all the same: the handshake ends inside of the call, whose answer stood before.  Not to
 * park for that, and to ask only once, is 0.6 of the 30 us of a relay's connection.
 */
static int connect_fully(struct os *os, int fd, const tn_addr *addr, tn_deadline deadline)
{
    int result = connect_in_turn(os, fd, addr, deadline);

    if (result == -EINPROGRESS && is_loopback(addr) && park_check(deadline) == 0)
        result = connect_outcome(os, fd, addr);
    while (is_under_way(result)) {
        int ready = park_poll(fd, POLLOUT, deadline);

        if (ready < 0)
            return ready;
        result = connect_outcome(os, fd, addr);
        if (is_under_way(result) && (ready & (POLLERR | POLLHUP)) != 0 && is_over(os, fd))
            return soft_error(os, fd);
    }
    return result;
}

/*
 * Who is at the other end of FD, for when the kernel has forgotten.  That is ADDR, but for
 * the wildcard, which means this host; what else the kernel writes into an IPv6 address, it
 * knows itself.
 */
static void find_peer(struct os *os, int fd, const tn_addr *addr,
                      struct sockaddr_storage *far, socklen_t *size)
{
    struct sockaddr_in in;

    memcpy(&in, addr->as.bytes, sizeof(in));
    if (addr->as.family == AF_INET && in.sin_addr.s_addr != htonl(INADDR_ANY)) {
        memset(in.sin_zero, 0, sizeof(in.sin_zero));
        memcpy(far, &in, sizeof(in));
        *size = sizeof(in);
        return;
    }
    *size = sizeof(*far);
    if (os_getpeername(os, fd, (struct sockaddr *)far, size) < 0)
        *size = 0; /* it has died since: reading will tell */
}

/* TCP can connect a socket to itself when the port is its own; nobody listens there. */
static bool is_itself(struct os *os, int fd, const struct sockaddr_storage *far,
                      socklen_t far_size)
{
    struct sockaddr_storage near;
    socklen_t size = sizeof(near);

    return os_getsockname(os, fd, (struct sockaddr *)&near, &size) >= 0 &&
           size == far_size && memcmp(&near, far, size) == 0;
}

static int bind_source(struct os *os, int fd, const struct tn_conn_options *options)
{
    tn_addr source;
    int one = 1;
    int result;

    if (options == NULL || options->source == NULL)
        return 0;
    if (tn_failed(tn_addr_parse(options->source, &source)))
        return -EINVAL;
    result = os_setsockopt(os, fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (result >= 0)
        result = os_bind(os, fd, (const struct sockaddr *)source.as.bytes, source.size);
    return result;
}

/* Options before the handshake: buffers settle the window's scale (tcp(7)). */
static int prepare(struct os *os, int fd, bool tcp, const struct tn_conn_options *options)
{
    static const struct tn_conn_options none;
    int result = conn_set_options(os, fd, tcp, options != NULL ? options : &none);

    return result < 0 ? result : bind_source(os, fd, options);
}

/*
 * connect(2) says EADDRNOTAVAIL when the port of `source` is taken for that place, when there is
 * no port left, and when there is no address of ours to go there from.  With the last one a
 * datagram's socket meets it, too.
 */
static int say_what_is_taken(struct os *os, const tn_addr *addr,
                             const struct tn_conn_options *options)
{
    int fd = os_socket(os, addr->as.family, SOCK_DGRAM | SOCK_CLOEXEC, 0), result;
    tn_addr source;

    if (fd < 0)
        return -EADDRNOTAVAIL;
    result = os_connect(os, fd, (const struct sockaddr *)addr->as.bytes, addr->size);
    os_close(os, fd);
    if (result < 0)
        return -EADDRNOTAVAIL;
    return options != NULL && options->source != NULL &&
                   !tn_failed(tn_addr_parse(options->source, &source)) &&
                   tn_addr_port(&source) != 0
               ? -EADDRINUSE
               : -EAGAIN;
}

/* EAGAIN is say_what_is_taken's: the kernel's own number says more. */
static tn_err dial_error(int result)
{
    tn_err err = err_from(ERR_DIAL, result == -EAGAIN ? -EADDRNOTAVAIL : result);

    if (result == -EAGAIN)
        err.kind = TN_LIMIT;
    return err;
}

static int dial_one(struct tn_conn **conn, const tn_addr *addr,
                    const struct tn_conn_options *options, tn_deadline deadline)
{
    struct os *os = task_os();
    int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    struct sockaddr_storage far;
    socklen_t far_size = 0;
    int fd, result;

    fd = os_socket(os, addr->as.family, type, 0);
    if (fd < 0)
        return fd;
    result = prepare(os, fd, addr->as.family != AF_UNIX, options);
    if (result >= 0) {
        result = connect_fully(os, fd, addr, deadline);
        if (result == -EADDRNOTAVAIL)
            result = say_what_is_taken(os, addr, options);
    }
    if (result >= 0 && addr->as.family != AF_UNIX) {
        find_peer(os, fd, addr, &far, &far_size);
        if (is_itself(os, fd, &far, far_size))
            result = -ECONNREFUSED;
    }
    if (result >= 0)
        result = conn_new(conn, fd, addr->as.family, options, true);
    if (result < 0) {
        os_refuse(os, fd); /* it may stand, or just now have come to */
        return result;
    }
    conn_set_peer(*conn, (const struct sockaddr *)&far, far_size);
    task_spend();
    return 0;
}

tn_err tn_dial_addr(struct tn_conn **conn, const tn_addr *addr,
                    const struct tn_conn_options *options, tn_deadline deadline)
{
    struct tn_conn *made = NULL;
    int result;

    CHECK(task_self() != NULL);
    result = dial_one(&made, addr, options, deadline);
    if (result < 0)
        return dial_error(result);
    *conn = made;
    return tn_ok();
}

/* Several attempts at once; on the stack of the task that dials. */
struct race {
    const struct tn_conn_options *options;
    tn_deadline deadline;
    struct tn_task *dialer;
    struct tn_conn *winner;
    const struct attempt *latest; /* NULL when that one has failed */
    unsigned running;
    int error; /* of the last attempt that failed */
};

struct attempt {
    struct race *race;
    tn_addr addr;
};

static tn_err attempt_main(void *argument)
{
    struct attempt *attempt = argument;
    struct race *race = attempt->race;
    struct tn_conn *conn = NULL;
    /* Never shielded: the end of the race cancels those who have not won. */
    tn_deadline limit = deadline_make(deadline_point(race->deadline), false);
    int result = dial_one(&conn, &attempt->addr, race->options, limit);

    race->running--;
    if (race->latest == attempt)
        race->latest = NULL;
    if (result < 0)
        race->error = result;
    else if (race->winner == NULL)
        race->winner = conn;
    else
        conn_let_go(conn, true); /* second by a hair */
    task_wake(race->dialer);
    return tn_ok();
}

/*
 * Start the next attempt and wait: until there is a winner, or it is time for one more.
 * Without a task for it, those that are under way must do.
 */
static int race_step(struct race *race, struct tn_group *group, struct attempt *attempt,
                     bool last)
{
    tn_deadline until =
        last ? race->deadline : conn_look_in(ATTEMPT_DELAY, race->deadline);
    int result = 0;

    race->latest = attempt;
    if (!tn_failed(task_help(group, attempt_main, attempt, "dial")))
        race->running++;
    else if (race->running == 0)
        return -ENOMEM;
    while (race->winner == NULL && race->running > 0 && result == 0 &&
           (last || race->latest != NULL))
        result = park(WAIT_CONN, race, until);
    if (result == -ETIME && tn_left(race->deadline) > 0)
        result = 0;
    return result;
}

static int dial_race(struct tn_conn **conn, const tn_addr *list, size_t count,
                     struct race *race)
{
    struct attempt *attempts = os_allocate(task_os(), count * sizeof(*attempts));
    struct tn_group *group = NULL;
    int result = 0;

    if (attempts == NULL)
        return -ENOMEM;
    if (tn_failed(tn_group_open(&group, TN_GROUP_EACH_ALONE)))
        result = -ENOMEM;
    for (size_t i = 0; i < count && result == 0 && race->winner == NULL; i++) {
        attempts[i] = (struct attempt){ race, list[i] };
        result = race_step(race, group, &attempts[i], i + 1 == count);
    }
    tn_group_close(&group);
    os_release(task_os(), attempts);
    if (race->winner != NULL) {
        *conn = race->winner; /* even if the deadline fell with it */
        return 0;
    }
    return result < 0 ? result : race->error;
}

tn_err tn_dial(struct tn_conn **conn, const char *where,
               const struct tn_conn_options *options, tn_deadline deadline)
{
    struct race race = { .options = options, .deadline = deadline };
    tn_addr *list = os_allocate(task_os(), TN_ADDRS_MAX * sizeof(*list));
    struct tn_conn *made = NULL;
    size_t count = 0;
    int result;
    tn_err err;

    if (list == NULL)
        return err_from(ERR_DIAL, -ENOMEM);
    race.dialer = task_self();
    CHECK(race.dialer != NULL);
    err = tn_resolve(where, options != NULL ? options->family : TN_ANY, list,
                     TN_ADDRS_MAX, &count, deadline);
    if (!tn_failed(err)) {
        result = count == 1 ? dial_one(&made, &list[0], options, deadline)
                            : dial_race(&made, list, count, &race);
        err = dial_error(result);
    }
    os_release(task_os(), list);
    if (!tn_failed(err))
        *conn = made;
    return err;
}
