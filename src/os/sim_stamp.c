/* SPDX-License-Identifier: MIT */
/*
 * sim_stamp.c -- SO_TIMESTAMPING's TX_ACK stamps: what the library has woken by.
 *
 * As on Linux (Documentation/networking/timestamping.rst), a stamp says that the bytes up
 * to its key are acknowledged, and can get lost: sends that end up in one segment share
 * the last one's, and a full error queue takes no more.
 */
#include <errno.h>
#include <time.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <string.h>

#include "os/sim_tcp.h"

/* What the call or the socket asks for: SOF_TIMESTAMPING_TX_... */
static unsigned wanted_flags(const struct sim_tcp *tcp, const struct sim_io *io)
{
    unsigned flags = (unsigned)tcp->base.settings.stamping;
    const struct cmsghdr *header;
    uint32_t per_call;

    if (io->sent == NULL || io->sent->msg_control == NULL)
        return flags;
    header = CMSG_FIRSTHDR(io->sent);
    if (header == NULL || header->cmsg_level != SOL_SOCKET ||
        header->cmsg_type != SO_TIMESTAMPING)
        return flags;
    memcpy(&per_call, CMSG_DATA(header), sizeof(per_call));
    return flags | per_call;
}

/* IO has been written, up to `written`. */
void sim_stamp_want(struct sim_tcp *tcp, const struct sim_io *io)
{
    unsigned last = tcp->stamp_wanted_count - 1;

    if ((wanted_flags(tcp, io) & SOF_TIMESTAMPING_TX_ACK) == 0)
        return;
    if (tcp->stamp_wanted_count > 0 &&
        (tcp->stamp_wanted_count == SIM_STAMPS ||
         (tcp->stamp_wanted[last] > tcp->furthest && (io->flags & MSG_EOR) == 0))) {
        tcp->stamp_wanted[last] = tcp->written; /* joins the segment that waits */
        return;
    }
    tcp->stamp_wanted[tcp->stamp_wanted_count++] = tcp->written;
}

void sim_stamp_acked(struct sim *sim, struct sim_tcp *tcp)
{
    unsigned passed = 0;
    bool told = false;

    while (passed < tcp->stamp_wanted_count && tcp->stamp_wanted[passed] <= tcp->una) {
        uint64_t key = tcp->stamp_wanted[passed++] - tcp->stamp_start - 1;

        if (tcp->stamp_count == SIM_STAMPS) {
            sim_count(sim, SIM_STAMP);
            continue;
        }
        if (sim_strikes(sim, &sim->chance_net, SIM_STAMP))
            continue;
        tcp->stamps[tcp->stamp_count++] = (uint32_t)key;
        told = true;
    }
    tcp->stamp_wanted_count -= passed;
    memmove(tcp->stamp_wanted, tcp->stamp_wanted + passed,
            tcp->stamp_wanted_count * sizeof(tcp->stamp_wanted[0]));
    if (told && tcp->base.open)
        sim_wake(sim, &tcp->base.file, SIM_KEY_ERR);
}

/* One piece of control data, if it fits. */
static void control_put(struct sim_io *io, int level, int type, const void *data,
                        size_t size)
{
    struct cmsghdr header = { .cmsg_len = CMSG_LEN(size),
                              .cmsg_level = level,
                              .cmsg_type = type };
    char *at = (char *)io->control + io->control_used;

    if (io->control_room - io->control_used < CMSG_SPACE(size)) {
        io->out_flags |= MSG_CTRUNC;
        return;
    }
    memcpy(at, &header, sizeof(header));
    memcpy(at + CMSG_LEN(0), data, size);
    io->control_used += CMSG_SPACE(size);
}

ssize_t sim_stamp_receive(struct sim *sim, struct sim_tcp *tcp, struct sim_io *io)
{
    struct timespec times[3] = { { sim->now / SIM_SECOND, sim->now % SIM_SECOND } };
    struct {
        struct sock_extended_err error;
        struct sockaddr_in offender;
    } report = { .error = { .ee_errno = ENOMSG,
                            .ee_origin = SO_EE_ORIGIN_TIMESTAMPING,
                            .ee_info = SCM_TSTAMP_ACK } };
    bool is_ipv6 = tcp->base.domain == AF_INET6;

    if (tcp->stamp_count == 0)
        return -EAGAIN;
    report.error.ee_data = tcp->stamps[0];
    tcp->stamp_count--;
    memmove(tcp->stamps, tcp->stamps + 1, tcp->stamp_count * sizeof(tcp->stamps[0]));
    io->out_flags |= MSG_ERRQUEUE;
    control_put(io, SOL_SOCKET, SO_TIMESTAMPING, times, sizeof(times));
    control_put(io, is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP,
                is_ipv6 ? IPV6_RECVERR : IP_RECVERR, &report, sizeof(report));
    return 0;
}
