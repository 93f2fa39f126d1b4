/* SPDX-License-Identifier: MIT */
/*
 * record.h -- shared by the files that record calls.
 */
#ifndef CALLS_RECORD_H
#define CALLS_RECORD_H

#include "text.h"

/* One call, being made. */
struct attempt {
    unsigned pipes; /* SIGPIPEs this thread had taken before */
    int64_t start_ns, start_tick_ns;
    ssize_t result;
    int error;
    struct text line;
};

void begin(struct actor *me, struct attempt *attempt, const char *call);
/* Keeps the result; true when the call is to be made again (a storm's EINTR). */
bool end(struct actor *me, struct attempt *attempt, ssize_t result);
void text_add_result(struct actor *me, struct attempt *attempt);
/* Adds what holds for every call, and writes the line. */
void finish(struct actor *me, struct attempt *attempt);

unsigned sigpipes_taken(void);                     /* by this thread */
bool is_readable(const void *memory, size_t size); /* for scripts with bad pointers */

#endif /* CALLS_RECORD_H */
