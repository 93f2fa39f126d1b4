/* SPDX-License-Identifier: MIT */
/*
 * top.c -- tenon top [NAME]: running relays and servers, once a second.
 *
 * The servers sort, filter and measure (view.h); only rows that are shown are fetched, so
 * 9,000 clients cost what 20 do.  One server is shown at a time, the arrows choose.
 */
#include "top/top.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tenon/fd.h>

#include "report.h"
#include "verbs.h"

#define EVERY TN_SECOND
/* A window that is made larger is drawn within this. */
#define GLANCE_MS 200
/* What ncurses takes of a task's stack is its own affair. */
#define STACK (512 << 10)

/* ---- which servers there are ---- */

static bool has_name(const struct ask_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->list[i], name) == 0)
            return true;
    }
    return false;
}

/* Look who is there, and choose one if the one that was shown is gone. */
static void find_names(struct top *top)
{
    ask_names_release(&top->names);
    ask_names_find(&top->names);
    if (top->only)
        (void)snprintf(top->chosen, sizeof(top->chosen), "%s", top->only);
    else if (!has_name(&top->names, top->chosen))
        (void)snprintf(top->chosen, sizeof(top->chosen), "%s",
                       top->names.count ? top->names.list[0] : "");
}

/* ---- on a terminal ---- */

/* The selected row is among those shown, and those exist. */
static void scroll(struct top *top)
{
    int64_t matched = (int64_t)top->shot.matched, *first = &top->request.first;

    top->visible = screen_rows(top);
    if (top->selected >= matched)
        top->selected = matched - 1;
    if (top->selected < 0)
        top->selected = 0;
    if (*first > top->selected)
        *first = top->selected;
    if (*first + top->visible <= top->selected)
        *first = top->selected - top->visible + 1;
    if (*first + top->visible > matched)
        *first = matched > top->visible ? matched - top->visible : 0;
    top->request.count = top->visible;
}

static void look(struct top *top)
{
    char text[120];
    tn_err err = tn_ok();

    find_names(top);
    /* How much there is decides what can be shown of it: a second time only if that
     * has changed. */
    for (int i = 0; i < 2 && *top->chosen && !tn_failed(err); i++) {
        struct view_request before = top->request;

        scroll(top);
        if (i > 0 && before.first == top->request.first &&
            before.count == top->request.count)
            break;
        err = shot_take(&top->shot, top->chosen, &top->request);
    }
    if (tn_failed(err)) {
        top->shot = (struct shot){ .ok = false };
        (void)snprintf(top->message, sizeof(top->message), "%s: %s", top->chosen,
                       ask_runs_not(err)         ? "nothing of that name runs"
                       : err.kind == TN_DEADLINE ? "it does not answer"
                                                 : tn_err_text(err, text, sizeof(text)));
    }
    screen_draw(top);
}

/* Wait for keys until DEADLINE; true when something may have changed. */
static bool wait_for_keys(struct top *top, tn_deadline deadline)
{
    struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
    bool pressed = false;
    int key;

    while (!pressed && tn_left(deadline) > 0) {
        int ready = tn_fd_poll(&input, 1, GLANCE_MS);

        if ((ready < 0 && errno != EINTR) ||
            (ready > 0 && input.revents & (POLLERR | POLLHUP)))
            top->over = true; /* the terminal is gone */
        for (key = screen_key(); key >= 0 && !top->over; key = screen_key()) {
            key_pressed(top, key);
            pressed = true;
        }
        if (top->over)
            return true;
    }
    return pressed;
}

static tn_err watch_task(void *arg)
{
    struct top *top = arg;

    while (!top->over) {
        look(top);
        (void)wait_for_keys(top, tn_in(EVERY));
    }
    return tn_ok();
}

/* ---- once ---- */

static void print_shot(const struct shot *shot)
{
    struct lines lines = { .width = 132,
                           .utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0 };
    char buf[LINE_SIZE], more[32];

    (void)printf("%s: %s\n", shot->name, line_process(&lines, shot, buf));
    if (shot_has_faults(shot))
        (void)printf("%s\n", line_faults(&lines, shot, buf));
    for (size_t i = 0; i < shot->target_count && i < SHOT_TARGETS; i++)
        (void)printf("%s\n", line_target(&lines, &shot->targets[i], buf));
    if (shot->target_count > SHOT_TARGETS)
        (void)printf("     and %s more targets\n",
                     count_text(shot->target_count - SHOT_TARGETS, more));
    if (shot->row_count)
        (void)printf("%s\n", line_heads(&lines, buf));
    for (size_t i = 0; i < shot->row_count; i++)
        (void)printf("%s\n", line_row(&lines, &shot->rows[i], buf));
    if (shot->matched > shot->row_count)
        (void)printf("and %s more\n", count_text(shot->matched - shot->row_count, more));
}

struct once {
    struct top *top;
    bool json;
    int code;
};

static void see_line(void *arg, const char *line)
{
    const struct once *once = arg;

    if (once->json)
        (void)printf("%s\n", line);
    else
        shot_see(&once->top->shot, line);
}

static void see_end(void *arg, const char *name, tn_err err)
{
    struct once *once = arg;
    struct top *top = once->top;

    if (!tn_failed(err) && !once->json)
        print_shot(&top->shot);
    memset(&top->shot, 0, sizeof(top->shot));
    if (ask_runs_not(err) && top->only) {
        once->code =
            report_error(EXIT_UNREACHED, "top", name, "nothing of that name runs");
        report_hint("tenon ctl lists what does");
    } else if (tn_failed(err) && !ask_runs_not(err)) { /* or it has just ended */
        once->code = ask_complain("top", name, err, SHOT_PATIENCE);
    }
}

static tn_err once_task(void *arg)
{
    struct once *once = arg;
    struct top *top = once->top;
    struct view_request none = { .count = 0 };
    char before[120], command[120];
    struct ask_round round = { .before = shot_command(&none, before),
                               .command = shot_command(&top->request, command),
                               .patience = SHOT_PATIENCE,
                               .see = see_line,
                               .over = see_end,
                               .arg = once };
    struct ask_names one = { .list = &top->chosen, .count = 1 };

    find_names(top);
    return ask_all(top->only ? &one : &top->names, &round);
}

/* ---- the verb ---- */

static int show_once(struct top *top, const struct settings *settings)
{
    struct once once = { .top = top, .json = settings->json };
    char text[120];
    tn_err err;

    (void)setlocale(LC_CTYPE, "");
    err = tn_run(once_task, &once, NULL);
    if (tn_failed(err))
        return report_error(EXIT_OTHER, "top", "", "%s",
                            tn_err_text(err, text, sizeof(text)));
    return once.code;
}

static tn_err main_task(void *arg)
{
    struct tn_task_options options = { .name = "watch", .stack_size = STACK };
    struct tn_task *task = NULL;
    tn_err err = tn_go(NULL, watch_task, arg, &options, &task);

    return tn_failed(err) ? err : tn_join(&task, NULL, TN_NEVER);
}

int top_main(struct settings *settings)
{
    struct top *top = calloc(1, sizeof(*top));
    char text[120];
    int code = 0;
    tn_err err;

    if (!top)
        return report_error(EXIT_OTHER, "top", "", "out of memory");
    top->only = settings->operand_count ? settings->operands[0] : NULL;
    top->request.count = VIEW_ROWS_MOST;
    if (settings->once || settings->json || !isatty(STDIN_FILENO) ||
        !isatty(STDOUT_FILENO) || !screen_open()) {
        code = show_once(top, settings);
    } else {
        err = tn_run(main_task, top, NULL);
        screen_close();
        if (tn_failed(err))
            code = report_error(EXIT_OTHER, "top", "", "%s",
                                tn_err_text(err, text, sizeof(text)));
    }
    ask_names_release(&top->names);
    free(top);
    return code;
}
