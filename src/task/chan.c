/* SPDX-License-Identifier: MIT */
/*
 * chan.c -- channels: items that pass from task to task, in order.
 *
 * Whoever comes second does the work of both: a sender copies into the waiting receiver's
 * memory, a receiver out of the waiting sender's, and only then the other one is ready.
 * Nobody wakes to try again, so an item that a woken task was to get cannot be taken
 * by another one, and an item whose sender gave up is still where it was.
 *
 * Always true: receivers wait only while nothing is kept, senders only while there is no
 * room, and nobody waits after the end.
 */
#include "task/chan.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "os/os.h"
#include "task/park.h"

#define CHAN_SIZE_MAX ((size_t)1 << 30)

tn_err tn_chan_open(struct tn_chan **chan, size_t item_size, size_t capacity)
{
    struct os *os = task_os();
    struct tn_chan *made;

    if (item_size > 0 && capacity > CHAN_SIZE_MAX / item_size)
        return err_make(ERR_CHAN, TN_LIMIT);
    made = os_allocate(os, sizeof(*made) + item_size * capacity);
    if (made == NULL)
        return err_from(ERR_CHAN, -ENOMEM);
    made->os = os;
    made->item_size = item_size;
    made->capacity = capacity;
    *chan = made;
    return tn_ok();
}

static void copy_item(const struct tn_chan *chan, void *to, const void *from)
{
    if (chan->item_size > 0) /* without size, items may be NULL */
        memcpy(to, from, chan->item_size);
}

/* Where the item number AT of those kept lies. */
static void *kept(struct tn_chan *chan, size_t at)
{
    size_t place = chan->first + at;

    if (place >= chan->capacity)
        place -= chan->capacity;
    return chan->items + place * chan->item_size;
}

static int try_send(struct tn_chan *chan, const void *item)
{
    struct waiter *receiver;

    if (chan->ended)
        return CHAN_ENDED;
    receiver = waiters_wake(&chan->receivers);
    if (receiver != NULL) {
        copy_item(chan, receiver->item, item);
        return 0;
    }
    if (chan->count == chan->capacity)
        return -EAGAIN;
    copy_item(chan, kept(chan, chan->count), item);
    chan->count++;
    return 0;
}

static int try_receive(struct tn_chan *chan, void *item)
{
    struct waiter *sender;
    bool was_kept = chan->count > 0;

    if (was_kept) {
        copy_item(chan, item, kept(chan, 0));
        chan->first = chan->first + 1 < chan->capacity ? chan->first + 1 : 0;
        chan->count--;
    }
    sender = waiters_wake(&chan->senders);
    if (sender != NULL) {
        copy_item(chan, was_kept ? kept(chan, chan->count) : item, sender->item);
        chan->count += was_kept;
    }
    if (was_kept || sender != NULL)
        return 0;
    return chan->ended ? CHAN_ENDED : -EAGAIN;
}

int chan_try(struct tn_chan *chan, void *item, bool send)
{
    return send ? try_send(chan, item) : try_receive(chan, item);
}

bool chan_ready(struct tn_chan *chan, bool send)
{
    if (chan->ended || waiters_first(chan_queue(chan, !send)) != NULL)
        return true;
    return send ? chan->count < chan->capacity : chan->count > 0;
}

tn_err chan_err(enum err_op op, int result, bool send)
{
    if (result == CHAN_ENDED)
        return err_make(op, send ? TN_CLOSED : TN_EOF);
    return err_from(op, result);
}

static int move(struct tn_chan *chan, void *item, bool send, tn_deadline deadline)
{
    struct waiter waiter = { .item = item };
    int result;

    CHECK(task_self() != NULL);
    result = chan_try(chan, item, send);
    if (result != -EAGAIN)
        return result;
    waiters_append(chan_queue(chan, send), &waiter);
    result = park(WAIT_CHAN, chan, deadline);
    if (waiter.woken) /* and CHAN may be gone */
        return waiter.result;
    waiters_remove(chan_queue(chan, send), &waiter);
    return result;
}

tn_err tn_chan_send(struct tn_chan *chan, const void *item, tn_deadline deadline)
{
    /* A waiter is for both directions; an item to be sent is only read. */
    void *from = (void *)(uintptr_t)item;

    return chan_err(ERR_SEND, move(chan, from, true, deadline), true);
}

tn_err tn_chan_receive(struct tn_chan *chan, void *item, tn_deadline deadline)
{
    return chan_err(ERR_RECEIVE, move(chan, item, false, deadline), false);
}

static void wake_all(struct tn_waiters *waiters)
{
    struct waiter *waiter;

    while ((waiter = waiters_wake(waiters)) != NULL)
        waiter->result = CHAN_ENDED;
}

void tn_chan_end(struct tn_chan *chan)
{
    chan->ended = true;
    wake_all(&chan->senders);
    wake_all(&chan->receivers);
}

void tn_chan_close(struct tn_chan **chan)
{
    struct tn_chan *old = *chan;

    if (old == NULL)
        return;
    CHECK(waiters_first(&old->senders) == NULL);
    CHECK(waiters_first(&old->receivers) == NULL);
    os_release(old->os, old);
    *chan = NULL;
}
