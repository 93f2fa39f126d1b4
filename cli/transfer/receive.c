/* SPDX-License-Identifier: MIT */
/*
 * receive.c -- taking files: offer, at, go, data, end, receipt.
 *
 * Always true: a receipt is sent only when the file has its name, what has that name was
 * compared with the sender's digest, and fsync has ended for it and for its folder; or
 * standard output has taken all of it, and that was compared.
 */
#include "receive.h"

#include <string.h>

#include "background.h"
#include "session.h"

/* What the disk said, if it said anything, as a refusal. */
static tn_err check_disk(struct session *session, const struct arrival *arrival)
{
    struct wire *wire = &session->wire;
    const char *called = session->store->place->called;
    const char *why = arrival->why                        ? arrival->why
                      : arrival->failed == REFUSED_BUSY   ? "another session writes it"
                      : arrival->failed == REFUSED_EXISTS ? "exists already"
                      : arrival->failed == REFUSED_NAME && !arrival->error
                          ? "a name that is not taken"
                      : arrival->failed == REFUSED_NAME ? "something else is in the way"
                                                        : strerror(arrival->error);

    if (arrival->failed == REFUSED_NOT)
        return tn_ok();
    return wire_refuse(wire, arrival->failed, "%.200s: %s",
                       called ? called : session->offer.name, why);
}

static tn_err run(struct session *session, void (*work)(void *arg),
                  struct arrival *arrival)
{
    tn_err err = tn_ok();

    if (session->store->place->parks)
        work(arrival);
    else
        err = in_background(work, arrival);
    if (!tn_failed(err))
        err = arrival->ended;
    return tn_failed(err) ? err : check_disk(session, arrival);
}

/* One data message of SIZE bytes, a block at a time. */
static tn_err take_data(struct session *session, struct arrival *arrival, uint32_t size)
{
    tn_err err = tn_ok();

    if (session->offer.size - arrival->size < size)
        return wire_refuse(&session->wire, REFUSED_PROTOCOL,
                           "more bytes than the file has");
    while (size > 0 && !tn_failed(err)) {
        arrival->got = size < BLOCK_SIZE ? size : BLOCK_SIZE;
        err = wire_body(&session->wire, arrival->block, arrival->got);
        if (tn_failed(err))
            break;
        err = run(session, session->store->place->add, arrival);
        size -= (uint32_t)arrival->got;
        session->bytes += arrival->got;
        *session->received += arrival->got;
    }
    return err;
}

/* Everything up to the end, which is in *SUM then. */
static tn_err take_file(struct session *session, struct arrival *arrival, struct sum *sum)
{
    struct wire *wire = &session->wire;
    struct head head;
    tn_err err;

    for (;;) {
        err = wire_head(wire, &head);
        if (tn_failed(err))
            return err;
        if (head.type == MESSAGE_END)
            return wire_take_sum(wire, head, sum);
        if (head.type != MESSAGE_DATA)
            return wire_refuse(wire, REFUSED_PROTOCOL, "message %c among the data",
                               (int)head.type);
        err = take_data(session, arrival, head.size);
        if (tn_failed(err))
            return err;
    }
}

/* Does the end fit what has come?  A part that is wrong is of no use to anybody. */
static tn_err check_sum(struct session *session, struct arrival *arrival,
                        const struct sum *sum)
{
    struct wire *wire = &session->wire;
    unsigned char digest[DIGEST_SIZE];

    if (sum->size != arrival->size ||
        (session->offer.size != SIZE_UNKNOWN && sum->size != session->offer.size))
        return wire_refuse(wire, REFUSED_PROTOCOL, "%.200s: the end after %llu bytes",
                           session->offer.name, (unsigned long long)arrival->size);
    digest_now(arrival->digest, digest);
    if (digest_same(digest, sum->digest))
        return tn_ok();
    arrival->spoiled = true;
    return wire_refuse(wire, REFUSED_DIGEST, "%.200s: the digests differ",
                       session->offer.name);
}

/* Agree from where on; *SUM is what a receipt is about once it is all there. */
static tn_err settle_offset(struct session *session, struct arrival *arrival)
{
    struct wire *wire = &session->wire;
    uint64_t offset = 0;
    tn_err err = run(session, session->store->place->begin, arrival);

    if (!tn_failed(err))
        err = wire_send_at(wire, &arrival->at);
    if (!tn_failed(err))
        err = wire_read_go(wire, &offset);
    if (tn_failed(err) || offset == arrival->at.offset)
        return err;
    if (offset != 0)
        return wire_refuse(wire, REFUSED_PROTOCOL, "%.200s: from %llu on was not offered",
                           session->offer.name, (unsigned long long)offset);
    return run(session, session->store->place->restart, arrival);
}

static tn_err receive_file(struct session *session, struct arrival *arrival)
{
    struct sum sum = { 0 };
    uint64_t before = session->bytes;
    tn_err err = settle_offset(session, arrival);

    if (tn_failed(err))
        return err;
    if (arrival->at.whole) {
        sum.size = arrival->at.offset;
        memcpy(sum.digest, arrival->at.digest, DIGEST_SIZE);
    } else {
        err = take_file(session, arrival, &sum);
        if (!tn_failed(err))
            err = check_sum(session, arrival, &sum);
        if (!tn_failed(err))
            err = run(session, session->store->place->finish, arrival);
        if (tn_failed(err))
            return err;
    }
    session->files++;
    session_file_told(session->where, session->offer.name, &sum, session->bytes - before);
    return wire_send_sum(&session->wire, MESSAGE_RECEIPT, &sum);
}

static tn_err receive_folder(struct session *session, struct arrival *arrival)
{
    struct sum nothing = { 0 };
    tn_err err = run(session, session->store->place->folder, arrival);

    digest_now(arrival->digest, nothing.digest);
    return tn_failed(err) ? err
                          : wire_send_sum(&session->wire, MESSAGE_RECEIPT, &nothing);
}

static tn_err receive_offer(struct session *session, struct head head)
{
    struct arrival arrival;
    const struct place *place = session->store->place;
    tn_err err = wire_read_offer(&session->wire, head, &session->offer);

    if (tn_failed(err))
        return err;
    if (!arrival_open(&arrival, session->store, &session->offer)) {
        arrival_close(&arrival);
        return tn_err_user(TN_LIMIT, 0);
    }
    arrival.deadline = session->wire.deadline;
    arrival.idle = session->wire.idle;
    err = session->offer.kind == KIND_FILE ? receive_file(session, &arrival)
                                           : receive_folder(session, &arrival);
    if (place->parks || tn_failed(in_background(place->leave, &arrival)))
        place->leave(&arrival); /* no thread to be had: then here */
    arrival_close(&arrival);
    return err;
}

/* What is offered, until the sender has finished. */
static tn_err receive_all(struct session *session)
{
    struct wire *wire = &session->wire;
    uint64_t files, bytes;
    struct head head;
    tn_err err;

    for (uint64_t offers = 0;; offers++) {
        err = wire_head(wire, &head);
        if (tn_failed(err))
            return err;
        if (head.type == MESSAGE_FINISH)
            break;
        if (head.type != MESSAGE_OFFER)
            return wire_refuse(wire, REFUSED_PROTOCOL,
                               "message %c where an offer belongs", (int)head.type);
        if (offers == FILES_MOST)
            return wire_refuse(wire, REFUSED_PROTOCOL, "more than %d offers", FILES_MOST);
        err = receive_offer(session, head);
        if (tn_failed(err))
            return err;
    }
    err = wire_take_finish(wire, head, &files, &bytes);
    if (tn_failed(err))
        return err;
    if (files != session->files || bytes != session->bytes)
        return wire_refuse(wire, REFUSED_PROTOCOL, "the sender counts otherwise");
    session->finished = true;
    return wire_send_finish(wire, files, bytes);
}

tn_err receive(struct session *session, void (*greeted)(void *arg), void *arg)
{
    tn_err err = wire_greet(&session->wire, false, session->token);

    session->greeted = !tn_failed(err);
    if (session->greeted) {
        greeted(arg);
        err = receive_all(session);
    }
    wire_end(&session->wire, err);
    return err;
}
