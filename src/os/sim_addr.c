/* SPDX-License-Identifier: MIT */
/*
 * sim_addr.c -- the simulator's addresses: IPv4 ones are kept mapped into IPv6.
 */
#include <errno.h>
#include <string.h>

#include "os/sim_inside.h"

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
static const uint8_t zeros[16];

static bool is_ipv4(const struct sim_addr *addr)
{
    return memcmp(addr->ip, mapped, sizeof(mapped)) == 0;
}

bool sim_addr_any(const struct sim_addr *addr)
{
    return memcmp(addr->ip, zeros, 16) == 0 ||
           (is_ipv4(addr) && memcmp(addr->ip + 12, zeros, 4) == 0);
}

bool sim_addr_any_of_both(const struct sim_addr *addr)
{
    return memcmp(addr->ip, zeros, 16) == 0;
}

bool sim_addr_same_ip(const struct sim_addr *one, const struct sim_addr *other)
{
    return memcmp(one->ip, other->ip, 16) == 0;
}

bool sim_addr_ipv4(const struct sim_addr *addr)
{
    return is_ipv4(addr);
}

/* 127.0.0.0/8, ::1, 10.0.0.0/8 and fd00::/8 live in this kernel. */
bool sim_addr_local(const struct sim_addr *addr)
{
    static const uint8_t loopback[16] = { [15] = 1 };

    if (is_ipv4(addr))
        return addr->ip[12] == 127 || addr->ip[12] == 10;
    return memcmp(addr->ip, loopback, 16) == 0 || addr->ip[0] == 0xfd;
}

static int from_ipv4(struct sim_addr *addr, const struct sockaddr *from, socklen_t size)
{
    struct sockaddr_in in;

    if (size < sizeof(in))
        return -EINVAL;
    memcpy(&in, from, sizeof(in));
    memcpy(addr->ip, mapped, sizeof(mapped));
    memcpy(addr->ip + 12, &in.sin_addr, 4);
    addr->port = ntohs(in.sin_port);
    return 0;
}

static int from_ipv6(struct sim_addr *addr, const struct sockaddr *from, socklen_t size)
{
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

    if (size < 24) /* without the scope, as in RFC 2133 */
        return -EINVAL;
    memcpy(&in6, from, size < sizeof(in6) ? size : sizeof(in6));
    memcpy(addr->ip, &in6.sin6_addr, 16);
    addr->port = ntohs(in6.sin6_port);
    return 0;
}

int sim_addr_from(struct sim_addr *addr, int domain, const struct sockaddr *from,
                  socklen_t size)
{
    if (size < sizeof(from->sa_family))
        return -EINVAL;
    if (from->sa_family == AF_INET && (domain == AF_INET || domain == AF_UNSPEC))
        return from_ipv4(addr, from, size);
    if (from->sa_family == AF_INET6 && (domain == AF_INET6 || domain == AF_UNSPEC))
        return from_ipv6(addr, from, size);
    return -EAFNOSUPPORT;
}

/* Copy out like the kernel: as much as fits, and how long it is in all. */
static void copy_out(const void *from, socklen_t whole, struct sockaddr *to,
                     socklen_t *size)
{
    memcpy(to, from, *size < whole ? *size : whole);
    *size = whole;
}

void sim_addr_to(const struct sim_addr *addr, int domain, struct sockaddr *to,
                 socklen_t *size)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(addr->port) };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(addr->port) };

    memcpy(&in.sin_addr, addr->ip + 12, 4);
    memcpy(&in6.sin6_addr, addr->ip, 16);
    if (domain == AF_INET)
        copy_out(&in, sizeof(in), to, size);
    else
        copy_out(&in6, sizeof(in6), to, size);
}
