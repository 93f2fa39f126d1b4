/* SPDX-License-Identifier: MIT */
/* registers_aarch64.S -- see registers.h. */
    .text
    .globl  registers_hold
    .type   registers_hold, %function
registers_hold:
    sub     sp, sp, #176
    stp     x19, x20, [sp, #0]
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x26, [sp, #48]
    stp     x27, x28, [sp, #64]
    stp     x29, x30, [sp, #80]
    stp     d8,  d9,  [sp, #96]
    stp     d10, d11, [sp, #112]
    stp     d12, d13, [sp, #128]
    stp     d14, d15, [sp, #144]
    str     x3, [sp, #160]          // OUT
    ldp     x19, x20, [x2, #0]
    ldp     x21, x22, [x2, #16]
    ldp     x23, x24, [x2, #32]
    ldp     x25, x26, [x2, #48]
    ldp     x27, x28, [x2, #64]
    ldr     x29, [x2, #80]
    ldr     d8, [x2, #88]
    ldp     d9,  d10, [x2, #96]
    ldp     d11, d12, [x2, #112]
    ldp     d13, d14, [x2, #128]
    ldr     d15, [x2, #144]
    bl      switch_stacks
    ldr     x3, [sp, #160]
    stp     x19, x20, [x3, #0]
    stp     x21, x22, [x3, #16]
    stp     x23, x24, [x3, #32]
    stp     x25, x26, [x3, #48]
    stp     x27, x28, [x3, #64]
    str     x29, [x3, #80]
    str     d8, [x3, #88]
    stp     d9,  d10, [x3, #96]
    stp     d11, d12, [x3, #112]
    stp     d13, d14, [x3, #128]
    str     d15, [x3, #144]
    ldp     x19, x20, [sp, #0]
    ldp     x21, x22, [sp, #16]
    ldp     x23, x24, [sp, #32]
    ldp     x25, x26, [sp, #48]
    ldp     x27, x28, [sp, #64]
    ldp     x29, x30, [sp, #80]
    ldp     d8,  d9,  [sp, #96]
    ldp     d10, d11, [sp, #112]
    ldp     d12, d13, [sp, #128]
    ldp     d14, d15, [sp, #144]
    add     sp, sp, #176
    ret
    .size   registers_hold, . - registers_hold

    .globl  control_get
    .type   control_get, %function
control_get:
    mrs     x0, fpcr
    ret
    .size   control_get, . - control_get

    .globl  control_set
    .type   control_set, %function
control_set:
    msr     fpcr, x0
    ret
    .size   control_set, . - control_set

    .section .note.GNU-stack, "", %progbits
