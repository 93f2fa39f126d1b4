/* SPDX-License-Identifier: MIT */
/*
 * explain_more.h -- `tenon explain` of an address, and of a line for socat.
 */
#ifndef TENON_CLI_EXPLAIN_EXPLAIN_MORE_H
#define TENON_CLI_EXPLAIN_EXPLAIN_MORE_H

#include "options.h"

/*
 * explain_is_more -- whether the ARGC words at ARGV, behind "explain", want --help, an
 * address or --from-socat; otherwise they are names, which explain.c knows.
 */
bool explain_is_more(int argc, char **argv);

/* explain_more_main -- do it; returns the exit code. */
int explain_more_main(struct settings *settings);

/* explain_address -- how the COUNT addresses at WORDS are read, and what would be tried. */
int explain_address(struct settings *settings, const char *const *words, int count);

/* explain_socat -- our command line for TEXT, one for socat, or what has no counterpart. */
int explain_socat(const char *text);

#endif
