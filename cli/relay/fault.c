/* SPDX-License-Identifier: MIT */
/*
 * fault.c -- faults as people write them; see fault.h.
 */
#include "relay/fault.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Values are short; a longer one is none. */
#define VALUE_MOST 40

/* Cut TEXT at MARK: what stands before it into BEFORE; returns what follows, or NULL. */
static const char *cut(const char *text, const char *mark, char before[VALUE_MOST])
{
    const char *found = strstr(text, mark);
    size_t size = found ? (size_t)(found - text) : strlen(text);

    size = size < VALUE_MOST ? size : VALUE_MOST - 1;
    memcpy(before, text, size);
    before[size] = 0;
    return found ? found + strlen(mark) : NULL;
}

static const char *read_latency(const char *value, struct fault *fault)
{
    char length[VALUE_MOST];
    const char *jitter = cut(value, "±", length);

    if (!jitter)
        jitter = cut(value, "+-", length);
    fault->jitter = 0;
    if (!value_duration(length, &fault->latency) ||
        (jitter && !value_duration(jitter, &fault->jitter)) ||
        fault->jitter > fault->latency || fault->latency > 60 * TN_MINUTE)
        return "latency is written 200ms or 200ms+-50ms, an hour at most";
    return NULL;
}

static const char *read_slice(const char *value, struct fault *fault)
{
    char size[VALUE_MOST];
    const char *gap = cut(value, "@", size);

    fault->slice_gap = 0;
    if (!value_size(size, &fault->slice) || fault->slice < 1 ||
        (gap && !value_duration(gap, &fault->slice_gap)))
        return "slices are written 100 or 100@5ms";
    return NULL;
}

static const char *read_resets(const char *value, struct fault *fault)
{
    char share[VALUE_MOST];
    const char *rest = cut(value, "%", share);
    char *point = strchr(share, '.');
    int64_t whole = 0, part = 0;

    if (point)
        *point++ = 0;
    if (!rest || *rest || !value_number(share, 0, 100, &whole) ||
        (point && (strlen(point) != 1 || !value_number(point, 0, 9, &part))) ||
        whole * 10 + part > 1000)
        return "resets are written reset@5% or reset@0.5%";
    fault->resets = whole * 10000 + part * 1000;
    fault->either_resets = false;
    return NULL;
}

static const char *read_kind(const char *kind, struct fault *fault)
{
    if (strncmp(kind, "latency=", 8) == 0)
        return read_latency(kind + 8, fault);
    if (strncmp(kind, "rate=", 5) == 0)
        return value_size(kind + 5, &fault->rate) && fault->rate > 0
                   ? NULL
                   : "a rate is written 64k, bytes a second";
    if (strncmp(kind, "slice=", 6) == 0)
        return read_slice(kind + 6, fault);
    if (strncmp(kind, "reset@", 6) == 0)
        return read_resets(kind + 6, fault);
    if (strcmp(kind, "blackhole") == 0)
        fault->blackhole = true;
    else if (strcmp(kind, "halfopen") == 0)
        fault->halfopen = true;
    else if (strcmp(kind, "off") == 0)
        *fault = (struct fault){ 0 };
    else
        return "there are latency=, rate=, slice=, reset@, blackhole, halfopen and off";
    return NULL;
}

const char *fault_read(const char *text, struct fault both[2])
{
    bool up = strncmp(text, "up:", 3) == 0, down = strncmp(text, "down:", 5) == 0;
    const char *kind = text + (up ? 3 : down ? 5 : 0), *why = NULL;

    if (!down)
        why = read_kind(kind, &both[0]);
    if (!up && !why)
        why = read_kind(kind, &both[1]);
    if (!up && !down)
        both[0].either_resets = both[1].either_resets = true;
    return why;
}

bool fault_is_none(const struct fault *fault)
{
    return !fault->latency && !fault->rate && !fault->slice && !fault->resets &&
           !fault->blackhole && !fault->halfopen;
}

static void append(char *buf, size_t size, const char *text)
{
    size_t used = strlen(buf);

    (void)snprintf(buf + used, size - used, "%s%s", used ? " " : "", text);
}

const char *fault_text(const struct fault *fault, char *buf, size_t size)
{
    char part[80];

    buf[0] = 0;
    if (fault->latency) {
        (void)snprintf(part, sizeof(part), "latency=%" PRId64 "us+-%" PRId64 "us",
                       fault->latency / TN_US, fault->jitter / TN_US);
        append(buf, size, part);
    }
    if (fault->rate) {
        (void)snprintf(part, sizeof(part), "rate=%" PRId64, fault->rate);
        append(buf, size, part);
    }
    if (fault->slice) {
        (void)snprintf(part, sizeof(part), "slice=%" PRId64 "@%" PRId64 "us",
                       fault->slice, fault->slice_gap / TN_US);
        append(buf, size, part);
    }
    if (fault->resets) {
        (void)snprintf(part, sizeof(part), "reset@%" PRId64 ".%" PRId64 "%%",
                       fault->resets / 10000, fault->resets / 1000 % 10);
        append(buf, size, part);
    }
    if (fault->blackhole)
        append(buf, size, "blackhole");
    if (fault->halfopen)
        append(buf, size, "halfopen");
    if (!*buf)
        append(buf, size, "off");
    return buf;
}
