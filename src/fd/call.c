/* SPDX-License-Identifier: MIT */
/*
 * call.c -- when a call may wait, how long, and what for.
 *
 * Some things no descriptor shows: that a Unix listener has room in its backlog, that an
 * unconnected datagram's receiver has room, that there is more to peek at than there was.
 * poll(2) says "ready" and the call says EAGAIN.  call_wait notices exactly that, and then
 * sleeps for 50 us, twice that, and so on up to 10 ms, instead of spinning.
 */
#include "fd/call.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/deadline.h"
#include "task/park.h"

#define PAUSE_LEAST_NS (50 * TN_US)
#define PAUSE_MOST_NS  (10 * TN_MS)

struct call call_begin(int fd, short events)
{
    struct call call = { .os = task_os(), .fd = fd, .events = events };

    return call;
}

int call_option(const struct call *call, int name, int otherwise)
{
    int value = 0;
    socklen_t size = sizeof(value);

    if (os_getsockopt(call->os, call->fd, SOL_SOCKET, name, &value, &size) < 0)
        return otherwise;
    return value;
}

/* The socket's own time-out; descriptors of other kinds have none. */
static tn_deadline own_limit(const struct call *call)
{
    int name = (call->events & POLLIN) != 0 ? SO_RCVTIMEO : SO_SNDTIMEO;
    struct timeval limit = { 0, 0 };
    socklen_t size = sizeof(limit);

    if (os_getsockopt(call->os, call->fd, SOL_SOCKET, name, &limit, &size) < 0 ||
        (limit.tv_sec == 0 && limit.tv_usec == 0))
        return TN_NEVER;
    if (limit.tv_sec > INT64_MAX / TN_SECOND - 1)
        return TN_NEVER;
    return tn_in((int64_t)limit.tv_sec * TN_SECOND + (int64_t)limit.tv_usec * TN_US);
}

/* 0, or -EAGAIN if this call must not wait at all. */
static int learn(struct call *call)
{
    int flags = os_fcntl(call->os, call->fd, F_GETFL, 0);

    if (flags < 0)
        return flags;
    if ((flags & O_NONBLOCK) != 0)
        return -EAGAIN;
    call->limit = own_limit(call);
    call->known = true;
    return 0;
}

/* What FD is ready for, although the call has just said that it is not; 0 if it agrees. */
static int contradiction(const struct call *call)
{
    struct pollfd entry = { .fd = call->fd, .events = call->events };

    if ((call->events & POLLIN) != 0)
        entry.events |= POLLRDHUP;
    return os_poll(call->os, &entry, 1, 0) > 0 ? entry.revents : 0;
}

/* The kernel restarts calls that have moved nothing and have no time-out, and no others. */
static enum park_signals signals_for(const struct call *call)
{
    if (call->moved || deadline_point(call->limit) != INT64_MAX)
        return PARK_INTERRUPTS;
    return call->looks ? PARK_LOOKS : PARK_RESTARTS;
}

/* Parks until FD is ready, or, where readiness says nothing (READY contradicts the call), for
 * a while.  As park_fd. */
static int wait_or_pause(struct call *call, int ready)
{
    enum park_signals signals = signals_for(call);
    int result;

    if (ready != 0) {
        call->pause_ns = call->pause_ns == 0 ? PAUSE_LEAST_NS : call->pause_ns * 2;
        if (call->pause_ns > PAUSE_MOST_NS)
            call->pause_ns = PAUSE_MOST_NS;
        return park_fd_pause(call->fd, call->pause_ns, call->limit, signals);
    }
    call->pause_ns = 0;
    result = park_fd(call->fd, call->events, call->limit, signals);
    call->woken = true;
    call->revents = (short)(result > 0 ? result : 0);
    return result;
}

int call_wait(struct call *call)
{
    int result = call->known ? 0 : learn(call);
    int ready = call->woken ? contradiction(call) : 0;

    if (result < 0)
        return result;
    if ((ready & POLLRDHUP) != 0)
        return -ESHUTDOWN;
    if (call->signalled == -EINTR)
        return -EINTR;
    call->signalled = 0;
    result = wait_or_pause(call, ready);
    if (call->looks && (result == -EINTR || result == -ERESTART)) {
        call->signalled = result;
        return 0;
    }
    if (result == -ETIME)
        return -EAGAIN;
    return result < 0 ? result : 0;
}

/* ---- for calls without a non-blocking form ---------------------------------------------- */

/*
 * One for the process: of two threads that set and clear the flag of one listener at the same
 * time, the one would block where the other has just cleared it.  Held for two or three system
 * calls that do not block.
 */
static pthread_mutex_t moments = PTHREAD_MUTEX_INITIALIZER;

static void moments_lock(void)
{
    pthread_mutex_lock(&moments);
}

static void moments_unlock(void)
{
    pthread_mutex_unlock(&moments);
}

/* A fork waits for the moment of another thread, which a child would wait for without end. */
static void moments_watch_forks(void)
{
    CHECK(pthread_atfork(moments_lock, moments_unlock, moments_unlock) == 0);
}

int moment_begin(struct os *os, int fd, struct moment *moment)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int result;

    pthread_once(&once, moments_watch_forks);
    moments_lock();
    result = os_fcntl(os, fd, F_GETFL, 0);
    if (result >= 0 && (result & O_NONBLOCK) == 0) {
        moment->flags = result;
        result = os_fcntl(os, fd, F_SETFL, result | O_NONBLOCK);
        if (result == 0)
            return 1;
    }
    moments_unlock();
    return result < 0 ? result : 0;
}

void moment_end(struct os *os, int fd, const struct moment *moment)
{
    (void)os_fcntl(os, fd, F_SETFL, moment->flags);
    moments_unlock();
}

ssize_t answer(ssize_t result, int saved_errno)
{
    errno = result < 0 ? (int)-result : saved_errno;
    return result < 0 ? -1 : result;
}
