/* SPDX-License-Identifier: MIT */
/*
 * explain_print.h -- entries of the table on standard output: for people, or as JSON.
 */
#ifndef TENON_CLI_EXPLAIN_PRINT_H
#define TENON_CLI_EXPLAIN_PRINT_H

#include "explain_table.h"

/* Everything about ENTRY, wrapped at 78 columns. */
void print_entry(const struct explain_entry *entry, enum explain_lang lang);

/* Every name there is, one line each, by kind. */
void print_list(enum explain_lang lang);

/* ENTRY as one JSON object on one line; ASKED is the name it was asked for by. */
void print_json(const struct explain_entry *entry, const char *asked,
                enum explain_lang lang);

#endif
