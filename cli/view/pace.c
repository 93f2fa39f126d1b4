/* SPDX-License-Identifier: MIT */
/*
 * pace.c -- see pace.h.
 */
#include "view/pace.h"

#include <string.h>

static uint64_t rate(uint64_t bytes, int64_t length)
{
    return (uint64_t)((double)bytes * 1e9 / (double)length);
}

void pace_look(struct pace *pace, uint64_t in, uint64_t out, int64_t length)
{
    pace->in_rate = rate(in - pace->in, length);
    pace->out_rate = rate(out - pace->out, length);
    pace->in = in;
    pace->out = out;
    memmove(pace->trend, pace->trend + 1, sizeof(pace->trend) - sizeof(pace->trend[0]));
    pace->trend[PACE_LOOKS - 1] = pace->in_rate + pace->out_rate;
}

void pace_forget(struct pace *pace)
{
    memset(pace->trend, 0, sizeof(pace->trend));
}

const char *pace_text(const struct pace *pace, char text[PACE_LOOKS + 1])
{
    uint64_t most = 1;

    for (int i = 0; i < PACE_LOOKS; i++)
        most = pace->trend[i] > most ? pace->trend[i] : most;
    for (int i = 0; i < PACE_LOOKS; i++) {
        double share = (double)pace->trend[i] / (double)most;

        /* What is not nothing is not 0 either. */
        text[i] = (char)('0' + (pace->trend[i] ? 1 + (int)(share * 6) : 0));
    }
    text[PACE_LOOKS] = 0;
    return text;
}
