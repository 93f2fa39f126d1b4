/* SPDX-License-Identifier: MIT */
/*
 * plan.c -- walking what is to be sent, before anybody is connected to.
 *
 * So the total is known for the meter, and what cannot be read is told at once.  fts(3)
 * gives each folder before and after what is in it, sorted by name.
 */
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local.h"
#include "report.h"

/* The name that the receiver gives to what PATH names: its last part. */
static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* Make *ARRAY, with room for *ROOM things of SIZE, have room for WANTED.  False if not. */
static bool make_room(void *array, size_t *room, size_t wanted, size_t size)
{
    void *old, *more;
    size_t better = *room ? *room : 64;

    memcpy(&old, array, sizeof(old));
    while (better < wanted)
        better *= 2;
    if (better == *room)
        return true;
    more = realloc(old, better * size);
    if (!more)
        return false;
    memcpy(array, &more, sizeof(more));
    *room = better;
    return true;
}

/* One more, at PATH, of which BASE bytes are not for the receiver.  NULL: no memory. */
static struct entry *add(struct plan *plan, enum kind kind, const struct stat *status,
                         const char *path, size_t base)
{
    size_t size = strlen(path) + 1;
    struct entry *entry;

    if (!make_room(&plan->entries, &plan->room, plan->count + 1, sizeof(*entry)) ||
        !make_room(&plan->names, &plan->names_room, plan->names_size + size, 1))
        return NULL;
    entry = &plan->entries[plan->count++];
    memset(entry, 0, sizeof(*entry));
    memcpy(plan->names + plan->names_size, path, size);
    entry->path = plan->names_size;
    entry->name = plan->names_size + base;
    plan->names_size += size;
    entry->kind = kind;
    entry->mode = (uint16_t)(status->st_mode & 0777);
    entry->seconds = status->st_mtim.tv_sec;
    entry->nanoseconds = (uint32_t)status->st_mtim.tv_nsec;
    if (kind == KIND_FILE) {
        entry->size = (uint64_t)status->st_size;
        plan->bytes += entry->size;
        plan->files++;
    }
    return entry;
}

static int complain_memory(void)
{
    return report_error(EXIT_OTHER, "send", "", "out of memory");
}

/* What fts found, whose name begins at BASE of its path. */
static int add_found(struct plan *plan, const FTSENT *found, size_t base)
{
    enum kind kind = found->fts_info == FTS_D    ? KIND_FOLDER
                     : found->fts_info == FTS_DP ? KIND_FOLDER_END
                                                 : KIND_FILE;

    if (strlen(found->fts_path + base) > NAME_MOST)
        return report_error(EXIT_OTHER, "send", found->fts_path, "its name is too long");
    if (plan->count == FILES_MOST)
        return report_error(EXIT_OTHER, "send", found->fts_path, "more than %d files",
                            FILES_MOST);
    return add(plan, kind, found->fts_statp, found->fts_path, base) ? 0
                                                                    : complain_memory();
}

static int take_found(struct plan *plan, const FTSENT *found, size_t base)
{
    switch (found->fts_info) {
    case FTS_D:
    case FTS_DP:
    case FTS_F:
        return add_found(plan, found, base);
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        return report_error(EXIT_OUTPUT, "read", found->fts_path, "%s",
                            strerror(found->fts_errno));
    default:
        plan->left_out++;
        report_note("left out: %s, %s", found->fts_path,
                    found->fts_info == FTS_SL || found->fts_info == FTS_SLNONE
                        ? "a link"
                        : "no file");
        return 0;
    }
}

static int by_name(const FTSENT **one, const FTSENT **other)
{
    return strcmp((*one)->fts_name, (*other)->fts_name);
}

/* PATH, and all below it. */
static int walk(struct plan *plan, char *path)
{
    char *roots[2] = { path, NULL };
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
    size_t base = (size_t)(last_part(path) - path);
    const FTSENT *found;
    int code = 0;

    if (!tree)
        return complain_memory();
    while (!code &&
           (found = fts_read(tree)) != NULL) /* NULL: the end, or out of memory */
        code = take_found(plan, found, base);
    if (!code && errno)
        code = report_error(EXIT_OUTPUT, "read", path, "%s", strerror(errno));
    (void)fts_close(tree);
    return code;
}

static int add_operand(struct plan *plan, const char *word)
{
    size_t size = strlen(word);
    char *path;
    int code;

    while (size > 1 && word[size - 1] == '/')
        size--;
    path = strndup(word, size);
    if (path &&
        (strcmp(last_part(path), ".") == 0 || strcmp(last_part(path), "..") == 0)) {
        free(path);
        path = realpath(word, NULL); /* what it is called from outside */
        if (!path)
            return report_error(EXIT_OUTPUT, "read", word, "%s", strerror(errno));
    }
    if (!path)
        return complain_memory();
    if (!*last_part(path))
        code = report_error(EXIT_USAGE, "send", word, "has no name to be sent under");
    else
        code = walk(plan, path);
    free(path);
    return code;
}

/*
 * A file on standard input is a file like others, from where its reader would go on; all
 * else ends when it ends.
 */
static int add_stdin(struct plan *plan, const char *name)
{
    struct stat status;
    struct entry *entry;

    if (fstat(STDIN_FILENO, &status))
        return report_error(EXIT_OUTPUT, "read", "standard input", "%s", strerror(errno));
    if ((fcntl(STDIN_FILENO, F_GETFL) & O_ACCMODE) == O_WRONLY) /* or closed */
        return report_error(EXIT_OUTPUT, "read", "standard input",
                            "not open for reading");
    local_own(STDIN_FILENO);
    entry = add(plan, KIND_FILE, &status, name, 0);
    if (!entry)
        return complain_memory();
    entry->is_stdin = true;
    plan->bytes -= entry->size;
    if (!S_ISREG(status.st_mode)) {
        entry->size = SIZE_UNKNOWN;
        return 0;
    }
    entry->base = (uint64_t)lseek(STDIN_FILENO, 0, SEEK_CUR); /* works on every file */
    entry->size = plan_rest(entry, (uint64_t)status.st_size);
    plan->bytes += entry->size;
    return 0;
}

static int compare_names(const void *one, const void *other)
{
    return strcmp(*(const char *const *)one, *(const char *const *)other);
}

/* Two of one name would meet at the receiver's; within a folder there are none. */
static int check_names(const struct plan *plan)
{
    const char **names = calloc(plan->count + 1, sizeof(*names));
    size_t count = 0;
    int code = 0;

    if (!names)
        return complain_memory();
    for (size_t i = 0; i < plan->count; i++) {
        const struct entry *entry = &plan->entries[i];
        const char *name = plan_name(plan, entry);
        if (entry->kind != KIND_FOLDER_END && !strchr(name, '/'))
            names[count++] = name;
    }
    qsort(names, count, sizeof(*names), compare_names);
    for (size_t i = 1; i < count && !code; i++) {
        if (strcmp(names[i - 1], names[i]) == 0)
            code = report_error(EXIT_USAGE, "send", names[i], "twice the same name");
    }
    free(names);
    return code;
}

int plan_make(struct plan *plan, const char *const *words, int count,
              const char *stdin_name)
{
    int code = 0;

    for (int i = 0; i < count && !code; i++) {
        errno = 0;
        code = strcmp(words[i], "-") == 0 ? add_stdin(plan, stdin_name)
                                          : add_operand(plan, words[i]);
    }
    return code ? code : check_names(plan);
}

void plan_free(struct plan *plan)
{
    free(plan->entries);
    free(plan->names);
    memset(plan, 0, sizeof(*plan));
}
