/* SPDX-License-Identifier: MIT */
/*
 * switch.h -- from one stack to another, in the .S file of the processor.
 *
 * Saved are the registers that the ABI lets a callee expect, the floating-point control
 * words among them.  Nothing else knows the layout of a stopped stack: stack_prepare
 * makes the first one and tools/tenon-gdb.py reads them.
 */
#ifndef TASK_SWITCH_H
#define TASK_SWITCH_H

/*
 * switch_stacks -- stop here, leaving the stack pointer in *SAVE, and go on at LOAD,
 * which a former call saved or stack_prepare made.  Returns when somebody switches back.
 */
void switch_stacks(void **save, void *load);

/*
 * stack_prepare -- make a stopped stack below TOP (aligned to 16) that, once switched
 * to, calls ENTRY(ARGUMENT), which must not return.  Gives the stack pointer to load.
 */
void *stack_prepare(void *top, void (*entry)(void *), void *argument);

/* Where a prepared stack starts; calls the entry. */
void switch_start(void);

#endif
