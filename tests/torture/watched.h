/* SPDX-License-Identifier: MIT */
/*
 * watched.h -- the library's calls under their own names, each answer looked at.
 *
 * A name in parentheses is not replaced again: (tn_read)(...) is the call itself.
 */
#ifndef TORTURE_WATCHED_H
#define TORTURE_WATCHED_H

#include <tenon.h>
#include <tenon/fd.h>

/* clang-format off */
#define WATCH(call, ...) torture_saw(#call, (call)(__VA_ARGS__))
#define tn_accept(...)        WATCH(tn_accept, __VA_ARGS__)
#define tn_adopt(...)         WATCH(tn_adopt, __VA_ARGS__)
#define tn_chan_open(...)     WATCH(tn_chan_open, __VA_ARGS__)
#define tn_chan_receive(...)  WATCH(tn_chan_receive, __VA_ARGS__)
#define tn_chan_send(...)     WATCH(tn_chan_send, __VA_ARGS__)
#define tn_close(...)         WATCH(tn_close, __VA_ARGS__)
#define tn_close_discard(...) WATCH(tn_close_discard, __VA_ARGS__)
#define tn_confirm(...)       WATCH(tn_confirm, __VA_ARGS__)
#define tn_dial(...)          WATCH(tn_dial, __VA_ARGS__)
#define tn_dial_addr(...)     WATCH(tn_dial_addr, __VA_ARGS__)
#define tn_end(...)           WATCH(tn_end, __VA_ARGS__)
#define tn_go(...)            WATCH(tn_go, __VA_ARGS__)
#define tn_go_late(...)       WATCH(tn_go_late, __VA_ARGS__)
#define tn_group_open(...)    WATCH(tn_group_open, __VA_ARGS__)
#define tn_join(...)          WATCH(tn_join, __VA_ARGS__)
#define tn_listen(...)        WATCH(tn_listen, __VA_ARGS__)
#define tn_loop_self(...)     WATCH(tn_loop_self, __VA_ARGS__)
#define tn_offload(...)       WATCH(tn_offload, __VA_ARGS__)
#define tn_pair(...)          WATCH(tn_pair, __VA_ARGS__)
#define tn_peek(...)          WATCH(tn_peek, __VA_ARGS__)
#define tn_post(...)          WATCH(tn_post, __VA_ARGS__)
#define tn_read(...)          WATCH(tn_read, __VA_ARGS__)
#define tn_read_all(...)      WATCH(tn_read_all, __VA_ARGS__)
#define tn_read_lease(...)    WATCH(tn_read_lease, __VA_ARGS__)
#define tn_read_until(...)    WATCH(tn_read_until, __VA_ARGS__)
#define tn_release(...)       WATCH(tn_release, __VA_ARGS__)
#define tn_resolve(...)       WATCH(tn_resolve, __VA_ARGS__)
#define tn_select(...)        WATCH(tn_select, __VA_ARGS__)
#define tn_send_urgent(...)   WATCH(tn_send_urgent, __VA_ARGS__)
#define tn_signals_open(...)  WATCH(tn_signals_open, __VA_ARGS__)
#define tn_signals_wait(...)  WATCH(tn_signals_wait, __VA_ARGS__)
#define tn_sleep(...)         WATCH(tn_sleep, __VA_ARGS__)
#define tn_wait_urgent(...)   WATCH(tn_wait_urgent, __VA_ARGS__)
#define tn_write(...)         WATCH(tn_write, __VA_ARGS__)
#define tn_writev(...)        WATCH(tn_writev, __VA_ARGS__)

#define WATCH_PLAIN(call, ...) torture_saw_plain(#call, (call)(__VA_ARGS__))
#define tn_fd_accept(...)     (int)WATCH_PLAIN(tn_fd_accept, __VA_ARGS__)
#define tn_fd_bind(...)       (int)WATCH_PLAIN(tn_fd_bind, __VA_ARGS__)
#define tn_fd_close(...)      (int)WATCH_PLAIN(tn_fd_close, __VA_ARGS__)
#define tn_fd_connect(...)    (int)WATCH_PLAIN(tn_fd_connect, __VA_ARGS__)
#define tn_fd_dup2(...)       (int)WATCH_PLAIN(tn_fd_dup2, __VA_ARGS__)
#define tn_fd_dup3(...)       (int)WATCH_PLAIN(tn_fd_dup3, __VA_ARGS__)
#define tn_fd_fcntl(...)      (int)WATCH_PLAIN(tn_fd_fcntl, __VA_ARGS__)
#define tn_fd_getsockopt(...) (int)WATCH_PLAIN(tn_fd_getsockopt, __VA_ARGS__)
#define tn_fd_ioctl(...)      (int)WATCH_PLAIN(tn_fd_ioctl, __VA_ARGS__)
#define tn_fd_listen(...)     (int)WATCH_PLAIN(tn_fd_listen, __VA_ARGS__)
#define tn_fd_poll(...)       (int)WATCH_PLAIN(tn_fd_poll, __VA_ARGS__)
#define tn_fd_read(...)       WATCH_PLAIN(tn_fd_read, __VA_ARGS__)
#define tn_fd_readv(...)      WATCH_PLAIN(tn_fd_readv, __VA_ARGS__)
#define tn_fd_recv(...)       WATCH_PLAIN(tn_fd_recv, __VA_ARGS__)
#define tn_fd_recvfrom(...)   WATCH_PLAIN(tn_fd_recvfrom, __VA_ARGS__)
#define tn_fd_recvmsg(...)    WATCH_PLAIN(tn_fd_recvmsg, __VA_ARGS__)
#define tn_fd_send(...)       WATCH_PLAIN(tn_fd_send, __VA_ARGS__)
#define tn_fd_sendmsg(...)    WATCH_PLAIN(tn_fd_sendmsg, __VA_ARGS__)
#define tn_fd_sendto(...)     WATCH_PLAIN(tn_fd_sendto, __VA_ARGS__)
#define tn_fd_setsockopt(...) (int)WATCH_PLAIN(tn_fd_setsockopt, __VA_ARGS__)
#define tn_fd_shutdown(...)   (int)WATCH_PLAIN(tn_fd_shutdown, __VA_ARGS__)
#define tn_fd_socket(...)     (int)WATCH_PLAIN(tn_fd_socket, __VA_ARGS__)
#define tn_fd_socketpair(...) (int)WATCH_PLAIN(tn_fd_socketpair, __VA_ARGS__)
#define tn_fd_write(...)      WATCH_PLAIN(tn_fd_write, __VA_ARGS__)
#define tn_fd_writev(...)     WATCH_PLAIN(tn_fd_writev, __VA_ARGS__)
/* clang-format on */

#endif
