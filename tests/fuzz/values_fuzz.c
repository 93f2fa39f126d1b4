/* SPDX-License-Identifier: MIT */
/*
 * values_fuzz.c -- durations, sizes and numbers of options: nothing negative, nothing that
 * wrapped, and the same as long arithmetic on the same digits.
 */
#include "fuzz.h"

#include "options.h"

/* A value too large for the result, but not for this. */
static bool whole_of(const char *text, __int128 *whole, size_t *digits)
{
    *whole = 0;
    for (*digits = 0; text[*digits] >= '0' && text[*digits] <= '9'; ++*digits) {
        if (*whole < ((__int128)1 << 100))
            *whole = *whole * 10 + (text[*digits] - '0');
    }
    return *digits > 0;
}

static void check_number(const char *text)
{
    int64_t number = -7;
    size_t digits;
    __int128 whole;
    bool is_one = whole_of(text, &whole, &digits) && text[digits] == '\0';

    fuzz_must(value_number(text, 10, 100000, &number) ==
              (is_one && whole >= 10 && whole <= 100000));
    fuzz_must(number == (is_one && whole >= 10 && whole <= 100000 ? (int64_t)whole : -7));
    fuzz_must(value_number(text, 0, INT64_MAX, &number) ==
              (is_one && whole <= INT64_MAX));
}

static void check_plain(const char *text, int64_t value)
{
    size_t digits;
    __int128 whole;

    fuzz_must(value >= 0);
    fuzz_must(whole_of(text, &whole, &digits));
    fuzz_must(value >= whole); /* the units are at least 1, a fraction adds */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    int64_t value = -7;

    check_number(text);
    if (value_duration(text, &value)) {
        fuzz_must(value != UNLIMITED);
        check_plain(text, value);
    } else {
        fuzz_must(value == -7);
    }
    if (value_size(text, &value))
        check_plain(text, value);
    free(text);
    return 0;
}
