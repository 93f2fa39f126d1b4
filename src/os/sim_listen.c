/* SPDX-License-Identifier: MIT */
/*
 * sim_listen.c -- the beginnings of the simulator's TCP: bind, listen, accept, connect.
 *
 * A listener keeps two queues: the handshakes under way and the connections that are
 * ready.  As on Linux, backlog + 1 may be ready; then SYNs, and the last step of
 * handshakes, are dropped and come again.
 */
#include <errno.h>
#include <string.h>

#include "os/sim_tcp.h"

#define BACKLOG_MOST 4096 /* net.core.somaxconn */
#define PORT_FIRST   32768
#define PORT_COUNT   28000

static struct sim_tcp *tcp_at(struct link *in_sim)
{
    struct sim_file *file = &CONTAINER(in_sim, struct sim_socket, in_sim)->file;

    return file->calls == &sim_tcp_calls ? sim_tcp_of(file) : NULL;
}

static struct sim_tcp *child_at(struct link *in_listener)
{
    return CONTAINER(in_listener, struct sim_tcp, in_listener);
}

/* ---- bind ---- */

/* Whether a socket on ONE also hears what is sent to OTHER. */
static bool covers(const struct sim_tcp *one, const struct sim_addr *other)
{
    if (sim_addr_same_ip(&one->local, other))
        return true;
    if (!sim_addr_any(&one->local))
        return false;
    if (sim_addr_any_of_both(&one->local))
        return !(sim_addr_ipv4(other) && one->base.settings.only_ipv6);
    return sim_addr_ipv4(other);
}

/* Linux: inet_csk_bind_conflict.  LISTENS: TCP is about to listen there. */
static bool in_use(struct sim *sim, const struct sim_tcp *tcp,
                   const struct sim_addr *addr, bool listens)
{
    struct sim_tcp wish = *tcp;
    const struct sim_settings *mine = &tcp->base.settings;

    wish.local = *addr;
    for (struct link *at = sim->sockets.next; at != &sim->sockets; at = at->next) {
        const struct sim_tcp *other = tcp_at(at);
        const struct sim_settings *theirs;

        if (other == NULL || other == tcp || other->local.port != addr->port ||
            !(covers(other, addr) || covers(&wish, &other->local)))
            continue;
        if (other->state == SIM_CLOSE && !other->bound && !other->time_wait)
            continue;
        theirs = &other->base.settings;
        if (mine->reuse_port && theirs->reuse_port)
            continue;
        if (mine->reuse_address && theirs->reuse_address &&
            !(listens && other->state == SIM_LISTEN) && other->state != SIM_LISTEN)
            continue;
        return true;
    }
    return false;
}

static int bind_to_free_port(struct sim *sim, struct sim_tcp *tcp,
                             const struct sim_addr *addr)
{
    struct sim_addr wish = *addr;

    for (unsigned tries = 0; tries < PORT_COUNT; tries++) {
        wish.port = sim->next_port;
        sim->next_port++;
        if (sim->next_port >= PORT_FIRST + PORT_COUNT)
            sim->next_port = PORT_FIRST;
        if (in_use(sim, tcp, &wish, false))
            continue;
        tcp->local = wish;
        return 0;
    }
    return -EADDRINUSE;
}

int sim_tcp_bind(struct sim *sim, struct sim_tcp *tcp, const struct sim_addr *addr)
{
    int result = 0;

    if (tcp->bound || tcp->state != SIM_CLOSE || tcp->local.port != 0)
        return -EINVAL;
    if (!sim_addr_any(addr) && !sim_addr_local(addr))
        return -EADDRNOTAVAIL;
    if (addr->port == 0)
        result = bind_to_free_port(sim, tcp, addr);
    else if (in_use(sim, tcp, addr, false))
        result = -EADDRINUSE;
    else
        tcp->local = *addr;
    tcp->bound = result == 0;
    return result;
}

/* ---- listen and accept ---- */

int sim_tcp_listen(struct sim *sim, struct sim_tcp *tcp, int backlog)
{
    struct sim_addr any = { { 0 }, 0 };
    int result = 0;

    if (tcp->state != SIM_CLOSE && tcp->state != SIM_LISTEN)
        return -EINVAL;
    if (tcp->connecting || tcp->connected)
        return -EINVAL;
    if (tcp->base.domain == AF_INET)
        any.ip[10] = any.ip[11] = 0xff;
    if (tcp->local.port == 0)
        result = bind_to_free_port(sim, tcp, &any);
    else if (tcp->state != SIM_LISTEN && in_use(sim, tcp, &tcp->local, true))
        result = -EADDRINUSE;
    if (result < 0)
        return result;
    tcp->backlog = backlog < 0 || backlog > BACKLOG_MOST ? BACKLOG_MOST : backlog;
    tcp->state = SIM_LISTEN;
    tcp->bound = true;
    tcp->base.shut = 0;
    return 0;
}

/* CHILD leaves its listener's queue and is nobody's. */
static void orphan(struct sim_tcp *child)
{
    if (child->state != SIM_SYN_RECV)
        child->listener->ready_count--;
    list_remove(&child->in_listener);
    child->listener = NULL;
}

/* A connection that nobody will have: it is reset, as by inet_csk_listen_stop. */
static void refuse_ready(struct sim *sim, struct sim_tcp *child)
{
    list_remove(&child->in_listener);
    child->listener->ready_count--;
    child->listener = NULL;
    child->base.open = false;
    if (child->state != SIM_CLOSE)
        sim_tcp_send_flags(sim, child, SIM_RST | SIM_ACK);
    sim_tcp_done(sim, child);
}

void sim_listen_stop(struct sim *sim, struct sim_tcp *tcp)
{
    struct link *link;

    while ((link = list_first(&tcp->children)) != NULL)
        sim_tcp_done(sim, child_at(link)); /* silently; a reset answers what comes */
    while ((link = list_first(&tcp->ready)) != NULL)
        refuse_ready(sim, child_at(link));
}

int sim_tcp_accept(struct sim *sim, struct sim_tcp *tcp, struct sim_tcp **child)
{
    struct link *link = list_first(&tcp->ready);

    if (tcp->state != SIM_LISTEN)
        return -EINVAL;
    if (link == NULL)
        return -EAGAIN;
    if (sim_strikes(sim, &sim->chance_call, SIM_ABORTED)) {
        refuse_ready(sim, child_at(link));
        return -ECONNABORTED;
    }
    *child = child_at(link);
    orphan(*child);
    return 0;
}

/* Who listens at ADDR: an exact address before a wildcard, one of several by chance. */
static struct sim_tcp *listener_at(struct sim *sim, const struct sim_addr *addr)
{
    struct sim_tcp *best = NULL;
    uint64_t equals = 0;

    for (struct link *at = sim->sockets.next; at != &sim->sockets; at = at->next) {
        struct sim_tcp *tcp = tcp_at(at);
        bool exact, better;

        if (tcp == NULL || tcp->state != SIM_LISTEN || tcp->local.port != addr->port ||
            !covers(tcp, addr))
            continue;
        exact = sim_addr_same_ip(&tcp->local, addr);
        better = best == NULL || (exact && !sim_addr_same_ip(&best->local, addr));
        if (better)
            equals = 0;
        else if (exact != sim_addr_same_ip(&best->local, addr))
            continue;
        equals++;
        if (better || sim_random_below(&sim->chance_net, equals) == 0)
            best = tcp;
    }
    return best;
}

void sim_listen_syn(struct sim *sim, struct sim_wire *wire)
{
    struct sim_tcp *listener = listener_at(sim, &wire->addr[1]);
    struct sim_segment reset = { .flags = SIM_RST | SIM_ACK };
    struct sim_tcp *child;

    if (listener == NULL) {
        wire->truth[1].reset_sent = true;
        sim_wire_send(sim, wire, 1, &reset, NULL, 0);
        return;
    }
    if (listener->ready_count > listener->backlog) {
        sim_count(sim, SIM_BACKLOG);
        return;
    }
    child = sim_tcp_new(sim, listener->base.domain, 0);
    if (child == NULL)
        return; /* the SYN will come again */
    child->base.settings = listener->base.settings;
    child->local = wire->addr[1];
    child->peer = wire->addr[0];
    child->connected = true;
    child->wire = wire;
    child->side = 1;
    wire->end[1] = wire->socket[1] = child;
    wire->had_server = true;
    child->state = SIM_SYN_RECV;
    child->since = child->heard = sim->now;
    child->listener = listener;
    list_append(&listener->children, &child->in_listener);
    sim_tcp_send_flags(sim, child, SIM_SYN | SIM_ACK);
    sim_tcp_retransmit_set(sim, child);
}

bool sim_listen_established(struct sim *sim, struct sim_tcp *tcp)
{
    struct sim_tcp *listener = tcp->listener;

    if (listener->ready_count > listener->backlog) {
        sim_count(sim, SIM_BACKLOG);
        return false;
    }
    list_remove(&tcp->in_listener);
    list_append(&listener->ready, &tcp->in_listener);
    listener->ready_count++;
    sim_wake(sim, &listener->base.file, SIM_KEY_IN);
    return true;
}

/* ---- connect ---- */

/* Not when both ends are on their way and all is sent: Linux says nothing then. */
static bool needs_reset(const struct sim_tcp *tcp)
{
    if (tcp->state == SIM_CLOSING || tcp->state == SIM_LAST_ACK)
        return tcp->next != tcp->written;
    return tcp->state == SIM_ESTABLISHED || tcp->state == SIM_CLOSE_WAIT ||
           tcp->state == SIM_FIN_WAIT1 || tcp->state == SIM_FIN_WAIT2 ||
           tcp->state == SIM_SYN_RECV;
}

/* Linux: tcp_disconnect. */
void sim_tcp_disconnect(struct sim *sim, struct sim_tcp *tcp)
{
    if (tcp->state == SIM_LISTEN)
        sim_listen_stop(sim, tcp);
    else if (needs_reset(tcp))
        sim_tcp_send_flags(sim, tcp, SIM_RST | SIM_ACK);
    sim_tcp_timers_clear(sim, tcp);
    if (tcp->wire != NULL)
        tcp->wire->truth[tcp->side].closed = true;
    sim_tcp_detach(tcp);
    sim_bytes_release(&tcp->out);
    sim_bytes_release(&tcp->base.in);
    tcp->state = SIM_CLOSE;
    tcp->time_wait = tcp->connecting = tcp->connected = tcp->fin = false;
    tcp->fin_received = false;
    tcp->written = tcp->una = tcp->next = tcp->furthest = tcp->window_end = 0;
    tcp->received = tcp->copied = tcp->offered = tcp->recover = tcp->urgent_sent = 0;
    tcp->urgent = SIM_URGENT_NONE;
    tcp->retries = tcp->probes_out = tcp->probe_backoff = tcp->same_acks = 0;
    tcp->stamp_wanted_count = tcp->stamp_count = 0;
    tcp->icmp_queued = false;
    tcp->since = tcp->rtt = tcp->rtt_start = 0;
    tcp->base.shut = 0;
    memset(&tcp->peer, 0, sizeof(tcp->peer));
    if (!tcp->bound)
        memset(&tcp->local, 0, sizeof(tcp->local));
    sim_wake(sim, &tcp->base.file, 0);
}

/* The address that a connection to TO comes from, where the program has chosen none. */
static void choose_source(const struct sim_addr *to, struct sim_addr *from)
{
    uint16_t port = from->port;

    *from = *to;
    from->port = port;
    if (sim_addr_ipv4(to)) { /* 127.0.0.1, or 10.0.0.1 */
        from->ip[12] = to->ip[12] == 127 ? 127 : 10;
        from->ip[13] = from->ip[14] = 0;
        from->ip[15] = 1;
    } else {
        memset(from->ip + 1, 0, 14);
        from->ip[15] = 1;
    }
}

/* Connecting to a wildcard is connecting to loopback. */
static struct sim_addr destination(const struct sim_addr *addr)
{
    struct sim_addr to = *addr;

    if (sim_addr_any_of_both(addr)) {
        to.ip[15] = 1;
    } else if (sim_addr_any(addr)) {
        to.ip[12] = 127;
        to.ip[15] = 1;
    }
    return to;
}

static int start(struct sim *sim, struct sim_tcp *tcp, const struct sim_addr *addr)
{
    struct sim_addr to = destination(addr);
    struct sim_addr from = tcp->local;
    int result;

    if (sim_addr_answer(sim, &to) == SIM_HAS_NO_NETWORK) {
        sim_count(sim, SIM_UNREACHABLE);
        return -ENETUNREACH;
    }
    if (sim_addr_any(&from))
        choose_source(&to, &from);
    if (from.port == 0) {
        result = bind_to_free_port(sim, tcp, &from);
        if (result < 0)
            return -EADDRNOTAVAIL;
        from = tcp->local;
    }
    tcp->wire = sim_wire_new(sim, &from, &to);
    if (tcp->wire == NULL)
        return -ENOBUFS;
    tcp->local = from;
    tcp->peer = to;
    tcp->side = 0;
    tcp->wire->end[0] = tcp->wire->socket[0] = tcp;
    tcp->state = SIM_SYN_SENT;
    tcp->connecting = true;
    tcp->since = tcp->heard = sim->now;
    tcp->base.shut = 0;
    if (tcp->wire->answer ==
        SIM_IS_FENCED) { /* Linux: tcp_v4_err, the socket being owned */
        tcp->base.soft_error = EHOSTUNREACH;
        tcp->icmp_queued = true;
    } else {
        sim_tcp_send_flags(sim, tcp, SIM_SYN);
    }
    sim_tcp_retransmit_set(sim, tcp);
    return -EINPROGRESS;
}

/* Linux: __inet_stream_connect. */
int sim_tcp_connect(struct sim *sim, struct sim_tcp *tcp, const struct sim_addr *addr)
{
    int error;

    if (tcp->connected)
        return -EISCONN;
    if (!tcp->connecting)
        return tcp->state != SIM_CLOSE ? -EISCONN : start(sim, tcp, addr);
    if (tcp->state == SIM_SYN_SENT)
        return -EALREADY;
    if (tcp->state == SIM_CLOSE) {
        error = sim_socket_error(&tcp->base);
        sim_tcp_disconnect(sim, tcp);
        return error != 0 ? error : -ECONNABORTED;
    }
    tcp->connecting = false;
    tcp->connected = true;
    return 0;
}
