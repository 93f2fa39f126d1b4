/* SPDX-License-Identifier: MIT */
/*
 * tenon/fd.h -- the socket calls under their own names, on plain descriptors.
 *
 * Each function here is the system call whose name it carries: same arguments, same
 * result, same errno, same bytes.  Only the waiting differs.  Inside a task a call that
 * would block parks the task, and the thread goes on with others; outside a task the
 * function is the plain call.  Any descriptor will do: sockets of every family and type,
 * pipes, terminals, eventfds, regular files (which never park: the kernel gives no
 * readiness for them).  tests/calls holds all of this against the kernel's own calls.
 *
 * How a call waits.  It tries without blocking; where that would block and the descriptor
 * is in blocking mode, the task parks until the descriptor is ready, and the call tries
 * again.  So nothing happens to a descriptor, or to the caller's memory, behind the
 * caller's back, and the mode is always the kernel's own O_NONBLOCK flag: whoever shares
 * the descriptor (dup, fork, SCM_RIGHTS) sees one and the same mode.
 *
 * What "as the kernel" includes, for every call that can wait:
 *   O_NONBLOCK, MSG_DONTWAIT   EAGAIN instead of waiting (connect: EINPROGRESS).
 *   SO_RCVTIMEO, SO_SNDTIMEO   the limit of one whole call, as set on the socket by
 *                              whatever means; then EAGAIN (connect: EINPROGRESS), or
 *                              the count, if bytes have moved already.  See socket(7).
 *   signals                    EINTR, or the count, when a handler without SA_RESTART ran
 *                              on this thread while it was waiting for its tasks.  After a
 *                              handler with SA_RESTART the call goes on waiting, but not
 *                              where the kernel would not: poll, sockets with a time-out,
 *                              and calls that have moved some of their bytes, which return
 *                              how many.  See signal(7).
 *   SIGPIPE                    raised in this thread, as by the plain call.
 *   EFAULT                     a bad pointer is the kernel's to find; nothing crashes.
 *
 * The differences from the plain calls, all of them:
 *   [closed]     Tasks parked on a descriptor that tn_fd_close, tn_fd_dup2 or tn_fd_dup3
 *                takes away get ECANCELED before it goes (Linux would leave them waiting
 *                on the old file).  POSIX leaves this open.
 *   [cancelled]  A task that is cancelled gets ECANCELED from the call it is parked in and
 *                from every later one that would park; bytes moved before that are
 *                returned as a count first.
 *   [signals]    Of the tasks parked on a thread each one sees a signal taken while the
 *                thread waited; one that was taken while another task ran, none.  (With
 *                threads the kernel picks one thread.)  A task that must not miss a signal
 *                waits for it as for any other event: see tenon/task.h.  None reaches a
 *                close that lingers, and a receive of no bytes on TCP, which the kernel ends
 *                with 0 at any signal, is as others are.
 *   [mode]       A call that waits goes on in the mode in which it began; after a handler
 *                with SA_RESTART the kernel looks at O_NONBLOCK again.
 *   [moment]     accept, connect, and reads and writes of named pipes and eventfds have no
 *                non-blocking form of their own: O_NONBLOCK is set for the time of that one
 *                system call and put back, under a lock of this process.  Another process
 *                that shares the descriptor can notice.
 *   [no edge]    connect to a Unix listener whose backlog is full and sendto on an
 *                unconnected Unix datagram socket wait for something that no descriptor
 *                shows; these two look again after 50 us, twice that, and so on to 10 ms.
 *
 * errno belongs to the task: it survives parking, and a call that succeeds leaves it alone.
 * Closing is the caller's: no function here takes over a descriptor it is given, but those
 * that end one by name.  TN_MUST: the compiler refuses a result that nobody looks at.
 */
#ifndef TENON_FD_H
#define TENON_FD_H

#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <tenon/control.h>
#include <tenon/err.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * tn_fd_socket -- a new socket.
 *
 * Every family, type and protocol of the kernel; TYPE may carry SOCK_NONBLOCK and
 * SOCK_CLOEXEC.  Returns the descriptor, which the caller closes; 0 is as good as any
 * other.  Does not park.
 *
 * Errors: EACCES, EAFNOSUPPORT, EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTONOSUPPORT,
 * EPROTOTYPE, ESOCKTNOSUPPORT.  socket(2)
 */
TN_API TN_MUST int tn_fd_socket(int domain, int type, int protocol);

/*
 * tn_fd_socketpair -- two sockets connected to each other.
 *
 * Stores the descriptors in PAIR on success only; the caller closes both.  Does not park.
 *
 * Errors: those of tn_fd_socket, EFAULT, EOPNOTSUPP.  socketpair(2)
 */
TN_API TN_MUST int tn_fd_socketpair(int domain, int type, int protocol, int pair[2]);

/*
 * tn_fd_bind -- give a socket its own address.
 *
 * INADDR_ANY and in6addr_any mean every interface; port 0 lets the kernel choose (see
 * getsockname(2)).  Does not park.
 *
 * Errors: EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EBADF, EFAULT, EINVAL (already
 * bound, or SIZE is wrong), ENOTSOCK; Unix: ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR,
 * EROFS.  bind(2), ip(7), ipv6(7), unix(7)
 */
TN_API TN_MUST int tn_fd_bind(int fd, const struct sockaddr *address, socklen_t size);

/*
 * tn_fd_listen -- let connections come.
 *
 * BACKLOG is how many may wait to be accepted; the kernel takes at most
 * net.core.somaxconn, and TCP queues one more than it says.  Does not park.
 *
 * Errors: EADDRINUSE, EBADF, EINVAL, ENOTSOCK, EOPNOTSUPP.  listen(2)
 */
TN_API TN_MUST int tn_fd_listen(int fd, int backlog);

/*
 * tn_fd_accept, tn_fd_accept4 -- take one connection.
 *
 * Parks until there is one; SO_RCVTIMEO of the listener limits that.  Returns a new
 * descriptor, which the caller closes and which starts in blocking mode whatever the
 * listener's is; FLAGS may be SOCK_NONBLOCK and SOCK_CLOEXEC.  Unless ADDRESS is NULL,
 * stores the peer's address there, cut to *SIZE, and its true size in *SIZE.
 *
 * A bad ADDRESS is found after the connection was taken, which is then lost: EFAULT.
 *
 * Errors: EAGAIN (non-blocking, or the time is up), EBADF, ECONNABORTED, EFAULT, EINTR,
 * EINVAL (not listening; a bad flag), EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOTSOCK, EOPNOTSUPP,
 * EPERM, EPROTO, and errors of the new connection that TCP already knows; ECANCELED
 * [cancelled], [closed].  accept(2)
 */
TN_API TN_MUST int tn_fd_accept(int fd, struct sockaddr *address, socklen_t *size);
TN_API TN_MUST int tn_fd_accept4(int fd, struct sockaddr *address, socklen_t *size,
                                 int flags);

/*
 * tn_fd_connect -- connect to a peer, or name a datagram socket's peer.
 *
 * Parks until the connection stands or has failed; SO_SNDTIMEO limits that.  Interrupted
 * or out of time, the attempt goes on in the kernel: call again with the same address to
 * wait for it (0 once it stands, then EISCONN), or poll for POLLOUT and ask SO_ERROR.
 *
 * Errors: EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EAGAIN (Unix: backlog full and
 * non-blocking; no free port), EALREADY (a second call finds the first still going, and
 * may not wait), EBADF, ECONNREFUSED, ECONNRESET, EFAULT, EHOSTUNREACH, EINPROGRESS
 * (non-blocking, or the time is up), EINTR, EINVAL, EISCONN, ENETUNREACH, ENOTSOCK, EPERM,
 * EPROTOTYPE, ETIMEDOUT (TCP gave up); ECANCELED [cancelled], [closed].  connect(2)
 */
TN_API TN_MUST int tn_fd_connect(int fd, const struct sockaddr *address, socklen_t size);

/*
 * tn_fd_shutdown -- end one direction of a connection, or both, for all who share it.
 *
 * HOW is SHUT_RD, SHUT_WR or SHUT_RDWR.  SHUT_WR sends what is queued, then the end.  Tasks
 * parked in either direction wake as threads would: readers with 0, writers with EPIPE.
 * After SHUT_RD the kernel still takes what TCP brings, and still gives it out.  Does not
 * park.
 *
 * Errors: EBADF, EINVAL, ENOTCONN, ENOTSOCK.  shutdown(2)
 */
TN_API TN_MUST int tn_fd_shutdown(int fd, int how);

/*
 * tn_fd_close -- give up a descriptor.
 *
 * Tasks parked on it get ECANCELED first [closed].  Whatever this returns, the descriptor
 * is gone: never call it again, after EINTR least of all.  The connection ends when the last
 * reference goes (dup, fork, SCM_RIGHTS); bytes that nobody has read then make TCP send a
 * reset.  Parks only where SO_LINGER asks close to wait: a helper thread does the waiting,
 * the other tasks go on.
 *
 * Errors: EBADF, EDQUOT, EINTR, EIO, ENOSPC (all but EBADF: of earlier writes to a file).
 * close(2), socket(7)
 */
TN_API TN_MUST int tn_fd_close(int fd);

/*
 * tn_fd_dup2, tn_fd_dup3 -- let NEW_FD mean what OLD_FD means.
 *
 * They close NEW_FD, so tasks parked on it get ECANCELED first [closed]; dup(2) and
 * fcntl(F_DUPFD) take nothing away and are used plain.  FLAGS: O_CLOEXEC.  Returns NEW_FD,
 * which the caller closes.  Does not park.
 *
 * Errors: EBADF, EBUSY, EINTR, EINVAL (dup3: the two are the same, or a bad flag), EMFILE.
 * dup(2)
 */
TN_API TN_MUST int tn_fd_dup2(int old_fd, int new_fd);
TN_API TN_MUST int tn_fd_dup3(int old_fd, int new_fd, int flags);

/*
 * tn_fd_read, tn_fd_readv -- take what has come, up to SIZE bytes; 0 at the end.
 *
 * Parks until there is something: a byte, a datagram, the end, an error; on a stream socket
 * with SO_RCVLOWAT, until that many bytes.  What a datagram has beyond SIZE is lost.  readv
 * fills COUNT pieces (0 to IOV_MAX) in turn.  SIZE 0 returns 0 at once, and takes nothing.
 *
 * Errors: EAGAIN, EBADF, EFAULT, EINTR, EINVAL, EIO, EISDIR, and of sockets ECONNREFUSED,
 * ECONNRESET, ENOTCONN, ETIMEDOUT, EHOSTUNREACH and others that the network reports;
 * ECANCELED [cancelled], [closed].  read(2), readv(2)
 */
TN_API TN_MUST ssize_t tn_fd_read(int fd, void *buf, size_t size);
TN_API TN_MUST ssize_t tn_fd_readv(int fd, const struct iovec *pieces, int count);

/*
 * tn_fd_write, tn_fd_writev -- hand SIZE bytes to the kernel.
 *
 * Parks until it has taken all of them; less comes back only in non-blocking mode, or when
 * an error, a signal or SO_SNDTIMEO ended a call that had moved some.  A count says where
 * the bytes are: in this host's send buffer, not with the peer.  On a connection whose
 * peer reads no more the first write may succeed; once the reset is here the next one
 * reports it (ECONNRESET), and those after that EPIPE with SIGPIPE.
 *
 * Errors: EAGAIN, EBADF, ECONNRESET, EDESTADDRREQ, EDQUOT, EFAULT, EFBIG, EINTR, EINVAL,
 * EIO, EMSGSIZE, ENOBUFS, ENOSPC, ENOTCONN, EPERM, EPIPE (with SIGPIPE), ETIMEDOUT, and
 * others that the network reports; ECANCELED [cancelled], [closed].  write(2), writev(2)
 */
TN_API TN_MUST ssize_t tn_fd_write(int fd, const void *buf, size_t size);
TN_API TN_MUST ssize_t tn_fd_writev(int fd, const struct iovec *pieces, int count);

/*
 * tn_fd_recv, tn_fd_recvfrom -- as tn_fd_read, on sockets, with flags.
 *
 * FLAGS, in any combination that the kernel takes:
 *   MSG_DONTWAIT      never parks: EAGAIN
 *   MSG_PEEK          leaves what it shows in the queue
 *   MSG_WAITALL       streams: parks until SIZE bytes are here; less at the end of the stream,
 *                     before an urgent byte or passed descriptors, at an error, a signal, the
 *                     time-out
 *   MSG_TRUNC         datagrams: returns the true length, beyond SIZE too.  TCP: takes up to
 *                     SIZE bytes away without storing them
 *   MSG_OOB           the urgent byte; never parks: EINVAL when there is none, EAGAIN when
 *                     it is announced and not here.  A second urgent byte turns an unread first
 *                     one into ordinary data.  tcp(7)
 *   MSG_ERRQUEUE      from the error queue; never parks: EAGAIN when it is empty
 *   MSG_CMSG_CLOEXEC  recvmsg: received descriptors get O_CLOEXEC
 * SIZE 0 is not tn_fd_read's: it takes a datagram.  recvfrom stores the sender's address
 * as tn_fd_accept does; TCP stores none.
 *
 * Errors: those of tn_fd_read, ENOTSOCK, EOPNOTSUPP, ENOMEM; ECANCELED [cancelled], [closed].
 * recv(2), socket(7), ip(7)
 */
TN_API TN_MUST ssize_t tn_fd_recv(int fd, void *buf, size_t size, int flags);
TN_API TN_MUST ssize_t tn_fd_recvfrom(int fd, void *buf, size_t size, int flags,
                                      struct sockaddr *address, socklen_t *address_size);

/*
 * tn_fd_recvmsg -- as tn_fd_recv, into pieces, with control data.
 *
 * Fills MESSAGE as recvmsg(2) does: msg_name and msg_namelen, the pieces, msg_control and
 * msg_controllen, msg_flags (MSG_EOR, MSG_TRUNC, MSG_CTRUNC, MSG_OOB, MSG_ERRQUEUE).  On
 * failure MESSAGE is as it was.  Descriptors in the control data are the caller's, and are
 * easily lost: tn_control_receive (tenon/control.h) keeps hold of them.
 *
 * Errors: those of tn_fd_recv, EMSGSIZE (more than IOV_MAX pieces).  recvmsg(2), cmsg(3)
 */
TN_API TN_MUST ssize_t tn_fd_recvmsg(int fd, struct msghdr *message, int flags);

/*
 * tn_fd_send, tn_fd_sendto -- as tn_fd_write, on sockets, with flags.
 *
 * FLAGS, in any combination that the kernel takes:
 *   MSG_DONTWAIT   never parks: EAGAIN, or a count short of SIZE
 *   MSG_NOSIGNAL   EPIPE without SIGPIPE
 *   MSG_OOB        streams: the last byte is the urgent one
 *   MSG_MORE       more will follow: hold a partial segment or datagram back
 *   MSG_EOR        the end of a record, where the protocol has records
 *   MSG_DONTROUTE, MSG_CONFIRM, MSG_FASTOPEN, MSG_ZEROCOPY   as the kernel has them
 * sendto names the receiver of a datagram; on a connected stream ADDRESS is ignored or EISCONN.
 *
 * Errors: those of tn_fd_write, EACCES, EALREADY, EISCONN, ENOTSOCK, EOPNOTSUPP, ENOMEM;
 * ECANCELED [cancelled], [closed].  send(2)
 */
TN_API TN_MUST ssize_t tn_fd_send(int fd, const void *buf, size_t size, int flags);
TN_API TN_MUST ssize_t tn_fd_sendto(int fd, const void *buf, size_t size, int flags,
                                    const struct sockaddr *address,
                                    socklen_t address_size);

/*
 * tn_fd_sendmsg -- as tn_fd_sendto, from pieces, with control data.
 *
 * Control data travels with the first byte.  If the kernel takes the bytes of a stream in
 * several steps, passed descriptors are sent once, and credentials with each step.
 *
 * Errors: those of tn_fd_sendto, EMSGSIZE (more than IOV_MAX pieces), EINVAL (control data),
 * ETOOMANYREFS.  sendmsg(2), cmsg(3), unix(7)
 */
TN_API TN_MUST ssize_t tn_fd_sendmsg(int fd, const struct msghdr *message, int flags);

/*
 * tn_fd_fcntl, tn_fd_ioctl -- the modes and the rest.
 *
 * Every command of the kernel, with its own third argument, if any.  fcntl(F_SETFL,
 * O_NONBLOCK) and ioctl(FIONBIO) are one switch, shared by all who share the descriptor.
 * Neither parks: a command that waits (F_SETLKW, TCSBRK and a few more) stops the thread, as
 * it does plainly; take F_SETLK.
 *
 * Errors: EACCES, EAGAIN, EBADF, EFAULT, EINTR, EINVAL, EMFILE, ENOTTY, EPERM and those of
 * the command.  fcntl(2), ioctl(2), ioctl_tty(2), tcp(7), unix(7)
 */
TN_API TN_MUST int tn_fd_fcntl(int fd, int command, ...);
TN_API TN_MUST int tn_fd_ioctl(int fd, unsigned long request, ...);

/*
 * tn_fd_setsockopt, tn_fd_getsockopt -- the options.
 *
 * The kernel keeps them all, so it does not matter who set them.  SO_RCVTIMEO and
 * SO_SNDTIMEO (of SOL_SOCKET; other levels use the same numbers for other things) limit
 * every call that waits, to the microsecond as far as the kernel's clock tick goes: it rounds
 * up, and a limit that is not zero never becomes "none".  Do not park.
 *
 * Errors: EACCES, EBADF, EBUSY, EDOM, EFAULT, EINVAL, EISCONN, ENOPROTOOPT, ENOTSOCK, EPERM
 * and those of the option.  setsockopt(2), socket(7), tcp(7), ip(7), ipv6(7), unix(7)
 */
TN_API TN_MUST int tn_fd_setsockopt(int fd, int level, int name, const void *value,
                                    socklen_t size);
TN_API TN_MUST int tn_fd_getsockopt(int fd, int level, int name, void *value,
                                    socklen_t *size);

/*
 * tn_fd_poll -- wait until one of several descriptors is ready.
 *
 * Parks until one of COUNT entries has an event, or for TIMEOUT_MS milliseconds: -1 is for
 * ever, 0 looks once.  POLLPRI too.  Returns how many entries have revents; 0 when time is up.
 * A handler, with SA_RESTART or without, ends it with EINTR.
 *
 * Errors: EFAULT, EINTR, EINVAL (more entries than RLIMIT_NOFILE), ENOMEM; while it has to
 * wait also EMFILE and ENFILE: several descriptors take one more; ECANCELED [cancelled],
 * [closed].  poll(2)
 */
TN_API TN_MUST int tn_fd_poll(struct pollfd *entries, nfds_t count, int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif /* TENON_FD_H */
