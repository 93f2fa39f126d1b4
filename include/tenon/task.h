/* SPDX-License-Identifier: MIT */
/*
 * tenon/task.h -- tasks: functions that wait without holding up a thread.
 *
 * A task has a stack of its own and runs straight down the page.  Where a plain program
 * would block, a task parks: its thread runs other tasks until what it waits for has
 * come.  All tasks of a loop run on the loop's thread, one at a time, and only a call
 * that may park lets another one run; so between such calls nothing changes under you.
 * A task never moves to another thread.
 *
 *      static tn_err program(void *arg) { ... tn_go(NULL, serve_one, conn, NULL, NULL); ... }
 *      int main(void) { return tn_failed(tn_run(program, NULL, NULL)); }
 *
 * Tasks live in groups, and a group does not end before its tasks.  Cancel is a request:
 * the task finds TN_CANCELED at its next wait, and at every further one, so that it
 * cleans up and returns; a wait with a shielded deadline (tn_shielded) is not cut short.
 * What had happened before the cancel came is still reported as what it was.
 *
 * Unless a contract says otherwise, the calls below are for use inside a task and stop
 * the program when called outside one.
 */
#ifndef TENON_TASK_H
#define TENON_TASK_H

#include <tenon/err.h>
#include <tenon/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tn_task;
struct tn_group;
struct tn_loop_options; /* <tenon/loop.h> */

typedef tn_err tn_task_fn(void *arg);

/* For tn_go.  All zero is a good choice. */
struct tn_task_options {
    const char *name;  /* for reports; copied, up to 31 bytes; NULL for "task" */
    size_t stack_size; /* bytes, rounded up to a power of two; 0 for 64 KiB */
};

/* What a group does when one of its tasks returns an error. */
enum tn_group_policy {
    TN_GROUP_ALL_OR_NONE, /* cancel the others: they work on one thing together */
    TN_GROUP_EACH_ALONE   /* nothing: each works on its own, like a server's clients */
};

/*
 * tn_run -- run FN(ARG) as a task in a loop of this thread, and all tasks it starts,
 * until the last has ended.  Not for use inside a task.
 *
 * Returns FN's error; if FN succeeded, the first error of a task that was started with
 * no group and without a handle.  OPTIONS may be NULL.
 *
 * Errors: TN_LIMIT (no memory, descriptors or lockable memory for the loop),
 * TN_INVALID (this thread is in a loop already, or OPTIONS name no driver),
 * TN_UNSUPPORTED (the named driver does not work here), TN_DEADLOCK (every task waits
 * for another one: reported with who waits for what, then all are canceled).
 */
TN_API TN_MUST tn_err tn_run(tn_task_fn *fn, void *arg,
                             const struct tn_loop_options *options);

/*
 * tn_go -- start FN(ARG) as a task in GROUP, or in the loop itself if GROUP is NULL.
 *
 * The task becomes ready to run; the caller goes on first.  OPTIONS may be NULL.  If
 * TASK is not NULL, *TASK is the handle for tn_join or tn_cancel, and must be joined
 * before the group ends.  Does not park.
 *
 * Errors: TN_LIMIT (no memory for a stack, or the loop's number of tasks is reached),
 * TN_CANCELED (the group, or the loop with all its tasks, has been canceled), TN_INVALID
 * (the stack_size is above 64 MiB).  *TASK is then as it was.
 */
TN_API TN_MUST tn_err tn_go(struct tn_group *group, tn_task_fn *fn, void *arg,
                            const struct tn_task_options *options, struct tn_task **task);

/*
 * tn_join -- wait until *TASK has ended, store what it returned in *RESULT (unless
 * NULL), release the handle and set *TASK to NULL.  An empty *TASK is a success.
 *
 * Parks.  One task may join another one; two at once stop the program.
 *
 * Errors: TN_DEADLINE, TN_CANCELED: the task runs on, and *TASK is as it was.
 */
TN_API TN_MUST tn_err tn_join(struct tn_task **task, tn_err *result,
                              tn_deadline deadline);

/*
 * tn_self -- the running task, or NULL outside of tasks.  No handle, so nobody joins it by
 * that: it is for tn_cancel, from the same loop, until the task's function returns.
 */
TN_API struct tn_task *tn_self(void);

/* tn_cancel -- ask TASK, a handle not yet joined or one of tn_self, to end.  Does not park. */
TN_API void tn_cancel(struct tn_task *task);

/* tn_canceled -- whether the running task has been asked to end. */
TN_API bool tn_canceled(void);

/*
 * tn_sleep -- park until DEADLINE has come.
 *
 * Errors: TN_CANCELED.  (That the deadline has come is the success.)
 */
TN_API TN_MUST tn_err tn_sleep(tn_deadline deadline);

/* tn_yield -- let every other ready task run once.  Not a place where a cancel shows. */
TN_API void tn_yield(void);

/* tn_task_name -- the running task's name; "" outside of tasks. */
TN_API const char *tn_task_name(void);

/*
 * tn_task_stack_used -- how many bytes of the running task's stack have been touched, by
 * it or by tasks before it, in whole pages: its high-water mark, to choose stack_size by.
 */
TN_API size_t tn_task_stack_used(void);

/*
 * tn_group_open -- make an empty group and store it in *GROUP.  Does not park.
 *
 * Errors: TN_LIMIT (no memory).
 */
TN_API TN_MUST tn_err tn_group_open(struct tn_group **group, enum tn_group_policy policy);

/*
 * tn_group_wait -- park until no task of GROUP is left.  Returns the first error that
 * one of them returned (a TN_CANCELED that followed from the group's own cancel does
 * not count).
 *
 * Errors: those of the tasks; TN_DEADLINE, TN_CANCELED: tasks are still running.
 */
TN_API TN_MUST tn_err tn_group_wait(struct tn_group *group, tn_deadline deadline);

/* tn_group_cancel -- ask every task of GROUP to end, and let no new one start. */
TN_API void tn_group_cancel(struct tn_group *group);

/*
 * tn_group_close -- cancel what still runs in *GROUP, wait until it has ended, free the
 * group and set *GROUP to NULL; an empty *GROUP is fine.
 *
 * Parks for as long as the tasks take to clean up, even in a canceled task: a group
 * does not end before its tasks.
 */
TN_API void tn_group_close(struct tn_group **group);

#ifdef __cplusplus
}
#endif

#endif
