/* SPDX-License-Identifier: MIT */
/*
 * conn_write_test.c -- handing bytes to the kernel: all, or an error that counts.
 */
#include "net/net_rig.h"

#define LARGE ((size_t)6 << 20)

/* The peer's side of a large transfer: what it reads has to be the pattern. */
struct sink {
    int fd;
    uint64_t got;
    int64_t pause; /* between its reads */
    size_t part;   /* of each, at most */
    bool stop;
};

static tn_err sink_main(void *arg)
{
    static char bytes[65536];
    struct sink *self = arg;

    while (!self->stop) {
        size_t part = self->part < sizeof(bytes) ? self->part : sizeof(bytes);
        ssize_t got = recv(self->fd, bytes, part, MSG_DONTWAIT);

        if (got > 0) {
            assert_pattern(bytes, self->got, (size_t)got);
            self->got += (uint64_t)got;
        }
        if (got <= 0 || self->pause > 0)
            assert_ok(tn_sleep(tn_in(self->pause > 0 ? self->pause : 20 * TN_US)));
        else
            tn_yield();
    }
    return tn_ok();
}

static struct tn_task *sink_start(struct sink *self)
{
    struct tn_task *task = NULL;

    assert_ok(tn_go(NULL, sink_main, self, NULL, &task));
    return task;
}

static void sink_end(struct sink *self, struct tn_task *task, uint64_t expected)
{
    WAIT_UNTIL(self->got >= expected);
    self->stop = true;
    assert_ok(tn_join(&task, NULL, rig_patience()));
    assert_int_equal(self->got, expected);
}

static char *large_pattern(void)
{
    char *bytes = malloc(LARGE);

    pattern_fill(bytes, 0, LARGE);
    return bytes;
}

TEST_IN_TASK(a_large_write_arrives_whole_at_a_slow_reader)
{
    char *bytes = large_pattern();

    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        struct sink sink = { .fd = wire.peer, .part = SIZE_MAX };
        struct tn_task *task;
        struct tn_conn_facts facts;
        size_t done = 7;

        if (state == WIRE_FRESH) {
            sink.pause = 200 * TN_US;
            sink.part = 60000;
        }
        task = sink_start(&sink);
        assert_ok(tn_write(wire.conn, bytes, LARGE, &done, rig_patience()));
        assert_int_equal(done, LARGE);
        tn_conn_facts(wire.conn, &facts);
        assert_int_equal(facts.written, LARGE);
        sink_end(&sink, task, LARGE);
        wire_drop(&wire);
    }
    free(bytes);
}

TEST_IN_TASK(small_writes_arrive_in_order)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        struct sink sink = { .fd = wire.peer, .part = SIZE_MAX };
        struct tn_task *task = sink_start(&sink);
        uint64_t seed = 99, place = 0;
        char bytes[300];

        for (int i = 0; i < 500; i++) {
            size_t size = rig_up_to(&seed, sizeof(bytes)), done = 0;

            pattern_fill(bytes, place, size);
            assert_ok(tn_write(wire.conn, bytes, size, &done, rig_patience()));
            assert_int_equal(done, size);
            place += size;
        }
        sink_end(&sink, task, place);
        wire_drop(&wire);
    }
}

/* ---- pieces ---- */

TEST_IN_TASK(pieces_of_any_number_and_size_arrive_in_order)
{
    static const size_t counts[] = { 1, 2, 63, 64, 65, 128, 1500 };
    char *bytes = large_pattern();

    FOR_EACH_WIRE(family, state)
    {
        for (size_t c = 0; c < COUNT_OF(counts); c++) {
            struct wire wire = wire_in_state((sa_family_t)family, state);
            struct sink sink = { .fd = wire.peer, .part = SIZE_MAX };
            struct tn_task *task = sink_start(&sink);
            struct iovec *pieces = malloc(counts[c] * sizeof(*pieces)), *copy;
            uint64_t seed = 5 + c;
            size_t place = 0, done = 0;

            for (size_t i = 0; i < counts[c]; i++) { /* every third one is empty */
                size_t size = i % 3 == 2 ? 0 : rig_up_to(&seed, LARGE / 2 / counts[c]);
                pieces[i] = (struct iovec){ bytes + place, size };
                place += size;
            }
            copy = malloc(counts[c] * sizeof(*pieces));
            memcpy(copy, pieces, counts[c] * sizeof(*pieces));
            assert_ok(tn_writev(wire.conn, pieces, counts[c], &done, rig_patience()));
            assert_int_equal(done, place);
            assert_memory_equal(copy, pieces, counts[c] * sizeof(*pieces));
            sink_end(&sink, task, place);
            wire_drop(&wire);
            free(pieces);
            free(copy);
        }
    }
    free(bytes);
}

TEST_IN_TASK(nothing_to_write_is_written)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        struct iovec empty[70] = { { NULL, 0 } };
        size_t done = 7;
        int end;

        assert_ok(tn_write(wire.conn, NULL, 0, &done, TN_NOW));
        assert_int_equal(done, 0);
        done = 7;
        assert_ok(tn_writev(wire.conn, empty, 70, &done, TN_NOW));
        assert_int_equal(done, 0);
        assert_ok(tn_writev(wire.conn, NULL, 0, &done, TN_NOW));
        assert_int_equal(raw_drain(wire.peer, &end), 0);
        assert_int_equal(end, 0);
        wire_drop(&wire);
    }
}

/* ---- deadlines and cancels ---- */

TEST_IN_TASK(a_deadline_leaves_exactly_what_it_says_undone)
{
    char *bytes = large_pattern();

    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        struct sink sink = { .fd = wire.peer, .part = SIZE_MAX };
        struct tn_task *task;
        size_t done = 0, more = 0;
        struct iovec pieces[2];

        assert_kind(tn_write(wire.conn, bytes, LARGE, &done, tn_in(10 * TN_MS)),
                    TN_DEADLINE);
        assert_true(done > 0 && done < LARGE);
        assert_kind(tn_write(wire.conn, bytes + done, LARGE - done, &more, TN_NOW),
                    TN_DEADLINE);
        done += more;
        pieces[0] = (struct iovec){ bytes + done, 1000 };
        pieces[1] = (struct iovec){ bytes + done + 1000, LARGE - done - 1000 };
        assert_kind(tn_writev(wire.conn, pieces, 2, &more, tn_in(TN_MS)), TN_DEADLINE);
        done += more;
        task = sink_start(&sink);
        assert_ok(tn_write(wire.conn, bytes + done, LARGE - done, &more, rig_patience()));
        sink_end(&sink, task, LARGE); /* nothing is lost, nothing twice */
        wire_drop(&wire);
    }
    free(bytes);
}

struct writer {
    struct tn_conn *conn;
    const char *bytes;
    size_t size, done;
    tn_err err;
};

static tn_err write_in_task(void *arg)
{
    struct writer *self = arg;

    self->err =
        tn_write(self->conn, self->bytes, self->size, &self->done, rig_patience());
    return tn_ok();
}

TEST_IN_TASK(a_cancel_leaves_exactly_what_it_says_undone)
{
    char *bytes = large_pattern();

    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        struct sink sink = { .fd = wire.peer, .part = 100000, .pause = 50 * TN_US };
        struct tn_task *task = NULL;
        uint64_t seed = 77;
        size_t done = 0;
        unsigned canceled = 0;

        while (done < LARGE) {
            struct writer writer = { .conn = wire.conn,
                                     .bytes = bytes + done,
                                     .size = LARGE - done };
            struct tn_task *writing = NULL;

            assert_ok(tn_go(NULL, write_in_task, &writer, NULL, &writing));
            assert_ok(tn_sleep(tn_in((int64_t)rig_up_to(&seed, 3) * TN_MS)));
            tn_cancel(writing);
            assert_ok(tn_join(&writing, NULL, rig_patience()));
            if (tn_failed(writer.err))
                assert_kind(writer.err, TN_CANCELED);
            else
                assert_int_equal(writer.done, LARGE - done);
            canceled += tn_failed(writer.err);
            done += writer.done;
            if (task == NULL) { /* the first one was canceled before full buffers */
                assert_int_equal(canceled, 1);
                task = sink_start(&sink);
            }
        }
        sink_end(&sink, task, LARGE);
        wire_drop(&wire);
    }
    free(bytes);
}

/* ---- the end, ours and the peer's ---- */

TEST_IN_TASK(after_our_end_nothing_is_written_and_reading_goes_on)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        size_t done = 7;
        char buf[8];
        int end;

        assert_ok(tn_write(wire.conn, "last", 4, NULL, rig_patience()));
        assert_ok(tn_end(wire.conn));
        assert_ok(tn_end(wire.conn));
        assert_kind(tn_write(wire.conn, "x", 1, &done, rig_patience()), TN_CLOSED);
        assert_int_equal(done, 0);
        assert_int_equal(recv(wire.peer, buf, sizeof(buf), 0), 4);
        raw_drain(wire.peer, &end);
        assert_int_equal(end, 1);
        wire_send(&wire, 1000);
        wire_take(&wire, 1000);
        wire_drop(&wire);
    }
}

TEST_IN_TASK(after_the_peers_end_writing_goes_on)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        char buf[8];
        size_t got;

        assert_int_equal(shutdown(wire.peer, SHUT_WR), 0);
        assert_kind(tn_read(wire.conn, buf, 1, &got, rig_patience()), TN_EOF);
        assert_ok(tn_write(wire.conn, "still", 5, NULL, rig_patience()));
        assert_int_equal(recv(wire.peer, buf, sizeof(buf), 0), 5);
        wire_drop(&wire);
    }
}

/* Without SIGPIPE, which would end this process. */
TEST_IN_TASK(writing_to_a_closed_peer_is_a_reset_and_reads_as_an_end)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        tn_err err = tn_ok();
        char byte;
        size_t got;

        close(wire.peer); /* in order: it has nothing unread */
        wire.peer = -1;
        for (int i = 0; i < 3; i++) {
            err = tn_write(wire.conn, "x", 1, NULL, rig_patience());
            rig_turns();
        }
        assert_kind(err, TN_RESET);
        assert_kind(tn_write(wire.conn, "x", 1, NULL, rig_patience()), TN_RESET);
        /* The end came before our bytes were refused, so an end it is. */
        assert_kind(tn_read(wire.conn, &byte, 1, &got, rig_patience()), TN_EOF);
        wire_drop(&wire);
    }
}

TEST_IN_TASK(a_reset_wakes_the_writer)
{
    char *bytes = large_pattern();

    for (enum wire_state state = WIRE_FRESH; state < WIRE_STATES; state++) {
        struct wire wire = wire_in_state(AF_INET, state);
        struct writer writer = { .conn = wire.conn, .bytes = bytes, .size = LARGE };
        struct tn_task *task = NULL;
        tn_ending ending;

        assert_ok(tn_go(NULL, write_in_task, &writer, NULL, &task));
        assert_ok(tn_sleep(tn_in(5 * TN_MS)));
        raw_reset(wire.peer);
        wire.peer = -1;
        assert_ok(tn_join(&task, NULL, rig_patience()));
        assert_kind(writer.err, TN_RESET);
        assert_true(writer.done > 0 && writer.done < LARGE);
        assert_kind(tn_close(&wire.conn, &ending, rig_patience()), TN_RESET);
        assert_in_range(ending.unacked, 1, writer.done);
    }
    free(bytes);
}

/* The network's time-out is told as what it is, by whoever asks, though it is told once. */
TEST_IN_TASK(a_silent_peer_times_out_reads_and_writes_alike)
{
    for (enum wire_state state = WIRE_FRESH; state < WIRE_STATES; state++) {
        struct tn_conn_options options = { .user_timeout = 60 * TN_MS };
        struct wire wire = wire_open_with(AF_INET, &options);
        tn_ending ending;
        size_t got;
        char byte;

        if (state == WIRE_WAITED)
            assert_kind(tn_read(wire.conn, &byte, 1, &got, tn_in(TN_MS)), TN_DEADLINE);
        raw_deaf(wire.peer);
        assert_ok(tn_write(wire.conn, "lost", 4, NULL, rig_patience()));
        if (state == WIRE_LARGE)
            assert_kind(tn_confirm(wire.conn, NULL, rig_patience()), TN_TIMEDOUT);
        else
            assert_kind(tn_read(wire.conn, &byte, 1, &got, rig_patience()), TN_TIMEDOUT);
        assert_kind(tn_write(wire.conn, "x", 1, NULL, rig_patience()), TN_TIMEDOUT);
        assert_kind(tn_read(wire.conn, &byte, 1, &got, rig_patience()), TN_TIMEDOUT);
        assert_kind(tn_confirm(wire.conn, NULL, rig_patience()), TN_TIMEDOUT);
        assert_kind(tn_end(wire.conn), TN_TIMEDOUT);
        assert_kind(tn_close(&wire.conn, &ending, rig_patience()), TN_TIMEDOUT);
        assert_int_equal(ending.how, TN_ENDED_TIMEDOUT);
        assert_int_equal(ending.unacked, 4);
        wire_drop(&wire);
    }
}

/* Both directions at once, each with its own task, and through every change of mode. */
struct echo {
    struct tn_conn *conn;
    uint64_t passed;
};

static tn_err echo_main(void *arg)
{
    struct echo *self = arg;
    tn_err err;

    for (;;) {
        const void *data;
        size_t size;

        err = tn_read_lease(self->conn, &data, &size, rig_patience());
        if (tn_failed(err))
            break;
        assert_ok(tn_write(self->conn, data, size, NULL, rig_patience()));
        tn_return(self->conn);
        self->passed += size;
    }
    return err.kind == TN_EOF ? tn_end(self->conn) : err;
}

TEST_IN_TASK(both_ways_at_once_through_an_echo)
{
    char *bytes = large_pattern();

    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        struct tn_conn *client = NULL;
        struct echo echo = { .conn = wire.conn };
        struct writer writer = { .bytes = bytes, .size = LARGE };
        struct tn_task *echoing = NULL, *writing = NULL;
        static char buf[100000];
        tn_err result;
        uint64_t place = 0;

        assert_ok(tn_adopt(&client, wire.peer, NULL));
        wire.peer = -1;
        writer.conn = client;
        assert_ok(tn_go(NULL, echo_main, &echo, NULL, &echoing));
        assert_ok(tn_go(NULL, write_in_task, &writer, NULL, &writing));
        while (place < LARGE) {
            size_t got;

            assert_ok(tn_read(client, buf, sizeof(buf), &got, rig_patience()));
            assert_pattern(buf, place, got);
            place += got;
        }
        assert_ok(tn_join(&writing, NULL, rig_patience()));
        assert_ok(writer.err);
        assert_ok(tn_end(client));
        assert_ok(tn_join(&echoing, &result, rig_patience()));
        assert_ok(result);
        assert_int_equal(echo.passed, LARGE);
        tn_abort(&client);
        wire_drop(&wire);
    }
    free(bytes);
}
