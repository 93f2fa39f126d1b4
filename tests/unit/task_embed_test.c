/* SPDX-License-Identifier: MIT */
/*
 * task_embed_test.c -- a loop inside another program's: turned when its descriptor is
 * readable or its next point in time has come, and by nothing else.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <tenon/loop.h>

#include "harness/harness.h"
#include "task/park.h"

#define ROUNDS 20

struct ping {
    int fds[2];
    int rounds;
};

/* Waits for a byte and sends one back; both ends do so, on one loop. */
static tn_err bounce(struct ping *ping, int side)
{
    char byte = 'x';

    for (int i = 0; i < ROUNDS; i++) {
        if (side == 0 && write(ping->fds[side], &byte, 1) != 1)
            return tn_err_errno(EIO);
        assert_errno(park_poll(ping->fds[side], POLLIN, TN_NEVER), 0);
        if (read(ping->fds[side], &byte, 1) != 1)
            return tn_err_errno(EIO);
        if (side == 1 && write(ping->fds[side], &byte, 1) != 1)
            return tn_err_errno(EIO);
        ping->rounds++;
    }
    return tn_ok();
}

static tn_err bounce_near(void *arg)
{
    return bounce(arg, 0);
}

static tn_err bounce_far(void *arg)
{
    return bounce(arg, 1);
}

/* As an event library would: wait for the descriptor, at most until the next point. */
static void wait_outside(struct tn_loop *loop)
{
    struct pollfd ready = { .fd = tn_loop_descriptor(loop), .events = POLLIN };
    int64_t left = tn_left(tn_loop_next(loop));
    int ms = left == INT64_MAX ? 5000 : (int)(left / TN_MS) + (left % TN_MS != 0);

    if (poll(&ready, 1, ms) == 0 && ms == 5000)
        fail_test("the loop has work, but its descriptor does not show it");
}

static void run_embedded(struct tn_loop *loop)
{
    unsigned alive = 1;

    while (alive > 0) {
        wait_outside(loop);
        assert_ok(tn_loop_turn(loop, TN_NOW, &alive));
    }
}

TEST_ON_DRIVERS(an_embedded_loop_runs_by_its_descriptor_alone)
{
    struct ping ping = { .rounds = 0 };
    struct tn_loop *loop = NULL;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ping.fds), 0);
    assert_ok(tn_loop_open(&loop, NULL));
    assert_ok(tn_loop_go(loop, bounce_near, &ping, NULL));
    assert_ok(tn_loop_go(loop, bounce_far, &ping, NULL));
    run_embedded(loop);
    assert_int_equal(ping.rounds, 2 * ROUNDS);
    tn_loop_close(&loop);
    close(ping.fds[0]);
    close(ping.fds[1]);
}

static tn_err sleep_a_little(void *arg)
{
    int *slept = arg;

    for (int i = 0; i < 5; i++) {
        assert_ok(tn_sleep(tn_in(2 * TN_MS)));
        (*slept)++;
    }
    return tn_ok();
}

TEST_ON_DRIVERS(an_embedded_loop_says_when_it_wants_its_next_turn)
{
    struct tn_loop *loop = NULL;
    int slept = 0;

    assert_ok(tn_loop_open(&loop, NULL));
    assert_ok(tn_loop_go(loop, sleep_a_little, &slept, NULL));
    run_embedded(loop);
    assert_int_equal(slept, 5);
    tn_loop_close(&loop);
}
