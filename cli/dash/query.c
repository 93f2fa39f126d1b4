/* SPDX-License-Identifier: MIT */
/*
 * query.c -- what the page asks /events for: "sort=age&first=50&filter=10.0" (URL standard,
 * application/x-www-form-urlencoded).
 *
 * It becomes the words of view_read, which checks them.
 */
#include "dash/dash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Decode VALUE of LENGTH bytes into TEXT of SIZE; false if it is too long or broken. */
static bool decode(const char *value, size_t length, char *text, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < length; i++) {
        char letter = value[i];

        if (letter == '+')
            letter = ' ';
        if (letter == '%') {
            char digits[3] = { 0 }, *end;

            if (length - i < 3)
                return false;
            memcpy(digits, value + i + 1, 2);
            letter = (char)strtol(digits, &end, 16);
            if (*end || letter == 0)
                return false;
            i += 2;
        }
        if (used + 1 >= size)
            return false;
        text[used++] = letter;
    }
    text[used] = 0;
    return true;
}

bool dash_query(struct view_request *request, const char *query)
{
    char order[16] = "rate", first[16] = "0", filter[64] = "", words[120];
    struct {
        const char *name;
        char *text;
        size_t size;
    } known[] = { { "sort=", order, sizeof(order) },
                  { "first=", first, sizeof(first) },
                  { "filter=", filter, sizeof(filter) } };

    while (*query) {
        size_t length = strcspn(query, "&");

        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
            size_t name = strlen(known[i].name);

            if (strncmp(query, known[i].name, name) == 0 &&
                !decode(query + name, length - name, known[i].text, known[i].size))
                return false;
        }
        query += length + (query[length] == '&');
    }
    (void)snprintf(words, sizeof(words), "%s %s %d %s", order, first, DASH_ROWS, filter);
    return !view_read(request, words);
}
