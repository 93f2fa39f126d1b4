/* SPDX-License-Identifier: MIT */
/*
 * world.c -- chance, ledgers, and services.
 */
#include "sim/world.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct world *world;

uint64_t pick(uint64_t limit)
{
    uint64_t z = world->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return limit > 1 ? z % limit : 0;
}

bool chance(unsigned percent)
{
    return pick(100) < percent;
}

int64_t pick_time(int64_t most)
{
    return (int64_t)pick((uint64_t)most + 1);
}

tn_deadline pick_deadline(void)
{
    switch (pick(10)) {
    case 0:
        return TN_NOW;
    case 1:
    case 2:
        return tn_in(pick_time(30 * TN_MS));
    case 3:
        return tn_in(pick_time(2 * TN_SECOND));
    default:
        return TN_NEVER;
    }
}

void say(const char *format, ...)
{
    va_list list;

    if (!world->verbose)
        return;
    printf("%14.6f ms  %-10s ", (double)(sim_now(world->sim) - 1000 * TN_SECOND) / 1e6,
           tn_task_name());
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    printf("\n");
    fflush(stdout);
}

/* ---- ledgers ---- */

static struct ledger *ledger_new(struct sim_wire *wire)
{
    struct ledger *made = calloc(1, sizeof(*made));

    must(made != NULL);
    made->wire = wire;
    made->id = world->ledger_count++;
    for (int at = 0; at < 2; at++) {
        made->side[at] = (struct side){ .ledger = made, .at = at };
        made->side[at].key = made->id * 2 + (unsigned)at;
        made->side[at].expected_key = made->id * 2 + (unsigned)!at;
    }
    made->next = world->ledgers;
    world->ledgers = made;
    return made;
}

static struct ledger *ledger_of(struct sim_wire *wire)
{
    struct ledger *ledger = world->ledgers;

    while (ledger != NULL && ledger->wire != wire)
        ledger = ledger->next;
    return ledger != NULL ? ledger : ledger_new(wire);
}

void ledgers_free(void)
{
    while (world->ledgers != NULL) {
        struct ledger *next = world->ledgers->next;

        free(world->ledgers);
        world->ledgers = next;
    }
}

struct side *side_open(struct tn_conn *conn, const struct tn_conn_options *options)
{
    tn_addr local = tn_local(conn), peer = tn_peer(conn);
    struct sockaddr_in6 from = { 0 }, to = { 0 };
    struct sim_wire *wire;
    struct side *side;
    int at;

    must(local.size > 0 && local.size <= sizeof(from));
    must(peer.size > 0 && peer.size <= sizeof(to));
    memcpy(&from, local.as.bytes, local.size);
    memcpy(&to, peer.as.bytes, peer.size);
    wire = sim_wire_at(world->sim, (struct sockaddr *)&from, (struct sockaddr *)&to, &at);
    must(wire != NULL);
    side = &ledger_of(wire)->side[at];
    must(side->conn == NULL && side->written == 0 && side->read == 0);
    side->conn = conn;
    if (options != NULL)
        side->conn_options = *options;
    return side;
}

void pair_open(struct tn_conn *near, struct tn_conn *far, struct side *sides[2])
{
    struct ledger *ledger = ledger_new(NULL);

    ledger->side[0].conn = near;
    ledger->side[1].conn = far;
    sides[0] = &ledger->side[0];
    sides[1] = &ledger->side[1];
}

void side_echoes(struct side *side)
{
    side->key = side->expected_key;
    side->ledger->side[!side->at].expected_key = side->key;
}

/* ---- services ---- */

struct handling {
    struct service *service;
    struct side *side;
};

static tn_err handle_one(void *arg)
{
    struct handling *handling = arg;
    struct service *service = handling->service;
    struct side *side = handling->side;

    free(handling);
    return service->handler(side, service->arg);
}

static void accept_one(struct service *service, struct tn_conn *conn)
{
    struct tn_task_options options = { .name = "handler" };
    struct handling *handling = malloc(sizeof(*handling));
    tn_err err;

    must(handling != NULL);
    handling->service = service;
    handling->side = side_open(conn, &service->options);
    say("accepted %u", handling->side->ledger->id);
    err = tn_go(service->group, handle_one, handling, &options, NULL);
    must(!tn_failed(err));
}

static tn_err accept_all(void *arg)
{
    struct service *service = arg;

    for (;;) {
        struct tn_conn *conn = NULL;
        tn_deadline deadline = chance(80) ? TN_NEVER : tn_in(pick_time(50 * TN_MS));
        tn_err err;

        world->begun++;
        err = tn_accept(service->listener, &conn, deadline);
        world->ended++;
        if (err.kind == TN_CANCELED)
            return tn_ok();
        if (err.kind == TN_DEADLINE)
            continue;
        /* An option refused on a connection just accepted is the only way to fail. */
        if (tn_failed(err))
            must(world->weather.chances.of[SIM_OPTION] > 0);
        else
            accept_one(service, conn);
    }
}

bool service_open(struct service *service, const char *where, int backlog,
                  const struct tn_conn_options *options,
                  tn_err (*handler)(struct side *side, void *arg), void *arg)
{
    struct tn_listen_options listen = { .backlog = backlog };
    struct tn_task_options task = { .name = "acceptor" };
    tn_err err;

    memset(service, 0, sizeof(*service));
    if (options != NULL)
        listen.conn = service->options = *options;
    err = tn_listen(&service->listener, where, &listen);
    if (tn_failed(err)) {
        must(err.kind == TN_LIMIT || world->weather.chances.of[SIM_OPTION] > 0);
        return false;
    }
    service->addr = tn_listener_addr(service->listener);
    service->handler = handler;
    service->arg = arg;
    must(!tn_failed(tn_group_open(&service->group, TN_GROUP_EACH_ALONE)));
    must(!tn_failed(tn_go(NULL, accept_all, service, &task, &service->acceptor)));
    service->open = true;
    return true;
}

void service_close(struct service *service)
{
    tn_err result = tn_ok();

    if (!service->open)
        return;
    tn_cancel(service->acceptor);
    must(!tn_failed(tn_join(&service->acceptor, &result, TN_NEVER)));
    must(!tn_failed(result));
    must(!tn_failed(tn_group_wait(service->group, TN_NEVER)));
    tn_group_close(&service->group);
    tn_listener_close(&service->listener);
    service->open = false;
}
