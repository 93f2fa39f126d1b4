/* SPDX-License-Identifier: MIT */
/*
 * screen.c -- top on a terminal, by ncurses.
 *
 * Everything is drawn anew each time; ncurses sends what differs.  Colours only underline
 * what the words say, and NO_COLOR (no-color.org) turns them off.
 */
#include <curses.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "top/terminal.h"
#include "top/top.h"

enum { COLOR_GOOD = 1, COLOR_BAD, COLOR_OURS };

/* "up" or "DOWN" before a target. */
#define STATE_WIDTH 4
/* Lines beside clients and targets: names, process, heads, keys. */
#define LINES_FIXED 4

bool screen_open(void)
{
    const char *no_color = getenv("NO_COLOR");

    (void)setlocale(LC_CTYPE, "");
    /* initscr would end the program. */
    if (!terminal_is_known() || !newterm(NULL, stdout, stdin))
        return false;
    (void)cbreak();
    (void)noecho();
    (void)nonl();
    (void)curs_set(0);
    (void)keypad(stdscr, TRUE);
    (void)nodelay(stdscr, TRUE);
    (void)set_escdelay(25);
    if (has_colors() && !(no_color && *no_color) && start_color() == OK) {
        (void)use_default_colors();
        (void)init_pair(COLOR_GOOD, COLOR_GREEN, -1);
        (void)init_pair(COLOR_BAD, COLOR_RED, -1);
        (void)init_pair(COLOR_OURS, COLOR_YELLOW, -1);
    }
    return true;
}

void screen_close(void)
{
    (void)endwin();
}

int screen_key(void)
{
    int key = getch();

    return key == ERR ? -1 : key;
}

/* ---- drawing ---- */

/* TEXT, which fits, on line Y in ATTRIBUTES, to the end of the line. */
static void put(int y, attr_t attributes, const char *text)
{
    if (y >= LINES)
        return;
    (void)attrset((int)attributes);
    (void)mvaddnstr(y, 0, text, -1);
    if (attributes & A_REVERSE) { /* a bar reaches the edge */
        while (getcurx(stdscr) < COLS - 1 && getcury(stdscr) == y)
            (void)addch(' ');
    }
    (void)attrset(A_NORMAL);
}

static attr_t in_color(int pair)
{
    return COLOR_PAIRS > pair && has_colors() ? (attr_t)COLOR_PAIR(pair) : A_NORMAL;
}

/* The first WIDTH columns of line Y in PAIR, and bold. */
static void tint(int y, int width, int pair)
{
    if (y < LINES)
        (void)mvchgat(y, 0, width, A_BOLD, has_colors() ? (short)pair : 0, NULL);
}

/* The targets' part: a quarter of the screen at most. */
static int target_lines(const struct shot *shot)
{
    int most = LINES / 4;

    return shot->target_count <= (uint64_t)most ? (int)shot->target_count : most;
}

int64_t screen_rows(const struct top *top)
{
    int64_t rows =
        LINES - LINES_FIXED - shot_has_faults(&top->shot) - target_lines(&top->shot);

    return rows < 1 ? 1 : rows > VIEW_ROWS_MOST ? VIEW_ROWS_MOST : rows;
}

static void draw_names(const struct top *top)
{
    put(0, A_BOLD, "tenon top  ");
    for (size_t i = 0; i < top->names.count; i++) {
        const char *name = top->names.list[i];
        bool chosen = strcmp(name, top->chosen) == 0;

        if (getcurx(stdscr) + (int)strlen(name) + 3 >= COLS) {
            (void)addstr(COLS - getcurx(stdscr) > 3 ? ".." : "");
            break;
        }
        (void)attrset(chosen ? A_REVERSE : A_NORMAL);
        (void)printw(" %s ", name);
        (void)attrset(A_NORMAL);
        (void)addch(' ');
    }
}

static int draw_targets(const struct lines *lines, const struct shot *shot, int y)
{
    int room = target_lines(shot);
    char buf[LINE_SIZE], down[32], all[32];

    for (int i = 0; i < room; i++) {
        bool more = i == room - 1 && shot->target_count > (uint64_t)room;

        if (more)
            (void)snprintf(buf, sizeof(buf), "     %s targets in all, %s down",
                           count_text(shot->target_count, all),
                           count_text(shot->target_count - shot->targets_up, down));
        put(y, A_NORMAL, more ? buf : line_target(lines, &shot->targets[i], buf));
        if (!more)
            tint(y, STATE_WIDTH, shot->targets[i].up ? COLOR_GOOD : COLOR_BAD);
        y++;
    }
    return y;
}

static void draw_rows(const struct lines *lines, const struct top *top, int y)
{
    const struct shot *shot = &top->shot;
    char buf[LINE_SIZE];

    put(y++, A_REVERSE, line_heads(lines, buf));
    for (size_t i = 0; i < shot->row_count && y < LINES - 1; i++) {
        const struct shot_row *row = &shot->rows[i];
        bool selected = top->request.first + (int64_t)i == top->selected;
        bool ours = strncmp(row->limited, "us:", 3) == 0;

        put(y++,
            selected ? A_REVERSE
            : ours   ? in_color(COLOR_OURS)
                     : A_NORMAL,
            line_row(lines, row, buf));
    }
}

static void draw_foot(const struct top *top)
{
    char buf[LINE_SIZE], first[32], end[32], all[32], keys[200];
    int64_t last = top->request.first + (int64_t)top->shot.row_count;

    if (top->mode == MODE_FILTER) {
        (void)snprintf(buf, sizeof(buf), "show only addresses with: %s_", top->input);
    } else if (top->mode == MODE_FAULT) {
        (void)snprintf(buf, sizeof(buf), "fault (off, latency=200ms, reset@5%% ...): %s_",
                       top->input);
    } else if (top->mode == MODE_KILL) {
        (void)snprintf(buf, sizeof(buf), "reset client %llu on both sides? y n",
                       (unsigned long long)top->victim);
    } else if (top->mode == MODE_DRAIN) {
        (void)snprintf(buf, sizeof(buf), "let nobody into %s any more? y n", top->chosen);
    } else if (*top->message) {
        (void)snprintf(buf, sizeof(buf), "%s", top->message);
    } else {
        (void)snprintf(keys, sizeof(keys),
                       "q quit  s sort: %s  f filter%s%.20s  k kill  d drain  x fault",
                       view_order_name(top->request.order),
                       *top->request.filter ? ": " : "", top->request.filter);
        (void)snprintf(
            buf, sizeof(buf), "%s   %s-%s of %s", keys,
            count_text(top->shot.row_count ? (uint64_t)top->request.first + 1 : 0, first),
            count_text((uint64_t)last, end), count_text(top->shot.matched, all));
    }
    buf[COLS > 1 && COLS < LINE_SIZE ? COLS - 1 : LINE_SIZE - 1] = 0;
    put(LINES - 1, A_BOLD, buf);
}

void screen_draw(const struct top *top)
{
    struct lines lines = { .width = COLS,
                           .utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0 };
    const struct shot *shot = &top->shot;
    char buf[LINE_SIZE];
    int y = 1;

    (void)erase();
    draw_names(top);
    if (COLS < WIDTH_LEAST || LINES < 8) {
        put(1, A_NORMAL, "at least 80 columns and 8 lines");
    } else if (!*top->chosen) {
        put(2, A_NORMAL, "No relay or server of yours is running.");
    } else {
        put(y++, A_NORMAL, line_process(&lines, shot, buf));
        if (shot_has_faults(shot))
            put(y++, in_color(COLOR_OURS), line_faults(&lines, shot, buf));
        y = draw_targets(&lines, shot, y);
        draw_rows(&lines, top, y);
    }
    draw_foot(top);
    (void)refresh();
}
