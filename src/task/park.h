/* SPDX-License-Identifier: MIT */
/*
 * park.h -- waiting, for everything that waits: the only way a task stops running.
 *
 * A waiter notes somewhere that it waits (a queue, a connection), parks, and looks again
 * when it runs.  Who makes it ready calls task_wake.  A deadline or a cancel ends the
 * park as well, unless a wake came first: what has happened is never taken back.
 */
#ifndef TASK_PARK_H
#define TASK_PARK_H

#include <stdbool.h>
#include <stdint.h>

#include <tenon/task.h>
#include <tenon/time.h>

#include "base/list.h"

struct os;
struct os_batch;
struct os_driver;
struct os_event;

/* What a task waits for; those from WAIT_TIME on come from outside of the tasks. */
#define WAIT_KINDS(X)                                                                    \
    X(NOTHING, "nothing")                                                                \
    X(TASK, "task")                                                                      \
    X(GROUP, "group")                                                                    \
    X(MUTEX, "mutex")                                                                    \
    X(COND, "condition")                                                                 \
    X(CHAN, "channel")                                                                   \
    X(SELECT, "select")                                                                  \
    X(TIME, "time")                                                                      \
    X(FD, "descriptor")                                                                  \
    X(CONN, "connection")                                                                \
    X(OFFLOAD, "offloaded work")                                                         \
    X(SIGNAL, "signal")

#define WAIT_KIND_ENUM(name, text) WAIT_##name,
enum wait_kind { WAIT_KINDS(WAIT_KIND_ENUM) WAIT_KIND_COUNT };
#undef WAIT_KIND_ENUM

/* task_self -- the running task, or NULL outside of tasks (and in a forked child). */
struct tn_task *task_self(void);

/* task_os, task_driver -- what the running task's loop runs on; os_linux outside. */
struct os *task_os(void);
struct os_driver *task_driver(void);

/* park_check -- 0, or why a park with DEADLINE would end at once: -ECANCELED, -ETIME. */
int park_check(tn_deadline deadline);

/*
 * park -- stop the running task until task_wake, or DEADLINE, or a cancel.
 *
 * Gives 0, -ETIME or -ECANCELED.  KIND and ON are for reports.  Never fails otherwise.
 */
int park(enum wait_kind kind, const void *on, tn_deadline deadline);

/* park_at -- the same, and while parked *PLACE, which is NULL, is the running task. */
int park_at(struct tn_task **place, enum wait_kind kind, const void *on,
            tn_deadline deadline);

/* task_wake -- make TASK ready if it is parked, but not in park_poll.  false if not. */
bool task_wake(struct tn_task *task);

/*
 * park_poll -- park until FD is ready for EVENTS (poll(2) bits) and give what it is ready
 * for; or -errno: -ETIME, -ECANCELED (the task's cancel, or FD is being closed).
 *
 * It may come back for nothing: whoever waits, tries again.
 */
int park_poll(int fd, short events, tn_deadline deadline);

/*
 * park_batch -- arm BATCH (driver.h), which makes a send together with those of others in the
 * next wait of the loop, one system call for all, and park until its `notify`, which has to
 * wake the task.  No cancel cuts it short.  Only where park_pays_batch says so.
 */
void park_batch(struct os_batch *batch);

/*
 * park_pays_batch -- whether SIZE bytes had better go that way: others are about to run before
 * the loop waits, and what is to be sent then is not too much.
 */
bool park_pays_batch(size_t size);

/*
 * park_close -- end every park_poll on FD with -ECANCELED and park until none is left, so
 * that the descriptor may be closed.  Not cut short by a cancel; soon over.
 */
void park_close(int fd);

/*
 * task_spend -- to be called for each piece of I/O that succeeded without a park; lets
 * the others run now and then, so that a busy connection does not starve the rest.
 */
void task_spend(void);

/* task_count_conn -- a connection of this loop is open (1), or is no more (-1). */
void task_count_conn(int change);

/*
 * task_help -- tn_go for a call that is served by tasks: in a loop whose tasks are all canceled,
 * too, since a shielded deadline lets the call go on.
 */
tn_err task_help(struct tn_group *group, tn_task_fn *fn, void *arg, const char *name);

/*
 * A request of the driver's that may be asked for while no task waits for it: the loop would
 * not end before the kernel answers.  So it is noted, and canceled when the loop ends.
 */
struct standing {
    struct link in_loop;
    struct os_event *event;
};

/* standing_init; standing_begin -- EVENT is about to be armed; standing_end -- it is idle. */
void standing_init(struct standing *standing, struct os_event *event);
void standing_begin(struct standing *standing);
void standing_end(struct standing *standing);

/* task_forks -- how often this process is a forked child's: what was made before, and is known
 * to a driver, is the parent's. */
unsigned task_forks(void);

/*
 * buffer_take, buffer_give -- memory of BUFFER_SIZE bytes from the loop's store, last used
 * first, so that a busy loop uses the same few, warm ones.  NULL when memory is out.
 */
#define BUFFER_SIZE ((size_t)64 * 1024)
void *buffer_take(void);
void buffer_give(void *buffer);

/*
 * pipe_take -- an empty pipe from the loop's store; NULL when there are no more.
 * pipe_give -- back into the store, empty.  pipe_drop -- close one that is not empty.
 */
#define PIPE_SIZE ((size_t)1024 * 1024)
struct pipe {
    struct pipe *next;
    int fds[2]; /* to read from, to write to; they never block */
};
struct pipe *pipe_take(void);
void pipe_give(struct pipe *given);
void pipe_drop(struct pipe *dropped);

#endif
