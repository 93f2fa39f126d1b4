/* SPDX-License-Identifier: MIT */
/*
 * registry.c -- the folder of sockets; see registry.h.
 */
#include "control/registry.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool name_folder(char *folder, size_t size)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR"), *temporary = getenv("TMPDIR");
    int used;

    if (runtime && runtime[0] == '/')
        used = snprintf(folder, size, "%s/tenon", runtime);
    else if (geteuid() == 0)
        used = snprintf(folder, size, "/run/tenon");
    else
        used = snprintf(folder, size, "%s/tenon-%u",
                        temporary && temporary[0] == '/' ? temporary : "/tmp",
                        (unsigned)geteuid());
    return used > 0 && (size_t)used < size;
}

/* NULL if FOLDER is one that only we can have put something in. */
static const char *check_folder(const char *folder, bool make)
{
    struct stat file;

    if (make && mkdir(folder, 0700) != 0 && errno != EEXIST)
        return strerror(errno);
    if (lstat(folder, &file) != 0)
        return strerror(errno);
    if (!S_ISDIR(file.st_mode))
        return "it is no folder";
    if (file.st_uid != geteuid())
        return "it is somebody else's";
    if ((file.st_mode & 077) != 0)
        return "others may enter it (chmod 700 is needed)";
    return NULL;
}

static const char *find_folder(bool make, char folder[REGISTRY_PATH])
{
    static char why[REGISTRY_PATH + 60];
    const char *wrong;

    if (!name_folder(folder, REGISTRY_PATH))
        return "the name of the folder is too long";
    wrong = check_folder(folder, make);
    if (!wrong)
        return NULL;
    (void)snprintf(why, sizeof(why), "%s: %s", folder, wrong);
    return why;
}

bool registry_name_ok(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-";
    size_t size = strlen(name);

    return size > 0 && size <= 40 && name[0] != '.' && strspn(name, letters) == size;
}

const char *registry_path(const char *name, bool make, char path[REGISTRY_PATH])
{
    char folder[REGISTRY_PATH];
    const char *why = find_folder(make, folder);
    int used;

    if (why)
        return why;
    used = snprintf(path, REGISTRY_PATH, "%s/%s", folder, name);
    return used > 0 && used < REGISTRY_PATH ? NULL : "the name of the socket is too long";
}

const char *registry_each(void (*see)(const char *name, void *arg), void *arg)
{
    char folder[REGISTRY_PATH];
    const char *why = find_folder(false, folder);
    const struct dirent *entry;
    DIR *dir;

    if (why)
        return why;
    dir = opendir(folder);
    if (!dir)
        return strerror(errno);
    while ((entry = readdir(dir)) != NULL) {
        if (registry_name_ok(entry->d_name))
            see(entry->d_name, arg);
    }
    (void)closedir(dir);
    return NULL;
}
