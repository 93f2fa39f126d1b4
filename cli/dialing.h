/* SPDX-License-Identifier: MIT */
/*
 * dialing.h -- connecting as the options say, and saying why it failed.
 */
#ifndef TENON_CLI_DIALING_H
#define TENON_CLI_DIALING_H

#include <tenon.h>

#include "options.h"
#include "where.h"

/* conn_options -- what SETTINGS say about connections; SOURCE has room for an address. */
struct tn_conn_options conn_options(const struct settings *settings, char *source,
                                    size_t size);

/*
 * dialing_code -- the exit code for ERR, which came of connecting to WHERE as SETTINGS say,
 * or of listening there (NULL), and the reason in WHY of SIZE.
 */
int dialing_code(tn_err err, const struct settings *settings, const struct where *where,
                 char *why, size_t size);

/*
 * dial -- connect to WHERE within DEADLINE and --connect-timeout.  Returns 0 with *CONN,
 * or an exit code after a complaint.  Parks.
 */
int dial(struct tn_conn **conn, const struct settings *settings,
         const struct where *where, tn_deadline deadline);

/* network_code -- the exit code for an error of a connection or of waiting for one. */
int network_code(tn_err err);

#endif
