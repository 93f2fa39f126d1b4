/* SPDX-License-Identifier: MIT */
/*
 * explain_find.c -- look a name up, and guess what was meant when there is none.
 *
 * Sure ways first: number, name, alias, a flag without its prefix, perror's message.
 * What is left is compared with every name by edit distance; those guesses are only
 * offered, never taken, so that a script cannot be given the wrong entry.
 */
#include "explain_find.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NAME_MAX_BYTES = 32 }; /* longer than any name in the table */

/* A whole number, with or without the minus of kernel results: 32, -32. */
static const struct explain_entry *find_number(const char *name)
{
    char *end;
    long number = strtol(name, &end, 10);

    if (end == name || *end != '\0')
        return NULL;
    return explain_number(number < 0 && number > -4096 ? -number : number);
}

static const struct explain_entry *find_name(const char *name)
{
    for (size_t i = 0; i < explain_entry_count; i++)
        if (strcasecmp(explain_entries[i].name, name) == 0)
            return &explain_entries[i];
    return NULL;
}

static const struct explain_entry *find_alias(const char *name, bool *misspelt)
{
    for (size_t i = 0; i < explain_alias_count; i++)
        if (strcasecmp(explain_aliases[i].alias, name) == 0) {
            *misspelt = explain_aliases[i].misspelt;
            return explain_exact(explain_aliases[i].name);
        }
    return NULL;
}

/* PEEK for MSG_PEEK, RCVTIMEO for SO_RCVTIMEO. */
static const struct explain_entry *find_unprefixed(const char *name)
{
    static const char *const prefixes[] = { "MSG_", "SHUT_", "SO_", "SOCK_",
                                            "O_",   "AF_",   "TCP_" };

    for (size_t p = 0; p < sizeof(prefixes) / sizeof(prefixes[0]); p++) {
        size_t length = strlen(prefixes[p]);
        for (size_t i = 0; i < explain_entry_count; i++)
            if (strncmp(explain_entries[i].name, prefixes[p], length) == 0 &&
                strcasecmp(explain_entries[i].name + length, name) == 0)
                return &explain_entries[i];
    }
    return NULL;
}

/* "Broken pipe", as perror prints it. */
static const struct explain_entry *find_message(const char *message)
{
    for (size_t i = 0; i < explain_entry_count; i++)
        if (explain_entries[i].kind == EXPLAIN_ERRNO &&
            strcasecmp(strerror((int)explain_entries[i].number), message) == 0)
            return &explain_entries[i];
    return NULL;
}

static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/*
 * How many letters must be put in, left out, changed or swapped with their neighbour to
 * make A into B, whatever their case (optimal string alignment).  Both shorter than
 * NAME_MAX_BYTES.
 */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[3][NAME_MAX_BYTES + 1]; /* before last, last, this one */
    size_t a_length = strlen(a), b_length = strlen(b);

    for (size_t j = 0; j <= b_length; j++)
        row[1][j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        row[2][0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t cost = lower(a[i - 1]) != lower(b[j - 1]);
            size_t best = least(row[1][j], row[2][j - 1]) + 1;
            best = least(best, row[1][j - 1] + cost);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1]))
                best = least(best, row[0][j - 2] + 1);
            row[2][j] = best;
        }
        memcpy(row[0], row[1], sizeof(row[0]));
        memcpy(row[1], row[2], sizeof(row[1]));
    }
    return row[1][b_length];
}

/* Collect the names nearest to NAME, if they are near at all: a third of its letters. */
static void find_near(const char *name, struct found *found)
{
    size_t length = strlen(name);

    if (length < 3 || length > NAME_MAX_BYTES)
        return;
    size_t best = least(length / 3, 3) + 1;
    for (size_t i = 0; i < explain_entry_count; i++) {
        size_t distance = edit_distance(name, explain_entries[i].name);
        if (distance < best) {
            best = distance;
            found->near_count = 0;
        } else if (distance > best || found->near_count == 0) {
            continue;
        }
        if (found->near_count < FIND_SUGGESTIONS)
            found->near[found->near_count++] = &explain_entries[i];
    }
}

void find_entry(const char *name, struct found *found)
{
    const char *bare = name;

    *found = (struct found){ 0 };
    if (strncasecmp(bare, "tn_fd_", 6) == 0)
        bare += 6;

    found->entry = find_number(bare);
    if (found->entry == NULL)
        found->entry = find_name(bare);
    if (found->entry != NULL)
        return;

    found->entry = find_alias(bare, &found->misspelt);
    if (found->entry == NULL)
        found->entry = find_unprefixed(bare);
    if (found->entry == NULL)
        found->entry = find_message(bare);
    found->renamed = found->entry != NULL;
    if (found->entry == NULL)
        find_near(bare, found);
}
