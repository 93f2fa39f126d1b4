/* SPDX-License-Identifier: MIT */
/*
 * bash.c -- the script for bash: one function, which looks for the verb, then at the word
 * before, then offers options, words or files.
 */
#include <stdio.h>

#include "completion.h"

/* The long and short names of what VERB takes. */
static void put_options(const struct verb *verb)
{
    const char *before = "";

    for (size_t i = 0; i < option_count; i++) {
        const struct option *option = &option_table[i];
        if (!completion_shows(verb, option))
            continue;
        if (option->letter)
            (void)printf("%s-%c", before, option->letter);
        if (option->name)
            (void)printf("%s--%s", option->letter ? " " : before, option->name);
        before = " ";
    }
}

/* case labels of the options whose value is a file's name, or is not. */
static void put_labels(bool files)
{
    const char *before = "    ";

    for (size_t i = 0; i < option_count; i++) {
        const struct option *option = &option_table[i];
        if (!option->help || !completion_wants_value(option) ||
            completion_wants_file(option) != files)
            continue;
        if (option->letter)
            (void)printf("%s-%c", before, option->letter);
        if (option->name)
            (void)printf("%s--%s", option->letter ? "|" : before, option->name);
        before = "|";
    }
}

static void put_verb(const struct verb *verb)
{
    const char *words = "";
    enum completion_operand operand = completion_operand(verb, &words);

    (void)printf("    %s) options='", verb->name);
    put_options(verb);
    (void)printf("' kind='%s' words=%s%s%s ;;\n",
                 operand == OPERAND_FILE   ? "-f"
                 : operand == OPERAND_HOST ? "-A hostname"
                                           : "",
                 operand == OPERAND_RUNNING ? "" : "'", words,
                 operand == OPERAND_RUNNING ? "" : "'");
}

static void put_names(const char *between)
{
    const char *before = "";

    for (int i = 0; i < verb_count; i++) {
        if (!verb_table[i].summary)
            continue;
        (void)printf("%s%s", before, verb_table[i].name);
        before = between;
    }
}

void completion_bash(void)
{
    (void)printf("# bash completion for tenon, made by tenon --completion bash\n"
                 "_tenon()\n{\n"
                 "    local word=${COMP_WORDS[COMP_CWORD]} before='' verb='' i\n"
                 "    local options='' kind='' words=''\n"
                 "    COMPREPLY=()\n"
                 "    ((COMP_CWORD > 0)) && before=${COMP_WORDS[COMP_CWORD - 1]}\n"
                 "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                 "        case ${COMP_WORDS[i]} in\n"
                 "        -l | --listen) verb=listen ;;\n        ");
    put_names(" | ");
    (void)printf(") [[ $verb ]] || verb=${COMP_WORDS[i]} ;;\n"
                 "        esac\n    done\n    case $before in\n");
    put_labels(true);
    (void)printf(")\n        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
                 "        return ;;\n");
    put_labels(false);
    (void)printf(")\n        return ;;\n    esac\n    case ${verb:-connect} in\n");
    for (int i = 0; i < verb_count; i++) {
        if (verb_table[i].summary)
            put_verb(&verb_table[i]);
    }
    (void)printf("    esac\n    [[ $verb ]] || ((COMP_CWORD > 1)) || words='");
    put_names(" ");
    (void)printf(
        "'\n    if [[ $word == -* ]]; then\n"
        "        mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\")\n"
        "    else\n"
        "        # shellcheck disable=SC2086 # none, or an option and its word\n"
        "        mapfile -t COMPREPLY < <(compgen $kind -W \"$words\" -- "
        "\"$word\")\n"
        "    fi\n}\ncomplete -o filenames -F _tenon tenon\n");
}
