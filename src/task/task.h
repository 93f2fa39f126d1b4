/* SPDX-License-Identifier: MIT */
/*
 * task/task.h -- the inside of tasks, groups and loops, for the files of this folder.
 *
 * Layers above include task/park.h, which is all they need.
 */
#ifndef TASK_TASK_H
#define TASK_TASK_H

#include <assert.h>
#include <stdatomic.h>

#include <tenon/loop.h>
#include <tenon/task.h>

#include "base/list.h"
#include "base/timers.h"
#include "os/driver.h"
#include "os/os.h"
#include "task/context.h"
#include "task/park.h"
#include "task/park_fd.h"
#include "task/spin.h"
#include "task/stacks.h"

#define TASK_NAME_SIZE    32
#define TASKS_MAX_DEFAULT 1000000U

enum task_state { TASK_READY, TASK_RUNNING, TASK_PARKED, TASK_ENDED };

/*
 * A task lies at the head of its stack, so that a parked one touches a single page, of
 * which this takes 256 bytes.
 */
struct tn_task {
    struct stack stack;
    struct context context; /* what a switch touches, and the line below: all of a park */

    struct tn_loop *loop;
    struct tn_task *next_ready;
    /* What it is parked for.  `deadline` is the truth; the timer may be set earlier. */
    int64_t deadline;
    struct timer timer;
    const void *waits_on;
    struct os_poll *poll; /* in flight for it: only its completion wakes the task */
    int16_t wake_reason;  /* what park() returns: 0, -ETIME or -ECANCELED */
    int16_t poll_reason;  /* why the poll was asked to end, or 0 */
    uint8_t waits_for;    /* enum wait_kind */
    uint8_t state;        /* enum task_state */
    bool canceled;        /* asked to end */
    bool shielded : 1;    /* parked with a deadline that a cancel does not cut */
    bool held : 1;        /* somebody has a handle */

    struct context_notes notes;
    struct tn_task *joiner;

    tn_task_fn *fn;
    union {
        void *arg;     /* until it has begun */
        tn_err result; /* once it has ended */
    };
    struct tn_group *group;
    struct link in_group;
    struct link in_loop;
    char name[TASK_NAME_SIZE];
};

static_assert(offsetof(struct tn_task, loop) == 64, "a park touches two cache lines");
static_assert(sizeof(struct tn_task) <= 256, "the frames share its page");

struct tn_group {
    struct tn_loop *loop;
    struct link tasks; /* alive, or ended and still held */
    struct link lates; /* wait without a stack: late.c */
    unsigned alive;
    enum tn_group_policy policy;
    bool canceled;
    tn_err first; /* the first error that counts */
    struct tn_task *waiter;
};

/* What another thread leaves for a loop.  ARRIVE runs on the loop, outside of tasks. */
struct post {
    struct post *next;
    void (*arrive)(struct tn_loop *loop, struct post *post);
};

/* Other threads push on a stack; a write to the eventfd says so.  See post.c. */
struct posts {
    _Atomic(struct post *) pushed;
    atomic_uint waiting; /* made by tn_post and not yet taken */
    atomic_uint pushing; /* calls of other threads that still touch the loop */
    atomic_bool closed;
    bool open;
    struct post *delayed, *delayed_last; /* arrived, and wait for room for a task */
    int wake_fd;
    struct os_watch wake;
};

/* Waits for descriptors of the user's; see park_fd.c. */
struct fd_waits {
    struct link *on_fd; /* a list for each descriptor below `room` */
    int room;
    struct link all;
};

/* Which signals end a wait; see interrupt.c. */
struct interrupts {
    int64_t scanned;       /* when the two below were looked up; 0: never */
    unsigned handlers;     /* OS_HANDLERS_... */
    sigset_t interrupting; /* those whose handlers have no SA_RESTART */
    bool open;
    int fd; /* a signalfd for them */
    struct os_watch watch;
};

struct tn_loop {
    struct os *os;
    struct os_driver *driver;
    int64_t now;             /* the clock, read once a turn at most; 0: not yet */
    struct tn_task *running; /* NULL while the loop itself runs */
    struct tn_task *ready, **ready_end;
    unsigned ready_count;
    unsigned quantum;      /* switches left in this turn */
    size_t batched;        /* bytes to be sent in the next wait */
    unsigned budget;       /* unparked I/O left to the running task */
    struct tn_task *ended; /* has left its stack, which is still to be given back */
    struct context home;   /* the thread's own stack */
    struct context_notes home_notes;
    struct timers timers; /* has room for every task */
    struct stacks stacks;
    struct link tasks;            /* all that are alive */
    struct link lates, lates_due; /* wait without a stack; wait for memory for one */
    unsigned alive, alive_max;
    unsigned outside; /* tasks parked, or late, for something that is not a task */
    unsigned conns;   /* that are open: nobody can close them once the loop has ended */
    struct tn_group root;
    size_t stack_size;
    uint64_t switches, turns;
    struct spin spin;
    uint64_t selects; /* numbers the choices of selects: select.c */

    struct spare_buffer *spare_buffers;
    unsigned spare_count;
    struct pipe *spare_pipes;
    unsigned spare_pipe_count, pipe_count;

    struct link signals;  /* open sets of them: signals.c */
    struct link standing; /* requests to be canceled at the end: park.h */
    struct posts posts;
    struct fd_waits fd_waits;
    struct interrupts interrupts;
    bool shared; /* somebody else may start tasks here: a standstill is no deadlock */
    bool deadlocked;

    tn_report_fn *report;
    void *report_arg;
    void *signal_stack;
    char why[160];
};

/* The loop of this thread, or NULL. */
extern _Thread_local struct tn_loop *loop_current
    __attribute__((tls_model("initial-exec")));

/*
 * loop_now -- what the clock said when this turn first wanted to know.  A turn in which
 * nobody has a limit does not look: 40 of the 4500 ns of a small round trip, twice.
 */
static inline int64_t loop_now(struct tn_loop *loop)
{
    if (loop->now == 0)
        loop->now = os_now(loop->os);
    return loop->now;
}

/* loop.c */
int loop_init(struct tn_loop *loop, struct os *os, const struct tn_loop_options *options);
void loop_release(struct tn_loop *loop);
/* loop_turn -- run what is ready, or wait until POINT for something to be. */
int loop_turn(struct tn_loop *loop, int64_t point);
/* loop_run -- turn until no task is left. */
tn_err loop_run(struct tn_loop *loop);
/* loop_cancel_all -- ask every task to end. */
void loop_cancel_all(struct tn_loop *loop);
void loop_report(struct tn_loop *loop, enum tn_report what, const char *text);

/* driver_choice.c: open the driver that OPTIONS, the environment and the system allow. */
int driver_choose(struct tn_loop *loop, const struct tn_loop_options *options);

/* task.c */
tn_err task_start(struct tn_loop *loop, struct tn_group *group, tn_task_fn *fn, void *arg,
                  const struct tn_task_options *options, struct tn_task **task);
void task_cancel(struct tn_task *task);
/* task_has_place -- whether LOOP may have one more task, its timer included. */
bool task_has_place(struct tn_loop *loop);

/* late.c */
/* lates_retry -- start those that are due, as far as there is memory now. */
void lates_retry(struct tn_loop *loop);
/* lates_point -- when to do so again, INT64_MAX if there are none. */
int64_t lates_point(struct tn_loop *loop);
/* lates_drop_group, lates_drop_all -- those of a group or loop never start. */
void lates_drop_group(struct tn_group *group);
void lates_drop_all(struct tn_loop *loop);

/* group.c */
void group_init(struct tn_group *group, struct tn_loop *loop,
                enum tn_group_policy policy);
void group_ended(struct tn_group *group, struct tn_task *task);
void group_release(struct tn_group *group);

/* park.c */
void task_ready(struct tn_task *task);
void task_interrupt(struct tn_task *task, int reason);
/* task_switch -- leave the running task, or the loop, for whoever is next. */
void task_switch(struct tn_loop *loop);
/* task_leave -- the same for a task that has ended. */
_Noreturn void task_leave(struct tn_loop *loop);
/* task_reap -- give back the stack of a task that has ended, as nobody runs on it now. */
void task_reap(struct tn_loop *loop);

/* report.c: who waits for what. */
void report_deadlock(struct tn_loop *loop);

/* overflow.c: name the task whose stack ran over. */
int overflow_watch(struct tn_loop *loop);
void overflow_unwatch(struct tn_loop *loop);

/* buffers.c */
void buffers_release(struct tn_loop *loop);

/* pipes.c */
void pipes_release(struct tn_loop *loop);

/* post.c */
/* posts_open -- let other threads post to LOOP, which is this thread's.  0 or -errno. */
int posts_open(struct tn_loop *loop);
/* post_push -- leave POST for LOOP and wake it.  From any thread. */
void post_push(struct tn_loop *loop, struct post *post);
/* posts_retry -- start what was delayed, as far as there is room now. */
void posts_retry(struct tn_loop *loop);
/* posts_close -- no more posts; what has not been taken is dropped. */
void posts_close(struct tn_loop *loop);

#endif
