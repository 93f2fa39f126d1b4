/* SPDX-License-Identifier: MIT */
/*
 * way_task.c -- the tn_fd calls in tasks, on one driver or the other; an actor is a task.
 *
 * All run on one thread, so an actor that is inside a call while another one runs is parked,
 * or about to run; a few turns of the loop tell these apart.
 */
#include "calls.h"
#include "run.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <tenon/fd.h>
#include <tenon/loop.h>
#include <tenon/task.h>

static const struct calls task_calls = {
    .socket = tn_fd_socket,
    .socketpair = tn_fd_socketpair,
    .bind = tn_fd_bind,
    .listen = tn_fd_listen,
    .accept = tn_fd_accept,
    .accept4 = tn_fd_accept4,
    .connect = tn_fd_connect,
    .shutdown = tn_fd_shutdown,
    .close = tn_fd_close,
    .dup2 = tn_fd_dup2,
    .dup3 = tn_fd_dup3,
    .read = tn_fd_read,
    .readv = tn_fd_readv,
    .write = tn_fd_write,
    .writev = tn_fd_writev,
    .recv = tn_fd_recv,
    .recvfrom = tn_fd_recvfrom,
    .recvmsg = tn_fd_recvmsg,
    .send = tn_fd_send,
    .sendto = tn_fd_sendto,
    .sendmsg = tn_fd_sendmsg,
    .fcntl = tn_fd_fcntl,
    .ioctl = tn_fd_ioctl,
    .setsockopt = tn_fd_setsockopt,
    .getsockopt = tn_fd_getsockopt,
    .poll = tn_fd_poll,
};

static const struct tn_task_options large = { .name = "actor", .stack_size = 256 * 1024 };

static tn_err task_main(void *arg)
{
    struct actor *me = arg;

    me->tid = (pid_t)syscall(SYS_gettid);
    me->body(me, me->arg);
    atomic_store(&me->finished, true);
    return tn_ok();
}

static bool task_run(struct actor *first, const char *driver)
{
    const struct tn_loop_options options = { .driver = driver, .stack_size = 256 * 1024 };

    storm_begin(first);
    return !tn_failed(tn_run(task_main, first, &options));
}

static bool epoll_run(struct actor *first)
{
    return task_run(first, "epoll");
}

static bool uring_run(struct actor *first)
{
    return task_run(first, "uring");
}

static bool task_start(struct actor *actor)
{
    struct tn_task *task = NULL;

    if (tn_failed(tn_go(NULL, task_main, actor, &large, &task)))
        return false;
    actor->handle = task;
    return true;
}

static void task_join(struct actor *actor)
{
    struct tn_task *task = actor->handle;

    tn_ignore(tn_join(&task, NULL, TN_NEVER)); /* it has finished */
}

/* A turn of the loop; after many of them without the hurry. */
static void task_pause(unsigned round)
{
    if (round < 20)
        tn_ignore(tn_sleep(tn_in(1)));
    else /* in a storm, signals have to find the loop waiting */
        tn_ignore(tn_sleep(tn_in(round < PATIENT ? 50 * TN_US : 5 * TN_MS)));
}

static bool task_is_blocked(struct actor *other)
{
    return atomic_load(&other->entered) != atomic_load(&other->returned);
}

/*
 * The signal must find the thread asleep in the driver's wait: another thread watches for
 * that.  Meanwhile nothing wakes the loop: who sends the signal waits for `done`.
 */
struct knock {
    pid_t tid;
    int signal_number;
    int done; /* an eventfd */
};

/* Is the thread in the driver's wait?  A turn that does not wait makes the same call. */
static bool is_waiting(pid_t tid)
{
    char path[64], status[64] = "";
    ssize_t got = -1;
    int fd, call;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        got = read(fd, status, sizeof(status) - 1);
    (void)close(fd);
    call = got > 0 ? (int)strtol(status, NULL, 10) : -1; /* "running" is 0 */
    return call == SYS_io_uring_enter || call == SYS_epoll_wait ||
           call == SYS_epoll_pwait || call == SYS_epoll_pwait2;
}

static void *knock_main(void *arg)
{
    struct knock *knock = arg;
    const struct timespec moment = { .tv_nsec = 200 * 1000 };
    unsigned taken = signals_taken(knock->signal_number);
    int64_t end_ns = clock_ns() + (int64_t)LIMIT_MS * MS;
    const uint64_t one = 1;

    /* seen there several times in a row, it sleeps */
    for (int seen = 0; seen < 5 && clock_ns() < end_ns;) {
        seen = is_waiting(knock->tid) ? seen + 1 : 0;
        (void)nanosleep(&moment, NULL);
    }
    (void)syscall(SYS_tgkill, getpid(), knock->tid, knock->signal_number);
    while (signals_taken(knock->signal_number) == taken && clock_ns() < end_ns)
        (void)nanosleep(&moment, NULL);
    if (write(knock->done, &one, sizeof(one)) != sizeof(one))
        abort(); /* or the task would wait for ever */
    return NULL;
}

/* A descriptor that is none of those which a script expects to be given next. */
static int out_of_the_way(int fd)
{
    int away = fcntl(fd, F_DUPFD_CLOEXEC, 700);

    (void)close(fd);
    return away;
}

static void task_interrupt(struct actor *other, int signal_number)
{
    struct knock knock = { other->tid, signal_number,
                           out_of_the_way(eventfd(0, EFD_CLOEXEC)) };
    pthread_t thread;
    sigset_t all, before;
    uint64_t times;

    if (knock.done < 0)
        return;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, NULL, knock_main, &knock) == 0) {
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
        while (tn_fd_read(knock.done, &times, sizeof(times)) < 0 && errno == EINTR)
            ; /* the signal ends this wait, too */
        (void)pthread_join(thread, NULL);
    } else {
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    (void)close(knock.done);
}

const struct way way_epoll = {
    .name = "epoll",
    .calls = &task_calls,
    .run = epoll_run,
    .start = task_start,
    .join = task_join,
    .pause = task_pause,
    .is_blocked = task_is_blocked,
    .interrupt = task_interrupt,
};

const struct way way_uring = {
    .name = "uring",
    .calls = &task_calls,
    .run = uring_run,
    .start = task_start,
    .join = task_join,
    .pause = task_pause,
    .is_blocked = task_is_blocked,
    .interrupt = task_interrupt,
};
