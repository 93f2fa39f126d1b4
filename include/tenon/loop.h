/* SPDX-License-Identifier: MIT */
/*
 * tenon/loop.h -- loops: how tasks meet threads, signals and other programs' loops.
 *
 * tn_run (task.h) is all that most programs need.  The rest is here: what a loop can be
 * told, several loops in threads of their own, starting a task from another thread,
 * blocking work on helper threads, signals as a wait, and a loop inside somebody else's.
 */
#ifndef TENON_LOOP_H
#define TENON_LOOP_H

#include <tenon/err.h>
#include <tenon/task.h>
#include <tenon/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tn_loop;
struct tn_signals;

/* What a report is about. */
enum tn_report {
    TN_REPORT_OVERFLOW, /* a task ran over its stack; the program is about to die */
    TN_REPORT_DEADLOCK  /* every task waits for another one */
};

/*
 * Gets a report of one or more lines, ended by a newline.  For TN_REPORT_OVERFLOW it is
 * called in a signal handler and may use only what signal-safety(7) allows.
 */
typedef void tn_report_fn(enum tn_report what, const char *text, void *arg);

/* All zero is a good choice. */
struct tn_loop_options {
    const char *driver; /* "uring" or "epoll"; NULL: $TENON_DRIVER, else the better */
    unsigned
        ring_entries;     /* of the io_uring; 0: 256, less where memory is locked short */
    size_t stack_size;    /* of tasks that do not say; 0: 64 KiB */
    unsigned tasks_max;   /* 0: 1,000,000; one more is TN_LIMIT */
    tn_report_fn *report; /* NULL: to standard error */
    void *report_arg;
    /*
     * Nanoseconds to look for work before going to sleep, such as 100 * TN_US; 0: none.
     * A round trip between two awake cores takes a tenth of one between sleeping ones.
     * Only while waits have been that short of late, and not on a core that others want.
     */
    int64_t spin;
};

/* What a loop came to run on, for people.  The strings live as long as the loop. */
struct tn_loop_facts {
    const char *driver; /* "uring" or "epoll" */
    const char *why;    /* why this one, and what the other one lacked */
    unsigned tasks;     /* alive now; those of tn_go_late that wait, too */
    uint64_t switches;  /* of tasks, so far */
    uint64_t turns;     /* of the loop, so far */
};

/* tn_loop_facts -- about the loop of the running task, or LOOP if that is not NULL. */
TN_API void tn_loop_facts(struct tn_loop *loop, struct tn_loop_facts *facts);

/*
 * tn_loop_self -- the loop of the running task, to hand to other threads for tn_post.  It
 * is good until the loop ends, which tn_run does with its last task: see to it that a
 * task lives as long as somebody may post.  Does not park.
 *
 * Errors: TN_LIMIT (no descriptor for the wake-up, or no memory).
 */
TN_API TN_MUST tn_err tn_loop_self(struct tn_loop **loop);

/*
 * tn_loop_open -- make a loop for this thread, to be turned by hand.
 *
 * A loop and its tasks belong to the thread that opened it.  OPTIONS may be NULL.
 *
 * Errors: as tn_run.
 */
TN_API TN_MUST tn_err tn_loop_open(struct tn_loop **loop,
                                   const struct tn_loop_options *options);

/*
 * tn_loop_go -- as tn_go, from outside of tasks, on the loop's own thread.
 *
 * Errors: as tn_go.
 */
TN_API TN_MUST tn_err tn_loop_go(struct tn_loop *loop, tn_task_fn *fn, void *arg,
                                 const struct tn_task_options *options);

/*
 * tn_loop_descriptor -- a descriptor that polls as readable when a turn has work to do.
 * It belongs to the loop.  Deadlines and what the last turn left to be handed over do not
 * show in it: pass tn_loop_next to the poll.
 */
TN_API int tn_loop_descriptor(struct tn_loop *loop);

/* tn_loop_next -- when the loop wants its next turn, even if nothing happens till then. */
TN_API tn_deadline tn_loop_next(struct tn_loop *loop);

/*
 * tn_loop_turn -- run what is ready; if nothing is, wait until DEADLINE for something to
 * happen and run that.  *ALIVE (unless NULL) is then the number of tasks left.
 *
 * Errors: TN_SYSTEM (the driver failed).
 */
TN_API TN_MUST tn_err tn_loop_turn(struct tn_loop *loop, tn_deadline deadline,
                                   unsigned *alive);

/*
 * tn_loop_close -- cancel all tasks of *LOOP, run until they have ended, free it and set
 * *LOOP to NULL; an empty *LOOP is fine.
 */
TN_API void tn_loop_close(struct tn_loop **loop);

/*
 * tn_thread_open -- start a thread with a loop of its own, which waits for posts.
 *
 * Errors: TN_LIMIT (threads, memory, descriptors) and those of tn_run.
 */
TN_API TN_MUST tn_err tn_thread_open(struct tn_loop **loop,
                                     const struct tn_loop_options *options);

/*
 * tn_post -- start FN(ARG) as a task in LOOP, from any thread or task.
 *
 * Tasks posted by one thread start in the order of their posts.  While the loop has as
 * many tasks as it may (tasks_max), further posts wait.  A post to a loop that is being
 * closed does not run.  Does not park.
 *
 * Errors: TN_LIMIT (memory, or 65,536 posts not yet started), TN_CLOSED, TN_INVALID (the
 * stack_size is above 64 MiB).
 */
TN_API TN_MUST tn_err tn_post(struct tn_loop *loop, tn_task_fn *fn, void *arg,
                              const struct tn_task_options *options);

/*
 * tn_thread_close -- let the tasks of *LOOP's thread end by themselves (with CANCEL, ask
 * them to), end the thread and free the loop; *LOOP is NULL then.  Blocks the calling
 * thread, so inside a task call it through tn_offload.
 */
TN_API void tn_thread_close(struct tn_loop **loop, bool cancel);

/*
 * tn_offload -- run WORK(ARG) on a helper thread and park until it has ended.
 *
 * For what can only block: getaddrinfo(3), files, other libraries.  At most
 * TN_OFFLOAD_THREADS run at once in the process and TN_OFFLOAD_QUEUE wait for them.
 *
 * A caller that is canceled or out of time leaves the work behind: WORK, if it has
 * begun, runs on, and then DISCARD(ARG) is called on the helper thread; if it has not, it
 * never will, and DISCARD(ARG) is called at once, as after every other failure.  So ARG
 * must own all that WORK touches, and after a failure the caller must not touch it.  After
 * a success the caller has ARG back, and DISCARD is not called.
 *
 * All signals but those of faults are blocked in helper threads.  A forked child has none
 * of them, and none of their work.
 *
 * Errors: TN_LIMIT (queue full, or no memory, descriptor or thread), TN_DEADLINE,
 * TN_CANCELED.
 */
TN_API TN_MUST tn_err tn_offload(void (*work)(void *arg), void *arg,
                                 void (*discard)(void *arg), tn_deadline deadline);

#define TN_OFFLOAD_THREADS 16
#define TN_OFFLOAD_QUEUE   1024

/*
 * tn_signals_open -- receive the COUNT signals NUMBERS by waiting for them (signalfd(2)).
 *
 * Blocks them in this thread until tn_signals_close; a program with more threads blocks
 * them in all of those itself, before it starts them.  Does not park.
 *
 * Errors: TN_LIMIT (memory, descriptors), TN_INVALID.
 */
TN_API TN_MUST tn_err tn_signals_open(struct tn_signals **signals, const int *numbers,
                                      size_t count);

/*
 * tn_signals_wait -- park until one of them has come and store its number in *NUMBER.
 *
 * Errors: TN_DEADLINE, TN_CANCELED.
 */
TN_API TN_MUST tn_err tn_signals_wait(struct tn_signals *signals, int *number,
                                      tn_deadline deadline);

/*
 * tn_signals_close -- end it, and *SIGNALS is NULL; an empty one is fine.
 *
 * Unblocks those that were not blocked before, unless another open set of this thread has
 * them too, which then does so.  Tasks that still wait get TN_CANCELED; parks until they
 * have left.
 */
TN_API void tn_signals_close(struct tn_signals **signals);

#ifdef __cplusplus
}
#endif

#endif
