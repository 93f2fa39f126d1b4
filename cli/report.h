/* SPDX-License-Identifier: MIT */
/*
 * report.h -- what the command tells people and programs beside the data.
 *
 * For people, on standard error: errors are one line, "tenon: WHAT WHERE: WHY", then at
 * most one hint; notes show unless --silent.  For programs, with --json: one object a
 * line (docs/json-schema.json).  When that goes to standard error the lines for people
 * are left out, so that all of it is JSON; a file gets it beside them.  Verbs whose output
 * it is (scan, wait, explain) have it on standard output, again alone.
 */
#ifndef TENON_CLI_REPORT_H
#define TENON_CLI_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

/* The exit codes; tenon(1) lists them too, from help.c. */
enum exit_code {
    EXIT_DELIVERED = 0,
    EXIT_OTHER = 1,
    EXIT_USAGE = 2,
    EXIT_NAME = 3,         /* a name could not be looked up */
    EXIT_UNREACHED = 4,    /* refused, unreachable */
    EXIT_LATE = 5,         /* a deadline passed */
    EXIT_CUT = 7,          /* reset, or cut by the peer */
    EXIT_OUTPUT = 8,       /* our own output failed, or our input */
    EXIT_UNCONFIRMED = 9,  /* not all was acknowledged */
    EXIT_THRESHOLD = 10,   /* a figure is over its limit, or an answer is wrong */
    EXIT_NOT_REACHED = 11, /* wait: it was not there in time */
    EXIT_NOT_RUNNABLE = 126,
    EXIT_NO_PROGRAM = 127
};

/*
 * report_open -- from here on as SETTINGS say.  Says what was reported before, if
 * anything was; returns its exit code then, else 0, or that of a FILE it cannot open.
 */
int report_open(const struct settings *settings);

/*
 * report_flush -- pass on what was printed.  False, with errno, if standard output did not
 * take it, which report_close knows by itself.
 */
bool report_flush(void);

/* report_drain -- before the process ends or becomes another: wait a little for slow readers. */
void report_drain(void);

/*
 * report_close -- CODE; but EXIT_OUTPUT, with a line, instead of 0 if standard output or
 * --json did not take everything.  A closed pipe is no complaint.
 */
int report_close(int code);

/* report_error -- "tenon: WHAT WHERE: WHY", WHY as by printf.  Returns CODE. */
int report_error(enum exit_code code, const char *what, const char *where,
                 const char *why, ...) __attribute__((format(printf, 4, 5)));

/* report_hint -- a remedy for the error just reported. */
void report_hint(const char *text, ...) __attribute__((format(printf, 1, 2)));

/* report_note -- what a person wants to know and a script does not. */
void report_note(const char *text, ...) __attribute__((format(printf, 1, 2)));

/* report_detail -- as report_note, with -v only. */
void report_detail(const char *text, ...) __attribute__((format(printf, 1, 2)));

/* report_meter -- show TEXT over the last one, on a terminal; "" wipes it away. */
void report_meter(const char *text);

/* report_wants_detail -- whether report_detail would say anything. */
bool report_wants_detail(void);

/* report_wants_json -- whether events are wanted at all. */
bool report_wants_json(void);

/* report_json_on_output -- whether they go to standard output, so nothing else does. */
bool report_json_on_output(void);

/* ---- one JSON object ---- */

struct json {
    char text[2000];
    size_t size;
};

/* json_event -- begin an object with the version, the time and the EVENT's name. */
void json_event(struct json *json, const char *event);
/* Add a member.  What does not fit is left out; the object stays whole. */
void json_text(struct json *json, const char *name, const char *value);
void json_number(struct json *json, const char *name, uint64_t value);
void json_real(struct json *json, const char *name, double value);
void json_ms(struct json *json, const char *name, int64_t nanoseconds);
void json_bool(struct json *json, const char *name, bool value);
/* json_end -- end the object, with a newline behind it: json->text, json->size. */
void json_end(struct json *json);
/* json_send -- end the object and write it where --json wants it. */
void json_send(struct json *json);
/* json_print -- end the object and write it to standard output. */
void json_print(struct json *json);

#endif
