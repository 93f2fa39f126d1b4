/* SPDX-License-Identifier: MIT */
/*
 * counters.h -- before all else of each file when COVER=1: no counter is lost.
 *
 * gcov's counters are written by exit(3).  Whoever ends by _exit or abort, as children of
 * tests and failed CHECKs do, writes them first.
 */
#ifndef HARNESS_COUNTERS_H
#define HARNESS_COUNTERS_H

#ifndef __ASSEMBLER__

#include <gcov.h>
#include <stdlib.h>
#include <unistd.h>

#define _exit(status) (__gcov_dump(), _exit(status))
#define abort()       (__gcov_dump(), abort())

#endif

#endif
