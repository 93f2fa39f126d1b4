/* SPDX-License-Identifier: MIT */
/*
 * demo.c -- tenon demo ADDRESS FILE BACK: what `make run` shows.
 *
 * FILE goes to the echo server at ADDRESS and what comes back goes to BACK, by the very
 * code of `tenon connect`; then small messages go round on a second connection, one after
 * the other, for a second.  tools/show-run starts the server and compares the digests.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "carry.h"
#include "dialing.h"
#include "files.h"
#include "progress.h"
#include "report.h"
#include "verbs.h"

#define MESSAGE_SIZE 64
#define WARM_UP      1000 /* round trips that do not count */
#define ROUNDS_MOST  200000
#define ROUNDS_TIME  TN_SECOND

struct demo {
    const struct settings *settings;
    struct where where;
    const char *file, *back;
    struct carry carry;
    int64_t *rounds; /* how long each took */
    size_t count;
    int64_t took; /* all of them */
    int code;
};

static void say(const char *label, const char *text)
{
    (void)printf("  %-11s %s\n", label, text);
    (void)fflush(stdout);
}

static void tell_driver(void)
{
    struct tn_loop_facts facts;
    struct utsname name = { .release = "?" };
    char line[300];

    (void)uname(&name);
    tn_loop_facts(NULL, &facts);
    (void)snprintf(line, sizeof(line), "%s (%s), Linux %s", facts.driver, facts.why,
                   name.release);
    say("driver", line);
}

/* Send the file and take it back. */
static int send_file(struct demo *demo)
{
    struct carry *carry = &demo->carry;
    int code;

    carry->settings = demo->settings;
    carry->name = demo->where.name;
    carry->id = 1;
    carry->deadline = demo->settings->max_time == UNLIMITED
                          ? TN_NEVER
                          : tn_in(demo->settings->max_time);
    carry->input = local_end(open(demo->file, O_RDONLY | O_CLOEXEC));
    if (carry->input.fd < 0)
        return report_error(EXIT_OUTPUT, "open", demo->file, "%s", strerror(errno));
    code = file_create(demo->back, 1, &carry->output, carry->deadline);
    if (code) {
        (void)close(carry->input.fd);
        return code;
    }
    carry->close_output = true;
    code = dial(&carry->conn, demo->settings, &demo->where, carry->deadline);
    if (!code) {
        carry->started = tn_now();
        if (tn_failed(carry_run(carry)))
            code = report_error(EXIT_OTHER, "carry", carry->name, "out of memory");
        else
            code = verdict(carry);
    }
    (void)close(carry->input.fd);
    return code;
}

static void tell_transfer(const struct demo *demo, int64_t length)
{
    const struct carry *carry = &demo->carry;
    char line[200], bytes[24], time[24];

    (void)snprintf(line, sizeof(line), "%" PRIu64 " bytes (%s)", carry->sent,
                   size_text(carry->sent, bytes, sizeof(bytes)));
    say("sent", line);
    (void)snprintf(line, sizeof(line),
                   "%" PRIu64 " bytes, both ways in %s: %s/s each way", carry->received,
                   time_text(length, time, sizeof(time)),
                   size_text((uint64_t)((double)carry->sent * 1e9 / (double)length),
                             bytes, sizeof(bytes)));
    say("received", line);
    (void)snprintf(line, sizeof(line),
                   "every byte acknowledged by the peer's host after %s",
                   time_text(carry->acked_at - carry->started, time, sizeof(time)));
    say("delivered", line);
    (void)snprintf(line, sizeof(line),
                   "%s: both sides ended in order; %" PRIu64
                   " bytes unacknowledged, %" PRIu64 " unread",
                   tn_how_text(carry->ending.how), carry->ending.unacked,
                   carry->ending.unread);
    say("ending", line);
}

/* Message after message, until there are enough. */
static tn_err go_round(struct demo *demo, struct tn_conn *conn)
{
    char message[MESSAGE_SIZE] = "tenon: there and back again";
    char answer[MESSAGE_SIZE];
    int64_t begin = 0, before = tn_now();

    for (size_t i = 0; demo->count < ROUNDS_MOST; i++) {
        int64_t now;
        tn_err err = tn_write(conn, message, sizeof(message), NULL, TN_NEVER);

        if (!tn_failed(err))
            err = tn_read_all(conn, answer, sizeof(answer), NULL, TN_NEVER);
        if (tn_failed(err))
            return err;
        now = tn_now();
        if (memcmp(message, answer, sizeof(message)) != 0)
            return tn_err_user(TN_PROTOCOL, 0);
        if (i >= WARM_UP)
            demo->rounds[demo->count++] = now - before;
        else
            begin = now;
        before = now;
        if (demo->count && now - begin >= ROUNDS_TIME)
            break;
    }
    demo->took = before - begin;
    return tn_ok();
}

static int measure_rounds(struct demo *demo)
{
    struct tn_conn *conn = NULL;
    char text[120];
    tn_err err;
    int code;

    demo->rounds = calloc(ROUNDS_MOST, sizeof(*demo->rounds));
    if (!demo->rounds)
        return report_error(EXIT_OTHER, "measure", "", "out of memory");
    code = dial(&conn, demo->settings, &demo->where, TN_NEVER);
    if (code)
        return code;
    err = go_round(demo, conn);
    if (!tn_failed(err))
        err = tn_close(&conn, NULL, tn_in(TN_SECOND));
    tn_abort(&conn);
    if (tn_failed(err))
        return report_error(EXIT_CUT, "measure", demo->where.name, "%s",
                            tn_err_text(err, text, sizeof(text)));
    return 0;
}

static int compare_times(const void *one, const void *other)
{
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;

    return (a > b) - (a < b);
}

static void tell_rounds(struct demo *demo)
{
    char line[200], half[24], most[24], worst[24];

    qsort(demo->rounds, demo->count, sizeof(*demo->rounds), compare_times);
    (void)snprintf(line, sizeof(line),
                   "%.0f a second, %d bytes each, one connection, one at a time",
                   (double)demo->count * 1e9 / (double)demo->took, MESSAGE_SIZE);
    say("round trips", line);
    (void)snprintf(
        line, sizeof(line), "p50 %s, p99 %s, slowest %s of %zu",
        time_text(demo->rounds[demo->count / 2], half, sizeof(half)),
        time_text(demo->rounds[demo->count - 1 - demo->count / 100], most, sizeof(most)),
        time_text(demo->rounds[demo->count - 1], worst, sizeof(worst)), demo->count);
    say("", line);
}

static tn_err demo_task(void *arg)
{
    struct demo *demo = arg;
    int64_t started = tn_now();

    tell_driver();
    demo->code = send_file(demo);
    if (demo->code)
        return tn_ok();
    tell_transfer(demo, tn_now() - started);
    demo->code = measure_rounds(demo);
    if (!demo->code)
        tell_rounds(demo);
    return tn_ok();
}

int demo_main(struct settings *settings)
{
    struct demo demo = { .settings = settings };
    char text[120];
    tn_err err;
    int code;

    if (settings->operand_count != 3)
        return report_error(EXIT_USAGE, "demo", "", "wants ADDRESS FILE BACK");
    settings->verb = VERB_CONNECT; /* for the address */
    code = where_read(&demo.where, settings, settings->operands, 1);
    if (code)
        return code;
    demo.file = settings->operands[1];
    demo.back = settings->operands[2];
    err = tn_run(demo_task, &demo, NULL);
    free(demo.rounds);
    if (tn_failed(err))
        return report_error(EXIT_OTHER, "start", "", "%s",
                            tn_err_text(err, text, sizeof(text)));
    return demo.code;
}
