/* SPDX-License-Identifier: MIT */
/*
 * expect.c -- reading conditions, and whether they hold.
 */
#include "expect.h"

#include <stdio.h>
#include <string.h>

/* TEXT of SIZE, "5ms", "20k" or "+10%", as the value of CONDITION. */
static bool read_value(struct condition *condition, const char *text, size_t size)
{
    char value[32];
    int64_t number;
    bool fine;

    if (size == 0 || size >= sizeof(value))
        return false;
    memcpy(value, text, size);
    value[size] = 0;
    condition->relative = value[size - 1] == '%';
    if (condition->relative) {
        bool signed_ = value[0] == '+' || value[0] == '-';

        value[size - 1] = 0;
        fine = signed_ && value_number(value + 1, 0, 1000000, &number);
        condition->value = (value[0] == '-' ? -0.01 : 0.01) * (double)(fine ? number : 0);
        return fine;
    }
    switch (metrics[condition->metric].unit) {
    case UNIT_TIME: /* without a unit it would be seconds, which nobody means */
        fine = value_duration(value, &number) && strpbrk(value, "smhd") != NULL;
        break;
    case UNIT_BYTES:
        fine = value_size(value, &number);
        break;
    default:
        fine = value_rate(value, &number);
    }
    condition->value = fine ? (double)number : 0;
    return fine;
}

/* One condition, TEXT of SIZE. */
static bool read_one(struct condition *condition, const char *text, size_t size)
{
    const char *rest = text;
    int metric = metric_find(text, &rest);

    memset(condition, 0, sizeof(*condition));
    if (metric < 0 || (*rest != '<' && *rest != '>'))
        return false;
    condition->metric = (enum metric)metric;
    condition->text = text;
    condition->text_size = (int)size;
    condition->above = *rest++ == '>';
    condition->equal = *rest == '=';
    if (condition->equal)
        rest++;
    return rest < text + size &&
           read_value(condition, rest, (size_t)(text + size - rest));
}

int conditions_read(const char *option, const char *text, bool relative,
                    struct condition *list, int *count)
{
    *count = 0;
    for (const char *at = text;; at++) {
        size_t size = strcspn(at, ",");
        struct condition *condition = &list[*count];
        int code;

        if (*count == CONDITIONS_MOST)
            return report_error(EXIT_USAGE, "option", option, "more than %d conditions",
                                CONDITIONS_MOST);
        if (!read_one(condition, at, size) || (condition->relative && !relative)) {
            code = report_error(EXIT_USAGE, "option", option, "'%.*s' is no condition",
                                (int)size, at);
            report_hint(
                "such as %s; of p50 p90 p99 p99.9 p99.99 max mean rate in out cpu",
                relative ? "'p99>+10%' or 'p99>5ms'" : "'p99<5ms' or 'rate<20k'");
            return code;
        }
        ++*count;
        at += size;
        if (!*at)
            return 0;
    }
}

bool condition_holds(const struct condition *condition, double value)
{
    if (value < 0 && !condition->relative)
        return false;
    if (condition->equal && value == condition->value)
        return true;
    return condition->above ? value > condition->value : value < condition->value;
}
