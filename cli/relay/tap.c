/* SPDX-License-Identifier: MIT */
/*
 * tap.c -- see tap.h; docs/recording.md describes the file.
 *
 * Both outputs are written by stdio in one piece for each event, which tasks cannot part:
 * nothing here parks.  A disk that is full ends the recording's relay rather than its
 * bytes: connections are reset, and the exit code is 8.
 */
#include "relay/tap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "relay/relay.h"
#include "report.h"

int tap_open(struct relay *relay)
{
    struct tap *tap = &relay->tap;
    const char *path = relay->settings->record;
    struct timespec now;
    struct tm parts;
    char text[40];

    tap->hex = relay->settings->hex;
    tap->started = tn_now();
    if (path) {
        tap->record = fopen(path, "wxe");
        if (!tap->record)
            return report_error(EXIT_OUTPUT, "create", path, "%s", strerror(errno));
        (void)clock_gettime(CLOCK_REALTIME, &now);
        (void)gmtime_r(&now.tv_sec, &parts);
        (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
        (void)fprintf(tap->record, "tenon-recording 1 %s.%09ldZ\n", text, now.tv_nsec);
    }
    return 0;
}

int tap_close(struct relay *relay)
{
    struct tap *tap = &relay->tap;
    bool record = tap->record != NULL;

    if (tap->record && fclose(tap->record) != 0 && !tap->error)
        tap->error = errno;
    if (tap->hex && !report_flush() && !tap->error)
        tap->error = errno;
    tap->record = NULL;
    if (!tap->error || (!record && tap->error == EPIPE))
        return 0;
    return report_error(EXIT_OUTPUT, "write",
                        record ? relay->settings->record : "standard output", "%s",
                        strerror(tap->error));
}

static void note_error(struct tap *tap, FILE *file)
{
    if (ferror(file) && !tap->error)
        tap->error = errno ? errno : EIO;
}

/* "SECONDS.NANOSECONDS ID " begins each line of the file. */
static void stamp(const struct link *link)
{
    struct tap *tap = &link->relay->tap;
    int64_t at = tn_now() - tap->started;

    (void)fprintf(tap->record, "%" PRId64 ".%09" PRId64 " %" PRIu64 " ", at / TN_SECOND,
                  at % TN_SECOND, link->client->id);
}

static const char *side_name(const struct flow *flow)
{
    return flow->side == UP ? "up" : "down";
}

/* ---- hex ---- */

static void hex_line(const unsigned char *data, size_t size, size_t offset)
{
    (void)printf("  %08zx ", offset);
    for (size_t i = 0; i < 16; i++) {
        if (i < size)
            (void)printf("%s%02x", i == 8 ? "  " : " ", data[i]);
        else
            (void)printf("%s  ", i == 8 ? "  " : " ");
    }
    (void)printf("  |");
    for (size_t i = 0; i < size; i++)
        (void)putchar(data[i] >= ' ' && data[i] < 0x7f ? data[i] : '.');
    (void)printf("|\n");
}

static void hex_bytes(const struct flow *flow, const unsigned char *data, size_t size)
{
    struct tap *tap = &flow->link->relay->tap;
    uint64_t before = flow_taken(flow) - size;
    int64_t at = tn_now() - tap->started;

    (void)printf("%" PRId64 ".%06" PRId64 " client %" PRIu64 " %s %zu bytes at %" PRIu64
                 "\n",
                 at / TN_SECOND, at % TN_SECOND / TN_US, flow->link->client->id,
                 side_name(flow), size, before);
    for (size_t i = 0; i < size; i += 16)
        hex_line(data + i, size - i < 16 ? size - i : 16, (size_t)before + i);
    (void)report_flush();
    note_error(tap, stdout);
}

/* ---- what happens ---- */

void tap_begin(const struct link *link)
{
    struct tap *tap = &link->relay->tap;
    char peer[TN_ADDR_TEXT];

    if (!tap->record)
        return;
    stamp(link);
    (void)fprintf(tap->record, "open %s %s\n",
                  tn_addr_text(&link->client->addr, peer, sizeof(peer)),
                  link->target->where.text);
}

tn_err tap_bytes(const struct flow *flow, const void *data, size_t size)
{
    struct tap *tap = &flow->link->relay->tap;

    if (tap->hex)
        hex_bytes(flow, data, size);
    if (tap->record) {
        stamp(flow->link);
        (void)fprintf(tap->record, "%s %zu\n", side_name(flow), size);
        (void)fwrite(data, 1, size, tap->record);
        (void)putc('\n', tap->record);
        note_error(tap, tap->record);
    }
    if (!tap->error)
        return tn_ok();
    relay_drain(flow->link->relay);
    return tn_err_errno(tap->error);
}

void tap_end(const struct flow *flow)
{
    struct tap *tap = &flow->link->relay->tap;

    if (tap->hex)
        (void)printf("client %" PRIu64 " %s end\n", flow->link->client->id,
                     side_name(flow));
    if (!tap->record)
        return;
    stamp(flow->link);
    (void)fprintf(tap->record, "%s-end\n", side_name(flow));
}

void tap_over(const struct link *link)
{
    struct tap *tap = &link->relay->tap;
    if (tap->hex)
        (void)printf("client %" PRIu64 " over: %s\n", link->client->id,
                     link_end_name(link->end));
    if (tap->hex && !report_flush())
        note_error(tap, stdout);
    if (!tap->record)
        return;
    stamp(link);
    (void)fprintf(tap->record, "close %s\n", link_end_name(link->end));
    (void)fflush(tap->record);
    note_error(tap, tap->record);
}
