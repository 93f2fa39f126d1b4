/* SPDX-License-Identifier: MIT */
/*
 * linux_call.h -- a system call as one instruction: what the kernel says, -errno included.
 *
 * For the two calls that a round trip makes.  After the kernel has run the processor no
 * longer knows where the returns lead: three frames less (libc's, the table's, the seam's)
 * are 1 % of a small echo.  Under sanitizers libc's own calls serve: those they know.
 */
#ifndef OS_LINUX_CALL_H
#define OS_LINUX_CALL_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LINUX_CALL 0
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LINUX_CALL 0
#endif

#if defined(LINUX_CALL)
#elif defined(__x86_64__) && !defined(__ILP32__)
#define LINUX_CALL 1

static inline long linux_call6(long number, long a, long b, long c, long d, long e,
                               long f)
{
    register long fourth __asm__("r10") = d;
    register long fifth __asm__("r8") = e;
    register long sixth __asm__("r9") = f;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth),
                       "r"(sixth)
                     : "rcx", "r11", "memory");
    return result;
}
#else
#define LINUX_CALL 0
#endif

#endif
