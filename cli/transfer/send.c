/* SPDX-License-Identifier: MIT */
/*
 * send.c -- tenon send: deliver files to a tenon recv, however often the connection breaks.
 *
 * A broken connection is made again after 100 ms, twice that, and so on to 5 s; the
 * receiver then says what it has.  --retries counts attempts in a row that brought
 * nothing; the 20 of the default are 80 s, longer than TCP's keepalive lets a dead
 * connection hold a file at the receiver's.
 *
 * Always true: exit 0 means that each file has its receipt.
 */
#include <stdio.h>
#include <string.h>

#include "deliver.h"
#include "dialing.h"
#include "interrupt.h"
#include "local.h"
#include "progress.h"
#include "session.h"
#include "verbs.h"

#define FIRST_PAUSE     (100 * TN_MS)
#define LONGEST_PAUSE   (5 * TN_SECOND)
#define RETRIES_DEFAULT 20

struct sending {
    struct settings *settings;
    struct where where;
    struct plan plan;
    struct delivery delivery;
    char token[TOKEN_MOST + 1];
    tn_deadline deadline;
    int64_t started;
    struct meter meter;
    unsigned connections;
    int64_t attempts; /* in a row that brought nothing */
    uint64_t seen;    /* what was confirmed when the last one failed */
    struct tn_task *task;
    int signal;
    int code;
};

static void heard(void *arg, int number, int count)
{
    struct sending *sending = arg;

    (void)count;
    sending->signal = number;
    tn_cancel(sending->task);
}

/* Connect; one that fails may be tried again if it is not the first. */
static tn_err connect_again(struct sending *sending)
{
    const struct settings *settings = sending->settings;
    char source[120];
    struct tn_conn_options options = conn_options(settings, source, sizeof(source));
    tn_deadline limit = tn_sooner(sending->deadline, tn_in(settings->connect_timeout));

    return tn_dial(&sending->delivery.wire.conn, sending->where.text, &options, limit);
}

/* One connection with all that can be done on it. */
static tn_err attempt(struct sending *sending)
{
    struct delivery *delivery = &sending->delivery;
    struct wire *wire = &delivery->wire;
    tn_err err;

    memset(wire, 0, sizeof(*wire));
    wire->deadline = sending->deadline;
    wire->idle = sending->settings->idle_timeout;
    err = connect_again(sending);
    if (tn_failed(err))
        return err;
    sending->connections++;
    return deliver(delivery);
}

/* What comes next has been read from a pipe, in part, and cannot be read again. */
static bool stdin_is_gone(const struct delivery *delivery)
{
    return delivery->stdin_taken && delivery->next < delivery->plan->count &&
           delivery->plan->entries[delivery->next].size == SIZE_UNKNOWN;
}

/* May another attempt follow the one that ERR ended? */
static bool go_on(struct sending *sending, tn_err err)
{
    struct delivery *delivery = &sending->delivery;
    int64_t most = sending->settings->retries;
    bool first = sending->connections == 0 && most < 0;

    if (delivery->confirmed > sending->seen)
        sending->attempts = 0;
    sending->seen = delivery->confirmed;
    sending->attempts++;
    return !first && !stdin_is_gone(delivery) &&
           session_may_return(&delivery->wire, err) &&
           sending->attempts <= (most < 0 ? RETRIES_DEFAULT : most) &&
           tn_left(sending->deadline) > 0;
}

/* Tell that it is tried again, and wait for that.  False if it is over meanwhile. */
static bool pause_for(struct sending *sending, tn_err err)
{
    int64_t length = FIRST_PAUSE;
    char why[WHY_MOST + 40], text[24];
    struct json json;

    for (int64_t i = 1; i < sending->attempts && length < LONGEST_PAUSE; i++)
        length *= 2;
    if (length > LONGEST_PAUSE)
        length = LONGEST_PAUSE;
    (void)session_why(&sending->delivery.wire, err, "receiver", why, sizeof(why));
    report_note("%s: %s; trying again in %s", sending->where.name, why,
                time_text(length, text, sizeof(text)));
    if (report_wants_json()) {
        json_event(&json, "retry");
        json_bool(&json, "ok", false);
        json_text(&json, "where", sending->where.name);
        json_text(&json, "why", why);
        json_ms(&json, "wait_ms", length);
        json_number(&json, "attempt", (uint64_t)sending->attempts);
        json_send(&json);
    }
    return !tn_failed(tn_sleep(tn_sooner(sending->deadline, tn_in(length))));
}

/* It did not work: say why.  Returns the exit code. */
static int complain(struct sending *sending, tn_err err)
{
    const struct wire *wire = &sending->delivery.wire;
    char why[WHY_MOST + 40];
    int code;

    if (err.kind == TN_CANCELED)
        return EXIT_OTHER; /* the signal says it all */
    if (tn_left(sending->deadline) == 0 && err.kind == TN_DEADLINE)
        return report_error(EXIT_LATE, "send", sending->where.name,
                            "deadline passed, %llu of %llu files confirmed",
                            (unsigned long long)sending->delivery.files,
                            (unsigned long long)sending->plan.files);
    if (wire->refusal == REFUSED_NOT && sending->connections == 0) {
        code = dialing_code(err, sending->settings, &sending->where, why, sizeof(why));
        return report_error((enum exit_code)code, "connect", sending->where.name, "%s",
                            why);
    }
    code = report_error(session_code(wire, err), "send", sending->where.name, "%s",
                        session_why(wire, err, "receiver", why, sizeof(why)));
    if (stdin_is_gone(&sending->delivery) && session_may_return(wire, err))
        report_hint("what comes through a pipe cannot be sent twice; a file can");
    return code;
}

static int tell(const struct sending *sending, int code)
{
    const struct delivery *delivery = &sending->delivery;
    int64_t length = tn_now() - sending->started;
    char size[24], took[24];
    struct json json;

    if (!code && sending->plan.left_out)
        code = report_error(EXIT_OTHER, "send", "", "%u left out, which are no files",
                            sending->plan.left_out);
    if (!code)
        report_note("%llu file%s, %s, in %s: the receiver has them",
                    (unsigned long long)delivery->files, delivery->files == 1 ? "" : "s",
                    size_text(delivery->done_bytes, size, sizeof(size)),
                    time_text(length, took, sizeof(took)));
    if (!report_wants_json())
        return code;
    json_event(&json, "transfer");
    json_bool(&json, "ok", code == 0);
    json_text(&json, "where", sending->where.name);
    json_number(&json, "exit", (uint64_t)code);
    json_number(&json, "files", delivery->files);
    json_number(&json, "bytes", delivery->done_bytes);
    json_number(&json, "moved", delivery->moved);
    json_number(&json, "connections", sending->connections);
    json_ms(&json, "ms", length);
    json_send(&json);
    return code;
}

static tn_err send_task(void *arg)
{
    struct sending *sending = arg;
    struct delivery *delivery = &sending->delivery;
    bool all = false; /* every receipt was here before */
    tn_err err;

    for (;;) {
        err = attempt(sending);
        if (delivery->finished)
            break;
        /* Only the last word is missing: it was tried once more, for the receiver's sake. */
        if (all && delivery->next == sending->plan.count)
            break;
        all = delivery->next == sending->plan.count;
        if (!go_on(sending, err) || !pause_for(sending, err))
            break;
    }
    sending->code = delivery->next == sending->plan.count ? 0 : complain(sending, err);
    sending->code = tell(sending, sending->code);
    return tn_ok();
}

static tn_err main_task(void *arg)
{
    struct sending *sending = arg;
    const struct settings *settings = sending->settings;
    struct interrupt interrupt = { 0 };
    tn_err err;

    sending->started = sending->meter.started = tn_now();
    sending->deadline =
        settings->max_time == UNLIMITED ? TN_NEVER : tn_in(settings->max_time);
    err = tn_go(NULL, send_task, sending, NULL, &sending->task);
    if (tn_failed(err))
        return err;
    err = interrupt_open(&interrupt, heard, sending);
    progress_start(&sending->meter, settings->silent);
    tn_ignore(tn_join(&sending->task, NULL, TN_NEVER)); /* nobody cancels this task */
    progress_stop(&sending->meter);
    interrupt_close(&interrupt);
    return err;
}

/* Is standard input among what is to be sent? */
static bool sends_stdin(const struct settings *settings)
{
    for (int i = 1; i < settings->operand_count; i++) {
        if (strcmp(settings->operands[i], "-") == 0)
            return true;
    }
    return settings->operand_count < 2;
}

/* Address, token and what is to be sent.  Returns 0 or an exit code. */
static int prepare(struct sending *sending, struct settings *settings)
{
    static const char *const only_stdin[] = { "-" };
    int count = settings->operand_count - 1;
    const char *name = settings->as_name ? settings->as_name : "stdin";
    int code;

    if (count < 0)
        return report_error(EXIT_USAGE, "address", "", "none given");
    code = where_read(&sending->where, settings, settings->operands, 1);
    if (!code)
        code = session_token(settings, sending->token);
    if (code)
        return code;
    if (!*name || strlen(name) > 255 || strchr(name, '/'))
        return report_error(EXIT_USAGE, "option", "--as", "'%s' is no name of a file",
                            name);
    if (settings->as_name && !sends_stdin(settings))
        return report_error(EXIT_USAGE, "option", "--as",
                            "names standard input, which is not sent: - is no operand");
    return count ? plan_make(&sending->plan, (const char *const *)settings->operands + 1,
                             count, name)
                 : plan_make(&sending->plan, only_stdin, 1, name);
}

int send_main(struct settings *settings)
{
    struct sending sending = { .settings = settings };
    char text[120];
    tn_err err = tn_ok();
    int code = prepare(&sending, settings);

    if (!code && !digest_prepare())
        code = report_error(EXIT_OTHER, "start", "", "libcrypto has no SHA-256 here");
    if (!code) {
        sending.delivery.plan = &sending.plan;
        sending.delivery.token = sending.token[0] ? sending.token : NULL;
        sending.delivery.where = sending.where.name;
        sending.meter.sent = &sending.delivery.covered;
        sending.meter.total = &sending.plan.bytes;
        err = tn_run(main_task, &sending, NULL);
        code = sending.code;
    }
    plan_free(&sending.plan);
    if (sending.signal)
        interrupt_die(sending.signal);
    if (tn_failed(err))
        return report_error(EXIT_OTHER, "start", "", "%s",
                            tn_err_text(err, text, sizeof(text)));
    return code;
}
