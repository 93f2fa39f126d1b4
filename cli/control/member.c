/* SPDX-License-Identifier: MIT */
/*
 * member.c -- a reader for flat JSON objects, such as json.c makes.
 *
 * It walks over the members; strings may hold any escape.  \u00XX is the only \u that
 * json.c makes for something other than U+FFFD, and control characters mean nothing to a
 * person, so those become '?'.
 */
#include "control/member.h"

#include <stdlib.h>
#include <string.h>

/* Copy the string that begins behind AT's quote into BUF; returns what follows it. */
static const char *take_string(const char *at, char *buf, size_t size)
{
    size_t used = 0;

    while (*at && *at != '"') {
        char letter = *at++;

        if (letter == '\\' && *at == 'u') {
            long code = strncmp(at, "u00", 3) == 0
                            ? strtol((char[3]){ at[3], at[4], 0 }, NULL, 16)
                            : 0;
            letter = '?';
            if (code >= ' ' && code < 0x7f)
                letter = (char)code;
            at += strnlen(at, 5);
        } else if (letter == '\\' && *at) {
            letter = *at++;
        }
        if (used + 1 < size)
            buf[used++] = letter;
    }
    if (size > 0)
        buf[used] = 0;
    return *at ? at + 1 : at;
}

static const char *take_value(const char *at, char *buf, size_t size)
{
    size_t length = strcspn(at, ",}\r\n");

    if (*at == '"')
        return take_string(at + 1, buf, size);
    if (size > 0) {
        size_t part = length < size - 1 ? length : size - 1;
        memcpy(buf, at, part);
        buf[part] = 0;
    }
    return at + length;
}

const char *member_text(const char *line, const char *name, char *buf, size_t size)
{
    const char *at = strchr(line, '{');
    char found[40];

    while (at && (at = strchr(at, '"')) != NULL) {
        at = take_string(at + 1, found, sizeof(found));
        if (*at != ':')
            break;
        if (strcmp(found, name) == 0) {
            (void)take_value(at + 1, buf, size);
            return buf;
        }
        at = take_value(at + 1, NULL, 0);
    }
    buf[0] = 0;
    return buf;
}

uint64_t member_number(const char *line, const char *name)
{
    char text[32];

    return strtoull(member_text(line, name, text, sizeof(text)), NULL, 10);
}

bool member_is(const char *line, const char *name, const char *text)
{
    char value[80];

    return strcmp(member_text(line, name, value, sizeof(value)), text) == 0;
}
