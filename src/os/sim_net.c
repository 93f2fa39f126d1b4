/* SPDX-License-Identifier: MIT */
/*
 * sim_net.c -- the simulated network: connections as pairs of directed ways, and the
 * segments on them.
 *
 * A segment takes the time its link needs to send it and then a delay; it never overtakes
 * an earlier one of its way.  It can be lost: by chance, or while the way is cut.  Where
 * nobody expects it, the host answers with a reset, and a route can say that there is no
 * such host.
 *
 * A wire outlives its connection, so that an oracle can ask what became of it.
 *
 * Always true: end[side] is NULL, or a socket whose wire and side point back.
 */
#include <errno.h>
#include <string.h>

#include "os/sim_tcp.h"

#define SEGMENT_DEFAULT 16384
#define HEADER_SIZE     60 /* of TCP and IP, for the rate of a link */

struct sim_place {
    struct link in_sim;
    struct sim_addr addr;
    struct sim_route route;
};

static const struct sim_route *route_of(struct sim *sim, const struct sim_addr *addr)
{
    static const struct sim_route nowhere = { .answer = SIM_HAS_NO_NETWORK };
    const struct sim_route *found = NULL;

    for (struct link *at = sim->routes.next; at != &sim->routes; at = at->next) {
        struct sim_place *place = CONTAINER(at, struct sim_place, in_sim);

        if (!sim_addr_same_ip(&place->addr, addr))
            continue;
        if (place->addr.port == addr->port)
            return &place->route;
        if (place->addr.port == 0)
            found = &place->route;
    }
    if (found != NULL)
        return found;
    return sim_addr_local(addr) ? &sim->options.route : &nowhere;
}

int sim_route_set(struct sim *sim, const struct sockaddr *addr, socklen_t size,
                  const struct sim_route *route)
{
    struct sim_place *place = sim_new(sizeof(*place));
    int result;

    if (place == NULL)
        return -ENOMEM;
    result = sim_addr_from(&place->addr, AF_UNSPEC, addr, size);
    if (result < 0) {
        sim_free(place);
        return result;
    }
    place->route = *route;
    list_append(&sim->routes, &place->in_sim);
    /* The newest counts, so it comes first. */
    list_remove(&place->in_sim);
    place->in_sim.next = sim->routes.next;
    place->in_sim.prev = &sim->routes;
    sim->routes.next->prev = &place->in_sim;
    sim->routes.next = &place->in_sim;
    return 0;
}

enum sim_answer sim_addr_answer(struct sim *sim, const struct sim_addr *addr)
{
    return route_of(sim, addr)->answer;
}

/* ---- wires ---- */

/* Whether WIRE is still the way between two ends. */
static bool alive(const struct sim_wire *wire)
{
    return wire->end[0] != NULL && wire->end[1] != NULL;
}

static void strike(struct sim *sim, struct sim_event *event)
{
    struct sim_wire *wire = CONTAINER(event, struct sim_wire, strike);
    struct sim_random *chance = &sim->chance_net;
    int side = wire->fault_side;

    if (!alive(wire) || !sim_may_strike(sim))
        return;
    wire->struck = true;
    switch (wire->fault) {
    case SIM_CUT:
        sim_wire_cut(sim, wire, side, sim_random_between(chance, SIM_MS, 4 * SIM_SECOND));
        if (sim_random_below(chance, 2) == 0)
            sim_wire_cut(sim, wire, !side,
                         sim_random_between(chance, SIM_MS, 4 * SIM_SECOND));
        break;
    case SIM_DEAD:
        sim_wire_die(sim, wire);
        break;
    case SIM_RESTART:
        sim_wire_forget(sim, wire, side);
        break;
    case SIM_RESET:
        sim_wire_reset(sim, wire);
        break;
    default:
        sim_wire_window(sim, wire, side,
                        sim_random_between(chance, SIM_MS, 10 * SIM_SECOND));
        break;
    }
}

static void window_opens(struct sim *sim, struct sim_wire *wire, int side)
{
    struct sim_tcp *tcp = wire->socket[side];

    if (tcp == NULL)
        return;
    tcp->window_shut = false;
    if (wire->end[side] == tcp && tcp->state != SIM_SYN_SENT)
        sim_tcp_ack(sim, tcp);
}

static void window_opens_0(struct sim *sim, struct sim_event *event)
{
    window_opens(sim, CONTAINER(event, struct sim_wire, window[0]), 0);
}

static void window_opens_1(struct sim *sim, struct sim_event *event)
{
    window_opens(sim, CONTAINER(event, struct sim_wire, window[1]), 1);
}

/* Draw what shall befall WIRE in its life, and when. */
static void draw_fault(struct sim *sim, struct sim_wire *wire)
{
    struct sim_random *chance = &sim->chance_net;

    wire->fault = -1;
    wire->fault_side = (int)sim_random_below(chance, 2);
    for (int fault = SIM_CUT; fault <= SIM_WINDOW && wire->fault < 0; fault++) {
        if (sim->options.chances.of[fault] != 0 &&
            sim_random_below(chance, 1000000) < sim->options.chances.of[fault])
            wire->fault = fault;
    }
    if (wire->fault >= 0)
        sim_event_set(sim, &wire->strike,
                      sim->now +
                          sim_random_between(chance, 0, sim->options.fault_within));
}

/* What the client will meet, by the route and by chance. */
static enum sim_answer draw_answer(struct sim *sim, const struct sim_route *route)
{
    static const struct {
        enum sim_fault fault;
        enum sim_answer answer;
    } bad[] = { { SIM_REFUSED, SIM_REFUSES },
                { SIM_SILENT, SIM_IS_SILENT },
                { SIM_UNREACHABLE, SIM_HAS_NO_HOST },
                { SIM_UNREACHABLE, SIM_IS_FENCED } };

    for (int i = 0; i < 4; i++) {
        if (route->answer == SIM_ANSWERS &&
            sim_strikes(sim, &sim->chance_net, bad[i].fault))
            return bad[i].answer;
        if (route->answer == bad[i].answer)
            sim_count(sim, bad[i].fault);
    }
    return route->answer;
}

struct sim_wire *sim_wire_new(struct sim *sim, const struct sim_addr *from,
                              const struct sim_addr *to)
{
    const struct sim_route *route = route_of(sim, to);
    struct sim_wire *wire = sim_new(sizeof(*wire));

    if (wire == NULL || sim_room(sim, 3) < 0) {
        sim_free(wire);
        return NULL;
    }
    wire->number = ++sim->last_wire;
    wire->addr[0] = *from;
    wire->addr[1] = *to;
    wire->way[0].link = route->there;
    wire->way[1].link = route->back;
    wire->segment = route->segment != 0 ? route->segment : SEGMENT_DEFAULT;
    wire->ack_delay = route->ack_delay;
    wire->strike.run = strike;
    wire->window[0].run = window_opens_0;
    wire->window[1].run = window_opens_1;
    wire->answer = draw_answer(sim, route);
    for (int side = 0; side < 2; side++) {
        wire->truth[side].digest_written = SIM_DIGEST_START;
        wire->truth[side].digest_read = SIM_DIGEST_START;
    }
    draw_fault(sim, wire);
    list_append(&sim->wires, &wire->in_sim);
    sim_trace(sim, 'W', wire->number, to->port);
    return wire;
}

static void segment_free(struct sim *sim, struct sim_segment *segment)
{
    sim_event_clear(sim, &segment->event);
    list_remove(&segment->in_sim);
    sim_room_back(sim, 1);
    sim_free(segment);
}

void sim_wires_free(struct sim *sim)
{
    struct link *link;

    while ((link = list_first(&sim->segments)) != NULL)
        segment_free(sim, CONTAINER(link, struct sim_segment, in_sim));
    while ((link = list_first(&sim->wires)) != NULL) {
        struct sim_wire *wire = CONTAINER(link, struct sim_wire, in_sim);

        for (int side = 0; side < 2; side++) {
            if (wire->end[side] != NULL) /* in its last states: nobody has it open */
                sim_tcp_done(sim, wire->end[side]);
            sim_event_clear(sim, &wire->window[side]);
        }
        sim_event_clear(sim, &wire->strike);
        list_remove(link);
        sim_room_back(sim, 3);
        sim_free(wire);
    }
    while ((link = list_first(&sim->routes)) != NULL) {
        list_remove(link);
        sim_free(CONTAINER(link, struct sim_place, in_sim));
    }
}

struct sim_wire *sim_wire_of(struct sim *sim, int fd, int *side)
{
    struct sim_file *file = sim_file_at(sim, fd);

    if (file == NULL || file->calls != &sim_tcp_calls)
        return NULL;
    *side = sim_tcp_of(file)->side;
    return sim_tcp_of(file)->wire;
}

struct sim_wire *sim_wire_at(struct sim *sim, const struct sockaddr *local,
                             const struct sockaddr *peer, int *side)
{
    struct sim_addr addr[2];
    const struct sockaddr *given[2] = { local, peer };

    for (int i = 0; i < 2; i++) {
        if (sim_addr_from(&addr[i], AF_UNSPEC, given[i], sizeof(struct sockaddr_in6)) < 0)
            return NULL;
    }
    /* The newest first: an old one may have had the same addresses. */
    for (struct link *at = sim->wires.prev; at != &sim->wires; at = at->prev) {
        struct sim_wire *wire = CONTAINER(at, struct sim_wire, in_sim);

        for (int i = 0; i < 2; i++) {
            if (memcmp(&wire->addr[i], &addr[0], sizeof(addr[0])) == 0 &&
                memcmp(&wire->addr[!i], &addr[1], sizeof(addr[1])) == 0) {
                *side = i;
                return wire;
            }
        }
    }
    return NULL;
}

void sim_truth(const struct sim_wire *wire, int side, struct sim_truth *truth)
{
    *truth = wire->truth[side];
    if (wire->socket[side] != NULL)
        sim_tcp_tell(wire->socket[side], truth);
}

int sim_wire_fault(const struct sim_wire *wire)
{
    return wire->struck ? wire->fault : -1;
}

/* ---- segments ---- */

static int64_t arrival(struct sim *sim, struct sim_way *way, uint32_t size)
{
    const struct sim_link *link = &way->link;
    int64_t start = way->free > sim->now ? way->free : sim->now;
    int64_t busy = 0, arrives;

    if (link->rate > 0)
        busy =
            (int64_t)((uint64_t)(size + HEADER_SIZE) * (uint64_t)SIM_SECOND / link->rate);
    way->free = start + busy;
    arrives = way->free +
              sim_random_between(&sim->chance_net, link->delay_min, link->delay_max);
    if (sim_strikes(sim, &sim->chance_net, SIM_SLOW))
        arrives += sim_random_between(&sim->chance_net, SIM_MS, 600 * SIM_MS);
    if (arrives <= way->last)
        arrives = way->last + 1;
    way->last = arrives;
    return arrives;
}

static bool lost(struct sim *sim, const struct sim_way *way)
{
    if (way->cut_until > sim->now)
        return true;
    if (way->link.loss > 0 &&
        sim_random_below(&sim->chance_net, 1000000) < way->link.loss) {
        sim_count(sim, SIM_LOSS);
        return true;
    }
    return sim_strikes(sim, &sim->chance_net, SIM_LOSS);
}

/* The host at TO has no end of the wire: it listens, or says that it knows of nothing. */
static void nobody_there(struct sim *sim, struct sim_wire *wire,
                         const struct sim_segment *segment)
{
    bool first = segment->to == 1 && (segment->flags & (SIM_SYN | SIM_ACK)) == SIM_SYN;
    struct sim_segment reply = { .flags = SIM_RST | SIM_ACK };

    if ((segment->flags & SIM_RST) != 0)
        return;
    if (first && wire->answer == SIM_IS_SILENT)
        return;
    if (first && (wire->answer == SIM_HAS_NO_HOST || wire->answer == SIM_IS_FENCED)) {
        reply.flags = SIM_ICMP;
    } else if (first && wire->answer == SIM_ANSWERS && !wire->had_server) {
        sim_listen_syn(sim, wire);
        return;
    }
    reply.sequence = segment->ack;
    reply.ack = segment->sequence + segment->size;
    wire->truth[segment->to].reset_sent = true;
    sim_wire_send(sim, wire, segment->to, &reply, NULL, 0);
}

static void segment_arrives(struct sim *sim, struct sim_event *event)
{
    struct sim_segment *segment = CONTAINER(event, struct sim_segment, event);
    struct sim_wire *wire = segment->wire;
    struct sim_tcp *tcp = wire->end[segment->to];

    sim_trace(sim, 'S', (uint64_t)wire->number << 8 | segment->flags,
              segment->sequence ^ segment->ack << 32);
    if (tcp != NULL)
        sim_tcp_input(sim, tcp, segment);
    else if ((segment->flags & SIM_ICMP) == 0)
        nobody_there(sim, wire, segment);
    segment_free(sim, segment);
}

void sim_wire_send(struct sim *sim, struct sim_wire *wire, int side,
                   const struct sim_segment *header, const struct sim_bytes *bytes,
                   size_t at)
{
    struct sim_way *way = &wire->way[side];
    struct sim_segment *segment;

    sim->facts.segments++;
    if (lost(sim, way))
        return;
    segment = sim_new(sizeof(*segment) + header->size);
    if (segment == NULL || sim_room(sim, 1) < 0) { /* no memory: as if it were lost */
        sim_free(segment);
        sim_count(sim, SIM_LOSS);
        return;
    }
    *segment = *header;
    if (header->size > 0)
        sim_bytes_copy(bytes, at, segment->data, header->size);
    list_init(&segment->in_sim);
    list_append(&sim->segments, &segment->in_sim);
    segment->event = (struct sim_event){ .run = segment_arrives };
    segment->wire = wire;
    segment->to = !side;
    if (way->unreachable) { /* a router answers */
        segment->to = (uint8_t)side;
        segment->flags = SIM_ICMP;
    }
    sim_event_set(sim, &segment->event, arrival(sim, way, header->size));
}

/* ---- faults by name ---- */

void sim_wire_reset(struct sim *sim, struct sim_wire *wire)
{
    sim_count(sim, SIM_RESET);
    for (int side = 0; side < 2; side++) {
        if (wire->end[side] != NULL)
            sim_tcp_reset(sim, wire->end[side]);
    }
}

void sim_wire_cut(struct sim *sim, struct sim_wire *wire, int side, int64_t length)
{
    sim_count(sim, SIM_CUT);
    wire->way[side].cut_until =
        length > SIM_FOREVER - sim->now ? SIM_FOREVER : sim->now + length;
}

void sim_wire_die(struct sim *sim, struct sim_wire *wire)
{
    sim_count(sim, SIM_DEAD);
    wire->way[0].cut_until = wire->way[1].cut_until = SIM_FOREVER;
}

/* The program there fails as by `ss -K`, but nothing is sent: the peer is left alone. */
void sim_wire_forget(struct sim *sim, struct sim_wire *wire, int side)
{
    struct sim_tcp *tcp = wire->end[side];

    sim_count(sim, SIM_RESTART);
    wire->end[side] = NULL;
    if (tcp != NULL)
        sim_tcp_fail(sim, tcp, ECONNABORTED);
}

void sim_wire_window(struct sim *sim, struct sim_wire *wire, int side, int64_t length)
{
    struct sim_tcp *tcp = wire->end[side];

    if (tcp == NULL)
        return;
    sim_count(sim, SIM_WINDOW);
    tcp->window_shut = true;
    if (length < SIM_FOREVER - sim->now)
        sim_event_set(sim, &wire->window[side], sim->now + length);
}

void sim_wire_unreachable(struct sim *sim, struct sim_wire *wire, int side)
{
    sim_count(sim, SIM_UNREACHABLE);
    wire->way[side].unreachable = true;
}
