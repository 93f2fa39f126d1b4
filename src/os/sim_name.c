/* SPDX-License-Identifier: MIT */
/*
 * sim_name.c -- the names of the simulator's Unix sockets, and their files.
 *
 * A path stays taken after its socket has closed, as a file does, until it is unlinked;
 * an abstract name is free again.  There are no directories and no other files.
 */
#include <errno.h>
#include <string.h>

#include "os/sim_inside.h"

#define MODE_DEFAULT 0755U /* with the usual umask */

struct sim_name {
    struct link in_sim;
    struct sockaddr_un addr;
    socklen_t size;
    unsigned mode;
    uint32_t number;        /* as an inode has one */
    struct sim_file *owner; /* NULL: a file that nobody serves */
};

static struct sim_name *name_at(struct link *in_sim)
{
    return CONTAINER(in_sim, struct sim_name, in_sim);
}

static bool is_path(const struct sockaddr_un *addr, socklen_t size)
{
    return size > offsetof(struct sockaddr_un, sun_path) && addr->sun_path[0] != '\0';
}

static bool same(const struct sim_name *name, const struct sockaddr_un *addr,
                 socklen_t size)
{
    if (is_path(addr, size) != is_path(&name->addr, name->size))
        return false;
    if (is_path(addr, size))
        return strncmp(name->addr.sun_path, addr->sun_path, sizeof(addr->sun_path)) == 0;
    return name->size == size && memcmp(&name->addr, addr, size) == 0;
}

static struct sim_name *find(struct sim *sim, const struct sockaddr_un *addr,
                             socklen_t size)
{
    for (struct link *at = sim->names.next; at != &sim->names; at = at->next) {
        if (same(name_at(at), addr, size))
            return name_at(at);
    }
    return NULL;
}

static void name_free(struct sim_name *name)
{
    list_remove(&name->in_sim);
    sim_free(name);
}

void sim_names_free(struct sim *sim)
{
    struct link *link;

    while ((link = list_first(&sim->names)) != NULL)
        name_free(name_at(link));
}

/* The kernel's copy of ADDR, ended by a NUL. */
static int copy_in(struct sockaddr_un *copy, const struct sockaddr *addr, socklen_t size)
{
    memset(copy, 0, sizeof(*copy));
    if (size <= sizeof(sa_family_t) || size > sizeof(*copy))
        return -EINVAL;
    memcpy(copy, addr, size);
    return copy->sun_family == AF_UNIX ? 0 : -EINVAL;
}

int sim_name_find(struct sim *sim, const struct sockaddr *addr, socklen_t size,
                  struct sim_file **owner)
{
    struct sockaddr_un copy;
    struct sim_name *name;
    int result = copy_in(&copy, addr, size);

    if (result < 0)
        return result;
    name = find(sim, &copy, size);
    if (name == NULL)
        return is_path(&copy, size) ? -ENOENT : -ECONNREFUSED;
    if (name->owner == NULL)
        return -ECONNREFUSED;
    *owner = name->owner;
    return 0;
}

int sim_name_take(struct sim *sim, const struct sockaddr *addr, socklen_t size,
                  struct sim_file *owner)
{
    struct sockaddr_un copy;
    struct sim_name *name;
    int result = copy_in(&copy, addr, size);

    if (result < 0)
        return result;
    if (find(sim, &copy, size) != NULL)
        return -EADDRINUSE;
    name = sim_new(sizeof(*name));
    if (name == NULL)
        return -ENOMEM;
    name->addr = copy;
    name->size = size;
    name->mode = MODE_DEFAULT;
    name->number = ++sim->last_file;
    name->owner = owner;
    list_append(&sim->names, &name->in_sim);
    return 0;
}

void sim_name_leave(struct sim *sim, const struct sim_file *owner)
{
    for (struct link *at = sim->names.next; at != &sim->names; at = at->next) {
        struct sim_name *name = name_at(at);

        if (name->owner != owner)
            continue;
        name->owner = NULL;
        if (!is_path(&name->addr, name->size))
            name_free(name);
        return;
    }
}

static struct sim_name *file_at(struct sim *sim, const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };

    sim_call(sim);
    if (strlen(path) == 0 || strlen(path) >= sizeof(addr.sun_path))
        return NULL;
    memcpy(addr.sun_path, path, strlen(path) + 1);
    return find(sim, &addr, sizeof(addr));
}

int sim_os_stat(struct os *os, const char *path, struct stat *found)
{
    const struct sim_name *name = file_at(sim_of(os), path);

    if (name == NULL)
        return -ENOENT;
    memset(found, 0, sizeof(*found));
    found->st_dev = 1;
    found->st_ino = name->number;
    found->st_nlink = 1;
    found->st_mode = S_IFSOCK | name->mode;
    return 0;
}

int sim_os_chmod(struct os *os, const char *path, unsigned mode)
{
    struct sim_name *name = file_at(sim_of(os), path);

    if (name == NULL)
        return -ENOENT;
    name->mode = mode & 07777U;
    return 0;
}

int sim_os_unlink(struct os *os, const char *path)
{
    struct sim_name *name = file_at(sim_of(os), path);

    if (name == NULL)
        return -ENOENT;
    name_free(name);
    return 0;
}
