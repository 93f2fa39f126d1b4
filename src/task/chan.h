/* SPDX-License-Identifier: MIT */
/*
 * chan.h -- the inside of a channel, for chan.c and select.c.
 */
#ifndef TASK_CHAN_H
#define TASK_CHAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon/sync.h>

#include "base/err.h"
#include "task/waiters.h"

struct os;

/* Of a send or receive that did not move its item, for there is an end. */
#define CHAN_ENDED 1

struct tn_chan {
    struct os *os;
    size_t item_size, capacity;
    size_t first, count; /* of the items kept: a ring */
    bool ended;
    struct tn_waiters receivers, senders;
    uint64_t selected[2]; /* when a select last chose to receive, to send */
    unsigned char items[];
};

/* chan_queue -- where those who want to SEND, or to receive, wait. */
static inline struct tn_waiters *chan_queue(struct tn_chan *chan, bool send)
{
    return send ? &chan->senders : &chan->receivers;
}

/* chan_ready -- whether chan_try would do it now. */
bool chan_ready(struct tn_chan *chan, bool send);

/* chan_try -- SEND *ITEM or receive into it: 0, CHAN_ENDED, or -EAGAIN if it must wait. */
int chan_try(struct tn_chan *chan, void *item, bool send);

/* chan_err -- what to tell the caller of a send or receive, or of a select of one. */
tn_err chan_err(enum err_op op, int result, bool send);

#endif
