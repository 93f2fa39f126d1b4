/* SPDX-License-Identifier: MIT */
/*
 * report.c -- lines for people and objects for programs, each written in one piece.
 *
 * Lines and objects are put together here and leave in one write(2), so that those of
 * several processes on one terminal or log do not mix.  A name in a line may be
 * anything a user typed: control characters in it are shown as '?', and a line stays one.
 *
 * How to report is itself said on the command line, and may come behind a mistake in it.
 * So what is wrong there is kept until all of it has been read (report_open).
 *
 * What standard output or --json does not take, as on a full disk, shows in the exit code
 * (report_close): no verb asks for itself.  Standard output is what the command is run for,
 * and its reader may be waited for; whoever reads the rest is not (backlog.h).
 *
 * Always true: with --json on standard error nothing else goes there.
 */
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backlog.h"

/* Verbs whose objects are what they are run for. */
#define JSON_IS_OUTPUT (VERB_SCAN | VERB_WAIT | VERB_EXPLAIN | VERB_BENCH | VERB_COMPARE)

/* At the end, with a reader who stands still. */
#define PATIENCE (3 * TN_SECOND)

/* Standard error; and the file of --json, which may be a pipe too. */
static struct backlog lines = BACKLOG_FOR(STDERR_FILENO), file = BACKLOG_FOR(-1);

/* How reports are made in this process; set once, before any task runs. */
static struct {
    bool silent, verbose, json;
    struct backlog *objects; /* NULL: on standard output */
    const char *json_name;   /* what that is, for people */
    unsigned missing;        /* lines that were lost, which is not told yet */
    int lost_errno;          /* why output was lost first, 0 if none was, */
    const char *lost_where;
    bool colour;
    bool metering; /* the cursor stands behind a meter */
    bool open;
    bool ending;     /* it is over, */
    tn_deadline end; /* and slow readers are waited for until then */
} reports = { .objects = &lines, .json_name = "standard error" };

/* The first complaint from before report_open, and its hint; no code: there is none. */
static struct {
    enum exit_code code;
    char what[40], where[600], why[600], hint[200];
    bool complete; /* a second one has come: what follows is not of the first */
} early;

static bool colour_wanted(void)
{
    const char *no_color = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");

    return isatty(STDERR_FILENO) && !(no_color && *no_color) && terminal &&
           strcmp(terminal, "dumb") != 0;
}

static int open_json_file(const char *name)
{
    file.fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
    reports.json = file.fd >= 0;
    reports.objects = reports.json ? &file : &lines;
    reports.json_name = name;
    if (reports.json)
        return 0;
    return report_error(EXIT_OUTPUT, "open", name, "%s", strerror(errno));
}

int report_open(const struct settings *settings)
{
    int code = 0;

    reports.open = true;
    reports.silent = settings->silent;
    reports.verbose = settings->verbose > 0;
    reports.json = settings->json;
    reports.colour = colour_wanted();
    if (settings->verb & JSON_IS_OUTPUT)
        reports.objects = NULL;
    if (settings->json_file)
        code = open_json_file(settings->json_file);
    if (!early.code)
        return code;
    (void)report_error(early.code, early.what, early.where, "%s", early.why);
    if (*early.hint)
        report_hint("%s", early.hint);
    return (int)early.code;
}

bool report_wants_detail(void)
{
    return reports.verbose && !reports.silent;
}

bool report_wants_json(void)
{
    return reports.json;
}

bool report_json_on_output(void)
{
    return reports.json && !reports.objects;
}

/* Say how many lines for people were lost, where they are missing. */
static void tell_missing(void)
{
    char text[100];
    int size = snprintf(text, sizeof(text),
                        "tenon: %u lines are missing here: they were not taken\n",
                        reports.missing);

    if (reports.missing && backlog_put(&lines, text, (size_t)size) == 0)
        reports.missing = 0;
}

static void put_line(const char *line, size_t size)
{
    tell_missing();
    if (backlog_put(&lines, line, size) != 0)
        reports.missing++;
}

/* Are lines for people to be shown? */
static bool for_people(void)
{
    return !(reports.json && reports.objects == &lines);
}

static void make_one_line(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
    }
}

/* One line: PREFIX in colour, then TEXT. */
static void write_line(const char *prefix, const char *colour, char *text)
{
    char line[1400];
    int size;

    report_meter("");
    make_one_line(text);
    size = snprintf(line, sizeof(line), "%s%s%s %s\n", reports.colour ? colour : "",
                    prefix, reports.colour ? "\033[0m" : "", text);
    if (size >= (int)sizeof(line))
        size = (int)sizeof(line) - 1;
    put_line(line, (size_t)size);
}

/* Keep it until report_open; further ones may come of the first. */
static void keep_error(enum exit_code code, const char *what, const char *where,
                       const char *why)
{
    early.complete = early.code != 0;
    if (early.complete)
        return;
    early.code = code;
    (void)snprintf(early.what, sizeof(early.what), "%s", what);
    (void)snprintf(early.where, sizeof(early.where), "%s", where);
    (void)snprintf(early.why, sizeof(early.why), "%s", why);
}

int report_error(enum exit_code code, const char *what, const char *where,
                 const char *why, ...)
{
    char reason[600], line[1200];
    va_list arguments;

    va_start(arguments, why);
    (void)vsnprintf(reason, sizeof(reason), why, arguments);
    va_end(arguments);
    if (!reports.open) {
        keep_error(code, what, where, reason);
        return (int)code;
    }
    if (for_people()) {
        (void)snprintf(line, sizeof(line), "%s%s%.500s: %s", what, *where ? " " : "",
                       where, reason);
        write_line("tenon:", "\033[31m", line);
    }
    if (reports.json) {
        struct json json;
        json_event(&json, "error");
        json_bool(&json, "ok", false);
        json_number(&json, "exit", code);
        json_text(&json, "what", what);
        json_text(&json, "where", where);
        json_text(&json, "why", reason);
        json_send(&json);
    }
    return (int)code;
}

static void say(const char *prefix, const char *colour, const char *text, va_list list)
    __attribute__((format(printf, 3, 0)));

/* The lines that may be left out. */
static void say(const char *prefix, const char *colour, const char *text, va_list list)
{
    char line[1200];

    if (!for_people() || reports.silent)
        return;
    (void)vsnprintf(line, sizeof(line), text, list);
    write_line(prefix, colour, line);
}

void report_hint(const char *text, ...)
{
    va_list list;

    va_start(list, text);
    if (reports.open)
        say("hint:", "\033[36m", text, list);
    else if (!early.complete)
        (void)vsnprintf(early.hint, sizeof(early.hint), text, list);
    va_end(list);
}

void report_note(const char *text, ...)
{
    va_list list;

    va_start(list, text);
    say("tenon:", "\033[1m", text, list);
    va_end(list);
}

void report_detail(const char *text, ...)
{
    va_list list;

    if (!reports.verbose)
        return;
    va_start(list, text);
    say("tenon:", "\033[1m", text, list);
    va_end(list);
}

void report_meter(const char *text)
{
    char line[200];
    int size;

    if (!*text && !reports.metering)
        return;
    reports.metering = *text;
    size = snprintf(line, sizeof(line), "\r\033[K%s", text);
    if (size >= (int)sizeof(line))
        size = (int)sizeof(line) - 1;
    (void)backlog_put(&lines, line, (size_t)size); /* the next one says more */
}

/* What somebody wanted was not taken at WHERE; ERROR says why, and is 0 if it was. */
static void note_loss(const char *where, int error)
{
    if (!error || reports.lost_errno)
        return;
    reports.lost_errno = error;
    reports.lost_where = where;
}

void json_send(struct json *json)
{
    if (!reports.json)
        return;
    if (!reports.objects) {
        json_print(json);
        return;
    }
    json_end(json);
    note_loss(reports.json_name, backlog_put(reports.objects, json->text, json->size));
}

void json_print(struct json *json)
{
    json_end(json);
    note_loss("standard output", write_whole(STDOUT_FILENO, json->text, json->size));
}

bool report_flush(void)
{
    if (fflush(stdout) == 0)
        return true;
    note_loss("standard output", errno);
    return false;
}

void report_drain(void)
{
    int error;

    if (!reports.ending)
        reports.end = tn_in(PATIENCE);
    reports.ending = true;
    error = backlog_wait(&lines, tn_left(reports.end));
    if (!error)
        tell_missing();
    if (reports.json && reports.objects == &file)
        error = backlog_wait(&file, tn_left(reports.end));
    if (reports.json && reports.objects)
        note_loss(reports.json_name, error);
}

int report_close(int code)
{
    int error;

    if (report_flush() && ferror(stdout))
        note_loss("standard output", EIO); /* the C library has forgotten why */
    report_drain();
    error = reports.lost_errno;
    if (code || !error || error == EPIPE)
        return code;
    reports.open = true; /* --help comes before report_open */
    code = report_error(EXIT_OUTPUT, "write", reports.lost_where, "%s",
                        error == EBADF ? "closed" : strerror(error));
    report_drain();
    return code;
}
