/* SPDX-License-Identifier: MIT */
/*
 * overflow.c -- a task that runs over its stack is named before the program dies.
 *
 * The first loop of the process takes over SIGSEGV.  Its handler runs on a stack of its
 * own (one per thread with a loop), since the task's is used up.  An address in one of
 * this thread's guards is an overflow: report it.  Then, as for any other fault, whoever
 * had the signal before gets it; by default the process dies of it.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "task/task.h"

#define SIGNAL_STACK_SIZE ((size_t)64 * 1024)

static struct sigaction before;
static int install_result;

/* Signal-safe: no stdio. */
static void append(char *text, size_t size, const char *more)
{
    size_t used = strlen(text), length = strlen(more);

    if (used + length < size)
        memcpy(text + used, more, length + 1);
}

static void append_number(char *text, size_t size, size_t number)
{
    char digits[24];
    size_t at = sizeof(digits) - 1;

    digits[at] = '\0';
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    append(text, size, digits + at);
}

static void report_overflow(struct tn_loop *loop, const struct stack *stack)
{
    const struct tn_task *task = CONTAINER(stack, struct tn_task, stack);
    char text[160] = "tenon: task '";

    append(text, sizeof(text), task->name);
    append(text, sizeof(text), "' overflowed its stack of ");
    append_number(text, sizeof(text), (size_t)STACK_SIZE_MIN << stack->class);
    append(text, sizeof(text), " bytes (see stack_size in tenon/task.h)\n");
    loop_report(loop, TN_REPORT_OVERFLOW, text);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    struct tn_loop *loop = loop_current;
    const struct stack *stack =
        loop != NULL ? stack_of_guard(&loop->stacks, info->si_addr) : NULL;

    if (stack != NULL)
        report_overflow(loop, stack);
    if ((before.sa_flags & SA_SIGINFO) != 0) {
        before.sa_sigaction(number, info, context);
    } else if (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN) {
        /* Back to the default: the faulting instruction runs again, and kills. */
        signal(number, SIG_DFL);
    } else {
        before.sa_handler(number);
    }
}

static void install(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGSEGV, &action, &before) != 0)
        install_result = -errno;
}

int overflow_watch(struct tn_loop *loop)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    stack_t old, own = { .ss_size = SIGNAL_STACK_SIZE };

    pthread_once(&once, install);
    if (install_result < 0)
        return install_result;
    if (sigaltstack(NULL, &old) != 0)
        return -errno;
    if ((old.ss_flags & SS_DISABLE) == 0)
        return 0; /* the program, or a sanitizer, has given this thread one */
    own.ss_sp = os_allocate(loop->os, SIGNAL_STACK_SIZE);
    if (own.ss_sp == NULL)
        return -ENOMEM;
    if (sigaltstack(&own, NULL) != 0) {
        os_release(loop->os, own.ss_sp);
        return -errno;
    }
    loop->signal_stack = own.ss_sp;
    return 0;
}

void overflow_unwatch(struct tn_loop *loop)
{
    stack_t off = { .ss_flags = SS_DISABLE };

    if (loop->signal_stack == NULL)
        return;
    CHECK(sigaltstack(&off, NULL) == 0);
    os_release(loop->os, loop->signal_stack);
    loop->signal_stack = NULL;
}
