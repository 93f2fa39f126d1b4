/* SPDX-License-Identifier: MIT */
/*
 * differences.h -- the named differences between plain calls and tn_fd calls.
 */
#ifndef CALLS_DIFFERENCES_H
#define CALLS_DIFFERENCES_H

#include <stdbool.h>

struct difference {
    const char *script; /* a pattern of fnmatch(3) */
    const char *plain;  /* the line of the plain trace; a pattern too */
    const char *task;   /* the line that a task's trace has in its place */
    const char *name;   /* as in <tenon/fd.h>: [closed], [cancelled], ... */
    const char *reason;
    bool storm; /* seen only when signals rain */
};

extern const struct difference differences[];
extern const int difference_count;

/* Are the traces equal, but for named differences?  If not, stores the two lines that differ,
 * cut to 200 bytes.  USED counts, for each entry, how often it was needed. */
bool traces_agree(const char *script, const char *plain, const char *task,
                  char *plain_line, char *task_line, int *used);

#endif /* CALLS_DIFFERENCES_H */
