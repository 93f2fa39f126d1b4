/* SPDX-License-Identifier: MIT */
/*
 * task_chan_test.c -- channels: order, room, ends; and that an item is moved exactly once
 * whatever cancels and deadlines do.
 */
#include "harness/harness.h"

#include "os/fault.h"
#include "task/run.h"

struct mover {
    struct tn_chan *chan;
    tn_deadline deadline;
    tn_err err;
    int item;
    bool done;
};

static tn_err send_one(void *arg)
{
    struct mover *self = arg;

    self->err = tn_chan_send(self->chan, &self->item, self->deadline);
    self->done = true;
    return tn_ok();
}

static tn_err receive_one(void *arg)
{
    struct mover *self = arg;

    self->err = tn_chan_receive(self->chan, &self->item, self->deadline);
    self->done = true;
    return tn_ok();
}

static struct tn_chan *open_chan(size_t capacity)
{
    struct tn_chan *chan = NULL;

    assert_ok(tn_chan_open(&chan, sizeof(int), capacity));
    return chan;
}

/* Starts FN and lets it run until it parks. */
static struct tn_task *start(tn_task_fn *fn, struct mover *mover)
{
    struct tn_task *task = NULL;

    assert_ok(tn_go(NULL, fn, mover, NULL, &task));
    tn_yield();
    return task;
}

static void join(struct tn_task *task)
{
    assert_ok(tn_join(&task, NULL, TN_NEVER));
}

static int receive_now(struct tn_chan *chan)
{
    int item = -1;

    assert_ok(tn_chan_receive(chan, &item, TN_NOW));
    return item;
}

static void send_now(struct tn_chan *chan, int item)
{
    assert_ok(tn_chan_send(chan, &item, TN_NOW));
}

TEST_IN_TASK(items_come_out_in_the_order_they_went_in_round_and_round)
{
    struct tn_chan *chan = open_chan(3);
    int in = 0, out = 0;

    send_now(chan, in++);
    for (int i = 0; i < 10; i++) {
        send_now(chan, in++);
        send_now(chan, in++);
        assert_int_equal(receive_now(chan), out++);
        assert_int_equal(receive_now(chan), out++);
    }
    assert_int_equal(receive_now(chan), out++);
    assert_int_equal(in, out);
    tn_chan_close(&chan);
    assert_null(chan);
}

TEST_IN_TASK(a_full_channel_and_an_empty_one_make_wait_and_say_whose_deadline_it_was)
{
    struct tn_chan *chan = open_chan(2);
    int item = 7;
    tn_err err;

    err = tn_chan_receive(chan, &item, TN_NOW);
    assert_kind(err, TN_DEADLINE);
    assert_string_equal(tn_err_op(err), "receive");
    assert_int_equal(item, 7);
    send_now(chan, 1);
    send_now(chan, 2);
    err = tn_chan_send(chan, &item, TN_NOW);
    assert_kind(err, TN_DEADLINE);
    assert_string_equal(tn_err_op(err), "send");
    assert_kind(tn_chan_send(chan, &item, tn_in(TN_MS)), TN_DEADLINE);
    assert_int_equal(receive_now(chan), 1);
    assert_int_equal(receive_now(chan), 2);
    assert_kind(tn_chan_receive(chan, &item, tn_in(TN_MS)), TN_DEADLINE);
    tn_chan_close(&chan);
}

TEST_IN_TASK(without_capacity_a_sender_waits_until_its_item_is_taken)
{
    struct tn_chan *chan = open_chan(0);
    struct mover sender = { .chan = chan, .deadline = TN_NEVER, .item = 5 };
    struct tn_task *task = start(send_one, &sender);

    assert_ok(tn_sleep(tn_in(TN_MS)));
    assert_false(sender.done);
    assert_int_equal(receive_now(chan), 5);
    join(task);
    assert_ok(sender.err);
    tn_chan_close(&chan);
}

TEST_IN_TASK(without_capacity_a_receiver_waits_until_an_item_is_sent)
{
    struct tn_chan *chan = open_chan(0);
    struct mover receiver = { .chan = chan, .deadline = TN_NEVER, .item = -1 };
    struct tn_task *task = start(receive_one, &receiver);

    assert_false(receiver.done);
    send_now(chan, 6);
    assert_int_equal(receiver.item, 6); /* it is there before the receiver runs */
    join(task);
    assert_ok(receiver.err);
    tn_chan_close(&chan);
}

TEST_IN_TASK(waiting_receivers_are_served_in_their_order)
{
    struct tn_chan *chan = open_chan(4);
    struct mover receivers[4];
    struct tn_task *tasks[4];

    for (int i = 0; i < 4; i++) {
        receivers[i] = (struct mover){ .chan = chan, .deadline = TN_NEVER };
        tasks[i] = start(receive_one, &receivers[i]);
    }
    for (int i = 0; i < 4; i++)
        send_now(chan, 10 + i);
    for (int i = 0; i < 4; i++) {
        join(tasks[i]);
        assert_int_equal(receivers[i].item, 10 + i);
    }
    tn_chan_close(&chan);
}

TEST_IN_TASK(waiting_senders_keep_their_place_behind_what_is_in_the_channel)
{
    struct tn_chan *chan = open_chan(2);
    struct mover senders[3];
    struct tn_task *tasks[3];

    send_now(chan, 0);
    send_now(chan, 1);
    for (int i = 0; i < 3; i++) {
        senders[i] = (struct mover){ .chan = chan, .deadline = TN_NEVER, .item = 2 + i };
        tasks[i] = start(send_one, &senders[i]);
    }
    for (int i = 0; i < 5; i++)
        assert_int_equal(receive_now(chan), i);
    for (int i = 0; i < 3; i++)
        join(tasks[i]);
    tn_chan_close(&chan);
}

TEST_IN_TASK(an_item_whose_sender_was_canceled_or_late_is_not_sent)
{
    struct tn_chan *chan = open_chan(0);
    struct mover canceled = { .chan = chan, .deadline = TN_NEVER, .item = 1 };
    struct mover late = { .chan = chan, .deadline = tn_in(TN_MS), .item = 2 };
    struct mover kept = { .chan = chan, .deadline = TN_NEVER, .item = 3 };
    struct tn_task *one = start(send_one, &canceled);
    struct tn_task *two = start(send_one, &late);
    struct tn_task *three = start(send_one, &kept);

    assert_ok(tn_sleep(tn_in(3 * TN_MS)));
    tn_cancel(one);
    assert_int_equal(receive_now(chan), 3); /* in the same instant as the cancel */
    join(one);
    join(two);
    join(three);
    assert_kind(canceled.err, TN_CANCELED);
    assert_kind(late.err, TN_DEADLINE);
    assert_ok(kept.err);
    tn_chan_close(&chan);
}

TEST_IN_TASK(an_item_taken_just_before_the_cancel_of_its_sender_was_sent)
{
    struct tn_chan *chan = open_chan(0);
    struct mover sender = { .chan = chan, .deadline = TN_NEVER, .item = 1 };
    struct tn_task *task = start(send_one, &sender);

    assert_int_equal(receive_now(chan), 1);
    tn_cancel(task);
    join(task);
    assert_ok(sender.err);
    tn_chan_close(&chan);
}

TEST_IN_TASK(an_item_is_not_lost_to_a_receiver_that_was_canceled_before)
{
    struct tn_chan *chan = open_chan(1);
    struct mover one = { .chan = chan, .deadline = TN_NEVER, .item = -1 }, two = one;
    struct tn_task *first = start(receive_one, &one);
    struct tn_task *second = start(receive_one, &two);

    tn_cancel(first);
    send_now(chan, 9);
    join(first);
    join(second);
    assert_kind(one.err, TN_CANCELED);
    assert_int_equal(one.item, -1);
    assert_ok(two.err);
    assert_int_equal(two.item, 9);
    tn_chan_close(&chan);
}

TEST_IN_TASK(an_item_is_not_lost_to_a_cancel_or_deadline_that_comes_after_it)
{
    struct tn_chan *chan = open_chan(0);
    struct mover receiver;
    bool sent = false;
    int item = 4;

    for (int64_t length = TN_MS; !sent; length *= 2) { /* a busy machine needs more */
        tn_deadline deadline = tn_in(length);
        struct tn_task *task;

        receiver = (struct mover){ .chan = chan, .deadline = deadline, .item = -1 };
        task = start(receive_one, &receiver);
        while (tn_left(deadline) > 0)
            continue; /* without a park, so that no timer fires */
        sent = !tn_failed(tn_chan_send(chan, &item, TN_NOW));
        tn_cancel(task);
        join(task);
    }
    assert_ok(receiver.err);
    assert_int_equal(receiver.item, 4);
    tn_chan_close(&chan);
}

TEST_IN_TASK(a_canceled_task_still_does_what_needs_no_waiting)
{
    struct tn_chan *chan = open_chan(1);
    struct mover sender = { .chan = chan, .deadline = TN_NEVER, .item = 8 };
    struct tn_task *task = NULL;

    assert_ok(tn_go(NULL, send_one, &sender, NULL, &task));
    tn_cancel(task);
    join(task);
    assert_ok(sender.err);
    assert_int_equal(receive_now(chan), 8);
    tn_chan_close(&chan);
}

TEST_IN_TASK(after_the_end_what_is_kept_comes_out_and_then_the_end)
{
    struct tn_chan *chan = open_chan(2);
    int item = 3;
    tn_err err;

    send_now(chan, 1);
    send_now(chan, 2);
    tn_chan_end(chan);
    tn_chan_end(chan);
    err = tn_chan_send(chan, &item, TN_NEVER);
    assert_kind(err, TN_CLOSED);
    assert_string_equal(tn_err_op(err), "send");
    assert_int_equal(receive_now(chan), 1);
    assert_int_equal(receive_now(chan), 2);
    assert_kind(tn_chan_receive(chan, &item, TN_NEVER), TN_EOF);
    assert_kind(tn_chan_receive(chan, &item, TN_NOW), TN_EOF);
    assert_int_equal(item, 3);
    tn_chan_close(&chan);
}

TEST_IN_TASK(the_end_wakes_all_receivers_and_the_channel_may_go_at_once)
{
    struct tn_chan *chan = open_chan(0);
    struct mover receivers[3];
    struct tn_task *tasks[3];

    for (int i = 0; i < 3; i++) {
        receivers[i] = (struct mover){ .chan = chan, .deadline = TN_NEVER };
        tasks[i] = start(receive_one, &receivers[i]);
    }
    tn_cancel(tasks[1]);
    tn_chan_end(chan);
    tn_chan_close(&chan);
    for (int i = 0; i < 3; i++)
        join(tasks[i]);
    assert_kind(receivers[0].err, TN_EOF);
    assert_kind(receivers[1].err, TN_CANCELED);
    assert_kind(receivers[2].err, TN_EOF);
}

TEST_IN_TASK(the_end_tells_waiting_senders_that_their_items_were_not_sent)
{
    struct tn_chan *chan = open_chan(1);
    struct mover sender = { .chan = chan, .deadline = TN_NEVER, .item = 2 };
    struct tn_task *task;
    int item;

    send_now(chan, 1);
    task = start(send_one, &sender);
    tn_chan_end(chan);
    join(task);
    assert_kind(sender.err, TN_CLOSED);
    assert_int_equal(receive_now(chan), 1);
    assert_kind(tn_chan_receive(chan, &item, TN_NOW), TN_EOF);
    tn_chan_close(&chan);
}

TEST_IN_TASK(a_channel_is_closed_with_what_is_in_it)
{
    struct tn_chan *chan = open_chan(2);

    send_now(chan, 1);
    tn_chan_close(&chan);
    tn_chan_close(&chan); /* an empty one */
}

TEST_IN_TASK(items_without_a_size_are_counted)
{
    struct tn_chan *chan = NULL;

    assert_ok(tn_chan_open(&chan, 0, 2));
    assert_ok(tn_chan_send(chan, NULL, TN_NOW));
    assert_ok(tn_chan_send(chan, NULL, TN_NOW));
    assert_kind(tn_chan_send(chan, NULL, TN_NOW), TN_DEADLINE);
    assert_ok(tn_chan_receive(chan, NULL, TN_NOW));
    assert_ok(tn_chan_receive(chan, NULL, TN_NOW));
    assert_kind(tn_chan_receive(chan, NULL, TN_NOW), TN_DEADLINE);
    tn_chan_close(&chan);
}

TEST_IN_TASK(a_channel_above_1_gib_is_refused)
{
    struct tn_chan *chan = NULL;
    tn_err err = tn_chan_open(&chan, 1024, 1024 * 1024 + 1);

    assert_kind(err, TN_LIMIT);
    assert_string_equal(tn_err_op(err), "channel");
    assert_kind(tn_chan_open(&chan, SIZE_MAX, 2), TN_LIMIT);
    assert_kind(tn_chan_open(&chan, 2, SIZE_MAX), TN_LIMIT);
    assert_null(chan);
}

static tn_err open_without_memory(void *arg)
{
    struct tn_chan *chan = NULL;

    fault_name(arg, FAULT_ALLOCATE, 1, 1, 0);
    assert_kind(tn_chan_open(&chan, 8, 8), TN_LIMIT);
    assert_null(chan);
    return tn_ok();
}

TEST_ON_DRIVERS(a_channel_without_memory_is_refused)
{
    struct fault fault;

    fault_init(&fault, &os_linux);
    assert_ok(run_on(&fault.os, open_without_memory, &fault, NULL));
    assert_int_equal(fault.failed, 1);
}

/* ---- many at once ---- */

#define CROWD 12
#define EACH  200

struct crowd {
    struct tn_chan *chan;
    unsigned seed;
    unsigned char sent[CROWD][EACH], received[CROWD][EACH];
    int last[CROWD][CROWD]; /* by receiver and sender: the newest item seen */
};

struct member {
    struct crowd *crowd;
    int id;
};

/* A short deadline, sometimes; a generator of its own keeps runs alike. */
static tn_deadline some_deadline(struct crowd *crowd)
{
    crowd->seed = crowd->seed * 1103515245 + 12345;
    switch (crowd->seed >> 16 & 3) {
    case 0:
        return TN_NOW;
    case 1:
        return tn_in((crowd->seed >> 20 & 63) * TN_US);
    default:
        return TN_NEVER;
    }
}

static tn_err send_many(void *arg)
{
    struct member *self = arg;
    struct crowd *crowd = self->crowd;

    for (int i = 0; i < EACH; i++) {
        int item = self->id * EACH + i;
        tn_err err = tn_chan_send(crowd->chan, &item, some_deadline(crowd));
        if (err.kind == TN_CANCELED)
            break;
        assert_true(err.kind == TN_OK || err.kind == TN_DEADLINE);
        crowd->sent[self->id][i] = !tn_failed(err);
        if (i % 7 == 0)
            tn_yield();
    }
    return tn_ok();
}

static tn_err receive_many(void *arg)
{
    struct member *self = arg;
    struct crowd *crowd = self->crowd;

    for (;;) {
        int item = -1;
        tn_err err = tn_chan_receive(crowd->chan, &item, some_deadline(crowd));
        if (err.kind == TN_CANCELED || err.kind == TN_EOF)
            return tn_ok();
        if (err.kind == TN_DEADLINE) {
            assert_int_equal(item, -1);
            tn_yield();
            continue;
        }
        assert_ok(err);
        crowd->received[item / EACH][item % EACH]++;
        assert_true(crowd->last[self->id][item / EACH] <= item);
        crowd->last[self->id][item / EACH] = item;
    }
}

static void storm(size_t capacity)
{
    static struct crowd crowd;
    struct member members[CROWD];
    struct tn_task *senders[CROWD] = { NULL }, *receivers[CROWD] = { NULL };

    crowd = (struct crowd){ .chan = open_chan(capacity), .seed = 1 };
    for (int i = 0; i < CROWD; i++) {
        members[i] = (struct member){ &crowd, i };
        assert_ok(tn_go(NULL, send_many, &members[i], NULL, &senders[i]));
        assert_ok(tn_go(NULL, receive_many, &members[i], NULL, &receivers[i]));
    }
    for (int i = 0; i < CROWD / 3; i++) {
        assert_ok(tn_sleep(tn_in(50 * TN_US)));
        tn_cancel(senders[i]);
        tn_cancel(receivers[i]);
    }
    for (int i = 0; i < CROWD; i++)
        join(senders[i]);
    tn_chan_end(crowd.chan);
    for (int i = 0; i < CROWD; i++)
        join(receivers[i]);
    for (int i = 0; i < CROWD; i++)
        for (int k = 0; k < EACH; k++)
            assert_int_equal(crowd.sent[i][k], crowd.received[i][k]);
    tn_chan_close(&crowd.chan);
}

TEST_IN_TASK(in_a_storm_of_cancels_and_deadlines_each_item_sent_is_received_once)
{
    storm(0);
    storm(1);
    storm(5);
}
