/* SPDX-License-Identifier: MIT */
/*
 * files.h -- files that receive what comes in: -o.
 */
#ifndef TENON_CLI_FILES_H
#define TENON_CLI_FILES_H

#include "carry.h"

/*
 * file_create -- create or truncate the file that PATTERN names, with %n for NUMBER, and
 * store it in *FILE.  Returns 0, or an exit code after a complaint.
 */
int file_create(const char *pattern, uint64_t number, struct local *file);

#endif
