/* SPDX-License-Identifier: MIT */
/*
 * text.h -- lines of a trace: names for numbers, bytes made readable.
 *
 * A struct text never overflows: what does not fit is cut.
 */
#ifndef CALLS_TEXT_H
#define CALLS_TEXT_H

#include "calls.h"

struct text {
    size_t used;
    char bytes[700];
};

void text_add(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void text_add_bytes(struct text *text, const void *buf, size_t size);
void text_add_fd(struct text *text, const struct run *run, int fd);
void text_add_address(struct text *text, const struct run *run, const void *address,
                      socklen_t size);
void text_add_message_flags(struct text *text, int flags);
void text_add_events(struct text *text, short events);
void text_add_control(struct text *text, const struct run *run, struct msghdr *message);

#endif /* CALLS_TEXT_H */
