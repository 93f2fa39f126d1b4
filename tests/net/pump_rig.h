/* SPDX-License-Identifier: MIT */
/*
 * pump_rig.h -- a pump between two wires, and what a test does at their raw ends.
 */
#ifndef PUMP_RIG_H
#define PUMP_RIG_H

#include <tenon/pump.h>

#include "net/net_rig.h"

/* Two wires with a pump from the first one to the second, which a task runs. */
struct line {
    struct wire from, to;
    struct tn_pump pump;
    tn_deadline deadline;
    tn_err err;
    struct tn_task *task;
};

static inline tn_err line_main(void *arg)
{
    struct line *line = arg;

    line->err = tn_pump(&line->pump, line->from.conn, line->to.conn, line->deadline);
    return tn_ok();
}

static inline void line_open(struct line *line, sa_family_t family, enum wire_state state)
{
    *line = (struct line){ .deadline = rig_patience(), .pump.pass_end = true };
    line->from = wire_in_state(family, state);
    line->to = wire_in_state(family, state);
}

static inline void line_start(struct line *line)
{
    assert_ok(tn_go(NULL, line_main, line, NULL, &line->task));
}

static inline tn_err line_join(struct line *line)
{
    assert_ok(tn_join(&line->task, NULL, rig_patience()));
    return line->err;
}

static inline void line_drop(struct line *line)
{
    tn_pump_release(&line->pump);
    wire_drop(&line->from);
    wire_drop(&line->to);
}

/* What the raw end of the sink has read so far must be the pattern; *END as raw_drain. */
static inline void take_at_sink(struct line *line, uint64_t *place, int *end)
{
    static char buf[1 << 16];
    ssize_t got;

    while ((got = recv(line->to.peer, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
        assert_pattern(buf, *place, (size_t)got);
        *place += (uint64_t)got;
    }
    *end = got == 0 ? 1 : errno == EAGAIN ? 0 : -errno;
}

/* Send as much of the pattern up to SIZE as the source's raw end takes now. */
static inline void send_at_source(struct line *line, uint64_t *place, size_t size,
                                  size_t most)
{
    static char buf[1 << 16];

    while (*place < size) {
        size_t part = size - *place < most ? size - *place : most;
        ssize_t sent;

        part = part < sizeof(buf) ? part : sizeof(buf);
        pattern_fill(buf, *place, part);
        sent = send(line->from.peer, buf, part, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        *place += (uint64_t)sent;
    }
}

/* Carry SIZE bytes in pieces of MOST, and the end behind them. */
static inline void carry(struct line *line, size_t size, size_t most)
{
    uint64_t sent = 0, got = 0;
    int end = 0;

    while (got < size) {
        send_at_source(line, &sent, size, most);
        assert_ok(tn_sleep(tn_in(1)));
        take_at_sink(line, &got, &end);
        assert_true(end == 0);
    }
    assert_int_equal(shutdown(line->from.peer, SHUT_WR), 0);
    WAIT_UNTIL((take_at_sink(line, &got, &end), end != 0));
    assert_int_equal(end, 1);
    assert_int_equal(got, size);
}

#endif
