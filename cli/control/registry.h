/* SPDX-License-Identifier: MIT */
/*
 * registry.h -- where running servers can be found by name: sockets in a folder that is
 * the user's alone.
 *
 * It is $XDG_RUNTIME_DIR/tenon, for root without that /run/tenon, else tenon-UID below
 * $TMPDIR or /tmp.  Whoever can write there could answer for a server, so a folder of
 * somebody else's, or one that others may enter, is not used.
 */
#ifndef TENON_CLI_REGISTRY_H
#define TENON_CLI_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

/* Enough for any path of a Unix socket. */
#define REGISTRY_PATH 108

/* registry_name_ok -- whether NAME may be one: letters, digits and . _ - only, 1 to 40. */
bool registry_name_ok(const char *name);

/*
 * registry_path -- the socket of NAME, in PATH; the folder is made if MAKE says so and it is
 * not there.  NULL, or why there is no such folder to be used.
 */
const char *registry_path(const char *name, bool make, char path[REGISTRY_PATH]);

/*
 * registry_each -- call SEE(NAME, ARG) for each name there is a socket of, dead ones
 * included, in no order.  NULL, or why not.
 */
const char *registry_each(void (*see)(const char *name, void *arg), void *arg);

#endif
