/* SPDX-License-Identifier: MIT */
/*
 * stacks.c -- stacks in arenas, each with a guard below it.
 *
 *      slot:  | guard, 32 KiB | room, a power of two ............ | head | colour |
 *                             ^ bottom           grows down <--- ^ top
 *
 * An arena is one mapping of many slots of one size, so stacks do not eat up the
 * process's mappings, and nothing in it takes memory before it is touched.  The head is
 * the owner's (a task) and shares the top page with the first frames: a parked task costs
 * one page.  The colour shifts tops by cache lines, over half a page, lest all stacks
 * compete for the same sets: 3 % of an echo to 512 connections.  A slot once made is kept
 * on a free list, warm, until the loop ends.
 *
 * But what was deep gives pages back.  A hand goes round all slots, one step for every
 * LOOK_EVERY stacks given; where it finds a free one that was used since it was last looked
 * at, and nobody has wanted for COLD_AFTER stacks, it asks what of it is resident, and
 * discards what is below STACK_KEPT.  Where it found something it takes its next step with
 * the next stack.  So after a burst, at most COLD_AFTER + LOOK_EVERY stacks for each slot
 * later, all that is not in use is shallow; those in use, last given first taken, stay warm.
 *
 * Always true: a slot is on exactly one free list or taken.
 */
#include "task/stacks.h"

#include "base/check.h"
#include "base/hot.h"

/* An arena is about this large, and has at least one slot. */
#define ARENA_SIZE ((size_t)8 * 1024 * 1024)

#define LOOK_EVERY 32
#define COLD_AFTER 256

#define COLOURS     32
#define COLOUR_STEP 64U

struct stack_arena {
    struct stack_arena *next;
    char *memory;
    size_t slot_size, count, made; /* slots below `made` have their guard and head */
    uint8_t class;
};

void stacks_init(struct stacks *stacks, struct os *os, size_t head_size)
{
    *stacks = (struct stacks){ .os = os,
                               .head_size = (head_size + 63) & ~(size_t)63,
                               .next_look = LOOK_EVERY };
}

static unsigned class_of(size_t size)
{
    unsigned class = 0;

    while (((size_t)STACK_SIZE_MIN << class) < size)
        class ++;
    return class;
}

static struct stack_arena *arena_new(struct stacks *stacks, unsigned class)
{
    size_t slot_size = STACK_GUARD_SIZE + ((size_t)STACK_SIZE_MIN << class);
    size_t count = ARENA_SIZE / slot_size > 0 ? ARENA_SIZE / slot_size : 1;
    struct stack_arena *arena = os_allocate(stacks->os, sizeof(*arena));

    if (arena == NULL)
        return NULL;
    arena->memory = os_map(stacks->os, slot_size * count);
    if (arena->memory == NULL) {
        os_release(stacks->os, arena);
        return NULL;
    }
    arena->slot_size = slot_size;
    arena->count = count;
    arena->class = (uint8_t) class;
    arena->next = stacks->arenas;
    stacks->arenas = arena;
    return arena;
}

/* The newest arena of CLASS that has slots nobody has used, or a new one. */
static struct stack_arena *arena_with_room(struct stacks *stacks, unsigned class)
{
    struct stack_arena *arena = stacks->arenas;

    while (arena != NULL && (arena->class != class || arena->made == arena->count))
        arena = arena->next;
    return arena != NULL ? arena : arena_new(stacks, class);
}

/* Where the head of slot number AT lies. */
static struct stack *head_of(const struct stacks *stacks, const struct stack_arena *arena,
                             size_t at)
{
    char *end = arena->memory + (at + 1) * arena->slot_size;

    return (struct stack *)(void *)(end - stacks->head_size - at % COLOURS * COLOUR_STEP);
}

static struct stack *slot_make(struct stacks *stacks, unsigned class)
{
    struct stack_arena *arena = arena_with_room(stacks, class);
    struct stack *stack;
    int guard;

    if (arena == NULL || stacks->mapped_guards >= STACK_MAPPED_GUARDS_MAX)
        return NULL;
    guard = os_guard(stacks->os, arena->memory + arena->made * arena->slot_size,
                     STACK_GUARD_SIZE);
    if (guard < 0)
        return NULL;
    stacks->mapped_guards += (unsigned)guard;
    stack = head_of(stacks, arena, arena->made);
    stack->bottom = arena->memory + arena->made * arena->slot_size + STACK_GUARD_SIZE;
    stack->top = (char *)stack;
    stack->class = (uint8_t) class;
    arena->made++;
    return stack;
}

struct stack *stack_take(struct stacks *stacks, size_t size)
{
    unsigned class = class_of(size);
    struct stack *stack;

    CHECK(size <= STACK_SIZE_MAX);
    stack = stacks->free_of[class];
    if (stack != NULL)
        stacks->free_of[class] = stack->next_free;
    else
        stack = slot_make(stacks, class);
    if (stack != NULL) {
        stack->taken = true;
        stack->looked_at = false;
    }
    return stack;
}

/* The next slot, round and round; there is one. */
static struct stack *hand_step(struct stacks *stacks)
{
    if (stacks->hand == NULL || stacks->hand_at == stacks->hand->made) {
        stacks->hand = stacks->hand != NULL ? stacks->hand->next : NULL;
        if (stacks->hand == NULL)
            stacks->hand = stacks->arenas;
        stacks->hand_at = 0;
    }
    if (stacks->hand->made == 0)
        return NULL;
    return head_of(stacks, stacks->hand, stacks->hand_at++);
}

/* Discard what is deep of STACK; whether there was something. */
static bool discard_deep(struct stacks *stacks, struct stack *stack)
{
    size_t room = (size_t)STACK_SIZE_MIN << stack->class;

    stack->looked_at = true;
    if (room <= STACK_KEPT ||
        os_resident(stacks->os, stack->bottom, room - STACK_KEPT) == 0)
        return false;
    os_discard(stacks->os, stack->bottom, room - STACK_KEPT);
    return true;
}

static RARE void look_for_deep(struct stacks *stacks)
{
    struct stack *stack = hand_step(stacks);
    bool found = stack != NULL && !stack->taken && !stack->looked_at &&
                 stacks->given - stack->given_at >= COLD_AFTER &&
                 discard_deep(stacks, stack);

    stacks->next_look = stacks->given + (found ? 1 : LOOK_EVERY);
}

void stack_give(struct stacks *stacks, struct stack *stack)
{
    CHECK(stack->taken);
    stack->taken = false;
    stack->given_at = ++stacks->given;
    stack->next_free = stacks->free_of[stack->class];
    stacks->free_of[stack->class] = stack;
    if (stacks->given == stacks->next_look)
        look_for_deep(stacks);
}

size_t stack_used(const struct stacks *stacks, const struct stack *stack)
{
    size_t room = (size_t)STACK_SIZE_MIN << stack->class;

    return os_resident(stacks->os, stack->bottom, room);
}

struct stack *stack_of_guard(const struct stacks *stacks, const void *address)
{
    uintptr_t at = (uintptr_t)address;

    for (const struct stack_arena *arena = stacks->arenas; arena != NULL;
         arena = arena->next) {
        uintptr_t start = (uintptr_t)arena->memory;
        size_t slot = (at - start) / arena->slot_size;

        if (at < start || slot >= arena->made)
            continue;
        if ((at - start) % arena->slot_size < STACK_GUARD_SIZE)
            return head_of(stacks, arena, slot);
    }
    return NULL;
}

void stacks_release(struct stacks *stacks)
{
    while (stacks->arenas != NULL) {
        struct stack_arena *arena = stacks->arenas;

        stacks->arenas = arena->next;
        os_unmap(stacks->os, arena->memory, arena->slot_size * arena->count);
        os_release(stacks->os, arena);
    }
}
