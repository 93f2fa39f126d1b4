/* SPDX-License-Identifier: MIT */
/*
 * limits.c -- doubts about our own figures, each from something that was measured: the
 * threads' processor time and their waiting for a core (schedstat), lateness of our own
 * timers, EADDRNOTAVAIL, and what TCP says of why sending waited (tcp(7), TCP_INFO).
 */
#include "limits.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "progress.h"

#define BUSY_SHARE    0.90 /* of a core: then our thread has little room left */
#define STARVED_SHARE 0.05 /* of the time, ready and not running */
#define LATE_SHARE    0.01 /* of the questions, sent over 1 ms late */
#define LIMITED_SHARE 0.10 /* of the time with something to send */
#define RATE_SHARE    0.99 /* of --rate */
#define INTERVALS_FEW 5

static void warn(struct warnings *warnings, const char *text, ...)
    __attribute__((format(printf, 2, 3)));

static void warn(struct warnings *warnings, const char *text, ...)
{
    va_list list;

    if (warnings->count == WARNINGS_MOST)
        return;
    va_start(list, text);
    (void)vsnprintf(warnings->text[warnings->count++], sizeof(warnings->text[0]), text,
                    list);
    va_end(list);
}

static void find_cpu(const struct plan *plan, const struct result *result,
                     struct warnings *warnings)
{
    if (result->busy > BUSY_SHARE)
        warn(
            warnings,
            "our own CPU was the limit: a thread of ours ran %.0f%% of the time; give it "
            "company with --threads %u, or measure from another machine",
            100 * result->busy, plan->threads + 1);
    if (result->starved > STARVED_SHARE)
        warn(warnings,
             "other programs had our core: a thread of ours was ready and did not run "
             "%.0f%% "
             "of the time",
             100 * result->starved);
}

static void find_schedule(const struct plan *plan, const struct result *result,
                          struct warnings *warnings)
{
    double rate = result->figures.values[METRIC_RATE];
    char most[24];

    if ((double)result->doubts.late > LATE_SHARE * (double)result->done)
        warn(warnings,
             "we asked late: %" PRIu64
             " questions were sent over 1 ms after they were due, which is "
             "our side's fault (at most %s); the corrected line has that in it",
             result->doubts.late,
             time_text(result->doubts.late_most, most, sizeof(most)));
    if (plan->rate && rate < RATE_SHARE * (double)plan->rate)
        warn(warnings,
             "the rate was not kept: %.0f of %" PRId64
             " a second; latencies grow for as long "
             "as that goes on",
             rate, plan->rate);
}

static void find_network(const struct plan *plan, const struct result *result,
                         struct warnings *warnings)
{
    const struct doubts *doubts = &result->doubts;
    char time[24];

    if (doubts->port_waits)
        warn(warnings,
             "our local ports ran out %" PRIu64 " times (EADDRNOTAVAIL), and connections "
             "waited %s for one in all: see net.ipv4.ip_local_port_range and "
             "tcp_tw_reuse, or "
             "use --reset",
             doubts->port_waits, time_text(doubts->port_wait_ns, time, sizeof(time)));
    if (!plan->writes || !plan->block || doubts->busy_us == 0)
        return;
    if ((double)doubts->sndbuf_limited_us > LIMITED_SHARE * (double)doubts->busy_us)
        warn(warnings,
             "our send buffer was the limit %.0f%% of the time: -O makes it larger",
             100.0 * (double)doubts->sndbuf_limited_us / (double)doubts->busy_us);
    if ((double)doubts->rwnd_limited_us > LIMITED_SHARE * (double)doubts->busy_us)
        warn(warnings,
             "the peer's receive window was the limit %.0f%% of the time: it reads too "
             "slowly, "
             "or its buffer is small",
             100.0 * (double)doubts->rwnd_limited_us / (double)doubts->busy_us);
}

void limits_find(const struct plan *plan, const struct result *result,
                 struct warnings *warnings)
{
    warnings->count = 0;
    if (result->interrupted)
        warn(warnings, "stopped before its time");
    find_cpu(plan, result, warnings);
    find_schedule(plan, result, warnings);
    find_network(plan, result, warnings);
    if (result->doubts.retransmits)
        warn(warnings,
             "%" PRIu64 " segments of ours were sent again: the network lost some, "
             "or was slow",
             result->doubts.retransmits);
    if (result->interval_count < INTERVALS_FEW)
        warn(warnings,
             "only %zu interval%s: too few for tenon compare to tell a difference "
             "from noise",
             result->interval_count, result->interval_count == 1 ? "" : "s");
}
