/* SPDX-License-Identifier: MIT */
/*
 * keys.c -- what the keys of top do.
 *
 * What changes something asks first, and tells below what the server said to it.
 */
#include <curses.h>
#include <stdio.h>
#include <string.h>

#include "control/member.h"
#include "top/top.h"

#define KEY_ESCAPE    27
#define KEY_CONTROL_H 8
#define KEY_DELETE    127
#define KEY_CONTROL_U 21

/* ---- telling the server ---- */

struct told {
    bool ok;
    char why[120];
};

static void see(void *arg, const char *line)
{
    struct told *told = arg;

    if (!member_is(line, "ev", "done"))
        return;
    told->ok = member_is(line, "ok", "true");
    (void)member_text(line, "why", told->why, sizeof(told->why));
}

static void tell(struct top *top, const char *command)
{
    struct told answer = { .ok = false };
    char text[120];
    tn_err err = ask(top->chosen, command, tn_in(ASK_PATIENCE), see, &answer);

    if (tn_failed(err))
        (void)snprintf(top->message, sizeof(top->message), "%s: %s", top->chosen,
                       tn_err_text(err, text, sizeof(text)));
    else if (!answer.ok)
        (void)snprintf(top->message, sizeof(top->message), "%s: %s", top->chosen,
                       answer.why);
    else
        (void)snprintf(top->message, sizeof(top->message), "done: %.*s",
                       (int)strcspn(command, "\n"), command);
}

/* The answer to a question is KEY. */
static void answered(struct top *top, int key)
{
    char command[40];
    enum mode mode = top->mode;

    top->mode = MODE_WATCH;
    if (key != 'y' && key != 'Y')
        return;
    (void)snprintf(command, sizeof(command), "kill %llu\n",
                   (unsigned long long)top->victim);
    tell(top, mode == MODE_KILL ? command : "drain\n");
}

/* ---- typing ---- */

static void finish(struct top *top)
{
    char command[160];

    if (top->mode == MODE_FILTER) {
        (void)snprintf(top->request.filter, sizeof(top->request.filter), "%.63s",
                       top->input);
        top->selected = 0;
    } else if (*top->input) {
        (void)snprintf(command, sizeof(command), "fault %s\n", top->input);
        tell(top, command);
    }
    top->mode = MODE_WATCH;
}

static void typed(struct top *top, int key)
{
    size_t size = strlen(top->input);
    size_t most =
        top->mode == MODE_FILTER ? sizeof(top->request.filter) : sizeof(top->input);

    if (key == '\r' || key == '\n' || key == KEY_ENTER)
        finish(top);
    else if (key == KEY_ESCAPE)
        top->mode = MODE_WATCH;
    else if (key == KEY_CONTROL_U)
        top->input[0] = 0;
    else if ((key == KEY_BACKSPACE || key == KEY_CONTROL_H || key == KEY_DELETE) && size)
        top->input[size - 1] = 0;
    else if (key >= ' ' && key <= '~' && size + 1 < most)
        memcpy(top->input + size, (char[2]){ (char)key, 0 }, 2);
}

/* ---- watching ---- */

static void begin(struct top *top, enum mode mode)
{
    int64_t row = top->selected - top->request.first;

    if (!*top->chosen)
        return;
    if (mode == MODE_KILL) {
        if (row < 0 || row >= (int64_t)top->shot.row_count)
            return;
        top->victim = top->shot.rows[row].id;
    }
    top->input[0] = 0;
    if (mode == MODE_FILTER)
        (void)snprintf(top->input, sizeof(top->input), "%s", top->request.filter);
    top->mode = mode;
}

/* The server STEP places further among the names. */
static void choose(struct top *top, int step)
{
    size_t count = top->names.count, at = 0;

    if (count == 0)
        return;
    for (size_t i = 0; i < count; i++)
        at = strcmp(top->names.list[i], top->chosen) == 0 ? i : at;
    at = (at + count + (step > 0 ? 1 : count - 1)) % count;
    (void)snprintf(top->chosen, sizeof(top->chosen), "%s", top->names.list[at]);
    top->selected = 0;
}

static void watched(struct top *top, int key)
{
    top->message[0] = 0;
    switch (key) {
    case 'q':
        top->over = true;
        break;
    case 's':
        top->request.order = (top->request.order + 1) % VIEW_ORDERS;
        break;
    case 'f':
        begin(top, MODE_FILTER);
        break;
    case 'k':
        begin(top, MODE_KILL);
        break;
    case 'd':
        begin(top, MODE_DRAIN);
        break;
    case 'x':
        begin(top, MODE_FAULT);
        break;
    case KEY_UP:
        top->selected--;
        break;
    case KEY_DOWN:
        top->selected++;
        break;
    case KEY_PPAGE:
        top->selected -= top->visible;
        break;
    case KEY_NPAGE:
        top->selected += top->visible;
        break;
    case KEY_HOME:
        top->selected = 0;
        break;
    case KEY_END:
        top->selected = INT32_MAX;
        break;
    case KEY_LEFT:
        choose(top, -1);
        break;
    case KEY_RIGHT:
        choose(top, 1);
        break;
    default:
        break; /* a resize, too: all is drawn anew anyway */
    }
}

void key_pressed(struct top *top, int key)
{
    if (top->mode == MODE_WATCH)
        watched(top, key);
    else if (top->mode == MODE_KILL || top->mode == MODE_DRAIN)
        answered(top, key);
    else
        typed(top, key);
}
