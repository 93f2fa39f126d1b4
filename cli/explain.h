/* SPDX-License-Identifier: MIT */
/*
 * explain.h -- `tenon explain NAME...`: what an errno, a socket call or a flag means.
 */
#ifndef TENON_CLI_EXPLAIN_H
#define TENON_CLI_EXPLAIN_H

/*
 * explain_main -- run the command; argv[0] is "explain".
 *
 * Answers go to standard output, complaints (one line each) to standard error.
 * Returns the exit status: 0, 2 for a name or an option we do not know, 8 when standard
 * output could not be written (a closed pipe counts as 0: the reader had enough).
 */
int explain_main(int argc, char **argv);

#endif
