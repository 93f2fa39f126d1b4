/* SPDX-License-Identifier: MIT */
/*
 * duplex.c -- workloads in which both sides write and read at once, each in its manner:
 * close races, confirm, cancel storms, changes of the receive mode.
 *
 * A side reads until the peer's end, while a task of its own writes and then ends.  A side
 * that stops early cancels its writer and ends in some way, so every pair comes to an end.
 */
#include "sim/world.h"

#include <string.h>

struct manner {
    size_t most;       /* bytes in one operation */
    unsigned chunks;   /* writes */
    unsigned pauses;   /* percent of the operations after which it sleeps */
    int64_t pause;     /* at most */
    unsigned confirms; /* percent of the writes that are confirmed */
    unsigned early;    /* percent of the reads after which it stops */
    bool storm;        /* operations are canceled */
    bool phases;       /* small messages and large ones in turn */
};

struct player {
    struct side *side;
    struct manner manner;
};

static size_t most_now(const struct manner *manner, uint64_t offset)
{
    if (!manner->phases)
        return manner->most;
    return (offset >> 15 & 1) != 0 ? 65536 : 100;
}

static tn_err play_writer(void *arg)
{
    const struct player *player = arg;
    const struct manner *manner = &player->manner;
    struct side *side = player->side;
    unsigned chunks = 1 + (unsigned)pick(manner->chunks);
    tn_err err = tn_ok();

    for (unsigned i = 0; i < chunks && !tn_failed(err); i++) {
        err = op_some_write(side, most_now(manner, side->written), manner->storm);
        if (!tn_failed(err) && chance(manner->confirms)) {
            err = op_confirm(side, pick_deadline());
            if (err.kind == TN_DEADLINE)
                err = tn_ok();
        }
        if (!tn_failed(err) && chance(manner->pauses))
            err = op_sleep(pick_time(manner->pause));
    }
    return tn_failed(err) ? err : op_end(side);
}

/* Read until the end, an error, or no longer wanting to.  true: all has been read. */
static bool play_reader(const struct player *player)
{
    const struct manner *manner = &player->manner;
    struct side *side = player->side;

    for (;;) {
        tn_err err = op_some_read(side, most_now(manner, side->read), manner->storm);

        if (err.kind == TN_EOF)
            return true;
        if (tn_failed(err) || chance(manner->early))
            return false;
        if (chance(manner->pauses) && tn_failed(op_sleep(pick_time(manner->pause))))
            return false;
    }
}

/* Both directions of SIDE, and its end. */
static void play(struct side *side, const struct manner *manner)
{
    struct player player = { side, *manner };
    struct tn_task_options options = { .name = "writer" };
    struct tn_task *writer = NULL;
    tn_deadline patience = tn_in(pick_time(20 * TN_SECOND));
    bool complete;

    must(!tn_failed(tn_go(NULL, play_writer, &player, &options, &writer)));
    complete = play_reader(&player);
    if (!complete)
        tn_cancel(writer);
    tn_ignore(tn_join(&writer, NULL, TN_NEVER)); /* its error shows in ours */
    if (writer != NULL) {                        /* we are canceled ourselves */
        tn_cancel(writer);
        must(!tn_failed(tn_join(&writer, NULL, tn_shielded(60 * TN_MINUTE))));
    }
    /* With bytes unread on both sides neither would ever be acknowledged. */
    if (complete)
        op_some_ending(side);
    else if (chance(30))
        op_abort(side);
    else
        tn_ignore(op_close(side, chance(30), patience));
}

static tn_err play_handler(struct side *side, void *arg)
{
    play(side, arg);
    return tn_ok();
}

struct caller {
    const struct service *service;
    const struct manner *manner;
    struct tn_conn_options options;
};

static tn_err play_caller(void *arg)
{
    const struct caller *caller = arg;
    struct side *side = NULL;

    for (unsigned i = 1 + (unsigned)pick(3); i > 0; i--) {
        tn_err err = op_dial(&side, &caller->service->addr, &caller->options,
                             chance(80) ? TN_NEVER : tn_in(pick_time(200 * TN_MS)));
        if (!tn_failed(err))
            play(side, caller->manner);
    }
    return tn_ok();
}

static void call(const struct service *service, const struct manner *manner,
                 const struct tn_conn_options *conn_options)
{
    struct tn_task_options options = { .name = "caller" };
    struct caller callers[4];
    struct tn_group *group = NULL;

    must(!tn_failed(tn_group_open(&group, TN_GROUP_EACH_ALONE)));
    for (unsigned i = 1 + (unsigned)pick(4); i > 0; i--) {
        callers[i - 1] = (struct caller){ service, manner, *conn_options };
        must(!tn_failed(tn_go(group, play_caller, &callers[i - 1], &options, NULL)));
    }
    must(!tn_failed(tn_group_wait(group, TN_NEVER)));
    tn_group_close(&group);
}

static bool serve(struct service *service, const struct manner *manner,
                  const struct tn_conn_options *conn_options)
{
    return service_open(service, "10.0.0.2:0", chance(20) ? 1 : 0, conn_options,
                        play_handler, (void *)(uintptr_t)manner);
}

static void run_manner(const struct manner *manner,
                       const struct tn_conn_options *conn_options)
{
    struct service service;

    if (!serve(&service, manner, conn_options))
        return;
    call(&service, manner, conn_options);
    service_close(&service);
}

/* Buffers small enough to fill, time-outs short enough to strike. */
static struct tn_conn_options some_options(void)
{
    struct tn_conn_options options = {
        .confirmable = chance(30),
        .nagle = chance(20),
        .user_timeout = chance(30) ? TN_SECOND + pick_time(20 * TN_SECOND) : 0,
        .send_buffer = chance(30) ? 2500 + (int)pick(60000) : 0,
        .receive_buffer = chance(30) ? 1200 + (int)pick(60000) : 0,
    };

    return options;
}

void run_duplex(void)
{
    struct manner manner = { .most = (size_t)1 << (4 + pick(14)),
                             .chunks = 30,
                             .pauses = chance(50) ? 20 : 0,
                             .pause = 20 * TN_MS,
                             .confirms = 5,
                             .early = chance(50) ? 3 : 0 };
    struct tn_conn_options options = some_options();

    run_manner(&manner, &options);
}

/* Small pieces and streams, with a relay of pumps between the two sides. */
void run_pump(void)
{
    struct manner manner = { .most = (size_t)1 << (5 + pick(14)),
                             .chunks = 30,
                             .pauses = chance(50) ? 20 : 0,
                             .pause = 20 * TN_MS,
                             .confirms = 5,
                             .early = chance(30) ? 2 : 0 };
    struct tn_conn_options options = some_options();
    struct service service, relay;

    if (!serve(&service, &manner, &options))
        return;
    if (service_open(&relay, "10.0.0.9:0", 0, &options, pump_handler, &service)) {
        call(&relay, &manner, &options);
        service_close(&relay);
    }
    service_close(&service);
}

void run_confirm(void)
{
    struct manner manner = { .most = (size_t)1 << (4 + pick(12)),
                             .chunks = 40,
                             .pauses = 10,
                             .pause = 100 * TN_MS,
                             .confirms = 50 };
    struct tn_conn_options options = some_options();

    options.confirmable = chance(50);
    run_manner(&manner, &options);
}

void run_storm(void)
{
    struct manner manner = { .most = (size_t)1 << (4 + pick(13)),
                             .chunks = 60,
                             .pauses = 5,
                             .pause = 10 * TN_MS,
                             .confirms = 5,
                             .early = chance(30) ? 1 : 0,
                             .storm = true };
    struct tn_conn_options options = some_options();

    run_manner(&manner, &options);
}

void run_modes(void)
{
    struct manner manner = { .chunks = 80,
                             .pauses = 10,
                             .pause = 30 * TN_MS,
                             .storm = chance(50),
                             .phases = true };
    struct tn_conn_options options = { .confirmable = chance(50) };

    run_manner(&manner, &options);
}

static tn_err play_task(void *arg)
{
    const struct player *player = arg;

    play(player->side, &player->manner);
    return tn_ok();
}

void run_unix(void)
{
    struct manner manner = { .most = (size_t)1 << (4 + pick(13)),
                             .chunks = 30,
                             .pauses = 10,
                             .pause = TN_MS,
                             .confirms = 10,
                             .early = chance(30) ? 3 : 0,
                             .storm = chance(50) };
    struct tn_task_options options = { .name = "unix" };
    struct tn_conn *near = NULL, *far = NULL;
    struct player players[2];
    struct side *sides[2];
    struct tn_group *group = NULL;
    tn_err err = tn_pair(&near, &far);

    if (tn_failed(err)) {
        must(err.kind == TN_LIMIT);
        return;
    }
    pair_open(near, far, sides);
    must(!tn_failed(tn_group_open(&group, TN_GROUP_EACH_ALONE)));
    for (int i = 0; i < 2; i++) {
        players[i] = (struct player){ sides[i], manner };
        must(!tn_failed(tn_go(group, play_task, &players[i], &options, NULL)));
    }
    must(!tn_failed(tn_group_wait(group, TN_NEVER)));
    tn_group_close(&group);
}
