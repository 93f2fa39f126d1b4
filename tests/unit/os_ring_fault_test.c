/* SPDX-License-Identifier: MIT */
/*
 * os_ring_fault_test.c -- the odd completions themselves, without a kernel: that they
 * are odd, and that they never tell what a kernel could not have told.
 */
#include <liburing.h>
#include <stdlib.h>

#include "os/ring_fault.h"
#include "unit/driver_rig.h"

#define SEEDS 50

/* A completion as this test makes them: N is its number among all. */
static void hold(struct ring_fault *fault, uint64_t request, int number, unsigned flags)
{
    struct io_uring_cqe cqe = { .user_data = request, .res = number, .flags = flags };

    assert_true(ring_fault_hold(fault, &cqe));
}

/* A ring of the smallest size, for ring_fault_turn to write to. */
static void open_ring(struct io_uring *ring)
{
    int result = io_uring_queue_init(4, ring, 0);

    test_need_ring(result);
    assert_errno(result, 0);
}

static unsigned buffer_of(const struct io_uring_cqe *cqe)
{
    return (cqe->flags & IORING_CQE_F_BUFFER) != 0
               ? 1 + (cqe->flags >> IORING_CQE_BUFFER_SHIFT)
               : 0;
}

TEST(held_completions_keep_the_order_of_their_request_and_of_their_buffer)
{
    enum { REQUESTS = 6, BUFFERS = 3, EACH = 400 };
    struct io_uring ring;
    unsigned reordered = 0;

    open_ring(&ring);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct ring_fault *fault = ring_fault_open(seed, true);
        int last_of_request[REQUESTS] = { 0 }, last_of_buffer[BUFFERS + 1] = { 0 };
        int given = 0, taken = 0;

        while (taken < EACH) {
            struct io_uring_cqe cqe;
            for (int i = 0; i < 7 && given < EACH; i++) {
                unsigned request = (unsigned)rand() % REQUESTS;
                unsigned buffer = (unsigned)rand() % (BUFFERS + 1);
                unsigned flags = IORING_CQE_F_MORE;
                if (buffer > 0)
                    flags |= IORING_CQE_F_BUFFER | (buffer - 1)
                                                       << IORING_CQE_BUFFER_SHIFT;
                hold(fault, 64 * (request + 1), ++given, flags);
            }
            while (ring_fault_next(fault, &cqe)) {
                int *request = &last_of_request[cqe.user_data / 64 - 1];
                assert_true(cqe.res > *request);
                *request = cqe.res;
                if (buffer_of(&cqe) > 0) {
                    int *buffer = &last_of_buffer[buffer_of(&cqe)];
                    assert_true(cqe.res > *buffer);
                    *buffer = cqe.res;
                }
                taken++;
            }
            ring_fault_turn(fault, &ring);
        }
        assert_int_equal(taken, EACH);
        assert_false(ring_fault_holds(fault));
        reordered += ring_fault_counts(fault).reordered;
        ring_fault_close(fault);
    }
    assert_true(reordered > 0);
    io_uring_queue_exit(&ring);
}

TEST(no_completion_is_held_for_ever)
{
    struct ring_fault *fault = ring_fault_open(7, true);
    struct io_uring_cqe cqe;
    struct io_uring ring;
    unsigned turns = 0, taken = 0;

    open_ring(&ring);
    for (int i = 0; i < 200; i++)
        hold(fault, 64 * (uint64_t)(i + 1), 1, 0);
    while (ring_fault_holds(fault)) {
        while (ring_fault_next(fault, &cqe))
            taken++;
        ring_fault_turn(fault, &ring);
        assert_true(++turns < 20);
    }
    assert_int_equal(taken, 200);
    assert_true(turns > 1);
    ring_fault_close(fault);
    io_uring_queue_exit(&ring);
}

TEST(a_poll_that_was_made_a_nop_answers_eagain)
{
    struct ring_fault *fault = ring_fault_open(1, true);
    struct io_uring_cqe cqe;
    struct io_uring_sqe sqe;
    struct io_uring ring;
    unsigned nops = 0;

    open_ring(&ring);
    for (int i = 0; i < 200; i++) {
        memset(&sqe, 0, sizeof(sqe));
        io_uring_prep_poll_add(&sqe, 0, POLLIN);
        sqe.user_data = 64;
        ring_fault_submit(fault, &sqe);
        bool nop = sqe.opcode == IORING_OP_NOP;
        assert_true(nop || sqe.opcode == IORING_OP_POLL_ADD);
        nops += nop;
        hold(fault, sqe.user_data, nop ? 0 : POLLIN, 0);
        while (!ring_fault_next(fault, &cqe))
            ring_fault_turn(fault, &ring);
        assert_int_equal(cqe.user_data, 64);
        assert_int_equal(cqe.res, nop ? -EAGAIN : POLLIN);
    }
    assert_true(nops > 0 && nops < 100);
    assert_int_equal(ring_fault_counts(fault).spurious, nops);
    ring_fault_close(fault);
    io_uring_queue_exit(&ring);
}

TEST(a_cancels_own_answer_comes_back_without_a_name)
{
    struct ring_fault *fault = ring_fault_open(1, true);
    struct io_uring_sqe sqe = { .opcode = IORING_OP_ASYNC_CANCEL, .addr = 64 };
    struct io_uring_cqe cqe;
    struct io_uring ring;

    open_ring(&ring);
    ring_fault_submit(fault, &sqe);
    assert_int_equal(sqe.addr, 64);
    hold(fault, sqe.user_data, 0, 0);
    while (!ring_fault_next(fault, &cqe))
        ring_fault_turn(fault, &ring);
    assert_int_equal(cqe.user_data, 0);
    ring_fault_close(fault);
    io_uring_queue_exit(&ring);
}

TEST(the_same_seed_gives_the_same_faults)
{
    unsigned sums[2] = { 0, 0 };

    for (int run = 0; run < 2; run++) {
        struct ring_fault *fault = ring_fault_open(42, true);
        for (int i = 0; i < 1000; i++)
            sums[run] = sums[run] * 31 + ring_fault_refuse(fault);
        ring_fault_close(fault);
    }
    assert_int_equal(sums[0], sums[1]);
    assert_true(sums[0] != 0);
}

/* All that a turn under faults leaves in the ring shows at the descriptor. */
TEST(the_ring_polls_as_readable_while_something_is_held)
{
    struct ring_fault *fault = ring_fault_open(3, true);
    struct io_uring_cqe cqe, *mine;
    struct io_uring ring;

    open_ring(&ring);
    for (int i = 0; i < 50; i++)
        hold(fault, 64 * (uint64_t)(i + 1), 1, 0);
    while (ring_fault_next(fault, &cqe))
        continue;
    assert_true(ring_fault_holds(fault));
    ring_fault_turn(fault, &ring);
    struct pollfd ready = { .fd = ring.ring_fd, .events = POLLIN };
    assert_int_equal(os_poll(&os_linux, &ready, 1, 0), 1);
    assert_errno(io_uring_peek_cqe(&ring, &mine), 0);
    hold(fault, mine->user_data, mine->res, mine->flags);
    while (ring_fault_holds(fault)) {
        while (ring_fault_next(fault, &cqe))
            assert_true(cqe.user_data >= 64); /* the one that made it readable is gone */
        ring_fault_turn(fault, &ring);
    }
    ring_fault_close(fault);
    io_uring_queue_exit(&ring);
}
