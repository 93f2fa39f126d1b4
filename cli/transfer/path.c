/* SPDX-License-Identifier: MIT */
/*
 * path.c -- names of peers, walked part by part below one folder.
 *
 * Each part is opened from the folder before it with O_NOFOLLOW, so neither a link that
 * lies there nor one that somebody puts there meanwhile leads out; ".." and a leading
 * slash are refused by their text.  That is what openat2(2) does with RESOLVE_BENEATH and
 * RESOLVE_NO_SYMLINKS, on kernels and file systems of any age.
 */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DEPTH_MOST 100 /* folders in folders */

static bool is_temporary(const char *part, size_t size)
{
    return size > 12 && memcmp(part, ".tenon-", 7) == 0 &&
           memcmp(part + size - 5, ".part", 5) == 0;
}

/* May this be one part of a name? */
static bool part_is_good(const char *part, size_t size)
{
    return size > 0 && size <= 255 && !(size == 1 && part[0] == '.') &&
           !(size == 2 && part[0] == '.' && part[1] == '.') && !is_temporary(part, size);
}

enum refusal path_open(int folder, const char *name, int *fd, char last[256], int *error)
{
    int at = fcntl(folder, F_DUPFD_CLOEXEC, 0);

    *error = errno;
    for (int depth = 0; at >= 0; depth++) {
        size_t size = strcspn(name, "/");
        int next;

        if (!part_is_good(name, size) || depth > DEPTH_MOST) {
            (void)close(at);
            *error = 0;
            return REFUSED_NAME;
        }
        memcpy(last, name, size);
        last[size] = 0;
        if (!name[size]) {
            *fd = at;
            return REFUSED_NOT;
        }
        next = openat(at, last, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        *error = errno;
        (void)close(at);
        at = next;
        name += size + 1;
    }
    return *error == ELOOP || *error == ENOTDIR ? REFUSED_NAME : REFUSED_FILE;
}

void path_part(const char *last, char part[PART_NAME_SIZE])
{
    struct digest *digest = digest_new();
    unsigned char value[DIGEST_SIZE] = { 0 };
    char text[DIGEST_TEXT];

    if (digest) {
        digest_add(digest, last, strlen(last));
        digest_now(digest, value);
        digest_free(digest);
    }
    (void)snprintf(part, PART_NAME_SIZE, ".tenon-%.20s.part", digest_text(value, text));
}
