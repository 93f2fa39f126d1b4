/* SPDX-License-Identifier: MIT */
/*
 * scan.c -- which ports accept: tenon scan HOST PORTS, and tenon -z.
 *
 * The host is looked up once.  Some tasks take one port after the other and try its
 * addresses in turn; whoever has the next result that is due prints it and those behind
 * it, so the lines are in the order of the ports however the answers come.  A connection
 * that stands is ended in order at once: nothing was written, and what the peer may have
 * sent is its own greeting.
 *
 * Always true: results before `told` have been told, and no others.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dialing.h"
#include "local.h"
#include "progress.h"
#include "report.h"
#include "scan_ports.h"
#include "verbs.h"

#define AT_ONCE      256             /* connections, unless --max-conns says otherwise */
#define VERB_TIMEOUT (2 * TN_SECOND) /* of `scan`, for one address */

enum state { STATE_WAITING, STATE_OPEN, STATE_CLOSED, STATE_SILENT, STATE_FAILED };

static const char *const state_names[] = { "waiting", "open", "closed", "silent",
                                           "failed" };

struct result {
    enum state state;
    tn_err err;
    int64_t length;
};

struct scanning {
    struct settings *settings;
    const char *host;
    bool is_verb; /* tenon scan; otherwise tenon -z */
    uint16_t *ports;
    struct result *results;
    int count, next, told;
    tn_addr *addrs; /* TN_ADDRS_MAX */
    size_t addr_count;
    tn_deadline deadline;
    int64_t timeout; /* for one address */
    int found[STATE_FAILED + 1];
    int code;
};

/* ADDR with another PORT: it is at the same place in both families. */
static tn_addr with_port(tn_addr addr, uint16_t port)
{
    struct sockaddr_in name;

    if (addr.as.family == AF_INET || addr.as.family == AF_INET6) {
        memcpy(&name, addr.as.bytes, sizeof(name));
        name.sin_port = htons(port);
        memcpy(addr.as.bytes, &name, sizeof(name));
    }
    return addr;
}

static enum state state_of(tn_err err)
{
    switch (err.kind) {
    case TN_OK:
        return STATE_OPEN;
    case TN_REFUSED:
    case TN_RESET:
        return STATE_CLOSED;
    case TN_DEADLINE:
    case TN_TIMEDOUT:
    case TN_UNREACHABLE:
        return STATE_SILENT;
    default:
        return STATE_FAILED;
    }
}

/* Knock at PORT. */
static void try_port(struct scanning *scanning, uint16_t port, struct result *result)
{
    char source[120];
    struct tn_conn_options options =
        conn_options(scanning->settings, source, sizeof(source));
    int64_t started = tn_now();

    for (size_t i = 0; i < scanning->addr_count; i++) {
        tn_addr addr = with_port(scanning->addrs[i], port);
        struct tn_conn *conn = NULL;
        tn_deadline limit = tn_sooner(scanning->deadline, tn_in(scanning->timeout));

        result->err = tn_dial_addr(&conn, &addr, &options, limit);
        if (!tn_failed(result->err)) {
            tn_ignore(tn_close_discard(&conn, NULL, TN_NOW)); /* only a knock */
            break;
        }
    }
    result->length = tn_now() - started;
    result->state = state_of(result->err);
}

/* For programs: `scan` has its own event, -z the one of every connection. */
static void tell_json(struct scanning *scanning, const char *where,
                      const struct result *result, const char *why)
{
    struct json json;

    if (!report_wants_json() || (!scanning->is_verb && result->state != STATE_OPEN))
        return;
    json_event(&json, scanning->is_verb ? "port" : "connect");
    json_bool(&json, "ok", result->state == STATE_OPEN);
    json_text(&json, "where", where);
    if (scanning->is_verb) {
        json_text(&json, "state", state_names[result->state]);
        json_ms(&json, "ms", result->length);
        if (*why)
            json_text(&json, "why", why);
    }
    json_send(&json);
}

/* What came of the port, on one line. */
static void tell(struct scanning *scanning, uint16_t port, const struct result *result)
{
    struct where where = { 0 };
    char text[400], why[160] = "", length[24];
    bool open = result->state == STATE_OPEN;

    (void)snprintf(text, sizeof(text),
                   strchr(scanning->host, ':') && scanning->host[0] != '[' ? "[%.300s]:%d"
                                                                           : "%.300s:%d",
                   scanning->host, port);
    where_set(&where, text);
    if (result->err.kind == TN_DEADLINE)
        (void)snprintf(why, sizeof(why), "no answer");
    else if (!open)
        (void)dialing_code(result->err, scanning->settings, &where, why, sizeof(why));
    tell_json(scanning, where.name, result, why);
    scanning->found[result->state]++;
    if (!scanning->is_verb) {
        report_detail("%s: %s", where.name, open ? "open" : why);
        return;
    }
    if (report_json_on_output() || !(open || report_wants_detail()))
        return;
    (void)time_text(result->length, length, sizeof(length));
    (void)printf("%s %s (%s%s%s)\n", where.name, state_names[result->state],
                 open ? length : why, open ? "" : ", ", open ? "" : length);
    (void)report_flush();
}

static tn_err port_task(void *arg)
{
    struct scanning *scanning = arg;

    while (scanning->next < scanning->count) {
        int mine = scanning->next++;

        try_port(scanning, scanning->ports[mine], &scanning->results[mine]);
        while (scanning->told < scanning->count &&
               scanning->results[scanning->told].state != STATE_WAITING) {
            tell(scanning, scanning->ports[scanning->told],
                 &scanning->results[scanning->told]);
            scanning->told++;
        }
    }
    return tn_ok();
}

/* All ports, as many at once as may be. */
static tn_err try_all(struct scanning *scanning)
{
    struct tn_group *group = NULL;
    int64_t most =
        scanning->settings->max_conns ? scanning->settings->max_conns : AT_ONCE;
    tn_err err = tn_group_open(&group, TN_GROUP_EACH_ALONE);

    for (int64_t i = 0; i < most && i < scanning->count && !tn_failed(err); i++)
        err = tn_go(group, port_task, scanning, NULL, NULL);
    if (!tn_failed(err))
        err = tn_group_wait(group, TN_NEVER);
    tn_group_close(&group);
    return err;
}

/* In all, and the exit code. */
static void conclude(struct scanning *scanning)
{
    const int *found = scanning->found;
    bool late = tn_left(scanning->deadline) == 0;
    struct json json;

    if (found[STATE_OPEN] == 0)
        scanning->code =
            late ? report_error(EXIT_LATE, "connect", scanning->host, "deadline passed")
            : scanning->count == 1 && found[STATE_CLOSED] == 1
                ? report_error(EXIT_UNREACHED, "connect", scanning->host,
                               "port %d: connection refused", scanning->ports[0])
                : report_error(EXIT_UNREACHED, "connect", scanning->host,
                               "none of %d ports accepts", scanning->count);
    else if (late && scanning->is_verb)
        scanning->code = report_error(EXIT_LATE, "connect", scanning->host,
                                      "deadline passed, some ports were not tried");
    if (!scanning->is_verb || !report_wants_json())
        return;
    json_event(&json, "scan");
    json_bool(&json, "ok", scanning->code == 0);
    json_text(&json, "where", scanning->host);
    json_number(&json, "exit", (uint64_t)scanning->code);
    for (int state = STATE_OPEN; state <= STATE_FAILED; state++)
        json_number(&json, state_names[state], (uint64_t)found[state]);
    json_send(&json);
}

static tn_err scan_task(void *arg)
{
    struct scanning *scanning = arg;
    const struct settings *settings = scanning->settings;
    const char *words[2] = { scanning->host, "1" };
    struct where where;
    char why[160];
    tn_err err;

    scanning->deadline =
        settings->max_time == UNLIMITED ? TN_NEVER : tn_in(settings->max_time);
    scanning->code = where_read(&where, scanning->settings, words, 2);
    if (scanning->code)
        return tn_ok();
    err = tn_resolve(where.text, conn_options(settings, NULL, 0).family, scanning->addrs,
                     TN_ADDRS_MAX, &scanning->addr_count, scanning->deadline);
    if (tn_failed(err)) {
        scanning->code = dialing_code(err, settings, &where, why, sizeof(why));
        (void)report_error((enum exit_code)scanning->code, "look up", scanning->host,
                           "%s", why);
        return tn_ok();
    }
    err = try_all(scanning);
    if (!tn_failed(err))
        conclude(scanning);
    return err;
}

/* One address, which may be a Unix socket's or have a service's name: tenon -z only. */
static tn_err single_task(void *arg)
{
    struct scanning *scanning = arg;
    const struct settings *settings = scanning->settings;
    struct tn_conn *conn = NULL;
    struct where where;
    struct json json;

    scanning->code = where_read(&where, scanning->settings, settings->operands,
                                settings->operand_count);
    if (!scanning->code)
        scanning->code = dial(&conn, settings, &where, TN_NEVER);
    if (scanning->code)
        return tn_ok();
    report_detail("%s: open", where.name);
    json_event(&json, "connect");
    json_bool(&json, "ok", true);
    json_text(&json, "where", where.name);
    json_send(&json);
    tn_ignore(tn_close_discard(&conn, NULL, TN_NOW)); /* only a knock at the door */
    return tn_ok();
}

/* The ports that the operands behind the host name.  0, or an exit code. */
static int read_ports(struct scanning *scanning)
{
    const struct settings *settings = scanning->settings;
    bool *marks = calloc(PORTS, sizeof(*marks));
    int code = 0;

    for (int i = 1; marks && i < settings->operand_count && !code; i++) {
        if (!ports_read(settings->operands[i], !settings->numeric, marks))
            code = report_error(EXIT_USAGE, "ports", settings->operands[i],
                                "none such as 22, http, 20-25 or 22,80,443");
    }
    if (!code) {
        scanning->count = marks ? ports_list(marks, &scanning->ports) : -1;
        scanning->results = calloc(PORTS, sizeof(*scanning->results));
        scanning->addrs = calloc(TN_ADDRS_MAX, sizeof(*scanning->addrs));
        if (scanning->count < 0 || !scanning->results || !scanning->addrs)
            code = report_error(EXIT_OTHER, "start", "", "out of memory");
    }
    free(marks);
    return code;
}

/* -z with one address only: no list of ports, or a socket that has none. */
static bool is_single(const struct settings *settings)
{
    const char *ports = settings->operand_count == 2 ? settings->operands[1] : "";

    return settings->operand_count != 2 || settings->unix_path ||
           strspn(ports, "0123456789") == strlen(ports) ||
           strspn(ports, "0123456789-,") < strlen(ports);
}

int scan_main(struct settings *settings)
{
    struct scanning scanning = { .settings = settings };
    bool single = settings->verb != VERB_SCAN && is_single(settings);
    char text[120];
    tn_err err;
    int code = 0;

    scanning.is_verb = settings->verb == VERB_SCAN;
    scanning.timeout = scanning.is_verb && !options_given(settings, "connect-timeout")
                           ? VERB_TIMEOUT
                           : settings->connect_timeout;
    if (scanning.is_verb && settings->operand_count < 2)
        return report_error(EXIT_USAGE, "scan", "", "a host and its ports");
    if (!single) {
        scanning.host = settings->operands[0];
        code = read_ports(&scanning);
    }
    if (!code) {
        local_raise_files();
        err = tn_run(single ? single_task : scan_task, &scanning, NULL);
        code = tn_failed(err) ? report_error(EXIT_OTHER, "start", "", "%s",
                                             tn_err_text(err, text, sizeof(text)))
                              : scanning.code;
    }
    free(scanning.ports);
    free(scanning.results);
    free(scanning.addrs);
    return code;
}
