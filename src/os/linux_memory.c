/* SPDX-License-Identifier: MIT */
/*
 * linux_memory.c -- the seam's memory: the heap, mappings for stacks, and looks at them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"
#include "os/linux.h"

/* Linux 6.13; the headers of Debian 12 do not have it. */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

/* Smaller ones are not aligned to 64: of a connection's 480 bytes that took 190. */
#define SMALL 4096

void *linux_allocate(struct os *os, size_t size)
{
    size_t whole = (size + 63) & ~(size_t)63;
    void *memory = NULL;

    (void)os;
    if (size < SMALL)
        return calloc(1, size);
    if (whole < size || posix_memalign(&memory, 64, whole) != 0)
        return NULL;
    return memset(memory, 0, whole);
}

void linux_release(struct os *os, void *memory)
{
    (void)os;
    free(memory);
}

void *linux_map(struct os *os, size_t size)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);

    (void)os;
    if (pages == MAP_FAILED)
        return NULL;
    /* One touched page must stay one page: a huge one would be 512 stacks' worth. */
    (void)madvise(pages, size, MADV_NOHUGEPAGE);
    return pages;
}

void linux_unmap(struct os *os, void *pages, size_t size)
{
    (void)os;
    CHECK(munmap(pages, size) == 0);
}

/* MADV_GUARD_INSTALL costs no mapping of its own; before Linux 6.13 mprotect must do. */
int linux_guard(struct os *os, void *pages, size_t size)
{
    (void)os;
    if (madvise(pages, size, MADV_GUARD_INSTALL) == 0)
        return 0;
    return mprotect(pages, size, PROT_NONE) == 0 ? 1 : -errno;
}

/* Where a filter refuses the call there is no safe way: the pointer is trusted. */
int linux_copy(struct os *os, void *to, const void *from, size_t size)
{
    struct iovec here = { to, size };
    struct iovec there = { (void *)(uintptr_t)from, size };
    ssize_t copied = process_vm_readv(getpid(), &here, 1, &there, 1, 0);

    (void)os;
    if (copied == (ssize_t)size)
        return 0;
    if (copied >= 0 || errno == EFAULT)
        return -EFAULT;
    memcpy(to, from, size);
    return 0;
}

void linux_discard(struct os *os, void *pages, size_t size)
{
    (void)os;
    (void)madvise(pages, size, MADV_DONTNEED);
}

size_t linux_resident(struct os *os, const void *pages, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char here[256];
    size_t bytes = 0;

    (void)os;
    for (size_t done = 0; done < size; done += sizeof(here) * page) {
        size_t part =
            size - done < sizeof(here) * page ? size - done : sizeof(here) * page;
        /* mincore(2) takes a plain pointer but only looks at the page tables. */
        if (mincore((char *)(uintptr_t)pages + done, part, here) != 0)
            return bytes;
        for (size_t i = 0; i < (part + page - 1) / page; i++)
            bytes += (here[i] & 1) != 0 ? page : 0;
    }
    return bytes;
}
