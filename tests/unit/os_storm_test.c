/* SPDX-License-Identifier: MIT */
/*
 * os_storm_test.c -- the drivers under random use, and the ring's under odd completions:
 * whatever the kernel does in whichever order, the answers must come to the same.
 *
 * Streams of known bytes run through socket pairs.  Each is received in one of three
 * ways, by a feed, by a watch or by polls, with cancels at random.  At the end nothing is
 * canceled any more, and every byte must arrive by answers alone: a lost edge, a lost
 * completion or a lost buffer leaves the test waiting.
 *
 * A seed is a run: a failure names it, and $STORM_SEED repeats it alone.
 */
#include <stdio.h>
#include <stdlib.h>

#include "os/ring_fault.h"
#include "os/uring.h"
#include "unit/driver_rig.h"

#define STREAMS 18
#define STEPS   1500

enum way { BY_FEED, BY_WATCH, BY_POLL };

struct stream {
    enum way way;
    int near, far;
    uint64_t sent, received;
    struct rig_feed feed;
    struct rig_watch watch;
    struct rig_poll poll;
    struct rig_batch batch;
    char parcel[3000]; /* what it sends */
};

struct storm {
    struct os_driver *driver;
    uint64_t random, seed;
    struct stream streams[STREAMS];
};

static unsigned draw(struct storm *storm, unsigned below)
{
    uint64_t z = storm->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (unsigned)((z ^ z >> 31) % below);
}

static char byte_at(const struct stream *stream, uint64_t at)
{
    return (char)((at + (uint64_t)stream->far * 1000003) * UINT64_C(0x9e3779b97f4a7c15) >>
                  56);
}

static void check_received(struct storm *storm, struct stream *stream, const char *data,
                           size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] != byte_at(stream, stream->received + i))
            fail_test("seed %llu: byte %llu of a stream by way %d is another one",
                      (unsigned long long)storm->seed,
                      (unsigned long long)(stream->received + i), stream->way);
    }
    stream->received += size;
}

/* The answer of a batch, once; false while there is none. */
static bool settle_batch(struct stream *stream)
{
    struct rig_batch *batch = &stream->batch;

    if (!os_event_idle(&batch->batch.event))
        return false;
    if (batch->answers == 0)
        return true;
    assert_int_equal(batch->answers, 1);
    batch->answers = 0;
    if (batch->batch.result > 0)
        stream->sent += (uint64_t)batch->batch.result;
    else
        assert_true(batch->batch.result == -EAGAIN || batch->batch.result == -EINTR);
    return true;
}

/* By a call, or in a batch; behind one that has not been answered nothing is sent. */
static void send_some(struct storm *storm, struct stream *stream)
{
    size_t size = 1 + draw(storm, draw(storm, 3) == 0 ? sizeof(stream->parcel) : 20);
    bool batch = (storm->driver->abilities & OS_CAN_BATCH) != 0 && draw(storm, 2) == 0;
    ssize_t took;

    if (!settle_batch(stream))
        return;
    for (size_t i = 0; i < size; i++)
        stream->parcel[i] = byte_at(stream, stream->sent + i);
    if (batch) {
        rig_arm_batch(storm->driver, &stream->batch, stream->far, stream->parcel, size);
        return;
    }
    took = os_send(&os_linux, stream->far, stream->parcel, size,
                   MSG_DONTWAIT | MSG_NOSIGNAL);
    assert_true(took > 0 || took == -EAGAIN);
    stream->sent += took > 0 ? (uint64_t)took : 0;
}

/* Receive directly until there is no more, or LIMIT times; whether there is no more. */
static bool receive(struct storm *storm, struct stream *stream, int limit)
{
    char data[2000];
    ssize_t got = 1;

    while (limit-- > 0 && got > 0) {
        got = os_recv(&os_linux, stream->near, data, sizeof(data), MSG_DONTWAIT);
        assert_true(got > 0 || got == -EAGAIN);
        if (got > 0)
            check_received(storm, stream, data, (size_t)got);
    }
    return got == -EAGAIN;
}

static void consume_feed(struct storm *storm, struct stream *stream, unsigned most)
{
    struct os_feed *feed = &stream->feed.feed;

    while (feed->head != NULL && most-- > 0) {
        struct os_segment *first = feed->head;
        check_received(storm, stream, first->data, first->size);
        feed->queued -= first->size;
        feed->head = first->next;
        if (first->next == NULL)
            feed->tail = NULL;
        os_driver_give(storm->driver, first);
    }
    if (os_event_idle(&feed->event) && feed->head == NULL) {
        assert_errno(feed->end, 0);
        assert_false(feed->event.wanted); /* nobody's end but ours, or no buffers */
        rig_arm_feed(storm->driver, &stream->feed, stream->near);
    }
}

static void consume_watch(struct storm *storm, struct stream *stream, int most)
{
    struct os_watch *watch = &stream->watch.watch;

    assert_errno(watch->error, 0);
    if ((watch->ready & POLLIN) != 0 && receive(storm, stream, most))
        watch->ready &= ~(uint32_t)POLLIN;
    if (os_event_idle(&watch->event)) {
        assert_false(watch->event.wanted); /* it was canceled, and by us */
        rig_arm_watch(storm->driver, &stream->watch, stream->near);
    }
}

static void consume_poll(struct storm *storm, struct stream *stream, int most)
{
    struct rig_poll *poll = &stream->poll;

    if (!os_event_idle(&poll->poll.event))
        return;
    assert_int_equal(poll->answers, 1);
    if (poll->poll.result > 0)
        receive(storm, stream, most);
    else
        assert_errno(poll->poll.result, ECANCELED);
    rig_arm_poll(storm->driver, poll, stream->near, POLLIN);
}

static void consume(struct storm *storm, struct stream *stream, unsigned most)
{
    if (stream->way == BY_FEED)
        consume_feed(storm, stream, most);
    else if (stream->way == BY_WATCH)
        consume_watch(storm, stream, (int)most);
    else
        consume_poll(storm, stream, (int)most);
}

static struct os_event *event_of(struct stream *stream)
{
    if (stream->way == BY_FEED)
        return &stream->feed.feed.event;
    return stream->way == BY_WATCH ? &stream->watch.watch.event
                                   : &stream->poll.poll.event;
}

static void start(struct storm *storm)
{
    for (int i = 0; i < STREAMS; i++) {
        struct stream *stream = &storm->streams[i];
        int fds[2];

        if (i % 2 == 0)
            rig_pair(fds);
        else
            rig_tcp_pair(fds);
        *stream =
            (struct stream){ .near = fds[0], .far = fds[1], .way = (enum way)(i % 3) };
        if (stream->way == BY_FEED && (storm->driver->abilities & OS_CAN_FEED) == 0)
            stream->way = BY_WATCH;
        if (stream->way == BY_FEED)
            rig_arm_feed(storm->driver, &stream->feed, stream->near);
        else if (stream->way == BY_WATCH)
            rig_arm_watch(storm->driver, &stream->watch, stream->near);
        else
            rig_arm_poll(storm->driver, &stream->poll, stream->near, POLLIN);
    }
}

static void step(struct storm *storm)
{
    struct stream *stream = &storm->streams[draw(storm, STREAMS)];

    switch (draw(storm, 8)) {
    case 0:
    case 1:
    case 2:
        send_some(storm, stream);
        break;
    case 3:
    case 4:
        consume(storm, stream, 1 + draw(storm, 3));
        break;
    case 5:
        os_driver_cancel(storm->driver, event_of(stream));
        break;
    case 6:
        if (stream->way == BY_POLL)
            os_driver_cancel_fd(storm->driver, stream->near);
        break;
    default:
        rig_turn(storm->driver, 0);
        break;
    }
}

static bool all_received(struct storm *storm)
{
    bool all = true;

    for (int i = 0; i < STREAMS; i++) {
        consume(storm, &storm->streams[i], 1000);
        all = all && settle_batch(&storm->streams[i]) &&
              storm->streams[i].received == storm->streams[i].sent;
    }
    return all;
}

static void finish(struct storm *storm)
{
    TURN_UNTIL(storm->driver, all_received(storm));
    for (int i = 0; i < STREAMS; i++) {
        struct stream *stream = &storm->streams[i];

        rig_end(storm->driver, event_of(stream));
        assert_null(stream->feed.feed.head);
        assert_true(receive(storm, stream, 1)); /* nothing is there twice */
        os_close(&os_linux, stream->near);
        os_close(&os_linux, stream->far);
    }
    assert_int_equal(storm->driver->armed, 0);
}

/* The seeds from FIRST on, or the one of $STORM_SEED. */
static bool seed_wanted(uint64_t seed)
{
    const char *only = getenv("STORM_SEED");

    return only == NULL || strtoull(only, NULL, 10) == seed;
}

static void run_storm(struct os_driver *driver, uint64_t seed)
{
    struct storm storm = { .driver = driver, .random = seed, .seed = seed };

    start(&storm);
    for (int i = 0; i < STEPS; i++)
        step(&storm);
    finish(&storm);
}

TEST_ON_DRIVERS(random_use_loses_and_doubles_nothing, .limit_s = 60)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        if (!seed_wanted(seed))
            continue;
        struct os_driver *driver = rig_open();
        run_storm(driver, seed);
        os_driver_close(driver);
    }
}

static void add(struct ring_fault_counts *sum, const struct ring_fault_counts *more)
{
    const unsigned *from = (const unsigned *)more;
    unsigned *to = (unsigned *)sum;

    for (size_t i = 0; i < sizeof(*sum) / sizeof(unsigned); i++)
        to[i] += from[i];
}

static void run_odd(uint64_t seed, unsigned entries, unsigned pool,
                    struct ring_fault_counts *sum)
{
    struct os_driver_options options = {
        .entries = entries,
        .pool = pool,
        .fault = ring_fault_open(seed, true),
    };
    struct os_driver *driver = rig_open_ring(&options);
    struct ring_fault_counts counts;

    run_storm(driver, seed);
    counts = ring_fault_counts(options.fault);
    add(sum, &counts);
    os_driver_close(driver);
}

/* Bytes are split only in buffers that take many receives: Linux 6.12 and later. */
static bool splits_are_possible(void)
{
    struct os_driver_options options = { .entries = 4 };
    struct os_driver *driver = rig_open_ring(&options);
    bool possible = CONTAINER(driver, struct uring_driver, base)->incremental;

    os_driver_close(driver);
    return possible;
}

/* The completion queue overflows only where the ring is too small. */
static void see_all_kinds(const struct ring_fault_counts *counts, bool small)
{
    static const char *const answers[] = { "0", "ENOENT", "EALREADY" };
    const unsigned *count = (const unsigned *)counts;

    printf("spurious %u, shortened %u, ended %u, merged %u, held %u, reordered %u, "
           "cancels first %u, "
           "cancels late %u, refused %u, split %u, starved %u, overflowed %u\n",
           counts->spurious, counts->shortened, counts->ended, counts->merged,
           counts->held, counts->reordered, counts->cancels_first, counts->cancels_late,
           counts->refused, counts->split, counts->starved, counts->overflowed);
    for (int i = 0; i < 3; i++)
        printf("cancels answered %s: target done %u, partly %u, canceled %u\n",
               answers[i], counts->answers[i][FATE_DONE], counts->answers[i][FATE_PARTLY],
               counts->answers[i][FATE_CANCELED]);
    if (getenv("STORM_SEED") != NULL)
        return;
    for (size_t i = 0; i < sizeof(*counts) / sizeof(unsigned); i++)
        assert_true(count[i] > 0 || (!small && &count[i] == &counts->overflowed) ||
                    (&count[i] == &counts->split && !splits_are_possible()));
}

TEST(odd_completions_change_nothing, .limit_s = 60)
{
    struct ring_fault_counts sum = { 0 };

    for (uint64_t seed = 1; seed <= 30; seed++) {
        if (seed_wanted(seed))
            run_odd(seed, 0, 0, &sum);
    }
    see_all_kinds(&sum, false);
}

/* A ring of 4 overflows, a pool of 4 KiB starves, and completions are odd as well. */
TEST(odd_completions_on_a_ring_far_too_small_change_nothing, .limit_s = 60)
{
    struct ring_fault_counts sum = { 0 };

    for (uint64_t seed = 101; seed <= 130; seed++) {
        if (seed_wanted(seed))
            run_odd(seed, 4, 4096, &sum);
    }
    see_all_kinds(&sum, true);
}
