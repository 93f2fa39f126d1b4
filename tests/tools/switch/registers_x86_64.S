/* SPDX-License-Identifier: MIT */
/* registers_x86_64.S -- see registers.h. */
    .text
    .globl  registers_hold
    .type   registers_hold, @function
registers_hold:
    pushq   %rbx
    pushq   %rbp
    pushq   %r12
    pushq   %r13
    pushq   %r14
    pushq   %r15
    pushq   %rcx                    // OUT; the stack is aligned again now
    movq    0(%rdx), %rbx
    movq    8(%rdx), %rbp
    movq    16(%rdx), %r12
    movq    24(%rdx), %r13
    movq    32(%rdx), %r14
    movq    40(%rdx), %r15
    callq   switch_stacks
    popq    %rcx
    movq    %rbx, 0(%rcx)
    movq    %rbp, 8(%rcx)
    movq    %r12, 16(%rcx)
    movq    %r13, 24(%rcx)
    movq    %r14, 32(%rcx)
    movq    %r15, 40(%rcx)
    popq    %r15
    popq    %r14
    popq    %r13
    popq    %r12
    popq    %rbp
    popq    %rbx
    ret
    .size   registers_hold, . - registers_hold

    .globl  control_get
    .type   control_get, @function
control_get:
    movl    $0, -8(%rsp)
    fnstcw  -8(%rsp)
    stmxcsr -4(%rsp)
    movl    -8(%rsp), %eax
    shlq    $32, %rax
    movl    -4(%rsp), %ecx
    andl    $0xffc0, %ecx           // not the flags of what has happened
    orq     %rcx, %rax
    ret
    .size   control_get, . - control_get

    .globl  control_set
    .type   control_set, @function
control_set:
    movl    %edi, -4(%rsp)
    shrq    $32, %rdi
    movl    %edi, -8(%rsp)
    ldmxcsr -4(%rsp)
    fldcw   -8(%rsp)
    ret
    .size   control_set, . - control_set

    .section .note.GNU-stack, "", @progbits
