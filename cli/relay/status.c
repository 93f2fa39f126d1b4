/* SPDX-License-Identifier: MIT */
/*
 * status.c -- what a relay answers to `tenon ctl`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "progress.h"
#include "relay/relay.h"
#include "report.h"

void relay_status(struct relay *relay, struct control_answer *answer)
{
    view_look(&relay->view);
    relay_add_process(relay, answer);
    relay_add_targets(relay, answer);
    for (struct link *link = relay->first; link; link = link->next)
        view_row(&relay->view, link->client, answer);
}

static const char *run_status(void *arg, const char *rest, struct control_answer *answer)
{
    if (strcmp(rest, "brief") == 0)
        relay_add_process(arg, answer);
    else
        relay_status(arg, answer);
    return NULL;
}

static const char *run_drain(void *arg, const char *rest, struct control_answer *answer)
{
    (void)rest;
    (void)answer;
    relay_drain(arg);
    return NULL;
}

static const char *run_kill(void *arg, const char *rest, struct control_answer *answer)
{
    const struct relay *relay = arg;
    const char *why;
    struct link *link = gate_served(&relay->gate, rest, &why);

    (void)answer;
    if (!link)
        return why;
    link_stop(link, LINK_KILLED);
    return NULL;
}

static const char *run_reload(void *arg, const char *rest, struct control_answer *answer)
{
    struct relay *relay = arg;

    (void)rest;
    (void)answer;
    if (!relay->settings->targets_file)
        return "it has no file of targets (--targets)";
    return relay_reload(relay) ? "the file cannot be used; it goes on as before" : NULL;
}

/* The words of SPEC, one fault each, over what there is now. */
static const char *read_faults(const char *spec, struct fault both[2])
{
    char word[80];

    while (*spec) {
        size_t size = strcspn(spec, " ");
        const char *why;

        if (size >= sizeof(word))
            return "that is no fault";
        memcpy(word, spec, size);
        word[size] = 0;
        why = fault_read(word, both);
        if (why)
            return why;
        spec += size + strspn(spec + size, " ");
    }
    return NULL;
}

/* All or none of what is asked for; without words, tell how it is. */
static const char *run_fault(void *arg, const char *rest, struct control_answer *answer)
{
    struct relay *relay = arg;
    struct fault both[2] = { relay->faults[UP], relay->faults[DOWN] };
    const char *wrong = read_faults(rest, both);

    if (wrong)
        return wrong;
    if (*rest) {
        memcpy(relay->faults, both, sizeof(both));
        for (struct link *link = relay->first; link; link = link->next)
            link_change(link);
    }
    relay_add_faults(relay, answer);
    return NULL;
}

static const char *run_view(void *arg, const char *rest, struct control_answer *answer)
{
    struct relay *relay = arg;

    return view_command(&relay->view, rest, answer);
}

static const struct control_command commands[] = {
    { "status", run_status }, { "drain", run_drain }, { "kill", run_kill },
    { "reload", run_reload }, { "fault", run_fault }, { "view", run_view },
};

void relay_commands(struct control *control)
{
    control->commands = commands;
    control->command_count = sizeof(commands) / sizeof(commands[0]);
}
