/* SPDX-License-Identifier: MIT */
/*
 * sim_tcp_out.c -- the simulator's TCP, sending: what goes out when, and the timers.
 *
 * Go-back-N: after a time-out or three equal acknowledgements, sending begins again at
 * the first unacknowledged byte (RFC 9293; RFC 6298 for the time-out).  There is no
 * congestion window: the peer's window and the link's rate are all that hold it back.
 *
 * `retransmit` is the timer of what is unacknowledged, or of window probes while the
 * window is shut; `life` that of keepalive, of FIN_WAIT2 without a program, and of
 * TIME_WAIT.
 */
#include <errno.h>

#include "os/sim_tcp.h"

/* Linux: include/net/tcp.h and the sysctls' defaults. */
#define RTO_FIRST       SIM_SECOND
#define RTO_LEAST       (200 * SIM_MS)
#define RTO_MOST        (120 * SIM_SECOND)
#define RETRIES         15U /* tcp_retries2 */
#define RETRIES_ORPHAN  8U
#define RETRIES_SYN_ACK 5U
#define FIN_TIMEOUT     (60 * SIM_SECOND)

static struct sim_tcp *self_at(struct sim_event *event, size_t offset)
{
    return (struct sim_tcp *)(void *)((char *)event - offset);
}

/* ---- sending ---- */

size_t sim_tcp_window(const struct sim_tcp *tcp)
{
    size_t most = (size_t)tcp->base.settings.receive_buffer / 2;

    if (tcp->window_shut || tcp->base.in.size >= most)
        return 0;
    return most - tcp->base.in.size;
}

/* Send a segment with FLAGS and SIZE bytes from SEQUENCE on. */
static void transmit(struct sim *sim, struct sim_tcp *tcp, unsigned flags,
                     uint64_t sequence, uint32_t size)
{
    uint64_t end = tcp->received + sim_tcp_window(tcp);
    struct sim_segment header = {
        .flags = (uint8_t)flags, .size = size, .sequence = sequence, .ack = tcp->received
    };

    if (tcp->wire == NULL || tcp->wire->end[tcp->side] != tcp)
        return;
    if (end > tcp->offered) /* never taken back: RFC 9293, 3.8.6 */
        tcp->offered = end;
    header.window_end = tcp->offered;
    if (tcp->urgent_sent > sequence && size > 0) {
        header.flags |= SIM_URG;
        header.urgent = tcp->urgent_sent - 1;
    }
    tcp->unacked_segments = 0;
    sim_event_clear(sim, &tcp->delayed_ack);
    sim_wire_send(sim, tcp->wire, tcp->side, &header, &tcp->out,
                  size > 0 ? (size_t)(sequence - tcp->una) : 0);
}

void sim_tcp_send_flags(struct sim *sim, struct sim_tcp *tcp, unsigned flags)
{
    if ((flags & SIM_RST) != 0 && tcp->wire != NULL && tcp->wire->end[tcp->side] == tcp)
        tcp->wire->truth[tcp->side].reset_sent = true;
    transmit(sim, tcp, flags, tcp->furthest, 0);
}

void sim_tcp_ack(struct sim *sim, struct sim_tcp *tcp)
{
    sim_tcp_send_flags(sim, tcp, SIM_ACK);
}

void sim_tcp_ack_soon(struct sim *sim, struct sim_tcp *tcp)
{
    tcp->unacked_segments++;
    if (tcp->wire->ack_delay <= 0 || tcp->unacked_segments >= 2)
        sim_tcp_ack(sim, tcp);
    else if (!timer_is_set(&tcp->delayed_ack.timer))
        sim_event_set(sim, &tcp->delayed_ack, sim->now + tcp->wire->ack_delay);
}

/* One segment at `next`, of at most what the window takes.  false: there is none. */
static bool send_next(struct sim *sim, struct sim_tcp *tcp)
{
    uint64_t end = tcp->fin ? tcp->written - 1 : tcp->written;
    uint64_t room = tcp->window_end > tcp->next ? tcp->window_end - tcp->next : 0;
    uint64_t size = end > tcp->next ? end - tcp->next : 0;
    bool fin;

    if (size > tcp->wire->segment)
        size = tcp->wire->segment;
    if (size > room)
        size = room;
    fin = tcp->fin && tcp->next + size == end && room > size;
    if (size == 0 && !fin)
        return false;
    /* Nagle: a small segment waits while others are unacknowledged; corked, always. */
    if (!fin && size < tcp->wire->segment && tcp->next + size == end &&
        tcp->next == tcp->furthest && !tcp->base.settings.no_delay &&
        tcp->furthest > tcp->una)
        return false;
    if (tcp->next == tcp->una)
        tcp->since = tcp->since != 0 ? tcp->since : sim->now;
    if (tcp->next == tcp->furthest && tcp->rtt_start == 0) {
        tcp->rtt_start = sim->now;
        tcp->rtt_sequence = tcp->next;
    }
    transmit(sim, tcp, SIM_ACK | (fin ? SIM_FIN : 0), tcp->next, (uint32_t)size);
    tcp->next += size + fin;
    if (tcp->next > tcp->furthest)
        tcp->furthest = tcp->next;
    return true;
}

static int64_t timeout_of(const struct sim_tcp *tcp)
{
    int64_t length = tcp->rtt > 0 ? tcp->rtt + 4 * tcp->rtt_variance : RTO_FIRST;
    unsigned doubled = tcp->retries + tcp->probe_backoff;

    if (length < RTO_LEAST)
        length = RTO_LEAST;
    for (unsigned i = 0; i < doubled && length < RTO_MOST; i++)
        length *= 2;
    return length < RTO_MOST ? length : RTO_MOST;
}

/* The user's time-out shortens the last wait (tcp_clamp_rto_to_user_timeout). */
void sim_tcp_retransmit_set(struct sim *sim, struct sim_tcp *tcp)
{
    int64_t user = tcp->base.settings.user_timeout_ms * SIM_MS;
    int64_t point = sim->now + timeout_of(tcp);

    if (user > 0 && tcp->since > 0 && point > tcp->since + user)
        point = tcp->since + user > sim->now ? tcp->since + user : sim->now + SIM_MS;
    sim_event_set(sim, &tcp->retransmit, point);
}

void sim_tcp_output(struct sim *sim, struct sim_tcp *tcp)
{
    if (tcp->wire == NULL || tcp->wire->end[tcp->side] != tcp || tcp->time_wait ||
        tcp->state == SIM_SYN_SENT || tcp->state == SIM_SYN_RECV ||
        tcp->state == SIM_CLOSE)
        return;
    while (send_next(sim, tcp))
        continue;
    if (tcp->written > tcp->una && !timer_is_set(&tcp->retransmit.timer)) {
        if (tcp->since == 0)
            tcp->since = sim->now;
        sim_tcp_retransmit_set(sim, tcp);
    }
}

void sim_tcp_send_fin(struct sim *sim, struct sim_tcp *tcp)
{
    tcp->fin = true;
    tcp->written++;
    sim_tcp_output(sim, tcp);
}

void sim_tcp_resend(struct sim *sim, struct sim_tcp *tcp)
{
    tcp->next = tcp->una;
    tcp->rtt_start = 0; /* Karn: no measuring with what was sent twice */
    tcp->retransmits++;
    (void)send_next(sim, tcp);
}

static void measure(struct sim *sim, struct sim_tcp *tcp)
{
    int64_t took = sim->now - tcp->rtt_start;
    int64_t off = tcp->rtt > took ? tcp->rtt - took : took - tcp->rtt;

    tcp->rtt_start = 0;
    if (tcp->rtt == 0) {
        tcp->rtt = took > 0 ? took : 1;
        tcp->rtt_variance = took / 2;
    } else {
        tcp->rtt_variance += (off - tcp->rtt_variance) / 4;
        tcp->rtt += (took - tcp->rtt) / 8;
    }
}

void sim_tcp_acked(struct sim *sim, struct sim_tcp *tcp, uint64_t ack)
{
    uint64_t bytes = ack - tcp->una;

    if (tcp->fin && ack == tcp->written)
        bytes--;
    sim_bytes_drop(&tcp->out, (size_t)bytes);
    tcp->una = ack;
    if (tcp->next < ack)
        tcp->next = ack;
    if (tcp->rtt_start != 0 && ack > tcp->rtt_sequence)
        measure(sim, tcp);
    tcp->retries = tcp->probes_out = tcp->probe_backoff = tcp->same_acks = 0;
    tcp->since = tcp->una < tcp->written ? sim->now : 0;
    sim_event_clear(sim, &tcp->retransmit);
    if (tcp->una < tcp->written)
        sim_tcp_retransmit_set(sim, tcp);
}

/* ---- timers ---- */

static void give_up(struct sim *sim, struct sim_tcp *tcp)
{
    int soft = tcp->base.soft_error;

    sim_count(sim, SIM_TIMEDOUT);
    if (tcp->wire != NULL)
        tcp->wire->truth[tcp->side].timed_out = true;
    sim_tcp_fail(sim, tcp, soft != 0 ? soft : ETIMEDOUT);
}

/* Whether the user's limit, or that of the retries, has been reached. */
static bool too_long(struct sim *sim, const struct sim_tcp *tcp)
{
    int64_t user = tcp->base.settings.user_timeout_ms * SIM_MS;

    if (user > 0)
        return tcp->retries > 0 && sim->now - tcp->since >= user;
    return tcp->retries >= (tcp->base.open ? RETRIES : RETRIES_ORPHAN);
}

/* The same for a shut window: a peer that answers probes may keep it so for ever. */
static bool shut_too_long(struct sim *sim, const struct sim_tcp *tcp)
{
    int64_t user = tcp->base.settings.user_timeout_ms * SIM_MS;

    if (user > 0)
        return sim->now - tcp->since >= user;
    return tcp->probes_out >= RETRIES ||
           (!tcp->base.open && tcp->probe_backoff >= RETRIES_ORPHAN);
}

static void resend_syn(struct sim *sim, struct sim_tcp *tcp)
{
    unsigned most = tcp->state == SIM_SYN_SENT ? (unsigned)tcp->base.settings.syn_retries
                                               : RETRIES_SYN_ACK;
    int64_t user = tcp->base.settings.user_timeout_ms * SIM_MS;

    if (tcp->retries >= most || (tcp->state == SIM_SYN_SENT && user > 0 &&
                                 tcp->retries > 0 && sim->now - tcp->since >= user)) {
        give_up(sim, tcp);
        return;
    }
    tcp->retries++;
    sim_tcp_send_flags(sim, tcp,
                       tcp->state == SIM_SYN_SENT ? SIM_SYN : SIM_SYN | SIM_ACK);
    sim_tcp_retransmit_set(sim, tcp);
}

static void probe_window(struct sim *sim, struct sim_tcp *tcp)
{
    if (shut_too_long(sim, tcp)) {
        give_up(sim, tcp);
        return;
    }
    tcp->probes_out++;
    tcp->probe_backoff++;
    sim_tcp_send_flags(sim, tcp, SIM_ACK | SIM_PROBE);
    sim_tcp_retransmit_set(sim, tcp);
}

static void on_retransmit(struct sim *sim, struct sim_event *event)
{
    struct sim_tcp *tcp = self_at(event, offsetof(struct sim_tcp, retransmit));

    if (tcp->state == SIM_SYN_SENT || tcp->state == SIM_SYN_RECV) {
        resend_syn(sim, tcp);
        return;
    }
    if (tcp->furthest == tcp->una) { /* nothing is out: the window is shut */
        probe_window(sim, tcp);
        return;
    }
    if (too_long(sim, tcp)) {
        give_up(sim, tcp);
        return;
    }
    tcp->retries++;
    tcp->recover = tcp->furthest;
    if (tcp->window_end > tcp->una)
        sim_tcp_resend(sim, tcp);
    else
        sim_tcp_send_flags(sim, tcp, SIM_ACK | SIM_PROBE);
    sim_tcp_retransmit_set(sim, tcp);
}

static void on_delayed_ack(struct sim *sim, struct sim_event *event)
{
    sim_tcp_ack(sim, self_at(event, offsetof(struct sim_tcp, delayed_ack)));
}

void sim_tcp_life(struct sim *sim, struct sim_tcp *tcp, int64_t length)
{
    sim_event_set(sim, &tcp->life, sim->now + length);
}

void sim_tcp_keepalive(struct sim *sim, struct sim_tcp *tcp)
{
    const struct sim_settings *settings = &tcp->base.settings;

    if (tcp->time_wait || tcp->state == SIM_CLOSE || tcp->state == SIM_LISTEN ||
        tcp->state == SIM_SYN_SENT)
        return;
    tcp->keepalive_probes = 0;
    if (settings->keepalive)
        sim_tcp_life(sim, tcp, settings->idle_s * SIM_SECOND);
    else
        sim_event_clear(sim, &tcp->life);
}

/* Linux: tcp_keepalive_timer. */
static void check_alive(struct sim *sim, struct sim_tcp *tcp)
{
    const struct sim_settings *settings = &tcp->base.settings;
    int64_t quiet = sim->now - tcp->heard;
    int64_t user = settings->user_timeout_ms * SIM_MS;

    if (tcp->una < tcp->written) { /* retransmission and probes see to it */
        sim_tcp_life(sim, tcp, settings->idle_s * SIM_SECOND);
        return;
    }
    if (quiet < settings->idle_s * SIM_SECOND) {
        tcp->keepalive_probes = 0;
        sim_tcp_life(sim, tcp, settings->idle_s * SIM_SECOND - quiet);
        return;
    }
    if (user > 0 ? quiet >= user && tcp->keepalive_probes > 0
                 : tcp->keepalive_probes >= (unsigned)settings->probes) {
        sim_tcp_send_flags(sim, tcp, SIM_RST | SIM_ACK);
        give_up(sim, tcp);
        return;
    }
    tcp->keepalive_probes++;
    sim_tcp_send_flags(sim, tcp, SIM_ACK | SIM_PROBE);
    sim_tcp_life(sim, tcp, settings->interval_s * SIM_SECOND);
}

static void on_life(struct sim *sim, struct sim_event *event)
{
    struct sim_tcp *tcp = self_at(event, offsetof(struct sim_tcp, life));

    if (tcp->time_wait || (tcp->state == SIM_FIN_WAIT2 && !tcp->base.open))
        sim_tcp_done(sim, tcp);
    else
        check_alive(sim, tcp);
}

void sim_tcp_timers_init(struct sim_tcp *tcp)
{
    tcp->retransmit.run = on_retransmit;
    tcp->delayed_ack.run = on_delayed_ack;
    tcp->life.run = on_life;
}

void sim_tcp_timers_clear(struct sim *sim, struct sim_tcp *tcp)
{
    sim_event_clear(sim, &tcp->retransmit);
    sim_event_clear(sim, &tcp->delayed_ack);
    sim_event_clear(sim, &tcp->life);
}
