/* SPDX-License-Identifier: MIT */
/*
 * switch_aarch64.S -- switch_stacks for the AAPCS64.
 *
 * A stopped stack, from its pointer upwards (8 bytes each):
 *     x19 ... x28, x29 (frame), x30 (return address), d8 ... d15, fpcr, unused
 */
    .text
    .globl  switch_stacks
    .type   switch_stacks, %function
    .hidden switch_stacks
    .p2align 4
switch_stacks:
    .cfi_startproc
    hint    #34                     // bti c
    sub     sp, sp, #176
    .cfi_def_cfa_offset 176
    stp     x19, x20, [sp, #0]
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x26, [sp, #48]
    stp     x27, x28, [sp, #64]
    stp     x29, x30, [sp, #80]
    .cfi_offset x29, -96
    .cfi_offset x30, -88
    stp     d8,  d9,  [sp, #96]
    stp     d10, d11, [sp, #112]
    stp     d12, d13, [sp, #128]
    stp     d14, d15, [sp, #144]
    mrs     x9, fpcr
    str     x9, [sp, #160]

    mov     x10, sp
    str     x10, [x0]
    mov     sp, x1

    ldr     x10, [sp, #160]
    cmp     x9, x10
    b.eq    1f
    msr     fpcr, x10
1:  ldp     x19, x20, [sp, #0]
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
    .cfi_def_cfa_offset 0
    ret
    .cfi_endproc
    .size   switch_stacks, . - switch_stacks

    // x19 holds the argument and x20 the entry; nothing lies above this frame.
    .globl  switch_start
    .type   switch_start, %function
    .hidden switch_start
    .p2align 4
switch_start:
    .cfi_startproc
    .cfi_undefined x30
    hint    #34
    mov     x0, x19
    mov     x29, #0
    mov     x30, #0
    blr     x20
    brk     #1
    .cfi_endproc
    .size   switch_start, . - switch_start

    .section .note.GNU-stack, "", %progbits
