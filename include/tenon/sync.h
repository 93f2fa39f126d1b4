/* SPDX-License-Identifier: MIT */
/*
 * tenon/sync.h -- tasks that wait for each other: mutex, condition, channel, select.
 *
 * All of it is between tasks of one loop; between loops, use tn_post (loop.h).  Waiters
 * are served in the order they came.  A waiter that is woken has what it waited for,
 * even if a cancel or its deadline came in the same moment; and what can be had without
 * waiting is had, even with TN_NOW or in a canceled task.
 */
#ifndef TENON_SYNC_H
#define TENON_SYNC_H

#include <tenon/err.h>
#include <tenon/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tn_task;
struct tn_chan;

/* The tasks that wait for a thing, first come first.  For the structs below. */
struct tn_waiters {
    void *first, *last;
};

/*
 * A mutex, for state that must stay as it is across a call that parks.  Made by zeroing;
 * needs no release, but must not be locked when its memory goes.
 */
struct tn_mutex {
    struct tn_task *owner;
    struct tn_waiters waiters;
};

/*
 * tn_mutex_lock -- take MUTEX, parking while another task has it.
 *
 * Errors: TN_DEADLINE, TN_CANCELED, TN_DEADLOCK (the caller has it already).
 */
TN_API TN_MUST tn_err tn_mutex_lock(struct tn_mutex *mutex, tn_deadline deadline);

/* tn_mutex_unlock -- hand MUTEX, which the caller has, to the next.  Does not park. */
TN_API void tn_mutex_unlock(struct tn_mutex *mutex);

/* A condition to wait for under a mutex.  Made by zeroing. */
struct tn_cond {
    struct tn_waiters waiters;
};

/*
 * tn_cond_wait -- unlock MUTEX, park until COND is signaled, lock MUTEX again.
 *
 * Whatever it returns, the caller has MUTEX again; getting it back is not cut short.
 * As always, look at the condition in a loop.
 *
 * Errors: TN_DEADLINE, TN_CANCELED.
 */
TN_API TN_MUST tn_err tn_cond_wait(struct tn_cond *cond, struct tn_mutex *mutex,
                                   tn_deadline deadline);

/* tn_cond_signal, tn_cond_broadcast -- wake the first waiter; all of them. */
TN_API void tn_cond_signal(struct tn_cond *cond);
TN_API void tn_cond_broadcast(struct tn_cond *cond);

/*
 * tn_chan_open -- a channel for items of ITEM_SIZE bytes that keeps up to CAPACITY of
 * them; with 0 a sender waits until a receiver takes its item.  With an ITEM_SIZE of 0 it
 * only counts, and items may be NULL.  Does not park.
 *
 * Errors: TN_LIMIT (memory; ITEM_SIZE times CAPACITY above 1 GiB).
 */
TN_API TN_MUST tn_err tn_chan_open(struct tn_chan **chan, size_t item_size,
                                   size_t capacity);

/*
 * tn_chan_send -- put a copy of *ITEM into CHAN, parking while it is full.
 *
 * Errors: TN_DEADLINE, TN_CANCELED, TN_CLOSED (after tn_chan_end).  The item has then
 * not been sent.
 */
TN_API TN_MUST tn_err tn_chan_send(struct tn_chan *chan, const void *item,
                                   tn_deadline deadline);

/*
 * tn_chan_receive -- take the oldest item out of CHAN into *ITEM, parking while it is
 * empty.
 *
 * Errors: TN_EOF (ended, and everything has been taken), TN_DEADLINE, TN_CANCELED.
 */
TN_API TN_MUST tn_err tn_chan_receive(struct tn_chan *chan, void *item,
                                      tn_deadline deadline);

/* tn_chan_end -- nothing more will be sent: wakes whoever waits.  May be repeated. */
TN_API void tn_chan_end(struct tn_chan *chan);

/* tn_chan_close -- free *CHAN, on which nobody waits, with what is in it. */
TN_API void tn_chan_close(struct tn_chan **chan);

/* One thing that a select waits for. */
struct tn_case {
    struct tn_chan *chan;
    void *item; /* to receive into, or to send from */
    bool send;
};

/*
 * tn_select -- do exactly one of COUNT (at most 64) sends and receives, the first that
 * can be done, and store its index in *WHICH.  Of several that can be done at once the
 * choice goes round the channels, so that none starves.  A case whose CHAN is NULL is
 * never done.
 *
 * Errors: TN_EOF, TN_CLOSED: the chosen one failed, and *WHICH tells which; TN_DEADLINE,
 * TN_CANCELED: none has been done and *WHICH is as it was; TN_INVALID (COUNT is 0 or above
 * 64).
 */
TN_API TN_MUST tn_err tn_select(const struct tn_case *cases, size_t count, size_t *which,
                                tn_deadline deadline);

#ifdef __cplusplus
}
#endif

#endif
