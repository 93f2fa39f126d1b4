/* SPDX-License-Identifier: MIT */
/*
 * exec.h -- a program for a client: its standard input and output are the connection.
 */
#ifndef TENON_CLI_EXEC_H
#define TENON_CLI_EXEC_H

#include "gate.h"

/*
 * program_run -- start the program that SETTINGS name with CLIENT's connection, wait until
 * it has ended, and end the connection by the closing rule.  Returns the program's exit
 * code (128 and more: a signal; 126, 127: not started), or what became of the connection.
 * Parks.
 */
int program_run(struct client *client, const struct settings *settings);

#endif
