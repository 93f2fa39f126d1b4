/* SPDX-License-Identifier: MIT */
/*
 * task_overflow_test.c -- a task that runs over its stack is named before the program
 * dies of it.  Each death is a child process's.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/loop.h>

#include "harness/harness.h"
#include "os/os.h"
#include "task/run.h"
#include "unit/sanitized.h"

/* What became of a child process: how it ended and what it wrote to standard error. */
struct death {
    int status;
    char said[4096];
};

static struct death watch_die(void (*body)(void))
{
    struct death death = { .status = -1 };
    size_t used = 0;
    ssize_t got;
    int ends[2];
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        body();
        _exit(0);
    }
    assert_true(child > 0);
    close(ends[1]);
    while ((got = read(ends[0], death.said + used, sizeof(death.said) - 1 - used)) > 0)
        used += (size_t)got;
    close(ends[0]);
    assert_int_equal(waitpid(child, &death.status, 0), child);
    return death;
}

/* A sanitizer that had the signal before us gets it after us, and ends in its own way. */
static void assert_died_of_segv(const struct death *death)
{
    if (!SANITIZED)
        assert_true(WIFSIGNALED(death->status) && WTERMSIG(death->status) == SIGSEGV);
    else
        assert_true(death->status != 0);
}

/* Not to be turned into a loop: the address of the local escapes. */
static __attribute__((noinline)) int dig(const volatile char *above, int depth)
{
    volatile char here[200];

    here[0] = 0;
    here[depth % 200] = *above;
    if (depth == 1000000)
        return 0;
    return dig(here, depth + 1) + here[0];
}

static tn_err dig_for_ever(void *arg)
{
    volatile char top = 0;

    (void)arg;
    return tn_err_errno(dig(&top, 0));
}

/* Runs FN as a task "worker" beside others, in a loop with OPTIONS. */
struct worker {
    tn_task_fn *fn;
    size_t stack_size;
};

static tn_err stay(void *arg)
{
    (void)arg;
    return tn_sleep(tn_in(TN_MINUTE));
}

static tn_err start_worker(void *arg)
{
    const struct worker *worker = arg;
    struct tn_task_options options = { .name = "worker",
                                       .stack_size = worker->stack_size };

    assert_ok(tn_go(NULL, stay, NULL, NULL, NULL));
    assert_ok(tn_go(NULL, worker->fn, NULL, &options, NULL));
    assert_ok(tn_go(NULL, stay, NULL, NULL, NULL));
    return stay(NULL);
}

static void overflow_default_stack(void)
{
    struct worker worker = { dig_for_ever, 0 };

    tn_ignore(tn_run(start_worker, &worker, NULL)); /* it does not come back */
}

TEST_ON_DRIVERS(an_overflow_names_the_task_and_its_stack)
{
    struct death death = watch_die(overflow_default_stack);

    assert_died_of_segv(&death);
    assert_non_null(
        strstr(death.said, "tenon: task 'worker' overflowed its stack of 65536 bytes"));
}

static void overflow_large_stack(void)
{
    struct worker worker = { dig_for_ever, 300000 };

    tn_ignore(tn_run(start_worker, &worker, NULL)); /* it does not come back */
}

TEST_ON_DRIVERS(an_overflow_of_a_stack_of_another_size_says_so)
{
    struct death death = watch_die(overflow_large_stack);

    assert_died_of_segv(&death);
    assert_non_null(
        strstr(death.said, "tenon: task 'worker' overflowed its stack of 524288 bytes"));
}

/* Larger than guard and stack: without probes of each page it lands in another stack. */
static __attribute__((noinline)) tn_err one_huge_frame(void *arg)
{
    volatile char huge[200 * 1024];

    huge[0] = arg == NULL;
    huge[sizeof(huge) - 1] = 0;
    return tn_err_errno(dig(huge, 999999));
}

static void overflow_by_one_frame(void)
{
    struct worker worker = { one_huge_frame, 0 };

    tn_ignore(tn_run(start_worker, &worker, NULL)); /* it does not come back */
}

TEST_ON_DRIVERS(a_frame_of_200_kib_does_not_jump_over_the_guard)
{
    struct death death = watch_die(overflow_by_one_frame);

    assert_died_of_segv(&death);
    assert_non_null(strstr(death.said, "tenon: task 'worker' overflowed"));
}

static tn_err use_a_wild_pointer(void *arg)
{
    (void)arg;
    /* The address is not the compiler's to know. */
    *(volatile char *)(uintptr_t)(getpid() % 2 + 16) = 1;
    return tn_ok();
}

static void fault_elsewhere(void)
{
    struct worker worker = { use_a_wild_pointer, 0 };

    tn_ignore(tn_run(start_worker, &worker, NULL)); /* it does not come back */
}

TEST_ON_DRIVERS(another_fault_is_no_overflow_and_kills_as_ever)
{
    struct death death = watch_die(fault_elsewhere);

    assert_died_of_segv(&death);
    assert_null(strstr(death.said, "overflowed"));
}

static void programs_own_handler(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    _exit(info->si_addr != NULL ? 42 : 1);
}

static void overflow_with_a_handler(void)
{
    struct sigaction action = { .sa_sigaction = programs_own_handler,
                                .sa_flags = SA_SIGINFO | SA_ONSTACK };

    sigaction(SIGSEGV, &action, NULL);
    overflow_default_stack();
}

TEST_ON_DRIVERS(a_handler_the_program_had_before_gets_the_signal_after_the_report)
{
    struct death death = watch_die(overflow_with_a_handler);

    assert_true(WIFEXITED(death.status));
    assert_int_equal(WEXITSTATUS(death.status), 42);
    assert_non_null(strstr(death.said, "task 'worker' overflowed"));
}

static void programs_simple_handler(int number)
{
    _exit(number == SIGSEGV ? 43 : 1);
}

static void overflow_with_a_simple_handler(void)
{
    struct sigaction action = { .sa_handler = programs_simple_handler,
                                .sa_flags = SA_ONSTACK };

    sigaction(SIGSEGV, &action, NULL);
    overflow_default_stack();
}

TEST_ON_DRIVERS(a_handler_that_wants_the_number_only_gets_it)
{
    struct death death = watch_die(overflow_with_a_simple_handler);

    assert_true(WIFEXITED(death.status));
    assert_int_equal(WEXITSTATUS(death.status), 43);
    assert_non_null(strstr(death.said, "task 'worker' overflowed"));
}

static void own_report(enum tn_report what, const char *text, void *arg)
{
    const char *mark = arg;

    (void)text;
    if (what == TN_REPORT_OVERFLOW && write(STDERR_FILENO, mark, strlen(mark)) > 0)
        _exit(0);
    _exit(1);
}

static void overflow_with_a_hook(void)
{
    struct worker worker = { dig_for_ever, 0 };
    char mark[] = "mine";
    struct tn_loop_options options = { .report = own_report, .report_arg = mark };

    tn_ignore(tn_run(start_worker, &worker, &options)); /* it does not come back */
}

TEST_ON_DRIVERS(the_report_of_an_overflow_goes_to_the_programs_hook)
{
    struct death death = watch_die(overflow_with_a_hook);

    assert_int_equal(death.status, 0);
    assert_string_equal(death.said, "mine");
}

/* As before Linux 6.13. */
static int guard_by_mapping(struct os *os, void *pages, size_t size)
{
    (void)os;
    return mprotect(pages, size, PROT_NONE) == 0 ? 1 : -errno;
}

static void overflow_above_a_mapped_guard(void)
{
    struct worker worker = { dig_for_ever, 0 };
    static struct os_calls calls;
    struct os other = { &calls };

    calls = *os_linux.calls;
    calls.guard = guard_by_mapping;
    tn_ignore(run_on(&other, start_worker, &worker, NULL)); /* it does not come back */
}

TEST_ON_DRIVERS(a_mapped_guard_names_its_task_as_well)
{
    struct death death = watch_die(overflow_above_a_mapped_guard);

    assert_died_of_segv(&death);
    assert_non_null(strstr(death.said, "task 'worker' overflowed"));
}
