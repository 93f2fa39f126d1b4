/* SPDX-License-Identifier: MIT */
/*
 * pipes.c -- the loop's store of pipes, through which bytes are spliced.
 *
 * Who has bytes in one keeps it, and gives it back empty; so a loop that is busy uses few
 * of them, and its descriptors do not run out: there are PIPES_MAX at the most.  Who gets
 * none, copies.
 */
#include "base/check.h"
#include "task/task.h"

/* Pipes in use and spare: 64 MiB of the kernel's memory, if all are full. */
#define PIPES_MAX 64
#define SPARE_MAX 8

struct pipe *pipe_take(void)
{
    struct tn_loop *loop = loop_current;
    struct pipe *taken = loop->spare_pipes;

    if (taken != NULL) {
        loop->spare_pipes = taken->next;
        loop->spare_pipe_count--;
        return taken;
    }
    if (loop->pipe_count == PIPES_MAX)
        return NULL;
    taken = os_allocate(loop->os, sizeof(*taken));
    if (taken == NULL)
        return NULL;
    if (os_pipe(loop->os, PIPE_SIZE, taken->fds) < 0) {
        os_release(loop->os, taken);
        return NULL;
    }
    loop->pipe_count++;
    return taken;
}

void pipe_drop(struct pipe *dropped)
{
    struct tn_loop *loop = loop_current;

    os_close(loop->os, dropped->fds[0]); /* whatever it says: the descriptor is gone */
    os_close(loop->os, dropped->fds[1]);
    os_release(loop->os, dropped);
    loop->pipe_count--;
}

void pipe_give(struct pipe *given)
{
    struct tn_loop *loop = loop_current;

    if (loop->spare_pipe_count == SPARE_MAX) {
        pipe_drop(given);
        return;
    }
    given->next = loop->spare_pipes;
    loop->spare_pipes = given;
    loop->spare_pipe_count++;
}

void pipes_release(struct tn_loop *loop)
{
    while (loop->spare_pipes != NULL) {
        struct pipe *spare = loop->spare_pipes;

        loop->spare_pipes = spare->next;
        os_close(loop->os, spare->fds[0]);
        os_close(loop->os, spare->fds[1]);
        os_release(loop->os, spare);
        loop->pipe_count--;
    }
    CHECK(loop->pipe_count == 0); /* a pump was not released */
}
