/* SPDX-License-Identifier: MIT */
/*
 * net/addr.h -- an address text taken apart, before anything is looked up.
 */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <tenon/addr.h>

#define ADDR_HOST_MAX    256 /* RFC 1035: 253 */
#define ADDR_SERVICE_MAX 64

struct addr_parts {
    bool is_unix;
    bool bracketed;
    char host[ADDR_HOST_MAX]; /* "": none is named; of a Unix socket, the path */
    char service[ADDR_SERVICE_MAX];
};

/* addr_split -- take TEXT apart.  NULL, or why it is no address. */
const char *addr_split(const char *text, struct addr_parts *parts);

/* addr_unix -- the address of a Unix socket's PATH, "@..." for abstract.  0 or -EINVAL. */
int addr_unix(const char *path, tn_addr *addr);

/* addr_to_listen -- where to listen for TEXT: of ":port" the wildcard.  As tn_resolve. */
tn_err addr_to_listen(const char *text, enum tn_family family, tn_addr *addr);

/* addr_port -- a decimal port of TEXT, or -1 if it is none. */
int addr_port(const char *text);

#endif
