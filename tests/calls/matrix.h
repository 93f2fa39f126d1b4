/* SPDX-License-Identifier: MIT */
/*
 * matrix.h -- the scripts by call, flags and state.
 */
#ifndef CALLS_MATRIX_H
#define CALLS_MATRIX_H

#include "calls.h"

/* One of the generated scripts, which differ in their kind of descriptor only? */
bool script_is_cell(const struct script *script);

/* Prints the matrix; AGREES has an entry for each script.  Returns how many cells are empty
 * without a reason. */
int matrix_print(const struct script_list *list, const bool *agrees);

#endif /* CALLS_MATRIX_H */
