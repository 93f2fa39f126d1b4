/* SPDX-License-Identifier: MIT */
/*
 * sim_weather.c -- what the network and the calls of a seed are like.
 *
 * A fifth of the seeds are calm, so that what must work without faults is seen to; of the
 * others each has its own mix, and each kind of fault is absent from many, so that no
 * fault hides behind another one.
 */
#include "os/sim_inside.h"

static uint64_t draw(uint64_t *state, uint64_t limit)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % limit;
}

static void draw_link(uint64_t *state, struct sim_link *link)
{
    static const int64_t scales[] = { 0, SIM_MS / 20, 2 * SIM_MS, 40 * SIM_MS };
    int64_t scale = scales[draw(state, 4)];

    if (scale > 0) {
        link->delay_min = scale / 2 + (int64_t)draw(state, (uint64_t)scale);
        link->delay_max = link->delay_min + (int64_t)draw(state, (uint64_t)scale * 2);
    }
    if (draw(state, 6) == 0)
        link->rate = 100000 + draw(state, 5000000);
}

/* How likely each fault is at most, of a million. */
static const uint32_t most[SIM_FAULT_COUNT] = {
    [SIM_LOSS] = 60000,         [SIM_SLOW] = 20000,      [SIM_CUT] = 100000,
    [SIM_DEAD] = 50000,         [SIM_RESTART] = 50000,   [SIM_RESET] = 100000,
    [SIM_WINDOW] = 100000,      [SIM_REFUSED] = 60000,   [SIM_SILENT] = 30000,
    [SIM_UNREACHABLE] = 30000,  [SIM_ABORTED] = 100000,  [SIM_SHORT_READ] = 300000,
    [SIM_SHORT_WRITE] = 300000, [SIM_OPTION] = 10000,    [SIM_STAMP] = 500000,
    [SIM_LATE] = 200000,        [SIM_SPURIOUS] = 200000, [SIM_EINTR] = 100000,
    [SIM_STARVED] = 50000,      [SIM_SPLIT] = 200000,    [SIM_AFTER_CANCEL] = 900000,
    [SIM_SIGNAL] = 300000,
};

bool sim_weather(uint64_t seed, uint64_t without, struct sim_options *options)
{
    static const uint32_t segments[] = { 536, 1448, 8948, 65483 };
    uint64_t random = seed * UINT64_C(0x2545f4914f6cdd1d) + 1, *state = &random;
    bool calm;

    *options = (struct sim_options){ .seed = seed };
    options->driver = draw(state, 2) == 0 ? "epoll" : "uring";
    calm = draw(state, 5) == 0;
    draw_link(state, &options->route.there);
    draw_link(state, &options->route.back);
    options->route.segment = segments[draw(state, 4)];
    options->route.ack_delay = draw(state, 2) == 0 ? 0 : 40 * SIM_MS;
    options->fault_within = SIM_MS << draw(state, 13);
    options->call_cost = 100 + (int64_t)draw(state, 3000);
    options->descriptors = draw(state, 4) == 0 ? 24 : 256;
    options->feed_memory = draw(state, 4) == 0 ? 65536 : 1024 * 1024;
    for (int fault = 0; fault < SIM_FAULT_COUNT; fault++) {
        uint32_t value =
            draw(state, 2) == 0 ? 0 : 1 + (uint32_t)draw(state, most[fault] + 1);

        if (!calm && most[fault] > 0 && (without & UINT64_C(1) << fault) == 0)
            options->chances.of[fault] = value;
    }
    return calm;
}
