/* SPDX-License-Identifier: MIT */
/* Context switch cost: nanoseconds per switch (one direction).
 *   asm       callee-saved registers pushed, indirect jump back
 *   asm+fp    the same plus MXCSR and x87 control word (what fcontext does)
 *   inline    only sp/bp/bx by hand; the compiler is told the rest is lost
 *   fcontext  boost::context's jump_fcontext
 *   ucontext  glibc swapcontext (a sigprocmask system call each way)
 *   (-x ucontext: only that one)
 * "ring of N": N coroutines each switching to the next; beyond the caches the
 * cost is the misses on N stacks; "coloured" spreads stack tops over cache sets. */
#include "common.h"
#include <sys/mman.h>
#include <ucontext.h>
#ifndef __x86_64__
#error "x86-64 only"
#endif

void sw_asm(void **save, void *to);
void sw_fp(void **save, void *to);
__asm__(".text\n.type sw_asm,@function\nsw_asm:\n"
        "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
        "mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\n"
        "pop %rcx\njmp *%rcx\n"
        ".type sw_fp,@function\nsw_fp:\n"
        "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
        "sub $8,%rsp\nstmxcsr (%rsp)\nfnstcw 4(%rsp)\n"
        "mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
        "ldmxcsr (%rsp)\nfldcw 4(%rsp)\nadd $8,%rsp\n"
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\n"
        "pop %rcx\njmp *%rcx\n");

static inline __attribute__((always_inline)) void sw_inline(void **save, void *to)
{
    register void **a __asm__("rdi") = save;
    register void *b __asm__("rsi") = to;
    __asm__ volatile("lea 1f(%%rip),%%rax\n push %%rbp\n push %%rbx\n push %%rax\n"
                     "mov %%rsp,(%0)\n mov %1,%%rsp\n"
                     "pop %%rax\n jmp *%%rax\n"
                     "1: pop %%rbx\n pop %%rbp\n"
                     : "+r"(a), "+r"(b)
                     :
                     : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
                       "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

typedef struct { void *ctx, *data; } transfer;
transfer jump_fcontext(void *to, void *data);
void *make_fcontext(void *sp, size_t size, void (*fn)(transfer));

enum { STACK = 16384 };
static void **sp;                 /* saved stack pointers; index n is main */
static int n, cur;
static long left;

static char *stack_top(char *mem, int i, int colour)
{
    return mem + (size_t)(i + 1) * STACK - (colour ? (i * 5 % 32) * 64 : 0);
}

#define BODY(name, SW)                                          \
    static void name(void)                                      \
    {                                                           \
        for (;;) {                                              \
            int me = cur, nx = me + 1 == n ? 0 : me + 1;        \
            if (--left <= 0)                                    \
                SW(&sp[me], sp[n]);                             \
            cur = nx;                                           \
            SW(&sp[me], sp[nx]);                                \
        }                                                       \
    }
BODY(body_asm, sw_asm)
BODY(body_fp, sw_fp)
BODY(body_inline, sw_inline)

static double run(int kind, char *mem, int count, int colour, long iters)
{
    n = count;
    sp = calloc(n + 1, sizeof *sp);
    for (int i = 0; i < n; i++) {
        void **t = (void **)stack_top(mem, i, colour);
        *--t = 0;                                /* fake return address, alignment */
        *--t = kind == 0 ? (void *)body_asm : kind == 1 ? (void *)body_fp : (void *)body_inline;
        if (kind < 2)
            for (int k = 0; k < 6; k++)
                *--t = 0;
        if (kind == 1) {
            *--t = 0;
            uint32_t mx;
            uint16_t cw;
            __asm__ volatile("stmxcsr %0\nfnstcw %1" : "=m"(mx), "=m"(cw));
            ((uint32_t *)t)[0] = mx;
            ((uint16_t *)t)[2] = cw;
        }
        sp[i] = t;
    }
    double best = 1e9;
    for (int rep = 0; rep < 5; rep++) {
        left = iters;
        cur = rep == 0 ? 0 : cur;
        uint64_t t0 = now_ns();
        if (kind == 0)
            sw_asm(&sp[n], sp[cur]);
        else if (kind == 1)
            sw_fp(&sp[n], sp[cur]);
        else
            sw_inline(&sp[n], sp[cur]);
        double ns = (double)(now_ns() - t0) / iters;
        if (ns < best)
            best = ns;
    }
    free(sp);
    return best;
}

static void fbody(transfer t)
{
    for (;;)
        t = jump_fcontext(t.ctx, NULL);
}
static ucontext_t ua, ub;
static void ubody(void)
{
    for (;;)
        swapcontext(&ub, &ua);
}

static void time_ucontext(char *mem)
{
    volatile double best = 1e9;
    getcontext(&ub);
    ub.uc_stack.ss_sp = mem;
    ub.uc_stack.ss_size = STACK;
    makecontext(&ub, ubody, 0);
    for (int rep = 0; rep < 5; rep++) {
        long it = 300000;
        uint64_t t0 = now_ns();
        for (long i = 0; i < it; i++)
            swapcontext(&ua, &ub);
        double ns = (double)(now_ns() - t0) / it / 2;
        best = ns < best ? ns : best;
    }
    printf("%-9s pair                    %8.2f ns\n", "ucontext", best);
}

int main(int argc, char **argv)
{
    struct opts o = parse_opts(argc, argv);
    pin(o.cpu);
    int max = 100000;
    char *mem = mmap(NULL, (size_t)max * STACK, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    madvise(mem, (size_t)max * STACK, MADV_NOHUGEPAGE);
    if (has(&o, "ucontext")) {
        time_ucontext(mem);
        return 0;
    }
    static const char *nm[] = {"asm", "asm+fp", "inline"};
    static const int counts[] = {2, 64, 1000, 10000, 100000};
    for (int k = 0; k < 3; k++)
        for (int c = 0; c < 5; c++)
            for (int col = 0; col < 2; col++)
                printf("%-9s ring of %-6d %-9s %8.2f ns\n", nm[k], counts[c], col ? "coloured" : "",
                       run(k, mem, counts[c], col, counts[c] > 1000 ? 2000000 : 20000000));
    transfer t = {.ctx = make_fcontext(mem + STACK, STACK, fbody)};
    double best = 1e9;
    for (int rep = 0; rep < 5; rep++) {
        long it = 10000000;
        uint64_t t0 = now_ns();
        for (long i = 0; i < it; i++)
            t = jump_fcontext(t.ctx, NULL);
        double ns = (double)(now_ns() - t0) / it / 2;
        best = ns < best ? ns : best;
    }
    printf("%-9s pair                    %8.2f ns\n", "fcontext", best);
    time_ucontext(mem);
    return 0;
}
