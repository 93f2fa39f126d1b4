/* SPDX-License-Identifier: MIT */
/*
 * fd/rest.h -- what is left of a scattered buffer after a part of it has been moved.
 *
 * The pieces belong to the caller, who may not see them change, so the rest is a copy.
 */
#ifndef FD_REST_H
#define FD_REST_H

#include <sys/uio.h>

#include "os/os.h"

struct rest {
    struct os *os;
    struct iovec *copy; /* to be released */
    struct iovec *pieces;
    size_t count;
};

/* rest_make -- COUNT pieces without their first SKIP bytes.  0 or -ENOMEM. */
int rest_make(struct rest *rest, struct os *os, const struct iovec *pieces, size_t count,
              size_t skip);

/* rest_skip -- leave out BYTES more. */
void rest_skip(struct rest *rest, size_t bytes);

void rest_release(struct rest *rest);

/* pieces_size -- the sum of their lengths. */
size_t pieces_size(const struct iovec *pieces, size_t count);

#endif
