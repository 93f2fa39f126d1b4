/* SPDX-License-Identifier: MIT */
/*
 * base_timers_test.c -- timers come out in order, whatever was set, moved or cleared.
 */
#include <stdlib.h>
#include <string.h>

#include "base/timers.h"
#include "harness/harness.h"

#define COUNT 200

static struct timer *room[COUNT];

static struct timers with_room(size_t count)
{
    struct timers timers = { 0 };

    assert_null(timers_grow(&timers, room, count));
    return timers;
}

TEST(no_timer_is_first_of_none)
{
    struct timers timers = with_room(1);

    assert_null(timers_first(&timers));
}

TEST(timers_come_out_in_the_order_of_their_points)
{
    static struct timer list[COUNT];
    struct timers timers = with_room(COUNT);
    int64_t last = -1;

    srandom(1);
    for (size_t i = 0; i < COUNT; i++) {
        timer_set(&timers, &list[i], random() % 50);
        timers_check(&timers);
    }
    for (size_t i = 0; i < COUNT; i++) {
        struct timer *first = timers_first(&timers);

        assert_non_null(first);
        assert_true(first->point >= last);
        last = first->point;
        timer_clear(&timers, first);
        timers_check(&timers);
        assert_false(timer_is_set(first));
    }
    assert_null(timers_first(&timers));
}

TEST(a_timer_that_is_set_again_moves)
{
    struct timers timers = with_room(3);
    struct timer early = { 0 }, middle = { 0 }, late = { 0 };

    timer_set(&timers, &early, 10);
    timer_set(&timers, &middle, 20);
    timer_set(&timers, &late, 30);

    timer_set(&timers, &early, 40);
    assert_ptr_equal(timers_first(&timers), &middle);
    timer_set(&timers, &late, 5);
    assert_ptr_equal(timers_first(&timers), &late);
    assert_int_equal(timers.count, 3);
    timers_check(&timers);
}

TEST(clearing_a_timer_twice_changes_nothing)
{
    struct timers timers = with_room(2);
    struct timer one = { 0 }, other = { 0 };

    timer_set(&timers, &one, 1);
    timer_set(&timers, &other, 2);
    timer_clear(&timers, &one);
    timer_clear(&timers, &one);
    assert_int_equal(timers.count, 1);
    assert_ptr_equal(timers_first(&timers), &other);
}

TEST(the_heap_stays_one_under_random_sets_moves_and_clears)
{
    static struct timer list[COUNT];
    struct timers timers = with_room(COUNT);

    srandom(2);
    for (int step = 0; step < 20000; step++) {
        struct timer *one = &list[random() % COUNT];

        if (random() % 3 == 0)
            timer_clear(&timers, one);
        else
            timer_set(&timers, one, random() % 1000);
        timers_check(&timers);
    }
}

TEST(growing_keeps_the_timers_and_gives_the_old_array_back)
{
    static struct timer *larger[4];
    struct timers timers = with_room(2);
    struct timer list[3] = { { 0 } };

    timer_set(&timers, &list[0], 7);
    timer_set(&timers, &list[1], 3);
    assert_true(timers_full(&timers));
    assert_ptr_equal(timers_grow(&timers, larger, 4), room);
    memset(room, 0, sizeof(room));
    assert_false(timers_full(&timers));
    timer_set(&timers, &list[2], 5);
    timers_check(&timers);
    assert_ptr_equal(timers_first(&timers), &list[1]);
}
