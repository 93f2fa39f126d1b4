/* SPDX-License-Identifier: MIT */
/*
 * where.c -- from operands to one address.
 *
 * The words are put together into the one form that <tenon/addr.h> reads, which then
 * checks it; so there is one idea of what an address is, and nothing is looked up here.
 */
#include "where.h"

#include <stdio.h>
#include <string.h>

#include "report.h"

/* Put the parts together in WHERE->text.  False if they are too long. */
static bool join(struct where *where, const char *before, const char *host,
                 const char *between, const char *port)
{
    int size = snprintf(where->text, sizeof(where->text), "%s%s%s%s", before, host,
                        between, port);
    return size >= 0 && (size_t)size < sizeof(where->text);
}

static bool is_number(const char *text)
{
    return *text && text[strspn(text, "0123456789")] == 0;
}

static bool join_host(struct where *where, const char *host, const char *port)
{
    if (strchr(host, ':') && host[0] != '[')
        return join(where, "[", host, "]:", port);
    return join(where, "", host, ":", port);
}

static bool is_to_listen(const struct settings *settings)
{
    return (settings->verb & (VERB_LISTEN | VERB_SERVE | VERB_RELAY | VERB_RECV)) != 0;
}

/* A variable that is not set would make of HOST 80 this host's port. */
static int check_words(const char *const *words, int count)
{
    for (int i = 0; i < count; i++) {
        if (*words[i])
            continue;
        (void)report_error(EXIT_USAGE, "address", "", "an empty word is none");
        report_hint("is it a variable that is not set?");
        return EXIT_USAGE;
    }
    return 0;
}

static int complain_count(const struct settings *settings, int count)
{
    bool listening = is_to_listen(settings);
    int code = report_error(EXIT_USAGE, "address", "", "%s",
                            count ? "too many words for one" : "none given");

    report_hint(listening ? "write 8080, 127.0.0.1:8080 or unix:/path"
                          : "write host:port, host port or unix:/path");
    return code;
}

/* The words of an address, and -p where it stands for one. */
static int join_words(struct where *where, const struct settings *settings,
                      const char *const *words, int count)
{
    bool listening = is_to_listen(settings);
    char port[8];
    bool fits;

    if (listening && options_given(settings, "port") && count <= 1 &&
        (count == 0 || !strchr(words[0], '/'))) {
        (void)snprintf(port, sizeof(port), "%d", (int)settings->port);
        where->is_bare = count == 0;
        fits = join_host(where, count ? words[0] : "", port);
    } else if (settings->unix_path && count == 1) {
        fits =
            join(where, strncmp(words[0], "unix:", 5) ? "unix:" : "", words[0], "", "");
    } else if (count == 1 && listening && is_number(words[0])) {
        where->is_bare = true;
        fits = join(where, ":", words[0], "", "");
    } else if (count == 1) {
        fits = join(where, "", words[0], "", "");
    } else if (count == 2 && !settings->unix_path) {
        fits = join_host(where, words[0], words[1]);
    } else {
        return complain_count(settings, count);
    }
    return fits ? 0 : report_error(EXIT_USAGE, "address", words[0], "too long");
}

/* What concerns the whole command, and was settled before any address was looked at. */
static bool is_of_the_command(const char *name, size_t size)
{
    static const char *const names[] = { "help", "version", "man",     "listen",
                                         "udp",  "json",    "verbose", "silent" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strlen(names[i]) == size && memcmp(names[i], name, size) == 0)
            return true;
    }
    return false;
}

/*
 * The options behind the question mark, which is taken off.  Their values stay where
 * they are, in WHERE->text behind the address.
 */
static int take_options(struct where *where, struct settings *settings)
{
    char *one = strchr(where->text, '?');
    int code = 0;

    if (!one)
        return 0;
    *one++ = 0;
    while (one && *one && !code) {
        char *next = strchr(one, '&');
        size_t name_size;

        if (next)
            *next++ = 0;
        name_size = strcspn(one, "=");
        code = is_of_the_command(one, name_size)
                   ? report_error(EXIT_USAGE, "option", one,
                                  "not in an address: write --%.*s", (int)name_size, one)
                   : options_set(settings, one, name_size,
                                 one[name_size] ? one + name_size + 1 : NULL, one);
        one = next;
    }
    options_settle(settings);
    return code ? code : options_suit(settings);
}

void where_set(struct where *where, const char *text)
{
    const char *path = strncmp(text, "unix:", 5) == 0 ? text + 5 : text;

    if (text != where->text)
        (void)snprintf(where->text, sizeof(where->text), "%s", text);
    where->no_host = text[0] == ':' || strncmp(text, "tcp://:", 7) == 0;
    where->is_unix = path != text || (strchr(text, '/') && !strstr(text, "://"));
    if (where->is_unix)
        (void)snprintf(where->name, sizeof(where->name), "unix %s", path);
    else
        (void)snprintf(where->name, sizeof(where->name), "tcp %s",
                       strncmp(text, "tcp://", 6) == 0 ? text + 6 : text);
}

/* Nobody can be connected to at port 0: that one is for who listens, to get any. */
int where_to_dial(const struct where *where)
{
    const char *port = strrchr(where->text, ':');

    if (where->is_unix || !port || port[1 + strspn(port + 1, "0")])
        return 0;
    return report_error(EXIT_USAGE, "address", where->name,
                        "a port to connect to is a number from 1 to 65535");
}

int where_read(struct where *where, struct settings *settings, const char *const *words,
               int count)
{
    const char *why = "";
    tn_addr addr;
    tn_err err;
    int code;

    memset(where, 0, sizeof(*where));
    code = check_words(words, count);
    if (!code)
        code = join_words(where, settings, words, count);
    if (!code)
        code = take_options(where, settings);
    if (code)
        return code;
    if (tn_failed(tn_addr_check(where->text, &why)))
        return report_error(EXIT_USAGE, "address", where->text, "%s", why);
    where_set(where, where->text);
    if (!is_to_listen(settings) && !(settings->verb & VERB_EXPLAIN)) {
        code = where_to_dial(where);
        if (code)
            return code;
    }
    if (settings->numeric) {
        err = tn_addr_parse(where->text, &addr);
        if (tn_failed(err))
            return report_error(EXIT_NAME, "look up", where->name,
                                "a name, and with -n none is looked up");
    }
    return 0;
}
