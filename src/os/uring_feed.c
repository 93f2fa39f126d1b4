/* SPDX-License-Identifier: MIT */
/*
 * uring_feed.c -- the buffers that multishot receives land in, and what came of them.
 *
 * All feeds of a loop share one ring of provided buffers, so an idle connection owns no
 * buffer.  A completion names a buffer and a length; the bytes go straight into the
 * waiting reader's memory if there is one (the sink), else they stay where they are as a
 * segment.  A buffer returns to the kernel when the kernel has done with it and no
 * segment of it is out.
 *
 * Running out of buffers is back-pressure, not an error: the feed ends `starved`, with
 * nothing lost, and its owner reads in another way (net/) until buffers are back.
 *
 * Always true: a buffer is in the ring, or in the kernel's hands, or lent > 0.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "os/uring.h"

#define SEGMENTS_A_CHUNK 255

struct segment_chunk {
    struct segment_chunk *next;
    struct os_segment segments[SEGMENTS_A_CHUNK];
};

static void put_buffer(struct uring_driver *self, uint32_t id)
{
    struct uring_buffer *buffer = &self->buffers[id];

    buffer->used = 0;
    buffer->in_kernel = true;
    io_uring_buf_ring_add(
        self->buffer_ring, self->memory + (size_t)id * self->buffer_size,
        self->buffer_size, (unsigned short)id, io_uring_buf_ring_mask(self->buffer_count),
        self->unpublished++);
}

static void drop_buffer(struct uring_driver *self, uint32_t id)
{
    struct uring_buffer *buffer = &self->buffers[id];

    if (!buffer->in_kernel && buffer->lent == 0)
        put_buffer(self, id);
}

void uring_buffers_publish(struct uring_driver *self)
{
    if (self->unpublished == 0)
        return;
    io_uring_buf_ring_advance(self->buffer_ring, self->unpublished);
    self->unpublished = 0;
}

static int register_buffers(struct uring_driver *self, uint32_t count, uint32_t size,
                            uint16_t flags)
{
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)self->buffer_ring,
        .ring_entries = count,
        .bgid = URING_GROUP,
        .pad = flags, /* called flags in newer headers */
    };

    self->buffer_count = count;
    self->buffer_size = size;
    return io_uring_register_buf_ring(&self->ring, &reg, 0);
}

/* Incremental where the kernel can do it: a page of ring does, and it is charged. */
static int register_either(struct uring_driver *self, uint32_t fixed)
{
    uint32_t size = (uint32_t)(self->pool / URING_INC_COUNT);
    int result = register_buffers(self, URING_INC_COUNT, size, IOU_PBUF_RING_INC);

    self->incremental = result == 0;
    if (result == -EINVAL)
        result = register_buffers(self, fixed, URING_FIXED_SIZE, 0);
    return result;
}

int uring_buffers_open(struct uring_driver *self, size_t pool)
{
    struct os *os = self->base.os;
    uint32_t fixed, most;
    int result;

    if (pool == OS_POOL_NONE)
        return -ENOBUFS;
    self->pool = pool != 0 ? pool : URING_POOL;
    fixed = (uint32_t)(self->pool / URING_FIXED_SIZE);
    most = fixed > URING_INC_COUNT ? fixed : URING_INC_COUNT;
    self->buffer_ring_size = most * sizeof(struct io_uring_buf);
    self->buffer_ring = os_map(os, self->buffer_ring_size);
    self->memory = os_map(os, self->pool);
    self->buffers = os_allocate(os, most * sizeof(self->buffers[0]));
    if (self->buffer_ring == NULL || self->memory == NULL || self->buffers == NULL)
        return -ENOMEM;
    io_uring_buf_ring_init(self->buffer_ring);
    result = register_either(self, fixed);
    if (result < 0)
        return result == -ENOMEM ? -ENOBUFS : result;
    for (uint32_t id = 0; id < self->buffer_count; id++)
        put_buffer(self, id);
    uring_buffers_publish(self);
    return uring_segment_ready(self) ? 0 : -ENOMEM;
}

void uring_buffers_close(struct uring_driver *self)
{
    struct os *os = self->base.os;

    while (self->chunks != NULL) {
        struct segment_chunk *chunk = self->chunks;
        self->chunks = chunk->next;
        os_release(os, chunk);
    }
    os_release(os, self->buffers);
    if (self->memory != NULL)
        os_unmap(os, self->memory, self->pool);
    if (self->buffer_ring != NULL)
        os_unmap(os, self->buffer_ring, self->buffer_ring_size);
    self->buffers = NULL;
    self->memory = NULL;
    self->buffer_ring = NULL;
}

/* uring_segment_ready -- see that one segment is free, so that bytes can be kept. */
bool uring_segment_ready(struct uring_driver *self)
{
    struct segment_chunk *chunk;

    if (self->free_segments != NULL)
        return true;
    chunk = os_allocate(self->base.os, sizeof(*chunk));
    if (chunk == NULL)
        return false;
    chunk->next = self->chunks;
    self->chunks = chunk;
    for (int i = 0; i < SEGMENTS_A_CHUNK; i++) {
        chunk->segments[i].next = self->free_segments;
        self->free_segments = &chunk->segments[i];
    }
    return true;
}

void uring_segment_give(struct uring_driver *self, struct os_segment *segment)
{
    uint32_t id = segment->buffer;

    CHECK(self->buffers[id].lent > 0);
    self->buffers[id].lent--;
    segment->next = self->free_segments;
    self->free_segments = segment;
    drop_buffer(self, id);
}

/* Keep SIZE bytes at DATA as a segment, or as more of the last one. */
static void keep(struct uring_driver *self, struct os_feed *feed, const char *data,
                 uint32_t size, uint32_t id)
{
    struct os_segment *last = feed->tail;

    feed->queued += size;
    if (last != NULL && last->buffer == id && last->data + last->size == data) {
        last->size += size;
        return;
    }

    struct os_segment *segment = self->free_segments;
    CHECK(segment != NULL); /* the caller saw to it */
    self->free_segments = segment->next;
    *segment = (struct os_segment){ .data = data, .size = size, .buffer = id };
    self->buffers[id].lent++;
    if (last != NULL)
        last->next = segment;
    else
        feed->head = segment;
    feed->tail = segment;
}

void uring_feed_take(struct uring_driver *self, struct os_feed *feed, int result,
                     unsigned flags)
{
    uint32_t id = flags >> IORING_CQE_BUFFER_SHIFT;
    struct uring_buffer *buffer = &self->buffers[id];
    const char *data = self->memory + (size_t)id * self->buffer_size + buffer->used;
    uint32_t size = (uint32_t)result;

    CHECK(id < self->buffer_count && buffer->in_kernel);
    CHECK(buffer->used + size <= self->buffer_size);
    buffer->used += size;
    buffer->in_kernel = self->incremental && (flags & IORING_CQE_F_BUF_MORE) != 0;

    if (feed->sink != NULL && feed->head == NULL) {
        uint32_t room = feed->sink_room - feed->sink_got;
        uint32_t part = size < room ? size : room;

        memcpy(feed->sink + feed->sink_got, data, part);
        feed->sink_got += part;
        data += part;
        size -= part;
    }
    if (size > 0)
        keep(self, feed, data, size, id);
    drop_buffer(self, id);
}
