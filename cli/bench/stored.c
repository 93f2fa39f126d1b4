/* SPDX-License-Identifier: MIT */
/*
 * stored.c -- reading JSON lines back: flat objects, as report.h writes them.
 *
 * It reads any JSON object whose members are strings, numbers, true, false or null; more
 * is not written, and a line that has more is an error and not a guess.
 */
#include "stored.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTERVALS_MOST 1000000

/* One member: its name and its value as they stand, strings without their quotes. */
struct member {
    const char *name, *value;
    size_t name_size, value_size;
    bool is_text;
};

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* The string at *AT, its opening quote; its inside in *TEXT and *SIZE. */
static bool read_string(const char **at, const char **text, size_t *size)
{
    const char *end = *at + 1;

    if (**at != '"')
        return false;
    while (*end && *end != '"')
        end += *end == '\\' && end[1] ? 2 : 1;
    if (!*end)
        return false;
    *text = *at + 1;
    *size = (size_t)(end - *text);
    *at = end + 1;
    return true;
}

/* The member at *AT, behind { or a comma. */
static bool read_member(const char **at, struct member *member)
{
    *at = skip_blanks(*at);
    if (!read_string(at, &member->name, &member->name_size))
        return false;
    *at = skip_blanks(*at);
    if (*(*at)++ != ':')
        return false;
    *at = skip_blanks(*at);
    member->is_text = **at == '"';
    if (member->is_text)
        return read_string(at, &member->value, &member->value_size);
    member->value = *at;
    member->value_size = strspn(*at, "+-.0123456789eEtrufalsn");
    *at += member->value_size;
    return member->value_size > 0;
}

static bool is_named(const struct member *member, const char *name)
{
    return member->name_size == strlen(name) &&
           memcmp(member->name, name, member->name_size) == 0;
}

static void copy_text(const struct member *member, char *buf, size_t size)
{
    (void)snprintf(buf, size, "%.*s", (int)member->value_size, member->value);
}

static void take_member(struct stored *stored, struct figures *figures, char *event,
                        size_t event_size, const struct member *member)
{
    double number = member->is_text ? -1 : strtod(member->value, NULL);

    if (is_named(member, "ev"))
        copy_text(member, event, event_size);
    else if (is_named(member, "mode"))
        copy_text(member, stored->mode, sizeof(stored->mode));
    else if (is_named(member, "where"))
        copy_text(member, stored->where, sizeof(stored->where));
    else if (is_named(member, "connections"))
        stored->connections = number;
    else if (is_named(member, "threads"))
        stored->threads = number;
    else if (is_named(member, "asked_rate"))
        stored->asked_rate = number;
    for (int i = 0; i < METRIC_COUNT; i++) {
        if (is_named(member, metrics[i].json))
            figures->values[i] = metrics[i].unit == UNIT_TIME ? number * 1000 : number;
    }
}

static bool keep_interval(struct stored *stored, const struct figures *figures)
{
    size_t count = stored->interval_count;

    if (count == INTERVALS_MOST)
        return false;
    if ((count & (count - 1)) == 0) {
        struct figures *more =
            realloc(stored->intervals, (count ? 2 * count : 1) * sizeof(*more));
        if (!more)
            return false;
        stored->intervals = more;
    }
    stored->intervals[stored->interval_count++] = *figures;
    return true;
}

/* One LINE; *DONE when it was the result. */
static bool take_line(struct stored *stored, const char *line, bool *done)
{
    const char *at = skip_blanks(line);
    struct figures figures;
    char event[32] = "";
    struct member member;

    for (int i = 0; i < METRIC_COUNT; i++)
        figures.values[i] = -1;
    if (*at++ != '{')
        return *skip_blanks(line) == 0;
    do {
        if (!read_member(&at, &member))
            return false;
        take_member(stored, &figures, event, sizeof(event), &member);
        at = skip_blanks(at);
    } while (*at++ == ',');
    if (at[-1] != '}')
        return false;
    if (strcmp(event, "interval") == 0)
        return keep_interval(stored, &figures);
    if (strcmp(event, "result") == 0) {
        stored->figures = figures;
        *done = true;
    }
    return true;
}

static int read_lines(struct stored *stored, FILE *in, const char *file)
{
    char *line = NULL;
    size_t room = 0, number = 0;
    bool fine = true, done = false;
    int code = 0;

    while (fine && getline(&line, &room, in) >= 0) {
        number++;
        fine = take_line(stored, line, &done);
    }
    if (ferror(in))
        code = report_error(EXIT_OUTPUT, "read", file, "%s", strerror(errno));
    free(line);
    if (code)
        return code;
    if (!fine)
        return report_error(EXIT_USAGE, "read", file,
                            "line %zu is nothing that tenon bench "
                            "--json writes",
                            number);
    if (!done)
        return report_error(EXIT_USAGE, "read", file,
                            "there is no result in it: that run failed, or is not over");
    return 0;
}

int stored_read(struct stored *stored, const char *file)
{
    FILE *in = fopen(file, "re");
    int code;

    memset(stored, 0, sizeof(*stored));
    stored->connections = stored->threads = stored->asked_rate = -1;
    if (!in)
        return report_error(EXIT_OUTPUT, "open", file, "%s", strerror(errno));
    code = read_lines(stored, in, file);
    (void)fclose(in);
    return code;
}

void stored_release(struct stored *stored)
{
    free(stored->intervals);
    stored->intervals = NULL;
}
