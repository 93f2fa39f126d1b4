/* SPDX-License-Identifier: MIT */
/*
 * address.c -- tenon explain ADDRESS: how it is read, what it is looked up to, in which
 * order that would be tried, and with which options.  Nothing is connected to.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "dialing.h"
#include "explain_more.h"
#include "progress.h"
#include "report.h"

struct explaining {
    struct settings *settings;
    struct where where;
    tn_addr addrs[TN_ADDRS_MAX];
    size_t count;
    bool is_numeric;
    tn_err err;
};

static tn_err resolve_task(void *arg)
{
    struct explaining *explaining = arg;
    const struct settings *settings = explaining->settings;
    tn_deadline deadline =
        settings->max_time == UNLIMITED ? TN_NEVER : tn_in(settings->max_time);

    explaining->err =
        tn_resolve(explaining->where.text, conn_options(settings, NULL, 0).family,
                   explaining->addrs, TN_ADDRS_MAX, &explaining->count, deadline);
    return tn_ok();
}

/* What lies at the path of a Unix socket. */
static const char *path_text(const char *name)
{
    struct stat status;

    if (name[0] == '@')
        return "an abstract name: no file, and nobody's permissions";
    if (stat(name, &status))
        return errno == ENOENT ? "there is no such file" : strerror(errno);
    return S_ISSOCK(status.st_mode) ? "a socket is there" : "what is there is no socket";
}

static void print_tries(const struct explaining *explaining)
{
    char text[TN_ADDR_TEXT];

    if (explaining->where.no_host)
        (void)printf("  to listen    every interface, IPv4 and IPv6\n"
                     "  to connect   this host\n");
    for (size_t i = 0; i < explaining->count; i++)
        (void)printf("  %-12s %zu. %s%s\n", i ? "" : "would try", i + 1,
                     tn_addr_text(&explaining->addrs[i], text, sizeof(text)),
                     i == 1 ? ", 250 ms later or when the one before has failed" : "");
}

static void print_options(const struct settings *settings, bool tcp)
{
    char text[24];

    (void)printf("  options      connect-timeout %s%s",
                 time_text(settings->connect_timeout, text, sizeof(text)),
                 options_given(settings, "connect-timeout") ? "" : " (the default)");
    for (size_t i = 0; i < option_count; i++) {
        const struct option *option = &option_table[i];
        if (settings->given[i] && option->name &&
            strcmp(option->name, "connect-timeout") != 0)
            (void)printf(", %s", option->name);
    }
    (void)printf(
        "%s\n",
        tcp ? "; no delay of small writes, a silent dead peer is found after 60 s" : "");
}

static void print_people(const struct explaining *explaining)
{
    const struct where *where = &explaining->where;
    const struct settings *settings = explaining->settings;

    (void)printf("%s\n", where->name);
    if (where->is_unix) {
        (void)printf("  read as      a Unix stream socket\n  there        %s\n",
                     path_text(where->name + 5));
    } else {
        (void)printf("  read as      TCP, %s; %s addresses\n",
                     explaining->is_numeric ? "a number, so nothing is looked up"
                                            : "a name, looked up as every program does",
                     settings->ipv4 && !settings->ipv6   ? "only IPv4"
                     : settings->ipv6 && !settings->ipv4 ? "only IPv6"
                                                         : "IPv4 and IPv6");
        print_tries(explaining);
    }
    print_options(settings, !where->is_unix);
}

static void print_json(const struct explaining *explaining)
{
    const struct where *where = &explaining->where;
    static char list[1600]; /* too large for a frame, beside the object */
    char text[TN_ADDR_TEXT];
    size_t used = 0;
    struct json json;

    list[0] = 0;
    for (size_t i = 0; i < explaining->count; i++) {
        int more = snprintf(list + used, sizeof(list) - used, "%s%s", i ? " " : "",
                            tn_addr_text(&explaining->addrs[i], text, sizeof(text)));
        if (more < 0 || used + (size_t)more >= sizeof(list))
            break;
        used += (size_t)more;
    }
    json_event(&json, "address");
    json_bool(&json, "ok", true);
    json_text(&json, "where", where->name);
    json_text(&json, "kind", where->is_unix ? "unix" : "tcp");
    if (where->is_unix)
        json_text(&json, "there", path_text(where->name + 5));
    else
        json_text(&json, "addrs", list);
    json_ms(&json, "connect_timeout_ms", explaining->settings->connect_timeout);
    json_send(&json);
}

static int explain(struct explaining *explaining, const char *const *word)
{
    char why[160], text[120];
    tn_addr addr;
    tn_err err;
    int code = where_read(&explaining->where, explaining->settings, word, 1);

    if (code)
        return code;
    explaining->is_numeric = !tn_failed(tn_addr_parse(explaining->where.text, &addr));
    err = explaining->where.is_unix ? tn_ok() : tn_run(resolve_task, explaining, NULL);
    if (tn_failed(err))
        return report_error(EXIT_OTHER, "start", "", "%s",
                            tn_err_text(err, text, sizeof(text)));
    if (tn_failed(explaining->err)) {
        code = dialing_code(explaining->err, explaining->settings, &explaining->where,
                            why, sizeof(why));
        return report_error((enum exit_code)code, "look up", explaining->where.name, "%s",
                            why);
    }
    if (report_json_on_output())
        print_json(explaining);
    else
        print_people(explaining);
    return 0;
}

int explain_address(struct settings *settings, const char *const *words, int count)
{
    static struct explaining explaining; /* too large for a frame */
    int code = 0;

    if (count == 0)
        return report_error(EXIT_USAGE, "address", "", "none given");
    for (int i = 0; i < count && !code; i++) {
        memset(&explaining, 0, sizeof(explaining));
        explaining.settings = settings;
        settings->verb = VERB_EXPLAIN | VERB_CONNECT; /* whose options it may have */
        code = explain(&explaining, words + i);
    }
    return code;
}
