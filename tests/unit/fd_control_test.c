/* SPDX-License-Identifier: MIT */
/*
 * fd_control_test.c -- control data that no kernel ought to leave: what makes no sense is
 * passed over, and what stands beside it is still found.
 */
#include <tenon/control.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include "harness/harness.h"

/* Put one message behind those in CONTROL, as a recvmsg would have. */
static void put(struct tn_control *control, int level, int type, const void *data,
                size_t size)
{
    struct cmsghdr header = { .cmsg_len = CMSG_LEN(size) };

    header.cmsg_level = level;
    header.cmsg_type = type;
    memcpy(control->space.bytes + control->used, &header, sizeof(header));
    memcpy(control->space.bytes + control->used + CMSG_LEN(0), data, size);
    control->used += CMSG_SPACE(size);
    control->received = true;
}

static void expect_stamp(const struct tn_control *control, time_t seconds,
                         long nanoseconds)
{
    struct tn_timestamp stamp = { { 7, 7 }, { 7, 7 } };

    assert_int_equal(tn_control_timestamp(control, &stamp), 0);
    assert_int_equal(stamp.software.tv_sec, seconds);
    assert_int_equal(stamp.software.tv_nsec, nanoseconds);
}

static void expect_no_stamp(const struct tn_control *control)
{
    struct tn_timestamp stamp = { { 7, 7 }, { 7, 7 } };

    assert_int_equal(tn_control_timestamp(control, &stamp), -1);
    assert_int_equal(errno, ENOMSG);
    assert_int_equal(stamp.software.tv_sec, 7);
}

TEST(a_stamp_counts_microseconds_or_nanoseconds_as_its_kind_says)
{
    static const int64_t time[6] = { 5, 999999, 0, 0, 6, 11 };
    struct tn_timestamp stamp;
    struct tn_control control;

    tn_control_init(&control);
    put(&control, SOL_SOCKET, SCM_TIMESTAMP, time, 16);
    expect_stamp(&control, 5, 999999000);
    tn_control_init(&control);
    put(&control, SOL_SOCKET, SCM_TIMESTAMPNS, time, 16);
    expect_stamp(&control, 5, 999999);
    tn_control_init(&control);
    put(&control, SOL_SOCKET, SCM_TIMESTAMPING, time, sizeof(time));
    expect_stamp(&control, 5, 999999);
    assert_int_equal(tn_control_timestamp(&control, &stamp), 0);
    assert_int_equal(stamp.hardware.tv_sec, 6);
    assert_int_equal(stamp.hardware.tv_nsec, 11);
}

/* Times a thousand it does not fit: found by make fuzz. */
TEST(a_stamp_with_more_than_a_second_of_parts_is_passed_over)
{
    static const int64_t huge[] = { 5, INT64_C(10977524091715584) };
    static const int64_t negative[] = { 5, -1 };
    static const int64_t million[] = { 5, 1000000 };
    static const int64_t good[] = { 8, 9 };
    struct tn_control control;

    tn_control_init(&control);
    put(&control, SOL_SOCKET, SCM_TIMESTAMP, huge, sizeof(huge));
    put(&control, SOL_SOCKET, SCM_TIMESTAMP, negative, sizeof(negative));
    put(&control, SOL_SOCKET, SCM_TIMESTAMP, million, sizeof(million));
    put(&control, SOL_SOCKET, SCM_TIMESTAMPNS, huge, sizeof(huge));
    expect_no_stamp(&control);
    put(&control, SOL_SOCKET, SCM_TIMESTAMP, good, sizeof(good));
    expect_stamp(&control, 8, 9000);
}

TEST(a_message_that_is_longer_than_what_is_there_ends_the_walk)
{
    static const int64_t good[] = { 8, 9 };
    struct tn_control control;
    size_t whole;

    tn_control_init(&control);
    put(&control, SOL_SOCKET, SCM_TIMESTAMPNS, good, sizeof(good));
    whole = control.used;
    for (size_t used = 0; used < whole; used++) {
        control.used = used;
        expect_no_stamp(&control);
    }
    control.used = whole;
    expect_stamp(&control, 8, 9);
}
