/* SPDX-License-Identifier: MIT */
/*
 * signals.c -- signals as something to wait for, by signalfd(2).
 *
 * A signal that a descriptor shall report must be blocked, or it goes to its handler.
 * What we blocked is unblocked at the close; if another open set of this thread wants
 * the same signal, the duty to unblock it passes on to that one.
 */
#include <tenon/loop.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "base/check.h"
#include "base/err.h"
#include "task/task.h"

struct tn_signals {
    struct link in_loop;
    int fd;
    unsigned waiting; /* tasks inside of tn_signals_wait */
    bool closing;
    sigset_t wanted;
    sigset_t to_unblock; /* those of them that we blocked */
};

static int collect(sigset_t *wanted, const int *numbers, size_t count)
{
    sigemptyset(wanted);
    if (count == 0)
        return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        /* These two cannot be waited for: sigprocmask(2) would pass over them. */
        if (numbers[i] == SIGKILL || numbers[i] == SIGSTOP)
            return -EINVAL;
        if (sigaddset(wanted, numbers[i]) != 0)
            return -EINVAL;
    }
    return 0;
}

static void block(struct tn_signals *signals)
{
    sigset_t before;

    CHECK(pthread_sigmask(SIG_BLOCK, &signals->wanted, &before) == 0);
    sigemptyset(&signals->to_unblock);
    for (int number = 1; number < NSIG; number++)
        if (sigismember(&signals->wanted, number) == 1 &&
            sigismember(&before, number) == 0)
            sigaddset(&signals->to_unblock, number);
}

tn_err tn_signals_open(struct tn_signals **signals, const int *numbers, size_t count)
{
    struct tn_signals *made;
    sigset_t wanted;
    int result = collect(&wanted, numbers, count);

    CHECK(task_self() != NULL);
    if (result < 0)
        return err_from(ERR_SIGNAL, result);
    made = os_allocate(task_os(), sizeof(*made));
    if (made == NULL)
        return err_from(ERR_SIGNAL, -ENOMEM);
    made->fd = os_signalfd(task_os(), -1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC);
    if (made->fd < 0) {
        result = made->fd;
        os_release(task_os(), made);
        return err_from(ERR_SIGNAL, result);
    }
    made->wanted = wanted;
    block(made);
    list_append(&loop_current->signals, &made->in_loop);
    *signals = made;
    return tn_ok();
}

static int wait_for_one(struct tn_signals *signals, int *number, tn_deadline deadline)
{
    struct signalfd_siginfo info;

    for (;;) {
        ssize_t got = os_read(task_os(), signals->fd, &info, sizeof(info));
        int ready;

        if (got == (ssize_t)sizeof(info)) {
            *number = (int)info.ssi_signo;
            return 0;
        }
        if (got != -EAGAIN && got != -EINTR)
            return (int)got;
        if (signals->closing)
            return -ECANCELED;
        ready = park_poll(signals->fd, POLLIN, deadline);
        if (ready < 0)
            return ready;
    }
}

tn_err tn_signals_wait(struct tn_signals *signals, int *number, tn_deadline deadline)
{
    int result;

    signals->waiting++;
    result = wait_for_one(signals, number, deadline);
    signals->waiting--;
    return err_from(ERR_SIGNAL, result);
}

/* Another open set of this thread that wants NUMBER, or NULL. */
static struct tn_signals *heir(int number)
{
    struct link *list = &loop_current->signals;

    for (struct link *at = list->next; at != list; at = at->next) {
        struct tn_signals *other = CONTAINER(at, struct tn_signals, in_loop);
        if (sigismember(&other->wanted, number) == 1)
            return other;
    }
    return NULL;
}

void tn_signals_close(struct tn_signals **signals)
{
    struct tn_signals *old = *signals;

    if (old == NULL)
        return;
    *signals = NULL;
    old->closing = true;
    park_close(old->fd);
    while (old->waiting > 0) /* they are ready by now, and leave when they run */
        tn_yield();
    os_close(task_os(), old->fd);
    list_remove(&old->in_loop);
    for (int number = 1; number < NSIG; number++) {
        struct tn_signals *other;

        if (sigismember(&old->to_unblock, number) != 1)
            continue;
        other = heir(number);
        if (other == NULL)
            continue;
        sigaddset(&other->to_unblock, number);
        sigdelset(&old->to_unblock, number);
    }
    CHECK(pthread_sigmask(SIG_UNBLOCK, &old->to_unblock, NULL) == 0);
    os_release(task_os(), old);
}
