/* SPDX-License-Identifier: MIT */
/*
 * socat_line.c -- the words of a line as a shell would see them, and socat's own options.
 */
#include "socat.h"

#include <string.h>

/* The next word at *TEXT, without its quotes, into OUT of ROOM; its size, or -1: no end. */
static int next_word(const char **text, char *out, size_t room)
{
    size_t size = 0;
    char quote = 0;

    for (; **text && (quote || !strchr(" \t\n", **text)); ++*text) {
        char byte = **text;

        if (byte == quote) {
            quote = 0;
            continue;
        }
        if (!quote && (byte == '\'' || byte == '"')) {
            quote = byte;
            continue;
        }
        if (byte == '\\' && quote != '\'' && (*text)[1])
            byte = *++*text;
        if (size + 1 >= room)
            return -1;
        out[size++] = byte;
    }
    out[size] = 0;
    return quote ? -1 : (int)size;
}

static const char *split(struct socat_line *line, const char *text, const char **at)
{
    size_t used = 0;

    for (;;) {
        char *word = line->text + used;
        int size;

        text += strspn(text, " \t\n");
        if (!*text)
            return NULL;
        *at = text;
        if (line->word_count == (int)(sizeof(line->words) / sizeof(line->words[0])))
            return "too many words";
        size = next_word(&text, word, sizeof(line->text) - used);
        if (size < 0)
            return "a quote without its end, or too long a line";
        line->words[line->word_count++] = word;
        used += (size_t)size + 1;
    }
}

/* One of socat's own options; *NEXT is the word behind it.  False if it is not known. */
static bool take_option(struct socat_line *line, const char *word, int *next)
{
    static const char *const with_value[] = { "-b", "-t", "-T", "-L",
                                              "-W", "-S", "-r", "-R" };

    if (strcmp(word, "-u") == 0 || strcmp(word, "-U") == 0) {
        line->only_right |= word[1] == 'u';
        line->only_left |= word[1] == 'U';
    } else if (strcmp(word, "-v") == 0 || strcmp(word, "-x") == 0) {
        line->dump = true;
    } else if (strcmp(word, "-4") == 0 || strcmp(word, "-6") == 0) {
        line->family = word[1] - '0';
    } else if (strncmp(word, "-d", 2) == 0 || strncmp(word, "-l", 2) == 0 ||
               strcmp(word, "-s") == 0 || strcmp(word, "-g") == 0 ||
               strcmp(word, "-D") == 0 || strcmp(word, "--statistics") == 0) {
        return true; /* what it says of itself */
    } else {
        for (size_t i = 0; i < sizeof(with_value) / sizeof(with_value[0]); i++) {
            const char *value = word + 2;
            if (strncmp(word, with_value[i], 2) != 0)
                continue;
            if (!*value)
                value = *next < line->word_count ? line->words[(*next)++] : "";
            if (word[1] == 'T')
                line->idle = value;
            return word[1] == 'b' || word[1] == 't' || word[1] == 'T';
        }
        return false;
    }
    return true;
}

const char *socat_read(struct socat_line *line, const char *text, const char **at)
{
    const char *why;
    int next = 0, ends = 0;

    memset(line, 0, sizeof(*line));
    why = split(line, text, at);
    if (why)
        return why;
    if (line->word_count > 0) {
        const char *name = strrchr(line->words[0], '/');
        next = strcmp(name ? name + 1 : line->words[0], "socat") == 0;
    }
    while (next < line->word_count) {
        const char *word = line->words[next++];

        *at = word;
        if (word[0] == '-' && word[1] && word[1] != ',' && ends == 0) {
            if (!take_option(line, word, &next))
                return "this option of socat's has no counterpart";
        } else if (ends == 2) {
            return "a third address";
        } else if (!socat_end_read(&line->ends[ends++], word)) {
            return "too long";
        }
    }
    *at = text;
    return ends == 2 ? NULL : "socat takes two addresses";
}
