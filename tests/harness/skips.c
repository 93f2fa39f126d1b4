/* SPDX-License-Identifier: MIT */
/*
 * skips.c -- tests that cannot be run under some tool, listed in the file TENON_TEST_SKIPS.
 *
 *      NAME DRIVER REASON
 *
 * NAME is a test or, for all of its tests, a file without its folder and .c; DRIVER may be
 * `*`.  Lines that begin with a # say something to people.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/inside.h"

#define LISTED_MAX 100

static struct {
    char name[100], driver[8], reason[200];
} listed[LISTED_MAX];

static unsigned count;

static void read_list(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[400];

    if (file == NULL) {
        perror(path);
        exit(2);
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        if (line[0] == '#' || line[0] == '\n')
            continue;
        if (count == LISTED_MAX ||
            sscanf(line, "%99s %7s %199[^\n]", listed[count].name, listed[count].driver,
                   listed[count].reason) != 3) {
            fprintf(stderr, "%s: not NAME DRIVER REASON: %s", path, line);
            exit(2);
        }
        count++;
    }
    fclose(file);
}

static bool names(const char *name, const struct test *test)
{
    const char *slash = strrchr(test->file, '/');
    const char *base = slash != NULL ? slash + 1 : test->file;
    size_t length = strlen(name);

    return strcmp(name, test->name) == 0 ||
           (strncmp(name, base, length) == 0 && strcmp(base + length, ".c") == 0);
}

const char *skip_listed(const struct test *test, const char *driver)
{
    static bool have_read;
    const char *path = getenv("TENON_TEST_SKIPS");

    if (path != NULL && !have_read)
        read_list(path);
    have_read = true;
    for (unsigned i = 0; i < count; i++) {
        if (names(listed[i].name, test) &&
            (strcmp(listed[i].driver, "*") == 0 || strcmp(listed[i].driver, driver) == 0))
            return listed[i].reason;
    }
    return NULL;
}
