/* SPDX-License-Identifier: MIT */
/*
 * accept.c -- accepting.
 *
 * Errors of accept(2) are of three sorts.  Those of a connection that failed while it was
 * queued: take the next.  Those of want (descriptors, memory): the connections stay queued,
 * so pause and look again every 100 ms; trying at once would spin.  The rest is final.
 *
 * Where the driver can, it accepts for us while tasks wait (os_accept): a call less for each
 * connection.  What then comes when nobody waits any more ends that: a program that does not
 * ask is accepted for once, all that one turn of the loop brings.  An end of the request while
 * tasks wait, for want above all, wakes one of them, which finds out by a call of its own; if
 * that finds nothing wrong, it waits once without a request.
 *
 * Always true: while tasks wait in line, the request is wanted, or its end is to come and will
 * wake one of them, or one that was woken has not left yet, and asks for it when it does.
 */
#include <errno.h>

#include "base/check.h"
#include "base/err.h"
#include "net/conn.h"
#include "net/listen.h"
#include "os/accepted.h"
#include "task/waiters.h"

#define ACCEPT_PAUSE (100 * TN_MS)

/*
 * So many failures in a row are no failed connections, of which each is told of once, but
 * a rule that forbids accepting (seccomp's EPERM): pause then, or it would spin.
 */
#define PASSED_OVER_MAX 16

/* So many that follow each other may have the same times of keepalive: see conn.c. */
#define SAME_KEEPALIVE 64

enum sort { SORT_WAIT, SORT_NEXT, SORT_PAUSE, SORT_FINAL };

static enum sort sort_of(int error)
{
    switch (-error) {
    case EAGAIN:
        return SORT_WAIT;
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM: /* a firewall's rule */
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case ETIMEDOUT:
    case EPROTONOSUPPORT:
    case ESOCKTNOSUPPORT:
        return SORT_NEXT; /* accept(2): "treat them like EAGAIN" */
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return SORT_PAUSE;
    default:
        return SORT_FINAL;
    }
}

/* ---- waiting ---- */

/* A forked child's copy of the request, and of what it has brought, means nothing. */
static bool is_copy(const struct tn_listener *listener)
{
    return listener->forks != task_forks();
}

static void release(struct tn_listener *listener)
{
    int fd;

    while ((fd = accepted_take(&listener->ahead)) >= 0) {
        if (is_copy(listener)) /* the parent has it, too */
            os_close(listener->os, fd);
        else
            os_refuse(listener->os, fd);
    }
    accepted_release(listener->os, &listener->ahead);
    os_close(listener->os, listener->fd);
    os_release(listener->os, listener);
}

static void on_accept(struct os_event *event)
{
    struct tn_listener *listener = CONTAINER(event, struct tn_listener, ahead.event);
    uint32_t served = accepted_count(&listener->ahead) + !event->wanted;
    bool idle = os_event_idle(event);

    if (idle)
        standing_end(&listener->standing);
    if (idle && listener->dying) {
        release(listener);
        return;
    }
    if (waiters_first(&listener->waiting) == NULL)
        os_driver_cancel(listener->driver, event);
    else
        listener->ahead_ended = !event->wanted;
    while (served > 0 && waiters_wake(&listener->waiting) != NULL)
        served--;
}

void accept_init(struct tn_listener *listener)
{
    listener->driver = task_driver();
    listener->forks = task_forks();
    listener->ahead.event =
        (struct os_event){ .type = OS_ACCEPT, .fd = listener->fd, .notify = on_accept };
    standing_init(&listener->standing, &listener->ahead.event);
}

/* Other loops than the first, one after another, wait without a request. */
static bool may_go_ahead(const struct tn_listener *listener)
{
    return !listener->no_ahead && !is_copy(listener) &&
           listener->driver == task_driver() &&
           (listener->driver->abilities & OS_CAN_ACCEPT) != 0;
}

static void go_ahead(struct tn_listener *listener)
{
    listener->ahead_ended = false;
    standing_begin(&listener->standing);
    os_driver_arm(listener->driver, &listener->ahead.event);
}

static int wait_in_line(struct tn_listener *listener, tn_deadline deadline)
{
    struct waiter waiter;
    int result;

    waiters_append(&listener->waiting, &waiter);
    result = park(WAIT_FD, (void *)(intptr_t)listener->fd, deadline);
    waiters_remove(&listener->waiting, &waiter);
    return result;
}

static int wait_for_one(struct tn_listener *listener, tn_deadline deadline)
{
    int result = park_check(deadline);

    if (result < 0)
        return result;
    if (!may_go_ahead(listener) || listener->ahead_ended) {
        listener->ahead_ended = false;
        return park_poll(listener->fd, POLLIN, deadline);
    }
    if (os_event_idle(&listener->ahead.event))
        go_ahead(listener);
    return wait_in_line(listener, deadline);
}

/* The running task leaves: see to those that wait on; if there are none, and it leaves with
 * nothing, nobody is to be accepted any more. */
static void leave_line(struct tn_listener *listener, int result)
{
    struct os_event *event = &listener->ahead.event;

    if (!may_go_ahead(listener))
        return;
    if (waiters_first(&listener->waiting) == NULL) {
        if (result < 0)
            os_driver_cancel(listener->driver, event);
    } else if (os_event_idle(event)) {
        go_ahead(listener);
    }
}

void accept_end(struct tn_listener *listener)
{
    struct os_event *event = &listener->ahead.event;

    if (!is_copy(listener) && !os_event_idle(event)) {
        CHECK(listener->driver == task_driver()); /* not from another thread */
        os_driver_cancel(listener->driver, event);
        while (task_self() != NULL && !os_event_idle(event))
            CHECK(wait_in_line(listener, deadline_make(INT64_MAX, true)) == 0);
        listener->dying = !os_event_idle(event);
    }
    if (!listener->dying)
        release(listener);
}

static int pause_accepting(tn_deadline deadline)
{
    int result = park(WAIT_TIME, NULL, conn_look_in(ACCEPT_PAUSE, deadline));

    return result == -ETIME && tn_left(deadline) > 0 ? 0 : result;
}

static int pause_for_want(struct tn_listener *listener, tn_deadline deadline)
{
    listener->pauses++;
    return pause_accepting(deadline);
}

/* ---- accepting ---- */

/* A connection's descriptor and the peer's address: none, and SIZE 0, of one that has been
 * accepted for us.  -EAGAIN if there is none, or another -errno. */
static int accept_now(struct tn_listener *listener, struct sockaddr_storage *peer,
                      socklen_t *size)
{
    int fd = is_copy(listener) ? -EAGAIN : accepted_take(&listener->ahead);

    *size = 0;
    if (fd >= 0)
        return fd;
    *size = sizeof(*peer);
    return os_accept(listener->os, listener->fd, (struct sockaddr *)peer, size,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* The same, waiting. */
static int accept_fd(struct tn_listener *listener, struct sockaddr_storage *peer,
                     socklen_t *size, tn_deadline deadline)
{
    unsigned passed_over = 0;
    int result = 0;

    while (result == 0 || result == -ETIME) {
        bool asked =
            result == 0 && listener->ahead.event.wanted && may_go_ahead(listener);
        int fd = -EAGAIN;

        if (!asked || accepted_count(&listener->ahead) > 0)
            fd = accept_now(listener, peer, size);
        if (fd >= 0)
            return fd;
        if (result < 0) /* time is up, and there is still none */
            return result;
        switch (sort_of(fd)) {
        case SORT_WAIT:
            result = wait_for_one(listener, deadline);
            if (sort_of(result) == SORT_PAUSE)
                result = pause_for_want(listener, deadline);
            break;
        case SORT_PAUSE:
            result = pause_for_want(listener, deadline);
            break;
        case SORT_NEXT:
            if (++passed_over % PASSED_OVER_MAX == 0)
                result = pause_accepting(deadline);
            break;
        case SORT_FINAL:
            return fd;
        }
        if (result > 0)
            result = 0;
    }
    return result;
}

/* What is accepted inherits its times of keepalive: let those of the next ones differ. */
static void vary_keepalive(struct tn_listener *listener)
{
    if (listener->addr.as.family == AF_UNIX || listener->options.no_keepalive ||
        ++listener->accepted % SAME_KEEPALIVE != 0)
        return;
    /* If it fails they stay as they are, which is good enough. */
    (void)conn_set_keepalive_times(listener->os, listener->fd,
                                   listener->accepted / SAME_KEEPALIVE);
}

static int accept_conn(struct tn_listener *listener, struct tn_conn **conn,
                       tn_deadline deadline)
{
    int result = 0;

    while (result >= 0) {
        struct sockaddr_storage peer;
        socklen_t size;
        int fd = accept_fd(listener, &peer, &size, deadline);

        if (fd < 0)
            return fd;
        task_spend();
        vary_keepalive(listener);
        result = conn_new(conn, fd, listener->addr.as.family, &listener->options,
                          listener->addr.as.family != AF_UNIX);
        if (result >= 0) {
            conn_set_peer(*conn, (struct sockaddr *)&peer, size);
            return 0;
        }
        os_refuse(listener->os, fd);
        result = sort_of(result) == SORT_PAUSE ? pause_for_want(listener, deadline) : 0;
    }
    return result;
}

tn_err tn_accept(struct tn_listener *listener, struct tn_conn **conn,
                 tn_deadline deadline)
{
    int result;

    listener->accepting++;
    result = accept_conn(listener, conn, deadline);
    leave_line(listener, result);
    listener->accepting--;
    return err_from(ERR_ACCEPT, result);
}

uint64_t tn_accept_pauses(const struct tn_listener *listener)
{
    return listener->pauses;
}
