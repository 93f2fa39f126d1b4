/* SPDX-License-Identifier: MIT */
/*
 * os_feed_test.c -- feeds: bytes received ahead into the ring's own buffers, lent as
 * segments, given back.  Only the ring has them.
 */
#include "os/uring.h"
#include "unit/driver_rig.h"

static struct os_driver *open_pool(unsigned pool)
{
    struct os_driver_options options = { .pool = pool };

    return rig_open_ring(&options);
}

/* Take the first segment out of FEED and give it back; its bytes go to BUF. */
static size_t take_first(struct os_driver *driver, struct rig_feed *feed, char *buf)
{
    struct os_segment *first = feed->feed.head;
    size_t size = first->size;

    memcpy(buf, first->data, size);
    feed->feed.head = first->next;
    if (first->next == NULL)
        feed->feed.tail = NULL;
    feed->feed.queued -= (uint32_t)size;
    os_driver_give(driver, first);
    return size;
}

static size_t take_all(struct os_driver *driver, struct rig_feed *feed, char *buf)
{
    size_t taken = 0;

    while (feed->feed.head != NULL)
        taken += take_first(driver, feed, buf + taken);
    assert_int_equal(feed->feed.queued, 0);
    return taken;
}

/* The stream that the tests send: no two stretches of it are alike. */
static void stream_fill(char *buf, size_t size, uint64_t from)
{
    for (size_t i = 0; i < size; i++)
        buf[i] = (char)((from + i) * UINT64_C(0x9e3779b97f4a7c15) >> 56);
}

static void stream_check(const char *buf, size_t size, uint64_t from)
{
    for (size_t i = 0; i < size; i++) {
        char expected;
        stream_fill(&expected, 1, from + i);
        if (buf[i] != expected)
            fail_test("byte %llu of the stream is another one",
                      (unsigned long long)(from + i));
    }
}

/* Send a stretch of the stream on FD, from *AT on; false if the socket takes no more. */
static bool stream_send(int fd, uint64_t *at)
{
    static char data[32768];
    ssize_t took;

    stream_fill(data, sizeof(data), *at);
    took = os_send(&os_linux, fd, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (took > 0)
        *at += (uint64_t)took;
    return took > 0;
}

TEST(a_feed_brings_what_is_sent_in_order)
{
    struct os_driver *driver = open_pool(0);
    struct rig_feed feed;
    char got[16];
    int fds[2];

    rig_pair(fds);
    rig_arm_feed(driver, &feed, fds[0]);
    for (int i = 0; i < 3; i++) {
        rig_send(fds[1], &"abcdef"[2 * i], 2);
        TURN_UNTIL(driver, feed.feed.queued == 2 * (size_t)(i + 1));
    }
    assert_int_equal(take_all(driver, &feed, got), 6);
    assert_memory_equal(got, "abcdef", 6);
    rig_end(driver, &feed.feed.event);
    rig_close_pair(fds);
    os_driver_close(driver);
}

TEST(bytes_that_follow_each_other_in_a_buffer_are_one_segment)
{
    struct os_driver *driver = open_pool(0);
    struct rig_feed feed;
    char got[16];
    int fds[2];

    if (!CONTAINER(driver, struct uring_driver, base)->incremental)
        skip_test("each receive takes a buffer of its own before Linux 6.12");
    rig_pair(fds);
    rig_arm_feed(driver, &feed, fds[0]);
    for (size_t i = 1; i <= 6; i++) {
        rig_send(fds[1], &"abcdef"[i - 1], 1);
        TURN_UNTIL(driver, feed.feed.queued == i);
    }
    assert_ptr_equal(feed.feed.head, feed.feed.tail);
    assert_int_equal(take_first(driver, &feed, got), 6);
    assert_memory_equal(got, "abcdef", 6);
    rig_end(driver, &feed.feed.event);
    rig_close_pair(fds);
    os_driver_close(driver);
}

TEST(feeds_that_share_a_buffer_keep_their_bytes_apart)
{
    struct os_driver *driver = open_pool(0);
    struct rig_feed one, other;
    int fds[2], more[2];
    char got[16];

    rig_pair(fds);
    rig_pair(more);
    rig_arm_feed(driver, &one, fds[0]);
    rig_arm_feed(driver, &other, more[0]);
    for (size_t i = 1; i <= 3; i++) {
        rig_send(fds[1], &"abc"[i - 1], 1);
        rig_send(more[1], &"xyz"[i - 1], 1);
        TURN_UNTIL(driver, one.feed.queued == i && other.feed.queued == i);
    }
    assert_int_equal(take_all(driver, &one, got), 3);
    assert_memory_equal(got, "abc", 3);
    assert_int_equal(take_all(driver, &other, got), 3);
    assert_memory_equal(got, "xyz", 3);
    rig_end(driver, &one.feed.event);
    rig_end(driver, &other.feed.event);
    rig_close_pair(fds);
    rig_close_pair(more);
    os_driver_close(driver);
}

TEST(a_waiting_reader_gets_bytes_in_its_own_memory_and_the_rest_is_kept)
{
    struct os_driver *driver = open_pool(0);
    char sink[4] = "....", got[16];
    struct rig_feed feed;
    int fds[2];

    rig_pair(fds);
    rig_arm_feed(driver, &feed, fds[0]);
    feed.feed.sink = sink;
    feed.feed.sink_room = sizeof(sink);
    rig_send(fds[1], "ab", 2);
    TURN_UNTIL(driver, feed.answers == 1);
    assert_int_equal(feed.feed.sink_got, 2);
    assert_null(feed.feed.head);
    rig_send(fds[1], "cdef", 4);
    TURN_UNTIL(driver, feed.answers == 2);
    assert_int_equal(feed.feed.sink_got, 4);
    assert_memory_equal(sink, "abcd", 4);
    assert_int_equal(take_all(driver, &feed, got), 2);
    assert_memory_equal(got, "ef", 2);
    rig_end(driver, &feed.feed.event);
    rig_close_pair(fds);
    os_driver_close(driver);
}

/* What was there before the reader came is older than what its memory would get. */
TEST(a_reader_that_comes_late_does_not_overtake_what_is_queued)
{
    struct os_driver *driver = open_pool(0);
    char sink[4] = "....", got[16];
    struct rig_feed feed;
    int fds[2];

    rig_pair(fds);
    rig_arm_feed(driver, &feed, fds[0]);
    rig_send(fds[1], "ab", 2);
    TURN_UNTIL(driver, feed.feed.queued == 2);
    feed.feed.sink = sink;
    feed.feed.sink_room = sizeof(sink);
    rig_send(fds[1], "cd", 2);
    TURN_UNTIL(driver, feed.feed.queued == 4);
    assert_int_equal(feed.feed.sink_got, 0);
    assert_int_equal(take_all(driver, &feed, got), 4);
    assert_memory_equal(got, "abcd", 4);
    rig_end(driver, &feed.feed.event);
    rig_close_pair(fds);
    os_driver_close(driver);
}

TEST(the_end_of_the_stream_ends_the_feed_after_its_bytes)
{
    struct os_driver *driver = open_pool(0);
    struct rig_feed feed;
    char got[16];
    int fds[2];

    rig_tcp_pair(fds);
    rig_arm_feed(driver, &feed, fds[0]);
    rig_send(fds[1], "bye", 3);
    assert_errno(os_shutdown(&os_linux, fds[1], SHUT_WR), 0);
    TURN_UNTIL(driver, os_event_idle(&feed.feed.event));
    assert_int_equal(feed.feed.end, OS_FEED_EOF);
    assert_int_equal(take_all(driver, &feed, got), 3);
    rig_close_pair(fds);
    os_driver_close(driver);
}

TEST(a_reset_ends_the_feed_with_its_name)
{
    struct os_driver *driver = open_pool(0);
    struct linger reset = { .l_onoff = 1 };
    struct rig_feed feed;
    int fds[2];

    rig_tcp_pair(fds);
    rig_arm_feed(driver, &feed, fds[0]);
    rig_turn(driver, 0);
    assert_errno(
        os_setsockopt(&os_linux, fds[1], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)),
        0);
    os_close(&os_linux, fds[1]);
    TURN_UNTIL(driver, os_event_idle(&feed.feed.event));
    assert_errno(feed.feed.end, ECONNRESET);
    os_close(&os_linux, fds[0]);
    os_driver_close(driver);
}

TEST(a_feed_of_what_cannot_be_received_from_ends_with_the_reason)
{
    struct os_driver *driver = open_pool(0);
    int unconnected = os_socket(&os_linux, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct rig_feed feeds[3];

    rig_arm_feed(driver, &feeds[0], unconnected);
    rig_arm_feed(driver, &feeds[1], file);
    rig_arm_feed(driver, &feeds[2], -1);
    for (int i = 0; i < 3; i++)
        TURN_UNTIL(driver, os_event_idle(&feeds[i].feed.event));
    assert_errno(feeds[0].feed.end, ENOTCONN);
    assert_errno(feeds[1].feed.end, ENOTSOCK);
    assert_errno(feeds[2].feed.end, EBADF);
    os_close(&os_linux, unconnected);
    close(file);
    os_driver_close(driver);
}

/* Bytes that race with the cancel are in the feed or still in the socket. */
TEST(bytes_that_race_with_a_cancel_are_neither_lost_nor_doubled)
{
    struct os_driver *driver = open_pool(0);
    unsigned in_feed = 0;
    struct rig_feed feed;
    char got[16], rest[16];
    int fds[2];

    rig_tcp_pair(fds);
    for (int i = 0; i < 300; i++) {
        rig_arm_feed(driver, &feed, fds[0]);
        if (i % 3 > 0)
            rig_turn(driver, 0);
        rig_send(fds[1], "x", 1);
        if (i % 3 > 1)
            rig_turn(driver, 0);
        rig_end(driver, &feed.feed.event);
        assert_errno(feed.feed.end, 0);
        size_t taken = take_all(driver, &feed, got);
        ssize_t left = os_recv(&os_linux, fds[0], rest, sizeof(rest), MSG_DONTWAIT);
        assert_int_equal((ssize_t)taken + (left > 0 ? left : 0), 1);
        in_feed += taken > 0;
    }
    assert_true(in_feed > 0);
    rig_close_pair(fds);
    os_driver_close(driver);
}

TEST(a_feed_stops_at_its_limit_and_goes_on_when_read)
{
    struct os_driver *driver = open_pool(0);
    static char got[URING_POOL];
    uint64_t sent = 0, received = 0;
    unsigned stops = 0;
    struct rig_feed feed;
    int fds[2];

    rig_tcp_pair(fds);
    rig_arm_feed(driver, &feed, fds[0]);
    while (stops < 4) {
        stream_send(fds[1], &sent);
        rig_turn(driver, 1000000);
        assert_true(feed.feed.queued <= sizeof(got));
        if (!os_event_idle(&feed.feed.event))
            continue;
        assert_true(feed.feed.queued > OS_FEED_QUEUE_MAX);
        assert_false(feed.feed.starved);
        assert_errno(feed.feed.end, 0);
        stops++;
        size_t taken = take_all(driver, &feed, got);
        stream_check(got, taken, received);
        received += taken;
        rig_arm_feed(driver, &feed, fds[0]);
    }
    rig_end(driver, &feed.feed.event);
    received += take_all(driver, &feed, got);
    rig_close_pair(fds);
    os_driver_close(driver);
}

/* ENOBUFS is back-pressure: what the feed had no buffer for stays in the socket. */
TEST(a_feed_without_buffers_starves_and_loses_nothing)
{
    struct os_driver *driver = open_pool(4096);
    static char got[16384];
    uint64_t sent = 0, received = 0;
    unsigned starved = 0;
    struct rig_feed feed;
    int fds[2];

    rig_tcp_pair(fds);
    while (stream_send(fds[1], &sent))
        continue;
    while (starved < 20) {
        rig_arm_feed(driver, &feed, fds[0]);
        TURN_UNTIL(driver, os_event_idle(&feed.feed.event));
        assert_true(feed.feed.starved);
        assert_errno(feed.feed.end, 0);
        assert_true(feed.feed.queued > 4000); /* the self-test had some of the first */
        starved++;
        size_t taken = take_all(driver, &feed, got);
        stream_check(got, taken, received);
        received += taken;
    }
    rig_close_pair(fds);
    os_driver_close(driver);
}

TEST(a_lent_segment_keeps_its_bytes_while_others_receive)
{
    struct os_driver *driver = open_pool(65536);
    static char got[131072];
    struct rig_feed keeper, busy;
    uint64_t sent = 0, received = 0;
    int fds[2], more[2];
    struct os_segment *lent;

    rig_tcp_pair(fds);
    rig_tcp_pair(more);
    rig_arm_feed(driver, &keeper, fds[0]);
    rig_send(fds[1], "keep me", 7);
    TURN_UNTIL(driver, keeper.feed.queued == 7);
    lent = keeper.feed.head;
    keeper.feed.head = keeper.feed.tail = NULL;
    keeper.feed.queued = 0;

    rig_arm_feed(driver, &busy, more[0]);
    while (received < 1000000) {
        stream_send(more[1], &sent);
        rig_turn(driver, 1000000);
        size_t taken = take_all(driver, &busy, got);
        stream_check(got, taken, received);
        received += taken;
        if (os_event_idle(&busy.feed.event))
            rig_arm_feed(driver, &busy, more[0]);
        assert_memory_equal(lent->data, "keep me", 7);
    }
    os_driver_give(driver, lent);
    rig_end(driver, &busy.feed.event);
    take_all(driver, &busy, got);
    rig_end(driver, &keeper.feed.event);
    rig_close_pair(fds);
    rig_close_pair(more);
    os_driver_close(driver);
}
