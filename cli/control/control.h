/* SPDX-License-Identifier: MIT */
/*
 * control.h -- a running server that can be asked and told things by `tenon ctl`.
 *
 * A client of its socket (registry.h) sends one line, a command and its words.  The answer
 * is JSON, one object a line (docs/json-schema.json), and then the end.  The last object is
 * "done", whose `ok` tells whether the command was carried out.
 */
#ifndef TENON_CLI_CONTROL_H
#define TENON_CLI_CONTROL_H

#include <tenon.h>

#include "options.h"
#include "report.h"

#define CONTROL_ASKING 16 /* askers at once; further ones are reset */

/* An answer being put together; all of it is sent when the command has returned. */
struct control_answer {
    char *text;
    size_t size, room;
    bool out_of_memory;
};

/* control_add_text -- add SIZE bytes at TEXT to ANSWER. */
void control_add_text(struct control_answer *answer, const char *text, size_t size);
/* control_add -- add the object JSON, begun by json_event, to ANSWER. */
void control_add(struct control_answer *answer, struct json *json);

/*
 * control_end_array -- make ANSWER, which is a [ and then objects, at least one, each on
 * a line, one JSON array on one line.
 */
void control_end_array(struct control_answer *answer);

/*
 * A command: do it with the words that follow its name, REST, for the ARG of the control.
 * NULL, or why not.  It may let others run for a moment, but not wait.
 */
struct control_command {
    const char *name;
    const char *(*run)(void *arg, const char *rest, struct control_answer *answer);
};

struct control {
    const char *kind; /* "relay", "serve" */
    const struct control_command *commands;
    size_t command_count;
    void *arg;
    char name[48];
    struct tn_listener *listener;
    struct tn_group *group;
    unsigned asking;
};

/*
 * control_open -- be found under SETTINGS->name, or by a name made of the kind and ADDR's
 * port, and answer until control_close.  Returns 0 or an exit code after a complaint; that
 * a name of our own making could not be taken is only a note.
 */
int control_open(struct control *control, const struct settings *settings,
                 const tn_addr *addr);
void control_close(struct control *control);

#endif
