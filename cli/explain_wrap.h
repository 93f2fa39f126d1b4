/* SPDX-License-Identifier: MIT */
/*
 * explain_wrap.h -- text in columns: wrapped at 78, Chinese counted as two columns.
 */
#ifndef TENON_CLI_EXPLAIN_WRAP_H
#define TENON_CLI_EXPLAIN_WRAP_H

#include <stddef.h>

enum { WRAP_COLUMNS = 78 };

/* How many columns the UTF-8 TEXT takes on a terminal. */
size_t wrap_width(const char *text);

/*
 * Print TEXT on standard output, every line but the first behind INDENT spaces; the
 * first begins in column COLUMN, where the cursor already is.  Ends with a newline.
 */
void wrap_print(const char *text, size_t column, size_t indent);

/* Print N spaces on standard output. */
void wrap_spaces(size_t n);

#endif
