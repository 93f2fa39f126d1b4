/* SPDX-License-Identifier: MIT */
/*
 * serve_sight.c -- what `tenon serve` answers to `tenon ctl`, and what can be seen of it.
 */
#include <string.h>
#include <unistd.h>

#include "progress.h"
#include "report.h"
#include "serving.h"

static void totals(const struct serving *serving, uint64_t *in, uint64_t *out)
{
    *in = serving->tally.in;
    *out = serving->tally.out;
    for (const struct client *client = serving->gate.first; client;
         client = client->next) {
        const struct service_run *run = client->served;

        *in += run ? run->in : 0;
        *out += run ? run->out : 0;
    }
}

static void head(void *arg, struct control_answer *answer, uint64_t *in, uint64_t *out)
{
    struct serving *serving = arg;
    char text[TN_ADDR_TEXT];
    struct json json;

    totals(serving, in, out);
    json_event(&json, "process");
    json_bool(&json, "ok", true);
    json_text(&json, "name", serving->control.name);
    json_text(&json, "kind", "serve");
    json_text(&json, "service", serving->service->name);
    json_number(&json, "pid", (uint64_t)getpid());
    json_text(&json, "addr", tn_addr_text(&serving->gate.addr, text, sizeof(text)));
    json_ms(&json, "ms", tn_now() - serving->started);
    json_bool(&json, "draining", serving->gate.shut);
    json_number(&json, "clients", serving->gate.accepted);
    json_number(&json, "connected", serving->gate.inside);
    json_number(&json, "turned_away", serving->gate.turned_away);
    json_number(&json, "in", *in);
    json_number(&json, "out", *out);
    control_add(answer, &json);
}

/* Before its task has begun, and at the very end, a client is not served. */
static void moved(const struct client *client, uint64_t *in, uint64_t *out)
{
    const struct service_run *run = client->served;

    *in = run ? run->in : client->pace.in;
    *out = run ? run->out : client->pace.out;
}

static const char *target_name(const struct client *client)
{
    (void)client;
    return "";
}

/* As relay/sight.c, where what is sent is not what has come from elsewhere. */
static const char *limited_words(struct client *client, const struct tn_conn_facts *facts,
                                 unsigned *percent)
{
    const struct pace *pace = &client->pace;
    struct service_run *run = client->served;
    enum limit limit = limit_look(&run->limit, facts, client->came);

    *percent = 0;
    if (pace->in_rate + pace->out_rate + facts->unacked + facts->unread == 0)
        return "idle";
    *percent = run->limit.percent;
    if (limit == LIMIT_WINDOW)
        return "client's window";
    if (limit == LIMIT_BUFFER)
        return "us: buffer";
    if (limit == LIMIT_NETWORK)
        return "network";
    return facts->unread || pace->in_rate == 0 ? "us: busy" : "sender: client";
}

static void tell(struct client *client, struct json *json)
{
    const struct service_run *run = client->served;
    struct tn_conn_facts facts;
    unsigned percent;

    if (!run || !run->conn)
        return;
    tn_conn_facts(run->conn, &facts);
    json_number(json, "in", run->in);
    json_number(json, "out", run->out);
    json_number(json, "rtt_us", facts.rtt_us);
    json_number(json, "retrans", facts.retransmits);
    json_number(json, "unacked", facts.unacked);
    json_number(json, "unread", facts.unread);
    json_text(json, "limited_by", limited_by(&facts));
    json_text(json, "limited", limited_words(client, &facts, &percent));
    json_number(json, "limited_percent", percent);
}

static const struct view_kind kind = { head, moved, target_name, tell };

/* ---- commands ---- */

static const char *run_status(void *arg, const char *rest, struct control_answer *answer)
{
    struct serving *serving = arg;
    uint64_t in, out;

    head(serving, answer, &in, &out);
    if (strcmp(rest, "brief") == 0)
        return NULL;
    view_look(&serving->view);
    for (struct client *client = serving->gate.first; client; client = client->next)
        view_row(&serving->view, client, answer);
    return NULL;
}

static const char *run_view(void *arg, const char *rest, struct control_answer *answer)
{
    struct serving *serving = arg;

    return view_command(&serving->view, rest, answer);
}

static const char *run_drain(void *arg, const char *rest, struct control_answer *answer)
{
    (void)rest;
    (void)answer;
    serving_drain(arg);
    return NULL;
}

static const char *run_kill(void *arg, const char *rest, struct control_answer *answer)
{
    const struct serving *serving = arg;
    const char *why;
    const struct service_run *run = gate_served(&serving->gate, rest, &why);

    (void)answer;
    if (!run)
        return why;
    tn_cancel(run->task);
    return NULL;
}

static const struct control_command commands[] = {
    { "status", run_status },
    { "view", run_view },
    { "drain", run_drain },
    { "kill", run_kill },
};

void serving_see(struct serving *serving)
{
    serving->view =
        (struct view){ .kind = &kind, .gate = &serving->gate, .arg = serving };
    serving->control = (struct control){
        .kind = "serve",
        .commands = commands,
        .command_count = sizeof(commands) / sizeof(commands[0]),
        .arg = serving,
    };
}
