/* SPDX-License-Identifier: MIT */
/*
 * shot.c -- see shot.h.
 */
#include "top/shot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/ask.h"
#include "control/member.h"

/* The member NAME of LINE in BUF; what is no plain letter, such as a byte of UTF-8 whose
 * width nobody knows here, becomes a question mark. */
static void take_text(const char *line, const char *name, char *buf, size_t size)
{
    (void)member_text(line, name, buf, size);
    for (char *at = buf; *at; at++) {
        if (*at < ' ' || *at > '~')
            *at = '?';
    }
}

static void see_process(struct shot *shot, const char *line)
{
    take_text(line, "name", shot->name, sizeof(shot->name));
    take_text(line, "kind", shot->kind, sizeof(shot->kind));
    take_text(line, "addr", shot->addr, sizeof(shot->addr));
    shot->draining = member_is(line, "draining", "true");
    shot->age_ms = (int64_t)member_number(line, "ms");
    shot->pid = member_number(line, "pid");
    shot->clients = member_number(line, "clients");
    shot->connected = member_number(line, "connected");
    shot->in = member_number(line, "in");
    shot->out = member_number(line, "out");
}

static void see_target(struct shot *shot, const char *line)
{
    bool up = member_is(line, "up", "true");

    shot->targets_up += up;
    if (shot->target_count < SHOT_TARGETS) {
        struct shot_target *target = &shot->targets[shot->target_count];
        char text[24];

        take_text(line, "target", target->name, sizeof(target->name));
        take_text(line, "why", target->why, sizeof(target->why));
        target->up = up;
        target->connections = member_number(line, "connections");
        target->chosen = member_number(line, "chosen");
        target->refused = member_number(line, "refused");
        target->connect_us =
            (int64_t)(strtod(member_text(line, "connect_ms", text, sizeof(text)), NULL) *
                      1000);
    }
    shot->target_count++;
}

static void see_client(struct shot *shot, const char *line)
{
    struct shot_row *row = &shot->rows[shot->row_count];

    if (shot->row_count == VIEW_ROWS_MOST)
        return;
    shot->row_count++;
    take_text(line, "where", row->where, sizeof(row->where));
    take_text(line, "target", row->target, sizeof(row->target));
    take_text(line, "limited", row->limited, sizeof(row->limited));
    take_text(line, "trend", row->trend, sizeof(row->trend));
    row->id = member_number(line, "id");
    row->age_ms = (int64_t)member_number(line, "ms");
    row->in_rate = member_number(line, "in_rate");
    row->out_rate = member_number(line, "out_rate");
    row->rtt_us = member_number(line, "rtt_us");
    row->retrans = member_number(line, "retrans") + member_number(line, "target_retrans");
    row->unacked = member_number(line, "unacked") + member_number(line, "target_unacked");
    row->percent = member_number(line, "limited_percent");
}

static void see_fault(struct shot *shot, const char *line)
{
    bool up = member_is(line, "direction", "up");
    char *buf = up ? shot->up_fault : shot->down_fault;

    take_text(line, "fault", buf, sizeof(shot->up_fault));
}

void shot_see(void *arg, const char *line)
{
    struct shot *shot = arg;

    if (member_is(line, "ev", "process")) {
        see_process(shot, line);
    } else if (member_is(line, "ev", "target")) {
        see_target(shot, line);
    } else if (member_is(line, "ev", "client")) {
        see_client(shot, line);
    } else if (member_is(line, "ev", "fault")) {
        see_fault(shot, line);
    } else if (member_is(line, "ev", "view")) {
        shot->matched = member_number(line, "matched");
        shot->in_rate = member_number(line, "in_rate");
        shot->out_rate = member_number(line, "out_rate");
    } else if (member_is(line, "ev", "done")) {
        shot->ok = member_is(line, "ok", "true");
        take_text(line, "why", shot->why, sizeof(shot->why));
    }
}

const char *shot_command(const struct view_request *request, char line[120])
{
    (void)snprintf(line, 120, "view %s %lld %lld %s\n", view_order_name(request->order),
                   (long long)request->first, (long long)request->count, request->filter);
    return line;
}

tn_err shot_take(struct shot *shot, const char *name, const struct view_request *request)
{
    char line[120];

    memset(shot, 0, sizeof(*shot));
    return ask(name, shot_command(request, line), tn_in(SHOT_PATIENCE), shot_see, shot);
}
