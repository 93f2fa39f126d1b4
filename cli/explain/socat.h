/* SPDX-License-Identifier: MIT */
/*
 * socat.h -- a line for socat(1), taken apart.
 *
 * Read from its manual, version 1.8.  Only what has a counterpart in tenon, or is asked for
 * so often that it deserves a sentence, has a name here.
 */
#ifndef TENON_CLI_EXPLAIN_SOCAT_H
#define TENON_CLI_EXPLAIN_SOCAT_H

#include <stdbool.h>
#include <stddef.h>

#define SOCAT_OPTIONS 40

enum socat_kind {
    SOCAT_STDIO,
    SOCAT_CONNECT,
    SOCAT_LISTEN,
    SOCAT_PROGRAM, /* EXEC */
    SOCAT_SHELL,   /* SYSTEM, SHELL */
    SOCAT_FILE,
    SOCAT_ECHO, /* PIPE without a name */
    SOCAT_UNKNOWN
};

/* One of its two addresses. */
struct socat_end {
    enum socat_kind kind;
    char written[300]; /* as it stood there */
    char where[300];   /* host:port, :port, unix:..., a path, a command */
    int family;        /* 4, 6, or 0 */
    char text[1000];   /* the options, taken apart */
    const char *options[SOCAT_OPTIONS]; /* name, or name=value */
    int option_count;
};

struct socat_line {
    char text[4000]; /* the words, each ended by a zero byte */
    const char *words[64];
    int word_count;

    struct socat_end ends[2];
    bool only_right, only_left; /* -u, -U */
    bool dump;                  /* -v, -x */
    const char *idle;           /* -T */
    int family;                 /* -4, -6 */
};

/*
 * socat_read -- take LINE apart.  Returns NULL, or in words what is no line for socat, with
 * where in AT.
 */
const char *socat_read(struct socat_line *line, const char *text, const char **at);

/* socat_end_read -- take one address apart; false if it is too long. */
bool socat_end_read(struct socat_end *end, const char *word);

/* socat_option -- the value of the option NAME of END: "" if it has none, NULL if unset. */
const char *socat_option(const struct socat_end *end, const char *name);

#endif
