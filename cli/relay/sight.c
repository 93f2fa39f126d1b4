/* SPDX-License-Identifier: MIT */
/*
 * sight.c -- what can be seen of a relay: itself, its targets, its clients, and what holds
 * these up.
 */
#include <stdio.h>
#include <unistd.h>

#include "progress.h"
#include "relay/relay.h"
#include "report.h"

void relay_sum(const struct relay *relay, struct relay_tally *tally, uint64_t *connected)
{
    const struct targets *targets = &relay->targets;

    *tally = relay->tally;
    *connected = 0;
    for (unsigned i = 0; i < targets->count; i++)
        targets->list[i]->open_in = targets->list[i]->open_out = 0;
    for (const struct link *link = relay->first; link; link = link->next) {
        ++*connected;
        tally->in += flow_taken(&link->flow[UP]);
        tally->out += flow_given(&link->flow[DOWN]);
        if (link->target) {
            link->target->open_in += flow_taken(&link->flow[DOWN]);
            link->target->open_out += flow_given(&link->flow[UP]);
        }
    }
}

/* The relay itself, whose clients are summed up in TALLY. */
static void add_process(const struct relay *relay, struct relay_tally *tally,
                        struct control_answer *answer)
{
    char text[TN_ADDR_TEXT];
    uint64_t connected;
    struct json json;

    relay_sum(relay, tally, &connected);
    json_event(&json, "process");
    json_bool(&json, "ok", true);
    json_text(&json, "name", relay->control.name);
    json_text(&json, "kind", "relay");
    json_number(&json, "pid", (uint64_t)getpid());
    json_text(&json, "addr", tn_addr_text(&relay->gate.addr, text, sizeof(text)));
    json_ms(&json, "ms", tn_now() - relay->started);
    json_bool(&json, "draining", relay->gate.shut);
    json_number(&json, "clients", relay->gate.accepted);
    json_number(&json, "connected", connected);
    json_number(&json, "turned_away", relay->gate.turned_away);
    json_number(&json, "in", tally->in);
    json_number(&json, "out", tally->out);
    json_number(&json, "lost", tally->lost);
    json_number(&json, "targets", relay->targets.count);
    control_add(answer, &json);
}

static void add_target(const struct target *target, struct control_answer *answer)
{
    struct json json;

    json_event(&json, "target");
    json_bool(&json, "ok", target->up);
    json_text(&json, "target", target->where.name);
    json_bool(&json, "up", target->up);
    if (!target->up)
        json_text(&json, "why", target->why);
    json_number(&json, "connections", target->connections);
    json_number(&json, "chosen", target->chosen);
    json_number(&json, "refused", target->refused);
    json_number(&json, "in", target->in + target->open_in);
    json_number(&json, "out", target->out + target->open_out);
    json_ms(&json, "connect_ms", target->connect_ns);
    control_add(answer, &json);
}

static void add_fault(const struct relay *relay, int side, struct control_answer *answer)
{
    char text[300];
    struct json json;

    json_event(&json, "fault");
    json_bool(&json, "ok", true);
    json_text(&json, "direction", side == UP ? "up" : "down");
    json_text(&json, "fault", fault_text(&relay->faults[side], text, sizeof(text)));
    control_add(answer, &json);
}

void relay_add_faults(const struct relay *relay, struct control_answer *answer)
{
    add_fault(relay, UP, answer);
    add_fault(relay, DOWN, answer);
}

void relay_add_targets(const struct relay *relay, struct control_answer *answer)
{
    for (unsigned i = 0; i < relay->targets.count; i++)
        add_target(relay->targets.list[i], answer);
}

void relay_add_process(const struct relay *relay, struct control_answer *answer)
{
    struct relay_tally tally;

    add_process(relay, &tally, answer);
}

static void head(void *arg, struct control_answer *answer, uint64_t *in, uint64_t *out)
{
    struct relay_tally tally;

    add_process(arg, &tally, answer);
    relay_add_targets(arg, answer);
    relay_add_faults(arg, answer);
    *in = tally.in;
    *out = tally.out;
}

static void moved(const struct client *client, uint64_t *in, uint64_t *out)
{
    const struct link *link = client->served;

    *in = link ? flow_taken(&link->flow[UP]) : 0;
    *out = link ? flow_given(&link->flow[DOWN]) : 0;
}

static const char *target_name(const struct client *client)
{
    const struct link *link = client->served;

    return link && link->target ? link->target->where.name : "";
}

/* ---- what holds a client up ---- */

/* The direction that counts: where more moves, or else more waits. */
static int direction_that_counts(const struct link *link,
                                 const struct tn_conn_facts both[2])
{
    const struct pace *pace = &link->client->pace;

    if (pace->in_rate != pace->out_rate)
        return pace->in_rate > pace->out_rate ? UP : DOWN;
    return both[TARGET].unacked + both[CLIENT].unread >
                   both[CLIENT].unacked + both[TARGET].unread
               ? UP
               : DOWN;
}

static bool rests(const struct link *link, const struct tn_conn_facts both[2])
{
    const struct pace *pace = &link->client->pace;

    return pace->in_rate + pace->out_rate + both[CLIENT].unacked + both[CLIENT].unread +
               both[TARGET].unacked + both[TARGET].unread + link_lost(link) ==
           0;
}

/* In words, short enough for a column: see docs/watching.md. */
static const char *limited_words(struct link *link, const struct tn_conn_facts both[2],
                                 unsigned *percent)
{
    static const char *const senders[] = { "sender: client", "sender: target" };
    static const char *const windows[] = { "client's window", "target's window" };
    int from = direction_that_counts(link, both), into = !from;
    struct limit_mark *mark = &link->limits[into];
    enum limit limit = limit_look(mark, &both[into], link->opened);

    *percent = 0;
    if (link->state == LINK_CONNECTING)
        return "connecting";
    if (rests(link, both))
        return "idle";
    if (!fault_is_none(&link->relay->faults[from]))
        return "us: fault";
    *percent = mark->percent;
    if (limit == LIMIT_WINDOW)
        return windows[into];
    if (limit == LIMIT_BUFFER)
        return "us: buffer";
    if (limit == LIMIT_NETWORK)
        return "network";
    return both[from].unread ? "us: busy" : senders[from];
}

static void add_facts(struct json *json, const struct tn_conn_facts *facts,
                      const char *prefix)
{
    char name[32];

    (void)snprintf(name, sizeof(name), "%srtt_us", prefix);
    json_number(json, name, facts->rtt_us);
    (void)snprintf(name, sizeof(name), "%sretrans", prefix);
    json_number(json, name, facts->retransmits);
    (void)snprintf(name, sizeof(name), "%sunacked", prefix);
    json_number(json, name, facts->unacked);
    (void)snprintf(name, sizeof(name), "%sunread", prefix);
    json_number(json, name, facts->unread);
    (void)snprintf(name, sizeof(name), "%slimited_by", prefix);
    json_text(json, name, limited_by(facts));
}

static void tell(struct client *client, struct json *json)
{
    static const char *const states[] = { "connecting", "open", "closing" };
    struct link *link = client->served;
    const struct flow *up, *down;
    struct tn_conn_facts both[2] = { { 0 }, { 0 } };
    unsigned percent;

    if (!link)
        return;
    up = &link->flow[UP];
    down = &link->flow[DOWN];
    if (link->target)
        json_text(json, "target", link->target->where.name);
    json_text(json, "state", states[link->state]);
    json_number(json, "in", flow_taken(up));
    json_number(json, "target_out", flow_given(up));
    json_number(json, "target_in", flow_taken(down));
    json_number(json, "out", flow_given(down));
    json_bool(json, "client_ended", flow_ended(up));
    json_bool(json, "target_ended", flow_ended(down));
    for (int side = 0; side < 2; side++) {
        if (!link->conn[side])
            continue;
        tn_conn_facts(link->conn[side], &both[side]);
        add_facts(json, &both[side], side == TARGET ? "target_" : "");
    }
    json_text(json, "limited", limited_words(link, both, &percent));
    json_number(json, "limited_percent", percent);
}

static const struct view_kind kind = { head, moved, target_name, tell };

void relay_see(struct relay *relay)
{
    relay->view = (struct view){ .kind = &kind, .gate = &relay->gate, .arg = relay };
}
