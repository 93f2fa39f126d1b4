/* SPDX-License-Identifier: MIT */
/*
 * progress.c -- the meter, and numbers in words.
 *
 * A task of its own looks at the counts twice a second; nothing of it is in the way of
 * the bytes.  The rate is that of the last two seconds, so that a stall shows.
 */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "report.h"

#define LOOK_EVERY (500 * TN_MS)
#define LOOKS      4 /* over which the rate is taken */

const char *size_text(uint64_t bytes, char *buf, size_t size)
{
    static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB" };
    double value = (double)bytes / 1024;
    size_t unit = 0;

    if (bytes < 1024) {
        (void)snprintf(buf, size, "%u B", (unsigned)bytes);
        return buf;
    }
    while (value >= 1023.95 && unit < 4) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(buf, size, "%.1f %s", value, units[unit]);
    return buf;
}

const char *bytes_text(uint64_t bytes, char *buf, size_t size)
{
    (void)snprintf(buf, size, "%" PRIu64 " byte%s", bytes, bytes == 1 ? "" : "s");
    return buf;
}

const char *time_text(int64_t length, char *buf, size_t size)
{
    double seconds = (double)length / (double)TN_SECOND;

    if (length < 999500) /* so that it never says 1000 us, or 1000.0 ms */
        (void)snprintf(buf, size, "%.0f us", seconds * 1e6);
    else if (length < 999950 * TN_US)
        (void)snprintf(buf, size, "%.1f ms", seconds * 1e3);
    else
        (void)snprintf(buf, size, "%.2f s", seconds);
    return buf;
}

const char *limited_by(const struct tn_conn_facts *tcp)
{
    if (tcp->busy_us == 0)
        return "none";
    if (tcp->rwnd_limited_us * 2 > tcp->busy_us)
        return "receiver";
    if (tcp->sndbuf_limited_us * 2 > tcp->busy_us)
        return "sender";
    return "network";
}

/* "00:01:05" of SECONDS, in BUF. */
static const char *clock_text(int64_t seconds, char *buf, size_t size)
{
    if (seconds < 0 || seconds > 359999)
        seconds = 359999; /* 99:59:59 is long enough */
    (void)snprintf(buf, size, "%02d:%02d:%02d", (int)(seconds / 3600),
                   (int)(seconds / 60 % 60), (int)(seconds % 60));
    return buf;
}

/* One line of METER, whose counts grow by RATE a second. */
static void show(const struct meter *meter, uint64_t rate)
{
    char in[48] = "", out[48] = "", left[48] = "", text[24], clock[16], line[200];
    uint64_t total = meter->total ? *meter->total : 0;

    if (meter->sent)
        (void)snprintf(out, sizeof(out), "  sent %s",
                       size_text(*meter->sent, text, sizeof(text)));
    if (meter->received)
        (void)snprintf(in, sizeof(in), "  received %s",
                       size_text(*meter->received, text, sizeof(text)));
    if (meter->sent && total > *meter->sent && rate > 0)
        (void)snprintf(
            left, sizeof(left), "  %d %%, %s left",
            (int)((double)*meter->sent * 100 / (double)total),
            clock_text((int64_t)((total - *meter->sent) / rate), clock, sizeof(clock)));
    (void)snprintf(
        line, sizeof(line), "%s%s%s  %s/s%s",
        clock_text((tn_now() - meter->started) / TN_SECOND, clock, sizeof(clock)), out,
        in, size_text(rate, text, sizeof(text)), left);
    report_meter(line);
}

static tn_err meter_task(void *arg)
{
    const struct meter *meter = arg;
    uint64_t looks[LOOKS] = { 0 };

    for (unsigned count = 0; !tn_failed(tn_sleep(tn_in(LOOK_EVERY))); count++) {
        uint64_t sum =
            (meter->received ? *meter->received : 0) + (meter->sent ? *meter->sent : 0);
        uint64_t looked = count < LOOKS ? count + 1 : LOOKS;
        uint64_t rate = (sum - looks[count % LOOKS]) * 2 / looked; /* a second */

        looks[count % LOOKS] = sum;
        if (count > 0) /* what takes less than a second needs no meter */
            show(meter, rate);
    }
    return tn_ok();
}

void progress_start(struct meter *meter, bool silent)
{
    meter->task = NULL;
    if (silent || report_wants_json() || !isatty(STDERR_FILENO))
        return;
    tn_ignore(tn_go(NULL, meter_task, meter, NULL, &meter->task)); /* then without one */
}

void progress_stop(struct meter *meter)
{
    if (!meter->task)
        return;
    tn_cancel(meter->task);
    tn_ignore(tn_join(&meter->task, NULL, tn_shielded(TN_SECOND))); /* never parks long */
    report_meter("");
}
