/* SPDX-License-Identifier: MIT */
/*
 * plan.h -- what there is to send: files, and folders with all that is in them.
 */
#ifndef TENON_CLI_TRANSFER_PLAN_H
#define TENON_CLI_TRANSFER_PLAN_H

#include <stddef.h>

#include "wire.h"

struct entry {
    enum kind kind;
    bool is_stdin;
    size_t path;   /* of ours: where it begins in the plan's names, */
    size_t name;   /* and where the end of it that the receiver is told */
    uint64_t base; /* where it begins: the offset of a file on standard input */
    uint64_t size; /* from there, when it was looked at, or SIZE_UNKNOWN */
    uint16_t mode; /* of folders; files are looked at again when they are opened */
    int64_t seconds;
    uint32_t nanoseconds;
};

struct plan {
    struct entry *entries;
    size_t count, room;
    char *names; /* one after the other, each with its zero byte */
    size_t names_size, names_room;
    uint64_t files, bytes; /* bytes: 0 if not known */
    unsigned left_out;     /* links, sockets and so on */
};

/* plan_path -- where ENTRY of PLAN is; plan_name -- what the receiver is told of that. */
static inline const char *plan_path(const struct plan *plan, const struct entry *entry)
{
    return plan->names + entry->path;
}

static inline const char *plan_name(const struct plan *plan, const struct entry *entry)
{
    return plan->names + entry->name;
}

/* plan_rest -- how much a file of SIZE bytes has for ENTRY. */
static inline uint64_t plan_rest(const struct entry *entry, uint64_t size)
{
    return size > entry->base ? size - entry->base : 0;
}

/*
 * plan_make -- look at COUNT operands at WORDS, "-" being standard input, which is to be
 * called STDIN_NAME.  Links that are operands are followed; in folders, they and what is
 * no file are left out, with a note.  Returns 0, or an exit code after a complaint.
 */
int plan_make(struct plan *plan, const char *const *words, int count,
              const char *stdin_name);

/* plan_free -- takes an empty one. */
void plan_free(struct plan *plan);

#endif
