/* SPDX-License-Identifier: MIT */
/*
 * interrupt.h -- Ctrl-C and its like, as something that a task hears.
 */
#ifndef TENON_CLI_INTERRUPT_H
#define TENON_CLI_INTERRUPT_H

#include <tenon.h>

/* Called in a task for the COUNTth signal, NUMBER.  May not park. */
typedef void interrupt_fn(void *arg, int number, int count);

struct interrupt {
    struct tn_signals *signals;
    struct tn_task *task;
    interrupt_fn *heard;
    void *arg;
    int also[2]; /* 0: nothing */
};

/* interrupt_also -- before interrupt_open: hear of signal NUMBER, too; twice at the most. */
void interrupt_also(struct interrupt *interrupt, int number);

/*
 * interrupt_open -- from now on SIGINT, SIGTERM, SIGHUP, SIGQUIT and all others that would
 * end us, as SIGUSR1 and SIGXCPU, call HEARD(ARG), but for those that whoever started us
 * wants ignored (nohup(1)).  Left are SIGKILL, real-time signals and faults.
 *
 * Errors: TN_LIMIT.
 */
TN_MUST tn_err interrupt_open(struct interrupt *interrupt, interrupt_fn *heard,
                              void *arg);

/* interrupt_close -- no more of it; one not opened is fine.  Parks for a moment. */
void interrupt_close(struct interrupt *interrupt);

/* interrupt_die -- end the program as signal NUMBER would have.  Not in a task. */
_Noreturn void interrupt_die(int number);

#endif
