/* SPDX-License-Identifier: MIT */
/*
 * addr_fuzz.c -- addresses as text: what is read, written and read again is the same.
 */
#include "fuzz.h"

#include <tenon/addr.h>

/* The text of ADDR in every size of buffer: cut, ended, and nothing behind it touched. */
static void check_sizes(const tn_addr *addr, const char *whole)
{
    size_t length = strlen(whole);

    for (size_t size = 1; size <= length + 1; size += 1 + length / 8) {
        char *part = malloc(size);

        fuzz_must(part != NULL);
        fuzz_must(tn_addr_text(addr, part, size) == part);
        fuzz_must(strlen(part) < size);
        fuzz_must(strncmp(part, whole, strlen(part)) == 0);
        free(part);
    }
}

static void check_address(const tn_addr *addr)
{
    char text[TN_ADDR_TEXT];
    tn_addr again;

    tn_addr_text(addr, text, sizeof(text));
    fuzz_must(strlen(text) + 1 < sizeof(text));
    check_sizes(addr, text);
    fuzz_must(!tn_failed(tn_addr_parse(text, &again)));
    fuzz_must(tn_addr_same(addr, &again) && tn_addr_same(&again, addr));
    fuzz_must(tn_addr_port(addr) == tn_addr_port(&again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    const char *why = NULL;
    tn_addr addr;
    tn_err checked = tn_addr_check(text, &why), parsed = tn_addr_parse(text, &addr);

    fuzz_must(tn_failed(checked) == (why != NULL));
    fuzz_must(tn_failed(checked) == (parsed.kind == TN_INVALID));
    fuzz_must(!tn_failed(parsed) || parsed.kind == TN_INVALID ||
              parsed.kind == TN_NOT_FOUND);
    if (!tn_failed(parsed))
        check_address(&addr);
    free(text);
    return 0;
}
