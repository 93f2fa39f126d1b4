/* SPDX-License-Identifier: MIT */
/*
 * machine.h -- on what it was measured: kernel, processor, and the settings that matter.
 */
#ifndef TENON_CLI_BENCH_MACHINE_H
#define TENON_CLI_BENCH_MACHINE_H

#include <stddef.h>

/* machine_fact -- fact NUMBER (from 0): its name, and its value in BUF; NULL: no more. */
const char *machine_fact(unsigned number, char *buf, size_t size);

/* machine_command -- the command line of this process, in BUF; returns BUF. */
const char *machine_command(char *buf, size_t size);

#endif
