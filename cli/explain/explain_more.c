/* SPDX-License-Identifier: MIT */
/*
 * explain_more.c -- which of the things that `tenon explain` explains was asked for.
 *
 * A word with a scheme, a slash or a port behind a colon is an address; no name of a call,
 * a flag or an error has one.
 */
#include "explain_more.h"

#include <string.h>

#include "report.h"

static bool is_address(const char *word)
{
    const char *colon = strrchr(word, ':');

    if (word[0] == '-' || strchr(word, ' '))
        return false;
    return strchr(word, '/') || word[0] == '[' || (colon && colon[1]);
}

bool explain_is_more(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0 ||
            strncmp(argv[i], "--from-socat", 12) == 0 || is_address(argv[i]))
            return true;
    }
    return false;
}

int explain_more_main(struct settings *settings)
{
    if (!settings->from_socat)
        return explain_address(settings, settings->operands, settings->operand_count);
    if (settings->operand_count)
        return report_error(EXIT_USAGE, "option", "--from-socat",
                            "takes one word: put the line into quotes");
    return explain_socat(settings->from_socat);
}
