/* SPDX-License-Identifier: MIT */
/*
 * check.h -- CHECK(x): stop the program when we ourselves are wrong.
 *
 * It stays on in release builds and its condition has no side effects.  What peers,
 * kernels and memory can do is an error, never a CHECK.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stddef.h>
#include <stdint.h>

_Noreturn void check_failed(const char *file, int line, const char *what);

#define CHECK(x) ((x) ? (void)0 : check_failed(__FILE__, __LINE__, #x))

/* Where control cannot come; WHY, in words. */
#define UNREACHED(why) check_failed(__FILE__, __LINE__, why)

/* The object that FIELD at POINTER is part of. */
#define CONTAINER(pointer, type, field)                                                  \
    ((type *)((uintptr_t)(pointer)-offsetof(type, field)))

#endif
