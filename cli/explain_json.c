/* SPDX-License-Identifier: MIT */
/*
 * explain_json.c -- an entry as one JSON object on one line.
 *
 * The texts are our own table, the asked name comes from the command line: so strings
 * are escaped in full, and bytes that are not ASCII are passed on as they are.
 */
#include "explain_print.h"

#include <stdio.h>
#include <string.h>

static void put_string(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\')
            printf("\\%c", byte);
        else if (byte < 0x20 || byte == 0x7f)
            printf("\\u%04x", byte);
        else
            putchar(byte);
    }
    putchar('"');
}

/* ,"key":"text", or nothing when there is no text. */
static void put_field(const char *key, const char *text)
{
    if (text == NULL)
        return;
    printf(",\"%s\":", key);
    put_string(text);
}

/* ,"key":["word",...] from words with spaces between. */
static void put_words(const char *key, const char *words)
{
    printf(",\"%s\":[", key);
    for (const char *word = words; *word != '\0';) {
        size_t length = strcspn(word, " ");
        printf("%s\"%.*s\"", word == words ? "" : ",", (int)length, word);
        word += length;
        word += strspn(word, " ");
    }
    putchar(']');
}

/* The reasons of an errno; for one call only when CALL is given. */
static void put_reasons(int number, const char *call, enum explain_lang lang)
{
    const char *comma = "";

    printf(",\"when\":[");
    for (size_t i = 0; i < explain_when_count; i++) {
        const struct explain_when *when = &explain_whens[i];
        if (when->number != number || (call && !explain_list_has(when->calls, call)))
            continue;
        printf("%s{\"text\":", comma);
        put_string(when->text.in[lang]);
        put_words("calls", when->calls);
        putchar('}');
        comma = ",";
    }
    putchar(']');
}

static void put_errors_of(const char *call, enum explain_lang lang)
{
    const char *comma = "";

    printf(",\"errors\":[");
    for (size_t i = 0; i < explain_entry_count; i++) {
        const struct explain_entry *entry = &explain_entries[i];
        if (entry->kind != EXPLAIN_ERRNO || !explain_call_gives(call, (int)entry->number))
            continue;
        printf("%s{\"name\":\"%s\",\"number\":%ld", comma, entry->name, entry->number);
        put_reasons((int)entry->number, call, lang);
        putchar('}');
        comma = ",";
    }
    putchar(']');
}

void print_json(const struct explain_entry *entry, const char *asked,
                enum explain_lang lang)
{
    static const char *const kinds[] = { "errno", "call", "flag", "word" };

    printf("{\"v\":1,\"name\":\"%s\",\"kind\":\"%s\"", entry->name, kinds[entry->kind]);
    put_field("asked", asked);
    put_field("lang", lang == EXPLAIN_ZH ? "zh" : "en");
    if (entry->kind == EXPLAIN_ERRNO || entry->kind == EXPLAIN_FLAG)
        printf(",\"number\":%ld", entry->number);
    if (entry->kind == EXPLAIN_ERRNO)
        put_field("message", strerror((int)entry->number));
    put_field("title", entry->title.in[lang]);
    if (entry->kind == EXPLAIN_CALL)
        printf(",\"tenon\":\"tn_fd_%s\"", entry->name);
    put_field("signature", entry->signature);
    put_field("about", entry->about.in[lang]);
    put_field("parks", entry->parks.in[lang]);
    if (entry->kind == EXPLAIN_ERRNO)
        put_reasons((int)entry->number, NULL, lang);
    put_field("bytes", entry->bytes.in[lang]);
    put_field("advice", entry->advice.in[lang]);
    put_field("belief", entry->belief.in[lang]);
    if (entry->kind == EXPLAIN_CALL)
        put_errors_of(entry->name, lang);
    put_words("see", entry->see);
    puts("}");
}
