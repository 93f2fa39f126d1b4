/* SPDX-License-Identifier: MIT */
/*
 * check.c -- the end of a program whose library found itself wrong.
 */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void check_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "tenon: %s:%d: check failed: %s\n", file, line, what);
    abort();
}
