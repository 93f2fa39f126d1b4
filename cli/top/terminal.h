/* SPDX-License-Identifier: MIT */
/*
 * terminal.h -- see terminal.c.
 */
#ifndef TENON_CLI_TERMINAL_H
#define TENON_CLI_TERMINAL_H

#include <stdbool.h>

/* terminal_is_known -- whether terminfo describes $TERM well enough to draw on it. */
bool terminal_is_known(void);

#endif
