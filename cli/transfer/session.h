/* SPDX-License-Identifier: MIT */
/*
 * session.h -- what send and recv have in common beside the wire: the token, and what a
 * failure is called and counts as.
 */
#ifndef TENON_CLI_TRANSFER_SESSION_H
#define TENON_CLI_TRANSFER_SESSION_H

#include "options.h"
#include "report.h"
#include "wire.h"

/*
 * session_token -- the token that --token names, itself or by @FILE, in TEXT of
 * TOKEN_MOST + 1 bytes; an empty one if none is wanted.  Returns 0 or an exit code after
 * a complaint.
 */
int session_token(const struct settings *settings, char *text);

/*
 * session_why -- why ERR ended WIRE's session, for people, in BUF of SIZE; returns BUF.
 * PEER is what the other side is called: "sender", "receiver".
 */
const char *session_why(const struct wire *wire, tn_err err, const char *peer, char *buf,
                        size_t size);

/* session_code -- the exit code for ERR. */
enum exit_code session_code(const struct wire *wire, tn_err err);

/* session_may_return -- whether a new connection could do better. */
bool session_may_return(const struct wire *wire, tn_err err);

/* session_file_told -- tell that the file of NAME is there, of which MOVED bytes moved. */
void session_file_told(const char *where, const char *name, const struct sum *sum,
                       uint64_t moved);

#endif
