/* SPDX-License-Identifier: MIT */
/*
 * sim_option.c -- the simulator's socket options.
 *
 * Those that are a number to be kept stand in a table; the rest is read and set by hand.
 * What is in neither is -ENOPROTOOPT, as in a kernel without it.
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/time.h>

#include "os/sim_tcp.h"

/* As on a common Linux: bytes of payload fit about half of each. */
#define SEND_BUFFER_DEFAULT    (512 * 1024)
#define RECEIVE_BUFFER_DEFAULT (256 * 1024)
#define BUFFER_MOST            (2 * 212992)
#define SEND_BUFFER_LEAST      4608
#define RECEIVE_BUFFER_LEAST   2304

void sim_settings_init(struct sim_settings *settings)
{
    *settings = (struct sim_settings){
        .send_buffer = SEND_BUFFER_DEFAULT,
        .receive_buffer = RECEIVE_BUFFER_DEFAULT,
        .low_water = 1,
        .idle_s = 7200,
        .interval_s = 75,
        .probes = 9,
        .syn_retries = 6,
        .quick_ack = 1,
        .ttl = 64,
    };
}

/* Options that are kept as a number between LEAST and MOST, and mean what they say. */
static const struct {
    int level, name;
    size_t place;
    int least, most;
    bool is_switch;
} numbers[] = {
#define PLACE(field) offsetof(struct sim_settings, field)
    { SOL_SOCKET, SO_REUSEADDR, PLACE(reuse_address), 0, 0, true },
    { SOL_SOCKET, SO_REUSEPORT, PLACE(reuse_port), 0, 0, true },
    { SOL_SOCKET, SO_KEEPALIVE, PLACE(keepalive), 0, 0, true },
    { SOL_SOCKET, SO_OOBINLINE, PLACE(urgent_inline), 0, 0, true },
    { SOL_SOCKET, SO_PRIORITY, PLACE(priority), 0, 6, false },
    { SOL_SOCKET, SO_MARK, PLACE(mark), 0, INT32_MAX, false },
    { SOL_SOCKET, SO_RCVLOWAT, PLACE(low_water), 0, INT32_MAX, false },
    { SOL_SOCKET, SO_TIMESTAMPING, PLACE(stamping), 0, INT32_MAX, false },
    { IPPROTO_TCP, TCP_NODELAY, PLACE(no_delay), 0, 0, true },
    { IPPROTO_TCP, TCP_CORK, PLACE(cork), 0, 0, true },
    { IPPROTO_TCP, TCP_QUICKACK, PLACE(quick_ack), 0, 0, true },
    { IPPROTO_TCP, TCP_KEEPIDLE, PLACE(idle_s), 1, 32767, false },
    { IPPROTO_TCP, TCP_KEEPINTVL, PLACE(interval_s), 1, 32767, false },
    { IPPROTO_TCP, TCP_KEEPCNT, PLACE(probes), 1, 127, false },
    { IPPROTO_TCP, TCP_SYNCNT, PLACE(syn_retries), 1, 127, false },
    { IPPROTO_TCP, TCP_USER_TIMEOUT, PLACE(user_timeout_ms), 0, INT32_MAX, false },
    { IPPROTO_TCP, TCP_DEFER_ACCEPT, PLACE(defer_accept_s), 0, INT32_MAX, false },
    { IPPROTO_TCP, TCP_NOTSENT_LOWAT, PLACE(not_sent_low_water), 0, INT32_MAX, false },
    { IPPROTO_IP, IP_TOS, PLACE(traffic_class), 0, 255, false },
    { IPPROTO_IP, IP_TTL, PLACE(ttl), 1, 255, false },
    { IPPROTO_IP, IP_RECVERR, PLACE(receive_error), 0, 0, true },
    { IPPROTO_IPV6, IPV6_V6ONLY, PLACE(only_ipv6), 0, 0, true },
    { IPPROTO_IPV6, IPV6_TCLASS, PLACE(traffic_class), 0, 255, false },
    { IPPROTO_IPV6, IPV6_RECVERR, PLACE(receive_error), 0, 0, true },
#undef PLACE
};

static int *number_at(struct sim_settings *settings, size_t row)
{
    return (int *)(void *)((char *)settings + numbers[row].place);
}

/* The row of the table for an option, if the socket is of a family that has it. */
static int row_of(const struct sim_socket *socket, int level, int name)
{
    if (level != SOL_SOCKET && socket->domain == AF_UNIX)
        return -EOPNOTSUPP;
    if (level == IPPROTO_IPV6 && socket->domain != AF_INET6)
        return -ENOPROTOOPT;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (numbers[i].level == level && numbers[i].name == name)
            return (int)i;
    }
    return -ENOPROTOOPT;
}

static int set_number(struct sim *sim, struct sim_socket *socket, int row, int value)
{
    if (!numbers[row].is_switch &&
        (value < numbers[row].least || value > numbers[row].most))
        return -EINVAL;
    *number_at(&socket->settings, (size_t)row) =
        numbers[row].is_switch ? value != 0 : value;
    if (socket->settings.low_water == 0)
        socket->settings.low_water = 1;
    if (numbers[row].level == SOL_SOCKET && socket->domain != AF_UNIX) {
        struct sim_tcp *tcp = sim_tcp_of(&socket->file);

        if (numbers[row].name == SO_KEEPALIVE)
            sim_tcp_keepalive(sim, tcp);
        if (numbers[row].name == SO_TIMESTAMPING) /* OPT_ID counts from here */
            tcp->stamp_start = tcp->written;
    }
    return 0;
}

/* ---- those that are no plain number ---- */

static int buffer_size(int wish, int least)
{
    int most = BUFFER_MOST / 2;
    int size = 2 * (wish < 0 || wish > most ? most : wish);

    return size < least ? least : size;
}

static int set_time(int64_t *ns, const void *value, socklen_t size)
{
    struct timeval time;

    if (size < sizeof(time))
        return -EINVAL;
    memcpy(&time, value, sizeof(time));
    if (time.tv_usec < 0 || time.tv_usec >= 1000000)
        return -EDOM;
    *ns = time.tv_sec * SIM_SECOND + time.tv_usec * 1000;
    return 0;
}

static int set_linger(struct sim_settings *settings, const void *value, socklen_t size)
{
    struct linger linger;

    if (size < sizeof(linger))
        return -EINVAL;
    memcpy(&linger, value, sizeof(linger));
    settings->linger = linger.l_onoff != 0;
    settings->linger_s = linger.l_linger;
    return 0;
}

static int set_one(struct sim *sim, struct sim_socket *socket, int level, int name,
                   const void *value, socklen_t size)
{
    struct sim_settings *settings = &socket->settings;
    int number = 0, row;

    if (level == SOL_SOCKET && (name == SO_RCVTIMEO || name == SO_SNDTIMEO))
        return set_time(name == SO_RCVTIMEO ? &settings->receive_timeout
                                            : &settings->send_timeout,
                        value, size);
    if (level == SOL_SOCKET && name == SO_LINGER)
        return set_linger(settings, value, size);
    if (size < sizeof(number))
        return -EINVAL;
    memcpy(&number, value, sizeof(number));
    if (level == SOL_SOCKET && name == SO_SNDBUF) {
        settings->send_buffer = buffer_size(number, SEND_BUFFER_LEAST);
        return 0;
    }
    if (level == SOL_SOCKET && name == SO_RCVBUF) {
        settings->receive_buffer = buffer_size(number, RECEIVE_BUFFER_LEAST);
        return 0;
    }
    row = row_of(socket, level, name);
    return row < 0 ? row : set_number(sim, socket, row, number);
}

int sim_os_setsockopt(struct os *os, int fd, int level, int name, const void *value,
                      socklen_t size)
{
    struct sim *sim = sim_of(os);
    struct sim_file *file = sim_file_at(sim, fd);

    sim_call(sim);
    if (file == NULL)
        return -EBADF;
    if (!file->is_socket)
        return -ENOTSOCK;
    if (sim_strikes(sim, &sim->chance_call, SIM_OPTION))
        return -ENOPROTOOPT;
    return set_one(sim, sim_socket_of(file), level, name, value, size);
}

/* ---- reading ---- */

static int give(void *value, socklen_t *size, const void *from, socklen_t whole)
{
    if (*size > whole)
        *size = whole;
    memcpy(value, from, *size);
    return 0;
}

static int give_number(void *value, socklen_t *size, int number)
{
    return give(value, size, &number, sizeof(number));
}

static int give_time(void *value, socklen_t *size, int64_t ns)
{
    struct timeval time = { ns / SIM_SECOND, ns % SIM_SECOND / 1000 };

    return give(value, size, &time, sizeof(time));
}

static int give_info(const struct sim_tcp *tcp, void *value, socklen_t *size)
{
    uint64_t end = tcp->written - (tcp->fin ? 1 : 0);
    struct tcp_info info = {
        .tcpi_state = tcp->state,
        .tcpi_retransmits = (uint8_t)tcp->retries,
        .tcpi_probes = (uint8_t)tcp->probes_out,
        .tcpi_rtt = (uint32_t)(tcp->rtt / 1000),
        .tcpi_rttvar = (uint32_t)(tcp->rtt_variance / 1000),
        .tcpi_total_retrans = tcp->retransmits,
        .tcpi_bytes_acked = tcp->una,
        .tcpi_bytes_received = tcp->received,
        .tcpi_notsent_bytes = (uint32_t)(end > tcp->furthest ? end - tcp->furthest : 0),
    };

    if (tcp->wire != NULL) {
        info.tcpi_snd_mss = tcp->wire->segment;
        info.tcpi_unacked =
            (uint32_t)((tcp->furthest - tcp->una + info.tcpi_snd_mss - 1) /
                       info.tcpi_snd_mss);
    }
    if (tcp->state == SIM_LISTEN) { /* tcp(7): the queue and its limit */
        info.tcpi_unacked = (uint32_t)tcp->ready_count;
        info.tcpi_sacked = (uint32_t)tcp->backlog;
    }
    return give(value, size, &info, sizeof(info));
}

/* Linux: sk_getsockopt.  What TCP may still get over is told, too, and forgotten. */
static int any_error(struct sim_socket *socket)
{
    int error = -sim_socket_error(socket);

    if (error == 0) {
        error = socket->soft_error;
        socket->soft_error = 0;
    }
    return error;
}

/* Linux: also that of a connection that is over, unless it was disconnected. */
static int give_peer(struct sim_socket *socket, void *value, const socklen_t *size)
{
    struct sockaddr_storage name;
    socklen_t whole = sizeof(name);

    if (socket->domain == AF_UNIX)
        return -ENOPROTOOPT; /* not played */
    if (sim_tcp_of(&socket->file)->peer.port == 0)
        return -ENOTCONN;
    sim_addr_to(&sim_tcp_of(&socket->file)->peer, socket->domain,
                (struct sockaddr *)&name, &whole);
    if (*size > whole)
        return -EINVAL;
    memcpy(value, &name, *size);
    return 0;
}

static int get_socket_level(struct sim_socket *socket, int name, void *value,
                            socklen_t *size)
{
    const struct sim_settings *settings = &socket->settings;
    struct linger linger = { settings->linger, settings->linger_s };
    bool listens;

    switch (name) {
    case SO_ERROR:
        return give_number(value, size, any_error(socket));
    case SO_TYPE:
        return give_number(value, size, SOCK_STREAM);
    case SO_DOMAIN:
        return give_number(value, size, socket->domain);
    case SO_PROTOCOL:
        return give_number(value, size, socket->domain == AF_UNIX ? 0 : IPPROTO_TCP);
    case SO_ACCEPTCONN:
        listens = sim_socket_listens(socket);
        return give_number(value, size, listens);
    case SO_SNDBUF:
        return give_number(value, size, settings->send_buffer);
    case SO_RCVBUF:
        return give_number(value, size, settings->receive_buffer);
    case SO_PEERNAME:
        return give_peer(socket, value, size);
    case SO_LINGER:
        return give(value, size, &linger, sizeof(linger));
    case SO_RCVTIMEO:
        return give_time(value, size, settings->receive_timeout);
    case SO_SNDTIMEO:
        return give_time(value, size, settings->send_timeout);
    default:
        return -ENOPROTOOPT;
    }
}

int sim_os_getsockopt(struct os *os, int fd, int level, int name, void *value,
                      socklen_t *size)
{
    struct sim *sim = sim_of(os);
    struct sim_file *file = sim_file_at(sim, fd);
    struct sim_socket *socket;
    int result, row;

    sim_call(sim);
    if (file == NULL)
        return -EBADF;
    if (!file->is_socket)
        return -ENOTSOCK;
    socket = sim_socket_of(file);
    result =
        level == SOL_SOCKET ? get_socket_level(socket, name, value, size) : -ENOPROTOOPT;
    if (result != -ENOPROTOOPT)
        return result;
    if (level == IPPROTO_TCP && name == TCP_INFO && socket->domain != AF_UNIX)
        return give_info(sim_tcp_of(file), value, size);
    row = row_of(socket, level, name);
    if (row < 0) /* ipv6_getsockopt is not asked at all; setting falls through to TCP */
        return level == IPPROTO_IPV6 && socket->domain == AF_INET ? -EOPNOTSUPP : row;
    return give_number(value, size, *number_at(&socket->settings, (size_t)row));
}
