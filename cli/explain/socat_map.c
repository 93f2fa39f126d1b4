/* SPDX-License-Identifier: MIT */
/*
 * socat_map.c -- tenon explain --from-socat: what a line for socat would be here.
 *
 * Two addresses and a direction choose the verb; then each option becomes one of ours, is
 * always so here (a note), or has no counterpart (an error: exit 1, the line is printed
 * all the same, for what it is worth).
 *
 * Always true: what is not in the line that is printed has been named.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <tenon.h>

#include "explain_more.h"
#include "report.h"
#include "socat.h"

struct mapping {
    const struct socat_line *line;
    const struct socat_end *listen, *connect, *other; /* those that there are */
    char out[3000];                                   /* our line */
    int missing;
};

static void miss(struct mapping *mapping, const char *what, const char *why)
{
    mapping->missing++;
    (void)report_error(EXIT_OTHER, "explain", what, "%s", why);
}

/* One more word, in quotes where a shell needs them. */
static void put(struct mapping *mapping, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789_@%+=:,./-";
    size_t used = strlen(mapping->out);
    bool quotes = !*word || word[strspn(word, plain)];
    char *out = mapping->out;
    size_t room = sizeof(mapping->out) - 8;

    if (used)
        out[used++] = ' ';
    if (quotes)
        out[used++] = '\'';
    for (; *word && used < room; word++) {
        if (*word == '\'') {
            memcpy(out + used, "'\\''", 4);
            used += 4;
        } else {
            out[used++] = *word;
        }
        if (used > room - 8)
            break;
    }
    if (quotes)
        out[used++] = '\'';
    out[used] = 0;
}

static void put_pair(struct mapping *mapping, const char *name, const char *value)
{
    put(mapping, name);
    put(mapping, value);
}

/* An option of socat's: ours, or NULL: it is always so here. */
static const struct {
    const char *name, *ours;
    bool has_value;
} known[] = {
    { "range", "--allow", true },
    { "max-children", "--max-conns", true },
    { "connect-timeout", "--connect-timeout", true },
    { "crnl", "--crlf", false },
    { "crlf", "--crlf", false },
    { "sndbuf", "--send-buffer", true },
    { "so-sndbuf", "--send-buffer", true },
    { "rcvbuf", "--receive-buffer", true },
    { "so-rcvbuf", "--receive-buffer", true },
    { "sourceport", "--port", true },
    { "sp", "--port", true },
    { "reuseaddr", NULL, false },
    { "so-reuseaddr", NULL, false },
    { "nodelay", NULL, false },
    { "tcp-nodelay", NULL, false },
    { "keepalive", NULL, false },
    { "so-keepalive", NULL, false },
    { "backlog", NULL, true },
    { "unlink-early", NULL, false },
    { "creat", NULL, false },
    { "create", NULL, false },
    { "trunc", NULL, false },
    { "stderr", NULL, false },
    { "rdonly", NULL, false },
    { "wronly", NULL, false },
};

/* Those that the choice of the verb and of the address has dealt with. */
static bool is_done(const struct socat_end *end, const char *option)
{
    size_t size = strcspn(option, "=");

    return (size == 4 && strncmp(option, "fork", 4) == 0) ||
           (size == 4 && strncmp(option, "bind", 4) == 0) ||
           (size == 2 && strncmp(option, "pf", 2) == 0 && end->kind == SOCAT_LISTEN);
}

static void map_option(struct mapping *mapping, const char *option)
{
    size_t size = strcspn(option, "=");
    char what[120];

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strlen(known[i].name) != size || strncmp(known[i].name, option, size) != 0)
            continue;
        if (!known[i].ours)
            report_note("%s: it is always so here", known[i].name);
        else if (known[i].has_value && option[size])
            put_pair(mapping, known[i].ours, option + size + 1);
        else
            put(mapping, known[i].ours);
        return;
    }
    (void)snprintf(what, sizeof(what), "socat option %.80s", option);
    miss(mapping, what, "has no counterpart");
}

static void map_options(struct mapping *mapping)
{
    const struct socat_line *line = mapping->line;

    for (int i = 0; i < 2; i++) {
        const struct socat_end *end = &line->ends[i];
        for (int j = 0; j < end->option_count; j++) {
            if (!is_done(end, end->options[j]))
                map_option(mapping, end->options[j]);
        }
    }
    if (line->idle)
        put_pair(mapping, "--idle-timeout", line->idle);
    if (line->dump && mapping->listen && mapping->connect)
        put(mapping, "--hex");
    else if (line->dump)
        miss(mapping, "socat -v", "only a relay shows what goes by (tenon relay --hex)");
}

/* Which family is asked for, 4 or 6, by the address or by socat's own option. */
static int family_of(const struct mapping *mapping, const struct socat_end *end)
{
    const char *pf = socat_option(end, "pf");

    if (pf)
        return strstr(pf, "4") ? 4 : strstr(pf, "6") ? 6 : 0;
    return end->family ? end->family : mapping->line->family;
}

/* Where to listen, as we write it. */
static void listen_text(const struct mapping *mapping, char *text, size_t size)
{
    const struct socat_end *end = mapping->listen;
    const char *bind = socat_option(end, "bind");
    int family = family_of(mapping, end);

    (void)snprintf(text, size, "%s%s",
                   end->where[0] != ':' ? ""
                   : bind && *bind      ? bind
                   : family == 4        ? "0.0.0.0"
                   : family == 6        ? "[::]"
                                        : "",
                   end->where);
}

/* Only this host can reach it: then no --allow is needed. */
static bool is_private(const struct mapping *mapping, const char *where)
{
    return strncmp(where, "unix:", 5) == 0 || strncmp(where, "127.", 4) == 0 ||
           strncmp(where, "localhost", 9) == 0 || strncmp(where, "[::1]", 5) == 0 ||
           socat_option(mapping->listen, "range");
}

static void put_program(struct mapping *mapping)
{
    const struct socat_end *program = mapping->other;
    char words[300], *word = words;

    put(mapping, "--exec");
    put(mapping, "--");
    if (program->kind == SOCAT_SHELL) {
        put_pair(mapping, "sh", "-c");
        put(mapping, program->where);
        return;
    }
    (void)snprintf(words, sizeof(words), "%s", program->where);
    while (word && *word) {
        char *next = strchr(word, ' ');
        if (next)
            *next++ = 0;
        if (*word)
            put(mapping, word);
        word = next;
    }
}

/* Does what comes over the connection go into the file? */
static bool into_file(const struct mapping *mapping)
{
    const struct socat_line *line = mapping->line;

    return line->ends[1].kind == SOCAT_FILE ? line->only_right : line->only_left;
}

static void put_file(struct mapping *mapping)
{
    const struct socat_line *line = mapping->line;

    if (!line->only_right && !line->only_left) {
        miss(mapping, mapping->other->written, "one file both ways has no counterpart");
        report_hint("-o FILE receives into one, < FILE sends one");
    } else if (into_file(mapping)) {
        put_pair(mapping, "-o", mapping->other->where);
        if (mapping->listen && socat_option(mapping->listen, "fork"))
            report_hint("each client needs a file of its own: put %%n into its name");
    } else {
        size_t used;
        char name[310];

        (void)snprintf(name, sizeof(name), "%s", mapping->other->where);
        used = strlen(mapping->out);
        (void)snprintf(mapping->out + used, sizeof(mapping->out) - used, " <");
        put(mapping, name);
    }
}

static void note_direction(const struct mapping *mapping)
{
    if (mapping->line->only_right || mapping->line->only_left)
        report_note("-u: both ways are carried here; what nobody sends does no harm");
}

static void map_relay(struct mapping *mapping, const char *where)
{
    int family = family_of(mapping, mapping->connect);

    put(mapping, "relay");
    if (family)
        put(mapping, family == 4 ? "-4" : "-6");
    put_pair(mapping, where, mapping->connect->where);
    map_options(mapping);
    if (!socat_option(mapping->listen, "fork"))
        report_note(
            "without fork socat serves one client; relay serves many until Ctrl-C");
    if (mapping->line->only_right || mapping->line->only_left)
        miss(mapping, "socat -u", "a relay carries both ways");
}

static void map_listen(struct mapping *mapping, const char *where)
{
    bool fork = socat_option(mapping->listen, "fork");
    bool program =
        mapping->other->kind == SOCAT_PROGRAM || mapping->other->kind == SOCAT_SHELL;

    if (mapping->other->kind == SOCAT_ECHO) {
        put_pair(mapping, "serve", "echo");
        put(mapping, where);
        map_options(mapping);
        return;
    }
    put(mapping, "listen");
    if (fork)
        put(mapping, "-k");
    put(mapping, where);
    if (program && !is_private(mapping, where))
        put_pair(mapping, "--allow", "all");
    map_options(mapping);
    if (program)
        put_program(mapping);
    else if (mapping->other->kind == SOCAT_FILE)
        put_file(mapping);
    else
        note_direction(mapping);
}

static void map_connect(struct mapping *mapping)
{
    const struct socat_end *end = mapping->connect;
    const char *bind = socat_option(end, "bind");
    int family = family_of(mapping, end);

    if (family)
        put(mapping, family == 4 ? "-4" : "-6");
    if (bind)
        put_pair(mapping, "-s", bind);
    put(mapping, end->where);
    map_options(mapping);
    if (mapping->other->kind == SOCAT_FILE)
        put_file(mapping);
    else
        note_direction(mapping);
}

/* Is that an address of ours?  NULL, or why not. */
static const char *check(const char *where)
{
    const char *why = NULL;
    tn_err err = tn_addr_check(where, &why);

    return tn_failed(err) ? why : NULL;
}

/* Which verb; NULL, or what has no counterpart in AT. */
static const char *choose(struct mapping *mapping, const char **at)
{
    char where[700] = "";
    const char *why;

    *at = mapping->other ? mapping->other->written : mapping->line->ends[1].written;
    if (mapping->listen)
        listen_text(mapping, where, sizeof(where));
    why = mapping->listen ? check(where) : NULL;
    if (!why && mapping->connect)
        why = check(mapping->connect->where);
    if (why) {
        *at = mapping->listen ? mapping->listen->written : mapping->connect->written;
        return why;
    }
    if (mapping->listen && mapping->connect)
        map_relay(mapping, where);
    else if (!mapping->other || mapping->other->kind == SOCAT_UNKNOWN)
        return "has no counterpart";
    else if (mapping->listen)
        map_listen(mapping, where);
    else if (!mapping->connect)
        return "neither a connection nor a listener is in the line";
    else if (mapping->other->kind == SOCAT_FILE || mapping->other->kind == SOCAT_STDIO)
        map_connect(mapping);
    else
        return "a program or an echo on a connection that we make has no counterpart";
    return NULL;
}

/* Which end is what: a listener, a connection, and what is neither or a second one. */
static void sort_ends(struct mapping *mapping)
{
    for (int i = 0; i < 2; i++) {
        const struct socat_end *end = &mapping->line->ends[i];
        if (end->kind == SOCAT_LISTEN && !mapping->listen)
            mapping->listen = end;
        else if (end->kind == SOCAT_CONNECT && !mapping->connect)
            mapping->connect = end;
        else if (!mapping->other || end->kind == SOCAT_UNKNOWN)
            mapping->other = end;
    }
}

static int print(const struct mapping *mapping)
{
    int code = mapping->missing ? EXIT_OTHER : 0;
    struct json json;

    if (!report_json_on_output()) {
        (void)printf("%s\n", mapping->out);
        return code;
    }
    json_event(&json, "socat");
    json_bool(&json, "ok", code == 0);
    json_text(&json, "command", mapping->out);
    json_number(&json, "missing", (uint64_t)mapping->missing);
    json_send(&json);
    return code;
}

int explain_socat(const char *text)
{
    static struct socat_line line; /* too large for a frame, as is the next */
    static struct mapping mapping;
    const char *at = text;
    const char *why = socat_read(&line, text, &at);

    if (why)
        return report_error(EXIT_USAGE, "explain", at, "%s", why);
    mapping.line = &line;
    put(&mapping, "tenon");
    sort_ends(&mapping);
    why = choose(&mapping, &at);
    if (why)
        return report_error(EXIT_OTHER, "explain", at, "%s", why);
    return print(&mapping);
}
