/* SPDX-License-Identifier: MIT */
/*
 * bytes_fuzz.c -- addresses as a kernel, or a broken one, would hand them over: of any
 * size and content.  They are written as text and compared without touching more than is
 * there; and errors of any number become text.
 */
#include "fuzz.h"

#include <tenon/addr.h>
#include <tenon/err.h>

static void check_error(const uint8_t *data, size_t size)
{
    char text[40];
    tn_err err;
    size_t room =
        size > sizeof(err) ? 1 + data[sizeof(err)] % sizeof(text) : sizeof(text);

    if (size < sizeof(err))
        return;
    memcpy(&err, data, sizeof(err));
    if (err.domain == TN_DOMAIN_GAI)
        err.code =
            -(int)((unsigned)err.code % 256); /* gai_strerror has a table of them */
    fuzz_must(tn_err_text(err, text, room) == text);
    fuzz_must(strlen(text) < room);
    fuzz_must(tn_err_kind_name(err.kind)[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t half = size / 2;
    struct sockaddr *one = malloc(half + 1), *other = malloc(size - half + 1);
    char text[TN_ADDR_TEXT];
    tn_addr a, b;

    fuzz_must(one != NULL && other != NULL);
    memcpy(one, data, half);
    memcpy(other, data + half, size - half);
    a = tn_addr_from(one, half);
    b = tn_addr_from(other, size - half);
    fuzz_must(tn_addr_same(&a, &a) && tn_addr_same(&b, &b));
    fuzz_must(tn_addr_same(&a, &b) == tn_addr_same(&b, &a));
    tn_addr_text(&a, text, sizeof(text));
    fuzz_must(strlen(text) < sizeof(text));
    (void)tn_addr_port(&a);
    free(one);
    free(other);
    check_error(data, size);
    return 0;
}
