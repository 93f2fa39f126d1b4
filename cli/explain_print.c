/* SPDX-License-Identifier: MIT */
/*
 * explain_print.c -- an entry as people read it, and the list of all of them.
 */
#include "explain_print.h"
#include "explain_wrap.h"

#include <stdio.h>
#include <string.h>

enum { NAME_COLUMN = 20 }; /* where titles begin in lists; the longest name has 16 */

static void print_section(const char *heading, const char *text)
{
    if (text == NULL)
        return;
    printf("\n%s\n  ", heading);
    wrap_print(text, 2, 2);
}

static void print_titled(const struct explain_entry *entry, enum explain_lang lang)
{
    printf("  %s", entry->name);
    wrap_spaces(NAME_COLUMN - 2 - strlen(entry->name));
    wrap_print(entry->title.in[lang], NAME_COLUMN, NAME_COLUMN);
}

static void print_head(const struct explain_entry *entry, enum explain_lang lang)
{
    if (entry->kind == EXPLAIN_ERRNO)
        printf("%s (errno %ld, \"%s\")\n", entry->name, entry->number,
               strerror((int)entry->number));
    else if (entry->kind == EXPLAIN_FLAG)
        printf("%s (%#lx)\n", entry->name, (unsigned long)entry->number);
    else if (entry->kind == EXPLAIN_CALL)
        printf("%s, tn_fd_%s\n", entry->name, entry->name);
    else
        printf("%s\n", entry->name);
    printf("  ");
    wrap_print(entry->title.in[lang], 2, 2);
    if (entry->signature != NULL) {
        printf("\n  ");
        wrap_print(entry->signature, 2, 6);
    }
}

/* The reasons of an errno, each under the calls that give it. */
static void print_reasons(int number, enum explain_lang lang)
{
    printf("\n%s\n", lang == EXPLAIN_ZH ? "哪些调用，什么时候" : "Which calls, and when");
    for (size_t i = 0; i < explain_when_count; i++) {
        if (explain_whens[i].number != number)
            continue;
        printf("  ");
        wrap_print(explain_whens[i].calls, 2, 2);
        wrap_spaces(6);
        wrap_print(explain_whens[i].text.in[lang], 6, 6);
    }
}

/* What a call can give: found in the reasons of every errno. */
static void print_errors_of(const char *call, enum explain_lang lang)
{
    printf("\n%s\n", lang == EXPLAIN_ZH ? "可能的错误" : "Errors");
    for (size_t e = 0; e < explain_entry_count; e++) {
        const struct explain_entry *entry = &explain_entries[e];
        if (entry->kind != EXPLAIN_ERRNO || !explain_call_gives(call, (int)entry->number))
            continue;
        print_titled(entry, lang);
        for (size_t i = 0; i < explain_when_count; i++) {
            if (explain_whens[i].number != entry->number ||
                !explain_list_has(explain_whens[i].calls, call))
                continue;
            wrap_spaces(NAME_COLUMN);
            printf("- ");
            wrap_print(explain_whens[i].text.in[lang], NAME_COLUMN + 2, NAME_COLUMN + 2);
        }
    }
}

void print_entry(const struct explain_entry *entry, enum explain_lang lang)
{
    static const char *const about[] = { "What it does", "做什么" };
    static const char *const parks[] = { "The task", "任务" };
    static const char *const result[] = { "What the result says about the bytes",
                                          "返回值说明字节到了哪里" };
    static const char *const bytes[] = { "What happened to the bytes", "字节怎么样了" };
    static const char *const advice[] = { "What to do", "怎么办" };
    static const char *const belief[] = { "Often believed, but not so", "常见的误解" };
    static const char *const see[] = { "See also", "参见" };

    print_head(entry, lang);
    if (entry->kind == EXPLAIN_ERRNO)
        print_reasons((int)entry->number, lang);
    print_section(about[lang], entry->about.in[lang]);
    print_section(parks[lang], entry->parks.in[lang]);
    print_section(entry->kind == EXPLAIN_CALL ? result[lang] : bytes[lang],
                  entry->bytes.in[lang]);
    print_section(advice[lang], entry->advice.in[lang]);
    print_section(belief[lang], entry->belief.in[lang]);
    if (entry->kind == EXPLAIN_CALL)
        print_errors_of(entry->name, lang);
    if (entry->see[0] != '\0')
        print_section(see[lang], entry->see);
}

static void print_kind(enum explain_kind kind, enum explain_lang lang)
{
    for (size_t i = 0; i < explain_entry_count; i++)
        if (explain_entries[i].kind == kind)
            print_titled(&explain_entries[i], lang);
}

void print_list(enum explain_lang lang)
{
    puts(lang == EXPLAIN_ZH ? "用法：tenon explain 名字...（调用、错误码或其数字、标志）"
                            : "usage: tenon explain NAME...   (a call, an errno or its "
                              "number, a flag)");
    puts(lang == EXPLAIN_ZH ? "\n调用" : "\nCalls");
    print_kind(EXPLAIN_CALL, lang);
    puts(lang == EXPLAIN_ZH ? "\n错误码" : "\nErrors");
    print_kind(EXPLAIN_ERRNO, lang);
    puts(lang == EXPLAIN_ZH ? "\n标志、选项和其它" : "\nFlags, options and words");
    print_kind(EXPLAIN_FLAG, lang);
    print_kind(EXPLAIN_WORD, lang);
}
