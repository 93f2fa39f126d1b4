/* SPDX-License-Identifier: MIT */
/*
 * completion.c -- tenon --completion bash|zsh|fish, and what the three have in common.
 *
 * Without a verb the options are connect's, as on the command line.
 */
#include "completion.h"

#include <stdio.h>
#include <string.h>

#include "report.h"

int completion_print(const char *shell)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } shells[] = { { "bash", completion_bash },
                   { "zsh", completion_zsh },
                   { "fish", completion_fish } };

    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
        if (strcmp(shell, shells[i].name) == 0) {
            shells[i].print();
            return 0;
        }
    }
    return report_error(EXIT_USAGE, "option", "--completion",
                        "'%s' is none of bash, zsh and fish", shell);
}

enum completion_operand completion_operand(const struct verb *verb, const char **words)
{
    static const char kinds[] = "echo discard chargen daytime time bench";

    if (verb->bit == VERB_SERVE) {
        *words = kinds;
        return OPERAND_WORDS;
    }
    if (verb->bit == VERB_CTL || verb->bit == VERB_TOP) {
        *words = "$(" COMPLETION_RUNNING ")";
        return OPERAND_RUNNING;
    }
    return (verb->bit & (VERB_SEND | VERB_RECV | VERB_COMPARE)) ? OPERAND_FILE
                                                                : OPERAND_HOST;
}

bool completion_shows(const struct verb *verb, const struct option *option)
{
    return option->help && (option->verbs & verb->bit);
}

bool completion_wants_file(const struct option *option)
{
    return option->value && option->kind != OPTION_JSON &&
           strcmp(option->value, "FILE") == 0;
}

bool completion_wants_value(const struct option *option)
{
    return option->value && option->kind != OPTION_JSON;
}

void completion_put(const char *text, const char *special)
{
    for (; *text; text++) {
        if (strchr(special, *text))
            (void)putchar('\\');
        (void)putchar(*text);
    }
}
