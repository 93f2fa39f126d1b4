/* SPDX-License-Identifier: MIT */
/*
 * differences.c -- every difference there is, line by line, with the reason.
 *
 * A difference that is not here fails the run.  So does an entry that no script needs: then it
 * describes something that is not so.
 */
#include "differences.h"

#include <fnmatch.h>
#include <stddef.h>
#include <string.h>

enum { LINE_SIZE = 200 };

/* A name as in <tenon/fd.h>, the reason, and whether only a storm of signals shows it. */
#define CLOSED                                                                           \
    "[closed]",                                                                          \
        "a task that waits on a descriptor which is closed is sent off; Linux leaves a " \
        "thread waiting on the old file",                                                \
        false
#define MODE                                                                             \
    "[mode]", "a restarted system call sees the new mode, a parked one keeps its own",   \
        true
#define LINGER                                                                           \
    "[signals]", "a helper thread, which no signal reaches, waits while close lingers",  \
        true
#define NOTHING "[signals]", "TCP's receive of no bytes ends at any signal", true

const struct difference differences[] = {
    { "close_during_*", "*: blocked in *", "*: returned", CLOSED },
    { "close_during_*", "* = 8*", "* = ECANCELED", CLOSED },
    { "close_during_poll", "poll(1, -1 ms) = 1 near:*", "* = ECANCELED", CLOSED },
    { "close_during_accept", "accept(listener) = ok *", "* = ECANCELED", CLOSED },
    { "close_during_connect", "connect(client, *) = 0", "* = ECANCELED", CLOSED },
    { "close_during_send", "last received: *", "last received: *", CLOSED },
    { "dup2_over_a_waited_one", "*: blocked in *", "*: returned", CLOSED },
    { "dup2_over_a_waited_one", "* = 8*", "* = ECANCELED", CLOSED },
    { "mode_changes_during_a_call", "reader: returned", "reader: blocked in recv", MODE },
    { "mode_changes_during_a_call", "recv(near, 8, 0) = *", "recv(near, 8, 0) = *",
      MODE },
    { "linger_*", "closer: returned", "closer: blocked in close", LINGER },
    { "recv_of_nothing_waits", "reader: returned", "reader: * in recv", NOTHING },
    { "recv_of_nothing_waits", "recv(near, 32, DONTWAIT) = EAGAIN", "* = 3 \"abc\"",
      NOTHING },
};

const int difference_count = (int)(sizeof(differences) / sizeof(differences[0]));

/* Copies the line at TEXT, and returns where the next one starts. */
static const char *take_line(const char *text, char *line)
{
    size_t length = strcspn(text, "\n");
    size_t kept = length < LINE_SIZE ? length : LINE_SIZE - 1;

    memcpy(line, text, kept);
    line[kept] = '\0';
    return text[length] == '\n' ? text + length + 1 : text + length;
}

static bool is_named(const char *script, const char *plain, const char *task, int *used)
{
    for (int i = 0; i < difference_count; i++) {
        if (fnmatch(differences[i].script, script, 0) == 0 &&
            fnmatch(differences[i].plain, plain, 0) == 0 &&
            fnmatch(differences[i].task, task, 0) == 0) {
            used[i]++;
            return true;
        }
    }
    return false;
}

bool traces_agree(const char *script, const char *plain, const char *task,
                  char *plain_line, char *task_line, int *used)
{
    while (*plain != '\0' || *task != '\0') {
        plain = take_line(plain, plain_line);
        task = take_line(task, task_line);
        if (strcmp(plain_line, task_line) != 0 &&
            !is_named(script, plain_line, task_line, used))
            return false;
    }
    return true;
}
