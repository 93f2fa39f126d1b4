/* SPDX-License-Identifier: MIT */
/*
 * descriptors.c -- what is open in this process, to find leaks.
 *
 * Number and target are compared, so closing somebody else's descriptor is found too,
 * even when its number has been taken again.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/inside.h"

static int by_number(const void *one, const void *other)
{
    const struct descriptor *a = one, *b = other;

    return (a->fd > b->fd) - (a->fd < b->fd);
}

void descriptors_list(struct descriptors *descriptors)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;

    descriptors->count = 0;
    if (dir == NULL)
        fail_test("cannot list /proc/self/fd");
    while ((entry = readdir(dir)) != NULL && descriptors->count < DESCRIPTORS_MAX) {
        struct descriptor *one = &descriptors->list[descriptors->count];
        int fd = (int)strtol(entry->d_name, NULL, 10);

        if (entry->d_name[0] == '.' || fd == dirfd(dir))
            continue;
        memset(one, 0, sizeof(*one));
        one->fd = fd;
        if (readlinkat(dirfd(dir), entry->d_name, one->target, sizeof(one->target) - 1) >
            0)
            descriptors->count++;
    }
    closedir(dir);
    qsort(descriptors->list, descriptors->count, sizeof(descriptors->list[0]), by_number);
}

static bool has(const struct descriptors *in, const struct descriptor *one)
{
    const struct descriptor *found =
        bsearch(one, in->list, in->count, sizeof(in->list[0]), by_number);

    return found != NULL && strcmp(found->target, one->target) == 0;
}

static void name_missing(const char *what, const struct descriptors *from,
                         const struct descriptors *in, char *why, size_t size)
{
    for (unsigned i = 0; i < from->count; i++) {
        const struct descriptor *one = &from->list[i];
        size_t used = strlen(why);

        if (!has(in, one))
            snprintf(why + used, size - used, "%s%s %d (%s)", used > 0 ? ", " : "", what,
                     one->fd, one->target);
    }
}

bool descriptors_compare(const struct descriptors *before,
                         const struct descriptors *after, char *why, size_t size)
{
    why[0] = '\0';
    name_missing("left open:", after, before, why, size);
    name_missing("closed another's:", before, after, why, size);
    return why[0] == '\0';
}
