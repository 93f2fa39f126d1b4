/* SPDX-License-Identifier: MIT */
/*
 * gen_explain.c -- print docs/errors.md, or a man page's section ERRORS, from the table.
 *
 * tools/gen-explain compiles and runs it.  Output depends on the table alone (numbers are
 * those of the machine it runs on), so that a stale file can be told by comparing.
 */
#include "explain_table.h"

#include <stdio.h>
#include <string.h>

static enum explain_lang lang = EXPLAIN_EN;

static const char *say(const char *en, const char *zh)
{
    return lang == EXPLAIN_ZH ? zh : en;
}

/* TEXT with the characters Markdown would take for its own made harmless. */
static void markdown(const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("*<>|", *text) != NULL)
            putchar('\\');
        putchar(*text);
    }
}

static void paragraph(const char *heading, const char *text)
{
    if (text == NULL)
        return;
    printf("\n**%s** ", heading);
    markdown(text);
    putchar('\n');
}

/* One word of a list, as a link to its own heading. */
static void link_to(const char *word, size_t length)
{
    printf("[`%.*s`](#", (int)length, word);
    for (size_t i = 0; i < length; i++)
        putchar(word[i] >= 'A' && word[i] <= 'Z' ? word[i] - 'A' + 'a' : word[i]);
    putchar(')');
}

/* The words of LIST as links, commas between. */
static void links(const char *list)
{
    for (const char *comma = ""; *list != '\0'; comma = ", ") {
        size_t length = strcspn(list, " ");
        fputs(comma, stdout);
        link_to(list, length);
        list += length;
        list += strspn(list, " ");
    }
}

static void reasons(long number)
{
    putchar('\n');
    for (size_t i = 0; i < explain_when_count; i++) {
        if (explain_whens[i].number != number)
            continue;
        printf("- ");
        links(explain_whens[i].calls);
        fputs(say(": ", "："), stdout);
        markdown(explain_whens[i].text.in[lang]);
        putchar('\n');
    }
}

static bool gives(const char *call, const struct explain_entry *entry)
{
    return entry->kind == EXPLAIN_ERRNO && explain_call_gives(call, (int)entry->number);
}

/* The errnos of a call; the reasons stand with each of them. */
static void errors_of(const char *call)
{
    const char *comma = "";

    printf("\n**%s** ", say("Errors:", "可能的错误："));
    for (size_t i = 0; i < explain_entry_count; i++) {
        if (!gives(call, &explain_entries[i]))
            continue;
        fputs(comma, stdout);
        link_to(explain_entries[i].name, strlen(explain_entries[i].name));
        comma = ", ";
    }
    putchar('\n');
}

static void entry_print(const struct explain_entry *entry)
{
    printf("\n### %s\n\n", entry->name);
    if (entry->kind == EXPLAIN_ERRNO)
        printf("%s %ld%s", say("Number", "编号"), entry->number, say(": ", "："));
    markdown(entry->title.in[lang]);
    fputs(say(".\n", "。\n"), stdout);
    if (entry->signature != NULL)
        printf("\n```c\n%s\n```\n", entry->signature);
    if (entry->kind == EXPLAIN_ERRNO)
        reasons(entry->number);
    paragraph(say("What it does:", "做什么："), entry->about.in[lang]);
    paragraph(say("The task:", "任务："), entry->parks.in[lang]);
    paragraph(say("The bytes:", "字节："), entry->bytes.in[lang]);
    paragraph(say("What to do:", "怎么办："), entry->advice.in[lang]);
    paragraph(say("Often believed, but not so:", "常见的误解："), entry->belief.in[lang]);
    if (entry->kind == EXPLAIN_CALL)
        errors_of(entry->name);
    if (entry->see[0] != '\0') {
        printf("\n%s ", say("See also", "参见"));
        links(entry->see);
        putchar('\n');
    }
}

static void kinds(const char *heading, enum explain_kind first, enum explain_kind last)
{
    printf("\n## %s\n", heading);
    for (size_t i = 0; i < explain_entry_count; i++)
        if (explain_entries[i].kind >= first && explain_entries[i].kind <= last)
            entry_print(&explain_entries[i]);
}

static void document(void)
{
    puts(say("# The socket calls and their errors\n", "# 套接字调用与错误码\n"));
    puts(say(
        "Made from the table of `tenon explain` by `tools/gen-explain --write`; do not "
        "edit.\nWhat stands here is what Linux does, also where its man pages say "
        "otherwise.\n中文：[errors.zh.md](errors.zh.md)",
        "由 `tools/gen-explain --write` 从 `tenon explain` 的表生成，请勿手改。\n"
        "写的是 Linux 实际怎么做，包括与手册页不同之处。\n"
        "English: [errors.md](errors.md)"));
    kinds(say("Errors", "错误码"), EXPLAIN_ERRNO, EXPLAIN_ERRNO);
    kinds(say("Calls", "调用"), EXPLAIN_CALL, EXPLAIN_CALL);
    kinds(say("Flags, options and words", "标志、选项和其它"), EXPLAIN_FLAG,
          EXPLAIN_WORD);
}

/* One line of man(7): it may not begin as a request, nor hold a bare minus. */
static void roff(const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", stdout);
    for (; *text != '\0'; text++) {
        if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == '-')
            fputs("\\-", stdout);
        else
            putchar(*text);
    }
    putchar('\n');
}

static int man_errors(const char *call)
{
    const struct explain_entry *of = explain_exact(call);

    if (of == NULL || of->kind != EXPLAIN_CALL) {
        fprintf(stderr, "gen-explain: no call is named %s\n", call);
        return 2;
    }
    puts(".SH ERRORS");
    for (size_t e = 0; e < explain_entry_count; e++) {
        const struct explain_entry *entry = &explain_entries[e];
        if (!gives(call, entry))
            continue;
        for (size_t i = 0; i < explain_when_count; i++) {
            const struct explain_when *when = &explain_whens[i];
            if (when->number != entry->number || !explain_list_has(when->calls, call))
                continue;
            printf(".TP\n.B %s\n", entry->name);
            roff(when->text.in[lang]);
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    int word = 1;

    if (word < argc && strcmp(argv[word], "--zh") == 0) {
        lang = EXPLAIN_ZH;
        word++;
    }
    if (word == argc) {
        document();
        return 0;
    }
    if (word + 2 == argc && strcmp(argv[word], "--man") == 0)
        return man_errors(argv[word + 1]);
    fputs("usage: gen-explain [--zh] [--man CALL] | --write | --check\n", stderr);
    return 2;
}
