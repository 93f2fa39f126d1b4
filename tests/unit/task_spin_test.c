/* SPDX-License-Identifier: MIT */
/*
 * task_spin_test.c -- looking for work before sleeping: when it is done, when it stops, and
 * that a loop which does it neither burns its core nor overlooks anything.
 */
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <tenon/conn.h>
#include <tenon/loop.h>

#include "harness/harness.h"
#include "os/driver.h"
#include "os/os.h"
#include "task/spin.h"
#include "task/task.h"

#define LIMIT (100 * TN_US)

/* ---- when, by a driver and a clock of ours ---- */

struct rig {
    struct os_calls os_calls;
    struct os os;
    struct os_driver_calls driver_calls;
    struct os_driver driver;
    struct tn_loop loop;
};

static struct {
    int64_t now, preemptions;
    int64_t gone;        /* what the next look takes longer, as the core is another's */
    int looks;           /* waits with limit 0 */
    int sleeps;          /* other ones */
    int64_t slept;       /* the last one's limit */
    int64_t event_after; /* a sleep so long brings an event */
    int event_at_look;   /* this look, counted from 1, brings one */
} world;

static int64_t world_now(struct os *os)
{
    (void)os;
    return world.now;
}

static int64_t world_preemptions(struct os *os)
{
    (void)os;
    return world.preemptions;
}

static int world_wait(struct os_driver *driver, int64_t timeout_ns)
{
    static struct os_event event;

    if (timeout_ns == 0) {
        world.looks++;
        world.now += TN_US + world.gone;
        world.gone = 0;
    } else {
        world.sleeps++;
        world.slept = timeout_ns;
        world.now += world.event_after;
    }
    if (timeout_ns != 0 || world.looks == world.event_at_look) {
        event.happened = false;
        os_event_happened(driver, &event);
    }
    return 0;
}

static void rig_open(struct rig *rig)
{
    memset(&world, 0, sizeof(world));
    world.now = TN_SECOND;
    memset(rig, 0, sizeof(*rig));
    rig->os_calls = *os_linux.calls;
    rig->os_calls.now = world_now;
    rig->os_calls.preemptions = world_preemptions;
    rig->os.calls = &rig->os_calls;
    rig->driver_calls.wait = world_wait;
    os_driver_init(&rig->driver, &rig->os, &rig->driver_calls, "ours");
    rig->loop.os = &rig->os;
    rig->loop.driver = &rig->driver;
    rig->loop.spin.limit = LIMIT;
}

static void rig_wait(struct rig *rig, int64_t timeout_ns)
{
    world.looks = world.sleeps = 0;
    assert_int_equal(spin_wait(&rig->loop, timeout_ns), 0);
    while (os_driver_next(&rig->driver) != NULL)
        ;
}

TEST(without_the_option_a_wait_is_a_wait)
{
    struct rig rig;

    rig_open(&rig);
    rig.loop.spin.limit = 0;
    rig_wait(&rig, INT64_MAX);
    assert_int_equal(world.looks, 0);
    assert_int_equal(world.sleeps, 1);
}

TEST(what_comes_while_looking_needs_no_sleep)
{
    struct rig rig;

    rig_open(&rig);
    for (int i = 0; i < 100; i++) {
        world.event_at_look = 30;
        rig_wait(&rig, INT64_MAX);
        assert_int_equal(world.looks, 30);
        assert_int_equal(world.sleeps, 0);
    }
}

TEST(a_look_that_finds_nothing_is_over_at_its_limit_and_the_rest_is_slept)
{
    struct rig rig;

    rig_open(&rig);
    rig_wait(&rig, TN_SECOND);
    assert_int_equal(world.looks, 100);
    assert_int_equal(world.sleeps, 1);
    assert_int_equal(world.slept, TN_SECOND - LIMIT);
    rig_open(&rig);
    rig_wait(&rig, 20 * TN_US); /* the caller's limit is the nearer one */
    assert_int_equal(world.looks, 20);
    assert_int_equal(world.sleeps, 0);
}

TEST(an_idle_loop_soon_sleeps_at_once_and_a_busy_one_looks_again)
{
    struct rig rig;
    int waits = 0;

    rig_open(&rig);
    world.event_after = TN_SECOND;
    do
        rig_wait(&rig, INT64_MAX);
    while (world.looks > 0 && ++waits < 10);
    assert_in_range(waits, 1, 3);
    world.event_after = 30 * TN_US;
    waits = 0;
    do
        rig_wait(&rig, INT64_MAX);
    while (world.looks == 0 && ++waits < 100);
    assert_in_range(waits, 1, 30);
}

TEST(a_core_that_others_want_is_left_to_them_for_a_while)
{
    struct rig rig;
    int waits = 0;

    rig_open(&rig);
    for (; world.preemptions == 0 || world.looks > 0; waits++) {
        world.event_at_look = 90;
        if (waits == 50) { /* another program comes */
            world.preemptions = 1;
            world.gone = TN_MS;
        }
        world.event_after = TN_US;
        rig_wait(&rig, INT64_MAX);
        assert_true(waits < 100);
    }
    assert_in_range(waits, 51, 80);
    for (waits = 0; world.looks == 0; waits++) { /* it has gone */
        world.event_after = TN_MS / 100;
        rig_wait(&rig, INT64_MAX);
        assert_true(waits < 100000);
    }
    assert_true(waits > 1000); /* 20 ms of them */
}

TEST(a_core_that_is_wanted_for_a_moment_is_not_left)
{
    struct rig rig;

    rig_open(&rig);
    for (int waits = 0; waits < 1000; waits++) {
        world.event_at_look = 90;
        world.preemptions++;
        world.gone = 20 * TN_US;
        rig_wait(&rig, INT64_MAX);
        assert_true(world.looks > 0);
    }
}

/* ---- on real loops ---- */

static int64_t cpu_used(void)
{
    struct timespec time;

    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time), 0);
    return (int64_t)time.tv_sec * TN_SECOND + time.tv_nsec;
}

static tn_err idle(void *arg)
{
    int64_t used = cpu_used();

    (void)arg;
    for (int i = 0; i < 20; i++)
        assert_ok(tn_sleep(tn_in(20 * TN_MS)));
    used = cpu_used() - used;
    if (used > 60 * TN_MS * (int64_t)test_scale())
        fail_test("%lld ns of the core in 400 ms", (long long)used);
    return tn_ok();
}

TEST_ON_DRIVERS(an_idle_loop_that_may_look_leaves_the_core_alone)
{
    struct tn_loop_options options = { .driver = test_driver(), .spin = 2 * TN_MS };

    assert_ok(tn_run(idle, NULL, &options));
}

#define ROUNDS 5000

static void *ping(void *arg)
{
    int fd = *(int *)arg;
    int64_t worst = 0;
    char byte = 0;

    for (int i = 0; i < ROUNDS; i++) {
        int64_t start = tn_now();
        assert_int_equal(send(fd, &byte, 1, MSG_NOSIGNAL), 1);
        assert_int_equal(recv(fd, &byte, 1, 0), 1);
        if (tn_now() - start > worst)
            worst = tn_now() - start;
    }
    if (worst > 5 * TN_SECOND)
        fail_test("a round trip took %lld ns", (long long)worst);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    return NULL;
}

static int raw_client(struct tn_listener *listener)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    tn_addr addr = tn_listener_addr(listener);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    in.sin_port = htons(tn_addr_port(&addr));
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    return fd;
}

static tn_err answer(void *arg)
{
    struct tn_listener *listener = NULL;
    struct tn_conn *conn = NULL;
    size_t got, total = 0;
    pthread_t thread;
    char buf[8];
    tn_err err;
    int fd;

    (void)arg;
    assert_ok(tn_listen(&listener, "127.0.0.1:0", NULL));
    fd = raw_client(listener);
    assert_ok(tn_accept(listener, &conn, tn_in(5 * TN_SECOND)));
    assert_int_equal(pthread_create(&thread, NULL, ping, &fd), 0);
    while (!tn_failed(err = tn_read(conn, buf, sizeof(buf), &got, tn_in(TN_MINUTE)))) {
        assert_ok(tn_write(conn, buf, got, NULL, tn_in(TN_MINUTE)));
        total += got;
    }
    assert_kind(err, TN_EOF);
    assert_int_equal(total, ROUNDS);
    assert_int_equal(pthread_join(thread, NULL), 0);
    tn_abort(&conn);
    close(fd);
    tn_listener_close(&listener);
    return tn_ok();
}

/* A prototype that looked without an end of its own once stood still for 14 s. */
TEST_ON_DRIVERS(no_round_trip_stands_still_while_a_loop_looks, .limit_s = 60)
{
    struct tn_loop_options options = { .driver = test_driver(), .spin = LIMIT };

    assert_ok(tn_run(answer, NULL, &options));
}
