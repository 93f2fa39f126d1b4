/* SPDX-License-Identifier: MIT */
/*
 * expect.h -- conditions on figures: p99<5ms, rate>=20k, p99>+10%.
 */
#ifndef TENON_CLI_BENCH_EXPECT_H
#define TENON_CLI_BENCH_EXPECT_H

#include <stdbool.h>

#include "figures.h"

#define CONDITIONS_MOST 8

struct condition {
    enum metric metric;
    bool above, equal; /* > rather than <; or equal */
    bool relative;     /* VALUE is a change, as a share: +10% is 0.1 */
    double value;      /* else as in struct figures */
    const char *text;  /* as written */
    int text_size;
};

/*
 * conditions_read -- the conditions in TEXT, with commas between, into LIST and *COUNT;
 * with RELATIVE changes are allowed, else only values.  OPTION names the option.  Returns
 * 0, or an exit code after a complaint.
 */
int conditions_read(const char *option, const char *text, bool relative,
                    struct condition *list, int *count);

/* condition_holds -- for VALUE; an unknown one (below 0) never does. */
bool condition_holds(const struct condition *condition, double value);

#endif
