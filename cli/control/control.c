/* SPDX-License-Identifier: MIT */
/*
 * control.c -- answering `tenon ctl`.
 *
 * One command a connection, one task for each.  Commands do not wait, so what they tell
 * is one moment's truth; only then is the answer sent, and its reader may be slow.
 */
#include "control/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/registry.h"

#define LINE_MOST 1024
#define TIME_MOST (10 * TN_SECOND)

void control_add_text(struct control_answer *answer, const char *text, size_t size)
{
    if (answer->room - answer->size < size) {
        size_t room = answer->room * 2 + size;
        char *more = realloc(answer->text, room);

        if (!more) {
            answer->out_of_memory = true;
            return;
        }
        answer->text = more;
        answer->room = room;
    }
    if (size > 0)
        memcpy(answer->text + answer->size, text, size);
    answer->size += size;
}

void control_add(struct control_answer *answer, struct json *json)
{
    json_end(json);
    control_add_text(answer, json->text, json->size);
}

void control_end_array(struct control_answer *answer)
{
    for (size_t i = 0; i + 1 < answer->size; i++) {
        if (answer->text[i] == '\n')
            answer->text[i] = ','; /* within the objects it is \u000a */
    }
    if (answer->size > 0)
        answer->text[answer->size - 1] = ']';
    control_add_text(answer, "\n", 1);
}

struct asking {
    struct control *control;
    struct tn_conn *conn;
};

/* Carry out LINE, a command and its words. */
static void obey(struct control *control, char *line, struct control_answer *answer)
{
    size_t size = strcspn(line, " ");
    const char *rest = line + size + strspn(line + size, " ");
    const char *why = "there is no such command";
    struct json json;

    for (size_t i = 0; i < control->command_count; i++) {
        const struct control_command *command = &control->commands[i];

        if (strlen(command->name) == size && memcmp(command->name, line, size) == 0)
            why = command->run(control->arg, rest, answer);
    }
    if (!why && answer->out_of_memory)
        why = "out of memory";
    json_event(&json, "done");
    json_bool(&json, "ok", why == NULL);
    if (why)
        json_text(&json, "why", why);
    control_add(answer, &json);
}

static tn_err ask_task(void *arg)
{
    struct asking *asking = arg;
    struct control *control = asking->control;
    struct control_answer answer = { 0 };
    tn_deadline deadline = tn_in(TIME_MOST);
    char line[LINE_MOST];
    size_t size;
    tn_err err =
        tn_read_until(asking->conn, line, sizeof(line) - 1, '\n', &size, deadline);

    if (!tn_failed(err)) {
        line[size - 1] = 0;
        obey(control, line, &answer);
        err = tn_write(asking->conn, answer.text, answer.size, NULL, deadline);
    }
    if (!tn_failed(err))
        tn_ignore(tn_close_discard(&asking->conn, NULL, deadline)); /* asker's matter */
    tn_abort(&asking->conn);
    free(answer.text);
    free(asking);
    control->asking--;
    return tn_ok();
}

static void admit(struct control *control, struct tn_conn *conn)
{
    struct tn_task_options options = { .name = "control" };
    struct asking *asking =
        control->asking < CONTROL_ASKING ? malloc(sizeof(*asking)) : NULL;

    if (asking) {
        *asking = (struct asking){ control, conn };
        control->asking++;
        if (!tn_failed(tn_go(control->group, ask_task, asking, &options, NULL)))
            return;
        control->asking--;
        free(asking);
    }
    tn_abort(&conn);
}

static tn_err accept_task(void *arg)
{
    struct control *control = arg;
    struct tn_conn *conn = NULL;

    while (!tn_failed(tn_accept(control->listener, &conn, TN_NEVER)))
        admit(control, conn);
    return tn_ok();
}

/* Listen under the control's name.  NULL, or why not. */
static const char *take_name(struct control *control)
{
    static char text[120];
    struct tn_listen_options options = { .mode = 0600 };
    char path[REGISTRY_PATH];
    const char *why = registry_path(control->name, true, path);
    tn_err err;

    if (why)
        return why;
    err = tn_listen(&control->listener, path, &options);
    if (err.kind == TN_IN_USE)
        return "a running server has that name";
    return tn_failed(err) ? tn_err_text(err, text, sizeof(text)) : NULL;
}

int control_open(struct control *control, const struct settings *settings,
                 const tn_addr *addr)
{
    const char *given = settings->name, *why;
    tn_err err;

    if (given && !registry_name_ok(given))
        return report_error(EXIT_USAGE, "option", "--name",
                            "'%s' is no name: letters, digits and . _ - only", given);
    if (given)
        (void)snprintf(control->name, sizeof(control->name), "%.40s", given);
    else if (tn_addr_port(addr))
        (void)snprintf(control->name, sizeof(control->name), "%s-%u", control->kind,
                       tn_addr_port(addr));
    else
        (void)snprintf(control->name, sizeof(control->name), "%s-%d", control->kind,
                       (int)getpid());
    why = take_name(control);
    if (why && given)
        return report_error(EXIT_OTHER, "name", given, "%s", why);
    if (why) { /* nobody has asked for it */
        report_note("not to be found by tenon ctl: %s", why);
        return 0;
    }
    err = tn_group_open(&control->group, TN_GROUP_EACH_ALONE);
    if (!tn_failed(err))
        err = tn_go(control->group, accept_task, control, NULL, NULL);
    if (!tn_failed(err))
        return 0;
    control_close(control);
    return report_error(EXIT_OTHER, "name", control->name, "out of memory");
}

void control_close(struct control *control)
{
    tn_group_close(&control->group);
    tn_listener_close(&control->listener);
}
