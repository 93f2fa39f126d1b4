/* SPDX-License-Identifier: MIT */
/*
 * os_accept_test.c -- accepting ahead, on the real ring: each connection comes once and in
 * its turn, whatever ends the request, and nothing is accepted when nobody asks.
 */
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>

#include "os/accepted.h"
#include "os/fault.h"
#include "os/ring_fault.h"
#include "unit/driver_rig.h"

struct bench {
    struct os_driver *driver;
    struct sockaddr_in address;
    int listener;
    struct rig_accept accept;
};

static void bench_open_with(struct bench *bench, const struct os_driver_options *options)
{
    *bench = (struct bench){ .driver = rig_open_ring(options) };
    bench->listener = rig_listen(&bench->address, 4096);
}

static void bench_open(struct bench *bench)
{
    bench_open_with(bench, &(struct os_driver_options){ 0 });
}

static void bench_close(struct bench *bench)
{
    int fd;

    rig_end(bench->driver, &bench->accept.accept.event);
    while ((fd = accepted_take(&bench->accept.accept)) >= 0)
        os_refuse(&os_linux, fd);
    accepted_release(&os_linux, &bench->accept.accept);
    os_close(&os_linux, bench->listener);
    os_driver_close(bench->driver);
}

/* How many connections wait in the kernel. */
static unsigned waiting(const struct bench *bench)
{
    struct tcp_info info;
    socklen_t size = sizeof(info);

    assert_errno(
        os_getsockopt(&os_linux, bench->listener, IPPROTO_TCP, TCP_INFO, &info, &size),
        0);
    return info.tcpi_unacked;
}

/* A client that says its number and is gone: who accepts it can tell which it is. */
static void client(const struct bench *bench, uint32_t number)
{
    int fd = rig_connect_to(&bench->address);

    rig_send(fd, &number, sizeof(number));
    os_close(&os_linux, fd);
}

/* The next one that has been accepted is NUMBER. */
static void take(struct bench *bench, uint32_t number)
{
    int fd = accepted_take(&bench->accept.accept);
    uint32_t said = UINT32_MAX;

    assert_errno(fd, 0);
    assert_int_equal(os_recv(&os_linux, fd, &said, sizeof(said), 0), sizeof(said));
    assert_int_equal(said, number);
    os_close(&os_linux, fd);
}

TEST(what_comes_is_accepted_in_its_turn)
{
    struct bench bench;

    bench_open(&bench);
    client(&bench, 0);
    rig_arm_accept(bench.driver, &bench.accept, bench.listener);
    assert_errno(accepted_take(&bench.accept.accept), EAGAIN);
    for (uint32_t i = 1; i < 40; i++)
        client(&bench, i);
    TURN_UNTIL(bench.driver, accepted_count(&bench.accept.accept) == 40);
    assert_true(bench.accept.accept.event.wanted);
    for (uint32_t i = 0; i < 20; i++)
        take(&bench, i);
    for (uint32_t i = 40; i < 80; i++) /* its room goes round: 64, of which 20 are free */
        client(&bench, i);
    TURN_UNTIL(bench.driver, accepted_count(&bench.accept.accept) == 60);
    assert_int_equal(bench.accept.accept.room, 64);
    for (uint32_t i = 20; i < 80; i++)
        take(&bench, i);
    assert_errno(accepted_take(&bench.accept.accept), EAGAIN);
    bench_close(&bench);
}

TEST(it_is_as_accept_would_have_made_it)
{
    struct bench bench;
    int fd;

    bench_open(&bench);
    rig_arm_accept(bench.driver, &bench.accept, bench.listener);
    client(&bench, 7);
    TURN_UNTIL(bench.driver, accepted_count(&bench.accept.accept) == 1);
    fd = accepted_take(&bench.accept.accept);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    os_close(&os_linux, fd);
    bench_close(&bench);
}

TEST(after_a_cancel_connections_stay_with_the_kernel)
{
    struct bench bench;

    bench_open(&bench);
    rig_arm_accept(bench.driver, &bench.accept, bench.listener);
    assert_errno(rig_turn(bench.driver, 0), 0);
    rig_end(bench.driver, &bench.accept.accept.event);
    assert_int_equal(bench.accept.answers, 1);
    client(&bench, 1);
    assert_errno(rig_turn(bench.driver, 0), 0);
    assert_int_equal(waiting(&bench), 1);
    assert_errno(accepted_take(&bench.accept.accept), EAGAIN);
    rig_arm_accept(bench.driver, &bench.accept, bench.listener);
    TURN_UNTIL(bench.driver, accepted_count(&bench.accept.accept) == 1);
    take(&bench, 1);
    bench_close(&bench);
}

/* The limit is reached within a turn; what that brings beyond it is kept as well. */
TEST(a_full_queue_ends_it)
{
    struct bench bench;
    uint32_t next = 0, most = OS_ACCEPT_QUEUE_MAX + 1024;

    bench_open(&bench);
    rig_arm_accept(bench.driver, &bench.accept, bench.listener);
    while (bench.accept.accept.event.wanted) {
        assert_true(next < most);
        for (int i = 0; i < 50; i++)
            client(&bench, next++);
        (void)rig_turn(bench.driver, 0);
    }
    assert_true(accepted_count(&bench.accept.accept) > OS_ACCEPT_QUEUE_MAX);
    TURN_UNTIL(bench.driver, os_event_idle(&bench.accept.accept.event));
    client(&bench, next++);
    assert_errno(rig_turn(bench.driver, 0), 0);
    assert_int_equal(accepted_count(&bench.accept.accept) + waiting(&bench), next);
    assert_int_not_equal(waiting(&bench), 0);
    for (uint32_t i = 0; accepted_count(&bench.accept.accept) > 0; i++)
        take(&bench, i);
    bench_close(&bench);
}

#define FEW 64

/* Out of descriptors: the connection stays queued, and the next accept(2) says why.  (The ring
 * goes by the limit of when it was asked: io_accept_prep.) */
TEST(want_ends_it_and_loses_nothing, .may_leave_fds = true)
{
    struct rlimit limit;
    struct bench bench;
    int last = -1, fd;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = FEW;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    bench_open(&bench);
    rig_arm_accept(bench.driver, &bench.accept, bench.listener);
    assert_errno(rig_turn(bench.driver, 0), 0);
    client(&bench, 3);
    while ((fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)) >= 0)
        last = fd;
    TURN_UNTIL(bench.driver, os_event_idle(&bench.accept.accept.event));
    assert_false(bench.accept.accept.event.wanted);
    assert_int_equal(bench.accept.answers, 1);
    assert_errno(os_accept(&os_linux, bench.listener, NULL, NULL, 0), EMFILE);
    os_close(&os_linux, last);
    assert_int_equal(waiting(&bench), 1);
    rig_arm_accept(bench.driver, &bench.accept, bench.listener);
    TURN_UNTIL(bench.driver, accepted_count(&bench.accept.accept) == 1);
    take(&bench, 3);
    bench_close(&bench);
}

/* For want of memory to note it a connection is refused, and the others go on. */
TEST(what_cannot_be_noted_is_reset)
{
    struct bench bench;
    struct fault fault;
    char byte;
    int fd;

    bench_open(&bench);
    fault_init(&fault, &os_linux);
    fault_name(&fault, FAULT_ALLOCATE, 1, 1, ENOMEM);
    bench.driver->os = &fault.os;
    rig_arm_accept(bench.driver, &bench.accept, bench.listener);
    assert_errno(rig_turn(bench.driver, 0), 0);
    fd = rig_connect_to(&bench.address);
    TURN_UNTIL(bench.driver, bench.accept.answers > 0);
    assert_int_equal(fault.failed, 1);
    assert_errno(os_recv(&os_linux, fd, &byte, 1, 0), ECONNRESET);
    os_close(&os_linux, fd);
    client(&bench, 5);
    TURN_UNTIL(bench.driver, accepted_count(&bench.accept.accept) == 1);
    take(&bench, 5);
    bench.driver->os = &os_linux;
    bench_close(&bench);
}

TEST(what_is_no_listener_ends_it)
{
    struct bench bench;

    bench_open(&bench);
    assert_errno(os_shutdown(&os_linux, bench.listener, SHUT_RDWR), 0);
    rig_arm_accept(bench.driver, &bench.accept, bench.listener);
    TURN_UNTIL(bench.driver, os_event_idle(&bench.accept.accept.event));
    assert_false(bench.accept.accept.event.wanted);
    assert_errno(os_accept(&os_linux, bench.listener, NULL, NULL, 0), EINVAL);
    bench_close(&bench);
}

/* ---- odd completions ---- */

#define ROUNDS 300

static uint32_t draw(uint64_t *random, uint32_t below)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*random >> 33) % below;
}

static void play(struct bench *bench, uint64_t random)
{
    struct os_event *event = &bench->accept.accept.event;
    uint32_t came = 0, taken = 0;

    for (int round = 0; round < ROUNDS || taken < came; round++) {
        if (round < ROUNDS) {
            for (uint32_t i = draw(&random, 4); i > 0; i--)
                client(bench, came++);
            if (draw(&random, 6) == 0)
                os_driver_cancel(bench->driver, event);
        }
        if (os_event_idle(event))
            rig_arm_accept(bench->driver, &bench->accept, bench->listener);
        if (round < ROUNDS)
            (void)rig_turn(bench->driver, 0);
        else /* by answers alone */
            TURN_UNTIL(bench->driver,
                       accepted_count(&bench->accept.accept) > 0 || os_event_idle(event));
        while (accepted_count(&bench->accept.accept) > 0)
            take(bench, taken++);
    }
    assert_int_equal(taken, came);
    assert_int_equal(waiting(bench), 0);
}

TEST(odd_completions_lose_no_connection_and_change_no_order, .limit_s = 60)
{
    struct ring_fault_counts counts;
    unsigned ended = 0, held = 0, merged = 0;

    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct os_driver_options options = {
            .entries = seed % 2 == 0 ? 4 : 0,
            .fault = ring_fault_open(seed, true),
        };
        struct bench bench;

        bench_open_with(&bench, &options);
        play(&bench, seed);
        counts = ring_fault_counts(options.fault);
        ended += counts.ended;
        held += counts.held;
        merged += counts.merged;
        bench_close(&bench);
    }
    assert_int_not_equal(ended, 0);
    assert_int_not_equal(held, 0);
    assert_int_not_equal(merged, 0);
}
