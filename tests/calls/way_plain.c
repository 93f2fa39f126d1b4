/* SPDX-License-Identifier: MIT */
/*
 * way_plain.c -- the plain system calls; an actor is a thread.
 *
 * Whether a thread is blocked is read from /proc: it is inside a recorded call, and asleep,
 * and has not run in between two looks (its count of voluntary switches stands still).
 */
#include "calls.h"
#include "run.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

static int plain_accept(int fd, struct sockaddr *address, socklen_t *size)
{
    return accept(fd, address, size);
}

static int plain_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    return accept4(fd, address, size, flags);
}

static int plain_bind(int fd, const struct sockaddr *address, socklen_t size)
{
    return bind(fd, address, size);
}

static int plain_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    return connect(fd, address, size);
}

static ssize_t plain_recvfrom(int fd, void *buf, size_t size, int flags,
                              struct sockaddr *address, socklen_t *address_size)
{
    return recvfrom(fd, buf, size, flags, address, address_size);
}

static ssize_t plain_sendto(int fd, const void *buf, size_t size, int flags,
                            const struct sockaddr *address, socklen_t address_size)
{
    return sendto(fd, buf, size, flags, address, address_size);
}

/* glibc declares some with attributes or unions of its own: hence the functions above. */
static const struct calls plain_calls = {
    .socket = socket,
    .socketpair = socketpair,
    .bind = plain_bind,
    .listen = listen,
    .accept = plain_accept,
    .accept4 = plain_accept4,
    .connect = plain_connect,
    .shutdown = shutdown,
    .close = close,
    .dup2 = dup2,
    .dup3 = dup3,
    .read = read,
    .readv = readv,
    .write = write,
    .writev = writev,
    .recv = recv,
    .recvfrom = plain_recvfrom,
    .recvmsg = recvmsg,
    .send = send,
    .sendto = plain_sendto,
    .sendmsg = sendmsg,
    .fcntl = fcntl,
    .ioctl = ioctl,
    .setsockopt = setsockopt,
    .getsockopt = getsockopt,
    .poll = poll,
};

struct plain_actor {
    pthread_t thread;
    long switches; /* at the last look */
};

static void *thread_main(void *arg)
{
    struct actor *me = arg;

    me->tid = (pid_t)syscall(SYS_gettid);
    storm_begin(me);
    me->body(me, me->arg);
    atomic_store(&me->finished, true);
    return NULL;
}

static bool plain_run(struct actor *first)
{
    struct plain_actor self = { .thread = pthread_self(), .switches = -1 };

    first->handle = &self;
    (void)thread_main(first);
    return true;
}

static bool plain_start(struct actor *actor)
{
    struct plain_actor *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return false;
    self->switches = -1;
    actor->handle = self;
    if (pthread_create(&self->thread, NULL, thread_main, actor) == 0)
        return true;
    actor->handle = NULL;
    free(self);
    return false;
}

static void plain_join(struct actor *actor)
{
    struct plain_actor *self = actor->handle;

    (void)pthread_join(self->thread, NULL);
    free(self);
}

static void plain_pause(unsigned round)
{
    static const struct timespec moment = { .tv_nsec = 50 * 1000 };
    int saved = errno; /* a storm's signal ends the sleep */

    if (round < 20)
        (void)sched_yield();
    else
        (void)nanosleep(&moment, NULL);
    errno = saved;
}

/* The number after NAME in the text of /proc/.../status, or -1. */
static long status_number(const char *status, const char *name)
{
    const char *place = strstr(status, name);

    return place != NULL ? strtol(place + strlen(name), NULL, 10) : -1;
}

static bool plain_is_blocked(struct actor *other)
{
    struct plain_actor *self = other->handle;
    char path[64], status[4096];
    long switches;
    ssize_t got;
    int fd;

    if (self == NULL || other->tid == 0 ||
        atomic_load(&other->entered) == atomic_load(&other->returned))
        return false;
    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/status", other->tid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    got = read(fd, status, sizeof(status) - 1);
    (void)close(fd);
    if (got <= 0)
        return false;
    status[got] = '\0';
    if (strstr(status, "State:\tS") == NULL)
        return false;
    switches = status_number(status, "\nvoluntary_ctxt_switches:");
    if (switches == self->switches)
        return true;
    self->switches = switches;
    return false;
}

static void plain_interrupt(struct actor *other, int signal_number)
{
    struct plain_actor *self = other->handle;

    (void)pthread_kill(self->thread, signal_number);
}

const struct way way_plain = {
    .name = "plain",
    .calls = &plain_calls,
    .run = plain_run,
    .start = plain_start,
    .join = plain_join,
    .pause = plain_pause,
    .is_blocked = plain_is_blocked,
    .interrupt = plain_interrupt,
};
