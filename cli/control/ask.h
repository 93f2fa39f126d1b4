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

/* ask_runs_not -- whether ERR, of ask, says that nothing of that name runs. */
bool ask_runs_not(tn_err err);

/*
 * ask_complain -- report that NAME runs and that ERR, within PATIENCE, is all that VERB has got
 * of it.  Returns the exit code.
 */
int ask_complain(const char *verb, const char *name, tn_err err, int64_t patience);

/* Names of servers, sorted. */
struct ask_names {
    char (*list)[48];
    size_t count;
};

/* What all of them are asked. */
struct ask_round {
    const char *before; /* a second earlier, so that rates are of that; NULL: nothing */
    const char *command;
    int64_t patience;                         /* for each answer */
    void (*see)(void *arg, const char *line); /* as ask */
    void (*over)(void *arg, const char *name,
                 tn_err err); /* behind the last line of NAME */
    void *arg;
};

/*
 * ask_all -- ask each of NAMES, all at once, so that one that hangs holds up none; then tell
 * what they said in the order of NAMES.  Parks.
 *
 * Errors: TN_LIMIT.
 */
TN_MUST tn_err ask_all(const struct ask_names *names, const struct ask_round *round);

/* ask_names_find -- those there are sockets of; some may be dead.  None: an empty list. */
void ask_names_find(struct ask_names *names);
void ask_names_release(struct ask_names *names);

#endif
