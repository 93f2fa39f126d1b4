/* SPDX-License-Identifier: MIT */
/*
 * backlog.h -- lines on their way to a reader who may be slow, or stand still.
 *
 * Nobody waits for that reader but a thread, and that only once there is something to wait
 * for: so a relay whose standard error is a stuck pipe goes on, and hears its signals.
 */
#ifndef TENON_CLI_BACKLOG_H
#define TENON_CLI_BACKLOG_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As much waits in memory; as much again may be with the thread. */
#define BACKLOG_MOST ((size_t)1 << 20)

struct backlog {
    int fd;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    bool writing; /* the thread runs, and what comes queues behind it */
    char *bytes;  /* NULL, or BACKLOG_MOST; */
    size_t size;  /* so many of them are in use */
    int error;    /* the last of the thread's, 0 if none */
};

#define BACKLOG_FOR(number)                                                              \
    {                                                                                    \
        .fd = (number), .lock = PTHREAD_MUTEX_INITIALIZER,                               \
        .idle = PTHREAD_COND_INITIALIZER                                                 \
    }

/* write_whole -- write all of TEXT to FD, waiting for its reader.  Returns 0 or the errno. */
int write_whole(int fd, const char *text, size_t size);

/*
 * backlog_put -- write TEXT, a line below PIPE_BUF bytes, or queue it if that would block.
 * Returns 0 or the errno with which it is lost: ENOBUFS if the reader is that slow.
 */
int backlog_put(struct backlog *backlog, const char *text, size_t size);

/*
 * backlog_wait -- until all is written, for LENGTH nanoseconds at most.  Blocks the thread.
 * Returns 0, or the errno with which some of it was lost: ETIMEDOUT if it is still there.
 */
int backlog_wait(struct backlog *backlog, int64_t length);

#endif
