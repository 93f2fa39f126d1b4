/* SPDX-License-Identifier: MIT */
/*
 * relay.c -- tenon relay LISTEN TARGET...: many clients, each passed on to a target.
 *
 * A gate lets clients in, and link.c serves each.  Helpers stand beside them for as long
 * as the relay runs: the clock, which finds idle clients, and the checks of targets.  Without
 * a limit there is no clock: a timer that is set makes each wait dearer.
 */
#include "relay/relay.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "interrupt.h"
#include "local.h"
#include "report.h"
#include "verbs.h"

/* ---- the clock ---- */

/* The shorter of the two limits. */
static int64_t shortest_limit(const struct settings *settings)
{
    return settings->idle_timeout < settings->fin_timeout ? settings->idle_timeout
                                                          : settings->fin_timeout;
}

static void look_at(struct link *link, const struct settings *settings, int64_t now)
{
    bool half = flow_ended(&link->flow[UP]) || flow_ended(&link->flow[DOWN]);
    int64_t limit = half && settings->fin_timeout != UNLIMITED ? settings->fin_timeout
                                                               : settings->idle_timeout;
    uint64_t moved = link_moved(link);

    if (moved != link->seen)
        link->moved_at = now;
    link->seen = moved;
    if (link->state == LINK_OPEN && limit != UNLIMITED && now - link->moved_at >= limit)
        link_stop(link, LINK_IDLE);
}

/* Idle clients are found within an eighth of their limit. */
static tn_err clock_task(void *arg)
{
    struct relay *relay = arg;
    int64_t period = shortest_limit(relay->settings) / 8;

    period = period < TN_MS ? TN_MS : period > TN_SECOND ? TN_SECOND : period;
    while (!tn_failed(tn_sleep(tn_in(period)))) {
        for (struct link *link = relay->first; link; link = link->next)
            look_at(link, relay->settings, tn_now());
    }
    return tn_ok();
}

/* ---- keepalive ---- */

/*
 * A target's connection is found dead 60 s after its last word, if keepalive is on by 15.
 * To set it takes four system calls, of which most connections have no use, being over
 * before.  An alarm and not the clock tells when: a timer makes each wait dearer.
 */
#define LASTING_S 10

void relay_last(struct relay *relay)
{
    if (!relay->alarm)
        (void)alarm(LASTING_S);
    relay->alarm = true;
}

static void keep_alive(struct relay *relay)
{
    relay->alarm = false;
    for (struct link *link = relay->first; link; link = link->next) {
        if (link->lasting || link->state != LINK_OPEN || !link->conn[TARGET])
            continue;
        tn_ignore(tn_keepalive(link->conn[TARGET])); /* it works without */
        link->lasting = true;
    }
}

/* ---- signals ---- */

int relay_reload(struct relay *relay)
{
    struct json json;
    int code = targets_reload(&relay->targets, relay->settings);

    if (code)
        return code;
    health_start(&relay->targets, relay->helpers);
    report_note("reloaded %s: %u targets", relay->settings->targets_file,
                relay->targets.count);
    if (!report_wants_json())
        return 0;
    json_event(&json, "reload");
    json_bool(&json, "ok", true);
    json_number(&json, "targets", relay->targets.count);
    json_send(&json);
    return 0;
}

void relay_drain(struct relay *relay)
{
    gate_shut(&relay->gate);
    if (relay->gate.inside)
        report_note("draining %u client%s; once more to reset them", relay->gate.inside,
                    relay->gate.inside == 1 ? "" : "s");
}

static void heard(void *arg, int number, int count)
{
    struct relay *relay = arg;

    (void)count; /* of all signals: those that ask for the end count here */
    if (number == SIGALRM)
        keep_alive(relay);
    else if (number == SIGUSR1)
        relay_totals(relay, false);
    else if (number == SIGHUP && relay->settings->targets_file)
        (void)relay_reload(relay); /* it has complained */
    else if (++relay->signals == 1)
        relay_drain(relay);
    else
        tn_group_cancel(relay->gate.clients);
}

/* ---- how many clients ---- */

/* Standard ones, the driver's, signals, listeners, a recording, and whatever we inherit. */
#define OWN_FILES 32
/* A loop lends so many pipes of two descriptors, one each way of a client (tn_pump). */
#define PIPE_FILES 128
/* What tn_accept takes ahead: 256, and what a turn of the loop brings, a ring's worth. */
#define AHEAD_FILES  (256 + 1024)
#define CLIENTS_MOST 1000000 /* as of --max-conns */

/* How many may be open beside clients'. */
static uint64_t other_files(const struct relay *relay)
{
    const struct settings *settings = relay->settings;
    uint64_t count = OWN_FILES + CONTROL_ASKING;

    count += settings->check ? relay->targets.count : 0;
    count += settings->metrics ? HTTP_CLIENTS : 0;
    return count + (settings->dash ? DASH_READERS : 0);
}

/*
 * A client that is let in has to reach its target, whatever the others do: each takes two
 * connections, and pipes.  So the limit of open files says how many there can be; and where
 * that is low, who is not let in yet waits in the kernel.
 */
static void limit_clients(struct relay *relay)
{
    uint64_t files = local_most_files(), reserve = other_files(relay), most;

    relay->gate.no_ahead = reserve + AHEAD_FILES > files / 8;
    reserve += relay->gate.no_ahead ? 0 : AHEAD_FILES;
    files -= reserve < files / 2 ? reserve : files / 2;
    most = files / 6; /* with a pipe each way */
    if (files > PIPE_FILES && (files - PIPE_FILES) / 2 > most)
        most = (files - PIPE_FILES) / 2;
    relay->gate.most = most < 1 ? 1 : most > CLIENTS_MOST ? CLIENTS_MOST : (unsigned)most;
}

/* ---- the verb ---- */

static tn_err start_helpers(struct relay *relay)
{
    struct tn_task_options options = { .name = "clock" };
    tn_err err = tn_group_open(&relay->helpers, TN_GROUP_EACH_ALONE);

    if (!tn_failed(err) && shortest_limit(relay->settings) != UNLIMITED)
        err = tn_go(relay->helpers, clock_task, relay, &options, NULL);
    if (!tn_failed(err))
        health_start(&relay->targets, relay->helpers);
    return err;
}

static tn_err main_task(void *arg)
{
    struct relay *relay = arg;
    struct interrupt interrupt = { 0 };
    tn_err err;

    relay->code = gate_open(&relay->gate);
    if (relay->code)
        return tn_ok();
    relay->started = tn_now();
    relay->control = (struct control){ .kind = "relay", .arg = relay };
    relay_commands(&relay->control);
    relay_see(relay);
    relay->code = control_open(&relay->control, relay->settings, &relay->gate.addr);
    if (!relay->code)
        relay->code = metrics_open(relay);
    if (!relay->code)
        relay->code =
            dash_open(&relay->dash, &relay->view, relay->settings, relay->settings->dash);
    if (relay->code) {
        http_close(&relay->http);
        control_close(&relay->control);
        gate_close(&relay->gate);
        return tn_ok();
    }
    err = start_helpers(relay);
    interrupt_also(&interrupt, SIGUSR1);
    interrupt_also(&interrupt, SIGALRM);
    if (!tn_failed(err))
        err = interrupt_open(&interrupt, heard, relay);
    if (!tn_failed(err))
        relay->code = gate_run(&relay->gate, link_task, 0);
    (void)alarm(0); /* or it would end us */
    interrupt_close(&interrupt);
    control_close(&relay->control);
    http_close(&relay->http);
    dash_close(&relay->dash);
    tn_group_close(&relay->helpers);
    gate_close(&relay->gate);
    if (!tn_failed(err))
        relay_totals(relay, true);
    return err;
}

/* --fault. */
static int read_faults(struct relay *relay)
{
    const struct settings *settings = relay->settings;

    for (int i = 0; i < settings->fault.count; i++) {
        const char *why = fault_read(settings->fault.list[i], relay->faults);
        if (why)
            return report_error(EXIT_USAGE, "option", "--fault", "'%s': %s",
                                settings->fault.list[i], why);
    }
    return 0;
}

/* xorshift64*; seeded by the clock, as nobody's secrets hang on it. */
uint64_t relay_random(struct relay *relay, uint64_t limit)
{
    uint64_t state = relay->random ? relay->random : (uint64_t)tn_now() | 1;

    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    relay->random = state;
    return (state * UINT64_C(0x2545f4914f6cdd1d) >> 11) % limit;
}

int relay_main(struct settings *settings)
{
    static struct relay relay; /* too large for a stack: the networks of the gate */
    char text[120];
    tn_err err;
    int code;

    relay.settings = settings;
    if (settings->operand_count < 1) {
        code = report_error(EXIT_USAGE, "relay", "", "from where, to where?");
        report_hint("tenon relay :8080 10.0.0.1:80");
        return code;
    }
    code = gate_prepare(&relay.gate, settings, settings->operands, 1);
    if (!code)
        code = targets_prepare(&relay.targets, settings, settings->operands + 1,
                               settings->operand_count - 1);
    if (!code)
        code = read_faults(&relay);
    if (!code)
        code = tap_open(&relay);
    if (code)
        return code;
    relay.gate.arg = &relay;
    local_raise_files();
    if (!settings->max_conns)
        limit_clients(&relay);
    err = tn_run(main_task, &relay, NULL);
    targets_release(&relay.targets);
    code = tap_close(&relay);
    if (tn_failed(err))
        return report_error(EXIT_OTHER, "start", "", "%s",
                            tn_err_text(err, text, sizeof(text)));
    return relay.code ? relay.code : code;
}
