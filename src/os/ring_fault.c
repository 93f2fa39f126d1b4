/* SPDX-License-Identifier: MIT */
/*
 * ring_fault.c -- the odd things that a ring may do and seldom does, done often.
 *
 * Nothing here is a lie: each fault is a history that the kernel could have written.  A
 * multishot that ends unasked has really been canceled, and may as well have found no
 * buffer; one whose last completion lacks F_MORE has no other after it; bytes are split only
 * within a buffer that takes many receives; what a cancel answers means nothing
 * (io_uring_cancelation(7)), and so it is drawn; held completions come in an order that respects the two
 * orders the kernel keeps, that of one request and that of one provided buffer (whose
 * bytes are placed by the order of their completions).
 *
 * Requests are told apart by user_data, which for the driver is the address of an event
 * or 0 for a cancel.  The low three bits of an address are free: here they say what the
 * request really was (TAG_...), and they are gone before the driver sees the completion.
 *
 *      kernel -> hold: strip tags, drop our own -> held[], each with turns to stay
 *             -> next: those whose turns are over, shuffled -> driver
 *
 * Always true: of two held completions that share a request or a buffer, the one that
 * came first is earlier in held[] and leaves first.
 */
#include "os/ring_fault.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "os/ring_fault_cancel.h"
#include "os/uring.h"

#define TAG_CANCEL 1U /* a cancel of the driver's, of this target */
#define TAG_OURS   2U /* a cancel or a NOP of ours: the driver never sees it */
#define TAG_NOP    4U /* was a poll, and completes as a NOP: EAGAIN */
#define TAG_CUT    6U /* was a send, and the same: EINTR */
#define TAG_SEND   3U /* is answered by the wait that submits it, and so never held */
#define TAGS       7U

/* One in so many. */
#define SPURIOUS_IN 8
#define END_IN      4
#define HOLD_IN     3
#define REFUSE_IN   24
#define SPLIT_IN    4
#define STARVE_IN   3

#define TURNS_MOST 6
#define LIVE_MOST  64 /* multishots remembered as victims; more are left in peace */

/* Marks by hashed request or buffer; a collision only holds one back for longer. */
#define MARKS 4096

/* Without the room for more at its end that the kernel's struct has. */
struct completion {
    uint64_t user_data;
    int32_t res;
    uint32_t flags;
};

struct held {
    struct completion cqe;
    uint64_t target; /* of a cancel: whose end it asked for */
    unsigned turns;  /* to stay */
    unsigned age;
};

struct ring_fault {
    uint64_t random;
    bool splits;
    struct ring_fault_counts counts;
    uint64_t live[LIVE_MOST]; /* user_data of multishots under way */
    unsigned live_count;
    struct held *held, *staying; /* the second: only while choose_due works */
    size_t first, due, count;    /* held[first..due) may leave, held[due..count) stay */
    size_t room;
    uint64_t marks[MARKS / 64];
    struct ring_cancels cancels;
};

static bool is_last(const struct completion *cqe)
{
    return (cqe->flags & IORING_CQE_F_MORE) == 0;
}

struct ring_fault *ring_fault_open(uint64_t seed, bool splits)
{
    struct ring_fault *fault = calloc(1, sizeof(*fault));

    if (fault == NULL)
        return NULL;
    fault->random = seed;
    fault->splits = splits;
    return fault;
}

void ring_fault_close(struct ring_fault *fault)
{
    if (fault == NULL)
        return;
    free(fault->held);
    free(fault->staying);
    free(fault);
}

struct ring_fault_counts ring_fault_counts(const struct ring_fault *fault)
{
    return fault->counts;
}

/* splitmix64 (Steele, Lea, Flood 2014): any seed will do, 0 among them. */
static unsigned draw(struct ring_fault *fault, unsigned below)
{
    uint64_t z = fault->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (unsigned)((z ^ z >> 31) % below);
}

static bool one_in(struct ring_fault *fault, unsigned number)
{
    return draw(fault, number) == 0;
}

bool ring_fault_refuse(struct ring_fault *fault)
{
    bool refuse = one_in(fault, REFUSE_IN);

    fault->counts.refused += refuse;
    return refuse;
}

void ring_fault_overflow(struct ring_fault *fault)
{
    fault->counts.overflowed++;
}

/* A completion of a request that may be being canceled. */
static void note_end(struct ring_fault *fault, const struct completion *cqe)
{
    ring_cancel_notes(&fault->cancels, &fault->counts, cqe->user_data, cqe->res,
                      is_last(cqe));
}

/* ---- submissions ---- */

static bool is_multishot(const struct io_uring_sqe *sqe)
{
    if (sqe->opcode == IORING_OP_POLL_ADD)
        return (sqe->len & IORING_POLL_ADD_MULTI) != 0;
    if (sqe->opcode == IORING_OP_ACCEPT)
        return (sqe->ioprio & IORING_ACCEPT_MULTISHOT) != 0;
    return sqe->opcode == IORING_OP_RECV && (sqe->ioprio & IORING_RECV_MULTISHOT) != 0;
}

static void forget_live(struct ring_fault *fault, uint64_t request)
{
    for (unsigned i = 0; i < fault->live_count; i++) {
        if (fault->live[i] == request) {
            fault->live[i] = fault->live[--fault->live_count];
            return;
        }
    }
}

void ring_fault_submit(struct ring_fault *fault, struct io_uring_sqe *sqe)
{
    uint64_t request = sqe->user_data;

    CHECK((request & TAGS) == 0);
    /* What may go wrong with links, closes and the like cannot: they are never used. */
    CHECK((sqe->flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_ASYNC)) == 0);
    CHECK(sqe->opcode == IORING_OP_ASYNC_CANCEL || sqe->opcode == IORING_OP_POLL_ADD ||
          ((sqe->opcode == IORING_OP_RECV || sqe->opcode == IORING_OP_ACCEPT) &&
           is_multishot(sqe)) ||
          (sqe->opcode == IORING_OP_SEND && (sqe->msg_flags & MSG_DONTWAIT) != 0));
    if (sqe->opcode == IORING_OP_ASYNC_CANCEL) {
        ring_cancel_begins(&fault->cancels, sqe->addr);
        sqe->user_data = sqe->addr | TAG_CANCEL;
    } else if (is_multishot(sqe)) {
        if (fault->live_count < LIVE_MOST)
            fault->live[fault->live_count++] = request;
    } else if (one_in(fault, SPURIOUS_IN)) {
        uint64_t tag = sqe->opcode == IORING_OP_SEND ? TAG_CUT : TAG_NOP;
        io_uring_prep_nop(sqe);
        sqe->user_data = request | tag;
        fault->counts.spurious++;
    } else if (sqe->opcode == IORING_OP_SEND && sqe->len > 1 && fault->splits &&
               one_in(fault, SPLIT_IN)) {
        sqe->len = 1 + draw(fault, sqe->len - 1);
        fault->counts.shortened++;
    }
    if (sqe->opcode == IORING_OP_SEND)
        sqe->user_data = request | TAG_SEND;
}

/* Whether A and B must keep their order. */
static bool ordered(const struct held *a, const struct held *b)
{
    const unsigned both = a->cqe.flags & b->cqe.flags;

    if (a->cqe.user_data != 0 && a->cqe.user_data == b->cqe.user_data)
        return true;
    return (both & IORING_CQE_F_BUFFER) != 0 &&
           a->cqe.flags >> IORING_CQE_BUFFER_SHIFT ==
               b->cqe.flags >> IORING_CQE_BUFFER_SHIFT;
}

/*
 * CQE is the last of a canceled multishot.  If what came before it has not left yet, let
 * that be the last: the kernel may end a multishot along with bytes or an edge.
 */
static bool merge(struct ring_fault *fault, const struct completion *cqe)
{
    if (cqe->res != -ECANCELED || !one_in(fault, 2))
        return false;
    for (size_t i = fault->count; i-- > fault->first;) {
        struct completion *before = &fault->held[i].cqe;
        if (before->user_data == cqe->user_data && !is_last(before)) {
            before->flags &= ~IORING_CQE_F_MORE;
            fault->counts.merged++;
            return true;
        }
    }
    return false;
}

/* CQE ended a canceled receive: it may as well have found no buffer just then. */
static void starve(struct ring_fault *fault, struct completion *cqe)
{
    const struct os_event *event;

    if (cqe->res != -ECANCELED || !one_in(fault, STARVE_IN))
        return;
    event = (const struct os_event *)(uintptr_t)cqe->user_data;
    if (event->type != OS_FEED)
        return;
    cqe->res = -ENOBUFS;
    fault->counts.starved++;
}

static void hold_for_a_while(struct ring_fault *fault, struct held *held)
{
    if (!one_in(fault, HOLD_IN))
        return;
    held->turns = 1 + draw(fault, TURNS_MOST);
    fault->counts.held++;
}

/* The last of the held ones is bytes: let them come in two parts. */
static void split(struct ring_fault *fault)
{
    struct held *whole = &fault->held[fault->count - 1], *rest = whole + 1;

    if (!fault->splits || (whole->cqe.flags & IORING_CQE_F_BUF_MORE) == 0 ||
        whole->cqe.res < 2 || !one_in(fault, SPLIT_IN))
        return;
    *rest = *whole;
    whole->cqe.res = 1 + (int32_t)draw(fault, (unsigned)whole->cqe.res - 1);
    whole->cqe.flags |= IORING_CQE_F_MORE;
    rest->cqe.res -= whole->cqe.res;
    rest->turns = 0;
    hold_for_a_while(fault, rest);
    fault->count++;
    fault->counts.split++;
}

/* Room for two: a completion, and what may be split from it. */
static bool make_room(struct ring_fault *fault)
{
    size_t room = fault->room > 0 ? fault->room * 2 : 64;
    struct held *bigger;

    if (fault->count + 1 < fault->room)
        return true;
    bigger = realloc(fault->staying, room * sizeof(*bigger));
    if (bigger == NULL)
        return false;
    fault->staying = bigger;
    bigger = realloc(fault->held, room * sizeof(*bigger));
    if (bigger == NULL)
        return false;
    fault->held = bigger;
    fault->room = room;
    return true;
}

bool ring_fault_hold(struct ring_fault *fault, const struct io_uring_cqe *cqe)
{
    struct held *held;

    if (!make_room(fault))
        return false;
    held = &fault->held[fault->count];
    memset(held, 0, sizeof(*held));
    held->cqe.user_data = cqe->user_data & ~(uint64_t)TAGS;
    held->cqe.res = cqe->res;
    held->cqe.flags = cqe->flags;

    switch (cqe->user_data & TAGS) {
    case TAG_OURS:
        fault->counts.ended += held->cqe.user_data != 0 && cqe->res == 0;
        return true;
    case TAG_CANCEL:
        held->target = held->cqe.user_data;
        held->cqe.user_data = 0;
        held->cqe.res = ring_cancel_answer(&fault->cancels, &fault->counts, held->target,
                                           draw(fault, 3));
        break;
    case TAG_CUT:
        held->cqe.res = -EINTR;
        fault->count++;
        return true;
    case TAG_SEND:
        fault->count++;
        return true;
    case TAG_NOP:
        held->cqe.res = -EAGAIN;
        note_end(fault, &held->cqe);
        break;
    default:
        note_end(fault, &held->cqe);
        if (is_last(&held->cqe)) {
            forget_live(fault, held->cqe.user_data);
            if (merge(fault, &held->cqe))
                return true;
            starve(fault, &held->cqe);
        }
        break;
    }
    hold_for_a_while(fault, held);
    fault->count++;
    split(fault);
    return true;
}

/* The marks of a completion's request and of its buffer, if it has them. */
static bool marks(struct ring_fault *fault, const struct held *held, bool set)
{
    const uint64_t keys[2] = {
        held->cqe.user_data,
        (held->cqe.flags & IORING_CQE_F_BUFFER) != 0
            ? (uint64_t)(held->cqe.flags >> IORING_CQE_BUFFER_SHIFT) << 1 | 1
            : 0,
    };
    bool found = false;

    for (int i = 0; i < 2; i++) {
        uint64_t hash = keys[i] * UINT64_C(0x9e3779b97f4a7c15) >> 52;
        uint64_t bit = UINT64_C(1) << hash % 64;

        if (keys[i] == 0)
            continue;
        found = found || (fault->marks[hash / 64] & bit) != 0;
        if (set)
            fault->marks[hash / 64] |= bit;
    }
    return found;
}

/* Let neighbours that may do so change places; some wander far. */
static void shuffle(struct ring_fault *fault)
{
    for (size_t i = fault->first; i + 1 < fault->due; i++) {
        struct held *here = &fault->held[i];
        struct held kept = here[0];

        if (ordered(here, here + 1) || one_in(fault, 2))
            continue;
        here[0] = here[1];
        here[1] = kept;
        fault->counts.reordered++;
    }
}

/* Sort out who may leave: time over, and none held back that must leave before. */
static void choose_due(struct ring_fault *fault)
{
    size_t due = 0, staying = 0;

    memset(fault->marks, 0, sizeof(fault->marks));
    for (size_t i = fault->first; i < fault->count; i++) {
        struct held *held = &fault->held[i];

        if (held->turns > 0 || marks(fault, held, false)) {
            marks(fault, held, true);
            fault->staying[staying++] = *held;
        } else {
            fault->held[due++] = *held;
        }
    }
    if (staying > 0)
        memcpy(fault->held + due, fault->staying, staying * sizeof(struct held));
    fault->first = 0;
    fault->due = due;
    fault->count = due + staying;
    shuffle(fault);
}

/* Count how the answer of a cancel that leaves now lies to the last one of its target. */
static void count_cancel(struct ring_fault *fault, const struct held *answer)
{
    for (size_t i = fault->first; i < fault->count; i++) {
        const struct completion *other = &fault->held[i].cqe;
        if (other->user_data == answer->target && is_last(other)) {
            fault->counts.cancels_first++;
            return;
        }
    }
    fault->counts.cancels_late += answer->age > 0;
}

bool ring_fault_next(struct ring_fault *fault, struct io_uring_cqe *cqe)
{
    const struct held *next;

    if (fault->first == fault->due)
        choose_due(fault);
    if (fault->first == fault->due)
        return false;
    next = &fault->held[fault->first++];
    if (next->target != 0)
        count_cancel(fault, next);
    cqe->user_data = next->cqe.user_data;
    cqe->res = next->cqe.res;
    cqe->flags = next->cqe.flags;
    return true;
}

bool ring_fault_holds(const struct ring_fault *fault)
{
    return fault->first < fault->count;
}

/* End one of the multishots under way, if there is room to ask for it. */
static void end_one(struct ring_fault *fault, struct io_uring *ring)
{
    uint64_t victim = fault->live[draw(fault, fault->live_count)];
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

    if (sqe == NULL)
        return;
    io_uring_prep_cancel64(sqe, victim, 0);
    sqe->user_data = victim | TAG_OURS;
}

void ring_fault_turn(struct ring_fault *fault, struct io_uring *ring)
{
    struct io_uring_sqe *sqe;

    for (size_t i = fault->first; i < fault->count; i++) {
        fault->held[i].turns -= fault->held[i].turns > 0;
        fault->held[i].age++;
    }
    if (fault->live_count > 0 && one_in(fault, END_IN))
        end_one(fault, ring);
    sqe = ring_fault_holds(fault) ? io_uring_get_sqe(ring) : NULL;
    if (sqe == NULL)
        return;
    io_uring_prep_nop(sqe);
    sqe->user_data = TAG_OURS;
    (void)io_uring_submit(ring); /* an error shows again in the next wait */
}
