/* SPDX-License-Identifier: MIT */
/*
 * matrix.c -- calls with their flags x states: how many scripts stand in each cell.
 *
 * The generated scripts, called CALL+FLAGS/STATE/KIND, have a line for each CALL+FLAGS; all
 * others count in the line of their call.  A cell without a script has a reason, which is
 * printed below the matrix; if there is none, it is a gap, and the run fails.
 */
#include "matrix.h"

#include <stdio.h>
#include <string.h>

static const char *const row_names[ROWS] = {
    [ROW_SOCKET] = "socket",
    [ROW_SOCKETPAIR] = "socketpair",
    [ROW_BIND] = "bind",
    [ROW_LISTEN] = "listen",
    [ROW_ACCEPT] = "accept",
    [ROW_ACCEPT4] = "accept4",
    [ROW_CONNECT] = "connect",
    [ROW_SHUTDOWN] = "shutdown",
    [ROW_CLOSE] = "close",
    [ROW_DUP2] = "dup2",
    [ROW_READ] = "read",
    [ROW_READV] = "readv",
    [ROW_RECV] = "recv",
    [ROW_RECVFROM] = "recvfrom",
    [ROW_RECVMSG] = "recvmsg",
    [ROW_WRITE] = "write",
    [ROW_WRITEV] = "writev",
    [ROW_SEND] = "send",
    [ROW_SENDTO] = "sendto",
    [ROW_SENDMSG] = "sendmsg",
    [ROW_FCNTL] = "fcntl",
    [ROW_IOCTL] = "ioctl",
    [ROW_SETSOCKOPT] = "setsockopt",
    [ROW_GETSOCKOPT] = "getsockopt",
    [ROW_POLL] = "poll",
};

static const char *const state_names[STATES] = {
    [STATE_FRESH] = "fresh",     [STATE_DATA] = "data", [STATE_PEER_END] = "peer-end",
    [STATE_OUR_END] = "our-end", [STATE_DEAF] = "deaf", [STATE_RESET] = "reset",
    [STATE_CLOSED] = "closed",   [STATE_FULL] = "full", [STATE_NONBLOCK] = "nonblock",
    [STATE_TIMEOUT] = "timeout", [STATE_DUP] = "dup",   [STATE_FORKED] = "forked",
    [STATE_OTHER] = "other",
};

const char *row_name(enum row row)
{
    return row_names[row];
}

const char *state_name(enum state state)
{
    return state_names[state];
}

enum { LINES_MAX = 128 };

struct line {
    char label[NAME_SIZE];
    enum row row;
    int count[STATES];
    int bad[STATES];
};

struct matrix {
    struct line lines[LINES_MAX];
    int count;
};

bool script_is_cell(const struct script *script)
{
    return script->state != STATE_OTHER && strchr(script->name, '/') != NULL;
}

static struct line *line_of(struct matrix *matrix, const struct script *script)
{
    char label[NAME_SIZE];
    struct line *line;

    (void)snprintf(label, sizeof(label), "%s", row_name(script->row));
    if (script_is_cell(script))
        (void)snprintf(label, sizeof(label), "%.*s", (int)strcspn(script->name, "/"),
                       script->name);
    for (int i = 0; i < matrix->count; i++) {
        if (strcmp(matrix->lines[i].label, label) == 0)
            return &matrix->lines[i];
    }
    line =
        &matrix->lines[matrix->count < LINES_MAX - 1 ? matrix->count++ : LINES_MAX - 1];
    memcpy(line->label, label, sizeof(label));
    line->row = script->row;
    return line;
}

/* Calls that begin with nothing, or with an address, have no states but their own. */
static const char *why_empty(const struct line *line, enum state state)
{
    if (state == STATE_OTHER)
        return "what has a script of its own stands in the line of the call without "
               "flags";
    switch (line->row) {
    case ROW_SOCKET:
    case ROW_SOCKETPAIR:
        return "what is made has no past";
    case ROW_SHUTDOWN:
        if (strchr(line->label, '+') != NULL)
            return NULL;
        return "shutdown is always told a direction: see its other lines";
    default:
        return NULL;
    }
}

static void print_line(const struct line *line)
{
    printf("%-27s", line->label);
    for (int state = 0; state < STATES; state++) {
        if (line->bad[state] > 0)
            printf(" %4d!%d", line->count[state], line->bad[state]);
        else if (line->count[state] > 0)
            printf(" %8d", line->count[state]);
        else
            printf(" %8s", why_empty(line, (enum state)state) != NULL ? "-" : "GAP");
    }
    printf("\n");
}

/* Says for each reason which cells it keeps empty; returns how many have none. */
static int print_empty(const struct matrix *matrix)
{
    const char *said[8] = { NULL };
    int said_count = 0, gaps = 0;

    for (int i = 0; i < matrix->count; i++) {
        for (int state = 0; state < STATES; state++) {
            const char *why = why_empty(&matrix->lines[i], (enum state)state);
            bool known = false;

            if (matrix->lines[i].count[state] > 0)
                continue;
            gaps += why == NULL ? 1 : 0;
            for (int s = 0; s < said_count; s++)
                known |= why == said[s];
            if (why == NULL || known || said_count == 8)
                continue;
            said[said_count++] = why;
            printf("  -  %s/%s ...: %s\n", matrix->lines[i].label,
                   state_name((enum state)state), why);
        }
    }
    return gaps;
}

/* Not every kind of descriptor can be in every state. */
static void print_impossible(void)
{
    const char *before = NULL;

    for (int kind = 0; kind < KINDS; kind++) {
        for (int state = 0; state < STATE_OTHER; state++) {
            for (int writes = 0; writes < 2; writes++) {
                const char *why =
                    state_is_impossible((enum kind)kind, (enum state)state, writes == 1);

                if (why == NULL || why == before)
                    continue;
                before = why;
                printf("  -  .../%s/%s%s ...: %s\n", state_name((enum state)state),
                       kind_name((enum kind)kind), writes == 1 ? " (writing)" : "", why);
            }
        }
    }
}

int matrix_print(const struct script_list *list, const bool *agrees)
{
    static struct matrix matrix;
    int gaps;

    for (size_t i = 0; i < list->count; i++) {
        const struct script *script = &list->items[i];
        struct line *line = line_of(&matrix, script);

        line->count[script->state]++;
        line->bad[script->state] += agrees[i] ? 0 : 1;
    }
    printf("Scripts for each call and state; N!M: M of N do not agree.\n%-27s", "");
    for (int state = 0; state < STATES; state++)
        printf(" %8s", state_names[state]);
    printf("\n");
    for (int row = 0; row < ROWS; row++) {
        for (int i = 0; i < matrix.count; i++) {
            if (matrix.lines[i].row == (enum row)row)
                print_line(&matrix.lines[i]);
        }
    }
    printf("Empty, because:\n");
    gaps = print_empty(&matrix);
    print_impossible();
    return gaps;
}
