/* SPDX-License-Identifier: MIT */
/*
 * os_batch_test.c -- sends that are made together with the next wait, on the real ring: each
 * gives what send(2) gives, and needs nobody to give it.
 */
#include "unit/driver_rig.h"

#define MANY 100

static struct os_driver *open_ring(unsigned entries)
{
    struct os_driver_options options = { .entries = entries };

    return rig_open_ring(&options);
}

TEST(a_batch_is_sent_by_the_next_wait_and_not_before)
{
    struct os_driver *driver = open_ring(0);
    struct rig_batch batch;
    char got[8];
    int fds[2];

    rig_tcp_pair(fds);
    rig_arm_batch(driver, &batch, fds[0], "hello", 5);
    assert_true(driver->pending);
    assert_errno(os_recv(&os_linux, fds[1], got, sizeof(got), MSG_DONTWAIT), EAGAIN);
    assert_errno(rig_turn(driver, 0), 0);
    assert_int_equal(batch.answers, 1);
    assert_int_equal(batch.batch.result, 5);
    assert_int_equal(os_recv(&os_linux, fds[1], got, sizeof(got), MSG_DONTWAIT), 5);
    assert_memory_equal(got, "hello", 5);
    rig_close_pair(fds);
    os_driver_close(driver);
}

/* No room, and nobody who makes any: the answer is there all the same. */
TEST(a_batch_into_a_full_buffer_answers_at_once)
{
    struct os_driver *driver = open_ring(0);
    struct rig_batch batch;
    int fds[2];

    rig_pair(fds);
    rig_fill(fds[0]);
    rig_arm_batch(driver, &batch, fds[0], "x", 1);
    assert_errno(rig_turn(driver, 0), 0);
    assert_int_equal(batch.answers, 1);
    assert_errno(batch.batch.result, EAGAIN);
    rig_close_pair(fds);
    os_driver_close(driver);
}

/* What does not fit is told as by send(2): how much did. */
TEST(a_batch_takes_what_there_is_room_for)
{
    static char bytes[16 * 1024 * 1024];
    struct os_driver *driver = open_ring(0);
    struct rig_batch batch;
    int fds[2];

    rig_tcp_pair(fds);
    rig_arm_batch(driver, &batch, fds[0], bytes, sizeof(bytes));
    assert_errno(rig_turn(driver, 0), 0);
    assert_int_equal(batch.answers, 1);
    assert_in_range(batch.batch.result, 1, sizeof(bytes) - 1);
    assert_int_equal(rig_drain(fds[1]), batch.batch.result);
    rig_close_pair(fds);
    os_driver_close(driver);
}

/* SIGPIPE would end the test. */
TEST(a_batch_to_who_has_gone_is_an_error_and_no_signal)
{
    struct os_driver *driver = open_ring(0);
    struct rig_batch batch;
    int fds[2];

    rig_pair(fds);
    os_close(&os_linux, fds[1]);
    rig_arm_batch(driver, &batch, fds[0], "x", 1);
    assert_errno(rig_turn(driver, 0), 0);
    assert_errno(batch.batch.result, EPIPE);
    rig_arm_batch(driver, &batch, -1, "x", 1);
    assert_errno(rig_turn(driver, 0), 0);
    assert_errno(batch.batch.result, EBADF);
    os_close(&os_linux, fds[0]);
    os_driver_close(driver);
}

static unsigned answers_of(const struct rig_batch *batches)
{
    unsigned answers = 0;

    for (int i = 0; i < MANY; i++)
        answers += batches[i].answers;
    return answers;
}

/* More than there is room for in the ring: some wait for the turn after. */
TEST(a_hundred_batches_fit_a_ring_of_4)
{
    struct os_driver *driver = open_ring(4);
    struct rig_batch batches[MANY];
    unsigned char numbers[MANY], got[MANY];
    int fds[MANY][2];

    for (int i = 0; i < MANY; i++) {
        rig_pair(fds[i]);
        numbers[i] = (unsigned char)i;
        rig_arm_batch(driver, &batches[i], fds[i][0], &numbers[i], 1);
    }
    TURN_UNTIL(driver, answers_of(batches) == MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(batches[i].batch.result, 1);
        assert_int_equal(os_recv(&os_linux, fds[i][1], &got[i], 1, MSG_DONTWAIT), 1);
        assert_int_equal(got[i], i);
        rig_close_pair(fds[i]);
    }
    os_driver_close(driver);
}

/* Others run before the answer would be taken in, and a reset is told once. */
TEST(a_batch_is_not_sent_before_the_wait_though_others_need_its_place)
{
    struct os_driver *driver = open_ring(4);
    struct rig_batch batch;
    struct rig_poll polls[MANY];
    char got;
    int fds[2];

    rig_pair(fds);
    rig_arm_batch(driver, &batch, fds[0], "x", 1);
    for (int i = 0; i < MANY; i++)
        rig_arm_poll(driver, &polls[i], fds[0], POLLOUT);
    assert_errno(os_recv(&os_linux, fds[1], &got, 1, MSG_DONTWAIT), EAGAIN);
    assert_errno(rig_turn(driver, 0), 0);
    assert_int_equal(batch.answers, 1);
    assert_int_equal(batch.batch.result, 1);
    for (int i = 0; i < MANY; i++)
        TURN_UNTIL(driver, polls[i].answers == 1);
    rig_close_pair(fds);
    os_driver_close(driver);
}
