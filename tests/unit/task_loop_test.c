/* SPDX-License-Identifier: MIT */
/*
 * task_loop_test.c -- a loop inside another program's poll(2) loop: its descriptor and
 * tn_loop_next tell of everything there is to do, so that waiting for them is enough.
 */
#include "harness/harness.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "task/park.h"

/* Far more than any of it takes: a wake-up that is lost shows as a failed test. */
#define PATIENCE (5 * TN_SECOND * test_scale())

/* Another program's loop: our descriptor beside one of its own. */
struct program {
    struct tn_loop *loop;
    int own;        /* read end of its own pipe, or -1 */
    unsigned polls; /* that it made */
    unsigned own_bytes;
    unsigned alive;
};

static int timeout_of(tn_deadline next)
{
    int64_t left = tn_left(tn_sooner(next, tn_in(PATIENCE)));

    return (int)((left + TN_MS - 1) / TN_MS);
}

/* One round of it.  Nothing to do for all of the patience is a failure. */
static void program_round(struct program *program)
{
    tn_deadline next = tn_loop_next(program->loop);
    struct pollfd fds[2] = {
        { .fd = tn_loop_descriptor(program->loop), .events = POLLIN },
        { .fd = program->own, .events = POLLIN },
    };
    int ready = poll(fds, 2, timeout_of(next));
    char byte;

    program->polls++;
    assert_true(ready >= 0);
    if (ready == 0 && tn_left(next) > 0)
        fail_test("the loop has missed something");
    if ((fds[1].revents & POLLIN) != 0)
        program->own_bytes += read(program->own, &byte, 1) == 1;
    assert_ok(tn_loop_turn(program->loop, TN_NOW, &program->alive));
}

static void program_open(struct program *program)
{
    *program = (struct program){ .own = -1 };
    assert_ok(tn_loop_open(&program->loop, NULL));
}

static void go(struct program *program, tn_task_fn *fn, void *arg)
{
    assert_ok(tn_loop_go(program->loop, fn, arg, NULL));
    program->alive++;
}

/* ---- tasks that wait for what comes from outside ---- */

struct reader {
    int fd;
    int bytes;
};

static tn_err read_to_the_end(void *arg)
{
    struct reader *reader = arg;
    char byte;

    for (;;) {
        int ready = park_poll(reader->fd, POLLIN, TN_NEVER);
        if (ready < 0)
            return tn_err_errno(-ready);
        if (recv(reader->fd, &byte, 1, MSG_DONTWAIT) == 0)
            return tn_ok();
        reader->bytes++;
    }
}

TEST_ON_DRIVERS(a_poll_shows_in_the_descriptor_though_it_was_armed_in_the_last_turn)
{
    struct program program;
    struct reader reader = { .bytes = 0 };
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    reader.fd = fds[0];
    program_open(&program);
    go(&program, read_to_the_end, &reader);
    while (reader.bytes < 100) {
        /* Only when nothing is left to be done, so that only the descriptor can tell. */
        if (tn_left(tn_loop_next(program.loop)) > 0)
            assert_int_equal(write(fds[1], "x", 1), 1);
        program_round(&program);
    }
    close(fds[1]);
    while (program.alive > 0)
        program_round(&program);
    close(fds[0]);
    tn_loop_close(&program.loop);
    assert_null(program.loop);
}

TEST_ON_DRIVERS(the_other_programs_descriptors_and_ours_share_its_loop)
{
    struct program program;
    struct reader reader = { .bytes = 0 };
    int fds[2], own[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(pipe(own), 0);
    reader.fd = fds[0];
    program_open(&program);
    program.own = own[0];
    go(&program, read_to_the_end, &reader);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(write(own[1], "o", 1), 1);
        while ((int)program.own_bytes == i)
            program_round(&program);
        assert_int_equal(write(fds[1], "x", 1), 1);
        while (reader.bytes == i)
            program_round(&program);
    }
    close(fds[1]);
    while (program.alive > 0)
        program_round(&program);
    close(fds[0]);
    close(own[0]);
    close(own[1]);
    tn_loop_close(&program.loop);
}

/* ---- deadlines ---- */

static tn_err sleep_in_steps(void *arg)
{
    int *steps = arg;

    while (*steps < 5) {
        assert_ok(tn_sleep(tn_in(2 * TN_MS)));
        (*steps)++;
    }
    return tn_ok();
}

TEST_ON_DRIVERS(deadlines_show_in_tn_loop_next)
{
    struct program program;
    int steps = 0;

    program_open(&program);
    while (tn_left(tn_loop_next(program.loop)) < INT64_MAX)
        program_round(&program);
    go(&program, sleep_in_steps, &steps);
    assert_int_equal(tn_left(tn_loop_next(program.loop)), 0);
    while (program.alive > 0)
        program_round(&program);
    assert_int_equal(steps, 5);
    assert_true(program.polls < 40); /* it slept, and did not spin */
    tn_loop_close(&program.loop);
}

/* ---- posts ---- */

static tn_err count_one(void *arg)
{
    (*(int *)arg)++;
    return tn_ok();
}

struct posting {
    struct tn_loop *loop;
    int ran;
};

static void *post_some(void *arg)
{
    struct posting *posting = arg;

    for (int i = 0; i < 20; i++)
        assert_ok(tn_post(posting->loop, count_one, &posting->ran, NULL));
    return NULL;
}

TEST_ON_DRIVERS(a_post_from_another_thread_shows_in_the_descriptor)
{
    struct program program;
    struct posting posting = { .ran = 0 };
    pthread_t thread;

    program_open(&program);
    posting.loop = program.loop;
    assert_int_equal(pthread_create(&thread, NULL, post_some, &posting), 0);
    while (posting.ran < 20)
        program_round(&program);
    pthread_join(thread, NULL);
    tn_loop_close(&program.loop);
}

/* ---- turns ---- */

TEST_ON_DRIVERS(a_turn_waits_until_its_deadline_and_no_longer)
{
    struct program program;
    tn_deadline deadline;
    unsigned alive = 99;

    program_open(&program);
    deadline = tn_in(5 * TN_MS);
    do /* it may be over early, but not by a busy loop */
        assert_ok(tn_loop_turn(program.loop, deadline, &alive));
    while (tn_left(deadline) > 0);
    assert_int_equal(alive, 0);
    assert_ok(tn_loop_turn(program.loop, TN_NOW, NULL));
    tn_loop_close(&program.loop);
    tn_loop_close(&program.loop); /* an empty one */
}

static tn_err wait_for_ever(void *arg)
{
    *(tn_err *)arg = tn_sleep(TN_NEVER);
    assert_ok(tn_sleep(tn_shielded(TN_MS))); /* clean-up that takes its time */
    return tn_ok();
}

TEST_ON_DRIVERS(closing_a_loop_cancels_its_tasks_and_lets_them_clean_up)
{
    struct program program;
    tn_err seen = tn_ok(), fresh = tn_ok();

    program_open(&program);
    go(&program, wait_for_ever, &seen);
    program_round(&program);
    assert_int_equal(program.alive, 1);
    go(&program, wait_for_ever, &fresh); /* has not run yet */
    tn_loop_close(&program.loop);
    assert_kind(seen, TN_CANCELED);
    assert_kind(fresh, TN_CANCELED);
}

static tn_err start_another(void *arg)
{
    tn_err *seen = arg, unused = tn_ok();
    struct tn_group *group = NULL;

    assert_ok(tn_group_open(&group, TN_GROUP_EACH_ALONE));
    assert_kind(tn_sleep(TN_NEVER), TN_CANCELED);
    *seen = tn_go(group, wait_for_ever, &unused, NULL, NULL);
    tn_group_close(&group);
    return tn_ok();
}

TEST_ON_DRIVERS(in_a_loop_that_is_closed_no_group_takes_new_tasks)
{
    struct program program;
    tn_err seen = tn_ok();

    program_open(&program);
    go(&program, start_another, &seen);
    program_round(&program);
    tn_loop_close(&program.loop);
    assert_kind(seen, TN_CANCELED);
}

TEST_ON_DRIVERS(facts_tell_the_driver_and_how_much_was_done)
{
    struct program program;
    struct tn_loop_facts before, after;
    int steps = 0;

    program_open(&program);
    tn_loop_facts(program.loop, &before);
    if (getenv("TENON_DRIVER") != NULL) { /* else the library has chosen */
        assert_string_equal(before.driver, test_driver());
        assert_non_null(strstr(before.why, "TENON_DRIVER"));
    }
    go(&program, sleep_in_steps, &steps);
    program_round(&program);
    tn_loop_facts(program.loop, &after);
    assert_int_equal(after.tasks, 1);
    assert_true(after.turns > before.turns);
    assert_true(after.switches > before.switches);
    while (program.alive > 0)
        program_round(&program);
    tn_loop_close(&program.loop);
}

/* ---- conditions signaled from outside of tasks ---- */

struct waiting {
    struct tn_mutex mutex;
    struct tn_cond cond;
    bool ready, done;
};

static tn_err wait_until_ready(void *arg)
{
    struct waiting *waiting = arg;

    assert_ok(tn_mutex_lock(&waiting->mutex, TN_NEVER));
    while (!waiting->ready)
        assert_ok(tn_cond_wait(&waiting->cond, &waiting->mutex, TN_NEVER));
    tn_mutex_unlock(&waiting->mutex);
    waiting->done = true;
    return tn_ok();
}

TEST_ON_DRIVERS(the_other_program_signals_a_condition_between_turns)
{
    struct program program;
    struct waiting waiting = { .ready = false };

    program_open(&program);
    go(&program, wait_until_ready, &waiting);
    program_round(&program);
    assert_false(waiting.done);
    waiting.ready = true;
    tn_cond_signal(&waiting.cond);
    assert_int_equal(tn_left(tn_loop_next(program.loop)), 0);
    program_round(&program);
    assert_true(waiting.done);
    tn_loop_close(&program.loop);
}
