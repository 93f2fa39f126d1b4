/* SPDX-License-Identifier: MIT */
/*
 * ctl.c -- tenon ctl [NAME [COMMAND]]: ask a running server, and show what it says.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/ask.h"
#include "control/member.h"
#include "progress.h"
#include "report.h"
#include "verbs.h"

struct asked {
    const struct settings *settings;
    bool lists; /* only the first object of each is of interest */
    bool ok;
    char why[200];
    int code;
};

static const char *bytes_at(const char *line, const char *name, char *buf, size_t size)
{
    return size_text(member_number(line, name), buf, size);
}

static const char *seconds_at(const char *line, const char *name, char *buf, size_t size)
{
    return time_text((int64_t)member_number(line, name) * TN_MS, buf, size);
}

static void show_process(const char *line)
{
    char name[48], kind[16], age[24], in[24], out[24];

    (void)printf("%-20s %s, pid %" PRIu64 ", for %s: %" PRIu64 " clients, %" PRIu64
                 " now, %s in, %s out%s\n",
                 member_text(line, "name", name, sizeof(name)),
                 member_text(line, "kind", kind, sizeof(kind)),
                 member_number(line, "pid"), seconds_at(line, "ms", age, sizeof(age)),
                 member_number(line, "clients"), member_number(line, "connected"),
                 bytes_at(line, "in", in, sizeof(in)),
                 bytes_at(line, "out", out, sizeof(out)),
                 member_is(line, "draining", "true") ? ", draining" : "");
}

static void show_target(const char *line)
{
    char where[420], why[80], in[24], out[24];
    bool up = member_is(line, "up", "true");

    (void)printf("  target %-28s %s%s, %" PRIu64 " now, %" PRIu64 " in all, %" PRIu64
                 " failed, %s to it, %s from it\n",
                 member_text(line, "target", where, sizeof(where)), up ? "up" : "down: ",
                 up ? "" : member_text(line, "why", why, sizeof(why)),
                 member_number(line, "connections"), member_number(line, "chosen"),
                 member_number(line, "refused"), bytes_at(line, "out", out, sizeof(out)),
                 bytes_at(line, "in", in, sizeof(in)));
}

/* Of a relay, which knows more of its clients than a server. */
static void show_passed(const char *line)
{
    uint64_t rate = member_number(line, "in_rate") + member_number(line, "out_rate");
    char target[420], in[24], out[24], speed[24], rtt[24], limited[24];

    (void)printf(
        " to %s, %s in, %s out, %s/s, rtt %s, %" PRIu64 " retransmitted, %" PRIu64
        " unacknowledged, %s",
        member_text(line, "target", target, sizeof(target)),
        bytes_at(line, "in", in, sizeof(in)), bytes_at(line, "out", out, sizeof(out)),
        size_text(rate, speed, sizeof(speed)),
        time_text((int64_t)member_number(line, "rtt_us") * TN_US, rtt, sizeof(rtt)),
        member_number(line, "retrans"), member_number(line, "unacked"),
        member_text(line, "limited", limited, sizeof(limited)));
}

static void show_client(const char *line)
{
    char where[440], age[24], target[8];

    (void)printf("  client %-5" PRIu64 " %s, %s", member_number(line, "id"),
                 member_text(line, "where", where, sizeof(where)),
                 seconds_at(line, "ms", age, sizeof(age)));
    if (*member_text(line, "target", target, sizeof(target)))
        show_passed(line);
    (void)printf("\n");
}

static void show_other(const char *line)
{
    char direction[8], fault[300];

    if (member_is(line, "ev", "fault"))
        (void)printf("  fault %s: %s\n",
                     member_text(line, "direction", direction, sizeof(direction)),
                     member_text(line, "fault", fault, sizeof(fault)));
}

static void show(void *arg, const char *line)
{
    struct asked *asked = arg;

    if (member_is(line, "ev", "done")) {
        asked->ok = member_is(line, "ok", "true");
        (void)member_text(line, "why", asked->why, sizeof(asked->why));
    }
    if (asked->settings->json)
        (void)printf("%s\n", line);
    else if (member_is(line, "ev", "process"))
        show_process(line);
    else if (asked->lists || member_is(line, "ev", "done"))
        return;
    else if (member_is(line, "ev", "target"))
        show_target(line);
    else if (member_is(line, "ev", "client"))
        show_client(line);
    else
        show_other(line);
}

static int64_t patience(const struct asked *asked)
{
    int64_t most = asked->settings->max_time;

    return most == UNLIMITED ? ASK_PATIENCE : most;
}

static void list_over(void *arg, const char *name, tn_err err)
{
    struct asked *asked = arg;

    if (tn_failed(err) && !ask_runs_not(err)) /* it may just have ended */
        asked->code = ask_complain("ctl", name, err, patience(asked));
}

static tn_err list_task(void *arg)
{
    struct asked *asked = arg;
    struct ask_round round = { .command = "status brief\n",
                               .patience = patience(asked),
                               .see = show,
                               .over = list_over,
                               .arg = asked };
    struct ask_names names;
    tn_err err;

    asked->lists = true;
    ask_names_find(&names);
    err = ask_all(&names, &round);
    ask_names_release(&names);
    return err;
}

/* COMMAND and its words as one line. */
static int join_line(const struct settings *settings, char *line, size_t size)
{
    size_t used = 0;

    for (int i = 1; i < settings->operand_count; i++) {
        int part = snprintf(line + used, size - used, "%s%s", i > 1 ? " " : "",
                            settings->operands[i]);
        if (part < 0 || (size_t)part >= size - used)
            return report_error(EXIT_USAGE, "ctl", settings->operands[i], "too long");
        used += (size_t)part;
    }
    if (strchr(line, '\n'))
        return report_error(EXIT_USAGE, "ctl", "", "a command is one line");
    (void)snprintf(line + used, size - used, "%s\n", used ? "" : "status");
    return 0;
}

static tn_err ask_task(void *arg)
{
    struct asked *asked = arg;
    const char *name = asked->settings->operands[0];
    char line[1000] = "";
    tn_err err;

    asked->code = join_line(asked->settings, line, sizeof(line) - 10);
    if (asked->code)
        return tn_ok();
    err = ask(name, line, tn_in(patience(asked)), show, asked);
    if (ask_runs_not(err)) {
        asked->code =
            report_error(EXIT_UNREACHED, "ctl", name, "nothing of that name runs");
        report_hint("tenon ctl lists what does");
    } else if (tn_failed(err)) {
        asked->code = ask_complain("ctl", name, err, patience(asked));
    } else if (!asked->ok) {
        asked->code = report_error(EXIT_OTHER, "ctl", name, "%s",
                                   *asked->why ? asked->why : "the answer was cut short");
    }
    return tn_ok();
}

int ctl_main(struct settings *settings)
{
    struct asked asked = { .settings = settings };
    char text[120];
    tn_err err = tn_run(settings->operand_count ? ask_task : list_task, &asked, NULL);

    if (tn_failed(err))
        return report_error(EXIT_OTHER, "start", "", "%s",
                            tn_err_text(err, text, sizeof(text)));
    return asked.code;
}
