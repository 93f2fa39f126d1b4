/* SPDX-License-Identifier: MIT */
/*
 * html.h -- a report to look at: one page that needs nothing else.
 */
#ifndef TENON_CLI_BENCH_HTML_H
#define TENON_CLI_BENCH_HTML_H

#include "limits.h"

/* html_check -- can FILE be written, later?  Returns 0, or an exit code after a complaint. */
int html_check(const char *file);

/* html_write -- write the report to FILE.  Returns 0, or an exit code after a complaint. */
int html_write(const char *file, const struct plan *plan, const struct result *result,
               const struct warnings *warnings);

#endif
