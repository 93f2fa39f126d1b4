/* SPDX-License-Identifier: MIT */
/*
 * task_stack_test.c -- the stacks of tasks: guards, sizes, and what they cost.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <tenon/loop.h>

#include "base/check.h"
#include "harness/harness.h"
#include "os/os.h"
#include "task/park.h"
#include "task/run.h"
#include "task/stacks.h"
#include "unit/sanitized.h"

/* ---- guards and sizes, without tasks ---- */

/* Whether the byte at ADDRESS can be read, as the kernel sees it. */
static bool is_there(const char *address)
{
    int ends[2];
    ssize_t result;

    assert_int_equal(pipe(ends), 0);
    result = os_write(&os_linux, ends[1], address, 1);
    close(ends[0]);
    close(ends[1]);
    assert_true(result == 1 || result == -EFAULT);
    return result == 1;
}

TEST(below_each_stack_lies_a_guard_that_nobody_can_touch)
{
    struct stack *taken[300];
    struct stacks stacks;

    stacks_init(&stacks, &os_linux, 500);
    for (int i = 0; i < 300; i++) {
        struct stack *stack = stack_take(&stacks, STACK_SIZE_MIN << i % 4);
        assert_non_null(stack);
        taken[i] = stack;
        assert_true(is_there(stack->bottom));
        assert_true(is_there(stack->top - 1));
        assert_false(is_there(stack->bottom - 1));
        assert_false(is_there(stack->bottom - STACK_GUARD_SIZE));
        assert_ptr_equal(stack_of_guard(&stacks, stack->bottom - 1), stack);
        assert_ptr_equal(stack_of_guard(&stacks, stack->bottom - STACK_GUARD_SIZE),
                         stack);
        assert_null(stack_of_guard(&stacks, stack->bottom));
        assert_null(stack_of_guard(&stacks, stack->top - 1));
    }
    assert_null(stack_of_guard(&stacks, &stacks));
    assert_null(stack_of_guard(&stacks, NULL));
    for (int i = 0; i < 300; i++)
        stack_give(&stacks, taken[i]);
    stacks_release(&stacks);
}

TEST(a_stack_has_the_size_of_the_next_power_of_two)
{
    static const size_t wanted[] = { 1, 16384, 16385, 100000, 65536, 1 << 20, 64 << 20 };
    static const size_t given[] = {
        16384, 16384, 32768, 131072, 65536, 1 << 20, 64 << 20
    };
    struct stacks stacks;

    stacks_init(&stacks, &os_linux, 500);
    for (int i = 0; i < 7; i++) {
        struct stack *stack = stack_take(&stacks, wanted[i]);
        size_t size = (size_t)(stack->top - stack->bottom);
        /* The head and the colour, at most 1.5 KiB, are part of it. */
        assert_true(size <= given[i] && size > given[i] - 1536);
        assert_int_equal((uintptr_t)stack->top % 16, 0);
        memset(stack->bottom, 1, size);
        stack_give(&stacks, stack);
    }
    stacks_release(&stacks);
}

TEST(a_stack_given_back_is_the_next_one_taken)
{
    struct stacks stacks;
    struct stack *first, *second;

    stacks_init(&stacks, &os_linux, 500);
    first = stack_take(&stacks, 65536);
    first->top[-1] = 'w';
    stack_give(&stacks, first);
    second = stack_take(&stacks, 40000); /* the same class */
    assert_ptr_equal(first, second);
    assert_int_equal(second->top[-1], 'w'); /* warm: not given back to the system */
    assert_true(stack_take(&stacks, 65536) != second);
    stacks_release(&stacks);
}

/* ---- what was deep gives pages back ---- */

#define DEEP 200U

/* So many stacks given back, and nothing is deep that is not in use: stacks.c. */
#define GIVEN_UNTIL_SHALLOW(slots) (256U + 32U * (slots))

static size_t deep_bytes(const struct stacks *stacks, struct stack *const *some,
                         unsigned count)
{
    size_t deep = 0;

    for (unsigned i = 0; i < count; i++) {
        size_t used = stack_used(stacks, some[i]);

        deep += used > STACK_KEPT ? used - STACK_KEPT : 0;
    }
    return deep;
}

static void take_deep(struct stacks *stacks, struct stack **some, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        some[i] = stack_take(stacks, 65536);
        assert_non_null(some[i]);
        memset(some[i]->bottom, 'd', (size_t)(some[i]->top - some[i]->bottom));
    }
}

/* COUNT stacks that were deep, given back, and then one of them taken for a long time. */
static void have_deep(struct stacks *stacks, struct stack **deep, unsigned count,
                      unsigned slots)
{
    struct stack *hot;

    take_deep(stacks, deep, count);
    for (unsigned i = 0; i < count; i++)
        stack_give(stacks, deep[i]);
    hot = deep[count - 1];
    for (unsigned i = 0; i < GIVEN_UNTIL_SHALLOW(slots); i++) {
        assert_ptr_equal(stack_take(stacks, 65536), hot);
        stack_give(stacks, hot);
    }
    assert_int_equal(deep_bytes(stacks, deep, count - 1), 0);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(deep[i]->top[-1], 'd'); /* the upper end stays warm */
    for (const char *at = hot->bottom; at < hot->top; at++)
        assert_int_equal(*at, 'd'); /* and all of what is wanted again and again */
}

TEST(deep_stacks_that_nobody_takes_give_their_pages_back)
{
    struct stack *deep[DEEP], *kept, *large;
    struct stacks stacks;

    stacks_init(&stacks, &os_linux, 500);
    take_deep(&stacks, &kept, 1);
    large = stack_take(&stacks, 8 << 20); /* another size, another arena */
    memset(large->bottom, 'd', (size_t)1 << 20);
    stack_give(&stacks, large);
    for (int times = 0; times < 2; times++)
        have_deep(&stacks, deep, DEEP, DEEP + 2);
    assert_int_equal(deep_bytes(&stacks, &large, 1), 0);
    for (const char *at = kept->bottom; at < kept->top; at++)
        assert_int_equal(*at, 'd'); /* what is in use is its owner's */
    stack_give(&stacks, kept);
    stacks_release(&stacks);
}

/* ---- a system without cheap guards ---- */

static struct os_calls other_calls;
static struct os other_os = { &other_calls };
static unsigned guards_left;

static int guard_by_mapping(struct os *os, void *pages, size_t size)
{
    (void)os;
    return mprotect(pages, size, PROT_NONE) == 0 ? 1 : -errno;
}

static int guard_until_none_is_left(struct os *os, void *pages, size_t size)
{
    if (guards_left-- == 0) {
        guards_left = 0;
        return -ENOMEM;
    }
    return os_linux.calls->guard(os, pages, size);
}

static void use_guards(int (*guard)(struct os *, void *, size_t))
{
    other_calls = *os_linux.calls;
    other_calls.guard = guard;
}

TEST(guards_that_take_mappings_end_before_the_process_runs_out_of_them)
{
    struct stacks stacks;
    unsigned count = 0;

    use_guards(guard_by_mapping);
    stacks_init(&stacks, &other_os, 500);
    while (stack_take(&stacks, STACK_SIZE_MIN) != NULL)
        count++;
    assert_int_equal(count, STACK_MAPPED_GUARDS_MAX);
    /* Others still get mappings. */
    void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(page != MAP_FAILED);
    munmap(page, 4096);
    stacks_release(&stacks);
}

static tn_err return_at_once(void *arg)
{
    ++*(int *)arg;
    return tn_ok();
}

static tn_err start_until_the_limit(void *arg)
{
    struct tn_task *tasks[20] = { NULL };
    int started = 0;
    tn_err err;

    for (;;) {
        err = tn_go(NULL, return_at_once, arg, NULL, &tasks[started]);
        if (tn_failed(err))
            break;
        started++;
    }
    assert_kind(err, TN_LIMIT);
    assert_int_equal(started, 9); /* and this one */
    for (int i = 0; i < started; i++)
        assert_ok(tn_join(&tasks[i], NULL, TN_NEVER));
    assert_int_equal(*(int *)arg, 9);
    /* Stacks that were given back have their guards. */
    assert_ok(tn_go(NULL, return_at_once, arg, NULL, NULL));
    return tn_ok();
}

TEST_ON_DRIVERS(without_a_guard_there_is_no_task_and_the_others_go_on)
{
    int ran = 0;

    guards_left = 10;
    use_guards(guard_until_none_is_left);
    assert_ok(run_on(&other_os, start_until_the_limit, &ran, NULL));
    assert_int_equal(ran, 10);
}

/* ---- inside tasks ---- */

static __attribute__((noinline)) size_t touch_and_ask(size_t size)
{
    volatile char *memory = __builtin_alloca(size);

    for (size_t i = 0; i < size; i += 512)
        memory[i] = 1;
    return tn_task_stack_used() + (memory[0] == 2);
}

static tn_err look_at_the_mark(void *arg)
{
    size_t before = tn_task_stack_used(), after;

    (void)arg;
    assert_true(before > 0 && before <= 3 * 4096);
    after = touch_and_ask(40000);
    assert_true(after >= 40000 && after <= 40000 + before + 4096);
    assert_int_equal(tn_task_stack_used(), after); /* what was once touched counts */
    return tn_ok();
}

static tn_err go_and_look(void *arg)
{
    return tn_go(NULL, look_at_the_mark, arg, NULL, NULL);
}

TEST_ON_DRIVERS(the_high_water_mark_is_what_was_ever_touched)
{
    if (SANITIZED)
        skip_test("a sanitizer uses the stacks in its own way");
    run_ok(go_and_look, NULL);
}

static tn_err use_most_of_it(void *arg)
{
    size_t size = *(size_t *)arg;

    assert_true(touch_and_ask(size - 8192) >= size - 8192);
    return tn_ok();
}

static tn_err use_sizes(void *arg)
{
    static size_t sizes[] = { 32768, 65536, 1 << 20, 8 << 20, 64 << 20 };
    struct tn_task_options options = { .name = "large" };

    (void)arg;
    for (int i = 0; i < 5; i++) {
        options.stack_size = sizes[i];
        assert_ok(tn_go(NULL, use_most_of_it, &sizes[i], &options, NULL));
        tn_yield();
    }
    options.stack_size = (size_t)STACK_SIZE_MAX + 1;
    assert_kind(tn_go(NULL, use_most_of_it, &sizes[0], &options, NULL), TN_INVALID);
    return tn_ok();
}

TEST_ON_DRIVERS(a_task_may_use_the_stack_it_asked_for)
{
    struct tn_loop_options too_large = { .stack_size = (size_t)STACK_SIZE_MAX + 1 };

    run_ok(use_sizes, NULL);
    assert_kind(tn_run(use_sizes, NULL, &too_large), TN_INVALID);
}

/* ---- what a task keeps while it is parked ---- */

struct keeper {
    unsigned number;
    unsigned *turns;
};

/* Locals, also those whose address others have, are the task's alone. */
static __attribute__((noinline)) unsigned keep(unsigned number, unsigned depth)
{
    volatile unsigned mine[16];
    unsigned sum = 0;

    for (unsigned i = 0; i < 16; i++)
        mine[i] = number * 31 + depth * 7 + i;
    errno = (int)(number % 100 + depth);
    if (depth < 5)
        sum = keep(number, depth + 1);
    else
        tn_yield();
    errno = (int)(number % 100 + depth);
    tn_yield();
    assert_int_equal(errno, number % 100 + depth);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(mine[i], number * 31 + depth * 7 + i);
    return sum + 1;
}

static tn_err keep_for_a_while(void *arg)
{
    struct keeper *keeper = arg;

    for (int i = 0; i < 20; i++)
        *keeper->turns += keep(keeper->number, 0);
    return tn_ok();
}

static tn_err many_keepers(void *arg)
{
    static struct keeper keepers[50];

    for (unsigned i = 0; i < 50; i++) {
        keepers[i] = (struct keeper){ .number = i, .turns = arg };
        assert_ok(tn_go(NULL, keep_for_a_while, &keepers[i], NULL, NULL));
    }
    return tn_ok();
}

/* With ASan's detect_stack_use_after_return the locals lie elsewhere: all the same. */
TEST_ON_DRIVERS(locals_and_errno_survive_while_others_run)
{
    unsigned turns = 0;

    run_ok(many_keepers, &turns);
    assert_int_equal(turns, 50 * 20 * 6);
}

/* ---- many ---- */

#define MANY (SANITIZED ? 2000U : 100000U)

/* KiB of the process in memory, and of the page tables that say so. */
static size_t memory_of_process(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    size_t rss = 0, tables = 0;
    char line[200];

    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "VmRSS:", 6) == 0)
            rss = strtoul(line + 6, NULL, 10);
        if (strncmp(line, "VmPTE:", 6) == 0)
            tables = strtoul(line + 6, NULL, 10);
    }
    fclose(file);
    assert_true(rss > 0 && tables > 0);
    return rss + tables;
}

static tn_err park_for_good(void *arg)
{
    ++*(unsigned *)arg;
    assert_errno(park(WAIT_COND, NULL, TN_NEVER), ECANCELED);
    --*(unsigned *)arg;
    return tn_ok();
}

static tn_err park_many(void *arg)
{
    struct tn_group *group = NULL;
    size_t before = memory_of_process(), after;
    unsigned parked = 0;

    (void)arg;
    assert_ok(tn_group_open(&group, TN_GROUP_EACH_ALONE));
    for (unsigned i = 0; i < MANY; i++)
        assert_ok(tn_go(group, park_for_good, &parked, NULL, NULL));
    while (parked < MANY)
        tn_yield();
    after = memory_of_process();
    printf("%u parked tasks: %.3f KiB each, page tables included\n", MANY,
           (double)(after - before) / MANY);
    if (!SANITIZED) /* they keep a shadow of it all */
        assert_true((double)(after - before) / MANY <= 4.5);
    tn_group_close(&group);
    assert_int_equal(parked, 0);
    return tn_ok();
}

TEST_ON_DRIVERS(a_hundred_thousand_parked_tasks_take_four_and_a_half_kib_each,
                .limit_s = 60)
{
    run_ok(park_many, NULL);
}

static tn_err be_deep(void *arg)
{
    assert_true(touch_and_ask(50000) >= 50000);
    assert_ok(tn_sleep(tn_in(1))); /* so that all are deep at once */
    ++*(unsigned *)arg;
    return tn_ok();
}

#define BURST 500U

static tn_err have_a_burst(void *arg)
{
    size_t before = memory_of_process(), high, after; /* KiB */
    struct tn_group *group = NULL;
    unsigned ended = 0;
    int shallow = 0;

    (void)arg;
    assert_ok(tn_group_open(&group, TN_GROUP_EACH_ALONE));
    for (unsigned i = 0; i < BURST; i++)
        assert_ok(tn_go(group, be_deep, &ended, NULL, NULL));
    while (ended == 0)
        assert_ok(tn_sleep(tn_in(1)));
    high = memory_of_process() - before;
    assert_ok(tn_group_wait(group, TN_NEVER));
    for (unsigned i = 0; i < GIVEN_UNTIL_SHALLOW(BURST + 1); i++) {
        assert_ok(tn_go(group, return_at_once, &shallow, NULL, NULL));
        tn_yield();
    }
    after = memory_of_process() - before;
    printf("%u deep tasks: %zu KiB each, then %zu\n", BURST, high / BURST, after / BURST);
    assert_true(high / BURST >= 48);
    assert_true(after / BURST <= STACK_KEPT / 1024 + 1);
    tn_group_close(&group);
    return tn_ok();
}

TEST_ON_DRIVERS(memory_comes_down_after_a_burst_of_deep_tasks)
{
    if (SANITIZED)
        skip_test("a sanitizer uses the stacks in its own way");
    run_ok(have_a_burst, NULL);
}

static tn_err look_at_errno(void *arg)
{
    *(int *)arg = errno;
    errno = ENOTTY;
    return tn_ok();
}

TEST_IN_TASK(a_new_task_starts_without_an_errno_and_leaves_none_behind)
{
    struct tn_task *task = NULL;
    int seen = -1;

    for (int i = 0; i < 2; i++) { /* the second on the stack of the first */
        assert_ok(tn_go(NULL, look_at_errno, &seen, NULL, &task));
        errno = EPROTO;
        assert_ok(tn_join(&task, NULL, TN_NEVER));
        assert_int_equal(errno, EPROTO);
        assert_int_equal(seen, 0);
    }
}
