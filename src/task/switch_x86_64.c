/* SPDX-License-Identifier: MIT */
/*
 * switch_x86_64.c -- the first stack that switch_x86_64.S loads.
 *
 * After the return to switch_start the stack pointer is TOP, aligned to 16 as the ABI
 * wants it before a call.
 */
#include <stdint.h>
#include <string.h>

#include "task/switch.h"

/* As switch_stacks leaves it; the words are the ABI's defaults for a new program. */
struct stopped {
    uint32_t mxcsr, x87;
    uint64_t r15, r14, r13, r12, rbx, rbp, return_address;
};

void *stack_prepare(void *top, void (*entry)(void *), void *argument)
{
    struct stopped *stopped = (struct stopped *)(void *)((char *)top - sizeof(*stopped));

    memset(stopped, 0, sizeof(*stopped));
    stopped->mxcsr = 0x1f80;
    stopped->x87 = 0x037f;
    stopped->r12 = (uintptr_t)argument;
    stopped->r13 = (uintptr_t)entry;
    stopped->return_address = (uintptr_t)switch_start;
    return stopped;
}
