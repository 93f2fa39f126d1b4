/* SPDX-License-Identifier: MIT */
/*
 * health.c -- which targets are up: a task for each connects now and then.
 *
 * A target changes its state after so many answers in a row that say otherwise (--rise,
 * --fall), clients' failed connects among them.  A check's connection is reset: it has
 * nothing to say, and a port that waits for the end of it would be gone for a minute.
 */
#include <stdio.h>
#include <stdlib.h>

#include "dialing.h"
#include "relay/targets.h"
#include "report.h"

static void tell_change(const struct target *target)
{
    struct json json;

    if (target->up)
        report_note("target %s is up", target->where.name);
    else
        report_note("target %s is down: %s", target->where.name, target->why);
    if (!report_wants_json())
        return;
    json_event(&json, "health");
    json_bool(&json, "ok", target->up);
    json_text(&json, "target", target->where.name);
    json_bool(&json, "up", target->up);
    if (!target->up)
        json_text(&json, "why", target->why);
    json_send(&json);
}

/* One line for all the clients that a dead target will cost. */
static void note_failure(struct target *target, const char *why)
{
    if (!target->failing)
        (void)report_error(EXIT_UNREACHED, "target", target->where.name, "%s", why);
    target->failing = true;
    target->refused++;
}

void target_answered(const struct targets *targets, struct target *target, int64_t length,
                     const char *why)
{
    const struct settings *settings = targets->settings;
    bool works = why == NULL;
    int64_t needed = works ? settings->rise : settings->fall;

    if (works) {
        target->failing = false;
        target->connect_ns = length;
    } else {
        note_failure(target, why);
    }
    if (!settings->check)
        return;
    target->streak = works == target->up ? 0 : target->streak + 1;
    if (target->streak < needed)
        return;
    target->streak = 0;
    target->up = works;
    (void)snprintf(target->why, sizeof(target->why), "%s", works ? "" : why);
    tell_change(target);
}

struct checker {
    const struct targets *targets;
    struct target *target;
};

static void check_once(const struct checker *checker)
{
    const struct settings *settings = checker->targets->settings;
    struct tn_conn_options options = { 0 };
    struct tn_conn *conn = NULL;
    int64_t started = tn_now();
    int64_t limit = settings->check_interval < settings->connect_timeout
                        ? settings->check_interval
                        : settings->connect_timeout;
    tn_err err = target_dial(checker->target, &conn, &options, tn_in(limit));
    char why[160];

    if (err.kind == TN_CANCELED)
        return;
    if (tn_failed(err) && err.kind == TN_DEADLINE)
        (void)snprintf(why, sizeof(why), "no answer");
    else if (tn_failed(err))
        (void)dialing_code(err, settings, &checker->target->where, why, sizeof(why));
    target_answered(checker->targets, checker->target, tn_now() - started,
                    tn_failed(err) ? why : NULL);
    tn_abort(&conn);
}

static tn_err check_task(void *arg)
{
    struct checker checker = { ((struct checker *)arg)->targets,
                               ((struct checker *)arg)->target };

    free(arg);
    while (!checker.target->removed && !tn_canceled()) {
        check_once(&checker);
        if (tn_failed(tn_sleep(tn_in(checker.targets->settings->check_interval))))
            break;
    }
    checker.target->is_checked = false;
    target_drop(checker.target);
    return tn_ok();
}

void health_start(struct targets *targets, struct tn_group *group)
{
    struct tn_task_options options = { .name = "check" };

    for (unsigned i = 0; i < targets->count && targets->settings->check; i++) {
        struct target *target = targets->list[i];
        struct checker *checker;

        if (target->is_checked)
            continue;
        checker = malloc(sizeof(*checker));
        if (checker) {
            *checker = (struct checker){ targets, target_take(target) };
            target->is_checked = true;
            if (!tn_failed(tn_go(group, check_task, checker, &options, NULL)))
                continue;
            target->is_checked = false;
            target_drop(target);
            free(checker);
        }
        (void)report_error(EXIT_OTHER, "check", target->where.name, "out of memory");
    }
}
