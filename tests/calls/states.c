/* SPDX-License-Identifier: MIT */
/*
 * states.c -- pairs of descriptors, brought into every state.
 *
 * A state is reached when the kernel shows it at the near end, not when the call that causes it
 * has returned.
 */
#include "calls.h"

#include <linux/sockios.h>
#include <string.h>

static ssize_t put_now(const struct pair *pair, int fd, const void *buf, size_t size)
{
    ssize_t put;

    if (kind_is_socket(pair->kind))
        return send(fd, buf, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    set_nonblock(fd, true);
    do
        put = write(fd, buf, size);
    while (put < 0 && errno == EINTR); /* a terminal's, in a storm */
    set_nonblock(fd, false);
    return put;
}

ssize_t far_puts(const struct pair *pair, const void *buf, size_t size)
{
    static const uint64_t seven = 7;

    if (pair->far < 0) {
        errno = EBADF;
        return -1;
    }
    if (pair->kind == KIND_EVENTFD)
        return put_now(pair, pair->far, &seven, sizeof(seven));
    return put_now(pair, pair->far, buf, size);
}

/* TCP: has everything that was sent been acknowledged, so that nothing will change? */
static bool is_settled(int fd)
{
    int queued = 0, unsent = 0;

    if (ioctl(fd, SIOCOUTQ, &queued) != 0 || ioctl(fd, SIOCOUTQNSD, &unsent) != 0)
        return true;
    return queued == unsent;
}

/* A reader's own buffer is full (N_TTY_BUF_SIZE - 1): no worker makes room any more. */
static bool tty_is_settled(int reader)
{
    int ready = 0;

    return ioctl(reader, FIONREAD, &ready) == 0 && ready >= 4095;
}

/* Is nothing left on its way? */
static bool is_sent(int fd)
{
    int queued = 0;

    return ioctl(fd, SIOCOUTQ, &queued) != 0 || queued == 0;
}

/*
 * TCP is filled by pieces larger than what may be left of the peer's window: that is used up by
 * the timer of window probes (0.2 s later; tcp_write_wakeup, Linux 6.18), and of a buffer
 * that is just full it would make room once more.
 */
static bool fill_from(struct actor *me, const struct pair *pair, int fd)
{
    static const uint64_t eventfd_full = UINT64_MAX - 1;
    static char chunk[256 * 1024];
    bool tcp = pair->kind == KIND_TCP || pair->kind == KIND_TCP6;
    bool tty = pair->kind == KIND_TTY;
    int reader = fd == pair->near ? pair->far : pair->near;
    size_t size = tcp ? sizeof(chunk) : 1024;
    int64_t start_ns = clock_ns();
    unsigned refused = 0, round = 0;

    if (pair->kind == KIND_EVENTFD)
        return expect(me, put_now(pair, fd, &eventfd_full, 8) == 8, "fill the counter");
    memset(chunk, 'f', sizeof(chunk));
    /* what a terminal has taken moves on for a while, and a TCP window may open once more */
    while (refused < (tty ? 40 : 10)) {
        if (put_now(pair, fd, chunk, refused == 0 ? size : 1) > 0) {
            refused = 0;
        } else if (errno != EAGAIN) {
            return expect(me, false, "fill");
        } else {
            refused += (tty ? tty_is_settled(reader) : is_settled(fd)) ? 1 : 0;
            me->run->way->pause(round++);
        }
        if (clock_ns() - start_ns > (int64_t)LIMIT_MS * MS)
            return expect(me, false, "fill in time");
    }
    return true;
}

bool fill(struct actor *me, struct pair *pair)
{
    return fill_from(me, pair, pair->near);
}

static bool put_data(struct actor *me, const struct pair *pair, bool writes)
{
    /* a pipe's writing end sees data where it wrote it itself */
    int fd = writes && pair->kind == KIND_PIPE ? pair->near : pair->far;
    uint64_t five = 5;

    if (pair->kind == KIND_FILE)
        return true;
    if (pair->kind == KIND_EVENTFD)
        return expect(me, put_now(pair, fd, &five, 8) == 8, "add to the counter");
    if (!expect(me, put_now(pair, fd, "abcdef", 6) == 6, "send data"))
        return false;
    if (kind_has_records(pair->kind) &&
        !expect(me, put_now(pair, fd, "ghi", 3) == 3, "send more"))
        return false;
    return writes && pair->kind == KIND_PIPE ? true : await_input(me, pair->near, 6);
}

static bool far_closes(struct actor *me, struct pair *pair)
{
    (void)close(pair->far);
    pair->far = -1;
    if (pair->kind == KIND_TCP || pair->kind == KIND_TCP6 || pair->kind == KIND_UNIX ||
        pair->kind == KIND_UNIX_SEQ)
        return await_events(me, pair->near, POLLRDHUP);
    return true;
}

static bool far_ends(struct actor *me, struct pair *pair)
{
    if (!kind_is_socket(pair->kind)) {
        if (!put_data(me, pair, false))
            return false;
        return far_closes(me, pair);
    }
    if (!put_data(me, pair, false) ||
        !expect(me, shutdown(pair->far, SHUT_WR) == 0, "shutdown"))
        return false;
    if (kind_is_stream(pair->kind) || pair->kind == KIND_UNIX_SEQ)
        return await_events(me, pair->near, POLLRDHUP);
    return true;
}

static bool far_resets(struct actor *me, struct pair *pair)
{
    int far = pair->far;
    bool ok;

    pair->far = -1;
    if (pair->kind == KIND_TCP || pair->kind == KIND_TCP6)
        return reset_by(me, far) && await_events(me, pair->near, POLLERR | POLLHUP);
    if (pair->kind == KIND_UDP) {
        (void)close(far);
        return expect(me, put_now(pair, pair->near, "x", 1) == 1,
                      "send to a closed port") &&
               await_events(me, pair->near, POLLERR);
    }
    /* a Unix socket that is closed with something unread resets its peer */
    ok = expect(me, put_now(pair, pair->near, "x", 1) == 1, "send");
    (void)close(far);
    return ok;
}

static bool make_dup(struct actor *me, struct pair *pair, bool writes)
{
    pair->other = pair->near;
    pair->near = dup(pair->other);
    label(me, pair->near, "near");
    label(me, pair->other, "original");
    return expect(me, pair->near >= 0, "dup") && put_data(me, pair, writes);
}

static bool share(struct actor *me, struct pair *pair, bool writes)
{
    int far = pair->far;

    pair->holder = helper_fork(me);
    if (pair->holder == 0) {
        (void)close(far);
        for (;;)
            (void)pause();
    }
    return pair->holder > 0 && put_data(me, pair, writes);
}

static bool limit(struct actor *me, struct pair *pair, bool writes)
{
    set_timeout(me, pair->near, writes ? SO_SNDTIMEO : SO_RCVTIMEO, 40 * MS);
    return !writes || fill(me, pair);
}

/* put_now() would put a pipe back into blocking mode */
static bool fill_nonblocking(struct actor *me, struct pair *pair)
{
    bool ok = fill(me, pair);

    if (!kind_is_socket(pair->kind))
        set_nonblock(pair->near, true);
    return ok;
}

bool pair_bring(struct actor *me, struct pair *pair, enum state state, bool writes)
{
    const struct calls *calls = me->run->way->calls;

    switch (state) {
    case STATE_DATA:
        return put_data(me, pair, writes);
    case STATE_PEER_END:
        return far_ends(me, pair);
    case STATE_OUR_END:
        return expect(me, calls->shutdown(pair->near, SHUT_WR) == 0, "shutdown");
    case STATE_DEAF:
        return expect(me, calls->shutdown(pair->near, SHUT_RD) == 0, "shutdown");
    case STATE_RESET:
        return far_resets(me, pair);
    case STATE_CLOSED:
        return far_closes(me, pair);
    case STATE_FULL:
        return fill_from(me, pair, writes ? pair->near : pair->far);
    case STATE_NONBLOCK:
        return expect(me, calls->fcntl(pair->near, F_SETFL, O_RDWR | O_NONBLOCK) == 0,
                      "O_NONBLOCK") &&
               (!writes || pair->kind == KIND_FILE || fill_nonblocking(me, pair));
    case STATE_TIMEOUT:
        return limit(me, pair, writes);
    case STATE_DUP:
        return make_dup(me, pair, writes);
    case STATE_FORKED:
        return share(me, pair, writes);
    case STATE_FRESH:
    case STATE_OTHER:
    case STATES:
        break;
    }
    return true;
}

const char *state_is_impossible(enum kind kind, enum state state, bool writes)
{
    if (kind == KIND_FILE && state != STATE_FRESH && state != STATE_DATA &&
        state != STATE_NONBLOCK && state != STATE_DUP && state != STATE_FORKED)
        return "a file has no peer and never makes its caller wait";
    if (!kind_is_socket(kind) &&
        (state == STATE_OUR_END || state == STATE_DEAF || state == STATE_TIMEOUT))
        return "shutdown and SO_RCVTIMEO are for sockets";
    if (!kind_is_socket(kind) && state == STATE_RESET)
        return "only sockets are reset";
    if (kind == KIND_EVENTFD && (state == STATE_PEER_END || state == STATE_CLOSED))
        return "an eventfd has no ends";
    if (kind == KIND_PIPE && writes && state == STATE_PEER_END)
        return "a pipe has one direction";
    if (kind == KIND_UDP && writes &&
        (state == STATE_FULL || state == STATE_NONBLOCK || state == STATE_TIMEOUT))
        return "on the loopback a UDP send never waits: what does not fit is dropped";
    if (kind == KIND_UDP && state == STATE_FULL)
        return "a full UDP receiver drops: same as data waiting";
    return NULL;
}

bool pair_make(struct actor *me, enum kind kind, enum state state, bool writes,
               struct pair *pair)
{
    bool opened = state == STATE_FORKED ? pair_open_plain(me, kind, writes, pair)
                                        : pair_open(me, kind, writes, pair);

    return opened && pair_bring(me, pair, state, writes);
}

/* ---- the far end ----------------------------------------------------------------------- */

void note_received(struct actor *me, int fd, ssize_t expected)
{
    char buf[64];
    int ready = 0;
    ssize_t got;

    if (expected > 0 && ioctl(fd, FIONREAD, &ready) != 0) {
        if (!await_events(me, fd, POLLIN)) /* an eventfd */
            return;
    } else if (expected > 0 && !await_input(me, fd, (int)expected)) {
        return;
    }
    set_nonblock(fd, true);
    got = read(fd, buf, sizeof(buf));
    set_nonblock(fd, false);
    if (got < 0)
        note(me, "received: %s", strerrorname_np(errno));
    else
        note_bytes(me, "received", buf, (size_t)got);
}

size_t drain_for(struct actor *me, struct pair *pair, struct actor *writer)
{
    static char buf[65536];
    char tail[8] = "";
    int64_t start_ns = clock_ns();
    unsigned empty = 0, round = 0;
    size_t total = 0;
    ssize_t got;

    set_nonblock(pair->far, true);
    while (empty < 3) {
        bool ended = atomic_load(&writer->finished) && is_sent(pair->near);

        got = read(pair->far, buf, sizeof(buf));
        if (got > 0) {
            size_t kept = got < 8 ? (size_t)got : 8;

            memmove(tail, tail + kept, 8 - kept);
            memcpy(tail + 8 - kept, buf + got - kept, kept);
            total += (size_t)got;
            empty = 0;
            continue;
        }
        empty += ended ? 1 : 0;
        me->run->way->pause(round++);
        if (clock_ns() - start_ns > (int64_t)LIMIT_MS * MS) {
            (void)expect(me, false, "drain in time");
            break;
        }
    }
    set_nonblock(pair->far, false);
    if (!me->run->storm)
        note_bytes(me, "last received", tail, sizeof(tail));
    return total;
}
