/* SPDX-License-Identifier: MIT */
/*
 * explain_table.h -- the one table behind `tenon explain`, the man pages and docs/errors.md.
 *
 * The texts live in explain_errno.def, explain_calls.def and explain_names.def, in
 * English and Chinese.  What a call can give is never written down twice: it is found by
 * looking for the call's name in the reasons of every errno.
 */
#ifndef TENON_CLI_EXPLAIN_TABLE_H
#define TENON_CLI_EXPLAIN_TABLE_H

#include <stdbool.h>
#include <stddef.h>

enum explain_lang { EXPLAIN_EN, EXPLAIN_ZH };
enum explain_kind { EXPLAIN_ERRNO, EXPLAIN_CALL, EXPLAIN_FLAG, EXPLAIN_WORD };

/* One statement in every language, indexed by enum explain_lang. */
struct explain_text {
    const char *in[2];
};

/* An entry.  A text that does not apply is NULL in both languages. */
struct explain_entry {
    enum explain_kind kind;
    const char *name;
    long number;           /* of an errno or a flag, from the system's headers */
    const char *signature; /* of a call */
    struct explain_text title;
    struct explain_text about;  /* what it does */
    struct explain_text parks;  /* a call: when it parks the task */
    struct explain_text bytes;  /* what happened to the bytes */
    struct explain_text advice; /* what to do */
    struct explain_text belief; /* what is often believed, and what is true */
    const char *see;            /* names of entries, with spaces between */
};

/* One reason for an errno, and the calls it applies to, with spaces between. */
struct explain_when {
    int number;
    const char *calls;
    struct explain_text text;
};

/* Another name for an entry. */
struct explain_alias {
    const char *alias;
    const char *name;
    bool misspelt; /* wrong, as opposed to a second right name */
};

extern const struct explain_entry explain_entries[];
extern const size_t explain_entry_count;
extern const struct explain_when explain_whens[];
extern const size_t explain_when_count;
extern const struct explain_alias explain_aliases[];
extern const size_t explain_alias_count;

/* Is WORD one of the words of LIST? */
bool explain_list_has(const char *list, const char *word);

/* Can CALL give the errno NUMBER? */
bool explain_call_gives(const char *call, int number);

/* The entry with exactly this name, or NULL. */
const struct explain_entry *explain_exact(const char *name);

/* The entry of this errno, or NULL. */
const struct explain_entry *explain_number(long number);

#endif
