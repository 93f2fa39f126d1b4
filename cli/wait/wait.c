/* SPDX-License-Identifier: MIT */
/*
 * wait.c -- tenon wait: until all addresses accept (or any), then run a program.
 *
 * A task for each address tries again and again: at once at first, then after 100 ms,
 * twice that, and so on to a second.  That a connection stands is enough, or with --expect
 * that the text has come over it; it is ended in order then.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dialing.h"
#include "local.h"
#include "progress.h"
#include "report.h"
#include "verbs.h"

#define DEFAULT_TIME  (15 * TN_SECOND) /* as wait-for-it.sh */
#define FIRST_PAUSE   (100 * TN_MS)
#define LONGEST_PAUSE TN_SECOND
#define TEXT_MOST     65536 /* bytes in which --expect's text has to come */

struct waiting;

/* One address. */
struct awaited {
    struct waiting *all;
    struct where where;
    struct tn_task *task;
    bool reached;
    unsigned attempts;
    int64_t length; /* until it was reached */
    char why[200];  /* it was not, the last time */
};

struct waiting {
    const struct settings *settings;
    struct awaited *list;
    int count, reached;
    int64_t limit; /* --max-time */
    int64_t started;
    tn_deadline deadline;
};

/* Read until the text has come. */
static tn_err expect_text(struct awaited *awaited, struct tn_conn *conn)
{
    const char *text = awaited->all->settings->expect;
    char *buf = malloc(TEXT_MOST);
    size_t size = 0, got = 0;
    tn_err err = tn_ok();

    if (!buf)
        return tn_err_errno(ENOMEM);
    while (!tn_failed(err) && !memmem(buf, size, text, strlen(text))) {
        if (size == TEXT_MOST) {
            err = tn_err_user(TN_PROTOCOL, 0);
            break;
        }
        err = tn_read(conn, buf + size, TEXT_MOST - size, &got, awaited->all->deadline);
        size += tn_failed(err) ? 0 : got;
    }
    free(buf);
    if (tn_failed(err))
        (void)snprintf(awaited->why, sizeof(awaited->why),
                       "it accepts, but %zu bytes came without the text", size);
    return err;
}

/* One attempt. */
static tn_err attempt(struct awaited *awaited)
{
    const struct waiting *waiting = awaited->all;
    const struct settings *settings = waiting->settings;
    char source[120];
    struct tn_conn_options options = conn_options(settings, source, sizeof(source));
    struct tn_conn *conn = NULL;
    tn_err err = tn_dial(&conn, awaited->where.text, &options,
                         tn_sooner(waiting->deadline, tn_in(settings->connect_timeout)));

    awaited->attempts++;
    if (tn_failed(err)) {
        if (err.kind == TN_DEADLINE)
            (void)snprintf(awaited->why, sizeof(awaited->why), "no answer");
        else if (err.kind != TN_CANCELED)
            (void)dialing_code(err, settings, &awaited->where, awaited->why,
                               sizeof(awaited->why));
        return err;
    }
    if (settings->expect)
        err = expect_text(awaited, conn);
    tn_ignore(tn_close_discard(&conn, NULL, TN_NOW)); /* only a knock at the door */
    return err;
}

static void tell_reached(struct awaited *awaited)
{
    char length[24];
    struct json json;

    report_note("%s is there, after %s", awaited->where.name,
                time_text(awaited->length, length, sizeof(length)));
    if (!report_wants_json())
        return;
    json_event(&json, "wait");
    json_bool(&json, "ok", true);
    json_text(&json, "where", awaited->where.name);
    json_number(&json, "attempts", awaited->attempts);
    json_ms(&json, "ms", awaited->length);
    json_send(&json);
}

static tn_err wait_task(void *arg)
{
    struct awaited *awaited = arg;
    struct waiting *waiting = awaited->all;
    int64_t pause = FIRST_PAUSE;

    while (tn_failed(attempt(awaited))) {
        if (tn_left(waiting->deadline) == 0 ||
            tn_failed(tn_sleep(tn_sooner(waiting->deadline, tn_in(pause)))) ||
            tn_left(waiting->deadline) == 0)
            return tn_ok();
        pause = 2 * pause < LONGEST_PAUSE ? 2 * pause : LONGEST_PAUSE;
    }
    awaited->reached = true;
    awaited->length = tn_now() - waiting->started;
    tell_reached(awaited);
    waiting->reached++;
    for (int i = 0; waiting->settings->any && i < waiting->count; i++) {
        if (waiting->list[i].task && &waiting->list[i] != awaited)
            tn_cancel(waiting->list[i].task);
    }
    return tn_ok();
}

static tn_err main_task(void *arg)
{
    struct waiting *waiting = arg;
    tn_err err = tn_ok();

    waiting->started = tn_now();
    waiting->deadline = tn_in(waiting->limit);
    for (int i = 0; i < waiting->count && !tn_failed(err); i++)
        err = tn_go(NULL, wait_task, &waiting->list[i], NULL, &waiting->list[i].task);
    for (int i = 0; i < waiting->count; i++) {
        if (tn_failed(err) && waiting->list[i].task)
            tn_cancel(waiting->list[i].task);
        tn_ignore(tn_join(&waiting->list[i].task, NULL, TN_NEVER)); /* they end in time */
    }
    return err;
}

/* Those that were not reached, a line each. */
static int complain(const struct waiting *waiting)
{
    char length[24];

    (void)time_text(waiting->limit, length, sizeof(length));
    for (int i = 0; i < waiting->count; i++) {
        const struct awaited *awaited = &waiting->list[i];
        if (!awaited->reached)
            (void)report_error(EXIT_NOT_REACHED, "wait", awaited->where.name,
                               "not there within %s: %s (%u attempt%s)", length,
                               awaited->why, awaited->attempts,
                               awaited->attempts == 1 ? "" : "s");
    }
    return EXIT_NOT_REACHED;
}

/* Become the program behind "--". */
static int become(char **command)
{
    int code, error;

    report_drain();
    (void)signal(SIGPIPE, SIG_DFL); /* as they were before local_prepare */
    (void)signal(SIGXFSZ, SIG_DFL);
    local_lower_files();
    (void)execvp(command[0], command);
    error = errno;
    code = error == ENOENT ? EXIT_NO_PROGRAM : EXIT_NOT_RUNNABLE;
    return report_error((enum exit_code)code, "run", command[0], "%s", strerror(error));
}

/* The addresses.  Returns 0, or an exit code after a complaint. */
static int prepare(struct waiting *waiting, struct settings *settings)
{
    int code = 0;

    if (settings->operand_count == 0)
        return report_error(EXIT_USAGE, "address", "", "none given");
    if (settings->command && !settings->command[0])
        return report_error(EXIT_USAGE, "wait", "", "no program follows the --");
    waiting->list = calloc((size_t)settings->operand_count, sizeof(*waiting->list));
    if (!waiting->list)
        return report_error(EXIT_OTHER, "start", "", "out of memory");
    waiting->count = settings->operand_count;
    for (int i = 0; i < waiting->count && !code; i++) {
        waiting->list[i].all = waiting;
        code = where_read(&waiting->list[i].where, settings, &settings->operands[i], 1);
    }
    return code;
}

int wait_main(struct settings *settings)
{
    struct waiting waiting = { .settings = settings };
    char text[120];
    tn_err err;
    int code = prepare(&waiting, settings);

    waiting.limit =
        options_given(settings, "max-time") ? settings->max_time : DEFAULT_TIME;
    if (!code) {
        local_raise_files();
        err = tn_run(main_task, &waiting, NULL);
        if (tn_failed(err))
            code = report_error(EXIT_OTHER, "start", "", "%s",
                                tn_err_text(err, text, sizeof(text)));
        else if (waiting.reached < (settings->any ? 1 : waiting.count))
            code = complain(&waiting);
    }
    free(waiting.list);
    return code || !settings->command ? code : become(settings->command);
}
