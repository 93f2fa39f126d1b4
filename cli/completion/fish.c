/* SPDX-License-Identifier: MIT */
/*
 * fish.c -- the script for fish: a line for each verb and each option.
 */
#include <stdio.h>

#include "completion.h"

static void put_quoted(const char *text)
{
    (void)putchar('\'');
    completion_put(text, "'\\");
    (void)putchar('\'');
}

/* The verbs that take OPTION, or those that do not. */
static void put_verbs(const struct option *option, bool taking)
{
    for (int i = 0; i < verb_count; i++) {
        const struct verb *verb = &verb_table[i];
        if (verb->summary && completion_shows(verb, option) == taking)
            (void)printf(" %s", verb->name);
    }
}

static void put_option(const struct option *option)
{
    bool connect = option->verbs & VERB_CONNECT; /* and so without a verb */

    (void)printf("complete -c tenon");
    if (option->verbs != VERB_ANY) {
        (void)printf(" -n '%s__fish_seen_subcommand_from", connect ? "not " : "");
        put_verbs(option, !connect);
        (void)printf("'");
    }
    if (option->letter)
        (void)printf(" -s %c", option->letter);
    if (option->name)
        (void)printf(" -l %s", option->name);
    if (completion_wants_value(option))
        (void)printf(completion_wants_file(option) ? " -r -F" : " -x");
    (void)printf(" -d ");
    put_quoted(option->help);
    (void)printf("\n");
}

static void put_verb(const struct verb *verb)
{
    const char *words = "";
    enum completion_operand operand = completion_operand(verb, &words);

    (void)printf("complete -c tenon -n __fish_use_subcommand -a %s -d ", verb->name);
    put_quoted(verb->summary);
    (void)printf("\n");
    if (operand == OPERAND_HOST)
        return;
    (void)printf("complete -c tenon -n '__fish_seen_subcommand_from %s' %s%s%s\n",
                 verb->name, operand == OPERAND_FILE ? "-F" : "-a '",
                 operand == OPERAND_RUNNING ? "(command -q tenon; and " COMPLETION_RUNNING
                                              ")"
                                            : words,
                 operand == OPERAND_FILE ? "" : "'");
}

void completion_fish(void)
{
    (void)printf("# fish completion for tenon, made by tenon --completion fish\n"
                 "complete -c tenon -f\n"
                 "complete -c tenon -n 'not __fish_seen_subcommand_from");
    for (int i = 0; i < verb_count; i++) {
        const char *words = "";
        if (verb_table[i].summary &&
            completion_operand(&verb_table[i], &words) != OPERAND_HOST)
            (void)printf(" %s", verb_table[i].name);
    }
    (void)printf("' -a '(__fish_print_hostnames)'\n");
    for (int i = 0; i < verb_count; i++) {
        if (verb_table[i].summary)
            put_verb(&verb_table[i]);
    }
    for (size_t i = 0; i < option_count; i++) {
        if (option_table[i].help)
            put_option(&option_table[i]);
    }
}
