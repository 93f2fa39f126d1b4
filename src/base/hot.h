/* SPDX-License-Identifier: MIT */
/*
 * hot.h -- for the functions that each round trip goes through: which of them are one piece
 * of code, and what stays out of it.
 *
 * The frames of a parked task are cache lines that nobody else has, and each return after a
 * system call is one that the processor did not foresee; so few frames, and small ones.
 */
#ifndef BASE_HOT_H
#define BASE_HOT_H

#define HOT_INLINE static inline __attribute__((always_inline))
#define RARE       __attribute__((noinline))

#endif
