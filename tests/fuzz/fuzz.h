/* SPDX-License-Identifier: MIT */
/*
 * fuzz.h -- what the fuzz targets share.  Each X_fuzz.c has one function for libFuzzer,
 * which feeds it bytes and watches what they reach; corpus/X/ has inputs to start from.
 *
 * A target looks for more than crashes: it says what must be true of any answer.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* fuzz_must -- end the process as a finding when X does not hold. */
#define fuzz_must(x) ((x) ? (void)0 : fuzz_failed(__FILE__, __LINE__, #x))

static inline _Noreturn void fuzz_failed(const char *file, int line, const char *what)
{
    printf("finding: %s:%d: %s\n", file, line, what);
    fflush(stdout);
    abort();
}

/* fuzz_text -- SIZE bytes as a string of its own, so that each byte too far is seen. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    fuzz_must(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

#endif
