/* SPDX-License-Identifier: MIT */
/*
 * storm_test.c -- cancels and deadlines at random, on every call of a connection, over
 * real loopback: no byte may get lost or come twice, nothing may leak.
 *
 * Clients dial an echo server, send a stream whose every byte is known from its place,
 * and read it back.  Each direction is done in legs: a leg is a task that goes on where
 * the last one stopped, until a storm task cancels it.  Deadlines are so short that many
 * fall in the middle of a call.  What `done` says after an error is where the next leg
 * goes on, so a wrong count shows as a wrong byte.
 *
 *      client:  dial leg(s) -> writer legs + reader legs -> end, the peer's end -> close
 *      server:  accept legs -> echo legs -> close            (now and then: abort)
 *
 * $STORM_SECONDS is how long each driver's storm lasts (2), $STORM_SEED where it starts.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness/harness.h"
#include "net/storm.h"

#define CLIENTS    24
#define ACCEPTORS  3
#define STREAM_MAX 400000
#define PIECE_MAX  9000
#define WRITE_MAX  200000 /* larger than the small send buffers: done in parts */

struct client {
    struct tn_conn *conn;
    uint64_t stream, size;
    uint64_t written, received; /* of SIZE */
    uint64_t abort_at;          /* bytes received; above SIZE: never */
    char piece[WRITE_MAX];
};

static tn_err write_leg(void *arg)
{
    struct client *client = arg;

    while (client->written < client->size) {
        char *mine = client->piece;
        size_t size = 1 + draw(draw(2) ? WRITE_MAX : 50), done = 99999;
        bool vector = draw(4) == 0;
        struct iovec pieces[2];
        tn_err err;

        if (size > client->size - client->written)
            size = (size_t)(client->size - client->written);
        for (size_t i = 0; i < size; i++)
            mine[i] = byte_at(client->stream, client->written + i);
        pieces[0] = (struct iovec){ mine, size / 3 };
        pieces[1] = (struct iovec){ mine + size / 3, size - size / 3 };
        err = vector ? tn_writev(client->conn, pieces, 2, &done, some_deadline())
                     : tn_write(client->conn, mine, size, &done, some_deadline());
        assert_true(done <= size && (tn_failed(err) || done == size));
        client->written += done;
        storm.counts.partial += done > 0 && done < size;
        memset(mine, 'x', size); /* what it took, it has taken */
        if (tn_failed(err) && cut_short(err) && err.kind == TN_CANCELED)
            return err;
    }
    return tn_ok();
}

/* One of the ways to receive; *GOT bytes are checked and counted. */
static tn_err receive_once(struct client *client, size_t *got)
{
    char data[PIECE_MAX];
    size_t size = 1 + draw(draw(2) ? sizeof(data) : 50);
    const void *lent;
    tn_err err;

    *got = 0;
    switch (draw(5)) {
    case 0:
        err = tn_read_lease(client->conn, &lent, got, some_deadline());
        if (tn_failed(err))
            return err;
        if (draw(4) == 0)
            tn_yield();
        check_bytes(lent, *got, client->stream, client->received);
        tn_return(client->conn);
        return err;
    case 1:
        if (size > client->size - client->received && client->received < client->size)
            size = (size_t)(client->size - client->received);
        err = tn_read_all(client->conn, data, size, got, some_deadline());
        break;
    case 2:
        err = tn_peek(client->conn, data, size, got, some_deadline());
        if (!tn_failed(err))
            check_bytes(data, *got, client->stream, client->received);
        *got = 0;
        return err;
    default:
        err = tn_read(client->conn, data, size, got, some_deadline());
        break;
    }
    check_bytes(data, *got, client->stream, client->received);
    return err;
}

/* Until the peer's end, or until it is time to abort. */
static tn_err read_leg(void *arg)
{
    struct client *client = arg;

    while (client->received < client->abort_at) {
        size_t got;
        tn_err err = dawdle();

        if (tn_failed(err))
            return err;
        err = receive_once(client, &got);
        client->received += got;
        if (err.kind == TN_EOF)
            return err;
        if (tn_failed(err) && cut_short(err) && err.kind == TN_CANCELED)
            return err;
    }
    return tn_ok();
}

static tn_err write_all(void *arg)
{
    struct client *client = arg;

    assert_ok(run_legs(write_leg, client, "write leg"));
    return tn_end(client->conn);
}

static tn_err dial_leg(void *arg)
{
    struct client *client = arg;
    struct tn_conn_options small = { .send_buffer = 4608 };
    tn_err err =
        tn_dial(&client->conn, storm.where, draw(2) ? &small : NULL, some_deadline());

    if (tn_failed(err) && cut_short(err))
        storm.counts.undialed++;
    return err;
}

static void exchange(struct client *client)
{
    struct tn_group *group = NULL;
    tn_ending ending;
    tn_err err;

    assert_ok(tn_group_open(&group, TN_GROUP_EACH_ALONE));
    if (client->abort_at > client->size) {
        assert_ok(tn_go(group, write_all, client, NULL, NULL));
        err = run_legs(read_leg, client, "read leg");
        assert_kind(err, TN_EOF);
        assert_ok(tn_group_wait(group, TN_NEVER));
        assert_true(client->written == client->size);
        assert_true(client->received == client->size);
        err = tn_close(&client->conn, &ending, tn_in(10 * TN_SECOND));
        assert_ok(err);
        assert_true(ending.how == TN_CLEAN && ending.unacked == 0 && ending.unread == 0);
        storm.counts.bytes += client->received;
    } else {
        /* Write as much as comes back before the end; then leave at once. */
        client->size = client->abort_at;
        assert_ok(run_legs(write_leg, client, "write leg"));
        err = run_legs(read_leg, client, "read leg");
        assert_ok(err);
        tn_abort(&client->conn);
        storm.counts.aborted++;
    }
    tn_group_close(&group);
    storm.counts.streams++;
}

static tn_err be_client(void *arg)
{
    struct client *client = calloc(1, sizeof(*client));

    (void)arg;
    assert_non_null(client);
    while (!storm.over) {
        tn_err err;

        client->stream = ++storm.streams;
        client->written = client->received = 0;
        client->size = HEADER + draw(draw(4) == 0 ? STREAM_MAX : 600);
        client->abort_at = draw(10) == 0 ? HEADER + draw(3000) : UINT64_MAX;
        if (client->abort_at > client->size)
            client->abort_at = UINT64_MAX;
        do
            err = run_leg(dial_leg, client, "dial leg");
        while (tn_failed(err));
        exchange(client);
    }
    free(client);
    if (--storm.clients_left == 0)
        for (int i = 0; i < LEGS_MAX; i++) {
            if (storm.legs[i].task != NULL) /* the acceptors' */
                tn_cancel(storm.legs[i].task);
        }
    return tn_ok();
}

/* ---- the server ---- */

struct service {
    struct tn_conn *conn;
    uint64_t stream, received, echoed;
    size_t held; /* in BUF, from USED on: received and not echoed */
    size_t used;
    char buf[PIECE_MAX];
    bool ended, reset;
};

/* Learn the stream's number from its first bytes, then check all of them. */
static void look_at(struct service *service, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint64_t at = service->received + i;
        if (at < HEADER)
            service->stream |= (uint64_t)(unsigned char)data[i] << 8 * at;
    }
    check_bytes(data, size, service->stream, service->received);
    service->received += size;
}

static tn_err echo_leg(void *arg)
{
    struct service *service = arg;

    while (!service->ended || service->held > 0) {
        size_t got = 0, done = 0;
        tn_err err = dawdle();

        if (tn_failed(err))
            return err;
        if (service->held == 0) {
            err = tn_read(service->conn, service->buf, 1 + draw(sizeof(service->buf)),
                          &got, some_deadline());
            look_at(service, service->buf, got);
            service->held = got;
            service->used = 0;
        } else {
            err = tn_write(service->conn, service->buf + service->used, service->held,
                           &done, some_deadline());
            service->used += done;
            service->held -= done;
            service->echoed += done;
        }
        if (err.kind == TN_EOF)
            service->ended = true;
        else if (fits_peer_abort(err) ||
                 (tn_failed(err) && cut_short(err) && err.kind == TN_CANCELED))
            return err;
    }
    return tn_ok();
}

static tn_err serve(void *arg)
{
    struct service service = { .conn = arg };
    tn_ending ending;
    tn_err err = run_legs(echo_leg, &service, "echo leg");

    if (!tn_failed(err)) {
        assert_true(service.echoed == service.received);
        err = tn_end(service.conn);
    }
    if (!tn_failed(err))
        err = tn_close(&service.conn, &ending, tn_in(10 * TN_SECOND));
    /* The client leaves in the middle by a reset only, and a dial that is given up too. */
    if (tn_failed(err) && err.kind != TN_RESET)
        assert_ok(err);
    tn_abort(&service.conn);
    return tn_ok();
}

static tn_err accept_leg(void *arg)
{
    (void)arg;
    while (storm.clients_left > 0) {
        struct tn_conn *conn = NULL;
        struct tn_task_options options = { .name = "serve" };
        tn_err err = tn_accept(storm.listener, &conn, some_deadline());

        if (!tn_failed(err))
            assert_ok(tn_go(NULL, serve, conn, &options, NULL));
        else if (cut_short(err) && err.kind == TN_CANCELED)
            return err;
        else
            tn_yield(); /* TN_NOW does not park */
    }
    return tn_ok();
}

static tn_err be_acceptor(void *arg)
{
    while (storm.clients_left > 0) {
        tn_err err = run_leg(accept_leg, arg, "accept leg");
        assert_true(!tn_failed(err) || err.kind == TN_CANCELED);
    }
    return tn_ok();
}

/* ---- all of it ---- */

/* Whether everything that a storm is for has come about. */
static bool is_rough(const struct counts *counts)
{
    return counts->streams > 50 && counts->aborted > 0 && counts->bytes > 100000 &&
           counts->canceled > 50 && counts->late > 50 && counts->partial > 10 &&
           counts->undialed > 0;
}

static tn_err run_storm(void *arg)
{
    int64_t seconds = *(int64_t *)arg;
    struct tn_group *group = NULL;
    char address[50];
    tn_addr addr;

    assert_ok(tn_listen(&storm.listener, "127.0.0.1:0", NULL));
    addr = tn_listener_addr(storm.listener);
    snprintf(storm.where, sizeof(storm.where), "%s",
             tn_addr_text(&addr, address, sizeof(address)));
    assert_ok(tn_group_open(&group, TN_GROUP_EACH_ALONE));
    storm.clients_left = CLIENTS;
    for (int i = 0; i < ACCEPTORS; i++)
        assert_ok(tn_go(group, be_acceptor, NULL, NULL, NULL));
    for (int i = 0; i < CLIENTS; i++)
        assert_ok(tn_go(group, be_client, NULL, NULL, NULL));
    assert_ok(tn_go(group, cancel_at_random, NULL, NULL, NULL));
    assert_ok(tn_sleep(tn_in(seconds * TN_SECOND)));
    for (int more = 0; more < 600 && !is_rough(&storm.counts); more++)
        assert_ok(tn_sleep(tn_in(100 * TN_MS))); /* a slow machine */
    storm.over = true;
    assert_ok(tn_group_wait(group, tn_in(30 * TN_SECOND)));
    tn_group_close(&group);
    tn_listener_close(&storm.listener);
    return tn_ok();
}

static int64_t number_from(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL && text[0] != '\0' ? strtoll(text, NULL, 10) : otherwise;
}

TEST_ON_DRIVERS(a_storm_of_cancels_loses_and_doubles_nothing, .limit_s = 300)
{
    int64_t seconds = number_from("STORM_SECONDS", 2);
    const struct counts *counts = &storm.counts;
    size_t before;

    storm.random = (uint64_t)number_from("STORM_SEED", (int64_t)time(NULL));
    printf("STORM_SEED=%llu\n", (unsigned long long)storm.random);
    fflush(stdout);
    before = mallinfo2().uordblks;
    run_ok(run_storm, &seconds);
    /* Thousands of streams: a few bytes of each would be more than malloc's own caches. */
    assert_true(mallinfo2().uordblks <= before + 32768);
    printf(
        "%s: %u streams, %llu bytes echoed, %u aborted; %u cancels, %u calls canceled, "
        "%u past their deadline, %u writes done in part, %u dials given up\n",
        test_driver(), counts->streams, (unsigned long long)counts->bytes,
        counts->aborted, counts->cancels, counts->canceled, counts->late, counts->partial,
        counts->undialed);
    assert_true(is_rough(counts));
}
