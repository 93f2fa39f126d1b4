/* SPDX-License-Identifier: MIT */
/*
 * connect.c -- tenon connect: standard input to a connection, the connection to standard
 * output.
 */
#include <fcntl.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "carry.h"
#include "dialing.h"
#include "files.h"
#include "interrupt.h"
#include "local.h"
#include "progress.h"
#include "report.h"
#include "verbs.h"

struct connecting {
    const struct settings *settings;
    const struct where *where;
    struct carry carry;
    struct tn_task *task; /* the one that dials and carries */
    int signal;
    int code;
};

static void heard(void *arg, int number, int count)
{
    struct connecting *connecting = arg;

    (void)count;
    connecting->signal = number;
    tn_cancel(connecting->task);
}

/* Say that it stands, to whom, and on what it runs. */
static void tell_connected(const struct connecting *connecting, int64_t length)
{
    const struct carry *carry = &connecting->carry;
    char local[TN_ADDR_TEXT], peer[TN_ADDR_TEXT], text[24];
    tn_addr local_addr = tn_local(carry->conn), peer_addr = tn_peer(carry->conn);
    struct tn_loop_facts facts;
    struct json json;

    (void)tn_addr_text(&peer_addr, peer, sizeof(peer));
    report_detail("connected to %s (%s, %s)", carry->name, peer,
                  time_text(length, text, sizeof(text)));
    if (!report_wants_json())
        return;
    tn_loop_facts(NULL, &facts);
    json_event(&json, "connect");
    json_bool(&json, "ok", true);
    json_number(&json, "id", carry->id);
    json_text(&json, "where", carry->name);
    json_text(&json, "local", tn_addr_text(&local_addr, local, sizeof(local)));
    json_text(&json, "peer", peer);
    json_ms(&json, "ms", length);
    json_text(&json, "driver", facts.driver);
    json_send(&json);
}

/* Dial, carry, and say what came of it. */
static tn_err connect_task(void *arg)
{
    struct connecting *connecting = arg;
    struct carry *carry = &connecting->carry;
    const struct settings *settings = connecting->settings;
    int64_t began = tn_now();
    tn_err err;

    connecting->code = dial(&carry->conn, settings, connecting->where, carry->deadline);
    if (connecting->code)
        return tn_ok();
    carry->started = tn_now();
    tell_connected(connecting, carry->started - began);
    carry->output = local_end(STDOUT_FILENO);
    if (settings->output) {
        carry->close_output = true;
        connecting->code =
            file_create(settings->output, 1, &carry->output, carry->deadline);
        if (connecting->code) {
            tn_abort(&carry->conn);
            return tn_ok();
        }
    }
    err = carry_run(carry);
    connecting->code =
        tn_failed(err) ? report_error(EXIT_OTHER, "connect", carry->name, "out of memory")
                       : verdict(carry);
    return tn_ok();
}

/* The first task: it waits for the other two, and is itself never canceled. */
static tn_err main_task(void *arg)
{
    struct connecting *connecting = arg;
    struct interrupt interrupt = { 0 };
    tn_err err;

    connecting->carry.deadline = connecting->settings->max_time == UNLIMITED
                                     ? TN_NEVER
                                     : tn_in(connecting->settings->max_time);
    err = tn_go(NULL, connect_task, connecting, NULL, &connecting->task);
    if (tn_failed(err))
        return err;
    err = interrupt_open(&interrupt, heard, connecting);
    tn_ignore(tn_join(&connecting->task, NULL, TN_NEVER)); /* nobody cancels this task */
    interrupt_close(&interrupt);
    return err;
}

int connect_main(struct settings *settings)
{
    struct connecting connecting = { .settings = settings };
    struct where where;
    tn_err err;
    char text[120];
    int code;

    if (settings->zero_io)
        return scan_main(settings);
    code = where_read(&where, settings, settings->operands, settings->operand_count);
    if (code)
        return code;
    connecting.where = &where;
    connecting.carry.settings = settings;
    connecting.carry.name = where.name;
    connecting.carry.id = 1;
    local_own(STDIN_FILENO);
    local_own(STDOUT_FILENO);
    connecting.carry.input = local_end(STDIN_FILENO);
    err = tn_run(main_task, &connecting, NULL);
    if (connecting.signal)
        interrupt_die(connecting.signal);
    if (tn_failed(err))
        return report_error(EXIT_OTHER, "start", "", "%s",
                            tn_err_text(err, text, sizeof(text)));
    return connecting.code;
}
