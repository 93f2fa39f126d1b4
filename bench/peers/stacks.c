/* SPDX-License-Identifier: MIT */
/* Coroutine stacks: cost of making, touching and recycling N of them.
 *   stacks [-n COUNT] [-b STACK_BYTES]
 *   mprotect   one mmap a stack, lowest page PROT_NONE (the classic)
 *   onemap     one big mmap, PROT_NONE guard pages cut into it
 *   guard      one big mmap, MADV_GUARD_INSTALL on the lowest page (Linux 6.13)
 *   bare       one big mmap, no guards
 *   malloc     malloc, no guards */
#include "common.h"
#include <sys/mman.h>
#include <sys/wait.h>
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

static long status_kib(const char *key)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long v = 0;
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, key, strlen(key)))
            v = atol(line + strlen(key) + 1);
    if (f)
        fclose(f);
    return v;
}
static long vmas(void)
{
    FILE *f = fopen("/proc/self/maps", "r");
    int c, n = 0;
    while (f && (c = getc(f)) != EOF)
        n += c == '\n';
    if (f)
        fclose(f);
    return n;
}
static long slab_kib(const char *name)
{
    FILE *f = fopen("/proc/slabinfo", "r");
    char line[512], nm[64];
    long a, b, sz, v = 0;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "%63s %ld %ld %ld", nm, &a, &b, &sz) == 4 && !strcmp(nm, name))
            v = a * sz / 1024;
    if (f)
        fclose(f);
    return v;
}

static void trial(const char *kind, int n, size_t sz)
{
    char **s = malloc(n * sizeof *s);
    int prot = PROT_READ | PROT_WRITE, fl = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, made = 0;
    long v0 = vmas(), slab0 = slab_kib("vm_area_struct");
    memset(s, 0, n * sizeof *s);
    long rss0 = status_kib("VmRSS:"), pte0 = status_kib("VmPTE:");
    uint64_t t0 = now_ns();
    char *big = NULL;
    if (strcmp(kind, "mprotect") && strcmp(kind, "malloc")) {
        big = mmap(NULL, (size_t)n * sz, prot, fl, -1, 0);
        madvise(big, (size_t)n * sz, MADV_NOHUGEPAGE);
    }
    for (; made < n; made++) {
        char *p = big ? big + (size_t)made * sz : NULL;
        if (!strcmp(kind, "malloc")) {
            p = malloc(sz);
        } else if (!strcmp(kind, "mprotect")) {
            p = mmap(NULL, sz, prot, fl | MAP_STACK, -1, 0);
            if (p == MAP_FAILED || mprotect(p, 4096, PROT_NONE))
                break;
        } else if (!strcmp(kind, "onemap")) {
            if (mprotect(p, 4096, PROT_NONE))
                break;
        } else if (!strcmp(kind, "guard")) {
            if (madvise(p, 4096, MADV_GUARD_INSTALL))
                break;
        }
        s[made] = p;
    }
    int why = errno;
    double make = (double)(now_ns() - t0) / (made ? made : 1);
    if (!made) {
        printf("%-9s failed: %s\n", kind, strerror(why));
        return;
    }
    t0 = now_ns();
    for (int i = 0; i < made; i++)
        memset(s[i] + sz - 256, 1, 256);
    double touch = (double)(now_ns() - t0) / made;
    long v = vmas() - v0, rss = status_kib("VmRSS:") - rss0, pte = status_kib("VmPTE:") - pte0;
    long vs = slab_kib("vm_area_struct") - slab0;
    t0 = now_ns();
    if (strcmp(kind, "malloc"))
        for (int i = 0; i < made; i++)
            madvise(s[i] + 4096, sz - 4096, MADV_DONTNEED);
    double drop = (double)(now_ns() - t0) / made;
    t0 = now_ns();
    for (int i = 0; i < made; i++)
        memset(s[i] + sz - 256, 1, 256);
    double again = (double)(now_ns() - t0) / made;
    printf("%-9s %7d of %7d made  make %7.0f ns  first touch %6.0f ns  VMAs %7ld  RSS %5.0f B  "
           "page tables %4.0f B  vma slab %4.0f B  DONTNEED %6.0f ns  touch again %6.0f ns%s%s\n",
           kind, made, n, make, touch, v, rss * 1024.0 / made, pte * 1024.0 / made, vs * 1024.0 / made,
           drop, again, made < n ? "  stopped: " : "", made < n ? strerror(why) : "");
}

int main(int argc, char **argv)
{
    optind = 1;
    struct opts o = parse_opts(argc, argv);
    if (o.nbufs == 1024)
        o.nbufs = 20000;
    pin(o.cpu);
    static const char *kinds[] = {"bare", "guard", "onemap", "mprotect", "malloc"};
    printf("%d stacks of %d bytes\n", o.nbufs, o.bufsize);
    for (int i = 0; i < 5; i++) {
        fflush(stdout);
        if (fork() == 0) {
            trial(kinds[i], o.nbufs, o.bufsize);
            fflush(stdout);
            _exit(0);
        }
        wait(NULL);
    }
    return 0;
}
