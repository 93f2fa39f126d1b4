/* SPDX-License-Identifier: MIT */
/*
 * files.c -- creating output files.
 */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

/* PATTERN with NUMBER for %n and % for %%.  False if it is too long. */
static bool file_name(const char *pattern, uint64_t number, char *name, size_t size)
{
    size_t used = 0;

    for (; *pattern; pattern++) {
        int more = pattern[0] == '%' && pattern[1] == 'n'
                       ? snprintf(name + used, size - used, "%" PRIu64, number)
                       : snprintf(name + used, size - used, "%c", *pattern);
        if (more < 0 || used + (size_t)more >= size)
            return false;
        used += (size_t)more;
        if (pattern[0] == '%' && (pattern[1] == 'n' || pattern[1] == '%'))
            pattern++;
    }
    return used > 0;
}

int file_create(const char *pattern, uint64_t number, struct local *file)
{
    char name[1024];
    int fd;

    if (!file_name(pattern, number, name, sizeof(name)))
        return report_error(EXIT_USAGE, "open", pattern, "no name, or too long a one");
    fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return report_error(EXIT_OUTPUT, "open", name, "%s", strerror(errno));
    *file = local_end(fd);
    return 0;
}
