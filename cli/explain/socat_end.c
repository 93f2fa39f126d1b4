/* SPDX-License-Identifier: MIT */
/*
 * socat_end.c -- one of socat's addresses: KEYWORD:PARAMETER...,OPTION,OPTION=VALUE...
 */
#include "socat.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct keyword {
    const char *name;
    enum socat_kind kind;
    int family;
    const char *before; /* its parameter, for where */
};

static const struct keyword keywords[] = {
    { "TCP-LISTEN", SOCAT_LISTEN, 0, ":" },
    { "TCP-L", SOCAT_LISTEN, 0, ":" },
    { "TCP4-LISTEN", SOCAT_LISTEN, 4, ":" },
    { "TCP4-L", SOCAT_LISTEN, 4, ":" },
    { "TCP6-LISTEN", SOCAT_LISTEN, 6, ":" },
    { "TCP6-L", SOCAT_LISTEN, 6, ":" },
    { "TCP-CONNECT", SOCAT_CONNECT, 0, "" },
    { "TCP", SOCAT_CONNECT, 0, "" },
    { "TCP4-CONNECT", SOCAT_CONNECT, 4, "" },
    { "TCP4", SOCAT_CONNECT, 4, "" },
    { "TCP6-CONNECT", SOCAT_CONNECT, 6, "" },
    { "TCP6", SOCAT_CONNECT, 6, "" },
    { "UNIX-LISTEN", SOCAT_LISTEN, 0, "unix:" },
    { "UNIX-L", SOCAT_LISTEN, 0, "unix:" },
    { "UNIX-CONNECT", SOCAT_CONNECT, 0, "unix:" },
    { "UNIX-CLIENT", SOCAT_CONNECT, 0, "unix:" },
    { "UNIX", SOCAT_CONNECT, 0, "unix:" },
    { "LOCAL", SOCAT_CONNECT, 0, "unix:" },
    { "ABSTRACT-LISTEN", SOCAT_LISTEN, 0, "unix:@" },
    { "ABSTRACT-CONNECT", SOCAT_CONNECT, 0, "unix:@" },
    { "ABSTRACT-CLIENT", SOCAT_CONNECT, 0, "unix:@" },
    { "STDIO", SOCAT_STDIO, 0, "" },
    { "STDIN", SOCAT_STDIO, 0, "" },
    { "STDOUT", SOCAT_STDIO, 0, "" },
    { "EXEC", SOCAT_PROGRAM, 0, "" },
    { "SYSTEM", SOCAT_SHELL, 0, "" },
    { "SHELL", SOCAT_SHELL, 0, "" },
    { "OPEN", SOCAT_FILE, 0, "" },
    { "CREATE", SOCAT_FILE, 0, "" },
    { "CREAT", SOCAT_FILE, 0, "" },
    { "GOPEN", SOCAT_FILE, 0, "" },
    { "FILE", SOCAT_FILE, 0, "" },
    { "PIPE", SOCAT_ECHO, 0, "" },
    { "ECHO", SOCAT_ECHO, 0, "" },
};

/* Cut the options off WORD's copy in END->text, and list them. */
static void take_options(struct socat_end *end)
{
    char *comma = strchr(end->text, ',');

    while (comma && end->option_count < SOCAT_OPTIONS) {
        *comma = 0;
        end->options[end->option_count++] = comma + 1;
        comma = strchr(comma + 1, ',');
    }
}

static const struct keyword *find(const char *name, size_t size)
{
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        if (strlen(keywords[i].name) == size &&
            strncasecmp(keywords[i].name, name, size) == 0)
            return &keywords[i];
    }
    return NULL;
}

bool socat_end_read(struct socat_end *end, const char *word)
{
    const struct keyword *keyword;
    size_t size = strlen(word);
    const char *parameter;
    int written;

    if (size >= sizeof(end->written))
        return false;
    memcpy(end->written, word, size + 1);
    memcpy(end->text, word, size + 1);
    take_options(end);
    size = strcspn(end->text, ":");
    parameter = end->text[size] ? end->text + size + 1 : "";
    keyword = find(end->text, size);
    if (strcmp(end->text, "-") == 0) {
        end->kind = SOCAT_STDIO;
        return true;
    }
    if (!keyword) { /* a name with a slash means the file of that name */
        end->kind =
            strchr(end->text, '/') && !end->text[size] ? SOCAT_FILE : SOCAT_UNKNOWN;
        written = snprintf(end->where, sizeof(end->where), "%s", end->text);
        return written >= 0 && (size_t)written < sizeof(end->where);
    }
    end->kind = keyword->kind;
    end->family = keyword->family;
    written =
        snprintf(end->where, sizeof(end->where), "%s%s", keyword->before, parameter);
    if (keyword->kind == SOCAT_ECHO && *parameter)
        end->kind = SOCAT_UNKNOWN; /* a named pipe */
    return written >= 0 && (size_t)written < sizeof(end->where);
}

const char *socat_option(const struct socat_end *end, const char *name)
{
    size_t size = strlen(name);

    for (int i = 0; i < end->option_count; i++) {
        const char *option = end->options[i];
        if (strncasecmp(option, name, size) == 0 &&
            (!option[size] || option[size] == '='))
            return option[size] ? option + size + 1 : "";
    }
    return NULL;
}
