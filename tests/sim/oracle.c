/* SPDX-License-Identifier: MIT */
/*
 * oracle.c -- what must be true after each operation, whatever the weather.
 *
 * The truth comes from the simulated kernels (sim_truth), never from the library.  What is
 * compared:
 *
 *      a read       bytes continue the peer's pattern; no more than the peer wrote
 *      a write      *done is exactly what the kernel has taken
 *      an end       the peer's FIN came, and all before it has been read
 *      an error     TCP really was reset, timed out, or the deadline or cancel was ours
 *      confirm      the peer's kernel holds every byte
 *      close        each `how`, `unacked` and `unread` against both kernels
 */
#include "sim/world.h"

#include <stdio.h>
#include <stdlib.h>

static struct sim_truth truth_of(const struct side *side)
{
    struct sim_truth truth = { 0 };

    sim_truth(side->ledger->wire, side->at, &truth);
    return truth;
}

static struct sim_truth peer_of(const struct side *side)
{
    return truth_of(&side->ledger->side[!side->at]);
}

_Noreturn void finding(const char *file, int line, const char *what)
{
    printf("finding: %s:%d: %s\n", file, line, what);
    fflush(stdout);
    abort();
}

static void tell(const char *who, const struct side *side)
{
    struct sim_truth truth = { 0 };

    printf("  %s: side %d, wrote %llu (of %llu), read %llu%s%s%s\n", who, side->at,
           (unsigned long long)side->written, (unsigned long long)side->attempted,
           (unsigned long long)side->read, side->conn != NULL ? "" : ", closed",
           side->seen_eof ? ", saw the end" : "", side->has_ended ? ", has ended" : "");
    if (side->ledger->wire == NULL)
        return;
    truth = truth_of(side);
    printf("    its kernel: written %llu, acked %llu, received %llu, read %llu%s%s%s%s%s"
           "%s%s\n",
           (unsigned long long)truth.written, (unsigned long long)truth.acked,
           (unsigned long long)truth.received, (unsigned long long)truth.read,
           truth.end_sent ? ", end sent" : "", truth.end_acked ? ", end acked" : "",
           truth.end_received ? ", end received" : "",
           truth.reset_sent ? ", reset sent" : "",
           truth.reset_received ? ", reset received" : "",
           truth.timed_out ? ", timed out" : "", truth.closed ? ", closed" : "");
}

_Noreturn void finding_about(const struct side *side, const char *file, int line,
                             const char *what, tn_err err)
{
    char text[160];

    printf("at %.6f ms in %s: %s\n",
           (double)(sim_now(world->sim) - 1000 * TN_SECOND) / 1e6, tn_task_name(),
           tn_err_text(err, text, sizeof(text)));
    printf("  connection %u", side->ledger->id);
    if (side->ledger->wire != NULL && sim_wire_fault(side->ledger->wire) >= 0)
        printf(", struck: %s",
               sim_fault_text((enum sim_fault)sim_wire_fault(side->ledger->wire)));
    printf("\n");
    tell("it", side);
    tell("peer", &side->ledger->side[!side->at]);
    finding(file, line, what);
}

/* ---- bytes ---- */

static char byte_at(uint64_t key, uint64_t offset)
{
    uint64_t word = (offset >> 3) * UINT64_C(0x9e3779b97f4a7c15) + key * 77777;

    return (char)(word >> (24 + (offset & 7) * 4));
}

void fill(const struct side *side, uint64_t offset, char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_at(side->key, offset + i);
}

/* SIZE bytes, next in the stream, whether taken or only looked at. */
void check_bytes(struct side *side, const char *bytes, size_t size)
{
    const struct side *peer = &side->ledger->side[!side->at];

    must_of(side, tn_ok(), size > 0 && !side->seen_eof);
    must_of(side, tn_ok(), side->read + size <= peer->attempted);
    for (size_t i = 0; i < size; i++)
        must_of(side, tn_ok(), bytes[i] == byte_at(side->expected_key, side->read + i));
}

void check_written(const struct side *side, tn_err err)
{
    if (side->ledger->wire != NULL)
        must_of(side, err, truth_of(side).written == side->written + side->urgents);
}

void check_eof(struct side *side, tn_err err)
{
    const struct side *peer = &side->ledger->side[!side->at];
    struct sim_truth truth;

    side->seen_eof = true;
    if (side->ledger->wire == NULL) {
        must_of(side, err, peer->has_ended || peer->conn == NULL);
        return;
    }
    truth = truth_of(side);
    must_of(side, err, truth.end_received);
    must_of(side, err, side->read == truth.received || side->urgent_used);
    must_of(side, err, side->read == peer->written || side->urgent_used);
}

/* ---- errors ---- */

static bool was_reset(const struct side *side)
{
    struct sim_truth truth = truth_of(side);

    /* A restarted host fails its own program too, without any reset. */
    return truth.reset_received || sim_wire_fault(side->ledger->wire) == SIM_RESTART;
}

void check_error(const struct side *side, tn_err err, tn_deadline deadline)
{
    world->kinds[err.kind]++;
    switch (err.kind) {
    case TN_OK:
    case TN_EOF:
        break;
    case TN_DEADLINE:
        must_of(side, err, tn_left(deadline) == 0);
        break;
    case TN_CANCELED:
        must_of(side, err, tn_canceled());
        break;
    case TN_RESET:
        if (side->ledger->wire != NULL)
            must_of(side, err, was_reset(side));
        break;
    case TN_TIMEDOUT:
    case TN_UNREACHABLE:
        must_of(side, err, side->ledger->wire != NULL && truth_of(side).timed_out);
        break;
    case TN_CLOSED:
        must_of(side, err, side->has_ended);
        break;
    default:
        finding_about(side, __FILE__, __LINE__, "an error that no header names here",
                      err);
        break;
    }
}

/* ---- delivery ---- */

void check_confirmed(const struct side *side, tn_err err, uint64_t unacked)
{
    struct sim_truth mine;

    if (side->ledger->wire == NULL) {
        must_of(side, err, err.kind == TN_OK && unacked == 0);
        return;
    }
    mine = truth_of(side);
    if (tn_failed(err)) {
        must_of(side, err, unacked > 0);
        /* More may be acknowledged since it looked, never less. */
        must_of(side, err, mine.written - mine.acked <= unacked);
        return;
    }
    must_of(side, err, unacked == 0);
    must_of(side, err, peer_of(side).received >= side->written + side->urgents);
}

static void check_clean(const struct side *side, tn_err err, const tn_ending *ending,
                        bool discard)
{
    struct sim_truth mine = truth_of(side), peer = peer_of(side);

    must_of(side, err, !tn_failed(err));
    must_of(side, err, ending->unacked == 0);
    must_of(side, err, peer.received == side->written + side->urgents);
    must_of(side, err, mine.end_acked && mine.end_received);
    must_of(side, err, discard || ending->unread == 0);
    must_of(side, err, side->urgent_used || side->read + ending->unread == mine.received);
}

void check_ending(struct side *side, tn_err err, const tn_ending *ending, bool discard)
{
    struct sim_truth mine;

    world->hows[ending->how]++;
    side->failed = ending->how != TN_CLEAN && ending->how != TN_ACKED;
    side->left_unread = ending->how == TN_UNREAD && !side->half_closed;
    must_of(side, err, tn_failed(err) == (ending->how != TN_CLEAN));
    if (side->ledger->wire == NULL)
        return;
    mine = truth_of(side);
    switch (ending->how) {
    case TN_CLEAN:
        check_clean(side, err, ending, discard);
        break;
    case TN_ACKED:
        must_of(side, err, err.kind == TN_DEADLINE || err.kind == TN_CANCELED);
        must_of(side, err,
                ending->unacked == 0 && mine.acked == side->written + side->urgents);
        must_of(side, err, peer_of(side).received == side->written + side->urgents);
        break;
    case TN_ENDED_RESET:
        must_of(side, err, err.kind == TN_RESET && was_reset(side));
        must_of(side, err, ending->unacked == mine.written - mine.acked);
        break;
    case TN_ENDED_TIMEDOUT:
        must_of(side, err, err.kind == TN_TIMEDOUT || err.kind == TN_UNREACHABLE);
        must_of(side, err, mine.timed_out);
        must_of(side, err, ending->unacked == mine.written - mine.acked);
        break;
    case TN_ENDED_DEADLINE:
        must_of(side, err, err.kind == TN_DEADLINE || err.kind == TN_CANCELED);
        must_of(side, err, ending->unacked >= mine.written - mine.acked);
        break;
    case TN_UNREAD:
        must_of(side, err, err.kind == TN_IN_USE && ending->unread > 0 && !discard);
        must_of(side, err,
                mine.acked == side->written + side->urgents && ending->unacked == 0);
        must_of(side, err,
                side->urgent_used || side->read + ending->unread <= mine.received);
        break;
    }
}

/*
 * A connection that did not end well must not look to the peer as if it had.  Where our
 * end was sent, all stands before it, and the peer may well have got it all; where it was
 * not, there was a reset, which comes to nothing only with the connection itself.
 *
 * Bytes can cross our end and bring the peer's own with them.  Then TCP is done, there is
 * nothing left to reset, and the peer does not learn that they went unread.
 */
static void check_outcome(const struct side *side)
{
    struct sim_truth mine, peer;
    bool broken;

    if (side->ledger->wire == NULL || !side->failed)
        return;
    mine = truth_of(side);
    peer = peer_of(side);
    broken = mine.reset_sent || mine.reset_received || mine.timed_out ||
             peer.reset_sent || peer.timed_out || sim_wire_fault(side->ledger->wire) >= 0;
    must_of(side, tn_ok(), mine.closed);
    must_of(side, tn_ok(), mine.end_sent || broken);
    must_of(side, tn_ok(),
            !side->left_unread || broken || (mine.end_acked && mine.end_received));
    must_of(side, tn_ok(), !peer.end_received || peer.received == mine.written);
}

void check_outcomes(void)
{
    for (const struct ledger *ledger = world->ledgers; ledger != NULL;
         ledger = ledger->next) {
        for (int at = 0; at < 2; at++)
            check_outcome(&ledger->side[at]);
    }
}
