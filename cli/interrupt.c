/* SPDX-License-Identifier: MIT */
/*
 * interrupt.c -- a task that waits for signals and tells the others.
 *
 * Left to its default, a signal would end the program, and the kernel would end our
 * connections in order: a peer would take half a file for the whole.  So the verbs hear
 * of it, reset their connections, and then let the signal do what it does.
 */
#include "interrupt.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "report.h"

static tn_err listen_task(void *arg)
{
    struct interrupt *interrupt = arg;
    int number, count = 0;

    while (!tn_failed(tn_signals_wait(interrupt->signals, &number, TN_NEVER)))
        interrupt->heard(interrupt->arg, number, ++count);
    return tn_ok();
}

void interrupt_also(struct interrupt *interrupt, int number)
{
    interrupt->also[interrupt->also[0] != 0] = number;
}

tn_err interrupt_open(struct interrupt *interrupt, interrupt_fn *heard, void *arg)
{
    static const int wanted[] = {
        SIGINT,    SIGTERM, SIGHUP,  SIGQUIT, /* and what would end us as well: */
        SIGUSR1,   SIGUSR2, SIGALRM, SIGXCPU, /* ulimit -t */
        SIGVTALRM, SIGPROF, SIGIO,   SIGPWR,
    };
    int numbers[sizeof(wanted) / sizeof(wanted[0]) + 2];
    size_t count = 0;
    tn_err err;

    interrupt->signals = NULL;
    interrupt->task = NULL;
    interrupt->heard = heard;
    interrupt->arg = arg;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        struct sigaction old;
        if (sigaction(wanted[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            numbers[count++] = wanted[i];
    }
    for (int i = 0; i < 2 && interrupt->also[i]; i++)
        numbers[count++] = interrupt->also[i];
    if (count == 0)
        return tn_ok();
    err = tn_signals_open(&interrupt->signals, numbers, count);
    if (!tn_failed(err))
        err = tn_go(NULL, listen_task, interrupt, NULL, &interrupt->task);
    if (tn_failed(err))
        tn_signals_close(&interrupt->signals);
    return err;
}

void interrupt_close(struct interrupt *interrupt)
{
    if (interrupt->task) {
        tn_cancel(interrupt->task);
        tn_ignore(tn_join(&interrupt->task, NULL, tn_shielded(TN_SECOND))); /* at once */
    }
    tn_signals_close(&interrupt->signals);
}

_Noreturn void interrupt_die(int number)
{
    sigset_t set;

    report_drain();
    (void)sigemptyset(&set);
    (void)sigaddset(&set, number);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
    (void)signal(number, SIG_DFL);
    (void)kill(getpid(), number);
    _exit(128 + number); /* not reached: the signal has ended us */
}
