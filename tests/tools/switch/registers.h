/* SPDX-License-Identifier: MIT */
/*
 * registers.h -- what the ABI lets a caller expect of a call, held across a switch; in
 * the .S file of the processor.
 */
#ifndef REGISTERS_H
#define REGISTERS_H

#include <stdint.h>

#if defined(__x86_64__)
#define REGISTERS 6 /* rbx, rbp, r12 to r15 */
#else
#define REGISTERS 19 /* x19 to x29, d8 to d15 */
#endif

/*
 * registers_hold -- fill the registers from IN, switch_stacks(SAVE, LOAD), and store what
 * is in them then to OUT.
 */
void registers_hold(void **save, void *load, const uint64_t in[REGISTERS],
                    uint64_t out[REGISTERS]);

/* The control words of floating point: x87 in the upper half and mxcsr, or fpcr. */
uint64_t control_get(void);
void control_set(uint64_t control);

#endif
