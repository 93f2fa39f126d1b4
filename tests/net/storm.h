/* SPDX-License-Identifier: MIT */
/*
 * storm.h -- the weather of storm_test.c: chance, deadlines that fall in the middle of
 * calls, legs that are canceled there, and streams whose every byte is known.
 */
#ifndef STORM_H
#define STORM_H

#include "harness/harness.h"

#define LEGS_MAX 512

/* A stream starts with its number, so that the server knows what has to come. */
#define HEADER 8

struct leg {
    struct tn_task *task; /* NULL while none runs */
};

struct counts {
    unsigned streams, aborted, undialed, cancels, canceled, late, partial;
    uint64_t bytes;
};

static struct storm {
    uint64_t random;
    bool over; /* no new stream starts */
    unsigned clients_left;
    uint64_t streams;
    char where[64];
    struct tn_listener *listener;
    struct leg legs[LEGS_MAX];
    struct counts counts;
} storm;

static unsigned draw(unsigned below)
{
    uint64_t z = storm.random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (unsigned)((z ^ z >> 31) % below);
}

/* Now, almost now, or never: where it hurts. */
static tn_deadline some_deadline(void)
{
    switch (draw(6)) {
    case 0:
        return TN_NOW;
    case 1:
        return tn_in(draw(20) * TN_US);
    case 2:
        return tn_in(draw(2000) * TN_US);
    default:
        return TN_NEVER;
    }
}

/* Whether ERR only says that time or patience was over; anything else is a failure. */
static bool cut_short(tn_err err)
{
    char text[200];

    if (err.kind == TN_CANCELED) {
        storm.counts.canceled++;
        return true;
    }
    if (err.kind == TN_DEADLINE) {
        storm.counts.late++;
        return true;
    }
    fail_test("%s", tn_err_text(err, text, sizeof(text)));
}

/* A reader that is slow now and then lets its writer wait. */
static tn_err dawdle(void)
{
    tn_err err = draw(12) == 0 ? tn_sleep(tn_in(draw(600) * TN_US)) : tn_ok();

    if (tn_failed(err))
        (void)cut_short(err);
    return err;
}

static bool fits_peer_abort(tn_err err)
{
    return err.kind == TN_RESET || err.kind == TN_EOF;
}

/* ---- legs ---- */

static struct leg *leg_new(void)
{
    for (int i = 0; i < LEGS_MAX; i++) {
        if (storm.legs[i].task == NULL)
            return &storm.legs[i];
    }
    fail_test("more legs than there is room for");
}

/* Run FN(ARG) as a leg; what it returns.  TN_CANCELED: the next one shall go on. */
static tn_err run_leg(tn_task_fn *fn, void *arg, const char *name)
{
    struct tn_task_options options = { .name = name };
    struct leg *leg = leg_new();
    tn_err result;

    assert_ok(tn_go(NULL, fn, arg, &options, &leg->task));
    assert_ok(tn_join(&leg->task, &result, TN_NEVER));
    return result;
}

static tn_err run_legs(tn_task_fn *fn, void *arg, const char *name)
{
    tn_err result;

    do
        result = run_leg(fn, arg, name);
    while (result.kind == TN_CANCELED);
    return result;
}

static tn_err cancel_at_random(void *arg)
{
    (void)arg;
    while (storm.clients_left > 0) {
        for (unsigned i = draw(6); i > 0; i--) {
            struct tn_task *task = storm.legs[draw(LEGS_MAX / 4)].task;
            if (task != NULL) {
                tn_cancel(task);
                storm.counts.cancels++;
            }
        }
        if (draw(3) == 0)
            tn_yield();
        else
            assert_ok(tn_sleep(tn_in(draw(400) * TN_US)));
    }
    return tn_ok();
}

/* ---- streams ---- */

static char byte_at(uint64_t stream, uint64_t at)
{
    if (at < HEADER)
        return (char)(stream >> 8 * at);
    return (char)((stream * 7919 + at) * UINT64_C(0x9e3779b97f4a7c15) >> 56);
}

static void check_bytes(const char *data, size_t size, uint64_t stream, uint64_t from)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] != byte_at(stream, from + i))
            fail_test("byte %llu of stream %llu is another one",
                      (unsigned long long)(from + i), (unsigned long long)stream);
    }
}

#endif
