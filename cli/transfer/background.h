/* SPDX-License-Identifier: MIT */
/*
 * background.h -- work on files, beside the loop.
 *
 * Reading, writing and fsync of files block the thread they run in, for milliseconds on a
 * good disk and for minutes on a bad one, and SHA-256 of a block of 256 KiB takes 147 us
 * (1.79 GB/s by openssl speed, with the processor's own instructions): on a helper thread
 * (tn_offload) neither keeps other sessions or Ctrl-C waiting, and several sessions hash on
 * several processors.  The way there and back took 34 to 43 us on the same machine, at a
 * load of 16.
 */
#ifndef TENON_CLI_TRANSFER_BACKGROUND_H
#define TENON_CLI_TRANSFER_BACKGROUND_H

#include <tenon.h>

/*
 * in_background -- run WORK(ARG) on a helper thread and wait until it has ended.  A cancel
 * does not cut it short (the disk would not listen), so ARG stays the caller's.  Parks.
 *
 * Errors: TN_LIMIT (threads, memory): WORK has not run.
 */
TN_MUST tn_err in_background(void (*work)(void *arg), void *arg);

#endif
