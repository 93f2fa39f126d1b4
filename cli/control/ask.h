/* SPDX-License-Identifier: MIT */
/*
 * ask.h -- the asking side of control.h, for `tenon ctl` and `tenon top`.
 */
#ifndef TENON_CLI_ASK_H
#define TENON_CLI_ASK_H

#include <tenon.h>

/*
 * ask -- send COMMAND, one line with its newline, to the server NAME, and call
 * SEE(ARG, LINE) for each object of the answer, which lacks its newline.  Parks.
 *
 * Errors: TN_NOT_FOUND, TN_REFUSED: nothing of that name runs; TN_DEADLINE: no answer within
 * ten seconds; as tn_read.
 */
TN_MUST tn_err ask(const char *name, const char *command,
                   void (*see)(void *arg, const char *line), void *arg);

/* Names of servers, sorted. */
struct ask_names {
    char (*list)[48];
    size_t count;
};

/* ask_names_find -- those there are sockets of; some may be dead.  None: an empty list. */
void ask_names_find(struct ask_names *names);
void ask_names_release(struct ask_names *names);

#endif
