/* SPDX-License-Identifier: MIT */
/*
 * driver_choice.c -- which driver a loop runs on, and the sentence that says why.
 *
 * The ring is taken where it works, as found by trying (uring.c) and by its self-test,
 * never by version; else epoll serves.  Options or $TENON_DRIVER force one.  For tests,
 * $TENON_RING_ENTRIES makes rings small, $TENON_RING_POOL gives them few bytes to receive
 * into and $TENON_RING_FAULTS, a seed, makes them odd.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/ring_fault.h"
#include "task/task.h"

static const char *reason(int result)
{
    switch (-result) {
    case EPERM:
        return "not permitted here (kernel.io_uring_disabled or a seccomp filter)";
    case ENOSYS:
        return "not in this kernel, or filtered";
    case ENOMEM:
        return "no memory that may be locked (ulimit -l), not even for 32 entries";
    case EINVAL:
        return "this kernel's is too old (6.1 is needed)";
    case EOPNOTSUPP:
        return "its self-test failed";
    default:
        return strerror(-result);
    }
}

static unsigned long environment_number(const char *name)
{
    const char *text = secure_getenv(name);

    return text != NULL ? strtoul(text, NULL, 10) : 0;
}

static int try_driver(struct tn_loop *loop, const char *name,
                      const struct tn_loop_options *options)
{
    struct os_driver_options wish = { .entries = options->ring_entries };
    unsigned long seed = environment_number("TENON_RING_FAULTS");
    int result;

    if (wish.entries == 0)
        wish.entries = (unsigned)environment_number("TENON_RING_ENTRIES");
    wish.pool = (unsigned)environment_number("TENON_RING_POOL");
    if (seed != 0 && strcmp(name, "uring") == 0) {
        wish.fault = ring_fault_open(seed, false);
        if (wish.fault == NULL)
            return -ENOMEM;
    }
    result = os_driver_open(loop->os, name, &wish, &loop->driver);
    if (result < 0)
        ring_fault_close(wish.fault);
    return result;
}

/* What opening the driver NAME, which was asked for, has failed with, for the caller. */
static int named_failure(const char *name, int result)
{
    bool refused = result == -EPERM || result == -EACCES || result == -ENOSYS;
    bool too_old = result == -EINVAL && strcmp(name, "uring") == 0;

    return refused || too_old ? -EOPNOTSUPP : result;
}

int driver_choose(struct tn_loop *loop, const struct tn_loop_options *options)
{
    const char *forced = options->driver;
    const char *by = "asked for by the program";
    int result;

    if (forced == NULL) {
        forced = secure_getenv("TENON_DRIVER");
        by = "asked for by $TENON_DRIVER";
    }
    if (forced != NULL && forced[0] != '\0') {
        result = try_driver(loop, forced, options);
        if (result < 0)
            return named_failure(forced, result);
        snprintf(loop->why, sizeof(loop->why), "%s%s%s", by,
                 loop->driver->note[0] != '\0' ? "; " : "", loop->driver->note);
        return 0;
    }
    result = try_driver(loop, "uring", options);
    if (result >= 0) {
        snprintf(loop->why, sizeof(loop->why), "io_uring works here; %s",
                 loop->driver->note);
        return 0;
    }
    snprintf(loop->why, sizeof(loop->why), "io_uring: %s", reason(result));
    return try_driver(loop, "epoll", options);
}
