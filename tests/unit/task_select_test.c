/* SPDX-License-Identifier: MIT */
/*
 * task_select_test.c -- select does exactly one thing, starves none, and loses nothing.
 */
#include "harness/harness.h"

#define CHANS 4

static struct tn_chan *open_chan(size_t capacity)
{
    struct tn_chan *chan = NULL;

    assert_ok(tn_chan_open(&chan, sizeof(int), capacity));
    return chan;
}

static void send_now(struct tn_chan *chan, int item)
{
    assert_ok(tn_chan_send(chan, &item, TN_NOW));
}

static int receive_now(struct tn_chan *chan)
{
    int item = -1;

    assert_ok(tn_chan_receive(chan, &item, TN_NOW));
    return item;
}

static void join(struct tn_task *task)
{
    assert_ok(tn_join(&task, NULL, TN_NEVER));
}

/* A task in a select of CHANS receives and one send. */
struct selector {
    struct tn_case cases[CHANS + 1];
    size_t count;
    int items[CHANS + 1];
    tn_deadline deadline;
    size_t which;
    tn_err err;
};

static tn_err select_once(void *arg)
{
    struct selector *self = arg;

    self->err = tn_select(self->cases, self->count, &self->which, self->deadline);
    return tn_ok();
}

static void selector_init(struct selector *self, struct tn_chan **chans,
                          struct tn_chan *out)
{
    *self = (struct selector){ .count = CHANS, .deadline = TN_NEVER, .which = 99 };
    for (size_t i = 0; i < CHANS; i++)
        self->cases[i] = (struct tn_case){ chans[i], &self->items[i], false };
    if (out != NULL) {
        self->items[CHANS] = 77;
        self->cases[self->count++] = (struct tn_case){ out, &self->items[CHANS], true };
    }
}

static struct tn_task *start(struct selector *selector)
{
    struct tn_task *task = NULL;

    assert_ok(tn_go(NULL, select_once, selector, NULL, &task));
    tn_yield();
    return task;
}

static void open_all(struct tn_chan **chans, size_t capacity)
{
    for (size_t i = 0; i < CHANS; i++)
        chans[i] = open_chan(capacity);
}

static void close_all(struct tn_chan **chans)
{
    for (size_t i = 0; i < CHANS; i++)
        tn_chan_close(&chans[i]);
}

TEST_IN_TASK(what_is_ready_is_done_without_a_park_and_nothing_else)
{
    struct tn_chan *chans[CHANS];
    struct selector selector;

    open_all(chans, 1);
    send_now(chans[2], 5);
    selector_init(&selector, chans, NULL);
    assert_ok(tn_select(selector.cases, selector.count, &selector.which, TN_NOW));
    assert_int_equal(selector.which, 2);
    assert_int_equal(selector.items[2], 5);
    assert_kind(tn_select(selector.cases, CHANS, &selector.which, TN_NOW), TN_DEADLINE);
    close_all(chans);
}

TEST_IN_TASK(a_parked_select_is_served_by_the_first_that_comes_and_leaves_the_others)
{
    struct tn_chan *chans[CHANS], *out = open_chan(0);
    struct selector selector;
    struct tn_task *task;

    open_all(chans, 1);
    selector_init(&selector, chans, out);
    task = start(&selector);
    send_now(chans[3], 30);
    send_now(chans[1], 10); /* in the same instant: too late, stays in the channel */
    assert_kind(tn_chan_receive(out, &(int){ 0 }, TN_NOW), TN_DEADLINE);
    join(task);
    assert_ok(selector.err);
    assert_int_equal(selector.which, 3);
    assert_int_equal(selector.items[3], 30);
    assert_int_equal(selector.items[1], 0);
    assert_int_equal(receive_now(chans[1]), 10);
    close_all(chans);
    tn_chan_close(&out);
}

TEST_IN_TASK(a_parked_select_sends_when_a_receiver_comes)
{
    struct tn_chan *chans[CHANS], *out = open_chan(0);
    struct selector selector;
    struct tn_task *task;

    open_all(chans, 0);
    selector_init(&selector, chans, out);
    task = start(&selector);
    assert_int_equal(receive_now(out), 77);
    tn_cancel(task); /* too late */
    join(task);
    assert_ok(selector.err);
    assert_int_equal(selector.which, CHANS);
    close_all(chans);
    tn_chan_close(&out);
}

TEST_IN_TASK(two_selects_meet_on_a_channel_without_capacity)
{
    struct tn_chan *chans[CHANS];
    struct selector receiver, sender;
    struct tn_task *task;

    open_all(chans, 0);
    selector_init(&receiver, chans, NULL);
    task = start(&receiver);
    selector_init(&sender, chans, NULL);
    for (size_t i = 0; i < CHANS; i++) {
        sender.items[i] = 40 + (int)i;
        sender.cases[i].send = true;
    }
    assert_ok(tn_select(sender.cases, CHANS, &sender.which, TN_NOW));
    join(task);
    assert_ok(receiver.err);
    assert_int_equal(receiver.which, sender.which);
    assert_int_equal(receiver.items[receiver.which], 40 + (int)receiver.which);
    close_all(chans);
}

TEST_IN_TASK(of_cases_that_stay_ready_each_gets_its_turn)
{
    struct tn_chan *chans[CHANS];
    struct selector one, two;
    int served[CHANS] = { 0 };

    open_all(chans, 100);
    for (size_t i = 0; i < CHANS; i++)
        for (int k = 0; k < 50; k++)
            send_now(chans[i], k);
    selector_init(&one, chans, NULL);
    selector_init(&two, chans, NULL);
    two.count = 2; /* a second set in between must not keep the first in step with it */
    for (int k = 0; k < 10 * CHANS; k++) {
        assert_ok(tn_select(one.cases, one.count, &one.which, TN_NOW));
        served[one.which]++;
        assert_ok(tn_select(two.cases, two.count, &two.which, TN_NOW));
        served[two.which]++;
    }
    for (size_t i = 0; i < CHANS; i++)
        assert_in_range(served[i], 19, 21);
    close_all(chans);
}

TEST_IN_TASK(a_ready_send_and_a_ready_receive_take_turns)
{
    struct tn_chan *in = open_chan(64), *out = open_chan(64);
    int received = 0, sent = 1;
    struct tn_case cases[2] = { { in, &received, false }, { out, &sent, true } };
    int sends = 0;

    for (int k = 0; k < 64; k++)
        send_now(in, k);
    for (int k = 0; k < 20; k++) {
        size_t which = 9;
        assert_ok(tn_select(cases, 2, &which, TN_NEVER));
        sends += which == 1;
    }
    assert_int_equal(sends, 10);
    tn_chan_close(&in);
    tn_chan_close(&out);
}

TEST_IN_TASK(an_ended_channel_is_chosen_with_its_error)
{
    struct tn_chan *chans[CHANS], *out = open_chan(0);
    struct selector selector;
    tn_err err;

    open_all(chans, 0);
    selector_init(&selector, chans, out);
    tn_chan_end(chans[1]);
    err = tn_select(selector.cases, selector.count, &selector.which, TN_NEVER);
    assert_kind(err, TN_EOF);
    assert_string_equal(tn_err_op(err), "select");
    assert_int_equal(selector.which, 1);
    selector.cases[1].chan = NULL; /* not interested any more */
    tn_chan_end(out);
    err = tn_select(selector.cases, selector.count, &selector.which, TN_NEVER);
    assert_kind(err, TN_CLOSED);
    assert_int_equal(selector.which, CHANS);
    close_all(chans);
    tn_chan_close(&out);
}

TEST_IN_TASK(an_end_wakes_a_parked_select)
{
    struct tn_chan *chans[CHANS], *out = open_chan(0);
    struct selector one, two;
    struct tn_task *first, *second;

    open_all(chans, 0);
    selector_init(&one, chans, NULL);
    selector_init(&two, chans, out);
    two.cases[2].chan = NULL;
    first = start(&one);
    second = start(&two);
    tn_chan_end(chans[2]);
    tn_chan_end(out);
    tn_chan_close(&out); /* who was told needs it no longer */
    join(first);
    join(second);
    assert_kind(one.err, TN_EOF);
    assert_int_equal(one.which, 2);
    assert_kind(two.err, TN_CLOSED);
    assert_int_equal(two.which, CHANS);
    close_all(chans);
}

TEST_IN_TASK(a_canceled_or_late_select_has_done_nothing_and_tells_no_index)
{
    struct tn_chan *chans[CHANS], *out = open_chan(0);
    struct selector one, two;
    struct tn_task *first, *second;

    open_all(chans, 1);
    selector_init(&one, chans, out);
    selector_init(&two, chans, out);
    two.deadline = tn_in(TN_MS);
    first = start(&one);
    second = start(&two);
    join(second);
    assert_kind(two.err, TN_DEADLINE);
    tn_cancel(first);
    send_now(chans[0], 1); /* in the same instant: nobody waits any more */
    assert_kind(tn_chan_receive(out, &(int){ 0 }, TN_NOW), TN_DEADLINE);
    join(first);
    assert_kind(one.err, TN_CANCELED);
    assert_int_equal(one.which, 99);
    assert_int_equal(two.which, 99);
    assert_int_equal(receive_now(chans[0]), 1);
    close_all(chans);
    tn_chan_close(&out);
}

TEST_IN_TASK(no_cases_or_more_than_64_are_refused)
{
    struct tn_chan *chan = open_chan(1);
    struct tn_case cases[65];
    int item = 0;
    size_t which = 99;

    for (size_t i = 0; i < 65; i++)
        cases[i] = (struct tn_case){ chan, &item, false };
    assert_kind(tn_select(cases, 0, &which, TN_NEVER), TN_INVALID);
    assert_kind(tn_select(cases, 65, &which, TN_NEVER), TN_INVALID);
    assert_kind(tn_select(cases, 64, &which, tn_in(TN_MS)), TN_DEADLINE);
    assert_int_equal(which, 99);
    send_now(chan, 3);
    assert_ok(tn_select(cases, 64, &which, TN_NEVER));
    assert_int_equal(item, 3);
    tn_chan_close(&chan);
}

TEST_IN_TASK(the_64th_case_wakes_a_parked_select)
{
    struct tn_chan *idle = open_chan(0), *last = open_chan(0);
    struct selector selector = { .deadline = TN_NEVER };
    struct tn_case cases[64];
    size_t which = 99;
    struct tn_task *task = NULL;

    for (size_t i = 0; i < 63; i++)
        cases[i] = (struct tn_case){ idle, &selector.items[0], false };
    cases[63] = (struct tn_case){ last, &selector.items[1], false };
    selector.cases[0] = (struct tn_case){ last, &selector.items[2], true };
    selector.items[2] = 12;
    selector.count = 1;
    assert_ok(tn_go(NULL, select_once, &selector, NULL, &task));
    assert_ok(tn_select(cases, 64, &which, TN_NEVER));
    assert_int_equal(which, 63);
    assert_int_equal(selector.items[1], 12);
    join(task);
    tn_chan_close(&idle);
    tn_chan_close(&last);
}

/* ---- many at once ---- */

#define CROWD 10
#define EACH  150

struct crowd {
    struct tn_chan *chans[CHANS];
    unsigned seed;
    unsigned char sent[CROWD][EACH], received[CROWD][EACH];
};

struct member {
    struct crowd *crowd;
    int id;
};

static tn_deadline some_deadline(struct crowd *crowd)
{
    crowd->seed = crowd->seed * 1103515245 + 12345;
    if ((crowd->seed >> 16 & 3) != 0)
        return TN_NEVER;
    return tn_in((crowd->seed >> 20 & 63) * TN_US);
}

/* Sends its own items and receives whatever comes, both by the same selects. */
static tn_err trade(void *arg)
{
    struct member *self = arg;
    struct crowd *crowd = self->crowd;
    int in[CHANS], out = self->id * EACH, end = out + EACH;
    struct tn_case cases[2 * CHANS];

    for (size_t i = 0; i < CHANS; i++) {
        cases[i] = (struct tn_case){ crowd->chans[i], &in[i], false };
        cases[CHANS + i] = (struct tn_case){ crowd->chans[i], &out, true };
    }
    for (;;) {
        size_t which = 99;
        size_t count = out < end ? 2 * CHANS : CHANS;
        tn_err err = tn_select(cases, count, &which, some_deadline(crowd));
        if (err.kind == TN_DEADLINE || err.kind == TN_CANCELED)
            assert_int_equal(which, 99);
        if (err.kind == TN_CANCELED || err.kind == TN_EOF)
            return tn_ok();
        if (err.kind == TN_DEADLINE)
            continue;
        assert_ok(err);
        if (which >= CHANS) {
            crowd->sent[self->id][out % EACH]++;
            out++;
        } else {
            crowd->received[in[which] / EACH][in[which] % EACH]++;
        }
    }
}

static void storm(size_t capacity)
{
    static struct crowd crowd;
    struct member members[CROWD];
    struct tn_task *tasks[CROWD] = { NULL };

    crowd = (struct crowd){ .seed = 1 };
    open_all(crowd.chans, capacity);
    for (int i = 0; i < CROWD; i++) {
        members[i] = (struct member){ &crowd, i };
        assert_ok(tn_go(NULL, trade, &members[i], NULL, &tasks[i]));
    }
    for (int i = 0; i < CROWD / 2; i++) {
        assert_ok(tn_sleep(tn_in(20 * TN_US)));
        tn_cancel(tasks[i]);
    }
    assert_ok(tn_sleep(tn_in(TN_MS)));
    for (int i = 0; i < CHANS; i++)
        tn_chan_end(crowd.chans[i]);
    for (int i = 0; i < CROWD; i++)
        join(tasks[i]);
    for (size_t i = 0; i < CHANS; i++) { /* what nobody took */
        int item;
        while (!tn_failed(tn_chan_receive(crowd.chans[i], &item, TN_NOW)))
            crowd.received[item / EACH][item % EACH]++;
    }
    for (int i = 0; i < CROWD; i++)
        for (int k = 0; k < EACH; k++)
            assert_int_equal(crowd.sent[i][k], crowd.received[i][k]);
    close_all(crowd.chans);
}

TEST_IN_TASK(in_a_storm_of_selects_each_item_sent_is_received_once)
{
    storm(0);
    storm(2);
}
