/* SPDX-License-Identifier: MIT */
/*
 * tell.c -- lines for people, objects for programs (docs/json-schema.json).
 */
#include "tell.h"

#include <inttypes.h>
#include <stdio.h>

#include "progress.h"

static void tell_begun(const struct plan *plan, const struct result *result)
{
    char length[24], warmup[24];

    if (report_json_on_output())
        return;
    (void)printf("%s %s", plan->mode->name, plan->where.name);
    if (plan->rate)
        (void)printf(" at %" PRId64 "/s", plan->rate);
    (void)printf(": %u connection%s, %u thread%s (%s), %s after %s of warm-up\n",
                 plan->connections, plan->connections == 1 ? "" : "s", plan->threads,
                 plan->threads == 1 ? "" : "s", result->driver,
                 time_text(plan->duration, length, sizeof(length)),
                 time_text(plan->warmup, warmup, sizeof(warmup)));
    (void)report_flush();
}

static void print_interval(const struct plan *plan, const struct figures *figures,
                           double from, double to)
{
    static const enum metric shown[] = { METRIC_P50, METRIC_P99, METRIC_P999,
                                         METRIC_MAX };
    char text[32];

    (void)printf("%7.1f -%6.1f s", from, to);
    if (plan->mode->has_latency) {
        (void)printf("  %9s", metric_text(METRIC_RATE, figures->values[METRIC_RATE], text,
                                          sizeof(text)));
        for (int i = 0; i < 4; i++)
            (void)printf(
                "  %s %8s", metrics[shown[i]].name,
                metric_text(shown[i], figures->values[shown[i]], text, sizeof(text)));
    } else {
        if (plan->writes)
            (void)printf(
                "  out %12s",
                metric_text(METRIC_OUT, figures->values[METRIC_OUT], text, sizeof(text)));
        if (plan->reads)
            (void)printf("  in %12s", metric_text(METRIC_IN, figures->values[METRIC_IN],
                                                  text, sizeof(text)));
    }
    (void)printf("\n");
    (void)report_flush();
}

static void tell_interval(const struct plan *plan, const struct figures *figures,
                          double from, double to)
{
    struct json json;

    if (!report_json_on_output() && !plan->settings->silent)
        print_interval(plan, figures, from, to);
    if (!report_wants_json())
        return;
    json_event(&json, "interval");
    json_bool(&json, "ok", true);
    json_text(&json, "mode", plan->mode->name);
    json_real(&json, "from_ms", from * 1000);
    json_real(&json, "to_ms", to * 1000);
    figures_json(figures, &json);
    json_send(&json);
}

const struct watcher tell_watcher = { tell_begun, tell_interval };

static void print_latencies(const struct result *result)
{
    static const char *const names[] = { "corrected", "uncorrected" };
    char text[32];

    (void)printf("\n%-12s", "latency");
    for (int i = 0; i < LATENCIES; i++)
        (void)printf("%10s", metrics[i].name);
    for (int line = 0; line < 2; line++) {
        (void)printf("\n%-12s", names[line]);
        for (int i = 0; i < LATENCIES; i++) {
            enum metric metric = (enum metric)(line * LATENCIES + i);
            (void)printf("%10s", metric_text(metric, result->figures.values[metric], text,
                                             sizeof(text)));
        }
    }
    (void)printf("\n");
}

static void print_result(const struct plan *plan, const struct result *result,
                         const struct warnings *warnings)
{
    const double *values = result->figures.values;
    char text[32], out[32], in[32];

    if (plan->mode->has_latency)
        print_latencies(result);
    (void)printf("\nthroughput  ");
    if (values[METRIC_RATE] >= 0)
        (void)printf("%.0f %s/s, ", values[METRIC_RATE], plan->mode->unit);
    (void)printf("%s out, %s in\n",
                 metric_text(METRIC_OUT, values[METRIC_OUT], out, sizeof(out)),
                 metric_text(METRIC_IN, values[METRIC_IN], in, sizeof(in)));
    (void)printf("our CPU     %s %s, the busiest thread ran %.0f%% of the time\n",
                 metric_text(METRIC_CPU, values[METRIC_CPU], text, sizeof(text)),
                 plan->mode->has_latency ? "for each" : "for each MiB",
                 100 * result->busy);
    for (int i = 0; i < warnings->count; i++)
        (void)printf("warning: %s\n", warnings->text[i]);
}

static void send_summary(const struct plan *plan, const struct result *result)
{
    struct json json;

    json_event(&json, "result");
    json_bool(&json, "ok", !result->interrupted);
    json_text(&json, "mode", plan->mode->name);
    json_text(&json, "where", plan->where.name);
    json_text(&json, "addr", result->addr);
    json_text(&json, "version", TENON_VERSION);
    json_text(&json, "driver", result->driver);
    json_number(&json, "connections", plan->connections);
    json_number(&json, "threads", plan->threads);
    if (plan->rate)
        json_number(&json, "asked_rate", (uint64_t)plan->rate);
    json_ms(&json, "ms", result->length);
    json_ms(&json, "warmup_ms", plan->warmup);
    json_number(&json, "count", result->done);
    json_number(&json, "in", result->in);
    json_number(&json, "out", result->out);
    json_number(&json, "intervals", result->interval_count);
    json_real(&json, "busy", result->busy);
    json_real(&json, "starved", result->starved);
    json_number(&json, "late", result->doubts.late);
    json_number(&json, "port_waits", result->doubts.port_waits);
    json_number(&json, "retrans", result->doubts.retransmits);
    figures_json(&result->figures, &json);
    json_send(&json);
}

void tell_result(const struct plan *plan, const struct result *result,
                 const struct warnings *warnings)
{
    if (!report_json_on_output())
        print_result(plan, result, warnings);
    for (int i = 0; report_wants_json() && i < warnings->count; i++) {
        struct json json;
        json_event(&json, "warning");
        json_bool(&json, "ok", true);
        json_text(&json, "text", warnings->text[i]);
        json_send(&json);
    }
    if (report_wants_json())
        send_summary(plan, result);
    (void)report_flush();
}
