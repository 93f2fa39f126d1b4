/* SPDX-License-Identifier: MIT */
/*
 * pace.h -- how fast a client's bytes move, look by look.
 */
#ifndef TENON_CLI_PACE_H
#define TENON_CLI_PACE_H

#include <stdint.h>

/* Looks that the trend remembers. */
#define PACE_LOOKS 16

struct pace {
    uint64_t in, out;           /* bytes at the last look */
    uint64_t in_rate, out_rate; /* bytes a second between the last two */
    uint64_t trend[PACE_LOOKS]; /* both rates together, the newest last */
};

/* pace_look -- so many bytes, IN and OUT, at the end of LENGTH nanoseconds (not 0) since
 * the last look. */
void pace_look(struct pace *pace, uint64_t in, uint64_t out, int64_t length);

/* pace_forget -- nobody has looked for long: the trend begins again. */
void pace_forget(struct pace *pace);

/* pace_text -- the trend as PACE_LOOKS digits: 0 is nothing, 7 the most there was. */
const char *pace_text(const struct pace *pace, char text[PACE_LOOKS + 1]);

#endif
