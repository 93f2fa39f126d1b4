/* SPDX-License-Identifier: MIT */
/*
 * conn_late_test.c -- tn_go_late: tasks that start with the first byte of a connection.
 */
#include <malloc.h>
#include <sys/resource.h>

#include "net/net_rig.h"
#include "os/fault.h"
#include "os/os.h"
#include "task/run.h"
#include "unit/sanitized.h"

static struct seen {
    unsigned runs;
    size_t bytes;
    tn_err end; /* of the last one */
} seen;

/* Read all that comes, to the end. */
static tn_err take_all(void *arg)
{
    struct tn_conn *conn = arg;
    char buf[4096];
    size_t got;

    seen.runs++;
    do {
        seen.end = tn_read(conn, buf, sizeof(buf), &got, rig_patience());
        if (!tn_failed(seen.end))
            seen.bytes += got;
    } while (!tn_failed(seen.end));
    tn_abort(&conn);
    return tn_ok();
}

/* Wait for CONN in GROUP; the connection is not the test's any more. */
static void go_late(struct tn_group *group, tn_task_fn *fn, struct wire *wire)
{
    assert_ok(tn_go_late(group, fn, wire->conn, NULL));
    wire->conn = NULL;
}

static struct tn_group *open_group(void)
{
    struct tn_group *group = NULL;

    seen = (struct seen){ 0 };
    assert_ok(tn_group_open(&group, TN_GROUP_ALL_OR_NONE));
    return group;
}

/* ---- what starts it ---- */

TEST_IN_TASK(the_first_byte_starts_it_and_nothing_before)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        struct tn_group *group = open_group();

        wire_send(&wire, 100); /* read to the last byte: readiness seen before is over */
        wire_take(&wire, 100);
        go_late(group, take_all, &wire);
        rig_turns();
        assert_int_equal(seen.runs, 0);
        wire_send(&wire, 100);
        WAIT_UNTIL(seen.bytes == 100);
        wire_send(&wire, 50);
        WAIT_UNTIL(seen.bytes == 150);
        close(wire.peer);
        assert_ok(tn_group_wait(group, rig_patience()));
        assert_int_equal(seen.runs, 1);
        assert_kind(seen.end, TN_EOF);
        tn_group_close(&group);
    }
}

TEST_IN_TASK(what_has_come_already_starts_it)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        struct tn_group *group = open_group();

        wire_send(&wire, 100);
        wire_take(&wire, 10); /* the rest may have been received ahead */
        go_late(group, take_all, &wire);
        WAIT_UNTIL(seen.bytes == 90);
        assert_int_equal(seen.runs, 1);
        tn_group_close(&group);
        assert_kind(seen.end, TN_CANCELED); /* it is a task as any other */
        close(wire.peer);
    }
}

TEST_IN_TASK(the_end_starts_it_though_no_byte_came)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        struct tn_group *group = open_group();

        go_late(group, take_all, &wire);
        rig_turns();
        close(wire.peer);
        assert_ok(tn_group_wait(group, rig_patience()));
        assert_int_equal(seen.runs, 1);
        assert_kind(seen.end, TN_EOF);
        tn_group_close(&group);
    }
}

TEST_IN_TASK(a_reset_starts_it)
{
    for (enum wire_state state = WIRE_FRESH; state < WIRE_STATES; state++) {
        struct wire wire = wire_in_state(AF_INET, state);
        struct tn_group *group = open_group();

        go_late(group, take_all, &wire);
        rig_turns();
        raw_reset(wire.peer);
        assert_ok(tn_group_wait(group, rig_patience()));
        assert_int_equal(seen.runs, 1);
        assert_kind(seen.end, TN_RESET);
        tn_group_close(&group);
    }
}

TEST_IN_TASK(what_is_not_to_be_read_does_not_start_it)
{
    struct tn_conn_options options[] = { { .confirmable = true }, { .urgent = true } };

    for (size_t i = 0; i < COUNT_OF(options); i++) {
        struct wire wire = wire_open_with(AF_INET, &options[i]);
        struct tn_group *group = open_group();

        assert_ok(tn_write(wire.conn, "x", 1, NULL, rig_patience()));
        go_late(group, take_all, &wire); /* a stamp will come, */
        raw_drain(wire.peer, NULL);
        if (options[i].urgent) /* or an urgent byte */
            assert_int_equal(send(wire.peer, "!", 1, MSG_OOB), 1);
        rig_turns();
        assert_int_equal(seen.runs, 0);
        wire_send(&wire, 10);
        WAIT_UNTIL(seen.bytes == 10);
        tn_group_close(&group);
        close(wire.peer);
    }
}

/* ---- alive while it waits ---- */

TEST_IN_TASK(a_group_waits_for_one_that_waits)
{
    struct wire wire = wire_open(AF_INET);
    struct tn_group *group = open_group();

    go_late(group, take_all, &wire);
    assert_kind(tn_group_wait(group, tn_in(2 * TN_MS)), TN_DEADLINE);
    assert_int_equal(seen.runs, 0);
    close(wire.peer);
    assert_ok(tn_group_wait(group, rig_patience()));
    assert_int_equal(seen.runs, 1);
    tn_group_close(&group);
}

static tn_err close_peer(void *arg)
{
    close(*(int *)arg);
    return tn_ok();
}

static bool waits;

static tn_err leave_one_waiting(void *arg)
{
    struct wire wire = wire_open(AF_INET);

    seen = (struct seen){ 0 };
    go_late(NULL, take_all, &wire);
    *(int *)arg = wire.peer;
    waits = true;
    return tn_ok();
}

static tn_err leave_one_and_a_closer(void *arg)
{
    tn_err err = leave_one_waiting(arg);

    return tn_failed(err) ? err : tn_go(NULL, close_peer, arg, NULL, NULL);
}

TEST_ON_DRIVERS(a_run_goes_on_for_one_that_waits)
{
    int peer;

    run_ok(leave_one_and_a_closer, &peer);
    assert_int_equal(seen.runs, 1);
    assert_kind(seen.end, TN_EOF);
}

static tn_err wait_with_two_places(void *arg)
{
    struct wire wires[3] = { wire_open(AF_INET), wire_open(AF_INET), wire_open(AF_INET) };
    struct tn_group *group = open_group();

    (void)arg;
    go_late(group, take_all, &wires[0]);
    go_late(group, take_all, &wires[1]);
    assert_kind(tn_go_late(group, take_all, wires[2].conn, NULL), TN_LIMIT);
    assert_kind(tn_go(group, take_all, wires[2].conn, NULL, NULL), TN_LIMIT);
    wire_send(&wires[0], 1); /* a place is kept for each that waits */
    wire_send(&wires[1], 1);
    WAIT_UNTIL(seen.runs == 2);
    wire_send(&wires[2], 100);
    wire_take(&wires[2], 100); /* and the connection refused is as it was */
    tn_group_close(&group);
    for (int i = 0; i < 3; i++)
        wire_drop(&wires[i]);
    return tn_ok();
}

TEST_ON_DRIVERS(one_that_waits_takes_one_of_the_loops_tasks)
{
    struct tn_loop_options options = { .tasks_max = 3 };

    test_run(wait_with_two_places, NULL, &options, TN_OK, __FILE__, __LINE__);
}

/* ---- canceled ---- */

static void assert_reset(int peer)
{
    int end = 0;

    WAIT_UNTIL((raw_drain(peer, &end), end != 0));
    assert_int_equal(end, -ECONNRESET);
    close(peer);
}

TEST_IN_TASK(a_cancel_resets_those_that_wait_and_they_never_run)
{
    for (enum wire_state state = WIRE_FRESH; state < WIRE_STATES; state++) {
        struct wire wires[2] = { wire_in_state(AF_INET, state),
                                 wire_in_state(AF_INET, state) };
        struct tn_group *group = open_group();

        go_late(group, take_all, &wires[0]);
        go_late(group, take_all, &wires[1]);
        rig_turns();
        tn_group_cancel(group);
        assert_ok(tn_group_wait(group, TN_NOW)); /* nobody has to end first */
        assert_reset(wires[0].peer);
        assert_reset(wires[1].peer);
        assert_int_equal(seen.runs, 0);
        tn_group_close(&group);
    }
}

static tn_err fail_at_once(void *arg)
{
    (void)arg;
    return tn_err_user(TN_PROTOCOL, 1);
}

TEST_IN_TASK(an_error_in_the_group_ends_those_that_wait)
{
    struct wire wire = wire_open(AF_INET);
    struct tn_group *group = open_group();

    go_late(group, take_all, &wire);
    assert_ok(tn_go(group, fail_at_once, NULL, NULL, NULL));
    assert_kind(tn_group_wait(group, rig_patience()), TN_PROTOCOL);
    assert_reset(wire.peer);
    assert_int_equal(seen.runs, 0);
    tn_group_close(&group);
}

static tn_err cancel_group(void *arg)
{
    tn_group_cancel(arg);
    return tn_ok();
}

TEST_IN_TASK(who_waits_for_the_group_is_woken_by_its_cancel)
{
    struct wire wire = wire_open(AF_INET);
    struct tn_group *group = open_group();

    go_late(group, take_all, &wire);
    assert_ok(tn_go(NULL, cancel_group, group, NULL, NULL));
    assert_ok(tn_group_wait(group, rig_patience()));
    assert_reset(wire.peer);
    tn_group_close(&group);
}

TEST_IN_TASK(a_canceled_group_takes_none_and_the_connection_stays)
{
    struct tn_task_options too_large = { .stack_size = (size_t)1 << 30 };
    struct wire wire = wire_open(AF_INET);
    struct tn_group *group = open_group();

    assert_kind(tn_go_late(group, take_all, wire.conn, &too_large), TN_INVALID);
    tn_group_cancel(group);
    assert_kind(tn_go_late(group, take_all, wire.conn, NULL), TN_CANCELED);
    wire_send(&wire, 100);
    wire_take(&wire, 100);
    wire_drop(&wire);
    tn_group_close(&group);
}

TEST_ON_DRIVERS(closing_a_loop_drops_those_that_wait)
{
    struct tn_loop_options options = { .driver = test_driver() };
    struct tn_loop *loop = NULL;
    int peer, end = 0;
    unsigned alive;

    assert_ok(tn_loop_open(&loop, &options));
    assert_ok(tn_loop_go(loop, leave_one_waiting, &peer, NULL));
    waits = false;
    while (!waits)
        assert_ok(tn_loop_turn(loop, rig_patience(), &alive));
    assert_int_equal(alive, 1);
    tn_loop_close(&loop);
    assert_int_equal(seen.runs, 0);
    raw_drain(peer, &end);
    assert_int_equal(end, -ECONNRESET);
    close(peer);
}

/* A byte and a cancel at once: the task has run, or the peer is reset; never both or none. */
TEST_IN_TASK(a_byte_and_a_cancel_race_and_one_of_them_counts)
{
    uint64_t seed = 7;

    for (unsigned i = 0; i < rig_rounds(300); i++) {
        struct wire wire = wire_open(i % 2 == 0 ? AF_INET : AF_UNIX);
        struct tn_group *group = open_group();

        go_late(group, take_all, &wire);
        for (size_t turns = rig_up_to(&seed, 3); turns > 1; turns--)
            assert_ok(tn_sleep(tn_in(1)));
        wire_send(&wire, 10);
        for (size_t turns = rig_up_to(&seed, 4); turns > 1; turns--)
            assert_ok(tn_sleep(tn_in(1)));
        tn_group_close(&group);
        assert_true(seen.runs <= 1);
        if (seen.runs == 1)
            assert_int_equal(seen.bytes, 10);
        close(wire.peer);
    }
}

/* ---- without memory ---- */

static tn_err start_without_memory(void *arg)
{
    struct tn_task_options large = { .name = "large", .stack_size = 1 << 20 };
    struct fault *fault = arg;

    for (int canceled = 0; canceled < 2; canceled++) {
        struct wire wires[2] = { wire_open(AF_INET), wire_open(AF_INET) };
        struct tn_group *group = open_group();

        fault_name(fault, FAULT_GUARD, 1, UINT64_MAX, ENOMEM);
        for (int i = 0; i < 2; i++)
            assert_ok(tn_go_late(group, take_all, wires[i].conn, &large));
        for (int i = 0; i < 2; i++)
            wire_send(&wires[i], 100);
        WAIT_UNTIL(fault->failed > 2);
        assert_int_equal(seen.runs, 0);
        if (canceled) {
            tn_group_cancel(group);
            assert_reset(wires[0].peer);
            assert_reset(wires[1].peer);
        }
        fault_off(fault);
        close(wires[0].peer);
        close(wires[1].peer);
        /* Nothing but its own retrying turns the loop now. */
        assert_ok(tn_group_wait(group, rig_patience()));
        assert_int_equal(seen.runs, canceled ? 0 : 2);
        assert_int_equal(seen.bytes, canceled ? 0 : 200);
        tn_group_close(&group);
    }
    return tn_ok();
}

TEST_ON_DRIVERS(without_memory_for_a_stack_it_starts_when_there_is_some)
{
    struct fault fault;

    fault_init(&fault, &os_linux);
    assert_ok(run_on(&fault.os, start_without_memory, &fault, NULL));
}

/* ---- handed back ---- */

static tn_err answer_and_hand_back(void *arg)
{
    struct tn_conn *conn = arg;
    const void *data;
    size_t size;
    tn_err err = tn_read_lease(conn, &data, &size, TN_NOW); /* it has come */

    seen.runs++;
    if (!tn_failed(err))
        err = tn_write(conn, data, size, NULL, rig_patience());
    if (!tn_failed(err))
        err = tn_go_late(NULL, answer_and_hand_back, conn, NULL);
    if (tn_failed(err))
        tn_abort(&conn);
    return err.kind == TN_EOF ? tn_ok() : err;
}

TEST_IN_TASK(a_connection_handed_back_is_answered_each_time)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);

        seen = (struct seen){ 0 };
        go_late(NULL, answer_and_hand_back, &wire);
        for (unsigned i = 1; i <= 50; i++) {
            size_t size = i % 5 == 0 ? 6000 : 20, back = 0;

            wire_send(&wire, size);
            WAIT_UNTIL((back += raw_drain(wire.peer, NULL)) == size);
        }
        assert_in_range(seen.runs, 50, 200); /* a large one may come in parts */
        close(wire.peer);
        WAIT_UNTIL(seen.end.kind == 0);
    }
}

/* ---- many ---- */

#define MANY (SANITIZED ? 500U : 2000U)

/* Bytes of the heap in use, each with what malloc keeps beside it. */
static size_t allocated(void)
{
    return mallinfo2().uordblks;
}

/* Bytes of the process in memory. */
static size_t resident(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*u %lu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

TEST_IN_TASK(thousands_that_wait_cost_no_stacks, .limit_s = 60)
{
    static int peers[MANY];
    struct rlimit limit;
    size_t before, heap;
    char byte;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < 2 * MANY + 100)
        skip_test("only %lu descriptors may be open", (unsigned long)limit.rlim_cur);
    memset(peers, 0, sizeof(peers));
    before = resident();
    heap = allocated();
    for (unsigned i = 0; i < MANY; i++) {
        struct wire wire = wire_open(i % 8 == 0 ? AF_UNIX : AF_INET);

        go_late(NULL, answer_and_hand_back, &wire);
        peers[i] = wire.peer;
    }
    rig_turns();
    printf("%u that wait: %.0f bytes of the heap each\n", MANY,
           (double)(allocated() - heap) / MANY);
    if (!SANITIZED) /* they allocate in their own way */
        assert_true((allocated() - heap) / MANY <= 512);
    for (unsigned i = 0; i < MANY; i++) {
        raw_send(peers[i], "x", 1);
        WAIT_UNTIL(recv(peers[i], &byte, 1, MSG_DONTWAIT) == 1);
    }
    if (!SANITIZED) /* they keep a shadow of it all */
        assert_true(resident() - before <= MANY * (size_t)1024); /* a stack is 4096 */
    for (unsigned i = 0; i < MANY; i++)
        close(peers[i]);
}
