/* SPDX-License-Identifier: MIT */
/*
 * resolve.c -- names to addresses, on a helper thread.
 *
 * getaddrinfo(3) is asked, so that nsswitch.conf, hosts and search domains count as for
 * every other program, but never on the loop's thread.  The job owns its memory: a caller
 * that gives up leaves it to the helper.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include <tenon/loop.h>

#include "base/err.h"
#include "net/addr.h"
#include "os/os.h"
#include "task/park.h"

struct lookup {
    struct os *os;
    struct addr_parts parts;
    enum tn_family family;
    bool to_listen;
    int code;         /* of getaddrinfo */
    int system_error; /* errno with EAI_SYSTEM */
    struct addrinfo *found;
};

static int family_number(enum tn_family family)
{
    return family == TN_IPV4 ? AF_INET : family == TN_IPV6 ? AF_INET6 : AF_UNSPEC;
}

static void look_up(void *argument)
{
    struct lookup *lookup = argument;
    const char *host = lookup->parts.host;
    struct addrinfo hints = {
        .ai_family = family_number(lookup->family),
        .ai_socktype = SOCK_STREAM,
    };

    if (host[0] == '\0') { /* ":service": as no_host has it */
        host = NULL;
        hints.ai_flags = lookup->to_listen ? AI_PASSIVE : 0;
        if (lookup->to_listen && lookup->family == TN_ANY)
            hints.ai_family = AF_INET6;
    }
    lookup->code = getaddrinfo(host, lookup->parts.service, &hints, &lookup->found);
    lookup->system_error = errno;
}

static void drop(void *argument)
{
    struct lookup *lookup = argument;

    if (lookup->found != NULL)
        freeaddrinfo(lookup->found);
    os_release(lookup->os, lookup);
}

/* Hosts files often name an address twice, and getaddrinfo then gives it twice. */
static size_t add_new(tn_addr *list, size_t count, const struct addrinfo *found)
{
    list[count] = tn_addr_from(found->ai_addr, found->ai_addrlen);
    for (size_t i = 0; i < count; i++)
        if (tn_addr_same(&list[i], &list[count]))
            return count;
    return count + 1;
}

/*
 * Order FOUND for dialing: as getaddrinfo sorted it (RFC 6724), but with the families
 * alternating from the first one on (RFC 8305, 4).
 */
static size_t interleave(const struct addrinfo *found, tn_addr *list, size_t room)
{
    const struct addrinfo *next[2] = { found, found };
    int families[2] = { found->ai_family, 0 };
    size_t count = 0;
    int turn = 0;

    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next)
        if (families[1] == 0 && at->ai_family != families[0])
            families[1] = at->ai_family;
    while (count < room && (next[0] != NULL || next[1] != NULL)) {
        const struct addrinfo **at = &next[turn];
        while (*at != NULL && (*at)->ai_family != families[turn])
            *at = (*at)->ai_next;
        if (*at != NULL) {
            count = add_new(list, count, *at);
            *at = (*at)->ai_next;
        }
        turn = 1 - turn;
    }
    return count;
}

static tn_err look_up_name(const struct addr_parts *parts, enum tn_family family,
                           bool to_listen, tn_addr *list, size_t room, size_t *count,
                           tn_deadline deadline)
{
    struct os *os = task_os();
    struct lookup *lookup = os_allocate(os, sizeof(*lookup));
    tn_err err;

    if (lookup == NULL)
        return err_from(ERR_RESOLVE, -ENOMEM);
    lookup->os = os;
    lookup->parts = *parts;
    lookup->family = family;
    lookup->to_listen = to_listen;
    err = tn_offload(look_up, lookup, drop, deadline);
    if (tn_failed(err)) {
        err.op = ERR_RESOLVE;
        return err; /* the job is no longer ours */
    }
    if (lookup->code == EAI_SYSTEM)
        err = err_from(ERR_RESOLVE,
                       lookup->system_error > 0 ? -lookup->system_error : -EIO);
    else if (lookup->code != 0)
        err = err_gai(lookup->code);
    else
        *count = interleave(lookup->found, list, room);
    drop(lookup);
    return err;
}

/*
 * The addresses of ":PORT": to listen the wildcard, which for IPv6 is that of both families;
 * to dial this host, by both.
 */
static size_t no_host(enum tn_family family, bool to_listen, uint16_t port, tn_addr *list,
                      size_t room)
{
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
    size_t count = 0;

    in6.sin6_addr = to_listen ? in6addr_any : in6addr_loopback;
    in.sin_addr.s_addr = htonl(to_listen ? INADDR_ANY : INADDR_LOOPBACK);
    if (family == TN_IPV6 || family == TN_ANY)
        list[count++] = tn_addr_from((struct sockaddr *)&in6, sizeof(in6));
    if (family == TN_IPV4 || (family == TN_ANY && !to_listen && count < room))
        list[count++] = tn_addr_from((struct sockaddr *)&in, sizeof(in));
    return count;
}

static bool family_fits(const tn_addr *addr, enum tn_family family)
{
    switch (family) {
    case TN_IPV4:
        return addr->as.family == AF_INET;
    case TN_IPV6:
        return addr->as.family == AF_INET6;
    case TN_UNIX:
        return addr->as.family == AF_UNIX;
    default:
        return true;
    }
}

static tn_err resolve(const char *text, enum tn_family family, bool to_listen,
                      tn_addr *list, size_t room, size_t *count, tn_deadline deadline)
{
    struct addr_parts parts;
    tn_addr addr;
    tn_err err = tn_addr_parse(text, &addr);

    if (room == 0)
        return err_make(ERR_RESOLVE, TN_INVALID);
    if (err.kind == TN_INVALID)
        return err;
    if (addr_split(text, &parts) != NULL || (tn_failed(err) && family == TN_UNIX))
        return err_make(ERR_RESOLVE, TN_NOT_FOUND);
    if (tn_failed(err)) /* a name, a service, or the numeric oddities of getaddrinfo */
        return look_up_name(&parts, family, to_listen, list, room, count, deadline);
    if (parts.host[0] == '\0' && family != TN_UNIX) {
        *count = no_host(family, to_listen, tn_addr_port(&addr), list, room);
        return tn_ok();
    }
    if (!family_fits(&addr, family))
        return err_make(ERR_RESOLVE, TN_NOT_FOUND);
    list[0] = addr;
    *count = 1;
    return tn_ok();
}

tn_err tn_resolve(const char *text, enum tn_family family, tn_addr *list, size_t room,
                  size_t *count, tn_deadline deadline)
{
    return resolve(text, family, false, list, room, count, deadline);
}

tn_err addr_to_listen(const char *text, enum tn_family family, tn_addr *addr)
{
    size_t count;

    return resolve(text, family, true, addr, 1, &count, TN_NEVER);
}
