/* SPDX-License-Identifier: MIT */
/*
 * limit.h -- what holds up the bytes that are sent to a peer, in words.
 *
 * Linux counts how long a connection had something in flight, and how much of that the
 * receiver's window or the send buffer was what it waited for (tcp(7), TCP_INFO: busy_time,
 * rwnd_limited, sndbuf_limited).  Those grow for a connection's whole life; what counts
 * here is what they grew by between two looks.
 */
#ifndef TENON_CLI_LIMIT_H
#define TENON_CLI_LIMIT_H

#include <tenon.h>

enum limit {
    LIMIT_SENDER,  /* most of the time nothing was in flight */
    LIMIT_WINDOW,  /* the receiver had no room */
    LIMIT_BUFFER,  /* our send buffer was too small for the way */
    LIMIT_NETWORK, /* neither: the way, and how TCP finds out what it bears */
};

/* Between two looks at a connection. */
struct limit_mark {
    int64_t at;
    uint64_t busy_us, window_us, buffer_us;
    enum limit limit;
    unsigned percent; /* of that time */
};

/*
 * limit_look -- what it was since the last look at MARK, or since BORN if this is the first.
 * Looks that follow each other within a fifth of a second give what the first one gave.
 */
enum limit limit_look(struct limit_mark *mark, const struct tn_conn_facts *facts,
                      int64_t born);

#endif
