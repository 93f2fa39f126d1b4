/* SPDX-License-Identifier: MIT */
/*
 * inside.h -- between the files of the harness.
 */
#ifndef HARNESS_INSIDE_H
#define HARNESS_INSIDE_H

#include "harness/harness.h"

/* What the child tells the parent, in memory that both have. */
struct verdict {
    bool skipped;
    char why[256]; /* it was skipped, or the harness failed it */
};

extern struct verdict *test_verdict;

/* One descriptor and what it refers to. */
struct descriptor {
    int fd;
    char target[60];
};

#define DESCRIPTORS_MAX 1024

struct descriptors {
    unsigned count;
    struct descriptor list[DESCRIPTORS_MAX];
};

/* descriptors_list -- those that this process has open. */
void descriptors_list(struct descriptors *descriptors);

/* descriptors_compare -- whether both are the same; else say in WHY what differs. */
bool descriptors_compare(const struct descriptors *before,
                         const struct descriptors *after, char *why, size_t size);

/* test_driver_forced -- as test_driver; "" also when the library is to choose. */
const char *test_driver_forced(void);

/* ---- alarms.c: $TENON_TEST_ALARMS ---- */

/* alarms_prepare, alarms_tell -- in the parent: before all tests, and after them. */
void alarms_prepare(void);
void alarms_tell(void);
/* alarms_start, alarms_stop -- in the child, around the test. */
void alarms_start(void);
void alarms_stop(void);
/* skip_listed -- why TEST is not to be run on DRIVER, or NULL; see skips.c. */
const char *skip_listed(const struct test *test, const char *driver);

/* uring_refused -- NULL where a ring can be had, else why not. */
const char *uring_refused(void);

#endif
