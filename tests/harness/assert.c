/* SPDX-License-Identifier: MIT */
/*
 * assert.c -- our own assertions, beside cmocka's, and running a body as a task.
 *
 * They may fail on a task's stack, so they end the process and never jump.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/inside.h"

_Noreturn void test_failed(const char *file, int line, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "%s:%d: error: ", file, line);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    abort();
}

void test_assert_kind(tn_err err, unsigned kind, const char *what, const char *file,
                      int line)
{
    char text[256];

    if (err.kind == kind)
        return;
    test_failed(file, line, "%s\n    is %s (%s), expected %s", what,
                tn_err_kind_name(err.kind), tn_err_text(err, text, sizeof(text)),
                tn_err_kind_name(kind));
}

void test_assert_errno(long result, int number, const char *what, const char *file,
                       int line)
{
    if (number == 0 ? result >= 0 : result == -number)
        return;
    test_failed(file, line, "%s\n    is %ld (%s), expected %d (%s)", what, result,
                result < 0 ? strerrordesc_np((int)-result) : "not an error", -number,
                strerrordesc_np(number));
}

struct body {
    tn_task_fn *fn;
    void *arg;
    const char *driver;
};

static tn_err on_the_right_driver(void *arg)
{
    struct body *body = arg;
    struct tn_loop_facts facts;

    tn_loop_facts(NULL, &facts);
    if (body->driver[0] != '\0' && strcmp(facts.driver, body->driver) != 0)
        fail_test("runs on %s, expected %s", facts.driver, body->driver);
    return body->fn(body->arg);
}

void test_run(tn_task_fn *fn, void *arg, const struct tn_loop_options *options,
              unsigned kind, const char *file, int line)
{
    struct body body = { fn, arg, test_driver_forced() };

    test_assert_kind(tn_run(on_the_right_driver, &body, options), kind, "the run", file,
                     line);
}
