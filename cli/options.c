/* SPDX-License-Identifier: MIT */
/*
 * options.c -- reading the command line by the one table of options.
 *
 * Written out rather than getopt_long(3): the table stays the only list of options,
 * and there is no hidden state.  What getopt_long accepts is accepted: clusters (-lkv),
 * values joined or apart (-w3, -w 3, --max-time=3, --max-time 3), operands in between.
 *
 * Always true: nothing is stored in a field before its value has been checked.
 */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

void options_defaults(struct settings *settings)
{
    memset(settings, 0, sizeof(*settings));
    settings->after_end = UNLIMITED;
    settings->max_time = UNLIMITED;
    settings->idle_timeout = UNLIMITED;
    settings->wait = UNLIMITED;
    settings->connect_timeout = 10 * TN_SECOND;
    settings->retries = -1; /* not given */
    settings->duration = 10 * TN_SECOND;
    settings->warmup = TN_SECOND;
    settings->interval = TN_SECOND;
    settings->fin_timeout = UNLIMITED;
    settings->check_interval = 2 * TN_SECOND;
    settings->rise = 2;
    settings->fall = 3;
}

/* The words being read. */
struct reader {
    struct settings *settings;
    int count;
    char **words;
    int next;
};

static int complain_value(const char *where, const char *value, const char *wanted)
{
    return report_error(EXIT_USAGE, "option", where, "'%s' is no %s", value, wanted);
}

static bool needs_none(enum option_kind kind)
{
    return kind == OPTION_FLAG || kind == OPTION_COUNTER || kind == OPTION_JSON;
}

static int add_word(struct words *words, const char *value, const char *where)
{
    if (words->count == WORDS_MAX)
        return report_error(EXIT_USAGE, "option", where, "more than %d of them",
                            WORDS_MAX);
    words->list[words->count++] = value;
    return 0;
}

/* Store VALUE for OPTION.  WHERE is how it was written, for a complaint. */
static int set_value(struct settings *settings, const struct option *option,
                     const char *value, const char *where)
{
    void *field = (char *)settings + option->field;
    int least;

    if (!value && !needs_none(option->kind))
        return report_error(EXIT_USAGE, "option", where, "needs a value, %s",
                            option->value);
    settings->given[option - option_table] = true;
    switch (option->kind) {
    case OPTION_FLAG:
        *(bool *)field = true;
        return 0;
    case OPTION_COUNTER:
        ++*(int64_t *)field;
        return 0;
    case OPTION_TEXT:
        *(const char **)field = value;
        return 0;
    case OPTION_JSON:
        settings->json = true;
        settings->json_file = value;
        return 0;
    case OPTION_WORDS:
        return add_word(field, value, where);
    case OPTION_DURATION:
    case OPTION_WAIT:
        return (option->kind == OPTION_WAIT ? value_wait : value_duration)(value, field)
                   ? 0
                   : complain_value(where, value, "length of time such as 2s or 500ms");
    case OPTION_SIZE:
        return value_size(value, field)
                   ? 0
                   : complain_value(where, value, "size such as 64k or 1m");
    case OPTION_RATE:
        return value_rate(value, field) && *(int64_t *)field > 0
                   ? 0
                   : complain_value(where, value, "rate such as 500 or 20k");
    case OPTION_NUMBER:
    case OPTION_COUNT:
        least = option->kind == OPTION_NUMBER;
        return value_number(value, least, option->most, field)
                   ? 0
                   : report_error(EXIT_USAGE, "option", where,
                                  "'%s' is no number from %d to %lld", value, least,
                                  (long long)option->most);
    }
    return 0;
}

static const struct option *find_name(const char *name, size_t size)
{
    for (size_t i = 0; i < option_count; i++) {
        const char *known = option_table[i].name;
        if (known && strlen(known) == size && memcmp(known, name, size) == 0)
            return &option_table[i];
    }
    return NULL;
}

static const struct option *find_letter(char letter)
{
    for (size_t i = 0; i < option_count; i++) {
        if (option_table[i].letter == letter)
            return &option_table[i];
    }
    return NULL;
}

static int complain_unknown(const char *word, size_t size)
{
    int code =
        report_error(EXIT_USAGE, "option", "", "there is no %.*s", (int)size, word);

    report_hint("tenon --help lists them");
    return code;
}

int options_set(struct settings *settings, const char *name, size_t size,
                const char *value, const char *where)
{
    const struct option *option = find_name(name, size);

    if (!option)
        return complain_unknown(name, size);
    if (!option->value && value)
        return report_error(EXIT_USAGE, "option", where, "takes no value");
    return set_value(settings, option, value, where);
}

/* --name, --name=value or --name value. */
static int read_long(struct reader *reader, const char *word)
{
    const char *name = word + 2;
    size_t size = strcspn(name, "=");
    const char *value = name[size] ? name + size + 1 : NULL;
    const struct option *option = find_name(name, size);

    if (!option)
        return complain_unknown(word, size + 2);
    if (!needs_none(option->kind) && !value && reader->next < reader->count)
        value = reader->words[reader->next++];
    return options_set(reader->settings, name, size, value, word);
}

/* -lkv, -w3 or -w 3. */
static int read_letters(struct reader *reader, const char *word)
{
    for (const char *letter = word + 1; *letter; letter++) {
        const struct option *option = find_letter(*letter);
        char written[3] = { '-', *letter, 0 };
        const char *value = NULL;
        int code;

        if (!option)
            return complain_unknown(written, 2);
        if (option->value && letter[1])
            value = letter + 1;
        else if (option->value && reader->next < reader->count)
            value = reader->words[reader->next++];
        code = set_value(reader->settings, option, value, written);
        if (code || value)
            return code;
    }
    return 0;
}

/* Does "--" begin a program?  The verb is the first operand, if it is named at all. */
static bool program_follows(const struct settings *settings)
{
    const char *verb = settings->operands[0];

    return settings->exec || (verb && strcmp(verb, "wait") == 0);
}

int options_read(struct settings *settings, int argc, char **argv)
{
    struct reader reader = { settings, argc, argv, 0 };
    bool only_operands = false;
    int code = 0;

    settings->operands = calloc((size_t)argc + 1, sizeof(settings->operands[0]));
    if (!settings->operands)
        return report_error(EXIT_OTHER, "start", "", "out of memory");
    while (reader.next < argc) {
        const char *word = argv[reader.next++];
        int result = 0;

        if (only_operands || word[0] != '-' || !word[1]) {
            settings->operands[settings->operand_count++] = word;
        } else if (strcmp(word, "--") == 0) {
            if (program_follows(settings)) {
                settings->command = argv + reader.next;
                break;
            }
            only_operands = true;
        } else if (word[1] == '-') {
            result = read_long(&reader, word);
        } else {
            result = read_letters(&reader, word);
        }
        code = code ? code : result;
    }
    return code;
}

void options_settle(struct settings *settings)
{
    if (settings->wait != UNLIMITED) {
        settings->connect_timeout = settings->wait;
        settings->idle_timeout = settings->wait;
    }
    if (settings->no_wait)
        settings->after_end = 0;
}

void options_release(struct settings *settings)
{
    free(settings->operands);
    settings->operands = NULL;
}

bool options_given(const struct settings *settings, const char *name)
{
    const struct option *option = find_name(name, strlen(name));

    return option && settings->given[option - option_table];
}

int options_suit(const struct settings *settings)
{
    for (size_t i = 0; i < option_count; i++) {
        const struct option *option = &option_table[i];
        char written[32] = { '-', option->letter };

        if (!settings->given[i] || option->verbs & settings->verb)
            continue;
        if (!option->letter)
            (void)snprintf(written, sizeof(written), "--%s", option->name);
        report_error(EXIT_USAGE, "option", written, "%s does not take it",
                     settings->verb_name);
        if (option->letter == 'k')
            report_hint("-k keeps a listener open and goes with -l");
        else
            report_hint("tenon %s --help lists what it takes", settings->verb_name);
        return EXIT_USAGE;
    }
    return 0;
}
