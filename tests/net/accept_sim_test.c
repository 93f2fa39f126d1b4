/* SPDX-License-Identifier: MIT */
/*
 * accept_sim_test.c -- tasks that accept at one listener, with limits that run out and cancels,
 * while answers are late, old or for nothing: every connection is given out once, and
 * nobody waits beside one.
 */
#include "harness/harness.h"

#include <stdlib.h>
#include <string.h>

#include <tenon/sim.h>

#define SEEDS   60 /* or a part of them, where everything is slower */
#define CLIENTS 60
#define TAKERS  5
#define FEW     50 /* descriptors: the listener, too, comes to want */

static uint32_t chances[TN_SIM_FAULT_COUNT] = {
    [TN_SIM_SLOW] = 50000,          [TN_SIM_LATE] = 200000, [TN_SIM_SPURIOUS] = 200000,
    [TN_SIM_AFTER_CANCEL] = 500000, [TN_SIM_EINTR] = 50000,
};

struct play {
    struct tn_listener *listener;
    uint64_t random;
    unsigned given[CLIENTS]; /* how often each has been given out */
    unsigned answered, waits_ended, canceled;
    uint64_t pauses;
    bool over;
    bool want; /* of descriptors */
};

static unsigned draw(struct play *play, unsigned below)
{
    play->random =
        play->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(play->random >> 33) % below;
}

static void serve(struct play *play, struct tn_conn **conn)
{
    unsigned char number = 0;
    tn_err err = tn_read_all(*conn, &number, 1, NULL, tn_shielded(TN_MINUTE));

    assert_true(number < CLIENTS);
    if (!tn_failed(err)) {
        play->given[number]++;
        err = tn_write(*conn, &number, 1, NULL, tn_shielded(TN_MINUTE));
    }
    if (!tn_failed(err))
        err = tn_close(conn, NULL, tn_shielded(TN_MINUTE));
    tn_abort(conn);
    if (!play->want)
        assert_ok(err);
}

/* Now and then it gives up, does something else, or serves what it has taken at once. */
static tn_err take(void *arg)
{
    struct play *play = arg;

    while (!play->over) {
        struct tn_conn *conn = NULL;
        tn_deadline limit = draw(play, 3) == 0 ? tn_in(draw(play, 4) * TN_MS) : TN_NEVER;
        tn_err err = tn_accept(play->listener, &conn, limit);

        if (err.kind == TN_CANCELED)
            return err;
        play->waits_ended += err.kind == TN_DEADLINE;
        if (!tn_failed(err))
            serve(play, &conn);
        else
            assert_kind(err, TN_DEADLINE);
        if (draw(play, 4) == 0)
            tn_ignore(tn_sleep(tn_in(draw(play, 3) * TN_MS)));
    }
    return tn_ok();
}

struct one {
    struct play *play;
    struct tn_conn *conn;
};

static tn_err take_one(void *arg)
{
    struct one *self = arg;

    return tn_accept(self->play->listener, &self->conn, TN_NEVER);
}

/* Another that accepts by tasks which it soon cancels. */
static tn_err take_fickly(void *arg)
{
    struct play *play = arg;

    while (!play->over) {
        struct one one = { .play = play };
        struct tn_task *task = NULL;
        tn_err result;

        assert_ok(tn_go(NULL, take_one, &one, NULL, &task));
        tn_ignore(tn_sleep(tn_in(draw(play, 3) * TN_MS / 2)));
        tn_cancel(task);
        assert_ok(tn_join(&task, &result, tn_shielded(TN_MINUTE)));
        assert_int_equal(result.kind, one.conn != NULL ? TN_OK : TN_CANCELED);
        play->canceled += tn_failed(result);
        if (one.conn != NULL)
            serve(play, &one.conn);
    }
    return tn_ok();
}

struct client {
    struct play *play;
    unsigned char number;
};

static tn_err ask_once(struct client *self)
{
    struct tn_conn *conn = NULL;
    unsigned char answer = 0;
    tn_err err = tn_dial(&conn, "10.0.0.1:7000", NULL, TN_NEVER);

    if (tn_failed(err))
        return err;
    err = tn_write(conn, &self->number, 1, NULL, TN_NEVER);
    if (!tn_failed(err))
        err = tn_read_all(conn, &answer, 1, NULL,
                          tn_in(self->play->want ? TN_SECOND : TN_MINUTE));
    if (!tn_failed(err))
        assert_int_equal(answer, self->number);
    if (!tn_failed(err))
        err = tn_close(&conn, NULL, TN_NEVER);
    tn_abort(&conn);
    return err;
}

/* Where there are too few descriptors for all, the waiting clients may have them all: they
 * give up in the end, and come again. */
static tn_err ask(void *arg)
{
    struct client *self = arg;
    tn_err err;

    do {
        assert_ok(tn_sleep(tn_in(draw(self->play, 40) * TN_MS)));
        err = ask_once(self);
    } while (tn_failed(err) && self->play->want);
    assert_ok(err);
    self->play->answered++;
    return tn_ok();
}

static tn_err main_task(void *arg)
{
    struct play *play = arg;
    struct client clients[CLIENTS];
    struct tn_group *takers = NULL, *askers = NULL;

    assert_ok(tn_listen(&play->listener, "10.0.0.1:7000", NULL));
    assert_ok(tn_group_open(&takers, TN_GROUP_EACH_ALONE));
    assert_ok(tn_group_open(&askers, TN_GROUP_ALL_OR_NONE));
    assert_ok(tn_go(takers, take_fickly, play, NULL, NULL));
    for (int i = 1; i < TAKERS; i++)
        assert_ok(tn_go(takers, take, play, NULL, NULL));
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){ play, (unsigned char)i };
        assert_ok(tn_go(askers, ask, &clients[i], NULL, NULL));
    }
    assert_ok(tn_group_wait(askers, tn_in(10 * TN_MINUTE)));
    play->over = true;
    tn_group_cancel(takers);
    tn_ignore(tn_group_wait(takers, TN_NEVER));
    tn_group_close(&takers);
    tn_group_close(&askers);
    play->pauses = tn_accept_pauses(play->listener);
    tn_listener_close(&play->listener);
    return tn_ok();
}

static tn_err ask_for_the_dead(void *arg)
{
    struct tn_conn *near = NULL, *far = NULL;
    struct tn_listener *listener = NULL;
    tn_addr name, found;
    char byte;
    int fd;

    (void)arg;
    assert_ok(tn_listen(&listener, "10.0.0.1:7000", NULL));
    assert_ok(tn_dial(&near, "10.0.0.1:7000", NULL, TN_NEVER));
    assert_ok(tn_accept(listener, &far, TN_NEVER));
    assert_ok(tn_release(&far, &fd, TN_NEVER)); /* or the address of accept(2) is known */
    assert_ok(tn_adopt(&far, fd, NULL));
    name = tn_local(near);
    tn_abort(&near);
    assert_kind(tn_read(far, &byte, 1, NULL, tn_in(TN_MINUTE)), TN_RESET);
    found = tn_peer(far);
    assert_true(tn_addr_same(&found, &name));
    tn_abort(&far);
    tn_listener_close(&listener);
    return tn_ok();
}

/* As on Linux, where only SO_PEERNAME tells it. */
TEST_ON_DRIVERS(who_has_reset_still_has_a_name)
{
    static const uint32_t none[TN_SIM_FAULT_COUNT];
    struct tn_sim_options options = { .seed = 1,
                                      .chances = none,
                                      .driver = test_driver() };

    assert_ok(tn_sim_run(ask_for_the_dead, NULL, &options, NULL));
}

TEST_ON_DRIVERS(each_connection_is_given_out_once_and_none_is_left_waiting, .limit_s = 60)
{
    unsigned waits_ended = 0, canceled = 0;
    uint64_t pauses = 0;

    for (uint64_t seed = 1; seed <= SEEDS / test_scale(); seed++) {
        bool want = seed % 5 == 0;
        struct tn_sim_options options = { .seed = seed,
                                          .chances = chances,
                                          .descriptors = want ? FEW : 500,
                                          .driver = test_driver() };
        struct play play = { .random = seed, .want = want };
        struct tn_sim_outcome outcome;

        assert_ok(tn_sim_run(main_task, &play, &options, &outcome));
        assert_int_equal(play.answered, CLIENTS);
        for (int i = 0; i < CLIENTS; i++)
            assert_true(want || play.given[i] == 1);
        assert_int_equal(outcome.descriptors, 0);
        waits_ended += play.waits_ended;
        canceled += play.canceled;
        pauses += play.pauses;
    }
    assert_int_not_equal(pauses, 0);
    assert_int_not_equal(canceled, 0);
    assert_int_not_equal(waits_ended, 0);
}
