/* SPDX-License-Identifier: MIT */
/*
 * sim_tcp.c -- the simulator's TCP, receiving: what a segment does to a connection.
 *
 * It follows Linux (net/ipv4/tcp_input.c) where a program can see the difference: which
 * errors a reset leaves, what wakes whom, that bytes arriving after close are answered
 * with a reset (RFC 1122, 4.2.2.13), how urgent data moves, and that the FIN's
 * acknowledgement is a wake-up of its own.
 */
#include <errno.h>

#include "os/sim_tcp.h"

#define TIME_WAIT_LENGTH (60 * SIM_SECOND)
#define FIN_WAIT2_LENGTH (60 * SIM_SECOND)

static void wake(struct sim *sim, struct sim_tcp *tcp, uint32_t key)
{
    if (tcp->base.open)
        sim_wake(sim, &tcp->base.file, key);
}

/* Linux: sk_stream_write_space, only for who has met a full buffer. */
void sim_tcp_wake_write(struct sim *sim, struct sim_tcp *tcp)
{
    size_t limit = (size_t)tcp->base.settings.send_buffer / 2;
    size_t used = tcp->out.size;

    if (!tcp->base.no_space || used >= limit || limit - used < used / 2)
        return;
    tcp->base.no_space = false;
    wake(sim, tcp, SIM_KEY_OUT);
}

void sim_tcp_done(struct sim *sim, struct sim_tcp *tcp)
{
    struct sim_tcp *listener = tcp->listener;
    bool half_open = listener != NULL && tcp->state == SIM_SYN_RECV;

    if (tcp->wire != NULL && tcp->wire->end[tcp->side] == tcp)
        tcp->wire->end[tcp->side] = NULL;
    sim_tcp_timers_clear(sim, tcp);
    tcp->state = SIM_CLOSE;
    tcp->time_wait = false;
    tcp->base.shut = SIM_SHUT_BOTH;
    wake(sim, tcp, 0);
    if (half_open) { /* nobody will ever accept it */
        list_remove(&tcp->in_listener);
        tcp->listener = NULL;
        tcp->base.open = false;
    }
    sim_tcp_free_if_over(sim, tcp);
}

void sim_tcp_fail(struct sim *sim, struct sim_tcp *tcp, int error)
{
    tcp->base.error = error;
    sim_bytes_release(&tcp->out);
    wake(sim, tcp, SIM_KEY_ERR);
    sim_tcp_done(sim, tcp);
}

void sim_tcp_reset(struct sim *sim, struct sim_tcp *tcp)
{
    if (tcp->wire != NULL)
        tcp->wire->truth[tcp->side].reset_received = true;
    if (tcp->time_wait) {
        sim_tcp_done(sim, tcp);
        return;
    }
    switch (tcp->state) {
    case SIM_CLOSE:
        break;
    case SIM_SYN_SENT:
        sim_tcp_fail(sim, tcp, ECONNREFUSED);
        break;
    case SIM_CLOSE_WAIT:
        sim_tcp_fail(sim, tcp, EPIPE);
        break;
    default:
        sim_tcp_fail(sim, tcp, ECONNRESET);
        break;
    }
}

/* The program sees it closed; the kernel still answers a FIN that comes again. */
static void enter_time_wait(struct sim *sim, struct sim_tcp *tcp)
{
    sim_tcp_timers_clear(sim, tcp);
    tcp->state = SIM_CLOSE;
    tcp->time_wait = true;
    tcp->base.shut = SIM_SHUT_BOTH;
    sim_tcp_life(sim, tcp, TIME_WAIT_LENGTH);
    wake(sim, tcp, 0);
}

static void take_in_time_wait(struct sim *sim, struct sim_tcp *tcp,
                              const struct sim_segment *segment)
{
    if ((segment->flags & SIM_RST) != 0)
        sim_tcp_done(sim, tcp);
    else if (segment->size > 0 || (segment->flags & (SIM_FIN | SIM_PROBE)) != 0)
        sim_tcp_ack(sim, tcp);
}

static void take_syn_sent(struct sim *sim, struct sim_tcp *tcp,
                          const struct sim_segment *segment)
{
    if ((segment->flags & SIM_RST) != 0) {
        sim_tcp_reset(sim, tcp);
        return;
    }
    if ((segment->flags & (SIM_SYN | SIM_ACK)) != (SIM_SYN | SIM_ACK))
        return;
    tcp->state = SIM_ESTABLISHED;
    tcp->window_end = segment->window_end;
    tcp->retries = 0;
    tcp->since = 0;
    sim_event_clear(sim, &tcp->retransmit);
    sim_tcp_ack(sim, tcp);
    sim_tcp_keepalive(sim, tcp);
    wake(sim, tcp, 0);
    sim_tcp_output(sim, tcp);
}

/* The last step of the handshake.  false: SEGMENT is dealt with. */
static bool take_syn_recv(struct sim *sim, struct sim_tcp *tcp,
                          const struct sim_segment *segment)
{
    if ((segment->flags & SIM_RST) != 0) {
        sim_tcp_done(sim, tcp);
        return false;
    }
    if ((segment->flags & SIM_SYN) != 0) {
        sim_tcp_send_flags(sim, tcp, SIM_SYN | SIM_ACK);
        return false;
    }
    if (!sim_listen_established(sim, tcp))
        return false;
    tcp->state = SIM_ESTABLISHED;
    tcp->window_end = segment->window_end;
    tcp->retries = 0;
    tcp->since = 0;
    sim_event_clear(sim, &tcp->retransmit);
    sim_tcp_keepalive(sim, tcp);
    return true;
}

/* RFC 5961: only a reset at the very place counts; another one is asked for. */
static void take_reset(struct sim *sim, struct sim_tcp *tcp,
                       const struct sim_segment *segment)
{
    if (segment->sequence == tcp->received)
        sim_tcp_reset(sim, tcp);
    else if (segment->sequence > tcp->received && segment->sequence <= tcp->offered)
        sim_tcp_ack(sim, tcp);
}

/* All we sent, and our FIN, is acknowledged.  false: the connection is over. */
static bool fin_acked(struct sim *sim, struct sim_tcp *tcp)
{
    switch (tcp->state) {
    case SIM_FIN_WAIT1:
        tcp->state = SIM_FIN_WAIT2;
        if (!tcp->base.open)
            sim_tcp_life(sim, tcp, FIN_WAIT2_LENGTH);
        wake(sim, tcp, 0);
        return true;
    case SIM_CLOSING:
        enter_time_wait(sim, tcp);
        return false;
    case SIM_LAST_ACK:
        sim_tcp_done(sim, tcp);
        return false;
    default:
        return true;
    }
}

/* false: the connection is over. */
static bool take_ack(struct sim *sim, struct sim_tcp *tcp,
                     const struct sim_segment *segment)
{
    bool opened = segment->window_end > tcp->window_end;

    if ((segment->flags & SIM_ACK) == 0 || segment->ack > tcp->furthest)
        return true;
    if (opened)
        tcp->window_end = segment->window_end;
    tcp->probes_out = 0;
    if (segment->ack > tcp->una) {
        sim_tcp_acked(sim, tcp, segment->ack);
        sim_stamp_acked(sim, tcp);
        sim_tcp_wake_write(sim, tcp);
        if (tcp->fin && tcp->una == tcp->written)
            return fin_acked(sim, tcp);
        return true;
    }
    if (opened && tcp->furthest == tcp->una && tcp->written > tcp->una) {
        tcp->probe_backoff = 0;
        sim_event_clear(sim, &tcp->retransmit); /* the output sets it anew */
    }
    if (segment->ack == tcp->una && segment->size == 0 && !opened &&
        (segment->flags & (SIM_FIN | SIM_PROBE)) == 0 && tcp->furthest > tcp->una &&
        ++tcp->same_acks == 3 && tcp->una >= tcp->recover) {
        tcp->recover = tcp->furthest;
        sim_tcp_resend(sim, tcp);
    }
    return true;
}

/* Linux: tcp_check_urg and tcp_urg. */
static void take_urgent(struct sim *sim, struct sim_tcp *tcp,
                        const struct sim_segment *segment)
{
    uint64_t at = segment->urgent;

    if ((segment->flags & SIM_URG) != 0 && at >= tcp->copied && at >= tcp->received &&
        !(tcp->urgent != SIM_URGENT_NONE && at <= tcp->urgent_at)) {
        if (tcp->urgent != SIM_URGENT_NONE && tcp->urgent_at == tcp->copied &&
            !tcp->base.settings.urgent_inline && tcp->base.in.size > 0) {
            sim_bytes_drop(&tcp->base.in, 1); /* the one at the mark goes unread */
            tcp->copied++;
        }
        tcp->urgent = SIM_URGENT_NOT_YET;
        tcp->urgent_at = at;
    }
    if (tcp->urgent == SIM_URGENT_NOT_YET && tcp->urgent_at >= segment->sequence &&
        tcp->urgent_at < segment->sequence + segment->size) {
        tcp->urgent_byte = segment->data[tcp->urgent_at - segment->sequence];
        tcp->urgent = SIM_URGENT_VALID;
        wake(sim, tcp, SIM_KEY_IN);
    }
}

/* The peer has ended its side.  false: ours had, and all is over. */
static bool take_fin(struct sim *sim, struct sim_tcp *tcp)
{
    tcp->received++;
    tcp->fin_received = true;
    tcp->base.shut |= SIM_SHUT_READ;
    sim_tcp_ack(sim, tcp);
    switch (tcp->state) {
    case SIM_ESTABLISHED:
        tcp->state = SIM_CLOSE_WAIT;
        break;
    case SIM_FIN_WAIT1:
        tcp->state = SIM_CLOSING;
        break;
    case SIM_FIN_WAIT2:
        enter_time_wait(sim, tcp);
        return false;
    default:
        break;
    }
    wake(sim, tcp, 0);
    return true;
}

/* Bytes for a program that has gone: the peer must learn that they are lost. */
static bool aborts_on_data(struct sim *sim, struct sim_tcp *tcp,
                           const struct sim_segment *segment)
{
    if ((tcp->base.shut & SIM_SHUT_READ) == 0 || tcp->fin_received ||
        (tcp->state != SIM_FIN_WAIT1 && tcp->state != SIM_FIN_WAIT2) ||
        segment->sequence + segment->size <= tcp->received)
        return false;
    sim_tcp_send_flags(sim, tcp, SIM_RST | SIM_ACK);
    sim_tcp_fail(sim, tcp, ECONNRESET);
    return true;
}

/* false: the connection is over. */
static bool take_data(struct sim *sim, struct sim_tcp *tcp,
                      const struct sim_segment *segment)
{
    uint64_t sequence = segment->sequence;
    bool fin = (segment->flags & SIM_FIN) != 0;
    uint64_t skip, take;

    if (segment->size == 0 && !fin) {
        if ((segment->flags & SIM_PROBE) != 0)
            sim_tcp_ack(sim, tcp);
        return true;
    }
    if (sequence > tcp->received || sequence + segment->size + fin <= tcp->received) {
        sim_tcp_ack(sim, tcp); /* a gap before it, or all of it known */
        return true;
    }
    if (aborts_on_data(sim, tcp, segment))
        return false;
    skip = tcp->received - sequence;
    take = segment->size > skip ? segment->size - skip : 0;
    if (take > tcp->offered - tcp->received) {
        take = tcp->offered - tcp->received;
        fin = false;
    }
    if (take > 0 && !sim_bytes_room(&tcp->base.in, (size_t)take))
        return true; /* no memory: it will come again */
    if (take > 0)
        sim_bytes_put(&tcp->base.in, segment->data + skip, (size_t)take);
    tcp->received += take;
    if (take > 0)
        wake(sim, tcp, SIM_KEY_IN);
    if (fin)
        return take_fin(sim, tcp);
    if (take > 0)
        sim_tcp_ack_soon(sim, tcp);
    else
        sim_tcp_ack(sim, tcp);
    return true;
}

static void take_icmp(struct sim *sim, struct sim_tcp *tcp)
{
    if (tcp->state == SIM_SYN_SENT)
        sim_tcp_fail(sim, tcp, EHOSTUNREACH);
    else
        tcp->base.soft_error = EHOSTUNREACH; /* told when TCP gives up */
}

void sim_tcp_input(struct sim *sim, struct sim_tcp *tcp,
                   const struct sim_segment *segment)
{
    if ((segment->flags & SIM_ICMP) != 0) {
        take_icmp(sim, tcp);
        return;
    }
    tcp->heard = sim->now;
    tcp->base.soft_error = 0;
    if (tcp->time_wait) {
        take_in_time_wait(sim, tcp, segment);
        return;
    }
    if (tcp->state == SIM_SYN_SENT) {
        take_syn_sent(sim, tcp, segment);
        return;
    }
    if (tcp->state == SIM_SYN_RECV && !take_syn_recv(sim, tcp, segment))
        return;
    if ((segment->flags & SIM_RST) != 0) {
        take_reset(sim, tcp, segment);
        return;
    }
    if ((segment->flags & SIM_SYN) != 0) { /* its answer was lost */
        sim_tcp_ack(sim, tcp);
        return;
    }
    if (!take_ack(sim, tcp, segment))
        return;
    take_urgent(sim, tcp, segment);
    if (take_data(sim, tcp, segment))
        sim_tcp_output(sim, tcp);
}
