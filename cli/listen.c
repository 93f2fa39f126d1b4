/* SPDX-License-Identifier: MIT */
/*
 * listen.c -- tenon listen: accept, and carry standard input and output, files, or a
 * program's input and output.
 *
 * Without -k there is one client, and its end is ours.  With -k clients take turns at
 * standard input and output; files and programs serve all of them at once.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "carry.h"
#include "exec.h"
#include "files.h"
#include "gate.h"
#include "interrupt.h"
#include "local.h"
#include "report.h"
#include "verbs.h"

struct listening {
    struct gate gate;
    const struct settings *settings;
    struct local input;
    bool input_over; /* standard input has ended: later clients read an end at once */
    struct program *program;
    int signal;
    int code; /* 0, or that of the last client that was not served well */
};

static void note_code(struct listening *listening, int code)
{
    if (code)
        listening->code = code;
}

/* Carry between CLIENT and standard input and output, or a file. */
static int carry_client(struct listening *listening, struct client *client)
{
    const struct settings *settings = listening->settings;
    bool files = settings->output && settings->keep;
    struct carry carry = { .settings = settings };
    char name[CLIENT_NAME];
    tn_err err;
    int code = 0;

    carry.name = client_name(client, name, sizeof(name));
    carry.id = client->id;
    carry.conn = client->conn;
    carry.started = tn_now();
    carry.input = files || listening->input_over ? local_end(-1) : listening->input;
    carry.receive_only = files;
    carry.output = local_end(STDOUT_FILENO);
    carry.deadline = settings->keep ? TN_NEVER : listening->gate.deadline;
    client->conn = NULL;
    if (settings->output) {
        carry.close_output = true;
        code = file_create(settings->output, client->id, &carry.output, carry.deadline);
    }
    if (code) {
        tn_abort(&carry.conn);
        return code;
    }
    err = carry_run(&carry);
    if (carry.input_ended && !files)
        listening->input_over = true;
    return tn_failed(err) ? report_error(EXIT_OTHER, "carry", name, "out of memory")
                          : verdict(&carry);
}

static tn_err client_task(void *arg)
{
    struct client *client = arg;
    struct listening *listening = client->gate->arg;

    note_code(listening, listening->settings->exec
                             ? program_run(client, listening->settings)
                             : carry_client(listening, client));
    gate_leave(client);
    return tn_ok();
}

static void heard(void *arg, int number, int count)
{
    struct listening *listening = arg;
    struct gate *gate = &listening->gate;

    if (!listening->settings->keep)
        listening->signal = number;
    gate_shut(gate);
    if (!listening->settings->keep || count > 1)
        tn_group_cancel(gate->clients);
    else if (gate->inside)
        report_note("draining %u client%s; once more to reset them", gate->inside,
                    gate->inside == 1 ? "" : "s");
}

static tn_err main_task(void *arg)
{
    struct listening *listening = arg;
    struct interrupt interrupt = { 0 };
    tn_err err;
    int code = gate_open(&listening->gate);

    if (code) {
        listening->code = code;
        return tn_ok();
    }
    err = interrupt_open(&interrupt, heard, listening);
    if (!tn_failed(err))
        note_code(listening, gate_run(&listening->gate, client_task,
                                      listening->settings->keep ? 0 : 1));
    interrupt_close(&interrupt);
    gate_close(&listening->gate);
    return err;
}

/* What goes together and what does not.  Returns 0 or an exit code. */
static int check(const struct settings *settings)
{
    int code;

    if (settings->exec && (!settings->command || !settings->command[0])) {
        code = report_error(EXIT_USAGE, "option", "--exec", "no program follows a --");
        report_hint("tenon listen 127.0.0.1:7000 --exec -- /usr/bin/wc -c");
        return code;
    }
    if (settings->exec &&
        (settings->output || settings->crlf || settings->no_wait ||
         settings->after_end != UNLIMITED || settings->idle_timeout != UNLIMITED))
        return report_error(
            EXIT_USAGE, "option", "--exec",
            "does not go with -o, -C, -q, --no-wait, -w or --idle-timeout: "
            "the program has the socket itself");
    if (settings->keep && settings->output && !strstr(settings->output, "%n") &&
        strncmp(settings->output, "/dev/", 5) != 0) {
        code = report_error(EXIT_USAGE, "option", "-o",
                            "with -k each client would overwrite the last one's file");
        report_hint("put %%n into the name, it is the client's number");
        return code;
    }
    return 0;
}

int listen_main(struct settings *settings)
{
    struct listening listening = { .settings = settings };
    char text[120];
    tn_err err;
    int code = check(settings);

    if (!code)
        code = gate_prepare(&listening.gate, settings, settings->operands,
                            settings->operand_count);
    if (code)
        return code;
    listening.gate.arg = &listening;
    local_own(STDIN_FILENO);
    local_own(STDOUT_FILENO);
    listening.input = local_end(STDIN_FILENO);
    if (settings->keep && !settings->exec && !settings->output)
        listening.gate.most = 1; /* they take turns */
    local_raise_files();
    err = tn_run(main_task, &listening, NULL);
    if (listening.signal)
        interrupt_die(listening.signal);
    if (tn_failed(err))
        return report_error(EXIT_OTHER, "start", "", "%s",
                            tn_err_text(err, text, sizeof(text)));
    return listening.code;
}
