/* SPDX-License-Identifier: MIT */
/*
 * ask.c -- see ask.h.
 */
#include "control/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/registry.h"

#define ANSWER_LINE 2100 /* an object has up to 2,000 bytes */

tn_err ask(const char *name, const char *command, tn_deadline deadline,
           void (*see)(void *arg, const char *line), void *arg)
{
    char path[REGISTRY_PATH], line[ANSWER_LINE];
    struct tn_conn *conn = NULL;
    size_t size = 0;
    tn_err err;

    if (!registry_name_ok(name) || registry_path(name, false, path))
        return tn_err_user(TN_NOT_FOUND, 0);
    err = tn_dial(&conn, path, NULL, deadline);
    if (err.kind == TN_REFUSED)
        (void)unlink(path); /* of one that has died */
    if (!tn_failed(err))
        err = tn_write(conn, command, strlen(command), NULL, deadline);
    while (!tn_failed(err)) {
        err = tn_read_until(conn, line, sizeof(line) - 1, '\n', &size, deadline);
        if (tn_failed(err))
            break;
        line[size - 1] = 0;
        see(arg, line);
    }
    tn_abort(&conn);
    return err.kind == TN_EOF ? tn_ok() : err;
}

/* ---- names ---- */

static void keep_name(const char *name, void *arg)
{
    struct ask_names *names = arg;
    void *list = realloc(names->list, (names->count + 1) * sizeof(*names->list));

    if (!list)
        return;
    names->list = list;
    (void)snprintf(names->list[names->count++], sizeof(*names->list), "%s", name);
}

static int compare_names(const void *one, const void *other)
{
    return strcmp(one, other);
}

void ask_names_find(struct ask_names *names)
{
    *names = (struct ask_names){ 0 };
    (void)registry_each(keep_name, names); /* no folder: nothing runs */
    if (names->count > 0)
        qsort(names->list, names->count, sizeof(*names->list), compare_names);
}

void ask_names_release(struct ask_names *names)
{
    free(names->list);
    *names = (struct ask_names){ 0 };
}
