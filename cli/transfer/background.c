/* SPDX-License-Identifier: MIT */
/*
 * background.c -- tn_offload for work that is always waited for.
 */
#include "background.h"

static void keep(void *arg)
{
    (void)arg; /* the caller has it */
}

tn_err in_background(void (*work)(void *arg), void *arg)
{
    return tn_offload(work, arg, keep, tn_shielded(INT64_MAX));
}
