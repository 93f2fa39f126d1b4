/* SPDX-License-Identifier: MIT */
/*
 * interrupt.h -- the loop's wait, as signals see it.
 */
#ifndef TASK_INTERRUPT_H
#define TASK_INTERRUPT_H

#include <stdint.h>

struct tn_loop;

/* interrupt_wait -- os_driver_wait, and then the tasks that a signal interrupts are made to
 * run.  0 or -errno, as the driver. */
int interrupt_wait(struct tn_loop *loop, int64_t timeout_ns);

/* interrupt_cancel, interrupt_release -- at the loop's end, before and after it has called back
 * all that is armed. */
void interrupt_cancel(struct tn_loop *loop);
void interrupt_release(struct tn_loop *loop);

#endif
