/* SPDX-License-Identifier: MIT */
/*
 * fd/file.h -- reading and writing what is not a socket.
 */
#ifndef FD_FILE_H
#define FD_FILE_H

#include <sys/types.h>
#include <sys/uio.h>

/* As readv and writev in a task, on FD whose st_mode is MODE. */
ssize_t file_readv(int fd, mode_t mode, const struct iovec *pieces, int count);
ssize_t file_writev(int fd, mode_t mode, const struct iovec *pieces, int count);

#endif
