/* SPDX-License-Identifier: MIT */
/*
 * ring_fault.h -- odd completions, by seed, between the io_uring driver and the kernel.
 *
 * For tests: everything that the kernel may do and seldom does.  A poll or a send is
 * submitted as a NOP and answers -EAGAIN or -EINTR; a send takes less than it was given; a
 * multishot is canceled behind the driver's back, so that it ends unasked; completions are
 * held back for some turns and come in another order (those of one request keep theirs, and
 * a send's is never held: the wait that submits it has its answer); bytes come in two parts;
 * a multishot that ends says that it found no buffer; a cancel's answer comes before its
 * target's, or long after, and is 0, ENOENT or EALREADY whatever became of the target; the
 * kernel takes no more submissions for a moment.  What the driver reports above must be as if nothing had been
 * odd.
 */
#ifndef OS_RING_FAULT_H
#define OS_RING_FAULT_H

#include <stdbool.h>
#include <stdint.h>

struct io_uring;
struct io_uring_cqe;
struct io_uring_sqe;
struct ring_fault;

/*
 * ring_fault_open -- faults drawn from SEED; NULL when memory is out.  SPLITS: bytes may
 * come in two parts, which is right, but not what tests expect that send three and read.
 */
struct ring_fault *ring_fault_open(uint64_t seed, bool splits);
void ring_fault_close(struct ring_fault *fault);

/* What became of the target of a cancel. */
enum ring_fault_fate { FATE_DONE, FATE_PARTLY, FATE_CANCELED, FATE_COUNT };

/*
 * How often each kind of oddness was done, for tests to see that none is zero.  All members
 * are unsigned: tests add them up as an array.
 */
struct ring_fault_counts {
    unsigned spurious;      /* polls that answered -EAGAIN, sends -EINTR */
    unsigned shortened;     /* sends that took less */
    unsigned ended;         /* multishots canceled behind the driver's back */
    unsigned merged;        /* ... whose last bytes or edge came without F_MORE */
    unsigned held;          /* completions that came a turn or more late */
    unsigned reordered;     /* pairs that changed places */
    unsigned cancels_first; /* a cancel's answer before its target's last */
    unsigned cancels_late;  /* a cancel's answer a turn or more after its target's last */
    unsigned refused;       /* submissions that found no room */
    unsigned split;         /* bytes told in two parts */
    unsigned starved;       /* multishots that ended with ENOBUFS */
    unsigned overflowed; /* turns in which completions were left for the kernel's list */
    /* Cancels answered with 0, ENOENT, EALREADY, by what became of the target. */
    unsigned answers[3][FATE_COUNT];
};
struct ring_fault_counts ring_fault_counts(const struct ring_fault *fault);

/* For the driver: whether the kernel is to be taken for refusing more submissions. */
bool ring_fault_refuse(struct ring_fault *fault);

/* For the driver: SQE is about to be submitted, and may be changed. */
void ring_fault_submit(struct ring_fault *fault, struct io_uring_sqe *sqe);

/*
 * For the driver: CQE came; false when memory is out: leave it in the ring.
 * ring_fault_next gives back, each once, those whose time has come.
 */
bool ring_fault_hold(struct ring_fault *fault, const struct io_uring_cqe *cqe);
bool ring_fault_next(struct ring_fault *fault, struct io_uring_cqe *cqe);
bool ring_fault_holds(const struct ring_fault *fault);

/* For the driver: completions did not fit the ring's queue. */
void ring_fault_overflow(struct ring_fault *fault);

/*
 * For the driver, after all else in a wait: one more turn has passed.  RING polls as
 * readable for as long as something is held, as it would with late completions.
 */
void ring_fault_turn(struct ring_fault *fault, struct io_uring *ring);

#endif
