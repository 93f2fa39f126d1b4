/* SPDX-License-Identifier: MIT */
/*
 * batch_sim_test.c -- a send in a batch, and what comes in the wait that makes it.
 */
#include "net/conn.h"
#include "net/sim_bench.h"

static const char bytes[300000];

/* A driver in whose next wait NEAR's peer reads all that has come, and room is told of. */
static struct {
    struct os_driver_calls calls;
    int (*wait)(struct os_driver *, int64_t);
    struct bench *bench;
} crowd;

static void drain_far(struct bench *bench)
{
    struct os *os = sim_os(bench->sim);
    static char sink[sizeof(bytes)];
    int left = 1;

    while (left > 0) { /* each call takes its time */
        (void)os_recv(os, bench->far->fd, sink, sizeof(sink), MSG_DONTWAIT);
        assert_errno(os_ioctl(os, bench->near->fd, SIOCOUTQ, &left), 0);
    }
}

static int wait_and_drain(struct os_driver *driver, int64_t timeout_ns)
{
    struct bench *bench = crowd.bench;

    if (bench != NULL) {
        crowd.bench = NULL;
        (void)crowd.wait(driver, 0); /* a batch finds no room */
        drain_far(bench);
    }
    return crowd.wait(driver, timeout_ns);
}

static tn_err write_when_full(void *arg)
{
    struct bench *bench = arg;

    return tn_write(bench->near, "!", 1, NULL, TN_NEVER);
}

static void write_without_room(struct bench *bench)
{
    struct os_driver *driver = bench->near->driver;
    struct tn_task *writer = NULL;
    tn_err result;

    while (
        !tn_failed(tn_write(bench->near, bytes, sizeof(bytes), NULL, tn_in(TN_SECOND))))
        continue;
    assert_ok(tn_go(NULL, write_when_full, bench, NULL, &writer));
    tn_yield(); /* it writes: on a ring in the next wait, since we are about to run */
    crowd.calls = *driver->calls;
    crowd.wait = driver->calls->wait;
    crowd.calls.wait = wait_and_drain;
    crowd.bench = bench;
    driver->calls = &crowd.calls;
    assert_ok(tn_join(&writer, &result, tn_in(TN_MINUTE)));
    assert_null(crowd.bench);
    assert_ok(result);
}

/* The edge came between the batch's answer and its writer's park, and no other would. */
TEST_ON_DRIVERS(room_that_comes_when_a_batch_has_found_none_is_not_missed)
{
    struct bench bench = { .options.urgent = true }; /* which is never received ahead */

    bench_run(&bench, NULL, write_without_room);
}
