/* SPDX-License-Identifier: MIT */
/*
 * explain_find.h -- from what somebody typed to an entry of the table, or to near names.
 */
#ifndef TENON_CLI_EXPLAIN_FIND_H
#define TENON_CLI_EXPLAIN_FIND_H

#include "explain_table.h"

enum { FIND_SUGGESTIONS = 3 };

struct found {
    const struct explain_entry *entry; /* NULL when nothing has that name */
    bool renamed;                      /* found under another name than was typed */
    bool misspelt;                     /* and what was typed is wrong */
    const struct explain_entry *near[FIND_SUGGESTIONS]; /* when ENTRY is NULL */
    size_t near_count;
};

/*
 * find_entry -- look up NAME: a name in any case, with or without tn_fd_, an alias, the
 * end of a flag's name (PEEK), an errno's number, or the message perror prints for it.
 */
void find_entry(const char *name, struct found *found);

#endif
