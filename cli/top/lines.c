/* SPDX-License-Identifier: MIT */
/*
 * lines.c -- see lines.h.
 *
 * 80 columns hold what matters.  Wider ones add the client's number, a longer trend, how
 * sure the limit is, and where the client was passed on to.
 */
#include "top/lines.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What each part needs in columns, its gap included. */
#define PEER_LEAST   21
#define PEER_MOST    45
#define ID_WIDTH     8
#define PERCENT      6
#define TARGET_WIDTH 22
#define TREND_LEAST  6

/* ---- numbers in few letters ---- */

/* BYTES in at most five: "0", "999", "9.9k", "120M". */
static const char *short_bytes(uint64_t bytes, char buf[16])
{
    static const char units[] = "kMGTPE";
    double value = (double)bytes / 1000;
    int unit = 0;

    if (bytes < 1000) {
        (void)snprintf(buf, 16, "%u", (unsigned)bytes);
        return buf;
    }
    for (; value >= 999.5 && unit < 5; unit++)
        value /= 1000;
    (void)snprintf(buf, 16, "%.*f%c", value < 9.95 ? 1 : 0, value, units[unit]);
    return buf;
}

/* A length of time in at most three: "59s", "12m", "23h", "99d", "9y". */
static const char *short_age(int64_t ms, char buf[24])
{
    static const struct {
        int64_t seconds;
        char unit;
    } units[] = { { 31557600, 'y' }, { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' } };
    int64_t seconds = ms / 1000;

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        /* 99 days are told as days still. */
        if (seconds >= units[i].seconds && (i > 0 || seconds >= INT64_C(100) * 86400)) {
            (void)snprintf(buf, 24, "%lld%c", (long long)(seconds / units[i].seconds),
                           units[i].unit);
            return buf;
        }
    }
    (void)snprintf(buf, 24, "%llds", (long long)seconds);
    return buf;
}

/* In at most five: "-", "87us", "1.2ms", "340ms", "12s". */
static const char *short_time(uint64_t us, char buf[16])
{
    double ms = (double)us / 1000;

    if (us == 0)
        (void)snprintf(buf, 16, "-");
    else if (us < 1000)
        (void)snprintf(buf, 16, "%uus", (unsigned)us);
    else if (ms < 999.5)
        (void)snprintf(buf, 16, "%.*fms", ms < 9.95 ? 1 : 0, ms);
    else
        (void)snprintf(buf, 16, "%.0fs", ms / 1000);
    return buf;
}

const char *count_text(uint64_t number, char buf[32])
{
    char digits[24];
    int length = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number);
    char *out = buf;

    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *out++ = ',';
        *out++ = digits[i];
    }
    *out = 0;
    return buf;
}

/* The newest LOOKS of TREND, as blocks or as digits. */
static const char *trend_text(const struct lines *lines, const char *trend, int looks,
                              char *buf)
{
    static const char *const blocks[] = { " ", "▁", "▂", "▃", "▄", "▅", "▆", "█" };
    size_t size = strlen(trend), used = 0;

    for (size_t i = PACE_LOOKS - (size_t)looks; i < PACE_LOOKS; i++) {
        int level = i < size ? (trend[i] - '0') & 7 : 0;
        char digit[2] = { (char)(level ? '0' + level : '.'), 0 };
        const char *mark = lines->utf8 ? blocks[level] : digit;

        memcpy(buf + used, mark, strlen(mark));
        used += strlen(mark);
    }
    buf[used] = 0;
    return buf;
}

/* "tcp 127.0.0.1:80" without the word that says nothing. */
static const char *bare(const char *where)
{
    return strncmp(where, "tcp ", 4) == 0 ? where + 4 : where;
}

/* ---- lines ---- */

/* Printf into BUF, but no more than the columns there are: for text of a byte a column.
 * What is left of one that does not fit ends in "..". */
static const char *fit(const struct lines *lines, char *buf, const char *text, ...)
    __attribute__((format(printf, 3, 4)));

static const char *fit(const struct lines *lines, char *buf, const char *text, ...)
{
    size_t size = (size_t)lines->width + 1;
    va_list list;
    int length;

    size = size < LINE_SIZE ? size : LINE_SIZE;
    va_start(list, text);
    length = vsnprintf(buf, size, text, list);
    va_end(list);
    if ((size_t)length >= size && size > 2)
        buf[size - 3] = buf[size - 2] = '.';
    return buf;
}

const char *line_process(const struct lines *lines, const struct shot *shot, char *buf)
{
    char age[24], now[32], all[32], in[16], out[16], pid[40];
    size_t length;

    (void)snprintf(pid, sizeof(pid), "  pid %llu", (unsigned long long)shot->pid);
    length =
        strlen(fit(lines, buf, "%s%s  %s now, %s in all  in %s/s  out %s/s  up %s  %s",
                   shot->kind, shot->draining ? ", draining" : "",
                   count_text(shot->connected, now), count_text(shot->clients, all),
                   short_bytes(shot->in_rate, in), short_bytes(shot->out_rate, out),
                   short_age(shot->age_ms, age), bare(shot->addr)));
    if (length + strlen(pid) <= (size_t)lines->width) /* whole, or left out */
        (void)snprintf(buf + length, LINE_SIZE - length, "%s", pid);
    return buf;
}

bool shot_has_faults(const struct shot *shot)
{
    return (*shot->up_fault && strcmp(shot->up_fault, "off") != 0) ||
           (*shot->down_fault && strcmp(shot->down_fault, "off") != 0);
}

const char *line_faults(const struct lines *lines, const struct shot *shot, char *buf)
{
    return fit(lines, buf, "fault up: %s  down: %s", shot->up_fault, shot->down_fault);
}

const char *line_target(const struct lines *lines, const struct shot_target *target,
                        char *buf)
{
    char now[32], all[32], failed[32], connect[16];

    return fit(lines, buf, "%-4s %-21s %s%s%s now, %s in all, %s failed, connect %s",
               target->up ? "up" : "DOWN", bare(target->name), target->why,
               *target->why ? ": " : "", count_text(target->connections, now),
               count_text(target->chosen, all), count_text(target->refused, failed),
               short_time((uint64_t)target->connect_us, connect));
}

/* How the columns are shared out. */
struct widths {
    bool id, percent, target;
    int trend, peer;
};

static struct widths share_out(const struct lines *lines)
{
    struct widths widths = { .trend = TREND_LEAST, .peer = PEER_LEAST };
    int rest = lines->width - WIDTH_LEAST;

    widths.percent = rest >= PERCENT;
    rest -= widths.percent ? PERCENT : 0;
    widths.id = rest >= ID_WIDTH;
    rest -= widths.id ? ID_WIDTH : 0;
    widths.target = rest >= TARGET_WIDTH;
    rest -= widths.target ? TARGET_WIDTH : 0;
    if (rest >= PACE_LOOKS - TREND_LEAST) {
        widths.trend = PACE_LOOKS;
        rest -= PACE_LOOKS - TREND_LEAST;
    }
    if (rest > 0)
        widths.peer += rest < PEER_MOST - PEER_LEAST ? rest : PEER_MOST - PEER_LEAST;
    return widths;
}

/* The cells of a row, or their names. */
struct cells {
    const char *id, *peer, *age, *in, *out, *trend, *rtt, *retrans, *unacked, *limited;
    const char *percent, *target;
};

static const char *join(const struct widths *widths, const struct cells *cells, char *buf)
{
    char id[ID_WIDTH + 1] = "", percent[PERCENT + 1] = "", target[TARGET_WIDTH + 1] = "";

    if (widths->id)
        (void)snprintf(id, sizeof(id), "%7.7s ", cells->id);
    if (widths->percent)
        (void)snprintf(percent, sizeof(percent), "%6.6s", cells->percent);
    if (widths->target)
        (void)snprintf(target, sizeof(target), " %.21s", cells->target);
    (void)snprintf(buf, LINE_SIZE,
                   "%s%-*.*s %3.3s %6.6s %6.6s %s %5.5s %4.4s %6.6s %-15.15s%s%s", id,
                   widths->peer, widths->peer, cells->peer, cells->age, cells->in,
                   cells->out, cells->trend, cells->rtt, cells->retrans, cells->unacked,
                   cells->limited, percent, target);
    return buf;
}

const char *line_heads(const struct lines *lines, char *buf)
{
    struct widths widths = share_out(lines);
    char trend[PACE_LOOKS + 1];

    (void)snprintf(trend, sizeof(trend), "%-*s", widths.trend, "TREND");
    return join(&widths,
                &(struct cells){ "CLIENT", "FROM", "AGE", "IN/S", "OUT/S", trend, "RTT",
                                 "RETR", "UNACK", "HELD UP BY", "", "TO" },
                buf);
}

const char *line_row(const struct lines *lines, const struct shot_row *row, char *buf)
{
    struct widths widths = share_out(lines);
    char id[32], age[24], in[16], out[16], rtt[16], retrans[16], unacked[16];
    char trend[PACE_LOOKS * 3 + 1], percent[24] = "";

    if (row->percent)
        (void)snprintf(percent, sizeof(percent), "%llu %%",
                       (unsigned long long)row->percent);
    (void)snprintf(id, sizeof(id), "%llu", (unsigned long long)row->id);
    return join(
        &widths,
        &(struct cells){ id, bare(row->where), short_age(row->age_ms, age),
                         short_bytes(row->in_rate, in), short_bytes(row->out_rate, out),
                         trend_text(lines, row->trend, widths.trend, trend),
                         short_time(row->rtt_us, rtt), short_bytes(row->retrans, retrans),
                         short_bytes(row->unacked, unacked), row->limited, percent,
                         bare(row->target) },
        buf);
}
