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
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"

#define LONGEST_PAUSE (100 * TN_MS) /* between looks for a reader */

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

/* May opening NAME, which has failed with NUMBER, work later?  A lease: see fcntl(2). */
static bool may_open_later(const char *name, int number)
{
    struct stat status;

    if (number == ENXIO)
        return stat(name, &status) == 0 && S_ISFIFO(status.st_mode);
    return number == EAGAIN;
}

/*
 * Open NAME for writing, without blocking the thread.  That a FIFO has got a reader is shown
 * by no descriptor: look again after 1 ms, twice that, and so on.  Errors: TN_DEADLINE,
 * TN_CANCELED; others with the errno as their code.
 */
static tn_err open_output(const char *name, tn_deadline deadline, int *fd)
{
    int64_t pause = TN_MS;
    tn_err err;

    while ((*fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC,
                       0666)) < 0) {
        int number = errno;
        if (!may_open_later(name, number))
            return tn_err_errno(number);
        if (tn_left(deadline) == 0)
            return tn_err_user(TN_DEADLINE, 0);
        err = tn_sleep(tn_sooner(deadline, tn_in(pause)));
        if (tn_failed(err))
            return err;
        pause = 2 * pause < LONGEST_PAUSE ? 2 * pause : LONGEST_PAUSE;
    }
    return tn_ok();
}

int file_create(const char *pattern, uint64_t number, struct local *file,
                tn_deadline deadline)
{
    char name[1024];
    tn_err err;
    int fd;

    if (!file_name(pattern, number, name, sizeof(name)))
        return report_error(EXIT_USAGE, "open", pattern, "no name, or too long a one");
    err = open_output(name, deadline, &fd);
    if (err.kind == TN_CANCELED)
        return EXIT_OTHER;
    if (err.kind == TN_DEADLINE)
        return report_error(EXIT_LATE, "open", name,
                            "deadline passed, and nobody reads it");
    if (tn_failed(err))
        return report_error(EXIT_OUTPUT, "open", name, "%s", strerror(err.code));
    *file = local_end(fd);
    return 0;
}
