/* SPDX-License-Identifier: MIT */
/*
 * switch_x86_64.S -- switch_stacks for the System V ABI of x86-64.
 *
 * A stopped stack, from its pointer upwards (8 bytes each):
 *     mxcsr and x87 control word (4 + 4), r15, r14, r13, r12, rbx, rbp, return address
 *
 * The x87 word is loaded only when it differs: that load costs more than a compare.  The
 * one of SSE is loaded always: to compare, it would have to be read back right after it
 * was stored, which costs 1.5 of 7.5 ns (AMD Zen 5).
 * There is no note that claims support for shadow stacks, so the linker clears that
 * property and no program runs this under one by mistake (CET; see docs/design.md).
 */
    .text
    .globl  switch_stacks
    .type   switch_stacks, @function
    .hidden switch_stacks
    .p2align 4
switch_stacks:
    .cfi_startproc
    endbr64
    pushq   %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    pushq   %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbx, 0
    pushq   %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r12, 0
    pushq   %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r13, 0
    pushq   %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r14, 0
    pushq   %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r15, 0
    subq    $8, %rsp
    .cfi_adjust_cfa_offset 8
    stmxcsr (%rsp)
    fnstcw  4(%rsp)
    movzwl  4(%rsp), %eax

    movq    %rsp, (%rdi)
    movq    %rsi, %rsp

    ldmxcsr (%rsp)
    cmpw    4(%rsp), %ax
    je      2f
    fldcw   4(%rsp)
2:  addq    $8, %rsp
    .cfi_adjust_cfa_offset -8
    popq    %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore r15
    popq    %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore r14
    popq    %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore r13
    popq    %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore r12
    popq    %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbx
    popq    %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbp
    ret
    .cfi_endproc
    .size   switch_stacks, . - switch_stacks

    /* r12 holds the argument and r13 the entry; nothing lies above this frame. */
    .globl  switch_start
    .type   switch_start, @function
    .hidden switch_start
    .p2align 4
switch_start:
    .cfi_startproc
    .cfi_undefined rip
    endbr64
    movq    %r12, %rdi
    xorl    %ebp, %ebp
    callq   *%r13
    ud2
    .cfi_endproc
    .size   switch_start, . - switch_start

    .section .note.GNU-stack, "", @progbits
