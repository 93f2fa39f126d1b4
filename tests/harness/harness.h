/* SPDX-License-Identifier: MIT */
/*
 * harness.h -- what a test file includes: cmocka's assertions, and tests that register
 * themselves.
 *
 *      TEST(zero_is_success) { ... }                      once
 *      TEST_ON_DRIVERS(a_post_arrives) { ... }            as [epoll] and as [uring]
 *      TEST_IN_TASK(a_read_parks) { ... }                 the same, its body a task
 *      TEST_IN_TASK(a_long_one, .limit_s = 60) { ... }
 *
 * Every test runs in a process of its own, under a time limit, and must leave the
 * descriptors as it found them.  A failed assertion ends that process on the spot, on
 * whichever stack it stands.  main() is here too:
 *
 *      X_test [-l] [-d] [PART OF A NAME]      -l lists, -d stays in this process (for gdb)
 *
 * Environment: DRIVER=epoll|uring narrows the tests that run on both; DRIVER=any runs them
 * once and leaves the choice to the library, for places that are short of rings.
 * TENON_TEST_SCALE multiplies the time limits (under sanitizers they are longer anyway).
 * TENON_TEST_ALARMS=1000 lets so many SIGALRM a second, without SA_RESTART, come into each
 * test, for tests that only use calls which hide EINTR.
 * TENON_TEST_SKIPS names a file of tests that cannot be run here, each with the reason.
 *
 * cmocka serves for its assertions only: mocks have no place here, the seam os.h has.
 */
#ifndef HARNESS_HARNESS_H
#define HARNESS_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <tenon.h>

#define TEST_LIMIT_S 20

enum test_where { TEST_ONCE, TEST_EACH_DRIVER, TEST_TASK_EACH_DRIVER };

struct test {
    const char *name;
    void (*fn)(void);
    enum test_where where;
    unsigned limit_s;   /* 0: TEST_LIMIT_S */
    bool may_leave_fds; /* say why beside it */
    const char *file;
    int line;
    struct test *next;
};

/* For the macros: add TEST to those that main() runs. */
void test_register(struct test *test);

#define TEST(...)            TEST_DEFINE(__VA_ARGS__, .where = TEST_ONCE)
#define TEST_ON_DRIVERS(...) TEST_DEFINE(__VA_ARGS__, .where = TEST_EACH_DRIVER)
#define TEST_IN_TASK(...)    TEST_DEFINE(__VA_ARGS__, .where = TEST_TASK_EACH_DRIVER)

#define TEST_DEFINE(NAME, ...)                                                           \
    static void NAME(void);                                                              \
    __attribute__((constructor)) static void NAME##_register(void)                       \
    {                                                                                    \
        static struct test test = {                                                      \
            .name = #NAME, .fn = NAME, .file = __FILE__, .line = __LINE__, __VA_ARGS__   \
        };                                                                               \
        test_register(&test);                                                            \
    }                                                                                    \
    static void NAME(void)

/*
 * The driver for what a test opens itself, "epoll" or "uring"; "" in one that runs once.
 * With DRIVER=any it is "epoll".
 */
const char *test_driver(void);

/* test_need_ring -- skip the test if RESULT says that this place gives no ring. */
void test_need_ring(int result);

/* How many times longer things take here: 1, or more under a sanitizer or valgrind. */
unsigned test_scale(void);

/* skip_test -- end the test as skipped, with the reason; it is counted and named. */
_Noreturn void skip_test(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* test_failed -- end the test as failed.  For the macros below. */
_Noreturn void test_failed(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define fail_test(...) test_failed(__FILE__, __LINE__, __VA_ARGS__)

/* assert_ok -- ERR is success; else its text is shown. */
#define assert_ok(err) test_assert_kind((err), TN_OK, #err, __FILE__, __LINE__)

/* assert_kind -- ERR is of KIND; else both are shown. */
#define assert_kind(err, kind) test_assert_kind((err), (kind), #err, __FILE__, __LINE__)

void test_assert_kind(tn_err err, unsigned kind, const char *what, const char *file,
                      int line);

/* assert_errno -- RESULT, in the manner of the insides, is -NUMBER (0: is not negative). */
#define assert_errno(result, number)                                                     \
    test_assert_errno((long)(result), (number), #result, __FILE__, __LINE__)

void test_assert_errno(long result, int number, const char *what, const char *file,
                       int line);

/*
 * run_ok -- run FN(ARG) as the main task of a loop on the driver under test, see that it
 * really is that driver, and that the run ends well.
 */
#define run_ok(fn, arg)         test_run((fn), (arg), NULL, TN_OK, __FILE__, __LINE__)
#define run_kind(fn, arg, kind) test_run((fn), (arg), NULL, (kind), __FILE__, __LINE__)

void test_run(tn_task_fn *fn, void *arg, const struct tn_loop_options *options,
              unsigned kind, const char *file, int line);

#endif
