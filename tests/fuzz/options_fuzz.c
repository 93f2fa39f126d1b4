/* SPDX-License-Identifier: MIT */
/*
 * options_fuzz.c -- a whole command line, its words ended by newlines: options, operands,
 * and the address they make, with the options behind its question mark.
 */
#include "fuzz.h"

#include <sys/socket.h>

#include "report.h"
#include "where.h"

enum { WORDS_MOST = 40 };

static size_t split(char *text, char **words)
{
    size_t count = 0;
    char *line;

    while (count < WORDS_MOST && (line = strsep(&text, "\n")) != NULL)
        words[count++] = line;
    words[count] = NULL;
    return count;
}

static void check_settings(const struct settings *settings)
{
    fuzz_must(settings->operand_count >= 0 && settings->operand_count <= WORDS_MOST);
    fuzz_must(settings->allow.count >= 0 && settings->allow.count <= WORDS_MAX);
    fuzz_must(settings->max_time >= 0 && settings->connect_timeout >= 0);
    fuzz_must(settings->idle_timeout >= 0 && settings->wait >= 0);
    fuzz_must(settings->port >= 0 && settings->port <= 65535);
    for (int i = 0; i < settings->operand_count; i++)
        fuzz_must(settings->operands[i] != NULL);
}

static void read_where(struct settings *settings)
{
    struct where where;
    tn_addr addr;
    int code = where_read(&where, settings, settings->operands, settings->operand_count);

    if (code) {
        fuzz_must(code == EXIT_USAGE || code == EXIT_NAME);
        return;
    }
    check_settings(settings);
    fuzz_must(!tn_failed(tn_addr_check(where.text, NULL)));
    fuzz_must(where.is_unix == (strncmp(where.name, "unix ", 5) == 0));
    if (!tn_failed(tn_addr_parse(where.text, &addr)))
        fuzz_must(where.is_unix == (addr.as.family == AF_UNIX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    char *words[WORDS_MOST + 1];
    struct settings settings;
    int count = (int)split(text, words), code;

    options_defaults(&settings);
    code = options_read(&settings, count, words);
    fuzz_must(code == 0 || code == EXIT_USAGE);
    if (!code) {
        check_settings(&settings);
        settings.verb = settings.listen ? VERB_LISTEN : VERB_CONNECT;
        code = options_suit(&settings);
        fuzz_must(code == 0 || code == EXIT_USAGE);
        read_where(&settings);
    }
    options_release(&settings);
    free(text);
    return 0;
}
