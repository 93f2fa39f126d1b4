/* SPDX-License-Identifier: MIT */
/*
 * facts.c -- what is known of a connection while it lives: our counts, and TCP_INFO.
 *
 * Apart from the rest because <linux/tcp.h>, which has the whole of TCP_INFO, and
 * <netinet/tcp.h> cannot be included together.
 */
#include <linux/tcp.h>
#include <string.h>

#include "net/conn.h"

void tn_conn_facts(const struct tn_conn *conn, struct tn_conn_facts *facts)
{
    struct tcp_info info;
    socklen_t size = sizeof(info);
    bool all;

    memset(&info, 0, sizeof(info)); /* older kernels fill in less */
    if (conn->tcp)
        os_getsockopt(conn->os, conn->fd, IPPROTO_TCP, TCP_INFO, &info, &size);
    *facts = (struct tn_conn_facts){
        .received = conn->received,
        .written = conn->written,
        .unread = conn_unread(conn),
        .unacked = conn_outq(conn, &all),
        .rtt_us = info.tcpi_rtt,
        .retransmits = info.tcpi_total_retrans,
        .busy_us = info.tcpi_busy_time,
        .rwnd_limited_us = info.tcpi_rwnd_limited,
        .sndbuf_limited_us = info.tcpi_sndbuf_limited,
    };
}
