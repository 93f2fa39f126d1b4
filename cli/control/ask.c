/* SPDX-License-Identifier: MIT */
/*
 * ask.c -- see ask.h.
 */
#include "control/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/control.h"
#include "control/registry.h"
#include "progress.h"
#include "report.h"

#define ANSWER_LINE 2100 /* an object has up to 2,000 bytes */

/* Ask at PATH, and count in *LINES what is said. */
static tn_err ask_at(const char *path, const char *command, tn_deadline deadline,
                     void (*see)(void *arg, const char *line), void *arg, size_t *lines)
{
    char line[ANSWER_LINE];
    struct tn_conn *conn = NULL;
    size_t size = 0;
    tn_err err;

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
        ++*lines;
    }
    tn_abort(&conn);
    return err.kind == TN_EOF ? tn_ok() : err;
}

/*
 * Whoever has been killed can be connected to until the kernel has cleaned up (gate.c), which
 * then is a reset, and the next time nobody is there.
 */
tn_err ask(const char *name, const char *command, tn_deadline deadline,
           void (*see)(void *arg, const char *line), void *arg)
{
    char path[REGISTRY_PATH];
    size_t lines = 0;
    tn_err err;

    if (!registry_name_ok(name) || registry_path(name, false, path))
        return tn_err_user(TN_NOT_FOUND, 0);
    err = ask_at(path, command, deadline, see, arg, &lines);
    if (err.kind == TN_RESET && lines == 0)
        err = ask_at(path, command, deadline, see, arg, &lines);
    return err;
}

bool ask_runs_not(tn_err err)
{
    return err.kind == TN_NOT_FOUND || err.kind == TN_REFUSED;
}

int ask_complain(const char *verb, const char *name, tn_err err, int64_t patience)
{
    char text[120];

    if (err.kind == TN_DEADLINE)
        return report_error(EXIT_LATE, verb, name, "it runs, but no answer within %s",
                            time_text(patience, text, sizeof(text)));
    return report_error(EXIT_OTHER, verb, name, "%s",
                        tn_err_text(err, text, sizeof(text)));
}

/* ---- all of them ---- */

/* One of them, in a task of its own. */
struct asking {
    const struct ask_round *round;
    const char *name;
    struct control_answer answer; /* its lines, each with a NUL behind it */
    tn_err err;
};

static void keep_line(void *arg, const char *line)
{
    control_add_text(arg, line, strlen(line) + 1);
}

static void drop_line(void *arg, const char *line)
{
    (void)arg;
    (void)line;
}

static tn_err asking_task(void *arg)
{
    struct asking *asking = arg;
    const struct ask_round *round = asking->round;
    tn_err err = tn_ok();

    if (round->before)
        err = ask(asking->name, round->before, tn_in(round->patience), drop_line, NULL);
    if (!tn_failed(err) && round->before)
        err = tn_sleep(tn_in(TN_SECOND));
    if (!tn_failed(err))
        err = ask(asking->name, round->command, tn_in(round->patience), keep_line,
                  &asking->answer);
    asking->err = asking->answer.out_of_memory ? tn_err_errno(ENOMEM) : err;
    return tn_ok();
}

static void tell(const struct asking *asking)
{
    const struct ask_round *round = asking->round;
    const char *line = asking->answer.text;

    for (; line && line < asking->answer.text + asking->answer.size;
         line += strlen(line) + 1)
        round->see(round->arg, line);
    round->over(round->arg, asking->name, asking->err);
}

tn_err ask_all(const struct ask_names *names, const struct ask_round *round)
{
    struct asking *all = calloc(names->count + 1, sizeof(*all)); /* none is no failure */
    struct tn_group *group = NULL;
    tn_err err;

    if (!all)
        return tn_err_errno(ENOMEM);
    err = tn_group_open(&group, TN_GROUP_EACH_ALONE);
    for (size_t i = 0; i < names->count && !tn_failed(err); i++) {
        all[i] = (struct asking){ .round = round, .name = names->list[i] };
        err = tn_go(group, asking_task, &all[i], NULL, NULL);
    }
    if (!tn_failed(err))
        err = tn_group_wait(group, TN_NEVER);
    tn_group_close(&group);
    for (size_t i = 0; i < names->count; i++) {
        if (!tn_failed(err))
            tell(&all[i]);
        free(all[i].answer.text);
    }
    free(all);
    return err;
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
