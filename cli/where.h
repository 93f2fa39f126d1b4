/* SPDX-License-Identifier: MIT */
/*
 * where.h -- addresses as people write them, from the operands of the command.
 *
 *      host:port   host port   [::1]:22   ::1 22   :8080   8080 (to listen)   -U /path
 *      tcp://host:port   unix:/path   unix:@name   /path/with/a/slash
 *
 * Options may follow a question mark: host:80?max-time=2s&crlf.
 */
#ifndef TENON_CLI_WHERE_H
#define TENON_CLI_WHERE_H

#include "options.h"

struct where {
    char text[400]; /* as tn_dial and tn_listen read it */
    char name[420]; /* for people: "tcp 127.0.0.1:80", "unix /run/x" */
    bool is_unix;
    bool no_host; /* as in :80: everybody's interface to listen, this host to connect */
    bool is_bare; /* only a port was given, so the interface is ours to choose */
};

/*
 * where_read -- the address that COUNT words at WORDS name, checked, but looked up
 * nowhere.  SETTINGS take the options in it, whose values stay in WHERE.  Returns 0, or
 * an exit code after a complaint.
 */
int where_read(struct where *where, struct settings *settings, const char *const *words,
               int count);

/*
 * where_to_dial -- 0 if WHERE can be connected to, or an exit code after a complaint.  That
 * is so of what where_read gives verbs which connect; a relay does both.
 */
int where_to_dial(const struct where *where);

/* where_set -- make WHERE the address TEXT, which is checked already. */
void where_set(struct where *where, const char *text);

#endif
