/* SPDX-License-Identifier: MIT */
/*
 * switch_aarch64.c -- the first stack that switch_aarch64.S loads.
 */
#include <stdint.h>
#include <string.h>

#include "task/switch.h"

/* As switch_stacks leaves it. */
struct stopped {
    uint64_t x19, x20, x21_to_x28[8], frame, return_address;
    uint64_t d8_to_d15[8];
    uint64_t fpcr, unused;
};

void *stack_prepare(void *top, void (*entry)(void *), void *argument)
{
    struct stopped *stopped = (struct stopped *)(void *)((char *)top - sizeof(*stopped));

    memset(stopped, 0, sizeof(*stopped));
    stopped->x19 = (uintptr_t)argument;
    stopped->x20 = (uintptr_t)entry;
    stopped->return_address = (uintptr_t)switch_start;
    return stopped;
}
