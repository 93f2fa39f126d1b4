/* SPDX-License-Identifier: MIT */
/*
 * tenon/conn.h -- connections: streams of bytes over TCP and Unix sockets.
 *
 *      client:  dial, write, end, read ..., close          (it writes, then reads)
 *      server:  listen, accept, read ..., write, close     (it reads, then writes)
 *
 * EINTR never shows, SIGPIPE is never raised, and partial writes do not exist: a call
 * does all of its work or returns an error that says how far it got.  Deadlines and
 * cancels leave a connection good: no byte is lost, and none is counted twice.
 *
 * One task may read while another one writes.  Two readers or two writers at once, or
 * any use during tn_close, are a bug and stop the program.  A connection belongs to the
 * loop it was made in, and one that is still open when that loop ends is such a bug, too.
 *
 * Delivered means delivered.  A write that succeeded is in this host's kernel; tn_confirm
 * tells that the peer's host has it, and tn_close tells how the connection ended.  That
 * the peer's program has used the bytes only its answer can tell (the end-to-end rule).
 */
#ifndef TENON_CONN_H
#define TENON_CONN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <tenon/addr.h>
#include <tenon/err.h>
#include <tenon/task.h>
#include <tenon/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tn_conn;
struct tn_listener;

/* How a connection is set up.  All zero is the sensible default. */
struct tn_conn_options {
    bool nagle;         /* let small writes wait for company; default: TCP_NODELAY */
    bool no_keepalive;  /* default: a silent dead peer is found after 45 to 60 s */
    bool confirmable;   /* acknowledgements wake tn_confirm: 0.8 us more a write */
    bool urgent;        /* tn_send_urgent and tn_wait_urgent work; receiving is slower */
    const char *source; /* dial: local address, numeric; NULL: the system's choice */
    enum tn_family family; /* dial: only these addresses */
    int64_t user_timeout;  /* unacknowledged for so long is TIMEDOUT; 0: the system's */
    int send_buffer;       /* bytes, socket(7) SO_SNDBUF; 0: the system's */
    int receive_buffer;    /* bytes, SO_RCVBUF */
};

struct tn_listen_options {
    int backlog; /* connections waiting for accept; 0: the system's most */
    /*
     * Several loops listen on one port, each with a listener of its own (socket(7)).  The
     * kernel chooses one by a hash of the addresses, however busy its loop is, and who
     * waits at one that is closed is reset.  examples/echo_cores.c spreads them evenly.
     */
    bool reuse_port;
    bool no_ahead;               /* nothing is accepted ahead of a tn_accept: see there */
    bool only_ipv6;              /* ":port" and "[::]:port" leave IPv4 alone */
    enum tn_family family;       /* of ":port" and of names; TN_ANY is both */
    unsigned mode;               /* of a Unix socket's file; 0: by the umask */
    struct tn_conn_options conn; /* of the accepted ones */
};

/* How a connection ended: see tn_close. */
enum tn_how {
    TN_CLEAN,       /* all acknowledged, and the peer has ended in order */
    TN_ACKED,       /* all acknowledged; the peer had not ended at the deadline */
    TN_ENDED_RESET, /* the peer reset it (or its host did, having nobody to give it to) */
    TN_ENDED_TIMEDOUT, /* the peer's host did not answer */
    TN_ENDED_DEADLINE, /* bytes were unacknowledged at the deadline; then we reset */
    TN_UNREAD /* bytes of the peer's were unread: all acknowledged, then we reset */
};

typedef struct tn_ending {
    enum tn_how how;
    uint64_t unacked; /* written, and not acknowledged by the peer's host */
    uint64_t unread;  /* received from the peer, and not read (at least) */
} tn_ending;

/* tn_how_text -- "clean" and so on, for people. */
TN_API const char *tn_how_text(enum tn_how how);

/* ---- making them ---- */

/*
 * tn_dial -- connect to WHERE (addr.h) and store the connection in *CONN.
 *
 * Each address of a name is tried in turn, the next one 250 ms after the one before or
 * as soon as that failed (RFC 8305, section 5); the first that connects wins.  Parks.
 * OPTIONS may be NULL.
 *
 * Errors: those of tn_resolve; TN_REFUSED, TN_UNREACHABLE, TN_TIMEDOUT, TN_DENIED (of the
 * last address that failed), TN_NOT_FOUND (no such Unix socket), TN_LIMIT (descriptors,
 * ports, memory), TN_RESET (by the peer, as soon as it had connected), TN_IN_USE (`source`
 * has a port that is taken), TN_UNSUPPORTED (this host has no such family), TN_DEADLINE,
 * TN_CANCELED.  *CONN is then as it was.
 */
TN_API TN_MUST tn_err tn_dial(struct tn_conn **conn, const char *where,
                              const struct tn_conn_options *options,
                              tn_deadline deadline);

/* tn_dial_addr -- tn_dial to the one address ADDR.  Errors: as tn_dial. */
TN_API TN_MUST tn_err tn_dial_addr(struct tn_conn **conn, const tn_addr *addr,
                                   const struct tn_conn_options *options,
                                   tn_deadline deadline);

/*
 * tn_pair -- two connected ends of a Unix stream (socketpair(2)).  Does not park.
 *
 * Errors: TN_LIMIT (descriptors, memory), TN_UNSUPPORTED (a system without Unix sockets).
 */
TN_API TN_MUST tn_err tn_pair(struct tn_conn **near, struct tn_conn **far);

/*
 * tn_listen -- accept connections at WHERE and store the listener in *LISTENER.
 *
 * ":port" and "[::]:port" take IPv4 and IPv6.  The address may be used again at once
 * (SO_REUSEADDR).  A Unix socket's file that nobody listens on is replaced.  Parks only
 * to look up a name.  OPTIONS may be NULL.  A listener is for the tasks of one loop, the one
 * that made it or, after that has ended, another; and a forked child's has the same place,
 * but none of the connections that were accepted before.
 *
 * Errors: TN_INVALID, TN_NOT_FOUND (WHERE), TN_IN_USE, TN_DENIED, TN_UNREACHABLE (not an
 * address of this host), TN_LIMIT, TN_UNSUPPORTED (this host has no such family).
 */
TN_API TN_MUST tn_err tn_listen(struct tn_listener **listener, const char *where,
                                const struct tn_listen_options *options);

/* tn_listener_addr -- where LISTENER listens: the port that was chosen for port 0. */
TN_API tn_addr tn_listener_addr(const struct tn_listener *listener);

/*
 * tn_accept -- wait for a connection and store it in *CONN.
 *
 * What failed on the way is passed over (ECONNABORTED and the like, accept(2)).  Out of
 * descriptors or memory, accepting pauses until one is free, looking every 100 ms: the
 * waiting connections stay queued and nobody spins.  Parks.  Several tasks may wait.
 * Connections are given out in the order in which they came.
 *
 * On io_uring the kernel accepts for tasks that wait (IORING_ACCEPT_MULTISHOT), all that one
 * turn of the loop brings: a call less for each connection.  Those that nobody takes then wait
 * here for the next tn_accept instead of in the kernel, and nothing more is accepted until it
 * comes, nor beyond 256 and what the turn has brought by then.  They have descriptors, though:
 * who counts those says no_ahead.
 *
 * Errors: TN_DEADLINE, TN_CANCELED, TN_INVALID (the socket is no listener any more).
 */
TN_API TN_MUST tn_err tn_accept(struct tn_listener *listener, struct tn_conn **conn,
                                tn_deadline deadline);

/*
 * tn_accept_pauses -- how often accepting at LISTENER had to pause for want of
 * descriptors or memory, so far.
 */
TN_API uint64_t tn_accept_pauses(const struct tn_listener *listener);

/*
 * tn_listener_close -- stop listening, release *LISTENER and set it to NULL; takes an
 * empty one.  Connections that nobody has taken are reset.  Nobody may be in tn_accept.  On
 * io_uring it may park, until the kernel has let go of the socket: for a turn of the loop,
 * whatever peers do.  A cancel does not cut that short.  The place is free when it returns;
 * if it is called between the turns of a tn_loop, by the end of the next one.  A forked child
 * gives up its copy, and no connection of the parent's.
 */
TN_API void tn_listener_close(struct tn_listener **listener);

/*
 * tn_go_late -- start FN(CONN) as a task in GROUP (NULL: the loop itself), but only once a
 * read of CONN would find something: its first byte, its end or an error.
 *
 * Until then CONN is the library's, costs no stack but half a KiB in all, and to use it
 * is a bug.  FN runs once, and its first read finds what has come.  CONN need not be new:
 * a task that has answered may hand it back in this way and return, and while the peer is
 * quiet there is no stack again.  A lease is returned.  OPTIONS may be NULL.  Does not park.
 *
 * While it waits it counts as a task that is alive: for tn_group_wait, tn_run, tasks_max.
 * If there is no memory for a stack when it is to start, that is tried again in each turn,
 * and after 100 ms at the latest; what has come waits.  A cancel of the group, or of the
 * loop with all its tasks, resets CONN and frees it, as tn_abort does, and FN never runs.
 * There is no limit in time: that a silent peer has died, its keepalive finds out.
 *
 * Errors: as tn_go.  CONN is then the caller's as before.
 */
TN_API TN_MUST tn_err tn_go_late(struct tn_group *group, tn_task_fn *fn,
                                 struct tn_conn *conn,
                                 const struct tn_task_options *options);

/* ---- reading and writing ---- */

/*
 * tn_read -- wait for bytes, then take what has come: between 1 and SIZE of them.
 *
 * Stores how many in *GOT.  Parks the task until something arrives.  SIZE is above 0.
 *
 * Errors: TN_EOF once the peer has ended its side (RFC 9293, 3.6), TN_RESET, TN_TIMEDOUT,
 * TN_UNREACHABLE (dead: what had come before has been read), TN_DEADLINE, TN_CANCELED,
 * TN_LIMIT (memory of the kernel; the connection is still good, nothing was taken).  *GOT
 * is then as it was.
 */
TN_API TN_MUST tn_err tn_read(struct tn_conn *conn, void *buf, size_t size, size_t *got,
                              tn_deadline deadline);

/*
 * tn_read_all -- take exactly SIZE bytes.
 *
 * *DONE (unless NULL) is always how many are in BUF, also after an error: they have been
 * taken.  Parks.
 *
 * Errors: as tn_read; TN_EOF also when the peer ended on the way (*DONE tells).
 */
TN_API TN_MUST tn_err tn_read_all(struct tn_conn *conn, void *buf, size_t size,
                                  size_t *done, tn_deadline deadline);

/*
 * tn_read_until -- take bytes up to and including the first DELIMITER, at most SIZE.
 *
 * *DONE is always how many are in BUF, the delimiter among them on success; what comes
 * after it stays unread.  Parks.
 *
 * Errors: as tn_read_all; TN_LIMIT: SIZE bytes came without a delimiter (all in BUF).
 */
TN_API TN_MUST tn_err tn_read_until(struct tn_conn *conn, void *buf, size_t size,
                                    char delimiter, size_t *done, tn_deadline deadline);

/*
 * tn_peek -- as tn_read, but the bytes stay unread.
 *
 * Errors: as tn_read.
 */
TN_API TN_MUST tn_err tn_peek(struct tn_conn *conn, void *buf, size_t size, size_t *got,
                              tn_deadline deadline);

/*
 * tn_read_lease -- as tn_read, but the bytes are lent in the library's memory: *DATA and
 * *SIZE, until tn_return.  The cheapest way for who looks at bytes or passes them on.
 *
 * One lease a connection at a time.  It may be kept over calls that park, tn_write on any
 * connection among them, but not for long: while it lasts, its buffer serves nobody else.
 *
 * Errors: as tn_read; TN_LIMIT (also no memory for a buffer).
 */
TN_API TN_MUST tn_err tn_read_lease(struct tn_conn *conn, const void **data, size_t *size,
                                    tn_deadline deadline);

/* tn_return -- give back what tn_read_lease lent; without a lease, nothing happens. */
TN_API void tn_return(struct tn_conn *conn);

/*
 * tn_write -- write all SIZE bytes of BUF.
 *
 * *DONE (unless NULL) is always how many this host's kernel has taken: SIZE on success,
 * and after an error exactly those that may still reach the peer.  Parks while the
 * peer's host takes no more; and on io_uring, while other tasks are ready, until each of them
 * has run once, so that what they all write goes out by one system call.
 *
 * Errors: TN_RESET, TN_TIMEDOUT, TN_UNREACHABLE (dead; how much of it arrived tn_close
 * tells), TN_CLOSED (after tn_end), TN_LIMIT (memory of the kernel), TN_DEADLINE,
 * TN_CANCELED (still good: the rest may be written later).
 */
TN_API TN_MUST tn_err tn_write(struct tn_conn *conn, const void *buf, size_t size,
                               size_t *done, tn_deadline deadline);

/*
 * tn_writev -- tn_write of COUNT pieces, in order.  The array is only read; COUNT may be
 * above IOV_MAX.
 *
 * Errors: as tn_write.
 */
TN_API TN_MUST tn_err tn_writev(struct tn_conn *conn, const struct iovec *pieces,
                                size_t count, size_t *done, tn_deadline deadline);

/*
 * tn_end -- nothing more will be written: the peer reads the end after the last byte
 * (shutdown(2), SHUT_WR).  Reading goes on.  May be repeated.  Does not park.
 *
 * Errors: TN_RESET, TN_TIMEDOUT, TN_UNREACHABLE: the connection is dead.
 */
TN_API TN_MUST tn_err tn_end(struct tn_conn *conn);

/* ---- delivery and the end ---- */

/*
 * tn_confirm -- wait until all that was written before is acknowledged by the peer's TCP.
 *
 * *UNACKED (unless NULL) is always the number of bytes that are not: 0 on success, and
 * only then.  It waits for up to a round trip and the peer's delayed ACK (40 ms), so it is
 * for the end of a burst, not for each write.  On a Unix stream what is written is in the
 * peer's hands at once.  Parks.
 *
 * Errors: TN_RESET, TN_TIMEDOUT, TN_UNREACHABLE (dead: those bytes will never be),
 * TN_DEADLINE, TN_CANCELED.
 */
TN_API TN_MUST tn_err tn_confirm(struct tn_conn *conn, uint64_t *unacked,
                                 tn_deadline deadline);

/*
 * tn_close -- end *CONN in order, wait until it is over, release it and set *CONN to NULL.
 *
 * Nothing unread: our end is sent (as tn_end), then the acknowledgement of all bytes and
 * the peer's own end are waited for.  Something unread, then or while waiting: our bytes
 * are waited for and then the connection is reset, since an end in order would tell the
 * peer that all it sent was read (RFC 2525, 2.17; RFC 1122, 4.2.2.13).  A peer that had
 * our end before may read that first, and finds the reset with whatever it does next.
 *
 * *ENDING (unless NULL) is always written.  The result is success only for TN_CLEAN.
 * Whatever it is, *CONN is gone.  Takes an empty one, as a success.  Parks.
 *
 * Errors, with ending->how: TN_DEADLINE (TN_ACKED, TN_ENDED_DEADLINE), TN_CANCELED (as at
 * a deadline: the close is cut short), TN_RESET (TN_ENDED_RESET), TN_TIMEDOUT
 * (TN_ENDED_TIMEDOUT), TN_IN_USE (TN_UNREAD).
 */
TN_API TN_MUST tn_err tn_close(struct tn_conn **conn, tn_ending *ending,
                               tn_deadline deadline);

/*
 * tn_close_discard -- tn_close, but what the peer still sends is read and thrown away, so
 * that the end is in order although we did not want it all.  ending->unread counts it.
 *
 * Errors: as tn_close, but for TN_IN_USE.
 */
TN_API TN_MUST tn_err tn_close_discard(struct tn_conn **conn, tn_ending *ending,
                                       tn_deadline deadline);

/*
 * tn_abort -- reset *CONN now, release it and set *CONN to NULL.
 *
 * It is the clean-up of every error path, so that a failure never looks like an end: a
 * TCP peer reads TN_RESET.  (Unix sockets know no reset: their peer reads an end, unless
 * bytes of its own were unread.)  Takes an empty one.  Never parks.
 */
TN_API void tn_abort(struct tn_conn **conn);

/* ---- urgent ---- */

/*
 * tn_send_urgent -- send BYTE as TCP's urgent data (send(2), MSG_OOB).
 *
 * Only for connections made with `urgent`.  TCP knows one urgent byte at a time: while
 * the last one is unacknowledged this is TN_IN_USE, since a second would turn the first
 * into ordinary data.  It overtakes buffered bytes at the receiver, but neither a closed
 * window nor a full send buffer; some firewalls make it ordinary (RFC 6093).  Only
 * tn_abort overtakes everything.
 *
 * Errors: as tn_write; TN_UNSUPPORTED (not made with `urgent`, or a Unix stream),
 * TN_IN_USE.
 */
TN_API TN_MUST tn_err tn_send_urgent(struct tn_conn *conn, char byte,
                                     tn_deadline deadline);

/*
 * tn_wait_urgent -- wait for the peer's urgent byte; store it in *BYTE and in *OFFSET how
 * many bytes of the stream came before it (read or not).  It is not part of what is read.
 * Of several that came before anybody waited, the last one counts.  Parks; another task
 * may read meanwhile.
 *
 * Trust the place, not the value: when packets overtake each other just there, Linux takes
 * a byte of a TCP header for the urgent one (tcp_urg in its net/ipv4/tcp_input.c, at least
 * up to 6.18; docs/reliability.md).  So let its coming be the message.
 *
 * Errors: as tn_read; TN_UNSUPPORTED.
 */
TN_API TN_MUST tn_err tn_wait_urgent(struct tn_conn *conn, char *byte, uint64_t *offset,
                                     tn_deadline deadline);

/* ---- about them ---- */

/*
 * tn_local, tn_peer -- the addresses of both ends; none (size 0) if no longer known.  The peer's
 * is known as long as CONN is, also when it has been reset.
 */
TN_API tn_addr tn_local(const struct tn_conn *conn);
TN_API tn_addr tn_peer(const struct tn_conn *conn);

/* What is known of a connection: counts of ours, and TCP_INFO (tcp(7)) where it is TCP. */
struct tn_conn_facts {
    uint64_t received, written;   /* bytes taken by reads; bytes the kernel has taken */
    uint64_t unread;              /* received and not read yet */
    uint64_t unacked;             /* written, not acknowledged */
    uint32_t rtt_us, retransmits; /* smoothed; in all */
    uint64_t busy_us, rwnd_limited_us, sndbuf_limited_us; /* why sending waited */
};

/* tn_conn_facts -- look at CONN now.  Does not park, never fails. */
TN_API void tn_conn_facts(const struct tn_conn *conn, struct tn_conn_facts *facts);

/*
 * tn_keepalive -- from now on find out if CONN's peer dies in silence, as every connection
 * does that was not made with `no_keepalive`.
 *
 * For who opens many short ones: four system calls less for each, 1 of the 28 us that a
 * relay's takes, and only those that last get it.  Nothing on Unix streams.  Does not park.
 *
 * Errors: TN_SYSTEM (the system refuses the option).
 */
TN_API TN_MUST tn_err tn_keepalive(struct tn_conn *conn);

/*
 * tn_adopt -- make a connection of the connected stream socket FD, which is the
 * connection's from then on; FD becomes non-blocking.  Does not park.
 *
 * Errors: TN_INVALID (no stream socket, not connected), TN_LIMIT.  FD is then the
 * caller's as before.
 */
TN_API TN_MUST tn_err tn_adopt(struct tn_conn **conn, int fd,
                               const struct tn_conn_options *options);

/*
 * tn_release -- take the descriptor out of *CONN into *FD, the caller's from then on, and
 * free the rest; *CONN is NULL then.  Parks for a moment.
 *
 * Errors: TN_IN_USE: bytes have been received ahead of reading; read them first;
 * TN_RESET, TN_TIMEDOUT, TN_UNREACHABLE: it is dead, of which the descriptor would tell
 * nobody any more; TN_DEADLINE, TN_CANCELED.  *CONN is then as it was.
 */
TN_API TN_MUST tn_err tn_release(struct tn_conn **conn, int *fd, tn_deadline deadline);

#ifdef __cplusplus
}
#endif

#endif
