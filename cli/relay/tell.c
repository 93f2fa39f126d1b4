/* SPDX-License-Identifier: MIT */
/*
 * tell.c -- the end of a client, and the totals, for people and programs.
 */
#include <inttypes.h>
#include <stdio.h>

#include "progress.h"
#include "relay/relay.h"
#include "report.h"

const char *link_end_name(enum link_end end)
{
    static const char *const names[] = { "eof",    "reset",     "timeout", "idle",
                                         "killed", "unreached", "fault",   "error" };

    return names[end];
}

static void tell_people(const struct link *link, const char *client)
{
    const struct flow *up = &link->flow[UP], *down = &link->flow[DOWN];
    char length[24];

    report_detail("client %" PRIu64 " %s to %s: %s%s, %" PRIu64 " bytes up, %" PRIu64
                  " down, %" PRIu64 " lost, %s",
                  link->client->id, client,
                  link->target ? link->target->where.name : "no target",
                  link_end_name(link->end),
                  link->cut == CLIENT   ? " by the client"
                  : link->cut == TARGET ? " by the target"
                                        : "",
                  flow_given(up), flow_given(down), link_lost(link),
                  time_text(tn_now() - link->started, length, sizeof(length)));
}

static void tell_programs(const struct link *link, const char *client)
{
    const struct flow *up = &link->flow[UP], *down = &link->flow[DOWN];
    struct json json;

    json_event(&json, "close");
    json_bool(&json, "ok", link->end == LINK_EOF);
    json_number(&json, "id", link->client->id);
    json_text(&json, "where", client);
    if (link->target)
        json_text(&json, "target", link->target->where.name);
    json_number(&json, "in", flow_taken(up));
    json_number(&json, "target_out", flow_given(up));
    json_number(&json, "target_in", flow_taken(down));
    json_number(&json, "out", flow_given(down));
    json_number(&json, "lost", link_lost(link));
    json_ms(&json, "ms", tn_now() - link->started);
    json_text(&json, "reason", link_end_name(link->end));
    if (link->cut >= 0)
        json_text(&json, "by", link->cut == CLIENT ? "client" : "target");
    json_text(&json, "how", tn_how_text(link->ending[CLIENT].how));
    json_number(&json, "unacked", link->ending[CLIENT].unacked);
    json_number(&json, "unread", link->ending[CLIENT].unread);
    json_number(&json, "target_unacked", link->ending[TARGET].unacked);
    json_number(&json, "target_unread", link->ending[TARGET].unread);
    json_send(&json);
}

void link_tell(const struct link *link)
{
    char client[CLIENT_NAME];

    if (!report_wants_detail() && !report_wants_json())
        return;
    (void)client_name(link->client, client, sizeof(client));
    tell_people(link, client);
    if (report_wants_json())
        tell_programs(link, client);
}

void relay_totals(const struct relay *relay, bool over)
{
    struct relay_tally tally;
    int64_t length = tn_now() - relay->started;
    char in[24], out[24], time[24];
    uint64_t others = 0, now;
    struct json json;

    relay_sum(relay, &tally, &now);
    for (int end = LINK_RESET; end < LINK_ENDS; end++)
        others += tally.ended[end];
    report_note("%" PRIu64 " clients, %s up, %s down, %" PRIu64 " ended clean, %" PRIu64
                " otherwise, %" PRIu64 " turned away, %" PRIu64 " connected, in %s",
                relay->gate.accepted, size_text(tally.in, in, sizeof(in)),
                size_text(tally.out, out, sizeof(out)), tally.ended[LINK_EOF], others,
                relay->gate.turned_away, now, time_text(length, time, sizeof(time)));
    if (!report_wants_json())
        return;
    json_event(&json, over ? "summary" : "stats");
    json_bool(&json, "ok", true);
    json_number(&json, "clients", relay->gate.accepted);
    json_number(&json, "connected", now);
    json_number(&json, "turned_away", relay->gate.turned_away);
    json_number(&json, "in", tally.in);
    json_number(&json, "out", tally.out);
    json_number(&json, "lost", tally.lost);
    json_number(&json, "clean", tally.ended[LINK_EOF]);
    for (int end = LINK_RESET; end < LINK_ENDS; end++)
        json_number(&json, link_end_name((enum link_end)end), tally.ended[end]);
    json_number(&json, "pauses", relay->gate.pauses);
    json_ms(&json, "ms", length);
    json_send(&json);
}
