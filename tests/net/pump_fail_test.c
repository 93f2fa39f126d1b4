/* SPDX-License-Identifier: MIT */
/*
 * pump_fail_test.c -- a pump whose calls fail: it goes another way, later, or says so.
 */
#include "net/pump_rig.h"
#include "os/fault.h"
#include "task/run.h"

#define STREAM ((size_t)3 * 1024 * 1024)

/* ---- what runs out ---- */

struct scarce {
    struct fault fault;
    enum fault_call call;
};

static tn_err scarce_main(void *arg)
{
    struct scarce *scarce = arg;
    struct line line;

    line_open(&line, AF_INET, WIRE_LARGE);
    fault_name(&scarce->fault, scarce->call, 1, 1000000, 0);
    line_start(&line);
    carry(&line, STREAM, 1 << 16);
    assert_ok(line_join(&line));
    fault_off(&scarce->fault);
    line_drop(&line);
    return tn_ok();
}

TEST(without_pipes_or_splices_it_copies)
{
    static const enum fault_call calls[] = { FAULT_PIPE, FAULT_SPLICE_IN };

    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        struct scarce scarce = { .call = calls[i] };

        fault_init(&scarce.fault, &os_linux);
        assert_ok(run_on(&scarce.fault.os, scarce_main, &scarce, NULL));
        assert_true(scarce.fault.failed_of[calls[i]] > 0);
    }
}

/* No memory to hand a stream over once: the pump keeps it, and goes on later. */
static tn_err broken_main(void *arg)
{
    struct scarce *scarce = arg;
    struct line line;
    uint64_t sent = 0, got = 0;
    unsigned failures = 0;
    int end = 0;

    line_open(&line, AF_INET, WIRE_LARGE);
    while (!end) {
        line_start(&line);
        send_at_source(&line, &sent, STREAM, 1 << 16);
        if (sent == STREAM)
            shutdown(line.from.peer, SHUT_WR);
        fault_name(&scarce->fault, scarce->call, 3, 1, 0);
        assert_ok(tn_sleep(tn_in(TN_MS / 10)));
        fault_off(&scarce->fault);
        take_at_sink(&line, &got, &end);
        tn_cancel(line.task);
        if (line_join(&line).kind == TN_LIMIT)
            failures++;
    }
    assert_int_equal(end, 1);
    assert_int_equal(got, STREAM);
    assert_true(failures > 0);
    line_drop(&line);
    return tn_ok();
}

TEST(a_send_that_fails_for_want_of_memory_may_be_tried_again)
{
    struct scarce scarce = { .call = FAULT_SPLICE_OUT };

    fault_init(&scarce.fault, &os_linux);
    assert_ok(run_on(&scarce.fault.os, broken_main, &scarce, NULL));
}

/* ---- an error that nobody is told ---- */

/*
 * As splice(2) on Linux when a reset comes while it sends: it says how much has gone, and the
 * error, which it has met behind that, is lost.
 */
struct torn {
    struct os os;
    struct os_calls calls;
    struct line line;
    bool ended;                    /* the peer had ended its side before */
    void (*before)(struct wire *); /* what had come */
    bool done;
    tn_err read;
};

static ssize_t torn_splice_out(struct os *os, int pipe, int fd, size_t size)
{
    struct torn *torn = (struct torn *)(void *)os;
    ssize_t sent = os_splice_out(&os_linux, pipe, fd, torn->done ? size : size / 2);

    if (sent > 0 && !torn->done) {
        torn->done = true;
        raw_reset(torn->line.to.peer);
        torn->line.to.peer = -1;
        assert_errno(os_splice_out(&os_linux, pipe, fd, size),
                     torn->ended ? EPIPE : ECONNRESET);
    }
    return sent;
}

static tn_err read_back(void *arg)
{
    struct torn *torn = arg;
    char byte;

    torn->read = tn_read(torn->line.to.conn, &byte, 1, &(size_t){ 0 }, rig_patience());
    return tn_ok();
}

/* It was a connection before: what had come then is in TCP's count. */
static void take_over(struct wire *wire)
{
    int fd = -1;

    wire_send(wire, 5);
    wire_take(wire, 5);
    assert_ok(tn_release(&wire->conn, &fd, rig_patience()));
    assert_ok(tn_adopt(&wire->conn, fd, NULL));
}

/* An urgent byte has been passed over. */
static void pass_urgent(struct wire *wire)
{
    char buf[2];

    assert_int_equal(send(wire->peer, "x!", 2, MSG_OOB), 2);
    raw_send(wire->peer, "y", 1);
    assert_ok(tn_read_all(wire->conn, buf, 2, NULL, rig_patience()));
    assert_memory_equal(buf, "xy", 2);
}

static tn_err torn_main(void *arg)
{
    struct torn *torn = arg;
    struct line *line = &torn->line;
    struct tn_task *reader = NULL;
    unsigned wanted = torn->ended ? TN_EOF : TN_RESET;
    uint64_t sent = 0;

    line_open(line, AF_INET, WIRE_LARGE);
    if (torn->before != NULL)
        torn->before(&line->to);
    if (torn->ended)
        assert_int_equal(shutdown(line->to.peer, SHUT_WR), 0);
    assert_ok(tn_go(NULL, read_back, torn, NULL, &reader));
    line_start(line);
    while (!torn->done) {
        send_at_source(line, &sent, SIZE_MAX, 1 << 16);
        assert_ok(tn_sleep(tn_in(1)));
    }
    assert_kind(line_join(line), TN_RESET);
    assert_int_equal(line->pump.failed, TN_PUMP_TO);
    assert_ok(tn_join(&reader, NULL, rig_patience()));
    assert_kind(torn->read, wanted);
    assert_ok(read_back(torn));
    assert_kind(torn->read, wanted);
    line_drop(line);
    return tn_ok();
}

static void be_torn(const char *driver, bool ended, void (*before)(struct wire *))
{
    struct torn torn = { .calls = *os_linux.calls, .ended = ended, .before = before };
    struct tn_loop_options options = { .driver = driver };

    torn.calls.splice_out = torn_splice_out;
    torn.os.calls = &torn.calls;
    assert_ok(run_on(&torn.os, torn_main, &torn, &options));
}

TEST_ON_DRIVERS(a_reset_that_a_splice_has_met_is_no_end_for_who_reads)
{
    for (int ended = 0; ended < 2; ended++) {
        be_torn(test_driver(), ended, NULL);
        be_torn(test_driver(), ended, take_over);
    }
}

/* On a ring not every urgent byte is seen coming (docs/reliability.md). */
TEST(nor_where_an_urgent_byte_was_passed_over)
{
    be_torn("epoll", false, pass_urgent);
}
