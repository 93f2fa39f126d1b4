/* SPDX-License-Identifier: MIT */
/*
 * completion.h -- what shells offer behind "tenon": from the tables of verbs and options.
 */
#ifndef TENON_CLI_COMPLETION_COMPLETION_H
#define TENON_CLI_COMPLETION_COMPLETION_H

#include "verbs.h"

/* completion_print -- the script for SHELL, on standard output.  0 or an exit code. */
int completion_print(const char *shell);

/* ---- for the writers of the scripts, each in a file of its own ---- */

void completion_bash(void);
void completion_zsh(void);
void completion_fish(void);

/* What may stand where a verb wants an operand. */
enum completion_operand { OPERAND_HOST, OPERAND_FILE, OPERAND_WORDS, OPERAND_RUNNING };

/* A command, for any shell, that prints the names of what runs, a line each. */
#define COMPLETION_RUNNING "tenon ctl --max-time 1s 2>/dev/null | sed \"s/ .*//\""

/*
 * completion_operand -- that of VERB; *WORDS is the list, if it is one, or what the shell is
 * to substitute for it.
 */
enum completion_operand completion_operand(const struct verb *verb, const char **words);

/* completion_shows -- whether VERB takes OPTION, and --help shows it. */
bool completion_shows(const struct verb *verb, const struct option *option);

/* completion_wants_file -- whether the value of OPTION is a file's name. */
bool completion_wants_file(const struct option *option);

/* completion_wants_value -- whether the word behind OPTION belongs to it. */
bool completion_wants_value(const struct option *option);

/* completion_put -- TEXT, with a backslash before each byte that is in SPECIAL. */
void completion_put(const char *text, const char *special);

#endif
