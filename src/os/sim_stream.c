/* SPDX-License-Identifier: MIT */
/*
 * sim_stream.c -- a TCP connection as its program sees it: receive, send, poll, the
 * ioctls, shutdown and close.
 *
 * Which error comes when, and what is taken from the socket by telling it, follows
 * tcp_recvmsg, tcp_sendmsg, tcp_poll, inet_shutdown and tcp_close of Linux 6.x.
 *
 * A short read or write by chance is followed by a wake-up, as when bytes or room come
 * right after the call: with edges, anything else would break the kernel's promise.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "os/sim_tcp.h"

static size_t send_limit(const struct sim_tcp *tcp)
{
    return (size_t)tcp->base.settings.send_buffer / 2;
}

struct sim_tcp *sim_tcp_new(struct sim *sim, int domain, int flags)
{
    struct sim_tcp *tcp = sim_new(sizeof(*tcp));

    if (tcp == NULL || sim_room(sim, 3) < 0) {
        sim_free(tcp);
        return NULL;
    }
    sim_socket_init(sim, &tcp->base, domain, &sim_tcp_calls, flags);
    tcp->base.open = true;
    tcp->state = SIM_CLOSE;
    list_init(&tcp->children);
    list_init(&tcp->ready);
    list_init(&tcp->in_listener);
    sim_tcp_timers_init(tcp);
    return tcp;
}

void sim_tcp_detach(struct sim_tcp *tcp)
{
    struct sim_wire *wire = tcp->wire;

    if (wire == NULL)
        return;
    if (wire->end[tcp->side] == tcp)
        wire->end[tcp->side] = NULL;
    if (wire->socket[tcp->side] == tcp) {
        sim_tcp_tell(tcp, &wire->truth[tcp->side]);
        wire->socket[tcp->side] = NULL;
    }
    tcp->wire = NULL;
}

void sim_tcp_free_if_over(struct sim *sim, struct sim_tcp *tcp)
{
    if (tcp->base.open || tcp->state != SIM_CLOSE || tcp->time_wait ||
        tcp->listener != NULL)
        return;
    sim_tcp_timers_clear(sim, tcp);
    sim_tcp_detach(tcp);
    sim_room_back(sim, 3);
    sim_bytes_release(&tcp->out);
    sim_socket_release(sim, &tcp->base);
    sim_free(tcp);
}

void sim_tcp_tell(const struct sim_tcp *tcp, struct sim_truth *truth)
{
    truth->written = tcp->written - tcp->fin;
    truth->end_acked = tcp->fin && tcp->una == tcp->written;
    truth->acked = tcp->una - truth->end_acked;
    truth->received = tcp->received - tcp->fin_received;
    truth->read = tcp->copied;
    truth->end_sent = tcp->fin && tcp->furthest == tcp->written;
    truth->end_received = tcp->fin_received;
}

uint64_t sim_tcp_unacked(const struct sim_tcp *tcp)
{
    return tcp->written - tcp->una;
}

/* ---- receiving ---- */

static ssize_t receive_urgent(struct sim_tcp *tcp, struct sim_io *io)
{
    if (tcp->base.settings.urgent_inline || tcp->urgent == SIM_URGENT_NONE ||
        tcp->urgent == SIM_URGENT_READ)
        return -EINVAL;
    if (tcp->state == SIM_CLOSE && !tcp->fin_received)
        return -ENOTCONN;
    if (tcp->urgent == SIM_URGENT_VALID) {
        io->out_flags |= MSG_OOB;
        if ((io->flags & MSG_PEEK) == 0)
            tcp->urgent = SIM_URGENT_READ;
        if (io->left == 0) {
            io->out_flags |= MSG_TRUNC;
            return 0;
        }
        sim_io_put(io, &tcp->urgent_byte, 1);
        return 1;
    }
    if (tcp->state == SIM_CLOSE || (tcp->base.shut & SIM_SHUT_READ) != 0)
        return 0;
    return -EAGAIN;
}

/* Bytes from place AT on that one receive may give: up to the mark at most. */
static size_t piece_at(const struct sim_tcp *tcp, size_t at, size_t most)
{
    size_t size = tcp->base.in.size - at;
    uint64_t place = tcp->copied + at;

    if (tcp->urgent != SIM_URGENT_NONE && tcp->urgent_at > place &&
        tcp->urgent_at - place < size)
        size = (size_t)(tcp->urgent_at - place);
    return size < most ? size : most;
}

/* Hand over SIZE bytes from AT on, unless they are only to be dropped. */
static void hand_over(struct sim_tcp *tcp, struct sim_io *io, size_t at, size_t size)
{
    char part[2048];
    struct sim_truth *truth = &tcp->wire->truth[tcp->side];

    for (size_t done = 0; done < size;) {
        size_t now = size - done < sizeof(part) ? size - done : sizeof(part);

        sim_bytes_copy(&tcp->base.in, at + done, part, now);
        if ((io->flags & MSG_TRUNC) != 0)
            io->left -= now;
        else
            sim_io_put(io, part, now);
        if ((io->flags & MSG_PEEK) == 0)
            truth->digest_read = sim_digest(truth->digest_read, part, now);
        done += now;
    }
}

/* The reader has made room: tell the peer, if that helps it (RFC 9293, 3.8.6.2.2). */
static void tell_of_room(struct sim *sim, struct sim_tcp *tcp)
{
    uint64_t told = tcp->offered - tcp->received;
    size_t now = sim_tcp_window(tcp);
    size_t worth = (size_t)tcp->base.settings.receive_buffer / 4;

    if (tcp->wire->segment < worth)
        worth = tcp->wire->segment;
    if (tcp->state != SIM_CLOSE && !tcp->fin_received && now >= worth && now >= 2 * told)
        sim_tcp_ack(sim, tcp);
}

static size_t receive_bytes(struct sim *sim, struct sim_tcp *tcp, struct sim_io *io)
{
    bool peek = (io->flags & MSG_PEEK) != 0;
    struct sim_bytes *in = &tcp->base.in;
    size_t at = 0, size;

    if (in->size > 0 && tcp->urgent != SIM_URGENT_NONE && tcp->urgent_at == tcp->copied &&
        !tcp->base.settings.urgent_inline) {
        at = 1; /* the urgent byte is no part of the stream */
        if (!peek) {
            sim_bytes_drop(in, 1);
            tcp->copied++;
            at = 0;
        }
    }
    size = in->size > at ? piece_at(tcp, at, io->left) : 0;
    if (size > 1 && !peek && sim_strikes(sim, &sim->chance_call, SIM_SHORT_READ)) {
        size = 1 + (size_t)sim_random_below(&sim->chance_call, size - 1);
        sim_wake(sim, &tcp->base.file, SIM_KEY_IN);
    }
    hand_over(tcp, io, at, size);
    if (!peek) {
        sim_bytes_drop(in, size);
        tcp->copied += size;
    }
    if (tcp->urgent != SIM_URGENT_NONE && tcp->copied > tcp->urgent_at)
        tcp->urgent = SIM_URGENT_NONE;
    return size;
}

/*
 * Linux: while a signal is pending, a receive at the mark gets nothing, whatever is behind it
 * (tcp_recvmsg_locked).  The signal has been handled before the next one.
 */
static bool is_stopped(struct sim *sim, struct sim_tcp *tcp)
{
    if (tcp->urgent == SIM_URGENT_NONE || tcp->urgent_at != tcp->copied)
        return false;
    tcp->signalled = !tcp->signalled && sim_strikes(sim, &sim->chance_call, SIM_SIGNAL);
    return tcp->signalled;
}

static ssize_t tcp_receive(struct sim *sim, struct sim_file *file, struct sim_io *io)
{
    struct sim_tcp *tcp = sim_tcp_of(file);
    size_t size = 0;

    if ((io->flags & MSG_ERRQUEUE) != 0)
        return sim_stamp_receive(sim, tcp, io);
    if (tcp->state == SIM_LISTEN)
        return -ENOTCONN;
    if ((io->flags & MSG_OOB) != 0)
        return receive_urgent(tcp, io);
    if (is_stopped(sim, tcp))
        return -EAGAIN;
    if (tcp->base.in.size > 0) {
        size = receive_bytes(sim, tcp, io);
        tell_of_room(sim, tcp);
    }
    if (size > 0 || (io->left == 0 && tcp->base.in.size > 0))
        return (ssize_t)size;
    if (tcp->fin_received)
        return 0;
    if (tcp->base.error != 0)
        return sim_socket_error(&tcp->base);
    if ((tcp->base.shut & SIM_SHUT_READ) != 0)
        return 0;
    return tcp->state == SIM_CLOSE ? -ENOTCONN : -EAGAIN;
}

/* ---- sending ---- */

/* Why nothing can be sent now: -errno, or 0 if something can. */
static int send_check(struct sim_tcp *tcp)
{
    int error;

    if (tcp->state != SIM_ESTABLISHED && tcp->state != SIM_CLOSE_WAIT) {
        error = sim_socket_error(&tcp->base);
        if (error < 0)
            return error;
        if (tcp->state != SIM_SYN_SENT && tcp->state != SIM_SYN_RECV)
            return -EPIPE;
        tcp->base.no_space = true;
        return -EAGAIN;
    }
    if (tcp->base.error != 0)
        return sim_socket_error(&tcp->base);
    return (tcp->base.shut & SIM_SHUT_WRITE) != 0 ? -EPIPE : 0;
}

static void take_over(struct sim_tcp *tcp, struct sim_io *io, size_t size)
{
    struct sim_truth *truth = &tcp->wire->truth[tcp->side];
    char part[2048];

    for (size_t done = 0; done < size;) {
        size_t now = size - done < sizeof(part) ? size - done : sizeof(part);

        sim_io_get(io, part, now);
        sim_bytes_put(&tcp->out, part, now);
        truth->digest_written = sim_digest(truth->digest_written, part, now);
        done += now;
    }
    tcp->written += size;
}

static ssize_t tcp_send(struct sim *sim, struct sim_file *file, struct sim_io *io)
{
    struct sim_tcp *tcp = sim_tcp_of(file);
    size_t size = io->left, room;
    int error = send_check(tcp);

    if (error < 0)
        return error;
    room = tcp->out.size < send_limit(tcp) ? send_limit(tcp) - tcp->out.size : 0;
    if (size > room) {
        size = room;
        tcp->base.no_space = true;
    }
    if (size == 0)
        return io->left > 0 ? -EAGAIN : 0;
    if (!sim_bytes_room(&tcp->out, size))
        return -ENOBUFS;
    if (size > 1 && sim_strikes(sim, &sim->chance_call, SIM_SHORT_WRITE)) {
        size = 1 + (size_t)sim_random_below(&sim->chance_call, size - 1);
        sim_wake(sim, file, SIM_KEY_OUT);
    }
    take_over(tcp, io, size);
    if ((io->flags & MSG_OOB) != 0)
        tcp->urgent_sent = tcp->written;
    sim_stamp_want(tcp, io);
    sim_tcp_output(sim, tcp);
    return (ssize_t)size;
}

/* ---- looking ---- */

static bool readable(const struct sim_tcp *tcp)
{
    uint64_t available = tcp->received - tcp->copied;
    uint64_t target = (uint64_t)tcp->base.settings.low_water;

    if (tcp->urgent != SIM_URGENT_NONE && tcp->urgent_at == tcp->copied &&
        !tcp->base.settings.urgent_inline)
        target++;
    return available > 0 && (available >= target || sim_tcp_window(tcp) == 0);
}

static uint32_t tcp_poll(struct sim *sim, struct sim_file *file)
{
    struct sim_tcp *tcp = sim_tcp_of(file);
    unsigned shut = tcp->base.shut;
    size_t limit = send_limit(tcp), used = tcp->out.size;
    uint32_t mask = 0;

    (void)sim;
    if (tcp->state == SIM_LISTEN)
        return list_empty(&tcp->ready) ? 0 : POLLIN | POLLRDNORM;
    if (shut == SIM_SHUT_BOTH || tcp->state == SIM_CLOSE)
        mask |= POLLHUP;
    if ((shut & SIM_SHUT_READ) != 0)
        mask |= POLLIN | POLLRDNORM | POLLRDHUP;
    if (tcp->state != SIM_SYN_SENT && tcp->state != SIM_SYN_RECV) {
        if (readable(tcp))
            mask |= POLLIN | POLLRDNORM;
        if ((shut & SIM_SHUT_WRITE) != 0 || (used < limit && limit - used >= used / 2))
            mask |= POLLOUT | POLLWRNORM;
        else
            tcp->base.no_space = true;
        if (tcp->urgent == SIM_URGENT_VALID)
            mask |= POLLPRI;
    }
    if (tcp->base.error != 0 || tcp->stamp_count > 0 || tcp->icmp_queued)
        mask |= POLLERR;
    return mask;
}

static int tcp_ioctl(struct sim *sim, struct sim_file *file, unsigned long request,
                     int *value)
{
    const struct sim_tcp *tcp = sim_tcp_of(file);
    bool early = tcp->state == SIM_SYN_SENT || tcp->state == SIM_SYN_RECV;
    uint64_t unsent = tcp->written - tcp->furthest;

    (void)sim;
    if (tcp->state == SIM_LISTEN && request != SIOCATMARK)
        return -EINVAL;
    switch (request) {
    case FIONREAD:
        if (tcp->urgent != SIM_URGENT_NONE && tcp->urgent_at >= tcp->copied &&
            tcp->urgent_at < tcp->received && !tcp->base.settings.urgent_inline)
            *value = (int)(tcp->urgent_at - tcp->copied);
        else
            *value = early ? 0 : (int)tcp->base.in.size;
        return 0;
    case TIOCOUTQ:
        *value = early ? 0 : (int)sim_tcp_unacked(tcp);
        return 0;
    case SIOCOUTQNSD:
        *value = early ? 0 : (int)unsent;
        return 0;
    case SIOCATMARK:
        *value = tcp->urgent != SIM_URGENT_NONE && tcp->urgent_at == tcp->copied;
        return 0;
    default:
        return -ENOTTY;
    }
}

/* ---- ending ---- */

/* Linux: tcp_close_state.  Whether a FIN is to be sent. */
static bool end_writing(struct sim_tcp *tcp)
{
    switch (tcp->state) {
    case SIM_ESTABLISHED:
    case SIM_SYN_RECV:
        tcp->state = SIM_FIN_WAIT1;
        return true;
    case SIM_CLOSE_WAIT:
        tcp->state = SIM_LAST_ACK;
        return true;
    default:
        return false;
    }
}

int sim_tcp_shutdown(struct sim *sim, struct sim_tcp *tcp, unsigned how)
{
    bool send_fin = false;
    int result = 0;

    switch (tcp->state) {
    case SIM_LISTEN:
        if ((how & SIM_SHUT_READ) != 0)
            sim_tcp_disconnect(sim, tcp);
        break;
    case SIM_SYN_SENT:
        sim_tcp_disconnect(sim, tcp);
        break;
    case SIM_CLOSE:
        result = -ENOTCONN;
        tcp->base.shut |= (uint8_t)how;
        break;
    default:
        tcp->base.shut |= (uint8_t)how;
        send_fin = (how & SIM_SHUT_WRITE) != 0 && end_writing(tcp);
        break;
    }
    if (send_fin)
        sim_tcp_send_fin(sim, tcp);
    sim_wake(sim, &tcp->base.file, 0);
    return result;
}

static bool lingers(const struct sim_tcp *tcp)
{
    return tcp->state == SIM_FIN_WAIT1 || tcp->state == SIM_CLOSING ||
           tcp->state == SIM_LAST_ACK;
}

/* Linux: tcp_close. */
static void tcp_release(struct sim *sim, struct sim_file *file)
{
    struct sim_tcp *tcp = sim_tcp_of(file);
    const struct sim_settings *settings = &tcp->base.settings;
    int64_t limit = sim->now + settings->linger_s * SIM_SECOND;

    if (tcp->wire != NULL)
        tcp->wire->truth[tcp->side].closed = true;
    tcp->base.shut = SIM_SHUT_BOTH;
    if (tcp->state == SIM_LISTEN) {
        sim_listen_stop(sim, tcp);
        tcp->state = SIM_CLOSE;
    } else if (tcp->state != SIM_CLOSE && tcp->base.in.size > 0) {
        sim_tcp_send_flags(sim, tcp, SIM_RST | SIM_ACK); /* RFC 2525, 2.17 */
        sim_tcp_done(sim, tcp);
    } else if (settings->linger && settings->linger_s == 0) {
        sim_tcp_disconnect(sim, tcp);
    } else if (tcp->state == SIM_SYN_SENT) {
        sim_tcp_done(sim, tcp);
    } else if (end_writing(tcp)) {
        sim_tcp_send_fin(sim, tcp);
    }
    while (settings->linger && settings->linger_s > 0 && lingers(tcp) && !sim->in_event &&
           sim_block(sim, limit))
        continue;
    tcp->base.open = false;
    if (tcp->state == SIM_FIN_WAIT2)
        sim_tcp_life(sim, tcp, 60 * SIM_SECOND);
    sim_tcp_free_if_over(sim, tcp);
}

const struct sim_file_calls sim_tcp_calls = {
    .receive = tcp_receive,
    .send = tcp_send,
    .poll = tcp_poll,
    .ioctl = tcp_ioctl,
    .release = tcp_release,
};
