/* SPDX-License-Identifier: MIT */
/*
 * fd/fd.h -- the calls of <tenon/fd.h> for the rest of the library: same names without tn_,
 * -errno instead of errno, and otherwise the same contracts.
 *
 * Inside a task they park; outside they are the plain calls.
 */
#ifndef FD_FD_H
#define FD_FD_H

#include <tenon/fd.h>

int fd_accept(int fd, struct sockaddr *address, socklen_t *size, int flags);
int fd_connect(int fd, const struct sockaddr *address, socklen_t size);
int fd_close(int fd);
int fd_dup(int old_fd, int new_fd, int flags);

ssize_t fd_read(int fd, void *buf, size_t size);
ssize_t fd_readv(int fd, const struct iovec *pieces, int count);
ssize_t fd_recvfrom(int fd, void *buf, size_t size, int flags, struct sockaddr *address,
                    socklen_t *address_size);
ssize_t fd_recvmsg(int fd, struct msghdr *message, int flags);

ssize_t fd_write(int fd, const void *buf, size_t size);
ssize_t fd_writev(int fd, const struct iovec *pieces, int count);
ssize_t fd_sendto(int fd, const void *buf, size_t size, int flags,
                  const struct sockaddr *address, socklen_t address_size);
ssize_t fd_sendmsg(int fd, const struct msghdr *message, int flags);

int fd_poll(struct pollfd *entries, nfds_t count, int timeout_ms);

/* SO_RCVLOWAT has been set somewhere in this process: receivers must look at it. */
void fd_note_low_mark(void);
bool fd_low_mark_noted(void);

#endif
