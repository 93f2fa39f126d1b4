/* SPDX-License-Identifier: MIT */
/*
 * context.c -- leaving one stack for another; see context.h.
 *
 * The notes to the tools compile to nothing when the tool is not there.
 */
#include "task/context.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "task/switch.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NOTES_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define NOTES_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define NOTES_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define NOTES_TSAN 1
#endif

#if defined(NOTES_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define asan_leave(fake, to)                                                             \
    __sanitizer_start_switch_fiber((fake), (to)->notes->bottom, (to)->notes->size)
#define asan_arrive(fake, bottom, size)                                                  \
    __sanitizer_finish_switch_fiber((fake), (bottom), (size))
#define asan_forget(memory, size) __asan_unpoison_memory_region((memory), (size))
#else
#define asan_leave(fake, to)            ((void)(fake), (void)(to))
#define asan_arrive(fake, bottom, size) ((void)(fake))
#define asan_forget(memory, size)       ((void)(memory), (void)(size))
#endif

#if defined(NOTES_TSAN)
#include <sanitizer/tsan_interface.h>
#else
#define __tsan_get_current_fiber()       NULL
#define __tsan_create_fiber(flags)       NULL
#define __tsan_destroy_fiber(fiber)      ((void)(fiber))
#define __tsan_switch_to_fiber(fiber, f) ((void)(fiber))
#endif

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#if !defined(VALGRIND_STACK_REGISTER)
#define VALGRIND_STACK_REGISTER(low, high) 0
#define VALGRIND_STACK_DEREGISTER(number)  ((void)(number))
#endif

/* The two words of libstdc++'s per-thread exception state; absent in C programs. */
struct exception_globals {
    void *caught;
    unsigned uncaught;
};
extern struct exception_globals *__cxa_get_globals(void) __attribute__((weak));

/* Where this thread keeps them: looked up once, since both calls cost more than a load. */
static _Thread_local int *errno_at __attribute__((tls_model("initial-exec")));
static _Thread_local struct exception_globals *exceptions_at
    __attribute__((tls_model("initial-exec")));

void context_adopt(struct context *context, struct context_notes *notes)
{
    errno_at = &errno;
    exceptions_at = __cxa_get_globals != NULL ? __cxa_get_globals() : NULL;
    *context = (struct context){ .notes = notes };
    *notes = (struct context_notes){ .fiber = __tsan_get_current_fiber() };
#if defined(NOTES_ASAN)
    pthread_attr_t attributes;
    void *low;

    CHECK(pthread_getattr_np(pthread_self(), &attributes) == 0);
    CHECK(pthread_attr_getstack(&attributes, &low, &notes->size) == 0);
    notes->bottom = low;
    pthread_attr_destroy(&attributes);
#endif
}

void context_init(struct context *context, struct context_notes *notes, void *bottom,
                  void *top, void (*entry)(void *), void *argument)
{
    size_t size = (size_t)((char *)top - (char *)bottom);

    asan_forget(bottom, size); /* what frames of a former user left */
    *context = (struct context){ .notes = notes };
    context->stack_pointer = stack_prepare(top, entry, argument);
    *notes = (struct context_notes){ .bottom = bottom, .size = size };
    notes->fiber = __tsan_create_fiber(0);
    notes->valgrind = VALGRIND_STACK_REGISTER(bottom, top);
}

/* What goes with TO.  Before the switch, so that nothing is left to be done after it. */
static void take_up(const struct context *to)
{
    *errno_at = to->number;
    if (exceptions_at == NULL)
        return;
    exceptions_at->caught = to->caught;
    exceptions_at->uncaught = to->uncaught;
}

void context_switch(struct context *from, struct context *to)
{
    void *fake = NULL;

    from->number = *errno_at;
    if (exceptions_at != NULL) {
        from->caught = exceptions_at->caught;
        from->uncaught = exceptions_at->uncaught;
    }
    take_up(to);
    asan_leave(&fake, to);
    __tsan_switch_to_fiber(to->notes->fiber, 0);
    switch_stacks(&from->stack_pointer, to->stack_pointer);
    asan_arrive(fake, NULL, NULL);
}

_Noreturn void context_leave(struct context *from, struct context *to)
{
    take_up(to);
    asan_leave(NULL, to); /* NULL: ASan frees what it kept for this stack */
    __tsan_switch_to_fiber(to->notes->fiber, 0);
    switch_stacks(&from->stack_pointer, to->stack_pointer);
    abort(); /* nobody switches to a context that has left */
}

void context_started(void)
{
    asan_arrive(NULL, NULL, NULL);
}

void context_release(struct context *context)
{
    __tsan_destroy_fiber(context->notes->fiber);
    VALGRIND_STACK_DEREGISTER(context->notes->valgrind);
}
