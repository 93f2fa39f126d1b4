/* SPDX-License-Identifier: MIT */
/*
 * near.h -- what the scenarios are written with: the library's calls, written down.
 *
 * A line is a connection of the near program's.  Each call below does what its namesake of
 * the library does, keeps the view of it on the stage, and says whether to go on: at the
 * first error it is false, the view has the error, and the scenario turns to line_close,
 * which is called whatever happened.  On the way, after as many bytes as the seed wants,
 * the network is struck.
 */
#ifndef ROUGH_NEAR_H
#define ROUGH_NEAR_H

#include "rough/stage.h"

#define LINE_CHUNK 16384

struct line {
    struct tn_conn *conn;
    struct near_view *near;
    struct view *view;
    uint64_t random;                          /* sizes and limits, by seed */
    char bytes[LINE_CHUNK], sink[LINE_CHUNK]; /* of the writer, of the reader */
};

/* How long a call may take: limits against a hang, or those of a program's. */
tn_deadline patience(void);
/* pick -- 0 to LIMIT - 1, by seed. */
uint64_t pick(uint64_t *random, uint64_t limit);

/* strike -- have the router break the network now, unless it did; parks until it has. */
void strike(void);

/* line_dial -- connect to the witness; a line to be freed by line_close, or NULL. */
struct line *line_dial(const char *where, const struct tn_conn_options *options);
/* line_take -- the same, of a connection that was accepted. */
struct line *line_take(struct tn_conn *conn);
/* conn_options -- small buffers and short limits where the stage wants them. */
struct tn_conn_options conn_options(void);
/* where_far -- the witness's address, in TEXT of TN_ADDR_TEXT bytes. */
const char *where_far(const char *host, char *text);

bool line_write(struct line *line, uint64_t size);
bool line_read(struct line *line, uint64_t size); /* exactly so many */
bool line_drain(struct line *line);               /* all up to the peer's end */
bool line_end(struct line *line);
/* line_took -- GOT bytes were read by a call of the scenario's own; line_put: written. */
void line_took(struct line *line, const void *bytes, size_t got);
void line_put(struct line *line, size_t wrote);
/* line_failed -- note ERR, if it is one: whether it is. */
bool line_failed(struct line *line, tn_err err);
/* line_close -- end *LINE and free it; takes an empty one.  DISCARD: tn_close_discard. */
void line_close(struct line **line, bool discard);

/* line_beside -- start FN(LINE) in GROUP; what goes wrong the view has. */
void line_beside(struct tn_group *group, tn_err (*fn)(void *line), struct line *line);

#endif
