/* SPDX-License-Identifier: MIT */
/*
 * buffers.c -- the loop's store of large buffers, last used first.
 *
 * Who has data to put somewhere takes one and gives it back soon; up to SPARES_MAX wait
 * for the next, the rest goes back to the system.
 */
#include "base/check.h"
#include "task/task.h"

/* 4 MiB at the most. */
#define SPARES_MAX 64

struct spare_buffer {
    struct spare_buffer *next;
};

void *buffer_take(void)
{
    struct tn_loop *loop = loop_current;
    struct spare_buffer *spare = loop->spare_buffers;

    if (spare == NULL)
        return os_allocate(loop->os, BUFFER_SIZE);
    loop->spare_buffers = spare->next;
    loop->spare_count--;
    return spare;
}

void buffer_give(void *buffer)
{
    struct tn_loop *loop = loop_current;
    struct spare_buffer *spare = buffer;

    if (loop->spare_count == SPARES_MAX) {
        os_release(loop->os, buffer);
        return;
    }
    spare->next = loop->spare_buffers;
    loop->spare_buffers = spare;
    loop->spare_count++;
}

void buffers_release(struct tn_loop *loop)
{
    while (loop->spare_buffers != NULL) {
        struct spare_buffer *spare = loop->spare_buffers;

        loop->spare_buffers = spare->next;
        os_release(loop->os, spare);
    }
}
