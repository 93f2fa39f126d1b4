/* SPDX-License-Identifier: MIT */
/*
 * linux.h -- for linux.c: the part of the seam that linux_memory.c fills; see os.h.
 */
#ifndef OS_LINUX_H
#define OS_LINUX_H

#include <stddef.h>

struct os;

void *linux_allocate(struct os *os, size_t size);
void linux_release(struct os *os, void *memory);
void *linux_map(struct os *os, size_t size);
void linux_unmap(struct os *os, void *pages, size_t size);
int linux_guard(struct os *os, void *pages, size_t size);
int linux_copy(struct os *os, void *to, const void *from, size_t size);
void linux_discard(struct os *os, void *pages, size_t size);
size_t linux_resident(struct os *os, const void *pages, size_t size);

#endif
