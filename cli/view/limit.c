/* SPDX-License-Identifier: MIT */
/*
 * limit.c -- see limit.h.
 */
#include "view/limit.h"

#define LEAST (200 * TN_MS)

/* Part of whole, in percent; counters are read one after the other and may be ahead. */
static unsigned share(uint64_t part, uint64_t whole)
{
    uint64_t percent = whole ? part * 100 / whole : 0;

    return percent > 100 ? 100 : (unsigned)percent;
}

static enum limit judge(struct limit_mark *mark, uint64_t busy, uint64_t window,
                        uint64_t buffer, uint64_t length)
{
    unsigned active = share(busy, length);

    if (active < 50) {
        mark->percent = 100 - active;
        return LIMIT_SENDER;
    }
    mark->percent = share(window, length);
    if (window * 2 > busy)
        return LIMIT_WINDOW;
    mark->percent = share(buffer, length);
    if (buffer * 2 > busy)
        return LIMIT_BUFFER;
    mark->percent = active;
    return LIMIT_NETWORK;
}

enum limit limit_look(struct limit_mark *mark, const struct tn_conn_facts *facts,
                      int64_t born)
{
    int64_t now = tn_now(), length = now - (mark->at ? mark->at : born);

    if (mark->at && length < LEAST)
        return mark->limit;
    mark->limit = judge(
        mark, facts->busy_us - mark->busy_us, facts->rwnd_limited_us - mark->window_us,
        facts->sndbuf_limited_us - mark->buffer_us, (uint64_t)(length / TN_US));
    mark->at = now;
    mark->busy_us = facts->busy_us;
    mark->window_us = facts->rwnd_limited_us;
    mark->buffer_us = facts->sndbuf_limited_us;
    return mark->limit;
}
