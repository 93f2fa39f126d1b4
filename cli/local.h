/* SPDX-License-Identifier: MIT */
/*
 * local.h -- our own ends: standard input and output, and files.
 *
 * Reading and writing them parks the task where the system lets it (pipes, terminals,
 * sockets); regular files never make one wait for long.  EINTR never shows and writes are
 * whole, as with connections.
 */
#ifndef TENON_CLI_LOCAL_H
#define TENON_CLI_LOCAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenon.h>

/*
 * local_prepare -- the first thing a program does: closed standard descriptors are taken,
 * so that no socket gets their numbers, and SIGPIPE and SIGXFSZ are ignored.
 */
void local_prepare(void);

/* local_raise_files -- as many open files as the system allows us. */
void local_raise_files(void);

/*
 * local_lower_files -- as many as we were given, for a program that is about to start: one
 * that uses select(2) cannot have more than 1024.  What is open stays open.
 */
void local_lower_files(void);

/* local_most_files -- how many files may be open now; without a limit a huge number. */
uint64_t local_most_files(void);

/* An end of ours. */
struct local {
    int fd;           /* -1: none */
    bool is_file;     /* a regular one: reading and writing never wait */
    bool is_terminal; /* or was one, before it hung up */
};

/*
 * local_own -- before FD, standard input or output, becomes an end of ours: if others may
 * share a named pipe with us there, open it anew, in the same direction.  It has as many
 * readers and writers as before, so what is its end stays that.
 */
void local_own(int fd);

/* local_end -- FD as an end of ours. */
struct local local_end(int fd);

/*
 * local_read -- wait for bytes of END, then take what has come: 1 to SIZE, into *GOT.
 *
 * Errors: TN_EOF at the end, also when standard input was closed from the beginning;
 * TN_CANCELED; others with the errno as their code: EBADF when it is not open for reading,
 * EIO also when a terminal has hung up.
 */
TN_MUST tn_err local_read(struct local end, void *buf, size_t size, size_t *got);

/*
 * local_write -- write all SIZE bytes to END; *DONE is always how many it has taken.
 *
 * Errors: TN_CANCELED; others with the errno as their code: EPIPE when nobody reads.
 */
TN_MUST tn_err local_write(struct local end, const void *buf, size_t size, size_t *done);

/* local_poll_time -- the milliseconds until DEADLINE, as tn_fd_poll wants them. */
int local_poll_time(tn_deadline deadline);

/*
 * local_gone -- wait until nobody reads END any more, for LENGTH at most.  Where that does
 * not show (files, terminals) it just waits.
 *
 * Errors: TN_DEADLINE (LENGTH is over), TN_CANCELED.
 */
TN_MUST tn_err local_gone(struct local end, int64_t length);

#endif
