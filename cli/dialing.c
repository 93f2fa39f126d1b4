/* SPDX-License-Identifier: MIT */
/*
 * dialing.c -- from options to a connection, or to one line that says what went wrong.
 */
#include "dialing.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "progress.h"
#include "report.h"

/* The local address that -s and -p name, as tn_conn_options wants it. */
static const char *source_text(const struct settings *settings, char *source, size_t size)
{
    const char *host = settings->source ? settings->source
                       : settings->ipv6 ? "::"
                                        : "0.0.0.0";
    bool bare6 = strchr(host, ':') && host[0] != '[' && !strchr(host, ']');

    if (!settings->source && !settings->port)
        return NULL;
    /* 1.2.3.4:5 and [::1]:5 name their port themselves. */
    if ((strchr(host, ':') && !bare6 && strstr(host, "]:")) ||
        (strchr(host, ':') && strchr(host, '.') && !strstr(host, "::")))
        return host;
    (void)snprintf(source, size, bare6 ? "[%s]:%d" : "%s:%d", host, (int)settings->port);
    return source;
}

struct tn_conn_options conn_options(const struct settings *settings, char *source,
                                    size_t size)
{
    struct tn_conn_options options = { 0 };
    tn_addr addr;

    options.family = settings->ipv4 && !settings->ipv6   ? TN_IPV4
                     : settings->ipv6 && !settings->ipv4 ? TN_IPV6
                                                         : TN_ANY;
    if (source)
        options.source = source_text(settings, source, size);
    /* A name's other addresses cannot be connected to from there. */
    if (settings->source && options.source && options.family == TN_ANY &&
        !tn_failed(tn_addr_parse(options.source, &addr)))
        options.family = addr.as.family == AF_INET ? TN_IPV4 : TN_IPV6;
    options.send_buffer = (int)settings->send_buffer;
    options.receive_buffer = (int)settings->receive_buffer;
    return options;
}

int network_code(tn_err err)
{
    switch (err.kind) {
    case TN_DEADLINE:
        return EXIT_LATE;
    case TN_REFUSED:
    case TN_UNREACHABLE:
    case TN_TIMEDOUT:
    case TN_DENIED:
    case TN_NOT_FOUND:
    case TN_IN_USE:
        return EXIT_UNREACHED;
    case TN_RESET:
        return EXIT_CUT;
    case TN_INVALID:
        return EXIT_USAGE;
    default:
        return EXIT_OTHER;
    }
}

/* getaddrinfo's own words, where they are words. */
static const char *name_error(tn_err err)
{
    if (err.domain != TN_DOMAIN_GAI)
        return "no such address"; /* of the family asked for, or on that interface */
    if (err.code == EAI_SERVICE)
        return "no service has that name";
    return gai_strerror(err.code);
}

/* What of the local end ERR speaks of, in BUF of SIZE; "" if of nothing there. */
static const char *source_blamed(tn_err err, const struct settings *settings, char *buf,
                                 size_t size)
{
    bool local =
        err.domain == TN_DOMAIN_ERRNO &&
        (err.code == EADDRNOTAVAIL || err.code == EADDRINUSE || err.code == EINVAL);

    *buf = 0;
    if (local && settings && settings->source)
        (void)snprintf(buf, size, "-s %s: ", settings->source);
    else if (local && settings && settings->port)
        (void)snprintf(buf, size, "-p %d: ", (int)settings->port);
    return buf;
}

/* Whether no address was found, or it could not be bound to, for the family that -s has. */
static bool is_family_of_source(tn_err err, const struct settings *settings)
{
    return settings && settings->source && settings->ipv4 == settings->ipv6 &&
           ((err.kind == TN_NOT_FOUND && err.domain == TN_DOMAIN_NONE) ||
            (err.domain == TN_DOMAIN_ERRNO && err.code == EAFNOSUPPORT));
}

int dialing_code(tn_err err, const struct settings *settings, const struct where *where,
                 char *why, size_t size)
{
    char text[120], source[120];

    if (is_family_of_source(err, settings)) {
        (void)snprintf(why, size, "-s %s is an address of another family",
                       settings->source);
        return EXIT_USAGE;
    }
    if (err.domain == TN_DOMAIN_GAI || (err.kind == TN_NOT_FOUND && !where->is_unix)) {
        (void)snprintf(why, size, "%s", name_error(err));
        return EXIT_NAME;
    }
    if (err.kind == TN_REFUSED)
        (void)snprintf(why, size, "connection refused");
    else if (err.kind == TN_NOT_FOUND)
        (void)snprintf(why, size, "no such socket");
    else if (err.domain == TN_DOMAIN_ERRNO)
        (void)snprintf(why, size, "%s%s",
                       source_blamed(err, settings, source, sizeof(source)),
                       strerror(err.code));
    else
        (void)snprintf(why, size, "%s", tn_err_text(err, text, sizeof(text)));
    return network_code(err);
}

static void hint_for(tn_err err, const struct settings *settings,
                     const struct where *where)
{
    if (settings->ipv4 != settings->ipv6 && err.kind == TN_NOT_FOUND)
        report_hint("-%c asks for IPv%c addresses only", settings->ipv4 ? '4' : '6',
                    settings->ipv4 ? '4' : '6');
    else if (settings->source && err.kind == TN_NOT_FOUND && err.domain == TN_DOMAIN_GAI)
        report_hint("-s %s asks for addresses of its family only", settings->source);
    else if (err.kind == TN_REFUSED)
        report_hint(where->is_unix
                        ? "nobody listens on that socket"
                        : "the host is there, but nobody listens on that port");
    else if (err.domain == TN_DOMAIN_GAI && err.code == EAI_AGAIN)
        report_hint("no name server answered; with a numeric address none is needed");
}

int dial(struct tn_conn **conn, const struct settings *settings,
         const struct where *where, tn_deadline deadline)
{
    char source[120], why[160], length[24];
    struct tn_conn_options options = conn_options(settings, source, sizeof(source));
    int64_t started = tn_now();
    tn_deadline limit = tn_sooner(deadline, tn_in(settings->connect_timeout));
    tn_addr addr;
    tn_err err;
    int code;

    if (options.source && tn_failed(tn_addr_parse(options.source, &addr)))
        return report_error(EXIT_USAGE, "option", "-s", "'%s' is no numeric address",
                            settings->source);
    err = tn_dial(conn, where->text, &options, limit);
    if (!tn_failed(err))
        return 0;
    if (err.kind == TN_CANCELED)
        return EXIT_OTHER; /* whoever did it says why */
    (void)time_text(tn_now() - started, length, sizeof(length));
    if (err.kind == TN_DEADLINE)
        return report_error(EXIT_LATE, "connect", where->name, "no answer within %s",
                            length);
    code = dialing_code(err, settings, where, why, sizeof(why));
    (void)report_error((enum exit_code)code, code == EXIT_NAME ? "look up" : "connect",
                       where->name, "%s (%s)", why, length);
    hint_for(err, settings, where);
    return code;
}
