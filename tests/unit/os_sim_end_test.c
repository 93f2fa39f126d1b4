/* SPDX-License-Identifier: MIT */
/*
 * os_sim_end_test.c -- streams on the simulator, their flags and their ends: as on Linux.
 */
#include "unit/sim_script.h"

static void run_echo(struct script *script)
{
    int fds[2];

    pair(script, fds);
    note_all(script, fds[0]);
    answer(script, "send", send_n(script, fds[0], 5000, 0));
    answer(script, "recv", take(script, fds[1], 5000, MSG_WAITALL));
    answer(script, "send", send_text(script, fds[1], "back", 0));
    answer(script, "recv", take(script, fds[0], 100, 0));
    await_acks(script, fds[0]);
    await_acks(script, fds[1]);
    note_all(script, fds[0]);
    note_all(script, fds[1]);
    close_all(script, fds, 2);
}

TEST(a_round_trip_is_as_on_linux)
{
    differ_not(run_echo);
}

static void run_close_unread(struct script *script)
{
    int fds[2];

    pair(script, fds);
    answer(script, "send", send_n(script, fds[0], 1000, 0));
    answer(script, "send", send_text(script, fds[1], "lost or not", 0));
    await_acks(script, fds[0]);
    await_acks(script, fds[1]);
    note_all(script, fds[1]);
    answer(script, "close", os_close(script->os, fds[1]));
    await(script, fds[0], POLLHUP);
    note_all(script, fds[0]);
    answer(script, "recv", take(script, fds[0], 4, 0));
    answer(script, "recv", take(script, fds[0], 100, 0));
    answer(script, "recv", take(script, fds[0], 100, 0));
    answer(script, "recv", take(script, fds[0], 100, 0));
    answer(script, "send", send_n(script, fds[0], 10, 0));
    answer(script, "shutdown", os_shutdown(script->os, fds[0], SHUT_WR));
    close_all(script, fds, 1);
}

TEST(close_with_bytes_unread_resets_as_on_linux)
{
    differ_not(run_close_unread);
}

/* The bytes before a reset are moved; the reset is told to who asks next, and only once. */
static void run_splice_reset(struct script *script)
{
    int fds[2], pipe[2];

    pair(script, fds);
    answer(script, "pipe", os_pipe(script->os, 65536, pipe));
    answer(script, "send", send_n(script, fds[0], 1000, 0));
    answer(script, "send", send_text(script, fds[1], "lost or not", 0));
    await_acks(script, fds[0]);
    await_acks(script, fds[1]);
    answer(script, "close", os_close(script->os, fds[1]));
    await(script, fds[0], POLLHUP);
    answer(script, "in", os_splice_in(script->os, fds[0], pipe[1], 65536));
    answer(script, "in", os_splice_in(script->os, fds[0], pipe[1], 65536));
    answer(script, "in", os_splice_in(script->os, fds[0], pipe[1], 65536));
    answer(script, "out", os_splice_out(script->os, pipe[0], fds[0], 65536));
    close_all(script, pipe, 2);
    close_all(script, fds, 1);
}

TEST(splicing_what_a_reset_left_is_as_on_linux)
{
    differ_not(run_splice_reset);
}

static void run_close_read(struct script *script)
{
    int fds[2];

    pair(script, fds);
    answer(script, "close", os_close(script->os, fds[1]));
    await(script, fds[0], POLLRDHUP);
    note_all(script, fds[0]);
    answer(script, "recv", take(script, fds[0], 100, 0));
    answer(script, "send", send_n(script, fds[0], 10, 0));
    await(script, fds[0], POLLHUP);
    note_poll(script, fds[0]);
    note_error(script, fds[0]);
    answer(script, "recv", take(script, fds[0], 100, 0));
    answer(script, "send", send_n(script, fds[0], 10, 0));
    answer(script, "send", send_n(script, fds[0], 10, 0));
    note_state(script, fds[0]);
    close_all(script, fds, 1);
}

TEST(bytes_that_arrive_after_close_are_reset_as_on_linux)
{
    differ_not(run_close_read);
}

static void run_abort(struct script *script)
{
    int fds[2];

    pair(script, fds);
    answer(script, "send", send_text(script, fds[1], "before", 0));
    await_bytes(script, fds[0], 6);
    reset_at_close(script, fds[1]);
    answer(script, "close", os_close(script->os, fds[1]));
    await(script, fds[0], POLLHUP);
    note_all(script, fds[0]);
    answer(script, "send", send_n(script, fds[0], 10, 0));
    answer(script, "send", send_n(script, fds[0], 10, 0));
    take_text(script, fds[0], 100, 0);
    take_text(script, fds[0], 100, 0);
    take_text(script, fds[0], 100, 0);
    note_error(script, fds[0]);
    close_all(script, fds, 1);
}

TEST(a_zero_linger_resets_as_on_linux)
{
    differ_not(run_abort);
}

static void run_error_once(struct script *script)
{
    int fds[2];

    pair(script, fds);
    reset_at_close(script, fds[1]);
    answer(script, "close", os_close(script->os, fds[1]));
    await(script, fds[0], POLLHUP);
    note_error(script, fds[0]);
    note_error(script, fds[0]);
    note_poll(script, fds[0]);
    answer(script, "recv", take(script, fds[0], 10, 0));
    answer(script, "send", send_n(script, fds[0], 10, 0));
    close_all(script, fds, 1);
}

TEST(an_error_is_told_once_as_on_linux)
{
    differ_not(run_error_once);
}

static void run_half_close(struct script *script)
{
    int fds[2];

    pair(script, fds);
    answer(script, "send", send_text(script, fds[0], "question", 0));
    answer(script, "shutdown", os_shutdown(script->os, fds[0], SHUT_WR));
    answer(script, "send", send_n(script, fds[0], 1, 0));
    await_acks(script, fds[0]);
    await(script, fds[1], POLLRDHUP);
    note_all(script, fds[0]);
    note_all(script, fds[1]);
    take_text(script, fds[1], 100, 0);
    take_text(script, fds[1], 100, 0);
    note_all(script, fds[1]);
    answer(script, "send", send_text(script, fds[1], "answer", 0));
    await_bytes(script, fds[0], 6);
    await_acks(script, fds[1]);
    take_text(script, fds[0], 100, 0);
    take_text(script, fds[0], 100, 0);
    answer(script, "shutdown", os_shutdown(script->os, fds[1], SHUT_WR));
    await(script, fds[0], POLLRDHUP);
    await(script, fds[1], POLLHUP);
    note_all(script, fds[0]);
    note_all(script, fds[1]);
    take_text(script, fds[0], 100, 0);
    answer(script, "shutdown", os_shutdown(script->os, fds[0], SHUT_WR));
    close_all(script, fds, 2);
}

TEST(a_half_close_is_as_on_linux)
{
    differ_not(run_half_close);
}

static void run_both_close(struct script *script)
{
    int fds[2];

    pair(script, fds);
    answer(script, "shutdown", os_shutdown(script->os, fds[0], SHUT_RDWR));
    await_acks(script, fds[0]);
    note_all(script, fds[0]);
    take_text(script, fds[0], 10, 0);
    answer(script, "send", send_text(script, fds[1], "late", 0));
    await(script, fds[1], POLLHUP);
    note_all(script, fds[0]);
    note_all(script, fds[1]);
    take_text(script, fds[1], 10, 0);
    take_text(script, fds[1], 10, 0);
    note_error(script, fds[1]);
    close_all(script, fds, 2);
}

TEST(bytes_after_both_sides_were_shut_are_as_on_linux)
{
    differ_not(run_both_close);
}

static void run_read_shut(struct script *script)
{
    int fds[2];

    pair(script, fds);
    answer(script, "send", send_text(script, fds[0], "one", 0));
    await_bytes(script, fds[1], 3);
    answer(script, "shutdown", os_shutdown(script->os, fds[1], SHUT_RD));
    note_all(script, fds[1]);
    take_text(script, fds[1], 10, 0);
    take_text(script, fds[1], 10, 0);
    answer(script, "send", send_text(script, fds[0], "two", 0));
    await_acks(script, fds[0]);
    await_bytes(script, fds[1], 3);
    note_ioctl(script, "outq", fds[0], SIOCOUTQ);
    take_text(script, fds[1], 10, 0);
    take_text(script, fds[1], 10, 0);
    close_all(script, fds, 2);
}

TEST(shutting_reading_is_as_on_linux)
{
    differ_not(run_read_shut);
}

/* The peer does not read: what it has not acknowledged counts, also after its reset. */
static void run_outq(struct script *script)
{
    int fds[2], before;
    long sent = 0, got;

    pair(script, fds);
    do { /* until there is no room, and does not come any more */
        while ((got = send_n(script, fds[0], 100000, MSG_DONTWAIT)) > 0)
            sent += got;
    } while (os_poll(script->os, &(struct pollfd){ .fd = fds[0], .events = POLLOUT }, 1,
                     50) == 1);
    answer(script, "full", got);
    before = outq(script, fds[0]);
    note(script, "unacknowledged: %d\n", before > 0 && before < sent);
    note_poll(script, fds[0]);
    answer(script, "shutdown", os_shutdown(script->os, fds[0], SHUT_WR));
    note(script, "with the end: %d\n", outq(script, fds[0]) - before);
    note_state(script, fds[0]);
    answer(script, "close", os_close(script->os, fds[1]));
    await(script, fds[0], POLLHUP);
    note(script, "after the reset: %d\n", outq(script, fds[0]) - before);
    note_poll(script, fds[0]);
    note_error(script, fds[0]);
    note(script, "after the error: %d\n", outq(script, fds[0]) - before);
    note_state(script, fds[0]);
    close_all(script, fds, 1);
}

TEST(unacknowledged_bytes_count_as_on_linux)
{
    differ_not(run_outq);
}

static void run_flags(struct script *script)
{
    int fds[2];
    char buf[10] = "";
    struct iovec three[3] = { { buf, 2 }, { buf + 2, 0 }, { buf + 2, 3 } };
    struct msghdr message = { .msg_iov = three, .msg_iovlen = 3 };

    pair(script, fds);
    take_text(script, fds[1], 5, 0);
    answer(script, "send", send_text(script, fds[0], "abcdefghij", 0));
    await_bytes(script, fds[1], 10);
    take_text(script, fds[1], 3, MSG_PEEK);
    take_text(script, fds[1], 50, MSG_PEEK);
    take_text(script, fds[1], 20, MSG_WAITALL);
    answer(script, "send", send_text(script, fds[0], "0123456789", 0));
    await_bytes(script, fds[1], 10);
    answer(script, "trunc", take(script, fds[1], 4, MSG_TRUNC));
    take_text(script, fds[1], 2, 0);
    take_text(script, fds[1], 0, 0);
    answer(script, "recvmsg", os_recvmsg(script->os, fds[1], &message, 0));
    note(script, "'%.4s'\n", buf);
    note(script, "flags %d, name %d, control %d\n", message.msg_flags,
         (int)message.msg_namelen, (int)message.msg_controllen);
    take_text(script, fds[1], 0, 0);
    answer(script, "send", send_n(script, fds[0], 0, 0));
    answer(script, "errqueue", take(script, fds[0], 10, MSG_ERRQUEUE));
    answer(script, "sendto",
           os_sendmsg(script->os, fds[0],
                      &(struct msghdr){ .msg_iov = three, .msg_iovlen = 3 },
                      MSG_NOSIGNAL));
    answer(script, "recv", take(script, fds[1], 5, MSG_WAITALL));
    close_all(script, fds, 2);
}

TEST(the_flags_of_receives_are_as_on_linux)
{
    differ_not(run_flags);
}

static void run_urgent(struct script *script)
{
    int fds[2];

    pair(script, fds);
    take_text(script, fds[1], 1, MSG_OOB);
    answer(script, "send", send_text(script, fds[0], "abc", 0));
    answer(script, "send", send_text(script, fds[0], "xyZ", MSG_OOB));
    answer(script, "send", send_text(script, fds[0], "def", 0));
    await_acks(script, fds[0]);
    note_poll(script, fds[1]);
    note_ioctl(script, "mark", fds[1], SIOCATMARK);
    note_ioctl(script, "inq", fds[1], SIOCINQ);
    take_text(script, fds[1], 1, MSG_OOB | MSG_PEEK);
    take_text(script, fds[1], 1, MSG_OOB);
    take_text(script, fds[1], 1, MSG_OOB);
    note_poll(script, fds[1]);
    take_text(script, fds[1], 50, 0);
    note_ioctl(script, "mark", fds[1], SIOCATMARK);
    note_ioctl(script, "inq", fds[1], SIOCINQ);
    note_poll(script, fds[1]);
    take_text(script, fds[1], 50, 0);
    note_ioctl(script, "mark", fds[1], SIOCATMARK);
    take_text(script, fds[1], 50, 0);
    /* A second one before the first is read, and reading past it. */
    answer(script, "send", send_text(script, fds[0], "1", MSG_OOB));
    answer(script, "send", send_text(script, fds[0], "A", 0));
    answer(script, "send", send_text(script, fds[0], "2", MSG_OOB));
    await_acks(script, fds[0]);
    take_text(script, fds[1], 50, 0);
    take_text(script, fds[1], 1, MSG_OOB);
    take_text(script, fds[1], 50, 0);
    answer(script, "send", send_text(script, fds[0], "x!", MSG_OOB));
    await_acks(script, fds[0]);
    take_text(script, fds[1], 50, 0);
    note_ioctl(script, "mark", fds[1], SIOCATMARK);
    answer(script, "send", send_text(script, fds[0], "y", 0));
    await_acks(script, fds[0]);
    take_text(script, fds[1], 50, 0);
    take_text(script, fds[1], 1, MSG_OOB);
    close_all(script, fds, 2);
}

TEST(urgent_bytes_are_as_on_linux)
{
    differ_not(run_urgent);
}

static void run_urgent_inline(struct script *script)
{
    int fds[2], one = 1;

    pair(script, fds);
    answer(
        script, "inline",
        os_setsockopt(script->os, fds[1], SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one)));
    answer(script, "send", send_text(script, fds[0], "ab", 0));
    answer(script, "send", send_text(script, fds[0], "C", MSG_OOB));
    answer(script, "send", send_text(script, fds[0], "de", 0));
    await_acks(script, fds[0]);
    take_text(script, fds[1], 1, MSG_OOB);
    take_text(script, fds[1], 50, 0);
    note_ioctl(script, "mark", fds[1], SIOCATMARK);
    take_text(script, fds[1], 50, 0);
    take_text(script, fds[1], 50, 0);
    close_all(script, fds, 2);
}

TEST(inline_urgent_bytes_are_as_on_linux)
{
    differ_not(run_urgent_inline);
}

static void run_dup(struct script *script)
{
    int fds[2], again;

    pair(script, fds);
    again = os_dup(script->os, fds[0], -1, SOCK_CLOEXEC);
    note(script, "dup: %d\n", again >= 0);
    answer(script, "close", os_close(script->os, fds[0]));
    note_all(script, fds[1]);
    answer(script, "send", send_text(script, again, "still", 0));
    await_bytes(script, fds[1], 5);
    take_text(script, fds[1], 10, 0);
    answer(script, "close", os_close(script->os, again));
    await(script, fds[1], POLLRDHUP);
    take_text(script, fds[1], 10, 0);
    answer(script, "close", os_close(script->os, fds[1]));
    answer(script, "close", os_close(script->os, fds[1]));
    answer(script, "recv", take(script, fds[1], 10, 0));
}

TEST(only_the_last_reference_closes_as_on_linux)
{
    differ_not(run_dup);
}

static void run_time_limits(struct script *script)
{
    struct timeval limit = { .tv_usec = 5000 };
    int fds[2], listening = listener(script, 1);
    long got;

    pair(script, fds);
    for (int i = 0; i < 2; i++) {
        answer(script, "limit",
               os_setsockopt(script->os, fds[0], SOL_SOCKET,
                             i == 0 ? SO_RCVTIMEO : SO_SNDTIMEO, &limit, sizeof(limit)));
    }
    answer(script, "recv", take(script, fds[0], 10, 0));
    while ((got = send_n(script, fds[0], 100000, 0)) > 0)
        continue;
    answer(script, "send", got);
    answer(script, "limit",
           os_setsockopt(script->os, listening, SOL_SOCKET, SO_RCVTIMEO, &limit,
                         sizeof(limit)));
    answer(script, "accept", os_accept(script->os, listening, NULL, NULL, 0));
    close_all(script, fds, 2);
    close_all(script, &listening, 1);
}

TEST(time_limits_of_blocking_calls_are_as_on_linux)
{
    differ_not(run_time_limits);
}
