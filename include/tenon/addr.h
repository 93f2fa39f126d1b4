/* SPDX-License-Identifier: MIT */
/*
 * tenon/addr.h -- addresses of streams: text, numbers, names.
 *
 *      127.0.0.1:80   [::1]:80   [fe80::1%eth0]:22   :8080   name:port   name:service
 *      tcp://name:port   unix:/path   unix:@abstract   /path/with/a/slash
 *
 * Without a host, as in :8080, it is this one: to listen all its interfaces, to connect its
 * loopback addresses.
 *
 * A port is 1 to 65535, or 0 where one is to be chosen; anything else is an error, never
 * taken modulo something.
 */
#ifndef TENON_ADDR_H
#define TENON_ADDR_H

#include <stddef.h>
#include <stdint.h>

#include <tenon/err.h>
#include <tenon/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sockaddr;

/* An address of a socket: a value, copied freely.  All zero is no address. */
typedef struct tn_addr {
    uint32_t size; /* bytes used, as a socklen_t; 0 for none */
    union {
        uint16_t family; /* AF_INET, AF_INET6 or AF_UNIX */
        uint64_t align;
        char bytes[128]; /* a struct sockaddr_in, _in6 or _un */
    } as;
} tn_addr;

/* The longest text of an address, its NUL included. */
#define TN_ADDR_TEXT 160

/* tn_resolve gives at most this many. */
#define TN_ADDRS_MAX 32

/* Which addresses are wanted. */
enum tn_family { TN_ANY, TN_IPV4, TN_IPV6, TN_UNIX };

/*
 * tn_addr_parse -- read TEXT, in which no name needs looking up, into *ADDR.
 *
 * ":8080" is the IPv6 wildcard, which TCP listens on for both families; to connect, use
 * tn_resolve.  Anywhere, no parking.
 *
 * Errors: TN_INVALID (no address: no port, a port out of range, a path of more than 107
 * bytes, ...), TN_NOT_FOUND (a well-formed name, but no number; or no such interface).
 */
TN_API TN_MUST tn_err tn_addr_parse(const char *text, tn_addr *addr);

/*
 * tn_addr_check -- whether TEXT is an address, a name and port included, without looking
 * anything up.  On failure *WHY (unless NULL) is a sentence for people, to be kept as long
 * as the program runs.
 *
 * Errors: TN_INVALID.
 */
TN_API TN_MUST tn_err tn_addr_check(const char *text, const char **why);

/* tn_addr_text -- ADDR as text that tn_addr_parse reads, in BUF of SIZE; returns BUF. */
TN_API const char *tn_addr_text(const tn_addr *addr, char *buf, size_t size);

/* tn_addr_port -- the port of ADDR; 0 when it has none. */
TN_API uint16_t tn_addr_port(const tn_addr *addr);

/* tn_addr_from -- the address of SIZE bytes at SOCKADDR; cut to what tn_addr holds. */
TN_API tn_addr tn_addr_from(const struct sockaddr *sockaddr, size_t size);

/* tn_addr_same -- whether both are the same address and port. */
TN_API bool tn_addr_same(const tn_addr *one, const tn_addr *other);

/*
 * tn_resolve -- the addresses of TEXT, in the order in which they are to be tried, up to
 * ROOM of them into LIST and how many into *COUNT.
 *
 * Names are looked up by getaddrinfo(3) on a helper thread (tn_offload), so that
 * nsswitch.conf, hosts and search domains count; their order is that of RFC 6724, with
 * the families alternating (RFC 8305, section 4).  ":8080" is [::1]:8080 and
 * 127.0.0.1:8080.  Parks when there is a name.
 *
 * Errors: TN_INVALID (TEXT), TN_NOT_FOUND (no such name or service, or none of FAMILY),
 * TN_UNREACHABLE (no name server answers), TN_LIMIT (helper threads busy, memory),
 * TN_DEADLINE, TN_CANCELED.
 */
TN_API TN_MUST tn_err tn_resolve(const char *text, enum tn_family family, tn_addr *list,
                                 size_t room, size_t *count, tn_deadline deadline);

#ifdef __cplusplus
}
#endif

#endif
