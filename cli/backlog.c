/* SPDX-License-Identifier: MIT */
/*
 * backlog.c -- see backlog.h.
 *
 * What would not block is written at once, by who has it.  Else it is queued, and a thread
 * writes until the queue is empty.  A task could not do that: the loop is over with its last
 * task, which would wait for a reader who does not come back.
 *
 * poll(2) promises POLLOUT of a pipe only if PIPE_BUF bytes fit, and a line is shorter.
 *
 * Always true: what is put later is written later.
 */
#include "backlog.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000

int write_whole(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t done = write(fd, text, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? errno : EIO;
        text += done;
        size -= (size_t)done;
    }
    return 0;
}

static bool would_block(int fd)
{
    struct pollfd entry = { .fd = fd, .events = POLLOUT };

    return poll(&entry, 1, 0) == 0;
}

/* The thread: it ends when nothing is queued. */
static void *write_queued(void *arg)
{
    struct backlog *backlog = arg;

    (void)pthread_mutex_lock(&backlog->lock);
    while (backlog->size > 0) {
        char *bytes = backlog->bytes;
        size_t size = backlog->size;
        int error;

        backlog->bytes = NULL;
        backlog->size = 0;
        (void)pthread_mutex_unlock(&backlog->lock);
        error = write_whole(backlog->fd, bytes, size);
        free(bytes);
        (void)pthread_mutex_lock(&backlog->lock);
        backlog->error = error ? error : backlog->error;
    }
    backlog->writing = false;
    (void)pthread_cond_signal(&backlog->idle);
    (void)pthread_mutex_unlock(&backlog->lock);
    return NULL;
}

/* Start the thread, which takes no signals: those are for the loop.  Returns 0 or an errno. */
static int start_writing(struct backlog *backlog)
{
    sigset_t all, before;
    pthread_t thread;
    int error;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, NULL, write_queued, backlog);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        return error;
    (void)pthread_detach(thread);
    backlog->writing = true;
    return 0;
}

static int queue(struct backlog *backlog, const char *text, size_t size)
{
    int error = 0;

    if (!backlog->bytes)
        backlog->bytes = malloc(BACKLOG_MOST);
    if (!backlog->bytes)
        return ENOMEM;
    if (size > BACKLOG_MOST - backlog->size)
        return ENOBUFS;
    memcpy(backlog->bytes + backlog->size, text, size);
    backlog->size += size;
    if (!backlog->writing)
        error = start_writing(backlog);
    if (error)
        backlog->size = 0; /* it was the only one */
    return error;
}

int backlog_put(struct backlog *backlog, const char *text, size_t size)
{
    int error;

    (void)pthread_mutex_lock(&backlog->lock);
    error = backlog->writing || would_block(backlog->fd)
                ? queue(backlog, text, size)
                : write_whole(backlog->fd, text, size);
    (void)pthread_mutex_unlock(&backlog->lock);
    return error;
}

int backlog_wait(struct backlog *backlog, int64_t length)
{
    struct timespec end;
    int error = 0;

    (void)clock_gettime(CLOCK_REALTIME, &end);
    length += end.tv_nsec;
    end.tv_sec += length / SECOND;
    end.tv_nsec = length % SECOND;
    (void)pthread_mutex_lock(&backlog->lock);
    while (backlog->writing && !error)
        error = pthread_cond_timedwait(&backlog->idle, &backlog->lock, &end);
    error = error ? error : backlog->error;
    (void)pthread_mutex_unlock(&backlog->lock);
    return error;
}
