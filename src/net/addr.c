/* SPDX-License-Identifier: MIT */
/*
 * addr.c -- addresses as text and back.  Nothing here looks a name up.
 */
#include "net/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/err.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static const char *copy_part(char *to, size_t room, const char *from, size_t length,
                             const char *too_long)
{
    if (length >= room)
        return too_long;
    memcpy(to, from, length);
    to[length] = '\0';
    return NULL;
}

static const char *split_unix(const char *path, struct addr_parts *parts)
{
    parts->is_unix = true;
    if (path[0] == '\0' || (path[0] == '@' && path[1] == '\0'))
        return "a Unix socket needs a path (unix:/path) or a name (unix:@name)";
    if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return "the path of a Unix socket has at most 107 bytes";
    return copy_part(parts->host, sizeof(parts->host), path, strlen(path), "too long");
}

static const char *check_service(const char *service)
{
    if (service[0] == '\0')
        return "the port is missing";
    if (strspn(service, "0123456789") == strlen(service))
        return addr_port(service) < 0 ? "a port is a number from 1 to 65535" : NULL;
    /* A name has a letter (RFC 6335, 5.1): getaddrinfo would try to read "-80". */
    if (strpbrk(service, LETTERS) == NULL ||
        strspn(service, LETTERS "0123456789-_.") != strlen(service))
        return "a port is a number from 1 to 65535, or the name of a service";
    return NULL;
}

/* Other bytes than these are for the resolver to judge. */
static const char *check_host(const struct addr_parts *parts)
{
    struct in6_addr number;
    char text[INET6_ADDRSTRLEN] = "";
    size_t length = strcspn(parts->host, "%");

    for (const char *at = parts->host; *at != '\0'; at++)
        if ((unsigned char)*at <= ' ' || *at == 0x7f)
            return "a host name has no spaces";
    if (!parts->bracketed)
        return NULL;
    if (length < sizeof(text))
        memcpy(text, parts->host, length);
    return inet_pton(AF_INET6, text, &number) == 1
               ? NULL
               : "between '[' and ']' stands an IPv6 address";
}

const char *addr_split(const char *text, struct addr_parts *parts)
{
    const char *host = text, *colon, *why;
    size_t length;

    memset(parts, 0, sizeof(*parts));
    if (strncmp(text, "unix:", 5) == 0)
        return split_unix(text + 5, parts);
    if (strncmp(text, "tcp://", 6) == 0)
        host = text = text + 6;
    else if (strchr(text, '/') != NULL)
        return strstr(text, "://") != NULL ? "only tcp:// and unix: are known"
                                           : split_unix(text, parts);
    if (text[0] == '[') {
        const char *end = strchr(text, ']');
        if (end == NULL)
            return "a '[' without its ']'";
        if (end[1] != ':')
            return "after ']' a colon and a port are needed";
        parts->bracketed = true;
        host = text + 1;
        length = (size_t)(end - host);
        colon = end + 1;
        if (length == 0)
            return "nothing between '[' and ']'";
    } else {
        colon = strrchr(text, ':');
        if (colon == NULL)
            return "the port is missing (host:port)";
        if (strchr(text, ':') != colon)
            return "an IPv6 address needs brackets: [::1]:80";
        length = (size_t)(colon - host);
    }
    why = copy_part(parts->host, sizeof(parts->host), host, length,
                    "a host name has at most 253 bytes");
    if (why == NULL)
        why = copy_part(parts->service, sizeof(parts->service), colon + 1,
                        strlen(colon + 1), "the port is too long");
    if (why == NULL)
        why = check_host(parts);
    return why != NULL ? why : check_service(parts->service);
}

int addr_port(const char *text)
{
    char *end;
    unsigned long port;

    if (text[0] < '0' || text[0] > '9')
        return -1;
    errno = 0;
    port = strtoul(text, &end, 10);
    return errno != 0 || *end != '\0' || port > 65535 ? -1 : (int)port;
}

int addr_unix(const char *path, tn_addr *addr)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    size_t length = strlen(path);

    if (length == 0 || length >= sizeof(sun.sun_path))
        return -EINVAL;
    memcpy(sun.sun_path, path, length + 1);
    if (path[0] == '@') { /* abstract: a NUL first, and no NUL at the end (unix(7)) */
        sun.sun_path[0] = '\0';
        *addr = tn_addr_from((struct sockaddr *)&sun,
                             offsetof(struct sockaddr_un, sun_path) + length);
    } else {
        *addr = tn_addr_from((struct sockaddr *)&sun,
                             offsetof(struct sockaddr_un, sun_path) + length + 1);
    }
    return 0;
}

static int parse_ipv4(const char *host, uint16_t port, tn_addr *addr)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };

    if (inet_pton(AF_INET, host, &in.sin_addr) != 1)
        return -ENOENT;
    *addr = tn_addr_from((struct sockaddr *)&in, sizeof(in));
    return 0;
}

/* The interface that ZONE names, or the number that it is; 0 if neither. */
static uint32_t zone_number(const char *zone)
{
    unsigned long long number;
    unsigned index = if_nametoindex(zone);

    if (index != 0 || strspn(zone, "0123456789") != strlen(zone))
        return index;
    number = strtoull(zone, NULL, 10); /* too many digits give ULLONG_MAX */
    return number <= UINT32_MAX ? (uint32_t)number : 0;
}

static int parse_ipv6(const char *host, uint16_t port, tn_addr *addr)
{
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    char number[ADDR_HOST_MAX];
    char *zone;

    snprintf(number, sizeof(number), "%s", host);
    zone = strchr(number, '%'); /* RFC 4007, 11 */
    if (zone != NULL) {
        *zone++ = '\0';
        in6.sin6_scope_id = zone_number(zone);
        if (in6.sin6_scope_id == 0)
            return -ENOENT;
    }
    if (inet_pton(AF_INET6, number, &in6.sin6_addr) != 1)
        return -ENOENT;
    *addr = tn_addr_from((struct sockaddr *)&in6, sizeof(in6));
    return 0;
}

tn_err tn_addr_check(const char *text, const char **why)
{
    struct addr_parts parts;
    const char *fault = addr_split(text, &parts);

    if (fault == NULL)
        return tn_ok();
    if (why != NULL)
        *why = fault;
    return err_make(ERR_ADDRESS, TN_INVALID);
}

tn_err tn_addr_parse(const char *text, tn_addr *addr)
{
    struct addr_parts parts;
    int port, result;

    if (addr_split(text, &parts) != NULL)
        return err_make(ERR_ADDRESS, TN_INVALID);
    if (parts.is_unix)
        return err_from(ERR_ADDRESS, addr_unix(parts.host, addr));
    port = addr_port(parts.service);
    if (port < 0)
        return err_make(ERR_ADDRESS, TN_NOT_FOUND);
    if (parts.host[0] == '\0')
        result = parse_ipv6("::", (uint16_t)port, addr);
    else if (parts.bracketed)
        result = parse_ipv6(parts.host, (uint16_t)port, addr);
    else
        result = parse_ipv4(parts.host, (uint16_t)port, addr);
    return result < 0 ? err_make(ERR_ADDRESS, TN_NOT_FOUND) : tn_ok();
}

tn_addr tn_addr_from(const struct sockaddr *sockaddr, size_t size)
{
    tn_addr addr;

    memset(&addr, 0, sizeof(addr));
    addr.size = (uint32_t)(size < sizeof(addr.as) ? size : sizeof(addr.as));
    memcpy(addr.as.bytes, sockaddr, addr.size);
    return addr;
}

static bool same_unix(const tn_addr *one, const tn_addr *other)
{
    const char *path = one->as.bytes + offsetof(struct sockaddr_un, sun_path);
    const char *path2 = other->as.bytes + offsetof(struct sockaddr_un, sun_path);

    if (path[0] == '\0' || path2[0] == '\0') /* abstract names may have NULs */
        return one->size == other->size &&
               memcmp(one->as.bytes, other->as.bytes, one->size) == 0;
    return strncmp(path, path2, sizeof(((struct sockaddr_un *)0)->sun_path)) == 0;
}

bool tn_addr_same(const tn_addr *one, const tn_addr *other)
{
    struct sockaddr_in6 in6, in6_2;
    struct sockaddr_in in, in_2;

    if (one->size == 0 || other->size == 0)
        return one->size == other->size;
    if (one->as.family != other->as.family)
        return false;
    switch (one->as.family) {
    case AF_UNIX:
        return same_unix(one, other);
    case AF_INET:
        memcpy(&in, one->as.bytes, sizeof(in));
        memcpy(&in_2, other->as.bytes, sizeof(in));
        return in.sin_port == in_2.sin_port && in.sin_addr.s_addr == in_2.sin_addr.s_addr;
    case AF_INET6:
        memcpy(&in6, one->as.bytes, sizeof(in6));
        memcpy(&in6_2, other->as.bytes, sizeof(in6));
        return in6.sin6_port == in6_2.sin6_port &&
               in6.sin6_scope_id == in6_2.sin6_scope_id &&
               IN6_ARE_ADDR_EQUAL(&in6.sin6_addr, &in6_2.sin6_addr);
    default:
        return one->size == other->size &&
               memcmp(one->as.bytes, other->as.bytes, one->size) == 0;
    }
}

uint16_t tn_addr_port(const tn_addr *addr)
{
    struct sockaddr_in in;

    /* Both families have the port in the same place. */
    if (addr->size < sizeof(in) ||
        (addr->as.family != AF_INET && addr->as.family != AF_INET6))
        return 0;
    memcpy(&in, addr->as.bytes, sizeof(in));
    return ntohs(in.sin_port);
}

static void text_of_unix(const tn_addr *addr, char *buf, size_t size)
{
    struct sockaddr_un sun;
    size_t room = offsetof(struct sockaddr_un, sun_path);
    int length;

    memset(&sun, 0, sizeof(sun));
    memcpy(&sun, addr->as.bytes, addr->size < sizeof(sun) ? addr->size : sizeof(sun));
    length = addr->size > room ? (int)(addr->size - room) : 0;
    /* getpeername(2) counts a 0 behind a full path. */
    if (length > (int)sizeof(sun.sun_path))
        length = (int)sizeof(sun.sun_path);
    if (length == 0)
        snprintf(buf, size, "unix:");
    else if (sun.sun_path[0] == '\0')
        snprintf(buf, size, "unix:@%.*s", length - 1, sun.sun_path + 1);
    else
        snprintf(buf, size, "unix:%.*s", length, sun.sun_path);
}

static void text_of_ipv6(const tn_addr *addr, char *buf, size_t size)
{
    char number[INET6_ADDRSTRLEN] = "?", zone[IF_NAMESIZE] = "";
    struct sockaddr_in6 in6;

    memcpy(&in6, addr->as.bytes, sizeof(in6));
    inet_ntop(AF_INET6, &in6.sin6_addr, number, sizeof(number));
    if (in6.sin6_scope_id != 0 && if_indextoname(in6.sin6_scope_id, zone) == NULL)
        snprintf(zone, sizeof(zone), "%u", (unsigned)in6.sin6_scope_id);
    snprintf(buf, size, "[%s%s%s]:%u", number, zone[0] != '\0' ? "%" : "", zone,
             (unsigned)ntohs(in6.sin6_port));
}

const char *tn_addr_text(const tn_addr *addr, char *buf, size_t size)
{
    char number[INET_ADDRSTRLEN] = "?";
    struct sockaddr_in in;

    snprintf(buf, size, "?");
    if (size == 0 || addr->size == 0)
        return buf;
    if (addr->as.family == AF_UNIX) {
        text_of_unix(addr, buf, size);
    } else if (addr->as.family == AF_INET6 && addr->size >= sizeof(struct sockaddr_in6)) {
        text_of_ipv6(addr, buf, size);
    } else if (addr->as.family == AF_INET && addr->size >= sizeof(in)) {
        memcpy(&in, addr->as.bytes, sizeof(in));
        inet_ntop(AF_INET, &in.sin_addr, number, sizeof(number));
        snprintf(buf, size, "%s:%u", number, (unsigned)ntohs(in.sin_port));
    }
    return buf;
}
