/* SPDX-License-Identifier: MIT */
/*
 * serve.c -- tenon serve KIND ADDRESS: small services for many clients at once.
 *
 * A task each client, straight down the page; see services.c.  The first Ctrl-C stops
 * accepting and lets the clients finish, the second resets them.
 */
#include "serving.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dialing.h"
#include "interrupt.h"
#include "local.h"
#include "progress.h"
#include "report.h"
#include "verbs.h"

/* One client: serve it, end by the closing rule, and count what came of it. */
static tn_err client_task(void *arg)
{
    struct client *client = arg;
    struct serving *serving = client->gate->arg;
    struct service_run run = { .task = tn_self(),
                               .conn = client->conn,
                               .idle = serving->settings->idle_timeout };
    int64_t started = tn_now();

    client->conn = NULL;
    client->served = &run;
    serving->service->run(&run);
    service_close(&run);
    client->served = NULL;
    serving->tally.in += run.in;
    serving->tally.out += run.out;
    serving->tally.ended[run.outcome]++;
    service_tell(&run, client, tn_now() - started);
    gate_leave(client);
    return tn_ok();
}

void serving_drain(struct serving *serving)
{
    unsigned clients = serving->gate.inside;

    gate_shut(&serving->gate);
    if (clients)
        report_note("draining %u client%s; once more to reset them", clients,
                    clients == 1 ? "" : "s");
}

/* ---- the verb ---- */

static void heard(void *arg, int number, int count)
{
    struct serving *serving = arg;

    (void)number;
    if (count == 1)
        serving_drain(serving);
    else
        tn_group_cancel(serving->gate.clients);
}

static void tell_totals(const struct serving *serving)
{
    const struct tally *tally = &serving->tally;
    int64_t length = tn_now() - serving->started;
    char in[24], out[24], time[24];
    struct json json;

    report_note("%" PRIu64 " clients, %s in, %s out, %" PRIu64 " ended clean, %" PRIu64
                " otherwise, %" PRIu64 " turned away, in %s",
                serving->gate.accepted, size_text(tally->in, in, sizeof(in)),
                size_text(tally->out, out, sizeof(out)), tally->ended[OUTCOME_CLEAN],
                tally->ended[OUTCOME_RESET] + tally->ended[OUTCOME_IDLE] +
                    tally->ended[OUTCOME_KILLED],
                serving->gate.turned_away, time_text(length, time, sizeof(time)));
    if (!report_wants_json())
        return;
    json_event(&json, "summary");
    json_bool(&json, "ok", true);
    json_number(&json, "clients", serving->gate.accepted);
    json_number(&json, "turned_away", serving->gate.turned_away);
    json_number(&json, "in", tally->in);
    json_number(&json, "out", tally->out);
    json_number(&json, "clean", tally->ended[OUTCOME_CLEAN]);
    json_number(&json, "reset", tally->ended[OUTCOME_RESET]);
    json_number(&json, "idle", tally->ended[OUTCOME_IDLE]);
    json_number(&json, "killed", tally->ended[OUTCOME_KILLED]);
    json_number(&json, "pauses", serving->gate.pauses);
    json_ms(&json, "ms", length);
    json_send(&json);
}

static tn_err main_task(void *arg)
{
    struct serving *serving = arg;
    struct interrupt interrupt = { 0 };
    tn_err err;

    serving->code = gate_open(&serving->gate);
    if (serving->code)
        return tn_ok();
    serving->started = tn_now();
    serving_see(serving);
    serving->code =
        control_open(&serving->control, serving->settings, &serving->gate.addr);
    if (!serving->code)
        serving->code = dash_open(&serving->dash, &serving->view, serving->settings,
                                  serving->settings->dash);
    if (serving->code) {
        control_close(&serving->control);
        gate_close(&serving->gate);
        return tn_ok();
    }
    err = interrupt_open(&interrupt, heard, serving);
    if (!tn_failed(err))
        serving->code = gate_run(&serving->gate, client_task, 0);
    interrupt_close(&interrupt);
    control_close(&serving->control);
    dash_close(&serving->dash);
    gate_close(&serving->gate);
    if (!tn_failed(err))
        tell_totals(serving);
    return err;
}

int serve_main(struct settings *settings)
{
    static struct serving serving; /* too large for a stack: the networks of the gate */
    char text[120];
    tn_err err;
    int code;

    serving.settings = settings;
    if (settings->operand_count < 1) {
        code = report_error(EXIT_USAGE, "serve", "", "serve what?");
        report_hint("tenon serve echo 127.0.0.1:7000");
        return code;
    }
    serving.service = service_find(settings->operands[0]);
    if (!serving.service) {
        code =
            report_error(EXIT_USAGE, "serve", settings->operands[0], "no such service");
        report_hint("there are echo, discard, chargen, time, daytime and bench");
        return code;
    }
    code = gate_prepare(&serving.gate, settings, settings->operands + 1,
                        settings->operand_count - 1);
    if (code)
        return code;
    serving.gate.arg = &serving;
    local_raise_files();
    err = tn_run(main_task, &serving, NULL);
    if (tn_failed(err))
        return report_error(EXIT_OTHER, "start", "", "%s",
                            tn_err_text(err, text, sizeof(text)));
    return serving.code;
}
