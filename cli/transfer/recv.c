/* SPDX-License-Identifier: MIT */
/*
 * recv.c -- tenon recv: listen, and let senders put files below a folder, or one to
 * standard output.
 *
 * Without -k it is over when one sender is done, or has failed for good.  A sender whose
 * connection broke is neither: it is waited for, and who knocks without being a sender,
 * or without the token, does not count.  With -k it goes on until Ctrl-C.
 *
 * Always true: whoever can reach us from elsewhere has proved the token.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gate.h"
#include "interrupt.h"
#include "local.h"
#include "outlet.h"
#include "progress.h"
#include "receive.h"
#include "session.h"
#include "verbs.h"

#define RETURN_TIME   (60 * TN_SECOND) /* for a sender to come back */
#define SESSIONS_MOST 64               /* at once */

struct receiving {
    struct gate gate;
    const struct settings *settings;
    struct store store;
    struct outlet outlet; /* if the store has one */
    char token[TOKEN_MOST + 1];
    uint64_t received; /* bytes, of all sessions */
    struct meter meter;

    bool over;      /* without -k: the one sender is done with, and `code` says how */
    unsigned begun; /* sessions that got past the greeting */
    struct tn_mutex mutex; /* for the condition that one of the two has changed */
    struct tn_cond changed;
    int signal;
    int code;
};

/* Tell what came of SESSION, ERR being how it ended; returns its exit code. */
static int tell(const struct session *session, const struct client *client, tn_err err,
                int64_t length)
{
    char why[WHY_MOST + 40], size[24], took[24];
    int code = session->finished ? 0 : (int)session_code(&session->wire, err);
    struct json json;

    if (session->finished)
        report_note("received %llu file%s, %s, from %s in %s",
                    (unsigned long long)session->files, session->files == 1 ? "" : "s",
                    size_text(session->bytes, size, sizeof(size)), session->where,
                    time_text(length, took, sizeof(took)));
    else if (err.kind != TN_CANCELED)
        (void)report_error((enum exit_code)code, "receive", session->where, "%s",
                           session_why(&session->wire, err, "sender", why, sizeof(why)));
    if (!report_wants_json())
        return code;
    json_event(&json, "transfer");
    json_bool(&json, "ok", session->finished);
    json_number(&json, "id", client->id);
    json_text(&json, "where", session->where);
    json_number(&json, "exit", (uint64_t)code);
    json_number(&json, "files", session->files);
    json_number(&json, "bytes", session->bytes);
    json_ms(&json, "ms", length);
    json_send(&json);
    return code;
}

/* Without -k: it is over, and CODE is how. */
static void finish(struct receiving *receiving, int code)
{
    receiving->over = true;
    receiving->code = code;
    gate_shut(&receiving->gate);
    tn_cond_broadcast(&receiving->changed);
}

/* Its connection broke: hope for its return, and give up if nobody comes. */
static void wait_for_return(struct receiving *receiving)
{
    int64_t idle = receiving->settings->idle_timeout;
    tn_deadline deadline = tn_sooner(receiving->gate.deadline,
                                     tn_in(idle == UNLIMITED ? RETURN_TIME : idle));
    unsigned begun = receiving->begun;
    tn_err err = tn_mutex_lock(&receiving->mutex, TN_NEVER);

    if (tn_failed(err))
        return; /* canceled */
    report_note("waiting for the sender to come back");
    while (!tn_failed(err) && !receiving->over && receiving->begun == begun)
        err = tn_cond_wait(&receiving->changed, &receiving->mutex, deadline);
    tn_mutex_unlock(&receiving->mutex);
    if (err.kind == TN_DEADLINE && !receiving->over && receiving->begun == begun &&
        tn_left(receiving->gate.deadline) > 0) /* --max-time is main_task's to tell */
        finish(receiving, report_error(EXIT_CUT, "receive", receiving->gate.where.name,
                                       "the sender did not come back"));
}

static void note_begun(void *arg)
{
    struct receiving *receiving = arg;

    receiving->begun++;
    tn_cond_broadcast(&receiving->changed);
}

/* Serve CLIENT; whether it is worth waiting for its return is in *BROKEN. */
static void serve(struct receiving *receiving, struct client *client, bool *broken)
{
    const struct settings *settings = receiving->settings;
    struct session *session = calloc(1, sizeof(*session));
    int64_t started = tn_now();
    char name[CLIENT_NAME];
    tn_err err;
    int code;

    if (!session) {
        tn_abort(&client->conn);
        return;
    }
    session->wire.conn = client->conn;
    session->wire.deadline = settings->keep ? TN_NEVER : receiving->gate.deadline;
    session->wire.idle = settings->idle_timeout;
    session->store = &receiving->store;
    session->token = receiving->token[0] ? receiving->token : NULL;
    session->where = client_name(client, name, sizeof(name));
    session->received = &receiving->received;
    client->conn = NULL;
    err = receive(session, note_begun, receiving);
    code = tell(session, client, err, tn_now() - started);
    *broken = session->greeted && !session->finished && err.kind != TN_CANCELED &&
              session_may_return(&session->wire, err);
    if (!settings->keep && session->greeted && !*broken && err.kind != TN_CANCELED)
        finish(receiving, code);
    else if (settings->keep && code && session->greeted && !*broken)
        receiving->code = code;
    free(session);
}

static tn_err client_task(void *arg)
{
    struct client *client = arg;
    struct receiving *receiving = client->gate->arg;
    bool broken = false;

    serve(receiving, client, &broken);
    if (broken && !receiving->settings->keep)
        wait_for_return(receiving);
    gate_leave(client);
    return tn_ok();
}

static void heard(void *arg, int number, int count)
{
    struct receiving *receiving = arg;
    struct gate *gate = &receiving->gate;

    if (!receiving->settings->keep)
        receiving->signal = number;
    gate_shut(gate);
    if (!receiving->settings->keep || count > 1)
        tn_group_cancel(gate->clients);
    else if (gate->inside)
        report_note("waiting for %u sender%s; once more to stop", gate->inside,
                    gate->inside == 1 ? "" : "s");
}

/* Nobody from elsewhere without a token.  Returns 0 or an exit code. */
static int check_exposure(const struct receiving *receiving, const tn_addr *addr)
{
    int code;

    if (receiving->token[0] || allow_is_local(addr))
        return 0;
    code = report_error(EXIT_USAGE, "listen", receiving->gate.where.name,
                        "without --token anybody on the network could put files here");
    report_hint("127.0.0.1 is for this host only; with --token on both sides any address "
                "will do");
    return code;
}

static tn_err main_task(void *arg)
{
    struct receiving *receiving = arg;
    struct interrupt interrupt = { 0 };
    struct gate *gate = &receiving->gate;
    tn_addr addr;
    tn_err err;
    int code = gate_open(gate);

    if (!code) {
        addr = tn_listener_addr(gate->listener); /* a name may mean anything */
        code = check_exposure(receiving, &addr);
    }
    if (code) {
        gate_close(gate);
        receiving->code = code;
        return tn_ok();
    }
    err = interrupt_open(&interrupt, heard, receiving);
    receiving->meter.started = tn_now();
    progress_start(&receiving->meter, receiving->settings->silent);
    code = tn_failed(err) ? 0 : gate_run(gate, client_task, 0);
    if (!receiving->over && !receiving->settings->keep && !receiving->signal && !code)
        code = report_error(EXIT_LATE, "receive", gate->where.name,
                            "deadline passed, and no sender was done");
    if (code)
        receiving->code = code;
    progress_stop(&receiving->meter);
    interrupt_close(&interrupt);
    gate_close(gate);
    return err;
}

/* Where files are to go: NAME, a folder's, or "-".  Returns 0 or an exit code. */
static int prepare_store(struct receiving *receiving, const char *name)
{
    struct store *store = &receiving->store;

    store->force = receiving->settings->force;
    store->folder = -1;
    if (strcmp(name, "-") == 0) {
        store->place = &place_outlet;
        store->outlet = &receiving->outlet;
        if (receiving->settings->keep)
            return report_error(EXIT_USAGE, "option", "-k",
                                "standard output takes the file of one sender");
        if (store->force)
            return report_error(EXIT_USAGE, "option", "--force",
                                "nothing is overwritten at standard output");
        return outlet_open(store->outlet)
                   ? 0
                   : report_error(EXIT_OTHER, "start", "", "%s", strerror(ENOMEM));
    }
    store->place = &place_folder;
    store->folder = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return store->folder < 0
               ? report_error(EXIT_OUTPUT, "open", name, "%s", strerror(errno))
               : 0;
}

/* Address and folder.  Returns 0 or an exit code. */
static int prepare(struct receiving *receiving, struct settings *settings)
{
    struct gate *gate = &receiving->gate;
    const char *folder = settings->operand_count > 1 ? settings->operands[1] : ".";
    char text[sizeof(gate->where.text)];
    tn_addr addr;
    int code;

    if (settings->operand_count < 1 || settings->operand_count > 2)
        return report_error(EXIT_USAGE, "recv", "", "an address and a folder, if any");
    code = gate_prepare(gate, settings, settings->operands, 1);
    if (!code)
        code = session_token(settings, receiving->token);
    if (code)
        return code;
    if (gate->where.is_bare && !receiving->token[0]) {
        (void)snprintf(text, sizeof(text), "%s%.300s",
                       settings->ipv6 ? "[::1]" : "127.0.0.1",
                       strrchr(gate->where.text, ':'));
        where_set(&gate->where, text);
    }
    if (!tn_failed(tn_addr_parse(gate->where.text, &addr)))
        code = check_exposure(receiving, &addr); /* before anybody could connect */
    if (code)
        return code;
    if (!gate->most)
        gate->most = SESSIONS_MOST;
    return prepare_store(receiving, folder);
}

int recv_main(struct settings *settings)
{
    struct receiving receiving = { .settings = settings };
    char text[120];
    tn_err err;
    int code;

    if (!digest_prepare())
        return report_error(EXIT_OTHER, "start", "", "libcrypto has no SHA-256 here");
    code = prepare(&receiving, settings);
    if (code)
        return code;
    receiving.gate.arg = &receiving;
    receiving.meter.received = &receiving.received;
    local_raise_files();
    err = tn_run(main_task, &receiving, NULL);
    outlet_close(&receiving.outlet);
    if (receiving.store.folder >= 0)
        (void)close(receiving.store.folder);
    if (receiving.signal)
        interrupt_die(receiving.signal);
    if (tn_failed(err))
        return report_error(EXIT_OTHER, "start", "", "%s",
                            tn_err_text(err, text, sizeof(text)));
    return receiving.code;
}
