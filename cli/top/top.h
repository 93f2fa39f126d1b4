/* SPDX-License-Identifier: MIT */
/*
 * top.h -- the parts of a running `tenon top`, for the files of this folder.
 *
 *      top.c       the verb; --once and --json
 *      shot.c      what a server answers, taken apart
 *      lines.c     the same as lines of text
 *      screen.c    those lines on a terminal
 *      keys.c      what the keys do
 */
#ifndef TENON_CLI_TOP_H
#define TENON_CLI_TOP_H

#include "control/ask.h"
#include "options.h"
#include "top/lines.h"
#include "top/shot.h"

/* What the next keys are for. */
enum mode { MODE_WATCH, MODE_FILTER, MODE_FAULT, MODE_KILL, MODE_DRAIN };

struct top {
    const char *only; /* the server that was named, or NULL: all */
    struct ask_names names;
    char chosen[48]; /* the one that is shown; "" */
    struct view_request request;
    struct shot shot;
    int64_t selected; /* among all that match */
    int64_t visible;  /* rows there is room for */
    enum mode mode;
    char input[120];   /* what has been typed in this mode */
    uint64_t victim;   /* of MODE_KILL */
    char message[200]; /* of the last command */
    bool over;
};

/* ---- screen.c ---- */

/* screen_open -- take the terminal; false if it is none that can be drawn on. */
bool screen_open(void);
/* screen_close -- give it back as it was. */
void screen_close(void);
/* screen_rows -- how many clients fit below the rest of TOP's shot. */
int64_t screen_rows(const struct top *top);
/* screen_draw -- show TOP. */
void screen_draw(const struct top *top);
/* screen_key -- the next key that has been pressed, as ncurses names it, or -1. */
int screen_key(void);

/* ---- keys.c ---- */

/* key_pressed -- do what KEY stands for.  May park, to tell the server. */
void key_pressed(struct top *top, int key);

#endif
