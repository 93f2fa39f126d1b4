/* SPDX-License-Identifier: MIT */
/*
 * progress.h -- a meter on standard error while bytes are carried.
 *
 * Shown when it serves: standard error is a terminal, nothing asks for silence or JSON,
 * and it takes longer than a second.
 */
#ifndef TENON_CLI_PROGRESS_H
#define TENON_CLI_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

#include <tenon.h>

/* What a meter looks at: counts that others keep, of which a NULL one is not shown. */
struct meter {
    int64_t started;
    const uint64_t *sent, *received;
    const uint64_t *total; /* that SENT goes to, once it is not 0: for the time left */
    struct tn_task *task;
};

/* progress_start -- show how METER's counts go; nothing where no meter serves. */
void progress_start(struct meter *meter, bool silent);

/* progress_stop -- take it away; one that was not started is fine.  Parks. */
void progress_stop(struct meter *meter);

/* size_text -- BYTES as "1.5 MiB", in BUF of SIZE. */
const char *size_text(uint64_t bytes, char *buf, size_t size);

/* bytes_text -- BYTES as "1 byte" or "1536 bytes", in BUF of SIZE. */
const char *bytes_text(uint64_t bytes, char *buf, size_t size);

/* limited_by -- who kept the sender waiting most, as TCP counts it: "receiver" ... */
const char *limited_by(const struct tn_conn_facts *tcp);

/* time_text -- LENGTH as "1.3 ms", in BUF of SIZE. */
const char *time_text(int64_t length, char *buf, size_t size);

#endif
