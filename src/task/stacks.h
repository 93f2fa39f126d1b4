/* SPDX-License-Identifier: MIT */
/*
 * stacks.h -- the stacks of a loop's tasks; see stacks.c.
 */
#ifndef TASK_STACKS_H
#define TASK_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os/os.h"

#define STACK_SIZE_DEFAULT ((size_t)64 * 1024)
#define STACK_SIZE_MIN     ((size_t)16 * 1024)
#define STACK_SIZE_MAX     ((size_t)64 * 1024 * 1024)

/*
 * Wide enough that a frame of a library call does not jump over it, and no wider: a page of
 * page tables maps 2 MiB, so that 64 KiB of stack and 32 of guard take 192 bytes of one.
 */
#define STACK_GUARD_SIZE ((size_t)32 * 1024)

/* A stack that lies free keeps this much of its upper end warm, its head included. */
#define STACK_KEPT ((size_t)16 * 1024)

/* Sizes are powers of two from the least to the largest: 13 of them. */
#define STACK_CLASSES 13

/*
 * Before Linux 6.13 a guard is a mapping of its own, of which a process may have 65,530
 * (vm.max_map_count).  Two a stack and four fifths of them for us leaves this many.
 */
#define STACK_MAPPED_GUARDS_MAX 26000

/* The head of a slot's room, at the top of the stack it belongs to. */
struct stack {
    struct stack *next_free;
    char *bottom; /* lowest usable byte; the guard is below */
    char *top;    /* first byte above what the task may use; this struct lies there */
    uint8_t class;
    bool taken;
    bool looked_at;    /* since it was taken last */
    uint32_t given_at; /* the count of stacks given back, then */
};

struct stack_arena;

struct stacks {
    struct os *os;
    struct stack_arena *arenas;
    struct stack *free_of[STACK_CLASSES];
    size_t head_size; /* bytes kept at the top of each for the owner */
    unsigned mapped_guards;
    /* The hand that looks for deep ones: see stacks.c. */
    struct stack_arena *hand;
    size_t hand_at;
    uint32_t given, next_look;
};

/* stacks_init -- no stacks yet; each will have HEAD_SIZE bytes, from a struct stack on. */
void stacks_init(struct stacks *stacks, struct os *os, size_t head_size);

/* stack_take -- a stack of at least SIZE bytes, or NULL: no memory, or no guard for it. */
struct stack *stack_take(struct stacks *stacks, size_t size);

/*
 * stack_give -- STACK is free again; its memory stays warm for the next task.  What is below
 * STACK_KEPT of one that nobody takes for long goes back to the system.
 */
void stack_give(struct stacks *stacks, struct stack *stack);

/* stack_used -- bytes ever touched, in whole pages. */
size_t stack_used(const struct stacks *stacks, const struct stack *stack);

/*
 * stack_of_guard -- the stack whose guard ADDRESS lies in, or NULL.  Only reads, so that
 * a signal handler may ask.
 */
struct stack *stack_of_guard(const struct stacks *stacks, const void *address);

/* stacks_release -- unmap them all; nobody runs on one. */
void stacks_release(struct stacks *stacks);

#endif
