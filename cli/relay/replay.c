/* SPDX-License-Identifier: MIT */
/*
 * replay.c -- tenon replay FILE ADDRESS: what clients once sent, sent again.
 *
 * A connection for each recorded client, at its time, and two tasks: this one sends, by
 * the clock and by what has been answered so far; the other one reads and compares.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dialing.h"
#include "interrupt.h"
#include "local.h"
#include "progress.h"
#include "relay/recording.h"
#include "report.h"
#include "verbs.h"
#include "where.h"

/* An answer that is due and does not come is not waited for longer than this. */
#define ANSWER_LIMIT (10 * TN_SECOND)
#define CLOSE_LIMIT  (30 * TN_SECOND)

struct replaying {
    const struct settings *settings;
    struct where where;
    struct recording recording;
    struct tn_group *group;
    int64_t started;
    tn_deadline deadline;
    uint64_t sent, received, different, failed;
    int code, signal;
};

/* One client. */
struct replay {
    struct replaying *all;
    const struct recorded_client *client;
    struct tn_conn *conn;
    uint64_t sent, received;
    struct tn_mutex mutex; /* for the condition: more has come, or no more will */
    struct tn_cond heard;
    size_t event, place; /* of the recorded answer: where the next byte is compared */
    int64_t differs_at;  /* -1: nowhere */
    bool ended;          /* nothing more will come */
    tn_err read_err;
};

/* ---- what comes ---- */

/* Compare SIZE bytes at DATA with the recorded answer, from where that stands. */
static void compare(struct replay *replay, const char *data, size_t size)
{
    const struct recorded_client *client = replay->client;
    size_t done = 0;

    while (done < size && replay->differs_at < 0) {
        const struct recorded_event *event = &client->events[replay->event];
        size_t part;

        if (replay->event == client->count) {
            replay->differs_at = (int64_t)(replay->received + done);
            return;
        }
        if (event->what != RECORDED_DOWN || replay->place == event->size) {
            replay->event++;
            replay->place = 0;
            continue;
        }
        part = event->size - replay->place;
        part = part < size - done ? part : size - done;
        for (size_t i = 0; i < part; i++) {
            if (event->data[replay->place + i] == data[done + i])
                continue;
            replay->differs_at = (int64_t)(replay->received + done + i);
            return;
        }
        replay->place += part;
        done += part;
    }
}

static tn_err read_task(void *arg)
{
    struct replay *replay = arg;
    const void *data;
    size_t size;

    for (;;) {
        replay->read_err =
            tn_read_lease(replay->conn, &data, &size, replay->all->deadline);
        if (tn_failed(replay->read_err))
            break;
        compare(replay, data, size);
        replay->received += size;
        tn_return(replay->conn);
        tn_cond_signal(&replay->heard);
    }
    replay->ended = true;
    tn_cond_signal(&replay->heard);
    return tn_ok();
}

/* ---- what is sent ---- */

/* Wait until SIZE bytes have come, for a while. */
static tn_err wait_for_answer(struct replay *replay, uint64_t size)
{
    tn_deadline limit = tn_sooner(tn_in(ANSWER_LIMIT), replay->all->deadline);
    tn_err err = tn_mutex_lock(&replay->mutex, TN_NEVER);

    if (tn_failed(err))
        return err;
    while (!tn_failed(err) && replay->received < size && !replay->ended)
        err = tn_cond_wait(&replay->heard, &replay->mutex, limit);
    tn_mutex_unlock(&replay->mutex);
    return err.kind == TN_DEADLINE ? tn_ok() : err;
}

static tn_err wait_for_time(const struct replay *replay, int64_t at)
{
    return tn_sleep(tn_in(replay->all->started + at - tn_now()));
}

/* Send what EVENT says, once as many bytes as DUE have come. */
static tn_err send_event(struct replay *replay, const struct recorded_event *event,
                         uint64_t due)
{
    size_t done = 0;
    tn_err err = wait_for_answer(replay, due);

    if (!tn_failed(err))
        err = wait_for_time(replay, event->at);
    if (!tn_failed(err) && event->what == RECORDED_UP)
        err = tn_write(replay->conn, event->data, event->size, &done,
                       replay->all->deadline);
    else if (!tn_failed(err))
        err = tn_end(replay->conn);
    replay->sent += done;
    return err;
}

/* All the client sent.  *RESETS: it did not end in order, or nobody saw it end. */
static tn_err send_all(struct replay *replay, bool *resets)
{
    const struct recorded_client *client = replay->client;
    uint64_t due = 0;
    tn_err err = tn_ok();

    for (size_t i = 0; i < client->count && !tn_failed(err); i++) {
        const struct recorded_event *event = &client->events[i];

        if (event->what == RECORDED_DOWN)
            due += event->size;
        else if (event->what == RECORDED_UP || event->what == RECORDED_UP_END)
            err = send_event(replay, event, due);
        else if (event->what == RECORDED_CLOSE)
            *resets = strcmp(event->data, "eof") != 0;
    }
    if (!tn_failed(err) && *resets)
        err = wait_for_answer(replay, due);
    return err;
}

/* ---- one client ---- */

static void tell(struct replay *replay, tn_err err, bool differs)
{
    struct replaying *all = replay->all;
    char where[40], text[120];
    struct json json;

    (void)snprintf(where, sizeof(where), "client %" PRIu64, replay->client->id);
    if (tn_failed(err))
        (void)report_error((enum exit_code)network_code(err), "replay", where,
                           "%s (sent %" PRIu64 " bytes, received %" PRIu64 ")",
                           tn_err_text(err, text, sizeof(text)), replay->sent,
                           replay->received);
    else if (differs)
        (void)report_error(EXIT_OTHER, "compare", where,
                           "the answer differs from byte %" PRId64
                           " on (received %" PRIu64 " bytes, recorded %zu)",
                           replay->differs_at, replay->received, replay->client->answer);
    if (!report_wants_json())
        return;
    json_event(&json, "replayed");
    json_bool(&json, "ok", !tn_failed(err) && !differs);
    json_number(&json, "id", replay->client->id);
    json_text(&json, "where", all->where.name);
    json_number(&json, "in", replay->received);
    json_number(&json, "out", replay->sent);
    json_number(&json, "recorded", replay->client->answer);
    if (differs)
        json_number(&json, "differs_at", (uint64_t)replay->differs_at);
    json_send(&json);
}

static void judge(struct replay *replay, tn_err err)
{
    struct replaying *all = replay->all;
    bool differs;

    if (replay->differs_at < 0 && replay->received < replay->client->answer)
        replay->differs_at = (int64_t)replay->received; /* it ended too early */
    differs = all->settings->diff && replay->differs_at >= 0;
    all->sent += replay->sent;
    all->received += replay->received;
    all->failed += tn_failed(err);
    all->different += differs;
    if (tn_failed(err) && !all->code)
        all->code = network_code(err);
    else if (differs && !all->code)
        all->code = EXIT_OTHER;
    tell(replay, err, differs);
}

/* Send and read, to the end. */
static tn_err converse(struct replay *replay)
{
    struct tn_task *reader = NULL;
    bool resets = true;
    tn_err err = tn_go(NULL, read_task, replay, NULL, &reader);

    if (tn_failed(err))
        return err;
    err = send_all(replay, &resets);
    if (tn_failed(err) || resets)
        tn_cancel(reader);
    tn_ignore(tn_join(&reader, NULL, tn_shielded(INT64_MAX / 2))); /* canceled, or ends */
    if (!tn_failed(err) && !resets && replay->read_err.kind != TN_EOF)
        err = replay->read_err;
    if (!tn_failed(err) && !resets)
        err = tn_close(&replay->conn, NULL, tn_in(CLOSE_LIMIT));
    tn_abort(&replay->conn);
    return err;
}

static tn_err replay_task(void *arg)
{
    struct replay *replay = arg;
    struct replaying *all = replay->all;
    char source[120];
    struct tn_conn_options options = conn_options(all->settings, source, sizeof(source));
    tn_err err = wait_for_time(replay, replay->client->events[0].at);

    if (!tn_failed(err))
        err = tn_dial(&replay->conn, all->where.text, &options,
                      tn_sooner(all->deadline, tn_in(all->settings->connect_timeout)));
    if (!tn_failed(err))
        err = converse(replay);
    judge(replay, err);
    free(replay);
    return tn_ok();
}

/* ---- all of them ---- */

static void heard(void *arg, int number, int count)
{
    struct replaying *all = arg;

    (void)count;
    all->signal = number;
    tn_group_cancel(all->group);
}

static tn_err start_all(struct replaying *all)
{
    struct tn_task_options options = { .name = "replay" };
    tn_err err = tn_ok();

    for (size_t i = 0; i < all->recording.count && !tn_failed(err); i++) {
        struct replay *replay = calloc(1, sizeof(*replay));

        if (!replay)
            return tn_err_errno(ENOMEM);
        replay->all = all;
        replay->client = &all->recording.clients[i];
        replay->differs_at = -1;
        err = tn_go(all->group, replay_task, replay, &options, NULL);
        if (tn_failed(err))
            free(replay);
    }
    return err;
}

static tn_err main_task(void *arg)
{
    struct replaying *all = arg;
    struct interrupt interrupt = { 0 };
    tn_err err = tn_group_open(&all->group, TN_GROUP_EACH_ALONE);

    if (tn_failed(err))
        return err;
    all->started = tn_now();
    all->deadline =
        all->settings->max_time == UNLIMITED ? TN_NEVER : tn_in(all->settings->max_time);
    err = interrupt_open(&interrupt, heard, all);
    if (!tn_failed(err))
        err = start_all(all);
    if (!tn_failed(err))
        tn_ignore(tn_group_wait(all->group, TN_NEVER)); /* each tells for itself */
    interrupt_close(&interrupt);
    tn_group_close(&all->group);
    return err;
}

/* Answers that are not there are not as recorded: returns 0, or an exit code. */
static int check_whole(const struct replaying *all)
{
    const char *why = all->recording.cut_short    ? "what was cut off is not compared"
                      : all->recording.count == 0 ? "no client is recorded in it"
                                                  : NULL;

    return why ? report_error(EXIT_OTHER, "compare", all->settings->operands[0], "%s",
                              why)
               : 0;
}

static void tell_totals(const struct replaying *all)
{
    char in[24], out[24], time[24];

    report_note("%zu clients replayed, %s out, %s in, %" PRIu64 " failed%s, in %s",
                all->recording.count, size_text(all->sent, out, sizeof(out)),
                size_text(all->received, in, sizeof(in)), all->failed,
                !all->settings->diff ? ""
                : all->different     ? ", answers differ"
                : all->code          ? ""
                                     : ", all answers as recorded",
                time_text(tn_now() - all->started, time, sizeof(time)));
}

int replay_main(struct settings *settings)
{
    struct replaying all = { .settings = settings };
    char text[120];
    tn_err err;
    int code;

    if (settings->operand_count < 2) {
        code = report_error(EXIT_USAGE, "replay", "", "which file, to where?");
        report_hint("tenon replay FILE host:port");
        return code;
    }
    code = where_read(&all.where, settings, settings->operands + 1,
                      settings->operand_count - 1);
    if (!code)
        code = recording_read(&all.recording, settings->operands[0]);
    if (!code && all.recording.cut_short)
        report_note("%s was cut short; replaying what there is", settings->operands[0]);
    if (code) {
        recording_release(&all.recording);
        return code;
    }
    local_raise_files();
    err = tn_run(main_task, &all, NULL);
    recording_release(&all.recording);
    if (all.signal)
        interrupt_die(all.signal);
    if (tn_failed(err))
        return report_error(EXIT_OTHER, "start", "", "%s",
                            tn_err_text(err, text, sizeof(text)));
    if (settings->diff && !all.code)
        all.code = check_whole(&all);
    tell_totals(&all);
    return all.code;
}
