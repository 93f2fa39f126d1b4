/* SPDX-License-Identifier: MIT */
/*
 * linux_pipe.h -- pipes of the real kernel, for linux.c; the contracts stand in os.h.
 */
#ifndef OS_LINUX_PIPE_H
#define OS_LINUX_PIPE_H

#include "os/os.h"

int linux_pipe(struct os *os, size_t size, int fds[2]);
ssize_t linux_splice_in(struct os *os, int fd, int pipe, size_t size);
ssize_t linux_splice_out(struct os *os, int pipe, int fd, size_t size);

#endif
