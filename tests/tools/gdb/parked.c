/* SPDX-License-Identifier: MIT */
/*
 * parked.c -- a program full of parked tasks, for tests/tools/gdb_test.sh to look at.
 *
 * Its functions are its landmarks: outer calls inner, and inner parks.  When all of them
 * are parked, main_task calls all_parked, where the debugger stops.
 */
#include <stdatomic.h>
#include <stdio.h>

#include <tenon.h>
#include <tenon/loop.h>
#include <tenon/sync.h>

#ifdef __clang__
#define LANDMARK __attribute__((noinline))
#else
#define LANDMARK __attribute__((noinline, noipa))
#endif

void all_parked(void);

LANDMARK void all_parked(void)
{
    puts("all parked");
    fflush(stdout);
}

struct place {
    struct tn_conn *conn;
    struct tn_mutex *mutex;
    struct tn_task *other;
    int secret;
};

static LANDMARK int sleep_inner(int secret)
{
    volatile int copy = secret;

    tn_ignore(tn_sleep(tn_in(TN_MINUTE))); /* the program is killed before */
    return copy + secret;                  /* so that it is there to be seen */
}

static LANDMARK int sleep_outer(struct place *place)
{
    return sleep_inner(place->secret) + 1;
}

static tn_err sleeper(void *arg)
{
    return tn_err_errno(sleep_outer(arg));
}

static LANDMARK int read_inner(struct place *place)
{
    size_t got = 0;
    char byte;

    tn_ignore(tn_read(place->conn, &byte, 1, &got, TN_NEVER)); /* nobody writes */
    return (int)got;
}

static tn_err reader(void *arg)
{
    return tn_err_errno(read_inner(arg) + 1);
}

static tn_err joiner(void *arg)
{
    struct place *place = arg;

    return tn_join(&place->other, NULL, TN_NEVER);
}

static tn_err locker(void *arg)
{
    struct place *place = arg;

    return tn_mutex_lock(place->mutex, TN_NEVER);
}

static tn_err far_away(void *arg)
{
    return tn_err_errno(sleep_outer(arg));
}

static atomic_bool far_is_parked;

/* Starts after far_away on the same loop, so runs when that has parked. */
static tn_err far_witness(void *arg)
{
    (void)arg;
    atomic_store(&far_is_parked, true);
    return tn_ok();
}

static tn_err main_task(void *arg)
{
    struct tn_mutex mutex = { .owner = NULL };
    struct place place = { .secret = 4711, .mutex = &mutex };
    struct tn_task_options options = { .name = "sleeper" };
    struct tn_conn *far = NULL;
    struct tn_loop *thread = arg;
    tn_err err = tn_pair(&place.conn, &far);

    if (!tn_failed(err))
        err = tn_mutex_lock(place.mutex, TN_NEVER);
    if (!tn_failed(err))
        err = tn_go(NULL, sleeper, &place, &options, &place.other);
    options.name = "reader";
    if (!tn_failed(err))
        err = tn_go(NULL, reader, &place, &options, NULL);
    options.name = "joiner";
    if (!tn_failed(err))
        err = tn_go(NULL, joiner, &place, &options, NULL);
    options.name = "locker";
    if (!tn_failed(err))
        err = tn_go(NULL, locker, &place, &options, NULL);
    options.name = "far away";
    if (!tn_failed(err))
        err = tn_post(thread, far_away, &place, &options);
    if (!tn_failed(err))
        err = tn_post(thread, far_witness, NULL, NULL);
    do { /* at least once, so that those of this loop have parked as well */
        if (!tn_failed(err))
            err = tn_sleep(tn_in(TN_MS));
    } while (!tn_failed(err) && !atomic_load(&far_is_parked));
    options.name = "not yet run";
    if (!tn_failed(err))
        err = tn_go(NULL, sleeper, &place, &options, NULL);
    all_parked();
    if (!tn_failed(err))
        err = tn_sleep(TN_NEVER); /* the others use what is on this stack */
    return err;
}

int main(void)
{
    struct tn_loop *thread = NULL;

    if (tn_failed(tn_thread_open(&thread, NULL)))
        return 1;
    return tn_failed(tn_run(main_task, thread, NULL));
}
