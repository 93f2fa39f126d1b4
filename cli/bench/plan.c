/* SPDX-License-Identifier: MIT */
/*
 * plan.c -- from the command line to a plan, with every contradiction told.
 */
#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

/* Time is collected in slices of a tenth of an interval, but not in shorter ones. */
#define SLICE_LEAST (100 * TN_MS)

/* More intervals are not cut into slices. */
#define INTERVALS_MANY 360

/* What tput writes at a time, and what rr and load ask, unless --size says. */
#define BLOCK_SIZE    (128 << 10)
#define QUESTION_SIZE 64

/* Above this a question and its answer could fill all buffers and wait for each other. */
#define QUESTION_MOST (64 << 10)

static const struct mode modes[] = {
    { "rr", "requests", "echo", 1, true, true, rr_run, NULL },
    { "load", "requests", "echo", 16, true, true, load_run, NULL },
    { "tput", "bytes", "sink", 1, true, false, tput_run, tput_stop },
    { "cps", "connections", NULL, 16, false, true, cps_run, NULL },
};

static int find_mode(struct plan *plan, const struct settings *settings)
{
    const char *name = settings->operand_count ? settings->operands[0] : NULL;
    int code;

    for (size_t i = 0; name && i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(modes[i].name, name) == 0) {
            plan->mode = &modes[i];
            return 0;
        }
    }
    code = name ? report_error(EXIT_USAGE, "bench", name, "no such kind")
                : report_error(EXIT_USAGE, "bench", "", "measure what?");
    report_hint("tenon bench rr|load|tput|cps ADDRESS");
    return code;
}

static int refuse(const char *option, const char *why)
{
    return report_error(EXIT_USAGE, "option", option, "%s", why);
}

static bool is_mode(const struct plan *plan, const char *name)
{
    return strcmp(plan->mode->name, name) == 0;
}

/* The option of questions and answers that is given, or NULL. */
static const char *question_option(const struct settings *settings)
{
    static const char *const names[] = { "--send", "--expect", "--until", "--answer" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (options_given(settings, names[i] + 2))
            return names[i];
    }
    return NULL;
}

static int check_sizes(const struct plan *plan, const struct settings *settings)
{
    bool given = options_given(settings, "size");

    if (options_given(settings, "answer") && settings->answer == 0)
        return refuse("--answer", "is 1 at least");
    if (given && settings->size == 0)
        return refuse("--size", "is 1 at least");
    if (given && settings->send)
        return refuse("--size", "is that of what --send says");
    if (given && is_mode(plan, "cps"))
        return refuse("--size", "is for rr, load and tput; cps asks only with --send");
    if (!is_mode(plan, "tput") && settings->size > QUESTION_MOST)
        return refuse("--size", "of a question is 64k at most; tput is for streams");
    return 0;
}

/* Options of one mode that another one cannot obey. */
static int check_options(const struct plan *plan, const struct settings *settings)
{
    bool tput = is_mode(plan, "tput");
    const char *question = question_option(settings);

    if (tput && question)
        return refuse(question, "tput has no questions and answers");
    if (!tput && (settings->both || settings->reverse))
        return refuse(settings->both ? "--both" : "--reverse", "is for tput");
    if (settings->both && settings->reverse)
        return refuse("--reverse", "is the half of --both: one of them");
    if (settings->rate && (tput || is_mode(plan, "rr")))
        return refuse("--rate",
                      "is for load and cps; rr and tput go as fast as they can");
    if (is_mode(plan, "load") && !settings->rate && !settings->find_max) {
        int code = report_error(EXIT_USAGE, "bench", "load", "at what rate?");
        report_hint("--rate 20k, or --find-max 'p99<5ms' to look for it");
        return code;
    }
    if (settings->find_max && !is_mode(plan, "load"))
        return refuse("--find-max", "is for load");
    if (settings->find_max && (settings->hlog || settings->html || settings->fail_if))
        return refuse("--find-max",
                      "makes many runs: --hlog, --html and --fail-if are for one");
    if (settings->reset && !is_mode(plan, "cps"))
        return refuse("--reset", "is for cps");
    if (question && !settings->send)
        return refuse("--send", "is missing: an answer belongs to a question");
    return check_sizes(plan, settings);
}

/* Who the peer is asked to be; NULL where it is what it is. */
static const char *choose_hello(const struct plan *plan, const struct settings *settings)
{
    if (settings->plain || settings->send)
        return NULL;
    if (settings->both)
        return "both";
    return settings->reverse ? "source" : plan->mode->hello;
}

static int choose_times(struct plan *plan, const struct settings *settings)
{
    plan->duration = settings->duration;
    plan->warmup = settings->warmup;
    plan->interval = settings->interval;
    plan->grace = settings->idle_timeout == UNLIMITED ? GRACE : settings->idle_timeout;
    if (plan->duration < SLICE_LEAST || plan->interval < SLICE_LEAST)
        return refuse(plan->duration < SLICE_LEAST ? "--duration" : "--interval",
                      "is 100ms at least");
    /* Of a long run every interval is a slice: a chart has no room for more, nor memory. */
    if (plan->duration / plan->interval > INTERVALS_MANY)
        plan->slice = plan->interval;
    else
        plan->slice =
            plan->interval / 10 > SLICE_LEAST ? plan->interval / 10 : SLICE_LEAST;
    if (plan->slice > plan->duration)
        plan->slice = plan->duration;
    plan->interval -= plan->interval % plan->slice;
    plan->duration -= plan->duration % plan->slice;
    plan->warmup -= plan->warmup % plan->slice;
    return 0;
}

static int make_block(struct plan *plan, const struct settings *settings)
{
    plan->block_size = settings->size ? (size_t)settings->size : BLOCK_SIZE;
    plan->block = calloc(1, plan->block_size);
    return plan->block ? 0 : report_error(EXIT_OTHER, "bench", "", "out of memory");
}

int bench_plan_make(struct plan *plan, struct settings *settings)
{
    int code;

    memset(plan, 0, sizeof(*plan));
    plan->settings = settings;
    code = find_mode(plan, settings);
    if (!code)
        code = where_read(&plan->where, settings, settings->operands + 1,
                          settings->operand_count - 1);
    if (!code)
        code = check_options(plan, settings);
    if (!code)
        code = choose_times(plan, settings);
    if (code)
        return code;
    plan->hello = choose_hello(plan, settings);
    plan->connections =
        settings->connections ? (unsigned)settings->connections : plan->mode->connections;
    plan->threads = settings->threads ? (unsigned)settings->threads : 1;
    if (plan->threads > plan->connections)
        return refuse("--threads", "there are fewer connections (-c) than threads");
    plan->rate = settings->rate;
    plan->reads = settings->both || settings->reverse;
    plan->writes = !settings->reverse;
    if (is_mode(plan, "tput"))
        return make_block(plan, settings);
    if (is_mode(plan, "cps") && !settings->send)
        return 0;
    return exchange_prepare(&plan->exchange, settings,
                            settings->size ? (size_t)settings->size : QUESTION_SIZE);
}

void bench_plan_release(struct plan *plan)
{
    exchange_release(&plan->exchange);
    free(plan->block);
    plan->block = NULL;
}
