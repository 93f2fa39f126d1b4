/* SPDX-License-Identifier: MIT */
/*
 * episodes.c -- the workloads that are programs people write: echo, relay, groups of
 * tasks, running out of descriptors, urgent bytes; and the table of all.
 */
#include "sim/world.h"

#include <string.h>

#define CALLERS_MOST 4

struct callers {
    const struct service *service;
    unsigned rounds;
    size_t most;
};

/* Run FN(ARG) as up to CALLERS_MOST tasks at once, and wait for them. */
static void call_together(tn_task_fn *fn, void *arg)
{
    struct tn_task_options options = { .name = "caller" };
    struct tn_group *group = NULL;

    must(!tn_failed(tn_group_open(&group, TN_GROUP_EACH_ALONE)));
    for (unsigned i = 1 + (unsigned)pick(CALLERS_MOST); i > 0; i--)
        must(!tn_failed(tn_go(group, fn, arg, &options, NULL)));
    must(!tn_failed(tn_group_wait(group, TN_NEVER)));
    tn_group_close(&group);
}

/* ---- echo ---- */

static tn_err echo_handler(struct side *side, void *arg)
{
    bool lease = chance(50);
    tn_err err = tn_ok();

    (void)arg;
    while (!tn_failed(err))
        err = op_echo(side, side, lease, TN_NEVER);
    if (err.kind == TN_EOF)
        tn_ignore(op_close(side, false, TN_NEVER));
    else
        op_abort(side);
    return tn_ok();
}

static void echo_rounds(struct side *side, const struct callers *callers)
{
    tn_err err = tn_ok();

    for (unsigned i = 0; i < callers->rounds && !tn_failed(err); i++) {
        size_t size = 1 + pick(callers->most);

        err =
            chance(50) ? op_write(side, size, TN_NEVER) : op_writev(side, size, TN_NEVER);
        if (!tn_failed(err))
            err = op_read_all(side, size, TN_NEVER);
    }
    if (tn_failed(err)) {
        op_abort(side);
        return;
    }
    if (chance(50) && !tn_failed(op_end(side)))
        err = op_read(side, 1, TN_NEVER); /* nothing but the end can come */
    must_of(side, err, err.kind == TN_EOF || !world->calm || !tn_failed(err));
    err = op_close(side, false, TN_NEVER);
    must_of(side, err, !world->calm || !tn_failed(err));
}

static tn_err echo_caller(void *arg)
{
    const struct callers *callers = arg;
    struct side *side = NULL;

    if (!tn_failed(op_dial(&side, &callers->service->addr, NULL, TN_NEVER))) {
        side_echoes(&side->ledger->side[1]);
        echo_rounds(side, callers);
    }
    return tn_ok();
}

void run_echo(void)
{
    struct service service;
    struct callers callers = { &service, 1 + (unsigned)pick(40),
                               (size_t)1 << (3 + pick(12)) };

    if (!service_open(&service, chance(50) ? "10.0.0.3:0" : "[fd00::3]:0", 0, NULL,
                      echo_handler, NULL))
        return;
    call_together(echo_caller, &callers);
    service_close(&service);
}

/* ---- relay ---- */

struct pump {
    struct side *from, *to;
    struct tn_group *group;
};

static tn_err pump_main(void *arg)
{
    const struct pump *pump = arg;
    bool lease = chance(70);
    tn_err err = tn_ok();

    while (!tn_failed(err))
        err = op_echo(pump->from, pump->to, lease, TN_NEVER);
    if (err.kind == TN_EOF)
        return op_end(pump->to);
    return err; /* the group cancels the other direction */
}

static tn_err relay_handler(struct side *near, void *arg)
{
    const struct service *server = arg;
    struct tn_task_options options = { .name = "pump" };
    struct tn_group *group = NULL;
    struct side *far = NULL;
    struct pump pumps[2];
    tn_err err = op_dial(&far, &server->addr, NULL, TN_NEVER);

    if (tn_failed(err)) {
        op_abort(near);
        return tn_ok();
    }
    /* What goes through keeps the pattern of who wrote it first. */
    far->key = near->expected_key;
    far->ledger->side[1].expected_key = far->key;
    near->key = far->expected_key;
    near->ledger->side[0].expected_key = near->key;
    pumps[0] = (struct pump){ near, far, NULL };
    pumps[1] = (struct pump){ far, near, NULL };
    must(!tn_failed(tn_group_open(&group, TN_GROUP_ALL_OR_NONE)));
    for (int i = 0; i < 2; i++)
        must(!tn_failed(tn_go(group, pump_main, &pumps[i], &options, NULL)));
    err = tn_group_wait(group, TN_NEVER);
    tn_group_close(&group);
    if (tn_failed(err)) {
        op_abort(near);
        op_abort(far);
    } else {
        tn_ignore(op_close(near, false, TN_NEVER));
        tn_ignore(op_close(far, false, TN_NEVER));
    }
    return tn_ok();
}

static tn_err relay_server(struct side *side, void *arg)
{
    const struct callers *callers = arg;
    tn_err err = tn_ok();

    while (!tn_failed(err))
        err = op_some_read(side, callers->most, false);
    if (err.kind == TN_EOF) /* a late reply, after the peer's half-close */
        tn_ignore(op_write(side, 1 + pick(callers->most), TN_NEVER));
    tn_ignore(op_close(side, false, tn_in(10 * TN_SECOND)));
    return tn_ok();
}

static tn_err relay_caller(void *arg)
{
    const struct callers *callers = arg;
    struct side *side = NULL;
    tn_err err = op_dial(&side, &callers->service->addr, NULL, TN_NEVER);

    if (tn_failed(err))
        return tn_ok();
    for (unsigned i = 0; i < callers->rounds && !tn_failed(err); i++)
        err = op_write(side, 1 + pick(callers->most), TN_NEVER);
    if (!tn_failed(err))
        err = op_end(side);
    while (!tn_failed(err))
        err = op_some_read(side, callers->most, false);
    must_of(side, err, err.kind == TN_EOF || !world->calm);
    err = op_close(side, false, tn_in(10 * TN_SECOND));
    must_of(side, err, !tn_failed(err) || !world->calm);
    return tn_ok();
}

void run_relay(void)
{
    struct service relay, server;
    struct callers callers = { &relay, 1 + (unsigned)pick(30),
                               (size_t)1 << (5 + pick(11)) };

    if (!service_open(&server, "10.0.0.5:0", 0, NULL, relay_server, &callers))
        return;
    if (service_open(&relay, "10.0.0.4:0", 0, NULL, relay_handler, &server)) {
        call_together(relay_caller, &callers);
        service_close(&relay);
    }
    service_close(&server);
}

/* ---- groups ---- */

struct member {
    const struct service *service;
    int code;           /* of the one that fails */
    int64_t fail_after; /* 0: this one does not */
};

static tn_err member_main(void *arg)
{
    const struct member *member = arg;
    struct side *side = NULL;
    tn_err err;

    if (member->fail_after > 0) {
        err = op_sleep(member->fail_after);
        return tn_failed(err) ? err : tn_err_user(TN_SYSTEM, member->code);
    }
    err = op_dial(&side, &member->service->addr, NULL, TN_NEVER);
    if (!tn_failed(err))
        side_echoes(&side->ledger->side[1]);
    for (int i = 0; i < 20 && !tn_failed(err); i++) {
        size_t size = 1 + pick(3000);

        err = op_write(side, size, TN_NEVER);
        if (!tn_failed(err))
            err = op_read_all(side, size, TN_NEVER);
        if (!tn_failed(err))
            err = op_sleep(pick_time(TN_MS));
    }
    if (side == NULL)
        return tn_canceled() ? err : tn_ok();
    /* Clean-up, canceled or not, is not cut short. */
    tn_ignore(op_close(side, tn_canceled(), tn_shielded(TN_SECOND)));
    return tn_canceled() && err.kind == TN_CANCELED ? err : tn_ok();
}

void run_groups(void)
{
    struct tn_task_options options = { .name = "member" };
    struct member members[5];
    struct tn_group *group = NULL;
    struct service service;
    bool one_fails = chance(60);
    tn_err err;

    if (!service_open(&service, "10.0.0.6:0", 0, NULL, echo_handler, NULL))
        return;
    must(!tn_failed(tn_group_open(&group, TN_GROUP_ALL_OR_NONE)));
    for (int i = 0; i < 5; i++) {
        members[i] = (struct member){ &service, 4711, 0 };
        if (one_fails && i == 3)
            members[i].fail_after = 1 + pick_time(100 * TN_MS);
        must(!tn_failed(tn_go(group, member_main, &members[i], &options, NULL)));
    }
    err = tn_group_wait(group, TN_NEVER);
    must(one_fails ? err.domain == TN_DOMAIN_USER && err.code == 4711 : !tn_failed(err));
    tn_group_close(&group);
    service_close(&service);
}

/* ---- out of descriptors ---- */

static tn_err drain_handler(struct side *side, void *arg)
{
    tn_err err = tn_ok();

    (void)arg;
    while (!tn_failed(err))
        err = op_read(side, 100, TN_NEVER);
    tn_ignore(op_close(side, false, tn_in(TN_SECOND)));
    return tn_ok();
}

void run_limits(void)
{
    struct side *sides[40];
    struct service service;
    unsigned count = 0, wish = 1 + (unsigned)pick(40);

    if (world->weather.descriptors < 100 && wish < 20)
        wish += 20; /* where there are few, they do run out */
    if (!service_open(&service, "10.0.0.7:0", (int)pick(20), NULL, drain_handler, NULL))
        return;
    while (count < wish) {
        tn_err err =
            op_dial(&sides[count], &service.addr, NULL, tn_in(pick_time(TN_SECOND)));

        if (tn_failed(err))
            break;
        tn_ignore(op_write(sides[count], 1 + pick(200), TN_NEVER));
        count++;
    }
    /* Who is not accepted yet may be so only once others have ended: nobody waits for ever. */
    for (unsigned i = 0; i < count; i++)
        op_some_ending_by(sides[i], tn_in(pick_time(TN_SECOND)));
    service_close(&service);
}

/* ---- urgent ---- */

struct alarm {
    unsigned sent, heard;
    uint64_t offset; /* of the last one sent */
    bool over;       /* the dialler's connection */
    struct side *to;
};

static tn_err alarm_listen(void *arg)
{
    struct alarm *alarm = arg;

    for (;;) {
        uint64_t offset = UINT64_MAX;
        char byte = 0;
        tn_err err;

        world->begun++;
        err = tn_wait_urgent(alarm->to->conn, &byte, &offset, TN_NEVER);
        world->ended++;
        say("urgent %u at %llu: kind %u", alarm->heard, (unsigned long long)offset,
            err.kind);
        if (tn_failed(err))
            return tn_ok();
        must_of(alarm->to, err, alarm->heard < alarm->sent);
        must_of(alarm->to, err, byte == (char)('A' + alarm->heard));
        must_of(alarm->to, err, offset == alarm->offset);
        alarm->heard++;
    }
}

/*
 * One at a time: a second would make the first an ordinary byte, as long as its mark has
 * not been read over.
 */
static bool waits_for_last(const struct alarm *alarm)
{
    return alarm->sent > 0 && !alarm->over &&
           (alarm->heard < alarm->sent || alarm->to->read <= alarm->offset);
}

static tn_err alarm_send_one(struct alarm *alarm, struct side *side)
{
    tn_err err = tn_ok();

    for (int64_t wait = TN_MS; waits_for_last(alarm); wait *= 2) {
        err = op_sleep(wait);
        if (tn_failed(err))
            return err;
        must_of(alarm->to, err, wait < 60 * TN_MINUTE); /* else it got lost */
    }
    if (alarm->over)
        return err;
    alarm->offset = side->written;
    world->begun++;
    alarm->sent++;
    err = tn_send_urgent(side->conn, (char)('A' + alarm->sent - 1), TN_NEVER);
    world->ended++;
    say("sent urgent %u at %llu: kind %u", alarm->sent - 1,
        (unsigned long long)side->written, err.kind);
    if (tn_failed(err))
        alarm->sent--;
    else
        side->urgents++;
    return err.kind == TN_IN_USE ? tn_ok() : err; /* heard, and not acknowledged yet */
}

struct alarm_sender {
    struct alarm *alarm;
    struct side *side;
};

static tn_err alarm_send(void *arg)
{
    const struct alarm_sender *sender = arg;
    tn_err err = tn_ok();

    for (unsigned i = 0; i < 10 && !tn_failed(err); i++) {
        err = op_write(sender->side, 1 + pick(2000), TN_NEVER);
        if (!tn_failed(err) && chance(60))
            err = alarm_send_one(sender->alarm, sender->side);
    }
    return tn_failed(err) ? err : op_end(sender->side);
}

static tn_err alarm_handler(struct side *side, void *arg)
{
    struct tn_task_options options = { .name = "listener" };
    struct tn_task *listener = NULL;
    struct alarm *alarm = arg;
    tn_err err = tn_ok();

    side->urgent_used = true;
    alarm->to = side;
    must(!tn_failed(tn_go(NULL, alarm_listen, alarm, &options, &listener)));
    while (!tn_failed(err))
        err = op_read(side, 1 + pick(500), TN_NEVER);
    tn_cancel(listener); /* what has come before it still hears */
    must(!tn_failed(tn_join(&listener, NULL, TN_NEVER)));
    must_of(side, err, err.kind != TN_EOF || alarm->heard == alarm->sent);
    tn_ignore(op_close(side, false, tn_in(TN_SECOND)));
    return tn_ok();
}

void run_urgent(void)
{
    struct tn_conn_options options = { .urgent = true };
    struct tn_task_options task = { .name = "sender" };
    struct alarm alarm = { 0 };
    struct alarm_sender sender = { .alarm = &alarm };
    struct tn_task *writer = NULL;
    struct service service;

    if (!service_open(&service, "10.0.0.8:0", 0, &options, alarm_handler, &alarm))
        return;
    if (!tn_failed(op_dial(&sender.side, &service.addr, &options, TN_NEVER))) {
        sender.side->urgent_used = true;
        must(!tn_failed(tn_go(NULL, alarm_send, &sender, &task, &writer)));
        while (!tn_failed(op_read(sender.side, 1, TN_NEVER)))
            continue;
        alarm.over = true;
        tn_cancel(writer);
        must(!tn_failed(tn_join(&writer, NULL, TN_NEVER)));
        tn_ignore(op_close(sender.side, false, tn_in(TN_SECOND)));
    }
    service_close(&service);
}

const struct episode episodes[] = {
    { "echo", run_echo, 4 },     { "duplex", run_duplex, 6 },
    { "relay", run_relay, 4 },   { "confirm", run_confirm, 3 },
    { "storm", run_storm, 5 },   { "modes", run_modes, 3 },
    { "groups", run_groups, 2 }, { "limits", run_limits, 2 },
    { "urgent", run_urgent, 2 }, { "unix", run_unix, 2 },
    { "pump", run_pump, 4 },     { NULL, NULL, 0 },
};
