/* SPDX-License-Identifier: MIT */
/*
 * task_post_test.c -- tasks started from other threads: where, in which order, how many.
 */
#include "harness/harness.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <stdatomic.h>
#include <stdio.h>

#include "os/os.h"
#include "task/run.h"

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        continue; /* EINTR */
}

static struct tn_loop *open_thread(void)
{
    struct tn_loop *loop = NULL;

    assert_ok(tn_thread_open(&loop, NULL));
    return loop;
}

/* Keeps the loop's thread, not only its task, until OPEN is posted. */
struct gate {
    sem_t reached, open;
};

static tn_err stand_at_gate(void *arg)
{
    struct gate *gate = arg;

    sem_post(&gate->reached);
    wait_for(&gate->open);
    return tn_ok();
}

static void gate_init(struct gate *gate)
{
    sem_init(&gate->reached, 0, 0);
    sem_init(&gate->open, 0, 0);
}

struct note {
    pthread_t thread;
    char name[40];
    struct tn_loop_facts facts;
    sem_t done;
};

static tn_err take_note(void *arg)
{
    struct note *note = arg;

    note->thread = pthread_self();
    snprintf(note->name, sizeof(note->name), "%s", tn_task_name());
    tn_loop_facts(NULL, &note->facts);
    sem_post(&note->done);
    return tn_ok();
}

TEST_ON_DRIVERS(a_post_runs_as_a_task_on_the_loops_own_thread)
{
    struct tn_task_options options = { .name = "a name", .stack_size = 128 * 1024 };
    struct tn_loop *loop = open_thread();
    struct note note;

    sem_init(&note.done, 0, 0);
    assert_ok(tn_post(loop, take_note, &note, &options));
    wait_for(&note.done);
    assert_false(pthread_equal(note.thread, pthread_self()));
    assert_string_equal(note.name, "a name");
    if (getenv("TENON_DRIVER") != NULL) /* else the library has chosen */
        assert_string_equal(note.facts.driver, test_driver());
    assert_ok(tn_post(loop, take_note, &note, NULL));
    wait_for(&note.done);
    assert_string_equal(note.name, "task");
    tn_thread_close(&loop, false);
    assert_null(loop);
    tn_thread_close(&loop, false); /* an empty one */
}

/* ---- order ---- */

#define POSTERS 4
#define EACH    2000

struct poster {
    struct tn_loop *loop;
    struct order *order;
    int id;
    struct step {
        struct poster *poster;
        int number;
    } steps[EACH];
};

struct order {
    int next[POSTERS]; /* touched by the loop's thread only */
    int out_of_order;
    struct poster posters[POSTERS];
};

static tn_err take_step(void *arg)
{
    struct step *step = arg;
    struct order *order = step->poster->order;

    order->out_of_order += order->next[step->poster->id]++ != step->number;
    return tn_ok();
}

static void *post_steps(void *arg)
{
    struct poster *poster = arg;

    for (int i = 0; i < EACH; i++) {
        poster->steps[i] = (struct step){ poster, i };
        assert_ok(tn_post(poster->loop, take_step, &poster->steps[i], NULL));
    }
    return NULL;
}

TEST_ON_DRIVERS(posts_of_several_threads_all_run_and_those_of_one_in_their_order)
{
    static struct order order;
    struct tn_loop *loop = open_thread();
    pthread_t threads[POSTERS];

    for (int i = 0; i < POSTERS; i++) {
        order.posters[i].loop = loop;
        order.posters[i].order = &order;
        order.posters[i].id = i;
        assert_int_equal(pthread_create(&threads[i], NULL, post_steps, &order.posters[i]),
                         0);
    }
    for (int i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    tn_thread_close(&loop, false);
    assert_int_equal(order.out_of_order, 0);
    for (int i = 0; i < POSTERS; i++)
        assert_int_equal(order.next[i], EACH);
}

/* ---- two loops in two threads ---- */

struct rally {
    struct tn_loop *loops[2];
    atomic_int hits;
    int side, to_go;
    sem_t over;
};

static tn_err hit(void *arg)
{
    struct rally *rally = arg;

    atomic_fetch_add(&rally->hits, 1);
    if (--rally->to_go == 0) {
        sem_post(&rally->over);
        return tn_ok();
    }
    rally->side = 1 - rally->side;
    return tn_post(rally->loops[rally->side], hit, rally, NULL);
}

TEST_ON_DRIVERS(two_loops_post_to_each_other_and_see_what_the_other_wrote)
{
    struct rally rally = { .to_go = 3000 };

    sem_init(&rally.over, 0, 0);
    rally.loops[0] = open_thread();
    rally.loops[1] = open_thread();
    assert_ok(tn_post(rally.loops[0], hit, &rally, NULL));
    wait_for(&rally.over);
    tn_thread_close(&rally.loops[0], false);
    tn_thread_close(&rally.loops[1], true);
    assert_int_equal(atomic_load(&rally.hits), 3000);
}

/* ---- limits ---- */

static tn_err count_one(void *arg)
{
    (*(int *)arg)++;
    return tn_ok();
}

/* A loop with few stacks: 65,536 tasks at once would take a lot of memory. */
static struct tn_loop *open_small_thread(unsigned tasks_max)
{
    struct tn_loop_options options = { .tasks_max = tasks_max };
    struct tn_loop *loop = NULL;

    assert_ok(tn_thread_open(&loop, &options));
    return loop;
}

TEST_ON_DRIVERS(more_than_65536_posts_that_wait_are_refused, .limit_s = 60)
{
    struct tn_loop *loop = open_small_thread(10);
    bool few =
        test_scale() > 1; /* then the others are dropped: it takes minutes to run all */
    struct gate gate;
    int ran = 0;
    tn_err err;

    gate_init(&gate);
    assert_ok(tn_post(loop, stand_at_gate, &gate, NULL));
    wait_for(&gate.reached);
    for (int i = 0; i < 65536; i++)
        assert_ok(tn_post(loop, count_one, &ran, NULL));
    err = tn_post(loop, count_one, &ran, NULL);
    assert_kind(err, TN_LIMIT);
    assert_string_equal(tn_err_op(err), "post");
    sem_post(&gate.open);
    while (tn_post(loop, count_one, &ran, NULL).kind == TN_LIMIT)
        sched_yield(); /* until some have been taken */
    tn_thread_close(&loop, few);
    assert_true(few ? ran > 0 : ran == 65537);
}

/* Tasks that count how many of them there are, and end when told to. */
struct crowd {
    struct tn_loop *loop;
    int alive, most, ended;
    bool in_order;
    atomic_int started, may_end;
};

struct member {
    struct crowd *crowd;
    int number;
};

static tn_err be_there(void *arg)
{
    struct member *self = arg;
    struct crowd *crowd = self->crowd;

    crowd->in_order &= atomic_fetch_add(&crowd->started, 1) == self->number;
    if (++crowd->alive > crowd->most)
        crowd->most = crowd->alive;
    while (atomic_load(&crowd->may_end) <= self->number) {
        tn_err err = tn_sleep(tn_in(100 * TN_US));
        if (tn_failed(err))
            break;
    }
    crowd->ended++;
    crowd->alive--;
    return tn_ok();
}

TEST_ON_DRIVERS(posts_beyond_the_loops_number_of_tasks_wait_and_run_in_order)
{
    struct crowd crowd = { .in_order = true };
    struct member members[30];

    crowd.loop = open_small_thread(3);
    for (int i = 0; i < 30; i++) {
        members[i] = (struct member){ &crowd, i };
        assert_ok(tn_post(crowd.loop, be_there, &members[i], NULL));
    }
    for (int i = 0; i < 30; i++) {
        while (atomic_load(&crowd.started) < (i < 27 ? i + 3 : 30))
            sched_yield();
        atomic_store(&crowd.may_end, i + 1);
    }
    tn_thread_close(&crowd.loop, false);
    assert_int_equal(crowd.most, 3);
    assert_int_equal(crowd.ended, 30);
    assert_true(crowd.in_order);
}

TEST_ON_DRIVERS(posts_that_wait_for_room_are_dropped_by_a_cancel)
{
    struct crowd crowd = { .in_order = true };
    struct member members[30];

    crowd.loop = open_small_thread(3);
    for (int i = 0; i < 30; i++) {
        members[i] = (struct member){ &crowd, i };
        assert_ok(tn_post(crowd.loop, be_there, &members[i], NULL));
    }
    tn_thread_close(&crowd.loop, true);
    assert_int_equal(crowd.ended, 3);
    assert_int_equal(atomic_load(&crowd.started), 3);
}

TEST_ON_DRIVERS(a_post_with_an_impossible_stack_is_refused)
{
    struct tn_task_options options = { .stack_size = ((size_t)64 << 20) + 1 };
    struct tn_loop *loop = open_thread();

    assert_kind(tn_post(loop, count_one, NULL, &options), TN_INVALID);
    tn_thread_close(&loop, false);
}

/* ---- tn_run's loop ---- */

struct guest {
    struct tn_loop *loop;
    struct note note;
    pthread_t thread;
};

static void *post_a_note(void *arg)
{
    struct guest *guest = arg;

    assert_ok(tn_post(guest->loop, take_note, &guest->note, NULL));
    return NULL;
}

TEST_IN_TASK(another_thread_posts_to_the_loop_of_a_task)
{
    struct guest guest;

    sem_init(&guest.note.done, 0, 0);
    assert_ok(tn_loop_self(&guest.loop));
    assert_int_equal(pthread_create(&guest.thread, NULL, post_a_note, &guest), 0);
    while (sem_trywait(&guest.note.done) != 0)
        assert_ok(tn_sleep(tn_in(100 * TN_US)));
    assert_true(pthread_equal(guest.note.thread, pthread_self()));
    pthread_join(guest.thread, NULL);
}

/* ---- a post in the moment in which the loop takes in others ---- */

static struct tn_loop *posted_to; /* NULL: nothing more is to be posted */
static atomic_int posts_run;

static tn_err count_post(void *arg)
{
    (void)arg;
    atomic_fetch_add(&posts_run, 1);
    return tn_ok();
}

/* The loop's read of its eventfd: just before it another post comes. */
static ssize_t read_after_a_post(struct os *os, int fd, void *buf, size_t size)
{
    struct tn_loop *loop = posted_to;

    (void)os;
    posted_to = NULL;
    if (loop != NULL)
        assert_ok(tn_post(loop, count_post, NULL, NULL));
    return os_read(&os_linux, fd, buf, size);
}

static tn_err post_and_wait_for_two(void *arg)
{
    struct tn_loop *loop = NULL;
    tn_deadline limit = tn_in(5 * TN_SECOND * (int64_t)test_scale());

    (void)arg;
    assert_ok(tn_loop_self(&loop));
    for (int i = 0; i < 5; i++) /* an eventfd shows an edge when it is first looked at */
        assert_ok(tn_sleep(tn_in(TN_MS)));
    posted_to = loop;
    assert_ok(tn_post(loop, count_post, NULL, NULL));
    while (atomic_load(&posts_run) < 2 && tn_left(limit) > 0)
        assert_ok(tn_sleep(tn_sooner(tn_in(TN_MS), limit)));
    return tn_ok();
}

TEST_ON_DRIVERS(a_post_that_comes_while_others_are_taken_in_is_not_lost)
{
    struct os_calls calls = *os_linux.calls;
    struct os os = { &calls };

    calls.read = read_after_a_post;
    assert_ok(run_on(&os, post_and_wait_for_two, NULL, NULL));
    assert_null(posted_to);
    assert_int_equal(atomic_load(&posts_run), 2);
}
