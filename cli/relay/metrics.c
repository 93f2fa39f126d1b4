/* SPDX-License-Identifier: MIT */
/*
 * metrics.c -- /metrics in Prometheus's text format (version 0.0.4), and /stats.json, which
 * is the answer to `tenon ctl NAME status` as one array.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "relay/relay.h"

static void say(struct control_answer *answer, const char *text, ...)
    __attribute__((format(printf, 2, 3)));

static void say(struct control_answer *answer, const char *text, ...)
{
    char line[700];
    va_list list;
    int size;

    va_start(list, text);
    size = vsnprintf(line, sizeof(line), text, list);
    va_end(list);
    if (size > 0 && (size_t)size < sizeof(line))
        control_add_text(answer, line, (size_t)size);
}

/* The lines that introduce a metric. */
static void describe(struct control_answer *answer, const char *name, const char *type,
                     const char *help)
{
    say(answer, "# HELP tenon_relay_%s %s\n# TYPE tenon_relay_%s %s\n", name, help, name,
        type);
}

static void one(struct control_answer *answer, const char *name, const char *type,
                const char *help, uint64_t value)
{
    describe(answer, name, type, help);
    say(answer, "tenon_relay_%s %" PRIu64 "\n", name, value);
}

static void add_clients(const struct relay *relay, struct control_answer *answer)
{
    struct relay_tally tally;
    uint64_t connected;

    relay_sum(relay, &tally, &connected);
    one(answer, "clients", "gauge", "clients that are connected", connected);
    one(answer, "clients_total", "counter", "clients that have come",
        relay->gate.accepted);
    one(answer, "turned_away_total", "counter", "clients that were not let in",
        relay->gate.turned_away);
    one(answer, "draining", "gauge", "whether no more clients are let in",
        relay->gate.shut);
    one(answer, "accept_pauses_total", "counter",
        "how often accepting paused for want of descriptors or memory",
        relay->gate.listener ? tn_accept_pauses(relay->gate.listener)
                             : relay->gate.pauses);
    describe(answer, "bytes_total", "counter", "bytes from clients, and to clients");
    say(answer, "tenon_relay_bytes_total{direction=\"up\"} %" PRIu64 "\n", tally.in);
    say(answer, "tenon_relay_bytes_total{direction=\"down\"} %" PRIu64 "\n", tally.out);
    one(answer, "lost_bytes_total", "counter",
        "bytes taken from one side and not given to the other", tally.lost);
    describe(answer, "ended_total", "counter", "how clients ended; eof is in order");
    for (int end = 0; end < LINK_ENDS; end++)
        say(answer, "tenon_relay_ended_total{reason=\"%s\"} %" PRIu64 "\n",
            link_end_name((enum link_end)end), tally.ended[end]);
}

/* A target's name as the value of a label. */
static const char *label(const struct target *target, char *buf, size_t size)
{
    size_t used = 0;

    for (const char *at = target->where.text; *at && used + 2 < size; at++) {
        if (*at == '"' || *at == '\\')
            buf[used++] = '\\';
        buf[used++] = *at;
    }
    buf[used] = 0;
    return buf;
}

static void add_targets(const struct relay *relay, struct control_answer *answer,
                        const char *name, const char *type, const char *help,
                        uint64_t (*value)(const struct target *target))
{
    char text[500];

    describe(answer, name, type, help);
    for (unsigned i = 0; i < relay->targets.count; i++) {
        const struct target *target = relay->targets.list[i];

        say(answer, "tenon_relay_%s{target=\"%s\"} %" PRIu64 "\n", name,
            label(target, text, sizeof(text)), value(target));
    }
}

static uint64_t target_up(const struct target *target)
{
    return target->up;
}

static uint64_t target_connections(const struct target *target)
{
    return target->connections;
}

static uint64_t target_chosen(const struct target *target)
{
    return target->chosen;
}

static uint64_t target_refused(const struct target *target)
{
    return target->refused;
}

static uint64_t target_connect_us(const struct target *target)
{
    return (uint64_t)(target->connect_ns / TN_US);
}

static const char *make_metrics(void *arg, struct control_answer *answer)
{
    const struct relay *relay = arg;

    describe(answer, "info", "gauge", "the relay's name and version");
    say(answer, "tenon_relay_info{name=\"%s\",version=\"%s\"} 1\n", relay->control.name,
        TENON_VERSION);
    say(answer,
        "# HELP tenon_relay_uptime_seconds since it began\n"
        "# TYPE tenon_relay_uptime_seconds gauge\ntenon_relay_uptime_seconds %.3f\n",
        (double)(tn_now() - relay->started) / 1e9);
    add_clients(relay, answer);
    add_targets(relay, answer, "target_up", "gauge", "whether the target is up",
                target_up);
    add_targets(relay, answer, "target_connections", "gauge", "clients connected to it",
                target_connections);
    add_targets(relay, answer, "target_connections_total", "counter",
                "clients that were connected to it", target_chosen);
    add_targets(relay, answer, "target_failures_total", "counter",
                "connects and checks that failed", target_refused);
    add_targets(relay, answer, "target_connect_microseconds", "gauge",
                "how long the last connect took", target_connect_us);
    return "text/plain; version=0.0.4; charset=utf-8";
}

/* The lines of an answer, as the items of an array. */
static const char *make_stats(void *arg, struct control_answer *answer)
{
    control_add_text(answer, "[", 1);
    relay_status(arg, answer);
    control_end_array(answer);
    return "application/json";
}

static const struct http_page pages[] = {
    { "/metrics", make_metrics, NULL },
    { "/stats.json", make_stats, NULL },
};

int metrics_open(struct relay *relay)
{
    relay->http = (struct http){
        .pages = pages,
        .page_count = sizeof(pages) / sizeof(pages[0]),
        .arg = relay,
        .name = "metrics",
    };
    if (!relay->settings->metrics)
        return 0;
    return http_open(&relay->http, relay->settings, relay->settings->metrics);
}
