/* SPDX-License-Identifier: MIT */
/*
 * outlet.c -- a file that is written to standard output while it arrives.
 *
 * Always true: `digest` is that of the first `written` bytes that standard output has
 * taken, also after a session that was cut short in the midst of a block.
 */
#include "outlet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "background.h"

static struct outlet *outlet_of(const struct arrival *arrival)
{
    return arrival->store->outlet;
}

static void refuse(struct arrival *arrival, enum refusal refusal, const char *why)
{
    arrival->failed = refusal;
    arrival->why = why;
}

/* The digest goes with whoever writes, and comes back. */
static void exchange_digests(struct outlet *outlet, struct arrival *arrival)
{
    struct digest *digest = outlet->digest;

    outlet->digest = arrival->digest;
    arrival->digest = digest;
    outlet->busy = !outlet->busy;
}

/* Is standard output free for OFFER, or has its beginning? */
static bool is_for(const struct outlet *outlet, const struct offer *offer)
{
    return !outlet->begun ||
           (outlet->size == offer->size && strcmp(outlet->name, offer->name) == 0);
}

static void begin(void *arg)
{
    struct arrival *arrival = arg;
    const struct offer *offer = arrival->offer;
    struct outlet *outlet = outlet_of(arrival);

    if (outlet->busy) {
        arrival->failed = REFUSED_BUSY;
        return;
    }
    if (!is_for(outlet, offer)) {
        refuse(arrival, REFUSED_EXISTS, "has another file already");
        return;
    }
    if (outlet->begun && !outlet->whole && offer->size == SIZE_UNKNOWN) {
        refuse(arrival, REFUSED_EXISTS, "has a part already, and this cannot go on");
        return;
    }
    exchange_digests(outlet, arrival);
    arrival->ours = true;
    arrival->size = arrival->at.offset = outlet->written;
    arrival->at.whole = outlet->whole;
    digest_now(arrival->digest, arrival->at.digest);
}

static void restart(void *arg)
{
    refuse(arg, REFUSED_EXISTS, "has something else already");
}

/* From here on standard output is for OFFER. */
static void claim(struct outlet *outlet, const struct offer *offer)
{
    if (outlet->begun)
        return;
    outlet->begun = true;
    outlet->size = offer->size;
    memcpy(outlet->name, offer->name, sizeof(offer->name));
}

struct writing {
    struct arrival *arrival;
    size_t done;
};

static tn_err write_task(void *arg)
{
    struct writing *writing = arg;
    const struct arrival *arrival = writing->arrival;

    return local_write(outlet_of(arrival)->end, arrival->block, arrival->got,
                       &writing->done);
}

/*
 * Wait for TASK, which writes, as long as something moves and the session may last; then
 * end it.  Returns what ended the wait, with what came of the writing in *RESULT.
 */
static tn_err wait_for_writing(struct tn_task *task, const struct writing *writing,
                               tn_err *result)
{
    const struct arrival *arrival = writing->arrival;
    size_t seen;
    tn_err err;

    do {
        seen = writing->done;
        err = tn_join(&task, result, tn_sooner(arrival->deadline, tn_in(arrival->idle)));
    } while (err.kind == TN_DEADLINE && tn_left(arrival->deadline) > 0 &&
             writing->done > seen);
    if (tn_failed(err)) {
        tn_cancel(task);
        tn_ignore(tn_join(&task, result, tn_shielded(INT64_MAX))); /* it is canceled */
    }
    return err;
}

static void add(void *arg)
{
    struct arrival *arrival = arg;
    struct outlet *outlet = outlet_of(arrival);
    struct tn_task_options options = { .name = "output" };
    struct writing writing = { .arrival = arrival };
    struct tn_task *task = NULL;
    tn_err result = tn_ok();
    tn_err err = tn_go(NULL, write_task, &writing, &options, &task);

    if (!tn_failed(err)) {
        claim(outlet, arrival->offer);
        err = wait_for_writing(task, &writing, &result);
    }
    digest_add(arrival->digest, arrival->block, writing.done);
    outlet->written += writing.done;
    arrival->size += writing.done;
    if (err.kind == TN_DEADLINE && tn_left(arrival->deadline) > 0)
        refuse(arrival, REFUSED_FILE, "takes nothing any more");
    else if (tn_failed(err))
        arrival->ended = err;
    else if (tn_failed(result))
        arrival_fail(arrival, result.code);
}

static void sync_file(void *arg)
{
    struct arrival *arrival = arg;

    if (fsync(outlet_of(arrival)->end.fd))
        arrival_fail(arrival, errno);
}

static void finish(void *arg)
{
    struct arrival *arrival = arg;
    struct outlet *outlet = outlet_of(arrival);

    claim(outlet, arrival->offer); /* of a file without a byte */
    if (outlet->end.is_file)
        arrival->ended = in_background(sync_file, arrival);
    outlet->whole = !tn_failed(arrival->ended) && arrival->failed == REFUSED_NOT;
}

static void leave(void *arg)
{
    struct arrival *arrival = arg;

    if (arrival->ours)
        exchange_digests(outlet_of(arrival), arrival);
    arrival->ours = false;
}

static void folder(void *arg)
{
    refuse(arg, REFUSED_NAME, "takes one file, no folder");
}

const struct place place_outlet = { .parks = true,
                                    .called = "standard output",
                                    .begin = begin,
                                    .restart = restart,
                                    .add = add,
                                    .finish = finish,
                                    .leave = leave,
                                    .folder = folder };

bool outlet_open(struct outlet *outlet)
{
    local_own(STDOUT_FILENO);
    *outlet = (struct outlet){ .end = local_end(STDOUT_FILENO),
                               .name = malloc(NAME_MOST + 1),
                               .digest = digest_new() };
    if (outlet->name && outlet->digest)
        return true;
    outlet_close(outlet);
    return false;
}

void outlet_close(struct outlet *outlet)
{
    digest_free(outlet->digest);
    free(outlet->name);
    *outlet = (struct outlet){ 0 };
}
