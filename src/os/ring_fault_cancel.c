/* SPDX-License-Identifier: MIT */
/*
 * ring_fault_cancel.c -- pairs of a cancel's answer and its target's fate; see the header.
 */
#include "os/ring_fault_cancel.h"

#include <errno.h>

static struct ring_cancel *cancel_of(struct ring_cancels *cancels, uint64_t target)
{
    return &cancels->at[(target * UINT64_C(0x9e3779b97f4a7c15) >> 32) % RING_CANCELS];
}

void ring_cancel_begins(struct ring_cancels *cancels, uint64_t target)
{
    *cancel_of(cancels, target) =
        (struct ring_cancel){ .target = target, .answer = -1, .fate = -1 };
}

static void count(struct ring_cancel *cancel, struct ring_fault_counts *counts)
{
    if (cancel->answer < 0 || cancel->fate < 0)
        return;
    counts->answers[cancel->answer][cancel->fate]++;
    cancel->target = 0;
}

int32_t ring_cancel_answer(struct ring_cancels *cancels, struct ring_fault_counts *counts,
                           uint64_t target, unsigned drawn)
{
    static const int32_t answers[] = { 0, -ENOENT, -EALREADY };
    struct ring_cancel *cancel = cancel_of(cancels, target);

    if (cancel->target == target) {
        cancel->answer = (int)drawn;
        count(cancel, counts);
    }
    return answers[drawn];
}

void ring_cancel_notes(struct ring_cancels *cancels, struct ring_fault_counts *counts,
                       uint64_t request, int32_t result, bool last)
{
    struct ring_cancel *cancel = cancel_of(cancels, request);

    if (cancel->target != request)
        return;
    cancel->partly = cancel->partly || (result > 0 && !last);
    if (!last)
        return;
    if (result >= 0)
        cancel->fate = FATE_DONE;
    else
        cancel->fate = cancel->partly ? FATE_PARTLY : FATE_CANCELED;
    count(cancel, counts);
}
