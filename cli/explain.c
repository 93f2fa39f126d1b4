/* SPDX-License-Identifier: MIT */
/*
 * explain.c -- `tenon explain [--json] [NAME...]`: the manual for three in the morning.
 *
 * Without a name it lists what there is.  The language is the locale's, read from the
 * variables' text alone, so Chinese needs no installed locale.
 */
#include "explain.h"
#include "explain_find.h"
#include "explain_print.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { STATUS_OK = 0, STATUS_USAGE = 2, STATUS_OUTPUT = 8 };

/* zh, and a character set we can print: none named, or UTF-8. */
static bool names_chinese(const char *locale)
{
    const char *charset = strchr(locale, '.');

    if (strncmp(locale, "zh", 2) != 0 || strchr("_.@-", locale[2]) == NULL)
        return false;
    return charset == NULL || strncasecmp(charset, ".utf-8", 6) == 0 ||
           strncasecmp(charset, ".utf8", 5) == 0;
}

/* As setlocale would choose: the first of the three that is set and not empty. */
static enum explain_lang choose_language(void)
{
    static const char *const variables[] = { "LC_ALL", "LC_MESSAGES", "LANG" };

    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        const char *locale = getenv(variables[i]);
        if (locale != NULL && *locale != '\0')
            return names_chinese(locale) ? EXPLAIN_ZH : EXPLAIN_EN;
    }
    return EXPLAIN_EN;
}

/* One line: no such name, and what may have been meant. */
static void complain(const char *name, const struct found *found, enum explain_lang lang)
{
    bool zh = lang == EXPLAIN_ZH;

    fputs("tenon: explain ", stderr);
    for (; *name != '\0'; name++) /* the name as typed, but never a control character */
        fputc((unsigned char)*name < 0x20 || *name == 0x7f ? '?' : *name, stderr);
    fputs(zh ? "：没有这个名字" : ": no such name", stderr);
    for (size_t i = 0; i < found->near_count; i++) {
        if (i == 0)
            fputs(zh ? "；是不是 " : "; did you mean ", stderr);
        else if (i + 1 < found->near_count)
            fputs(zh ? "、" : ", ", stderr);
        else
            fputs(zh ? " 或 " : " or ", stderr);
        fputs(found->near[i]->name, stderr);
    }
    if (found->near_count > 0)
        fputs(zh ? "？\n" : "?\n", stderr);
    else
        fputs(zh ? "（tenon explain 列出全部）\n"
                 : " (`tenon explain` lists what there is)\n",
              stderr);
}

static int explain_one(const char *name, bool json, enum explain_lang lang)
{
    struct found found;

    find_entry(name, &found);
    if (found.entry == NULL) {
        complain(name, &found, lang);
        return STATUS_USAGE;
    }
    if (json) {
        print_json(found.entry, name, lang);
        return STATUS_OK;
    }
    if (found.misspelt)
        printf(lang == EXPLAIN_ZH ? "%s 拼错了：正确的名字是 %s。\n\n"
                                  : "%s is misspelt: the right name is %s.\n\n",
               name, found.entry->name);
    else if (found.renamed)
        printf(lang == EXPLAIN_ZH ? "%s 就是 %s。\n\n" : "%s is %s.\n\n", name,
               found.entry->name);
    print_entry(found.entry, lang);
    return STATUS_OK;
}

static void list_all(bool json, enum explain_lang lang)
{
    if (!json) {
        print_list(lang);
        return;
    }
    for (size_t i = 0; i < explain_entry_count; i++)
        print_json(&explain_entries[i], explain_entries[i].name, lang);
}

/* Is STATUS true?  Only if all of it was written. */
static int finish(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    if (errno == EPIPE)
        return status;
    fprintf(stderr, "tenon: explain: standard output: %s\n", strerror(errno));
    return STATUS_OUTPUT;
}

/* Take the options out of ARGV; the names stay in front. *COUNT becomes their number. */
static int parse(int argc, char **argv, int *count, bool *json, bool *help)
{
    bool options = true;

    *count = 0;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        bool number = word[0] == '-' && word[1] >= '0' && word[1] <= '9'; /* -32 */
        if (!options || word[0] != '-' || number) {
            argv[(*count)++] = argv[i];
        } else if (strcmp(word, "--") == 0) {
            options = false;
        } else if (strcmp(word, "--json") == 0) {
            *json = true;
        } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            *help = true;
        } else {
            fprintf(stderr, "tenon: explain: unknown option %s (there is --json)\n",
                    word);
            return STATUS_USAGE;
        }
    }
    return STATUS_OK;
}

int explain_main(int argc, char **argv)
{
    enum explain_lang lang = choose_language();
    bool json = false, help = false;
    int count;
    int status = parse(argc, argv, &count, &json, &help);

    if (status != STATUS_OK)
        return status;
    if (count == 0 || help) {
        list_all(json && !help, lang);
        return finish(STATUS_OK);
    }
    for (int i = 0; i < count; i++) {
        if (i > 0 && !json)
            puts("");
        if (explain_one(argv[i], json, lang) != STATUS_OK)
            status = STATUS_USAGE;
    }
    return finish(status);
}
