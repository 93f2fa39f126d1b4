/* SPDX-License-Identifier: MIT */
/*
 * oracle.c -- what may be true of a connection's two ends, whatever its network did.
 *
 * Always: what one end read is, byte for byte, the beginning of what the other wrote; what
 * is said to be acknowledged or confirmed was received by the far host; an end is called
 * clean only if everything arrived both ways and both ended in order.
 *
 * Where nothing broke, every connection must end as its scenario wants, with all bytes and
 * without an error.  Where something did, only errors and endings are allowed that it can
 * cause (impair.c).
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "rough/rough.h"
#include "rough/stage.h"

static char finding[256];

__attribute__((format(printf, 1, 2))) static const char *say(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(finding, sizeof(finding), format, arguments);
    va_end(arguments);
    return finding;
}

#define RULE(holds, ...)                                                                 \
    do {                                                                                 \
        if (!(holds))                                                                    \
            return say(__VA_ARGS__);                                                     \
    } while (0)

/* Both ends of one connection; `far` is all zero where the far host had none. */
struct both {
    const struct impairment *impairment;
    const struct near_view *near;
    const struct far_view *far;
    uint64_t acked; /* according to tn_close */
};

static bool any(unsigned bits, unsigned number)
{
    return (bits >> number & 1) != 0;
}

/* ---- bytes ---- */

static const char *judge_tape(const struct tape *got, const struct tape *wrote,
                              const char *who)
{
    RULE(got->wrong_at == NOWHERE, "byte %" PRIu64 " that the %s end read is wrong",
         got->wrong_at, who);
    RULE(got->hash == tape_hash(got, got->count), "what the %s end read has a wrong hash",
         who);
    RULE(got->count <= wrote->count, "the %s end read %" PRIu64 " bytes of %" PRIu64, who,
         got->count, wrote->count);
    return NULL;
}

/* What the near end has taken of the far one's bytes, however. */
static uint64_t taken(const struct near_view *near)
{
    bool beside = near->view.marked != NOWHERE && near->view.got.urgent_at == NOWHERE;

    return near->view.got.count + beside;
}

static const char *judge_delivery(const struct both *both)
{
    const struct near_view *near = both->near;
    uint64_t wrote = near->view.wrote.count, received = both->far->view.got.count;

    RULE(near->ending.unacked <= wrote, "%" PRIu64 " unacknowledged of %" PRIu64,
         near->ending.unacked, wrote);
    RULE(both->acked <= received,
         "%" PRIu64 " bytes acknowledged, but the far host received %" PRIu64,
         both->acked, received);
    RULE(near->confirmed <= received,
         "%" PRIu64 " bytes confirmed, but the far host received %" PRIu64,
         near->confirmed, received);
    if (both->impairment->acks_return && near->ending.how != TN_ENDED_RESET)
        RULE(both->acked == received,
             "%" PRIu64 " bytes acknowledged, and %" PRIu64 " received", both->acked,
             received);
    return NULL;
}

/* ---- endings ---- */

/* The result of tn_close for each of its endings. */
static const char *judge_result(const struct both *both)
{
    static const uint8_t kinds[] = {
        [TN_CLEAN] = TN_OK,
        [TN_ACKED] = TN_DEADLINE,
        [TN_ENDED_RESET] = TN_RESET,
        [TN_ENDED_TIMEDOUT] = TN_TIMEDOUT,
        [TN_ENDED_DEADLINE] = TN_DEADLINE,
        [TN_UNREAD] = TN_IN_USE,
    };
    const tn_ending *ending = &both->near->ending;
    tn_err closed = both->near->closed;

    RULE(closed.kind == kinds[ending->how], "closed \"%s\" with the error %s",
         tn_how_text(ending->how), tn_err_kind_name(closed.kind));
    if (any(1U << TN_CLEAN | 1U << TN_ACKED | 1U << TN_UNREAD, ending->how))
        RULE(ending->unacked == 0, "\"%s\" with %" PRIu64 " bytes unacknowledged",
             tn_how_text(ending->how), ending->unacked);
    RULE(ending->how != TN_UNREAD || ending->unread > 0, "unread without a byte unread");
    return NULL;
}

static const char *judge_clean(const struct both *both)
{
    const struct near_view *near = both->near;
    const struct far_view *far = both->far;
    uint64_t had = taken(near) + near->ending.unread;

    RULE(far->view.got.count == near->view.wrote.count,
         "clean, but the far host received %" PRIu64 " of %" PRIu64 " bytes",
         far->view.got.count, near->view.wrote.count);
    RULE(had == far->view.wrote.count,
         "clean, but the near end had %" PRIu64 " of %" PRIu64 " bytes", had,
         far->view.wrote.count);
    RULE(far->view.saw_end, "clean, but the far end never read our end");
    RULE(far->view.ended && far->error == 0, "clean, but the far end failed: %s",
         strerror(far->error));
    return NULL;
}

/* Where the network did its worst, the error and the ending must be that worst. */
static const char *judge_broken(const struct both *both)
{
    const struct near_view *near = both->near;
    const struct impairment *impairment = both->impairment;

    RULE(!tn_failed(near->error) || any(impairment->errors, near->error.kind),
         "%s failed with %s", tn_err_op(near->error), tn_err_kind_name(near->error.kind));
    if (near->ending.how == TN_CLEAN)
        RULE(near->ended_before_strike || impairment->stops_far,
             "clean, though our end could not arrive any more");
    else
        RULE(any(impairment->hows, near->ending.how), "ended \"%s\"",
             tn_how_text(near->ending.how));
    return NULL;
}

static const char *judge_urgent(const struct both *both)
{
    uint64_t place = stage->urgent_cleared ? NOWHERE : stage->size / 4;

    if (!scenario->far.urgent)
        return NULL;
    RULE(both->near->view.marked == place, "the near end's urgent byte was at %" PRIu64,
         both->near->view.marked);
    RULE(both->far->view.marked == place, "the far end's urgent byte was at %" PRIu64,
         both->far->view.marked);
    /*
     * When the segment behind it overtakes the urgent byte, Linux takes a byte of that
     * segment's TCP header for it (tcp_urg in net/ipv4/tcp_input.c, at least to 6.18).
     */
    if (!both->impairment->overtakes && place != NOWHERE)
        RULE(both->near->urgent_byte == URGENT, "the urgent byte came as %#x",
             (unsigned)(unsigned char)both->near->urgent_byte);
    return NULL;
}

static const char *judge_whole(const struct both *both)
{
    const struct near_view *near = both->near;
    const struct far_view *far = both->far;

    RULE(!tn_failed(near->error), "%s failed with %s", tn_err_op(near->error),
         tn_err_kind_name(near->error.kind));
    RULE(any(scenario->how, near->ending.how), "ended \"%s\"",
         tn_how_text(near->ending.how));
    RULE(far->view.got.count == near->view.wrote.count,
         "the far host received %" PRIu64 " of %" PRIu64 " bytes", far->view.got.count,
         near->view.wrote.count);
    /* A reset is not sent again when it is lost, and then the far end is told nothing. */
    if (near->ending.how == TN_UNREAD)
        RULE(!far->view.saw_end, "bytes were unread, and the far end read an end");
    return judge_urgent(both);
}

/* ---- connections ---- */

static const struct far_view *far_end_of(const struct view *view)
{
    static const struct far_view nothing = { .view.got.wrong_at = NOWHERE };
    unsigned count = atomic_load(&stage->far_count);

    for (unsigned i = 0; i < count && i < WIRES_MAX; i++) {
        const struct view *far = &stage->far[i].view;

        if (far->port == view->port && far->near_dialled == view->near_dialled)
            return &stage->far[i];
    }
    return &nothing;
}

static const char *judge_connection(const struct impairment *impairment,
                                    const struct near_view *near)
{
    struct both both = { impairment, near, far_end_of(&near->view), 0 };
    bool has_far = both.far->view.port != 0;
    const char *wrong = NULL;

    RULE(near->over, "a connection was not closed");
    RULE(!has_far || both.far->finished, "the witness came to no end");
    both.acked = near->view.wrote.count - near->ending.unacked;
    if (has_far) {
        wrong = judge_tape(&both.far->view.got, &near->view.wrote, "far");
        if (wrong == NULL)
            wrong = judge_tape(&near->view.got, &both.far->view.wrote, "near");
    }
    if (wrong == NULL)
        wrong = judge_delivery(&both);
    if (wrong == NULL)
        wrong = judge_result(&both);
    if (wrong == NULL && near->ending.how == TN_CLEAN)
        wrong = judge_clean(&both);
    if (wrong == NULL)
        wrong = stage->patient ? judge_whole(&both) : judge_broken(&both);
    return wrong;
}

static const char *judge_dials(const struct impairment *impairment)
{
    unsigned refused = 1U << TN_REFUSED;

    if (stage->early)
        refused |= impairment->dials;
    RULE(!scenario->in_hosts || any(refused, stage->refused.kind),
         "dialling nobody gave %s", tn_err_kind_name(stage->refused.kind));
    if (!tn_failed(stage->dialled))
        return NULL;
    RULE(!stage->patient && atomic_load(&stage->struck) &&
             any(impairment->dials, stage->dialled.kind),
         "%s failed with %s", tn_err_op(stage->dialled),
         tn_err_kind_name(stage->dialled.kind));
    return NULL;
}

const char *judge(const struct impairment *impairment)
{
    const char *wrong;

    RULE(!tn_failed(stage->run), "the near program failed: %s %s", tn_err_op(stage->run),
         tn_err_kind_name(stage->run.kind));
    RULE(!impairment_strikes(impairment) || atomic_load(&stage->struck),
         "it never struck");
    RULE(!stage->patient || stage->near_count == atomic_load(&stage->far_count),
         "%u connections at the near end, %u at the far one", stage->near_count,
         atomic_load(&stage->far_count));
    wrong = judge_dials(impairment);
    for (unsigned i = 0; i < stage->near_count && wrong == NULL; i++)
        wrong = judge_connection(impairment, &stage->near[i]);
    return wrong;
}
