/* SPDX-License-Identifier: MIT */
/*
 * close_rig.h -- a tn_close in a task of its own, while the test acts as its peer.
 *
 * Each ending is produced REPEATS times, and has to be named right each time.
 */
#ifndef CLOSE_RIG_H
#define CLOSE_RIG_H

#include "net/net_rig.h"

#define REPEATS 200U

struct closer {
    struct tn_conn *conn;
    tn_deadline deadline;
    bool discard;
    bool over;
    tn_ending ending;
    tn_err err;
    struct tn_task *task;
};

static inline tn_err close_in_task(void *arg)
{
    struct closer *self = arg;

    memset(&self->ending, 0x55, sizeof(self->ending));
    self->err = (self->discard ? tn_close_discard : tn_close)(&self->conn, &self->ending,
                                                              self->deadline);
    self->over = true;
    return tn_ok();
}

/* closer_start -- begin to close WIRE's connection, and let that come to its first wait. */
static inline void closer_start(struct closer *self, struct wire *wire,
                                tn_deadline deadline)
{
    bool discard = self->discard;

    *self = (struct closer){ .conn = wire->conn, .deadline = deadline };
    self->discard = discard;
    wire->conn = NULL;
    assert_ok(tn_go(NULL, close_in_task, self, NULL, &self->task));
    tn_yield();
}

#define assert_ended(closer, how, unacked, unread)                                       \
    closer_check(&(closer), (how), (unacked), (unread), __FILE__, __LINE__)

/* closer_check -- wait for its end, which has to be HOW, with these counts. */
static inline void closer_check(struct closer *self, enum tn_how how, uint64_t unacked,
                                uint64_t unread, const char *file, int line)
{
    static const unsigned kinds[] = {
        [TN_CLEAN] = TN_OK,
        [TN_ACKED] = TN_DEADLINE,
        [TN_ENDED_RESET] = TN_RESET,
        [TN_ENDED_TIMEDOUT] = TN_TIMEDOUT,
        [TN_ENDED_DEADLINE] = TN_DEADLINE,
        [TN_UNREAD] = TN_IN_USE,
    };
    tn_ending *ending = &self->ending;

    test_assert_kind(tn_join(&self->task, NULL, rig_patience()), TN_OK, "the close", file,
                     line);
    if (ending->how != how || ending->unacked != unacked || ending->unread != unread)
        test_failed(file, line, "ended \"%s\", %llu unacked, %llu unread",
                    tn_how_text(ending->how), (unsigned long long)ending->unacked,
                    (unsigned long long)ending->unread);
    if (self->err.kind != kinds[how] && self->err.kind != TN_CANCELED)
        test_assert_kind(self->err, kinds[how], "tn_close", file, line);
    if (self->conn != NULL)
        test_failed(file, line, "the connection is still there");
}

/* peer_reads_to_end -- everything that comes, until the end; how much. */
static inline uint64_t peer_reads_to_end(int fd)
{
    uint64_t got = 0;
    int end = 0;

    WAIT_UNTIL((got += raw_drain(fd, &end), end != 0));
    assert_int_equal(end, 1);
    return got;
}

/* peer_reads_to_reset -- everything that comes, until a reset; how much. */
static inline uint64_t peer_reads_to_reset(int fd)
{
    uint64_t got = 0;
    int end = 0;

    WAIT_UNTIL((got += raw_drain(fd, &end), end != 0));
    assert_int_equal(end, -ECONNRESET);
    return got;
}

/* peer_close -- in order, if it has read all. */
static inline void peer_close(struct wire *wire)
{
    close(wire->peer);
    wire->peer = -1;
}

static inline void wire_write(struct wire *wire, size_t size)
{
    static char bytes[1 << 20];

    assert_true(size <= sizeof(bytes));
    assert_ok(tn_write(wire->conn, bytes, size, NULL, rig_patience()));
}

/* wire_stuff -- write until the peer, who does not read, takes no more; how much. */
static inline size_t wire_stuff(struct wire *wire)
{
    static char bytes[1 << 20];
    size_t done, sum = 0;
    tn_err err;

    do { /* how much fits depends on how fast acknowledgements come */
        err = tn_write(wire->conn, bytes, sizeof(bytes), &done, tn_in(2 * TN_MS));
        sum += done;
    } while (!tn_failed(err));
    assert_kind(err, TN_DEADLINE);
    return sum;
}

#endif
