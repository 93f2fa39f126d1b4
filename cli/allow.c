/* SPDX-License-Identifier: MIT */
/*
 * allow.c -- networks: 10.0.0.0/8, 192.168.1.7, fe80::/10, all.
 *
 * IPv4 is compared as IPv6, in ::ffff:0:0/96, which is how a listener for both families
 * sees IPv4 clients; so one comparison does for all.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "gate.h"

static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

bool allow_read(const char *text, struct network *network)
{
    const char *slash = strchr(text, '/');
    size_t size = slash ? (size_t)(slash - text) : strlen(text);
    char host[INET6_ADDRSTRLEN];
    int64_t bits;
    bool is_ipv4;

    memset(network, 0, sizeof(*network));
    if (strcmp(text, "all") == 0)
        return true;
    if (size >= sizeof(host))
        return false;
    memcpy(host, text, size);
    host[size] = 0;
    is_ipv4 = inet_pton(AF_INET, host, network->bytes + 12) == 1;
    if (is_ipv4)
        memcpy(network->bytes, mapped, sizeof(mapped));
    else if (inet_pton(AF_INET6, host, network->bytes) != 1)
        return false;
    bits = is_ipv4 ? 32 : 128;
    if (slash && !value_number(slash + 1, 0, bits, &bits))
        return false;
    network->bits = (unsigned)bits + (is_ipv4 ? 96 : 0);
    return true;
}

/* The 16 bytes of ADDR, which is an internet address. */
static void bytes_of(const tn_addr *addr, unsigned char *bytes)
{
    if (addr->as.family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, addr->as.bytes, sizeof(in6));
        memcpy(bytes, &in6.sin6_addr, 16);
    } else {
        struct sockaddr_in in;
        memcpy(&in, addr->as.bytes, sizeof(in));
        memcpy(bytes, mapped, sizeof(mapped));
        memcpy(bytes + 12, &in.sin_addr, 4);
    }
}

static bool network_has(const struct network *network, const unsigned char *bytes)
{
    unsigned whole = network->bits / 8, rest = network->bits % 8;

    if (memcmp(network->bytes, bytes, whole) != 0)
        return false;
    return rest == 0 || ((network->bytes[whole] ^ bytes[whole]) >> (8 - rest)) == 0;
}

bool allow_has(const struct network *networks, int count, const tn_addr *addr)
{
    unsigned char bytes[16];

    if (addr->as.family != AF_INET && addr->as.family != AF_INET6)
        return true;
    bytes_of(addr, bytes);
    for (int i = 0; i < count; i++) {
        if (network_has(&networks[i], bytes))
            return true;
    }
    return false;
}

bool allow_same_host(const tn_addr *one, const tn_addr *other)
{
    unsigned char bytes[2][16];

    if ((one->as.family != AF_INET && one->as.family != AF_INET6) ||
        (other->as.family != AF_INET && other->as.family != AF_INET6))
        return one->as.family == other->as.family;
    bytes_of(one, bytes[0]);
    bytes_of(other, bytes[1]);
    return memcmp(bytes[0], bytes[1], 16) == 0;
}

bool allow_is_local(const tn_addr *addr)
{
    struct network loopback[2];

    (void)allow_read("127.0.0.0/8", &loopback[0]); /* constants: they are right */
    (void)allow_read("::1", &loopback[1]);
    return allow_has(loopback, 2, addr);
}
