/* SPDX-License-Identifier: MIT */
/*
 * reader.h -- a reader in a task of its own, beside the test.
 */
#ifndef NET_READER_H
#define NET_READER_H

#include "net/net_rig.h"

/* A task that waits for SIZE bytes while the test goes on. */
struct reader {
    struct tn_conn *conn;
    char *buf;
    size_t size, got;
    tn_deadline deadline;
    tn_err err;
    bool over;
    struct tn_task *task;
};

static inline tn_err read_in_task(void *arg)
{
    struct reader *self = arg;

    self->err = tn_read(self->conn, self->buf, self->size, &self->got, self->deadline);
    self->over = true;
    return tn_ok();
}

static inline void reader_start(struct reader *self, struct tn_conn *conn, void *buf,
                                size_t size, tn_deadline deadline)
{
    *self =
        (struct reader){ .conn = conn, .buf = buf, .size = size, .deadline = deadline };
    assert_ok(tn_go(NULL, read_in_task, self, NULL, &self->task));
    rig_turns();
}

static inline void reader_join(struct reader *self)
{
    assert_ok(tn_join(&self->task, NULL, rig_patience()));
}

#endif
