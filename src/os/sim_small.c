/* SPDX-License-Identifier: MIT */
/*
 * sim_small.c -- the simulator's small files: eventfd(2) and signalfd(2).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include "os/sim_inside.h"

static int small_ioctl(struct sim *sim, struct sim_file *file, unsigned long request,
                       int *value) /* NOLINT(readability-non-const-parameter): a slot */
{
    (void)sim;
    (void)file;
    (void)request;
    (void)value;
    return -ENOTTY;
}

static int open_file(struct sim *sim, struct sim_file *file,
                     const struct sim_file_calls *calls, int flags)
{
    int fd = sim_fd_free(sim, 0);

    if (fd < 0)
        return fd;
    sim_file_init(sim, file, calls, flags);
    sim_fd_take(sim, fd, file, flags);
    return fd;
}

/* ---- eventfd ---- */

struct sim_counter {
    struct sim_file file;
    uint64_t count;
    bool semaphore;
};

static struct sim_counter *counter_of(struct sim_file *file)
{
    return CONTAINER(file, struct sim_counter, file);
}

static ssize_t counter_receive(struct sim *sim, struct sim_file *file, struct sim_io *io)
{
    struct sim_counter *counter = counter_of(file);
    uint64_t value = counter->semaphore ? 1 : counter->count;

    if (io->left < sizeof(value))
        return -EINVAL;
    if (counter->count == 0)
        return -EAGAIN;
    counter->count -= value;
    sim_io_put(io, (const char *)&value, sizeof(value));
    sim_wake(sim, file, POLLOUT);
    return sizeof(value);
}

static ssize_t counter_send(struct sim *sim, struct sim_file *file, struct sim_io *io)
{
    struct sim_counter *counter = counter_of(file);
    struct sim_io after = *io;
    uint64_t value;

    if (io->left < sizeof(value))
        return -EINVAL;
    sim_io_get(&after, (char *)&value, sizeof(value));
    if (value == UINT64_MAX)
        return -EINVAL;
    if (UINT64_MAX - counter->count <= value)
        return -EAGAIN;
    *io = after;
    io->left = 0;
    counter->count += value;
    sim_wake(sim, file, POLLIN);
    return sizeof(value);
}

static uint32_t counter_poll(struct sim *sim, struct sim_file *file)
{
    const struct sim_counter *counter = counter_of(file);

    (void)sim;
    return (counter->count > 0 ? POLLIN : 0U) |
           (counter->count < UINT64_MAX - 1 ? POLLOUT : 0U);
}

static void counter_release(struct sim *sim, struct sim_file *file)
{
    (void)sim;
    sim_free(counter_of(file));
}

static const struct sim_file_calls counter_calls = {
    .receive = counter_receive,
    .send = counter_send,
    .poll = counter_poll,
    .ioctl = small_ioctl,
    .release = counter_release,
};

int sim_os_eventfd(struct os *os, unsigned start, int flags)
{
    struct sim *sim = sim_of(os);
    struct sim_counter *counter;
    int fd;

    sim_call(sim);
    if ((flags & ~(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE)) != 0)
        return -EINVAL;
    counter = sim_new(sizeof(*counter));
    if (counter == NULL)
        return -ENOMEM;
    counter->count = start;
    counter->semaphore = (flags & EFD_SEMAPHORE) != 0;
    fd = open_file(sim, &counter->file, &counter_calls, flags);
    if (fd < 0)
        sim_free(counter);
    return fd;
}

/* ---- signalfd ---- */

struct sim_signals {
    struct sim_file file;
    uint64_t mask;
};

static struct sim_signals *signals_of(struct sim_file *file)
{
    return CONTAINER(file, struct sim_signals, file);
}

static ssize_t signals_receive(struct sim *sim, struct sim_file *file, struct sim_io *io)
{
    const struct sim_signals *signals = signals_of(file);
    ssize_t total = 0;

    if (io->left < sizeof(struct signalfd_siginfo))
        return -EINVAL;
    for (unsigned i = 1; i < 64; i++) {
        struct signalfd_siginfo info = { .ssi_signo = i };

        if ((sim->raised & signals->mask & UINT64_C(1) << i) == 0)
            continue;
        if (io->left < sizeof(info))
            break;
        sim->raised &= ~(UINT64_C(1) << i);
        sim_io_put(io, (const char *)&info, sizeof(info));
        total += (ssize_t)sizeof(info);
    }
    return total > 0 ? total : -EAGAIN;
}

static ssize_t signals_send(struct sim *sim, struct sim_file *file, struct sim_io *io)
{
    (void)sim;
    (void)file;
    (void)io;
    return -EINVAL;
}

static uint32_t signals_poll(struct sim *sim, struct sim_file *file)
{
    return (sim->raised & signals_of(file)->mask) != 0 ? POLLIN : 0;
}

static void signals_release(struct sim *sim, struct sim_file *file)
{
    (void)sim;
    sim_free(signals_of(file));
}

static const struct sim_file_calls signals_calls = {
    .receive = signals_receive,
    .send = signals_send,
    .poll = signals_poll,
    .ioctl = small_ioctl,
    .release = signals_release,
};

static uint64_t mask_of(const sigset_t *set)
{
    uint64_t mask = 0;

    for (int i = 1; i < 64; i++)
        mask |= sigismember(set, i) == 1 ? UINT64_C(1) << i : 0;
    return mask;
}

int sim_os_signalfd(struct os *os, int fd, const sigset_t *set, int flags)
{
    struct sim *sim = sim_of(os);
    struct sim_file *file = sim_file_at(sim, fd);
    struct sim_signals *signals;

    sim_call(sim);
    if (fd != -1) {
        if (file == NULL)
            return -EBADF;
        if (file->calls != &signals_calls)
            return -EINVAL;
        signals_of(file)->mask = mask_of(set);
        return fd;
    }
    signals = sim_new(sizeof(*signals));
    if (signals == NULL)
        return -ENOMEM;
    signals->mask = mask_of(set);
    fd = open_file(sim, &signals->file, &signals_calls, flags);
    if (fd < 0)
        sim_free(signals);
    return fd;
}

/* Nobody has handlers here: what a simulated signal does is to be readable. */
unsigned sim_os_handlers(struct os *os, sigset_t *interrupting)
{
    (void)os;
    (void)sigemptyset(interrupting);
    return 0;
}

int sim_os_blocked(struct os *os, sigset_t *mask)
{
    (void)os;
    (void)sigemptyset(mask);
    return 0;
}
