/* SPDX-License-Identifier: MIT */
/*
 * alarms.c -- SIGALRM many times a second, with a handler that does not restart calls.
 *
 * Every blocking call of a test then ends with EINTR sooner or later.  The alarms of all
 * tests are counted, so that a run without any cannot pass for one.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "harness/inside.h"

static atomic_ulong *heard;
static unsigned long per_second;

static void on_alarm(int number)
{
    (void)number;
    atomic_fetch_add_explicit(heard, 1, memory_order_relaxed);
}

static void set_timer(unsigned long rate)
{
    struct itimerval timer = { .it_interval = { .tv_sec = 0 } };

    if (rate > 0)
        timer.it_interval.tv_usec = (suseconds_t)(1000000 / rate);
    timer.it_value = timer.it_interval;
    if (setitimer(ITIMER_REAL, &timer, NULL) != 0)
        abort();
}

void alarms_prepare(void)
{
    const char *text = getenv("TENON_TEST_ALARMS");

    per_second = text != NULL ? strtoul(text, NULL, 10) : 0;
    if (per_second < 2 || per_second > 100000) {
        per_second = 0;
        return;
    }
    heard = mmap(NULL, sizeof(*heard), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
    if (heard == MAP_FAILED)
        abort();
}

void alarms_start(void)
{
    struct sigaction action = { .sa_handler = on_alarm }; /* no SA_RESTART */

    if (per_second == 0)
        return;
    if (sigaction(SIGALRM, &action, NULL) != 0)
        abort();
    set_timer(per_second);
}

void alarms_stop(void)
{
    if (per_second > 0)
        set_timer(0);
}

void alarms_tell(void)
{
    if (per_second > 0)
        printf("  %lu alarms came\n", atomic_load(heard));
}
