/* SPDX-License-Identifier: MIT */
/*
 * rest.c -- what is left of a scattered buffer; see rest.h.
 */
#include "fd/rest.h"

#include <errno.h>
#include <string.h>

int rest_make(struct rest *rest, struct os *os, const struct iovec *pieces, size_t count,
              size_t skip)
{
    rest->os = os;
    rest->count = count;
    rest->copy = rest->pieces = os_allocate(os, (count + 1) * sizeof(*pieces));
    if (rest->copy == NULL)
        return -ENOMEM;
    memcpy(rest->copy, pieces, count * sizeof(*pieces));
    rest_skip(rest, skip);
    return 0;
}

void rest_skip(struct rest *rest, size_t bytes)
{
    while (rest->count > 0 && bytes >= rest->pieces->iov_len) {
        bytes -= rest->pieces->iov_len;
        rest->pieces++;
        rest->count--;
    }
    if (rest->count > 0) {
        rest->pieces->iov_base = (char *)rest->pieces->iov_base + bytes;
        rest->pieces->iov_len -= bytes;
    }
}

void rest_release(struct rest *rest)
{
    os_release(rest->os, rest->copy);
    rest->copy = rest->pieces = NULL;
}

size_t pieces_size(const struct iovec *pieces, size_t count)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++)
        size += pieces[i].iov_len;
    return size;
}
