/* SPDX-License-Identifier: MIT */
/*
 * late.h -- tasks that start when something has come: until then they have no stack.
 *
 * Who knows what is to come (a connection) makes a late task, and says when it has.  Until
 * then the late task counts as one that is alive and waits for something outside; a cancel
 * drops it, and with it what it was for.
 */
#ifndef TASK_LATE_H
#define TASK_LATE_H

#include <tenon/task.h>

struct late;
struct tn_loop;

/*
 * late_new -- as tn_go of FN(ARG), but that it starts with late_come.  If it is dropped
 * before, DROP(ARG) is called instead.  For use inside a task.  Errors: as tn_go.
 */
tn_err late_new(struct late **late, struct tn_group *group, tn_task_fn *fn, void *arg,
                const struct tn_task_options *options, void (*drop)(void *arg));

/*
 * late_come -- what LATE waited for has come: start its task, now or as soon as there is
 * memory for its stack.  LATE is not the caller's any more.
 */
void late_come(struct late *late);

#endif
