/* SPDX-License-Identifier: MIT */
/*
 * services.c -- echo, discard, chargen, daytime, time: RFC 862, 863, 864, 867, 868.
 */
#include "services.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/peer.h"
#include "progress.h"
#include "report.h"

/* A client that does not end its side after ours is let go after this. */
#define CLOSE_LIMIT (30 * TN_SECOND)

/* A lease is kept no longer than this for a client that does not read. */
#define LEASE_LIMIT (100 * TN_MS)

/* RFC 864: lines of 72 of the 95 printing characters, each beginning one further on. */
#define CHARGEN_LINE  72
#define CHARGEN_LINES 95
#define CHARGEN_SIZE  ((size_t)CHARGEN_LINES * (CHARGEN_LINE + 2))

static tn_deadline idle_limit(const struct service_run *run)
{
    return run->idle == UNLIMITED ? TN_NEVER : tn_in(run->idle);
}

/*
 * The client's host takes no more: give it a moment.  If that was not enough, send the
 * rest from memory of our own, since a lease is in other clients' way.
 */
static tn_err write_rest(struct service_run *run, const char *data, size_t size)
{
    size_t done;
    tn_err err = tn_write(run->conn, data, size, &done, tn_in(LEASE_LIMIT));
    char *copy;

    run->out += done;
    if (err.kind != TN_DEADLINE)
        return err;
    size -= done;
    copy = malloc(size);
    if (!copy)
        return tn_err_errno(ENOMEM);
    memcpy(copy, data + done, size);
    tn_return(run->conn);
    err = tn_write(run->conn, copy, size, &done, idle_limit(run));
    run->out += done;
    free(copy);
    return err;
}

static void serve_echo(struct service_run *run)
{
    const void *data;
    size_t size, done;

    do {
        run->err = tn_read_lease(run->conn, &data, &size, idle_limit(run));
        if (tn_failed(run->err))
            return;
        run->in += size;
        run->err = tn_write(run->conn, data, size, &done, TN_NOW);
        run->out += done;
        if (run->err.kind == TN_DEADLINE)
            run->err = write_rest(run, (const char *)data + done, size - done);
        tn_return(run->conn);
    } while (!tn_failed(run->err));
}

static void serve_discard(struct service_run *run)
{
    const void *data;
    size_t size;

    for (;;) {
        run->err = tn_read_lease(run->conn, &data, &size, idle_limit(run));
        if (tn_failed(run->err))
            return;
        run->in += size;
        tn_return(run->conn);
    }
}

/* All of it goes round after 95 lines, so one piece of text serves every client. */
static char *chargen_text(void)
{
    static char text[CHARGEN_SIZE];
    char *at = text;

    for (int line = 0; line < CHARGEN_LINES && !text[sizeof(text) - 1]; line++) {
        for (int column = 0; column < CHARGEN_LINE; column++)
            *at++ = (char)(' ' + (line + column) % 95);
        *at++ = '\r';
        *at++ = '\n';
    }
    return text;
}

static void serve_chargen(struct service_run *run)
{
    struct iovec pieces[8]; /* some 56 KB a call */
    size_t done;

    for (size_t i = 0; i < 8; i++)
        pieces[i] = (struct iovec){ chargen_text(), CHARGEN_SIZE };
    do {
        run->err = tn_writev(run->conn, pieces, 8, &done, idle_limit(run));
        run->out += done;
    } while (!tn_failed(run->err));
}

static void serve_daytime(struct service_run *run)
{
    time_t now = time(NULL);
    struct tm parts;
    char line[64];
    size_t size, done;

    (void)gmtime_r(&now, &parts);
    size = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%SZ\r\n", &parts);
    run->err = tn_write(run->conn, line, size, &done, idle_limit(run));
    run->out = done;
}

static void serve_time(struct service_run *run)
{
    /* Seconds since 1900, which is 70 years with 17 leap days before 1970. */
    uint32_t now = (uint32_t)((uint64_t)time(NULL) + 2208988800U);
    unsigned char bytes[4] = { (unsigned char)(now >> 24), (unsigned char)(now >> 16),
                               (unsigned char)(now >> 8), (unsigned char)now };
    size_t done;

    run->err = tn_write(run->conn, bytes, sizeof(bytes), &done, idle_limit(run));
    run->out = done;
}

static const struct service services[] = {
    { "echo", serve_echo },       { "discard", serve_discard },
    { "chargen", serve_chargen }, { "daytime", serve_daytime },
    { "time", serve_time },       { "bench", peer_serve },
};

const struct service *service_find(const char *name)
{
    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
        if (strcmp(services[i].name, name) == 0)
            return &services[i];
    }
    return NULL;
}

void service_close(struct service_run *run)
{
    run->outcome = run->err.kind == TN_CANCELED   ? OUTCOME_KILLED
                   : run->err.kind == TN_DEADLINE ? OUTCOME_IDLE
                                                  : OUTCOME_RESET;
    if (!tn_failed(run->err) || run->err.kind == TN_EOF) {
        tn_err err = tn_close(&run->conn, &run->ending, tn_in(CLOSE_LIMIT));
        if (!tn_failed(err) || run->ending.how == TN_ACKED)
            run->outcome = OUTCOME_CLEAN;
        else if (err.kind == TN_CANCELED)
            run->outcome = OUTCOME_KILLED;
    }
    if (run->conn && (run->err.kind == TN_RESET || run->err.kind == TN_TIMEDOUT))
        tn_ignore(tn_close(&run->conn, &run->ending, TN_NOW)); /* dead: for the counts */
    if (run->conn) {
        struct tn_conn_facts facts;
        tn_conn_facts(run->conn, &facts);
        run->ending.how = TN_ENDED_DEADLINE;
        run->ending.unacked = facts.unacked;
        run->ending.unread = facts.unread;
        tn_abort(&run->conn);
    }
}

void service_tell(const struct service_run *run, const struct client *client,
                  int64_t length)
{
    static const char *const reasons[] = { "eof", "reset", "idle", "killed" };
    char name[CLIENT_NAME], text[24];
    struct json json;

    if (!report_wants_detail() && !report_wants_json())
        return;
    (void)client_name(client, name, sizeof(name));
    report_detail("client %" PRIu64 " %s: %s, %" PRIu64 " bytes in, %" PRIu64 " out, %s",
                  client->id, name, tn_how_text(run->ending.how), run->in, run->out,
                  time_text(length, text, sizeof(text)));
    if (!report_wants_json())
        return;
    json_event(&json, "close");
    json_bool(&json, "ok", run->outcome == OUTCOME_CLEAN);
    json_number(&json, "id", client->id);
    json_text(&json, "where", name);
    json_number(&json, "in", run->in);
    json_number(&json, "out", run->out);
    json_ms(&json, "ms", length);
    json_text(&json, "reason", reasons[run->outcome]);
    json_text(&json, "how", tn_how_text(run->ending.how));
    json_number(&json, "unacked", run->ending.unacked);
    json_number(&json, "unread", run->ending.unread);
    json_send(&json);
}
