/* SPDX-License-Identifier: MIT */
/*
 * conn_sim_test.c -- connections where a real network would need luck: findings of the
 * simulation (tests/sim), each as one small scenario.
 */
#include "net/conn.h"
#include "net/sim_bench.h"

static const char bytes[300000];

/* ---- dial ---- */

static tn_err dial_nobody(void *arg)
{
    struct tn_conn *conn = NULL;

    (void)arg;
    assert_kind(tn_dial(&conn, "192.0.2.1:80", NULL, tn_in(TN_SECOND)), TN_DEADLINE);
    assert_kind(tn_dial(&conn, "192.0.2.1:80", NULL, TN_NEVER), TN_TIMEDOUT);
    assert_null(conn);
    return tn_ok();
}

static tn_err dial_fenced(void *arg)
{
    struct tn_conn *conn = NULL;

    (void)arg;
    assert_kind(tn_dial(&conn, "192.0.2.1:80", NULL, tn_in(100 * TN_MS)), TN_UNREACHABLE);
    return tn_ok();
}

/* Run DIAL, with wake-ups for nothing, where 192.0.2.1 gives ANSWER. */
static void dial_often(tn_task_fn *dial, enum sim_answer answer)
{
    struct sim_options options = { .chances.of = { [SIM_SPURIOUS] = 300000 } };
    struct sim_route route = { .answer = answer };
    struct sockaddr_in addr = { .sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(0xc0000201) };
    struct tn_loop_options loop = { .driver = test_driver() };
    struct sim *sim;

    for (options.seed = 0; options.seed < 10; options.seed++) {
        assert_errno(sim_open(&sim, &options), 0);
        assert_errno(sim_route_set(sim, (struct sockaddr *)&addr, sizeof(addr), &route),
                     0);
        assert_ok(run_on(sim_os(sim), dial, NULL, &loop));
        sim_close(sim);
    }
}

/* Seed 7: a poll that came back for nothing was taken for the connection. */
TEST_ON_DRIVERS(a_dial_that_wakes_for_nothing_is_not_connected)
{
    dial_often(dial_nobody, SIM_IS_SILENT);
}

/* On Linux connecting is still under way then: only SO_ERROR has it (make rough). */
TEST_ON_DRIVERS(a_dial_that_a_firewall_of_this_host_rejects_is_unreachable)
{
    dial_often(dial_fenced, SIM_IS_FENCED);
}

/* ---- close ---- */

static tn_err write_slowly(void *arg)
{
    struct bench *bench = arg;

    for (int i = 0; i < 50; i++) {
        assert_ok(tn_write(bench->far, bytes, 1000, NULL, TN_NEVER));
        assert_ok(tn_sleep(tn_in(10 * TN_US)));
    }
    return tn_end(bench->far);
}

static void discard_all(struct bench *bench)
{
    tn_ending ending;

    assert_ok(tn_go(NULL, write_slowly, bench, NULL, NULL));
    assert_ok(tn_close_discard(&bench->near, &ending, TN_NEVER));
    assert_int_equal(ending.how, TN_CLEAN);
    assert_int_equal(ending.unread, 50000);
}

/* Seeds 9 and 22: bytes that came between two looks were called unread. */
TEST_ON_DRIVERS(a_discarding_close_discards_what_comes_while_it_looks)
{
    struct sim_options options = { .chances.of = { [SIM_SHORT_READ] = 1000000 },
                                   .route = { .segment = 1448,
                                              .back = { .delay_max = 100 * TN_US } } };

    for (options.seed = 0; options.seed < 20; options.seed++)
        bench_run(&(struct bench){ .near = NULL }, &options, discard_all);
}

struct writer {
    struct bench *bench;
    tn_ending ending;
};

static tn_err write_and_close(void *arg)
{
    struct writer *writer = arg;

    assert_ok(tn_write(writer->bench->far, bytes, 100, NULL, TN_NEVER));
    return tn_close(&writer->bench->far, &writer->ending, tn_in(5 * TN_SECOND));
}

/* Our end is lost; the peer's, with bytes before it, arrives. */
static void close_while_ends_cross(struct bench *bench)
{
    struct writer writer = { .bench = bench };
    struct tn_task *task = NULL;
    tn_ending ending;
    tn_err result;

    sim_wire_cut(bench->sim, bench->wire, 0, TN_MS);
    assert_ok(tn_go(NULL, write_and_close, &writer, NULL, &task));
    assert_kind(tn_close(&bench->near, &ending, TN_NEVER), TN_IN_USE);
    assert_int_equal(ending.how, TN_UNREAD);
    assert_ok(tn_join(&task, &result, TN_NEVER));
    assert_kind(result, TN_RESET);
    assert_int_equal(writer.ending.how, TN_ENDED_RESET);
}

/*
 * Seeds 100845 and 105240: Linux sends no reset to who disconnects in that state.  Seed 4
 * here: nor if the peer's end comes between a look at the state and the disconnect.
 */
TEST_ON_DRIVERS(bytes_unread_are_a_reset_also_when_both_ends_cross)
{
    struct sim_link link = { .delay_min = 10 * TN_MS, .delay_max = 10 * TN_MS };
    struct sim_options options = { .route = { .there = link, .back = link } };

    for (options.seed = 0; options.seed < 20; options.seed++)
        bench_run(&(struct bench){ .near = NULL }, &options, close_while_ends_cross);
}

/* ---- errors that the kernel tells once ---- */

static tn_err read_until_dead(void *arg)
{
    struct bench *bench = arg;
    char byte;
    size_t got;

    assert_kind(tn_read(bench->far, &byte, 1, &got, TN_NEVER), TN_TIMEDOUT);
    return tn_ok();
}

/* Reader and writer learn it at once, and then the close. */
static void die_in_silence(struct bench *bench)
{
    struct tn_task *reader = NULL;
    uint64_t unacked = 0;
    tn_ending ending;

    sim_wire_cut(bench->sim, bench->wire, 1, INT64_MAX);
    assert_ok(tn_go(NULL, read_until_dead, bench, NULL, &reader));
    assert_kind(tn_write(bench->far, bytes, sizeof(bytes), NULL, TN_NEVER), TN_TIMEDOUT);
    assert_ok(tn_join(&reader, NULL, TN_NEVER));
    assert_kind(tn_confirm(bench->far, &unacked, TN_NEVER), TN_TIMEDOUT);
    assert_true(unacked > 0);
    assert_kind(tn_close(&bench->far, &ending, TN_NEVER), TN_TIMEDOUT);
    assert_int_equal(ending.how, TN_ENDED_TIMEDOUT);
    assert_int_equal(ending.unacked, unacked);
}

/* Seeds 132 and 457: whoever came second was told of a reset. */
TEST_ON_DRIVERS(a_time_out_is_a_time_out_to_reader_writer_confirm_and_close)
{
    struct sim_options options = { .chances.of = { [SIM_LATE] = 500000 } };
    struct bench bench = { .options.user_timeout = 5 * TN_SECOND };

    for (options.seed = 0; options.seed < 20; options.seed++)
        bench_run(&bench, &options, die_in_silence);
}

/* ---- stamps ---- */

static void fill_and_wait(struct bench *bench)
{
    struct sim_facts before, after;

    assert_ok(tn_write(bench->near, bytes, 1000, NULL, TN_NEVER)); /* gives a stamp */
    sim_wire_window(bench->sim, bench->wire, 1, INT64_MAX);
    while (
        !tn_failed(tn_write(bench->near, bytes, sizeof(bytes), NULL, tn_in(TN_SECOND))))
        continue;
    sim_facts(bench->sim, &before);
    assert_kind(tn_write(bench->near, bytes, 1, NULL, tn_in(TN_MINUTE)), TN_DEADLINE);
    sim_facts(bench->sim, &after);
    assert_true(after.calls - before.calls < 100);
}

/* Seed 3179: a stamp that nobody took out made a writer turn without waiting. */
TEST_ON_DRIVERS(a_writer_beside_stamps_waits_without_spinning)
{
    struct bench bench = { .options.confirmable = true };

    bench_run(&bench, NULL, fill_and_wait);
}

/* A system in which all is acknowledged just before NEAR is asked for its error, then reset. */
static struct {
    struct os_calls calls;
    int (*getsockopt)(struct os *, int, int, int, void *, socklen_t *);
    struct bench *bench;
} last;

static int ask_late(struct os *os, int fd, int level, int name, void *value,
                    socklen_t *size)
{
    struct bench *bench = last.bench;
    int left = 1;

    if (name == SO_ERROR && bench != NULL) {
        last.bench = NULL;
        while (left > 0) /* each call takes its time */
            assert_errno(os_ioctl(os, bench->near->fd, SIOCOUTQ, &left), 0);
        sim_wire_reset(bench->sim, bench->wire);
        assert_errno(os_ioctl(os, bench->near->fd, SIOCOUTQ, &left), 0);
    }
    return last.getsockopt(os, fd, level, name, value, size);
}

static void confirm_before_a_reset(struct bench *bench)
{
    struct os *os = sim_os(bench->sim);
    uint64_t unacked = 7;

    last.calls = *os->calls;
    last.getsockopt = os->calls->getsockopt;
    last.calls.getsockopt = ask_late;
    last.bench = bench;
    assert_ok(tn_write(bench->near, bytes, 100, NULL, TN_NEVER));
    os->calls = &last.calls;
    assert_ok(tn_confirm(bench->near, &unacked, TN_NEVER));
    assert_null(last.bench);
    assert_int_equal(unacked, 0);
    assert_kind(tn_write(bench->near, bytes, 1, NULL, TN_NEVER), TN_RESET);
}

/* Seed 14490: what came between the look for bytes and the look for an error did not count. */
TEST_ON_DRIVERS(what_was_acknowledged_right_before_a_reset_counts)
{
    struct sim_options options = { .route.back.delay_min = 100 * TN_US };

    bench_run(&(struct bench){ .near = NULL }, &options, confirm_before_a_reset);
}

/* ---- urgent ---- */

static void read_exactly(struct bench *bench, size_t size, const char *expected)
{
    char buf[200];
    size_t done;

    assert_ok(tn_read_all(bench->far, buf, size, &done, TN_NEVER));
    assert_memory_equal(buf, expected, strlen(expected));
}

static void urgent_is_taken_first(struct bench *bench)
{
    uint64_t offset = 0;
    char byte = 0;

    assert_ok(tn_write(bench->near, bytes, 100, NULL, TN_NEVER));
    read_exactly(bench, 50, "");
    /* From here on the loop does not turn: no edge tells of the urgent byte. */
    assert_ok(tn_send_urgent(bench->near, '!', TN_NEVER));
    assert_ok(tn_write(bench->near, "tail", 4, NULL, TN_NEVER));
    read_exactly(bench, 50, "");
    read_exactly(bench, 4, "tail");
    assert_ok(tn_wait_urgent(bench->far, &byte, &offset, TN_NOW));
    assert_int_equal(byte, '!');
    assert_int_equal(offset, 100);
}

/* Seeds 14 and 17: a read that came before the edge went over the byte. */
TEST_ON_DRIVERS(no_read_passes_over_an_urgent_byte_that_no_edge_has_told_of)
{
    struct bench bench = { .options.urgent = true };

    bench_run(&bench, NULL, urgent_is_taken_first);
}

static void urgent_before_its_bytes(struct bench *bench)
{
    uint64_t offset = 0;
    char byte = 0;

    sim_wire_cut(bench->sim, bench->wire, 0, 5 * TN_MS);
    assert_ok(tn_write(bench->near, bytes, 100, NULL, TN_NEVER));
    assert_ok(tn_sleep(tn_in(6 * TN_MS)));
    assert_ok(tn_send_urgent(bench->near, '!', TN_NEVER));
    assert_ok(tn_wait_urgent(bench->far, &byte, &offset, TN_NEVER));
    assert_int_equal(byte, '!');
    assert_int_equal(offset, 100);
    read_exactly(bench, 100, "");
}

/* Seeds 5 and 15: the place was told before it could be known. */
TEST_ON_DRIVERS(an_urgent_byte_before_lost_ones_waits_until_its_place_is_known)
{
    struct bench bench = { .options.urgent = true };

    bench_run(&bench, NULL, urgent_before_its_bytes);
}

/* A system whose next look at FAR (MSG_PEEK) comes just after NEAR's last words. */
static struct {
    struct os_calls calls;
    ssize_t (*recvfrom)(struct os *, int, void *, size_t, int, struct sockaddr *,
                        socklen_t *);
    struct bench *bench;
} late;

static ssize_t look_late(struct os *os, int fd, void *buf, size_t size, int flags,
                         struct sockaddr *addr, socklen_t *addr_size)
{
    struct bench *bench = late.bench;

    if ((flags & MSG_PEEK) != 0 && bench != NULL) {
        late.bench = NULL;
        assert_ok(tn_send_urgent(bench->near, '!', TN_NOW));
        assert_ok(tn_end(bench->near));
    }
    return late.recvfrom(os, fd, buf, size, flags, addr, addr_size);
}

static tn_err wait_for_urgent(void *arg)
{
    struct bench *bench = arg;
    uint64_t offset = 0;
    char byte = 0;
    tn_err err = tn_wait_urgent(bench->far, &byte, &offset, TN_NEVER);

    assert_true(tn_failed(err) || byte == '!');
    return err;
}

static void urgent_with_the_end(struct bench *bench)
{
    struct os *os = sim_os(bench->sim);
    struct tn_task *waiter = NULL;
    tn_err result;
    char byte;
    size_t got;

    late.calls = *os->calls;
    late.recvfrom = os->calls->recvfrom;
    late.calls.recvfrom = look_late;
    late.bench = bench;
    assert_ok(tn_go(NULL, wait_for_urgent, bench, NULL, &waiter));
    tn_yield();
    assert_ok(tn_write(bench->near, "x", 1, NULL, TN_NEVER));
    assert_ok(
        tn_read(bench->far, &byte, 1, &got, TN_NEVER)); /* and tries again at once */
    os->calls = &late.calls;
    assert_kind(tn_read(bench->far, &byte, 1, &got, TN_NEVER), TN_EOF);
    tn_cancel(waiter); /* what came first counts */
    assert_ok(tn_join(&waiter, &result, TN_NEVER));
    assert_ok(result);
}

/* Seed 103014: it came between two looks, and the end behind it was told first. */
TEST_ON_DRIVERS(an_urgent_byte_right_before_the_end_is_heard_before_the_end)
{
    struct bench bench = { .options.urgent = true };

    bench_run(&bench, NULL, urgent_with_the_end);
}

/* Each receive at a mark is stopped once. */
static const struct sim_options signals = { .chances.of = { [SIM_SIGNAL] = 1000000 } };

/* A peer that sends an urgent byte to somebody who has not asked for one. */
static void send_unasked(struct bench *bench)
{
    int flags = MSG_OOB | MSG_DONTWAIT;

    assert_int_equal(os_send(sim_os(bench->sim), bench->near->fd, "!", 1, flags), 1);
}

static void read_over_marks(struct bench *bench)
{
    char buf[6];

    for (int i = 0; i < 100; i++) {
        assert_ok(tn_write(bench->near, "abc", 3, NULL, TN_NEVER));
        send_unasked(bench);
        assert_ok(tn_write(bench->near, "def", 3, NULL, TN_NEVER));
        assert_ok(tn_sleep(tn_in(TN_MS)));
        assert_ok(tn_read_all(bench->far, buf, 6, NULL, tn_in(TN_SECOND)));
        assert_memory_equal(buf, "abcdef", 6);
    }
}

/* Linux gives EAGAIN beside bytes then, and no edge follows. */
TEST_ON_DRIVERS(what_stands_behind_an_urgent_mark_is_read_though_a_signal_comes)
{
    bench_run(&(struct bench){ .near = NULL }, &signals, read_over_marks);
}

static void read_and_hear(struct bench *bench)
{
    char buf[6], byte;
    uint64_t offset;

    for (uint64_t i = 0; i < 100; i++) {
        assert_ok(tn_write(bench->near, "abc", 3, NULL, TN_NEVER));
        assert_ok(tn_send_urgent(bench->near, '!', TN_NEVER));
        assert_ok(tn_write(bench->near, "def", 3, NULL, TN_NEVER));
        assert_ok(tn_sleep(tn_in(TN_MS)));
        if (i % 2 == 0)
            assert_ok(tn_wait_urgent(bench->far, &byte, &offset, tn_in(TN_SECOND)));
        assert_ok(tn_read_all(bench->far, buf, 6, NULL, tn_in(TN_SECOND)));
        if (i % 2 != 0)
            assert_ok(tn_wait_urgent(bench->far, &byte, &offset, tn_in(TN_SECOND)));
        assert_memory_equal(buf, "abcdef", 6);
        assert_int_equal(offset, 6 * i + 3);
    }
}

TEST_ON_DRIVERS(an_urgent_byte_and_what_is_behind_it_come_though_a_signal_comes)
{
    bench_run(&(struct bench){ .options.urgent = true }, &signals, read_and_hear);
}

static void read_after_a_reset(struct bench *bench)
{
    size_t got;
    char byte;

    assert_ok(tn_write(bench->near, "abc", 3, NULL, TN_NEVER));
    assert_ok(tn_send_urgent(bench->near, '!', TN_NEVER));
    assert_ok(tn_sleep(tn_in(TN_MS)));
    sim_wire_reset(bench->sim, bench->wire);
    read_exactly(bench, 3, "abc");
    assert_kind(tn_read(bench->far, &byte, 1, &got, TN_NEVER), TN_RESET);
}

/* Seed 203199: to a look for the urgent byte the kernel says ENOTCONN after a reset. */
TEST_ON_DRIVERS(a_reset_is_a_reset_to_who_listens_for_urgent_bytes)
{
    struct bench bench = { .options.urgent = true };

    bench_run(&bench, NULL, read_after_a_reset);
}

/* ---- batches ---- */

static tn_err write_a_byte(void *arg)
{
    struct bench *bench = arg;

    return tn_write(bench->near, "!", 1, NULL, TN_NEVER);
}

/* Run before whoever the next wait wakes. */
static void turn_first(void)
{
    struct tn_loop_facts before, now;

    tn_loop_facts(NULL, &before);
    do {
        tn_yield();
        tn_loop_facts(NULL, &now);
    } while (now.turns == before.turns);
}

static void read_beside_a_batch(struct bench *bench)
{
    enum tn_kind kind = strcmp(test_driver(), "uring") == 0 ? TN_RESET : TN_OK;
    struct tn_task *writer = NULL;
    tn_err result;
    size_t got;
    char byte;

    assert_ok(tn_write(bench->far, "?", 1, NULL, TN_NEVER));
    assert_ok(
        tn_read(bench->near, &byte, 1, &got, TN_NEVER)); /* a feed runs from here on */
    assert_ok(tn_go(NULL, write_a_byte, bench, NULL, &writer));
    tn_yield(); /* it writes: on a ring in the next wait, since we are about to run */
    sim_wire_reset(bench->sim, bench->wire);
    turn_first();
    assert_kind(tn_read(bench->near, &byte, 1, &got, TN_NEVER), TN_RESET);
    assert_ok(tn_join(&writer, &result, TN_NEVER));
    assert_kind(result, kind);
}

/* Seed 101: the kernel tells of it once, and what follows looks like an end. */
TEST_ON_DRIVERS(a_reset_that_a_batch_was_told_is_known_to_a_reader_that_runs_first)
{
    for (struct sim_options options = { .seed = 0 }; options.seed < 20; options.seed++)
        bench_run(&(struct bench){ .near = NULL }, &options, read_beside_a_batch);
}
