/* SPDX-License-Identifier: MIT */
/*
 * zsh.c -- the script for zsh: a list of verbs, then _arguments with the options of one.
 */
#include <stdio.h>

#include "completion.h"

/* Within single quotes, and there within [] of _arguments. */
static void put_help(const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            (void)printf("'\\''");
        else if (*text == '[' || *text == ']' || *text == ':' || *text == '\\')
            (void)printf("\\%c", *text);
        else
            (void)putchar(*text);
    }
}

/* '(-4 --ipv4)'{-4,--ipv4}'[help]:VALUE:_files' */
static void put_option(const struct option *option)
{
    bool value = completion_wants_value(option);
    const char *after = value && option->name ? "=" : "";

    (void)printf("            ");
    if (option->letter && option->name)
        (void)printf("'(-%c --%s)'{-%c%s,--%s%s}'", option->letter, option->name,
                     option->letter, value ? "+" : "", option->name, after);
    else if (option->name)
        (void)printf("'--%s%s", option->name, option->kind == OPTION_JSON ? "=-" : after);
    else
        (void)printf("'-%c%s", option->letter, value ? "+" : "");
    (void)printf("[");
    put_help(option->help);
    (void)printf("]");
    if (option->kind == OPTION_JSON)
        (void)printf("::%s:_files", option->value); /* may have one, behind "=" */
    else if (value)
        (void)printf(":%s:%s", option->value,
                     completion_wants_file(option) ? "_files" : "");
    (void)printf("' \\\n");
}

static void put_verb(const struct verb *verb)
{
    const char *words = "";
    enum completion_operand operand = completion_operand(verb, &words);

    (void)printf("    %s)\n        _arguments -s : \\\n", verb->name);
    for (size_t i = 0; i < option_count; i++) {
        if (completion_shows(verb, &option_table[i]))
            put_option(&option_table[i]);
    }
    if (operand == OPERAND_WORDS)
        (void)printf("            '1:kind:(%s)' ", words);
    if (operand == OPERAND_RUNNING) {
        (void)printf("            '1:name:(%s)' ;;\n", words);
        return;
    }
    (void)printf("'*:%s' ;;\n", operand == OPERAND_FILE ? "file:_files" : "host:_hosts");
}

void completion_zsh(void)
{
    (void)printf(
        "#compdef tenon\n# zsh completion for tenon, made by tenon --completion zsh\n"
        "_tenon() {\n    local verb=connect\n    local -a verbs\n    verbs=(\n");
    for (int i = 0; i < verb_count; i++) {
        if (!verb_table[i].summary)
            continue;
        (void)printf("        '%s:", verb_table[i].name);
        put_help(verb_table[i].summary);
        (void)printf("'\n");
    }
    (void)printf(
        "    )\n    if ((CURRENT == 2)) && [[ ${words[2]} != -* ]]; then\n"
        "        _describe -t verbs verb verbs\n        _hosts\n        return\n    fi\n"
        "    if ((${verbs[(I)${words[2]}:*]})); then\n"
        "        verb=${words[2]}\n        shift words\n        ((CURRENT--))\n"
        "    elif ((${words[(I)-l]} || ${words[(I)--listen]})); then\n"
        "        verb=listen\n    fi\n    case $verb in\n");
    for (int i = 0; i < verb_count; i++) {
        if (verb_table[i].summary)
            put_verb(&verb_table[i]);
    }
    (void)printf("    esac\n}\n_tenon \"$@\"\n");
}
