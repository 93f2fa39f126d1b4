/* SPDX-License-Identifier: MIT */
/*
 * conn_line_test.c -- reading up to a delimiter.
 */
#include "net/net_rig.h"

static void peer_says(const struct wire *wire, const char *text)
{
    raw_send(wire->peer, text, strlen(text));
}

#define assert_line(wire, expected)                                                      \
    line_check(&(wire), (expected), strlen(expected), __FILE__, __LINE__)

/* The next line is EXPECTED of SIZE bytes, its newline included. */
static void line_check(const struct wire *wire, const char *expected, size_t size,
                       const char *file, int line)
{
    char buf[64];
    size_t done = 99;

    test_assert_kind(
        tn_read_until(wire->conn, buf, sizeof(buf), '\n', &done, rig_patience()), TN_OK,
        "tn_read_until", file, line);
    if (done != size || memcmp(buf, expected, size) != 0)
        test_failed(file, line, "line is \"%.*s\"", (int)done, buf);
}

TEST_IN_TASK(lines_come_one_by_one_however_they_were_sent)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);

        peer_says(&wire, "one\ntwo\n\nfo");
        assert_line(wire, "one\n");
        assert_line(wire, "two\n");
        assert_line(wire, "\n");
        peer_says(&wire, "ur\nfive");
        assert_line(wire, "four\n");
        peer_says(&wire, "\n"); /* the delimiter is all there is in its segment */
        assert_line(wire, "five\n");
        wire_drop(&wire);
    }
}

TEST_IN_TASK(what_follows_the_delimiter_stays_unread)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        char buf[8];
        size_t got;

        peer_says(&wire, "head\nbody");
        assert_line(wire, "head\n");
        assert_ok(tn_read(wire.conn, buf, sizeof(buf), &got, rig_patience()));
        assert_int_equal(got, 4);
        assert_memory_equal(buf, "body", 4);
        wire_drop(&wire);
    }
}

TEST_IN_TASK(a_limit_without_a_delimiter_is_told_and_nothing_lost)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        char buf[4];
        size_t done = 99;

        peer_says(&wire, "abcdefgh\n");
        assert_kind(tn_read_until(wire.conn, buf, 4, '\n', &done, rig_patience()),
                    TN_LIMIT);
        assert_int_equal(done, 4);
        assert_memory_equal(buf, "abcd", 4);
        assert_kind(tn_read_until(wire.conn, buf, 0, '\n', &done, rig_patience()),
                    TN_LIMIT);
        assert_int_equal(done, 0);
        assert_line(wire, "efgh\n");
        peer_says(&wire, "ijk\n"); /* exactly as long as the limit */
        assert_ok(tn_read_until(wire.conn, buf, 4, '\n', &done, rig_patience()));
        assert_int_equal(done, 4);
        wire_drop(&wire);
    }
}

TEST_IN_TASK(an_end_or_a_reset_inside_a_line_tells_what_came)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        bool reset = family == AF_INET;
        char buf[16];
        size_t done = 99;

        peer_says(&wire, "whole\npart");
        if (reset)
            raw_reset(wire.peer);
        else
            close(wire.peer);
        wire.peer = -1;
        assert_line(wire, "whole\n");
        assert_kind(
            tn_read_until(wire.conn, buf, sizeof(buf), '\n', &done, rig_patience()),
            reset ? TN_RESET : TN_EOF);
        assert_int_equal(done, 4);
        assert_memory_equal(buf, "part", 4);
        wire_drop(&wire);
    }
}

TEST_IN_TASK(a_deadline_inside_a_line_gives_its_beginning)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        char buf[16];
        size_t done = 99;

        peer_says(&wire, "ab");
        assert_kind(
            tn_read_until(wire.conn, buf, sizeof(buf), '\n', &done, tn_in(5 * TN_MS)),
            TN_DEADLINE);
        assert_int_equal(done, 2);
        assert_memory_equal(buf, "ab", 2);
        peer_says(&wire, "cd\n");
        assert_line(wire, "cd\n");
        wire_drop(&wire);
    }
}

TEST_IN_TASK(any_byte_delimits)
{
    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        char buf[16];
        size_t done;

        raw_send(wire.peer, "a\0b\xff", 4);
        assert_ok(
            tn_read_until(wire.conn, buf, sizeof(buf), '\0', &done, rig_patience()));
        assert_int_equal(done, 2);
        assert_ok(
            tn_read_until(wire.conn, buf, sizeof(buf), '\xff', &done, rig_patience()));
        assert_int_equal(done, 2);
        assert_memory_equal(buf, "b\xff", 2);
        wire_drop(&wire);
    }
}

struct sender {
    int fd;
    size_t size;
};

/* SIZE bytes of x and a newline, as fast as they are taken. */
static tn_err send_long_line(void *arg)
{
    static char bytes[10000];
    struct sender *self = arg;

    memset(bytes, 'x', sizeof(bytes));
    for (size_t left = self->size; left > 0;) {
        size_t part = left < sizeof(bytes) ? left : sizeof(bytes);
        ssize_t took = send(self->fd, bytes, part, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (took > 0)
            left -= (size_t)took;
        else
            assert_ok(tn_sleep(tn_in(50 * TN_US)));
    }
    while (send(self->fd, "\n", 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
        assert_ok(tn_sleep(tn_in(50 * TN_US)));
    return tn_ok();
}

TEST_IN_TASK(a_line_may_be_longer_than_all_buffers)
{
    const size_t size = 3 << 20;
    char *line = malloc(size + 1);

    FOR_EACH_WIRE(family, state)
    {
        struct wire wire = wire_in_state((sa_family_t)family, state);
        struct sender sender = { wire.peer, size };
        struct tn_task *task = NULL;
        size_t done;

        assert_ok(tn_go(NULL, send_long_line, &sender, NULL, &task));
        assert_ok(tn_read_until(wire.conn, line, size + 1, '\n', &done, rig_patience()));
        assert_int_equal(done, size + 1);
        assert_true(line[size] == '\n' && line[0] == 'x' && line[size - 1] == 'x');
        assert_ok(tn_join(&task, NULL, rig_patience()));
        wire_drop(&wire);
    }
    free(line);
}
