/* SPDX-License-Identifier: MIT */
/*
 * folder.c -- folders that arrive: made before what is in them, and given their mode and
 * time after it.
 */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* One that is there already is as good. */
static int make(const struct arrival *arrival)
{
    struct stat status;

    if (mkdirat(arrival->folder, arrival->last, 0700) == 0)
        return fsync(arrival->folder);
    if (errno != EEXIST)
        return -1;
    if (fstatat(arrival->folder, arrival->last, &status, AT_SYMLINK_NOFOLLOW))
        return -1;
    errno = EEXIST;
    return S_ISDIR(status.st_mode) ? 0 : -1;
}

static int settle(struct arrival *arrival)
{
    const struct offer *offer = arrival->offer;
    struct timespec times[2] = { { 0, UTIME_OMIT },
                                 { (time_t)offer->seconds, (long)offer->nanoseconds } };

    arrival->fd = openat(arrival->folder, arrival->last,
                         O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (arrival->fd < 0)
        return -1;
    if (fchmod(arrival->fd, offer->mode) || futimens(arrival->fd, times))
        return -1;
    return fsync(arrival->fd);
}

void arrival_folder(void *arg)
{
    struct arrival *arrival = arg;

    arrival->failed = path_open(arrival->store->folder, arrival->offer->name,
                                &arrival->folder, arrival->last, &arrival->error);
    if (arrival->failed == REFUSED_FILE)
        arrival_fail(arrival, arrival->error);
    if (arrival->failed != REFUSED_NOT)
        return;
    if (arrival->offer->kind == KIND_FOLDER ? make(arrival) : settle(arrival))
        arrival_fail(arrival, errno);
}
