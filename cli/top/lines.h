/* SPDX-License-Identifier: MIT */
/*
 * lines.h -- what top shows, as lines of text that fit into a number of columns.
 */
#ifndef TENON_CLI_LINES_H
#define TENON_CLI_LINES_H

#include "top/shot.h"

/* Enough for any, blocks of UTF-8 included. */
#define LINE_SIZE 700

/* Columns that are needed. */
#define WIDTH_LEAST 80

/* The columns there are. */
struct lines {
    int width;
    bool utf8; /* the trend in blocks, not in digits */
};

/* Each gives BUF, of LINE_SIZE. */
const char *line_process(const struct lines *lines, const struct shot *shot, char *buf);
const char *line_faults(const struct lines *lines, const struct shot *shot, char *buf);
const char *line_target(const struct lines *lines, const struct shot_target *target,
                        char *buf);
const char *line_heads(const struct lines *lines, char *buf);
const char *line_row(const struct lines *lines, const struct shot_row *row, char *buf);

/* shot_has_faults -- whether line_faults has something to say. */
bool shot_has_faults(const struct shot *shot);

/* count_text -- NUMBER as "9,000", in BUF. */
const char *count_text(uint64_t number, char buf[32]);

#endif
