/* SPDX-License-Identifier: MIT */
/*
 * values.c -- the values of options: durations, sizes, numbers.
 *
 * A value is decimal digits, for durations and sizes with up to three digits after a
 * point, and a unit.  Nothing else is accepted, no sign and no space, so that a slip is
 * a usage error and never a strange limit.
 *
 * Always true: what is stored is not negative and did not wrap.
 */
#include "options.h"

#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit durations[] = {
    { "", TN_SECOND },
    { "ns", 1 },
    { "us", TN_US },
    { "ms", TN_MS },
    { "s", TN_SECOND },
    { "m", TN_MINUTE },
    { "min", TN_MINUTE },
    { "h", 60 * TN_MINUTE },
    { "d", INT64_C(24) * 60 * TN_MINUTE },
    { NULL, 0 },
};

static const struct unit sizes[] = {
    { "", 1 },
    { "b", 1 },
    { "k", INT64_C(1) << 10 },
    { "K", INT64_C(1) << 10 },
    { "m", INT64_C(1) << 20 },
    { "M", INT64_C(1) << 20 },
    { "g", INT64_C(1) << 30 },
    { "G", INT64_C(1) << 30 },
    { NULL, 0 },
};

static const struct unit rates[] = {
    { "", 1 },        { "k", 1000 },    { "K", 1000 },
    { "m", 1000000 }, { "M", 1000000 }, { NULL, 0 },
};

/* Read digits at *TEXT into *NUMBER and step over them.  False if there are none. */
static bool read_digits(const char **text, int64_t *number)
{
    const char *digit = *text;
    int64_t value = 0;

    for (; *digit >= '0' && *digit <= '9'; digit++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *digit - '0', &value))
            return false;
    }
    if (digit == *text)
        return false;
    *text = digit;
    *number = value;
    return true;
}

/* The part after the point, as a count of 1 / *SCALE. */
static bool read_fraction(const char **text, int64_t *part, int64_t *scale)
{
    const char *start;

    *part = 0;
    *scale = 1;
    if (**text != '.')
        return true;
    start = ++*text;
    if (!read_digits(text, part) || *text - start > 3)
        return false;
    for (; start < *text; start++)
        *scale *= 10;
    return true;
}

static bool read_with_unit(const char *text, const struct unit *units, int64_t *result)
{
    int64_t whole, part, scale, small;

    if (!read_digits(&text, &whole) || !read_fraction(&text, &part, &scale))
        return false;
    for (; units->name; units++) {
        if (strcmp(text, units->name) != 0)
            continue;
        if (__builtin_mul_overflow(whole, units->factor, &whole))
            return false;
        small = part * units->factor / scale; /* below 1000 days: fits */
        return !__builtin_add_overflow(whole, small, result);
    }
    return false;
}

bool value_duration(const char *text, int64_t *length)
{
    int64_t value;

    if (!read_with_unit(text, durations, &value) || value == UNLIMITED)
        return false;
    *length = value;
    return true;
}

bool value_wait(const char *text, int64_t *length)
{
    if (text[0] != '-')
        return value_duration(text, length);
    *length = UNLIMITED;
    return true;
}

bool value_size(const char *text, int64_t *size)
{
    int64_t value;

    if (!read_with_unit(text, sizes, &value))
        return false;
    *size = value;
    return true;
}

bool value_rate(const char *text, int64_t *rate)
{
    int64_t value;

    if (!read_with_unit(text, rates, &value) || value > 1000000000)
        return false;
    *rate = value;
    return true;
}

bool value_number(const char *text, int64_t least, int64_t most, int64_t *number)
{
    int64_t value;

    if (!read_digits(&text, &value) || *text || value < least || value > most)
        return false;
    *number = value;
    return true;
}
