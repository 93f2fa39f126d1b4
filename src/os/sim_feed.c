/* SPDX-License-Identifier: MIT */
/*
 * sim_feed.c -- the simulator's feeds: bytes received ahead, as by a multishot receive.
 *
 * Each segment is a piece of memory of its own, freed when it is given back, so that the
 * address sanitizer sees every use after that.  Their total is limited, as buffers are.
 */
#include <errno.h>
#include <string.h>

#include "os/sim_inside.h"

#define SPLIT_MOST  64U
#define PIECES_MOST 32 /* the kernel's, in one go (MULTISHOT_MAX_RETRY) */

struct sim_piece {
    struct os_segment segment;
    char data[];
};

void sim_feed_give(struct sim *sim, struct os_segment *segment)
{
    struct sim_piece *piece = CONTAINER(segment, struct sim_piece, segment);

    sim->feed_used -= segment->buffer;
    sim->facts.lent--;
    sim_free(piece);
}

/* Keep SIZE bytes at DATA: in the reader's own memory if it waits, else as a segment. */
static bool keep(struct sim *sim, struct os_feed *feed, const char *data, uint32_t size)
{
    struct sim_piece *piece;

    if (feed->sink != NULL && feed->head == NULL) {
        uint32_t room = feed->sink_room - feed->sink_got;
        uint32_t part = size < room ? size : room;

        memcpy(feed->sink + feed->sink_got, data, part);
        feed->sink_got += part;
        data += part;
        size -= part;
    }
    if (size == 0)
        return true;
    piece = sim_new(sizeof(*piece) + size);
    if (piece == NULL)
        return false;
    memcpy(piece->data, data, size);
    piece->segment =
        (struct os_segment){ .data = piece->data, .size = size, .buffer = size };
    if (feed->head == NULL)
        feed->head = &piece->segment;
    else
        feed->tail->next = &piece->segment;
    feed->tail = &piece->segment;
    feed->queued += size;
    sim->feed_used += size;
    sim->facts.lent++;
    return true;
}

/* The size of the next receive; 0: out of buffers. */
static uint32_t next_size(struct sim *sim)
{
    if (sim->feed_used + SIM_PIECE_MOST > sim->options.feed_memory) {
        sim_count(sim, SIM_STARVED);
        return 0;
    }
    if (sim_strikes(sim, &sim->chance_driver, SIM_STARVED))
        return 0;
    if (sim_strikes(sim, &sim->chance_driver, SIM_SPLIT))
        return 1 + (uint32_t)sim_random_below(&sim->chance_driver, SPLIT_MOST);
    return SIM_PIECE_MOST;
}

/*
 * A ring's receive that a signal stops at an urgent mark sleeps on beside bytes.  Here it does so
 * only when it has just brought others, in STEP: of the rest nobody can tell (docs/reliability.md).
 */
static ssize_t receive(struct sim *sim, struct sim_file *file, struct sim_io *io,
                       enum sim_feed_step step)
{
    ssize_t got = file->calls->receive(sim, file, io);

    if (got == -EAGAIN && step == SIM_FEED_NOTHING && sim_socket_of(file)->in.size > 0)
        got = file->calls->receive(sim, file, io);
    return got;
}

enum sim_feed_step sim_feed_take(struct sim *sim, struct sim_file *file,
                                 struct os_feed *feed)
{
    enum sim_feed_step step = SIM_FEED_NOTHING;

    for (int i = 0; i < PIECES_MOST; i++) {
        uint32_t size = next_size(sim);
        struct iovec one = { sim->scratch, size };
        struct sim_io io = { .pieces = &one, .count = 1, .left = size };
        ssize_t got;

        if (size == 0) {
            feed->starved = true;
            return SIM_FEED_ENDED;
        }
        got = receive(sim, file, &io, step);
        if (got == -EAGAIN)
            return step;
        sim_trace(sim, 'f', file->number, (uint64_t)got);
        if (got <= 0) {
            feed->end = (int16_t)(got == 0 ? OS_FEED_EOF : got);
            return SIM_FEED_ENDED;
        }
        if (!keep(sim, feed, sim->scratch, (uint32_t)got)) {
            feed->end = -ENOMEM;
            return SIM_FEED_ENDED;
        }
        feed->more = sim_socket_of(file)->in.size > 0;
        if (feed->queued > OS_FEED_QUEUE_MAX)
            return SIM_FEED_ENDED;
        step = SIM_FEED_BYTES;
    }
    sim_wake(sim, file, POLLIN); /* there may be more */
    return step;
}

enum sim_feed_step sim_take_ahead(struct sim *sim, struct sim_file *file,
                                  struct os_event *event)
{
    if (event->type == OS_ACCEPT)
        return sim_accept_take(sim, file, CONTAINER(event, struct os_accept, event));
    return sim_feed_take(sim, file, CONTAINER(event, struct os_feed, event));
}
