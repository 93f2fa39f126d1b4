/* SPDX-License-Identifier: MIT */
/*
 * store.c -- the life of one arriving file on the disk.
 *
 * The temporary name comes from the file's own, so a later session finds the part; that
 * it is the beginning of the same file is for the digest to say, which both sides take
 * of it.  A part is only believed if it is a regular file of ours with one name: somebody
 * else's could be written to while we look, and a second name would be changed with it.
 */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

bool arrival_open(struct arrival *arrival, const struct store *store,
                  const struct offer *offer)
{
    memset(arrival, 0, sizeof(*arrival));
    arrival->store = store;
    arrival->offer = offer;
    arrival->folder = arrival->fd = -1;
    arrival->digest = digest_new();
    arrival->block = malloc(BLOCK_SIZE);
    return arrival->digest && arrival->block;
}

void arrival_fail(struct arrival *arrival, int number)
{
    arrival->error = number;
    switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        arrival->failed = REFUSED_SPACE;
        break;
    case EACCES:
    case EPERM:
    case EROFS:
        arrival->failed = REFUSED_DENIED;
        break;
    case EEXIST:
    case EISDIR:
    case ENOTEMPTY:
        arrival->failed = REFUSED_EXISTS;
        break;
    case ELOOP:
    case ENOTDIR:
        arrival->failed = REFUSED_NAME;
        break;
    default:
        arrival->failed = REFUSED_FILE;
    }
}

/* Hash the first SIZE bytes of the file; false if it has not so many. */
static bool hash_file(struct arrival *arrival, uint64_t size)
{
    digest_reset(arrival->digest);
    for (uint64_t at = 0; at < size;) {
        size_t wanted = size - at < BLOCK_SIZE ? (size_t)(size - at) : BLOCK_SIZE;
        ssize_t count = pread(arrival->fd, arrival->block, wanted, (off_t)at);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            arrival_fail(arrival, count < 0 ? errno : EIO);
            return false;
        }
        digest_add(arrival->digest, arrival->block, (size_t)count);
        at += (uint64_t)count;
    }
    arrival->size = size;
    return true;
}

static void found(struct arrival *arrival, bool whole, uint64_t size)
{
    if (!hash_file(arrival, size))
        return;
    arrival->at.whole = whole;
    arrival->at.offset = size;
    digest_now(arrival->digest, arrival->at.digest);
}

/* The file itself, if it is there: true if that settles it. */
static bool look_for_whole(struct arrival *arrival)
{
    const struct offer *offer = arrival->offer;
    struct stat status;

    if (fstatat(arrival->folder, arrival->last, &status, AT_SYMLINK_NOFOLLOW)) {
        if (errno == ENOENT)
            return false;
        arrival_fail(arrival, errno);
        return true;
    }
    if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size != offer->size) {
        if (arrival->store->force && !S_ISDIR(status.st_mode))
            return false;
        arrival_fail(arrival, EEXIST);
        return true;
    }
    arrival->fd = openat(arrival->folder, arrival->last,
                         O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (arrival->fd < 0)
        arrival_fail(arrival, errno);
    else
        found(arrival, true, offer->size);
    return true;
}

/* Is what we opened and locked still what the temporary name means, and fit for it? */
static enum refusal check_part(struct arrival *arrival, const struct stat *status)
{
    struct stat named;

    if (!S_ISREG(status->st_mode) || status->st_uid != geteuid() || status->st_nlink > 1)
        return REFUSED_NAME;
    if (fstatat(arrival->folder, arrival->part, &named, AT_SYMLINK_NOFOLLOW) ||
        named.st_ino != status->st_ino || named.st_dev != status->st_dev)
        return REFUSED_BUSY; /* another session has just given it its name */
    return REFUSED_NOT;
}

/* Room for all that is to come, if the file system can tell: better now than later. */
static bool reserve(struct arrival *arrival)
{
    uint64_t size = arrival->offer->size;

    if (size == SIZE_UNKNOWN || size <= arrival->size)
        return true;
    if (fallocate(arrival->fd, FALLOC_FL_KEEP_SIZE, (off_t)arrival->size,
                  (off_t)(size - arrival->size)) == 0 ||
        (errno != ENOSPC && errno != EDQUOT && errno != EFBIG))
        return true; /* or it cannot tell: then writing will */
    arrival_fail(arrival, errno);
    return false;
}

/* Open and lock the part, new or old; *SIZE is its size.  False if it is not to be. */
static bool open_part(struct arrival *arrival, uint64_t *size)
{
    struct stat status;

    path_part(arrival->last, arrival->part);
    arrival->fd = openat(arrival->folder, arrival->part,
                         O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (arrival->fd < 0 || flock(arrival->fd, LOCK_EX | LOCK_NB) ||
        fstat(arrival->fd, &status)) {
        arrival_fail(arrival, errno);
        if (arrival->error == EWOULDBLOCK)
            arrival->failed = REFUSED_BUSY;
        return false;
    }
    arrival->failed = check_part(arrival, &status);
    arrival->ours = arrival->failed == REFUSED_NOT;
    *size = (uint64_t)status.st_size;
    return arrival->ours;
}

static void start_over(struct arrival *arrival)
{
    digest_reset(arrival->digest);
    arrival->at.offset = arrival->size = 0;
    digest_now(arrival->digest, arrival->at.digest);
    if (ftruncate(arrival->fd, 0))
        arrival_fail(arrival, errno);
    else
        (void)reserve(arrival);
}

static void begin(void *arg)
{
    struct arrival *arrival = arg;
    uint64_t size;

    arrival->failed = path_open(arrival->store->folder, arrival->offer->name,
                                &arrival->folder, arrival->last, &arrival->error);
    if (arrival->failed == REFUSED_FILE)
        arrival_fail(arrival, arrival->error);
    if (arrival->failed != REFUSED_NOT || look_for_whole(arrival) ||
        !open_part(arrival, &size))
        return;
    if (arrival->offer->size == SIZE_UNKNOWN || size > arrival->offer->size) {
        start_over(arrival);
        return;
    }
    found(arrival, false, size);
    if (arrival->failed == REFUSED_NOT)
        (void)reserve(arrival);
}

static void restart(void *arg)
{
    struct arrival *arrival = arg;
    uint64_t size;

    if (arrival->at.whole) { /* of the same size, and different */
        if (!arrival->store->force) {
            arrival_fail(arrival, EEXIST);
            return;
        }
        (void)close(arrival->fd);
        arrival->at.whole = false;
        if (!open_part(arrival, &size))
            return;
    }
    start_over(arrival);
}

static void add(void *arg)
{
    struct arrival *arrival = arg;

    digest_add(arrival->digest, arrival->block, arrival->got);
    for (size_t done = 0; done < arrival->got;) {
        ssize_t count = pwrite(arrival->fd, arrival->block + done, arrival->got - done,
                               (off_t)arrival->size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0) {
            arrival_fail(arrival, errno);
            arrival->spoiled = arrival->failed == REFUSED_SPACE; /* others need it too */
            return;
        }
        done += (size_t)count;
        arrival->size += (uint64_t)count;
    }
}

/*
 * Give the part its name, over nothing that is there unless that is wanted.  Old kernels
 * and some file systems do not know RENAME_NOREPLACE; a second name does the same there.
 */
static int give_name(const struct arrival *arrival)
{
    int folder = arrival->folder;

    if (arrival->store->force)
        return renameat(folder, arrival->part, folder, arrival->last);
    if (renameat2(folder, arrival->part, folder, arrival->last, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    if (linkat(folder, arrival->part, folder, arrival->last, 0))
        return -1;
    return unlinkat(folder, arrival->part, 0);
}

static void finish(void *arg)
{
    struct arrival *arrival = arg;
    const struct offer *offer = arrival->offer;
    struct timespec times[2] = { { 0, UTIME_OMIT },
                                 { (time_t)offer->seconds, (long)offer->nanoseconds } };

    if (ftruncate(arrival->fd, (off_t)arrival->size) || /* what was reserved beyond it */
        fchmod(arrival->fd, offer->mode) || futimens(arrival->fd, times) ||
        fsync(arrival->fd) || give_name(arrival) || fsync(arrival->folder))
        arrival_fail(arrival, errno);
    else
        arrival->ours = false; /* it has its name */
}

static void leave(void *arg)
{
    struct arrival *arrival = arg;

    if (arrival->ours &&
        (arrival->size == 0 || arrival->spoiled || arrival->offer->size == SIZE_UNKNOWN))
        (void)unlinkat(arrival->folder, arrival->part, 0); /* a later one finds it then */
    else if (arrival->ours && ftruncate(arrival->fd, (off_t)arrival->size))
        arrival->spoiled = true; /* what was reserved stays so: nobody is harmed */
    if (arrival->fd >= 0)
        (void)close(arrival->fd);
    if (arrival->folder >= 0)
        (void)close(arrival->folder);
    arrival->fd = arrival->folder = -1;
    arrival->ours = false;
}

const struct place place_folder = { .begin = begin,
                                    .restart = restart,
                                    .add = add,
                                    .finish = finish,
                                    .leave = leave,
                                    .folder = arrival_folder };

void arrival_close(struct arrival *arrival)
{
    digest_free(arrival->digest);
    free(arrival->block);
    arrival->digest = NULL;
    arrival->block = NULL;
}
