/* SPDX-License-Identifier: MIT */
/*
 * context.h -- a stack that can be left and gone on with, and what must go with it.
 *
 * Beside the registers (switch.h) that is: errno, which is per thread while tasks are
 * not; the C++ exception globals; and notes to AddressSanitizer, ThreadSanitizer and
 * valgrind, without which they take a switch for a wild jump.
 */
#ifndef TASK_CONTEXT_H
#define TASK_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>

struct context {
    void *stack_pointer; /* while stopped; the gdb script reads it */
    void *caught;        /* while stopped, too: C++ exceptions, ... */
    unsigned uncaught;
    int number; /* ... and errno */
    struct context_notes *notes;
};

/* What the tools want to know; apart, since otherwise no switch touches it. */
struct context_notes {
    const void *bottom; /* lowest byte of the stack, and its size: for ASan */
    size_t size;
    void *fiber;       /* TSan's */
    unsigned valgrind; /* valgrind's number of the stack */
};

/* context_adopt -- make CONTEXT stand for the stack of the running thread. */
void context_adopt(struct context *context, struct context_notes *notes);

/* context_init -- prepare CONTEXT so that its first switch calls ENTRY(ARGUMENT). */
void context_init(struct context *context, struct context_notes *notes, void *bottom,
                  void *top, void (*entry)(void *), void *argument);

/* context_switch -- stop FROM, which is running, and go on with TO. */
void context_switch(struct context *from, struct context *to);

/* context_leave -- as context_switch, never to come back to FROM. */
_Noreturn void context_leave(struct context *from, struct context *to);

/* context_started -- the first thing an ENTRY calls. */
void context_started(void);

/* context_release -- end CONTEXT, which is not running and never will again. */
void context_release(struct context *context);

#endif
