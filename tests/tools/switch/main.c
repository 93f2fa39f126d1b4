/* SPDX-License-Identifier: MIT */
/*
 * main.c -- the switch of stacks alone, on whatever processor it was built for.
 *
 * Without cmocka and liburing, so that it can be built for another processor with a
 * cross compiler and nothing else.  Prints a line a test and a total.
 */
#include <errno.h>
#include <fenv.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unwind.h>

#include "registers.h"
#include "task/context.h"
#include "task/switch.h"

#define STACK_SIZE ((size_t)64 * 1024)
#define ROUNDS     1000

static alignas(16) char memory[5][STACK_SIZE];

static unsigned passed, failed;

static void check(const char *name, bool holds)
{
    printf("  %s  %s\n", holds ? "pass" : "FAIL", name);
    passed += holds;
    failed += !holds;
}

static char *top_of(int number)
{
    return memory[number] + STACK_SIZE;
}

/* ---- registers ---- */

static void *here, *there;
static bool registers_kept;

static void fill(uint64_t values[REGISTERS], uint64_t seed)
{
    for (int i = 0; i < REGISTERS; i++)
        values[i] = seed * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)i;
}

static void hold_once(void **save, void *load, uint64_t seed)
{
    uint64_t in[REGISTERS], out[REGISTERS];

    fill(in, seed);
    memset(out, 0, sizeof(out));
    registers_hold(save, load, in, out);
    registers_kept = registers_kept && memcmp(in, out, sizeof(in)) == 0;
}

static void hold_for_ever(void *argument)
{
    for (uint64_t round = 0;; round++)
        hold_once(argument, here, 1000000 + round);
}

static void registers_survive(void)
{
    registers_kept = true;
    there = stack_prepare(top_of(0), hold_for_ever, &there);
    for (uint64_t round = 0; round < ROUNDS; round++)
        hold_once(&here, there, round);
    check("every register that a callee must keep is kept over a switch", registers_kept);
}

/* ---- the start ---- */

static void *argument_seen;
static uintptr_t frame_seen;
static uint64_t control_seen;

static void look_around(void *argument)
{
    alignas(16) char local[16];

    argument_seen = argument;
    frame_seen = (uintptr_t)local;
    control_seen = control_get();
    for (;;)
        switch_stacks(&there, here);
}

static void a_stack_starts_as_the_abi_says(void)
{
    uint64_t usual = control_get();

    fesetround(FE_UPWARD);
    there = stack_prepare(top_of(1), look_around, &failed);
    switch_stacks(&here, there);
    check("the entry gets its argument", argument_seen == &failed);
    check("the entry runs on the stack it was given",
          frame_seen > (uintptr_t)memory[1] && frame_seen < (uintptr_t)top_of(1));
    check("the entry's stack is aligned", frame_seen % 16 == 0);
    check("a new stack rounds as a new program does, whatever its maker does",
          control_seen == usual);
    check("its maker still rounds upwards", fegetround() == FE_UPWARD);
    control_set(usual);
}

/* ---- floating point ---- */

static bool rounding_kept;

static void round_down(void *argument)
{
    (void)argument;
    fesetround(FE_DOWNWARD);
    for (;;) {
        uint64_t before = control_get();
        switch_stacks(&there, here);
        rounding_kept = rounding_kept && fegetround() == FE_DOWNWARD;
        rounding_kept = rounding_kept && control_get() == before;
    }
}

/* The smallest step above 1, if rounding is upwards. */
static double one_and_a_bit(void)
{
    volatile double one = 1, bit = 1e-30;

    return one + bit;
}

static void rounding_is_each_stacks_own(void)
{
    uint64_t usual = control_get(), mine;

    rounding_kept = true;
    there = stack_prepare(top_of(2), round_down, NULL);
    fesetround(FE_UPWARD);
    mine = control_get();
    for (int round = 0; round < ROUNDS; round++) {
        switch_stacks(&here, there);
        rounding_kept = rounding_kept && control_get() == mine && one_and_a_bit() > 1;
    }
    check("the control of floating point is each stack's own", rounding_kept);
    control_set(usual);
    rounding_kept = true;
    for (int round = 0; round < ROUNDS; round++) {
        switch_stacks(&here, there);
        rounding_kept = rounding_kept && control_get() == usual && one_and_a_bit() == 1;
    }
    check("and it comes back when it is the usual one", rounding_kept);
}

/* ---- contexts, and what goes with them ---- */

static struct context home, other;
static struct context_notes notes[2];
static bool errno_kept, ended;

static void count_to_three(void *argument)
{
    int *count = argument;

    context_started();
    for (int i = 0; i < 3; i++) {
        errno = 100 + i;
        ++*count;
        context_switch(&other, &home);
        errno_kept = errno_kept && errno == 100 + i;
    }
    ended = true;
    context_leave(&other, &home);
}

static void contexts_keep_errno_and_end(void)
{
    int count = 0;

    errno_kept = true;
    context_adopt(&home, &notes[0]);
    context_init(&other, &notes[1], memory[3], top_of(3), count_to_three, &count);
    for (int i = 0; i < 4; i++) {
        errno = 200 + i;
        context_switch(&home, &other);
        errno_kept = errno_kept && errno == 200 + i;
    }
    context_release(&other);
    check("a context runs piece by piece, and ends", count == 3 && ended);
    check("errno is each context's own", errno_kept);
}

/* ---- backtraces ---- */

struct trace {
    int frames;
    bool too_many;
};

static struct trace trace;

static _Unwind_Reason_Code count_frame(struct _Unwind_Context *context, void *argument)
{
    struct trace *seen = argument;

    (void)context;
    seen->too_many = ++seen->frames > 20;
    return seen->too_many ? _URC_NORMAL_STOP : _URC_NO_REASON;
}

static void trace_back(void *argument)
{
    (void)argument;
    _Unwind_Backtrace(count_frame, &trace);
    for (;;)
        switch_stacks(&there, here);
}

static void backtraces_end_at_the_start(void)
{
    there = stack_prepare(top_of(4), trace_back, NULL);
    switch_stacks(&here, there);
    check("a backtrace ends where the stack starts",
          !trace.too_many && trace.frames >= 2 && trace.frames <= 4);
}

int main(void)
{
    registers_survive();
    a_stack_starts_as_the_abi_says();
    rounding_is_each_stacks_own();
    contexts_keep_errno_and_end();
    backtraces_end_at_the_start();
    printf("%u passed, %u failed, 0 skipped\n", passed, failed);
    return failed > 0;
}
