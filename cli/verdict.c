/* SPDX-License-Identifier: MIT */
/*
 * verdict.c -- what the facts of a connection mean: one line for people, one object for
 * programs, one exit code.
 *
 * 0 means one thing only: the peer's host has acknowledged every byte, the peer has ended
 * in order, and our output has taken all it sent.  (Two exceptions, both asked for: the
 * reader of our output went away, and -q or a terminal said that it is enough.)
 *
 * Always true: the exit code and the object's "ok" come from the same place.
 */
#include "carry.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "progress.h"
#include "report.h"

/* What a verdict consists of. */
struct finding {
    enum exit_code code;
    const char *reason; /* in JSON: eof, reset, ... */
    const char *what;   /* what failed: "send", "receive", ... */
    const char *where;  /* of our own ends; NULL: the connection */
    char why[300];
};

/* "sent 6 bytes, received 0" with what else matters. */
static const char *counts(const struct carry *carry, char *buf, size_t size)
{
    uint64_t missing = carry->ending.unacked + carry->pending;
    char sent[32];
    int used =
        snprintf(buf, size, "sent %s", bytes_text(carry->sent, sent, sizeof(sent)));

    if (missing && used > 0 && (size_t)used < size)
        used += snprintf(buf + used, size - (size_t)used,
                         ", %" PRIu64 " of %" PRIu64 " not acknowledged", missing,
                         carry->sent + carry->pending);
    else if (carry->sent && used > 0 && (size_t)used < size)
        used += snprintf(buf + used, size - (size_t)used, ", all acknowledged");
    if (used > 0 && (size_t)used < size)
        (void)snprintf(buf + used, size - (size_t)used, "; received %" PRIu64,
                       carry->received);
    return buf;
}

/* The connection died, or the peer reset it at the end. */
static void find_cut(const struct carry *carry, struct finding *finding)
{
    bool reset = carry->ending.how != TN_ENDED_TIMEDOUT &&
                 carry->dead.kind != TN_TIMEDOUT && carry->dead.kind != TN_UNREACHABLE;
    bool missing = carry->ending.unacked || carry->pending;
    char numbers[160], sent[32];

    finding->code = EXIT_CUT;
    finding->what = missing || (carry->sent && !carry->received) ? "send" : "receive";
    finding->reason = reset ? "reset" : "timeout";
    (void)counts(carry, numbers, sizeof(numbers));
    if (!reset)
        (void)snprintf(finding->why, sizeof(finding->why),
                       "its host stopped answering (%s)", numbers);
    else if (!carry->input_ended && !carry->input.is_terminal)
        (void)snprintf(finding->why, sizeof(finding->why),
                       "reset by peer before our input ended (%s)", numbers);
    else if (missing || (!carry->sent && !carry->received))
        (void)snprintf(finding->why, sizeof(finding->why), "reset by peer (%s)", numbers);
    else if (carry->received)
        (void)snprintf(finding->why, sizeof(finding->why),
                       "reset by peer; what it sent may be cut short (%s)", numbers);
    else
        (void)snprintf(finding->why, sizeof(finding->why),
                       "reset by peer after %s; its host took them all, but "
                       "it closed without reading to the end (received 0)",
                       bytes_text(carry->sent, sent, sizeof(sent)));
}

/* A limit of ours was reached. */
static void find_late(const struct carry *carry, struct finding *finding)
{
    uint64_t missing = carry->ending.unacked + carry->pending;
    char numbers[160], length[24];
    int64_t limit = carry->stop == STOP_IDLE ? carry->settings->idle_timeout
                                             : carry->settings->max_time;

    finding->code = missing ? EXIT_UNCONFIRMED : EXIT_LATE;
    finding->what = missing || !carry->input_ended ? "send" : "receive";
    finding->reason = carry->stop == STOP_IDLE ? "idle" : "deadline";
    (void)snprintf(
        finding->why, sizeof(finding->why), "%s %s (%s%s)",
        carry->stop == STOP_IDLE ? "nothing moved for" : "deadline passed after",
        time_text(limit, length, sizeof(length)), counts(carry, numbers, sizeof(numbers)),
        carry->peer_ended ? "" : "; the peer has not ended");
}

/* Our own end failed. */
static void find_local(const struct carry *carry, struct finding *finding)
{
    bool output = carry->stop == STOP_OUTPUT;
    const char *file = output ? carry->settings->output : NULL;
    char sent[32];

    finding->reason = output ? "output" : "input";
    if (output && carry->local_errno == EPIPE)
        return; /* the reader had enough: quiet */
    finding->code = EXIT_OUTPUT;
    finding->what = output ? "write" : "read";
    finding->where = file ? file : output ? "standard output" : "standard input";
    (void)snprintf(finding->why, sizeof(finding->why),
                   "%s (sent %s, received %" PRIu64 ")",
                   carry->local_errno != EBADF ? strerror(carry->local_errno)
                   : output                    ? "closed"
                                               : "not open for reading",
                   bytes_text(carry->sent, sent, sizeof(sent)), carry->received);
}

/* A signal ended it; unless it ends the program as well, that is to be told. */
static void find_killed(const struct carry *carry, struct finding *finding)
{
    char numbers[160];

    finding->code = EXIT_OTHER;
    finding->reason = "killed";
    if (!carry->settings->keep)
        return;
    finding->what = "carry";
    (void)snprintf(finding->why, sizeof(finding->why),
                   "reset by us, as the second signal asked for (%s)",
                   counts(carry, numbers, sizeof(numbers)));
}

/* It was ended by tn_close. */
static void find_closed(const struct carry *carry, struct finding *finding)
{
    char numbers[160], left[32];

    finding->reason = "eof";
    switch (carry->ending.how) {
    case TN_CLEAN:
        return;
    case TN_ACKED:
        if (carry->stop == STOP_ENOUGH || carry->peer_ended)
            return; /* asked for */
        find_late(carry, finding);
        return;
    case TN_ENDED_RESET:
    case TN_ENDED_TIMEDOUT:
        find_cut(carry, finding);
        return;
    case TN_UNREAD:
        if (carry->stop == STOP_ENOUGH)
            return; /* -q: what comes later was not wanted */
        __attribute__((fallthrough));
    case TN_ENDED_DEADLINE:
        break;
    }
    (void)counts(carry, numbers, sizeof(numbers));
    finding->reason = "deadline";
    if (carry->undelivered && !carry->ending.unacked && !carry->pending) {
        finding->code = EXIT_LATE; /* -q is over, while our output takes its time */
        finding->what = "write";
        (void)snprintf(finding->why, sizeof(finding->why),
                       "stopped with %s not yet put out (%s)",
                       bytes_text(carry->undelivered, left, sizeof(left)), numbers);
        return;
    }
    finding->code = EXIT_UNCONFIRMED;
    finding->what = "send";
    (void)snprintf(finding->why, sizeof(finding->why), "not confirmed (%s)", numbers);
}

static void find(const struct carry *carry, struct finding *finding)
{
    char text[120];

    memset(finding, 0, sizeof(*finding));
    switch (carry->stop) {
    case STOP_INPUT:
    case STOP_OUTPUT:
        find_local(carry, finding);
        return;
    case STOP_SIGNAL:
        find_killed(carry, finding);
        return;
    case STOP_MAX_TIME:
    case STOP_IDLE:
        find_late(carry, finding);
        return;
    case STOP_NOT:
    case STOP_ENOUGH:
        break;
    }
    if (!tn_failed(carry->dead)) {
        find_closed(carry, finding);
        return;
    }
    if (carry->dead.kind == TN_RESET || carry->dead.kind == TN_TIMEDOUT ||
        carry->dead.kind == TN_UNREACHABLE) {
        find_cut(carry, finding);
        return;
    }
    finding->code = EXIT_OTHER;
    finding->what = "carry";
    finding->reason = "error";
    (void)snprintf(finding->why, sizeof(finding->why), "%s",
                   tn_err_text(carry->dead, text, sizeof(text)));
}

static void send_event(const struct carry *carry, const struct finding *finding,
                       int64_t length)
{
    struct json json;

    if (!report_wants_json())
        return;
    json_event(&json, "close");
    json_bool(&json, "ok", finding->code == EXIT_DELIVERED);
    json_number(&json, "id", carry->id);
    json_number(&json, "exit", finding->code);
    json_text(&json, "where", carry->name);
    json_number(&json, "in", carry->received);
    json_number(&json, "out", carry->sent);
    json_ms(&json, "ms", length);
    json_text(&json, "reason", finding->reason);
    json_text(&json, "how", tn_how_text(carry->ending.how));
    json_number(&json, "unacked", carry->ending.unacked + carry->pending);
    json_number(&json, "unread", carry->ending.unread + carry->undelivered);
    if (carry->acked_at)
        json_ms(&json, "acked_ms", carry->acked_at - carry->started);
    json_bool(&json, "half_close", carry->input_ended);
    json_number(&json, "rtt_us", carry->tcp.rtt_us);
    json_number(&json, "retrans", carry->tcp.retransmits);
    json_text(&json, "limited_by", limited_by(&carry->tcp));
    json_send(&json);
}

int verdict(const struct carry *carry)
{
    int64_t length = tn_now() - carry->started;
    struct finding finding;
    char text[24], sent[32];

    find(carry, &finding);
    if (*finding.why)
        (void)report_error(finding.code, finding.what,
                           finding.where ? finding.where : carry->name, "%s",
                           finding.why);
    else
        report_detail("closed %s: %s, sent %s, received %" PRIu64 ", %s", carry->name,
                      tn_how_text(carry->ending.how),
                      bytes_text(carry->sent, sent, sizeof(sent)), carry->received,
                      time_text(length, text, sizeof(text)));
    send_event(carry, &finding, length);
    return (int)finding.code;
}
