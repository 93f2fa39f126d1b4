/* SPDX-License-Identifier: MIT */
/*
 * terminal.c -- whether ncurses knows the terminal.
 *
 * Asked before newterm, which would say so too, but keeps memory when it fails.  In a file
 * of its own: term.h makes macros of ordinary words.
 */
#include <curses.h>
#include <term.h>
#include <unistd.h>

#include "top/terminal.h"

bool terminal_is_known(void)
{
    int status = 0;

    if (setupterm(NULL, STDOUT_FILENO, &status) != OK)
        return false;
    (void)del_curterm(cur_term);
    return true;
}
