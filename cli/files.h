/* SPDX-License-Identifier: MIT */
/*
 * files.h -- files that receive what comes in: -o.
 */
#ifndef TENON_CLI_FILES_H
#define TENON_CLI_FILES_H

#include "carry.h"

/*
 * file_create -- create or truncate the file that PATTERN names, with %n for NUMBER, and
 * store it in *FILE.  A FIFO is waited for until somebody reads it, or DEADLINE: parks.
 * Returns 0, or an exit code after a complaint; without one if the task was canceled.
 */
int file_create(const char *pattern, uint64_t number, struct local *file,
                tn_deadline deadline);

#endif
