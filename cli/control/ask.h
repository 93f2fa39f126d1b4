/* SPDX-License-Identifier: MIT */
/*
 * ask.h -- the asking side of control.h, for `tenon ctl` and `tenon top`.
 */
#ifndef TENON_CLI_ASK_H
#define TENON_CLI_ASK_H

#include <tenon.h>

#define ASK_PATIENCE (10 * TN_SECOND) /* unless the user says otherwise */

/*
 * ask -- send COMMAND, one line with its newline, to the server NAME, and call
 * SEE(ARG, LINE) for each object of the answer, which lacks its newline.  Parks.
 *
 * Errors: TN_NOT_FOUND, TN_REFUSED: nothing of that name runs; TN_DEADLINE: the answer was
 * not there by DEADLINE; as tn_read.
 */
TN_MUST tn_err ask(const char *name, const char *command, tn_deadline deadline,
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
