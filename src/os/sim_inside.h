/* SPDX-License-Identifier: MIT */
/*
 * sim_inside.h -- between the files of the simulator:
 *
 *      sim.c          the struct os, the clock, events, chance, memory
 *      sim_file.c     descriptors, reading and writing, blocking, poll(2)
 *      sim_pipe.c     pipes, for splice(2)
 *      sim_socket.c   the socket calls, names and addresses
 *      sim_option.c   options
 *      sim_net.c      wires, segments on their way, routes, faults of a connection's life
 *      sim_tcp.c      TCP: what arrives; sim_tcp_out.c: what is sent, and its timers
 *      sim_stream.c   TCP as its program sees it; sim_listen.c: listening and connecting
 *      sim_unix.c     Unix streams
 *      sim_driver.c   polls and watches; sim_feed.c: feeds
 *
 * Calls answer -errno as in os.h.  What would block answers -EAGAIN; sim_file.c blocks.
 */
#ifndef OS_SIM_INSIDE_H
#define OS_SIM_INSIDE_H

#include <netinet/in.h>
#include <sys/un.h>

#include "base/check.h"
#include "base/list.h"
#include "base/timers.h"
#include "os/driver.h"
#include "os/sim.h"

#define SIM_FOREVER INT64_MAX
#define SIM_SECOND  INT64_C(1000000000)
#define SIM_MS      INT64_C(1000000)

/* Bytes that a feed receives at once. */
#define SIM_PIECE_MOST 16384U

/* ---- sim.c ---- */

struct sim_random {
    uint64_t state[4];
};

struct sim_event {
    struct timer timer;
    void (*run)(struct sim *sim, struct sim_event *event);
};

struct sim {
    struct os os;
    struct sim_options options;
    int64_t now;
    bool in_event; /* an event runs: calls made by it run no others */
    struct timers events;
    size_t events_kept; /* that there is room for, set or not */
    uint64_t hash;
    uint64_t strikes; /* of faults that come by chance */
    struct sim_facts facts;

    /* Separate streams, so that one more call does not change the whole network. */
    struct sim_random chance_net, chance_call, chance_driver, chance_user;

    struct sim_slot *slots; /* the descriptors */
    unsigned slot_count;
    uint32_t last_file; /* number of the newest */
    uint64_t raised;    /* signals not yet read, one bit each */
    bool interrupt;     /* the next wait ends with EINTR */
    size_t feed_used;   /* bytes in segments that are not given back */
    char scratch[SIM_PIECE_MOST];

    struct link sockets;  /* all that are alive */
    struct link wires;    /* all there ever were */
    struct link segments; /* on their way */
    struct link routes;
    struct link drivers;
    struct link names; /* of bound Unix sockets */
    uint32_t last_wire;
    uint16_t next_port;
};

static inline struct sim *sim_of(struct os *os)
{
    return CONTAINER(os, struct sim, os);
}

/* sim_call -- a system call begins: it costs time, and what is due happens first. */
void sim_call(struct sim *sim);

/* sim_trace -- put an occurrence into the hash. */
void sim_trace(struct sim *sim, uint32_t what, uint64_t one, uint64_t other);

/* sim_room -- see that COUNT more events can be set at any time.  0 or -ENOMEM. */
int sim_room(struct sim *sim, size_t count);
void sim_room_back(struct sim *sim, size_t count);

void sim_event_set(struct sim *sim, struct sim_event *event, int64_t point);
void sim_event_clear(struct sim *sim, struct sim_event *event);

/* sim_step -- jump to the next event and run it; false if there is none before LIMIT. */
bool sim_step(struct sim *sim, int64_t limit);

/* sim_standstill -- nothing can happen any more: say so and stop the program. */
_Noreturn void sim_standstill(struct sim *sim, const char *why);

/* ---- sim_chance.c ---- */

/* sim_chances_open -- begin all streams with the seed of the options. */
void sim_chances_open(struct sim *sim);
uint64_t sim_random_next(struct sim_random *random);
uint64_t sim_random_below(struct sim_random *random, uint64_t limit);
int64_t sim_random_between(struct sim_random *random, int64_t least, int64_t most);

/* sim_strikes -- whether FAULT strikes now, by its chance; counts it if so. */
bool sim_strikes(struct sim *sim, struct sim_random *random, enum sim_fault fault);
/* sim_may_strike -- count one that would; false: there have been as many as there may. */
bool sim_may_strike(struct sim *sim);
void sim_count(struct sim *sim, enum sim_fault fault);

/* sim_new, sim_free -- the simulator's own memory, zeroed. */
void *sim_new(size_t size);
void sim_free(void *memory);

/* ---- sim_bytes.c: a queue of bytes ---- */

struct sim_bytes {
    char *data;
    size_t room, start, size;
};

/* sim_bytes_room -- make room for MORE bytes.  false: no memory. */
bool sim_bytes_room(struct sim_bytes *bytes, size_t more);
void sim_bytes_put(struct sim_bytes *bytes, const char *data, size_t size);
void sim_bytes_copy(const struct sim_bytes *bytes, size_t at, char *data, size_t size);
void sim_bytes_drop(struct sim_bytes *bytes, size_t size);
void sim_bytes_release(struct sim_bytes *bytes);
/* sim_digest -- FNV-1a of SIZE bytes at DATA, after DIGEST. */
uint64_t sim_digest(uint64_t digest, const char *data, size_t size);
#define SIM_DIGEST_START UINT64_C(0xcbf29ce484222325)

/* ---- sim_file.c ---- */

/* One transfer: the caller's pieces, and how far it has come. */
struct sim_io {
    const struct iovec *pieces;
    size_t count;  /* pieces */
    size_t offset; /* into the first */
    size_t left;   /* bytes in all */
    int flags;     /* MSG_... */
    int out_flags; /* MSG_... for msg_flags */
    bool never_waits;
    const struct msghdr *sent; /* its control data counts, or NULL */
    void *control;             /* room for control data, or NULL */
    size_t control_room, control_used;
};

/* sim_io_put, sim_io_get -- SIZE <= left bytes into, or out of, the caller's pieces. */
void sim_io_put(struct sim_io *io, const char *data, size_t size);
void sim_io_get(struct sim_io *io, char *data, size_t size);

struct sim_file;

struct sim_file_calls {
    /* Move what can be moved now: bytes, or -EAGAIN. */
    ssize_t (*receive)(struct sim *sim, struct sim_file *file, struct sim_io *io);
    ssize_t (*send)(struct sim *sim, struct sim_file *file, struct sim_io *io);
    uint32_t (*poll)(struct sim *sim, struct sim_file *file);
    int (*ioctl)(struct sim *sim, struct sim_file *file, unsigned long request,
                 int *value);
    void (*release)(struct sim *sim, struct sim_file *file); /* nobody refers to it */
};

/* What descriptors refer to. */
struct sim_file {
    const struct sim_file_calls *calls;
    unsigned references; /* descriptors, and requests that a ring holds */
    int status;          /* O_NONBLOCK or 0 */
    bool is_socket;
    uint32_t number;
    struct link waiters; /* of drivers: struct sim_waiter */
};

struct sim_slot {
    struct sim_file *file;
    bool close_on_exec;
};

/* sim_file_at -- the file of descriptor FD, or NULL. */
struct sim_file *sim_file_at(struct sim *sim, int fd);
void sim_file_init(struct sim *sim, struct sim_file *file,
                   const struct sim_file_calls *calls, int flags);

/* sim_fd_free -- a free descriptor from LEAST on, or -EMFILE. */
int sim_fd_free(struct sim *sim, int least);
/* sim_fd_take -- the free descriptor FD is FILE's from now on. */
void sim_fd_take(struct sim *sim, int fd, struct sim_file *file, int flags);
void sim_file_drop(struct sim *sim, struct sim_file *file);

/* sim_transfer -- receive or send IO on FD, blocking if the file does. */
ssize_t sim_receive(struct sim *sim, int fd, struct sim_io *io);
ssize_t sim_send(struct sim *sim, int fd, struct sim_io *io);
/* sim_batch_send -- make the send of BATCH on FILE now. */
void sim_batch_send(struct sim *sim, struct sim_file *file, struct os_batch *batch);

/*
 * sim_block -- let time pass for a call that blocks: false when LIMIT has come.  LIMIT is
 * a point in time; SIM_FOREVER if only an event can end it.
 */
bool sim_block(struct sim *sim, int64_t limit);

void sim_files_close(struct sim *sim);

/* The descriptor calls of struct os_calls. */
ssize_t sim_os_read(struct os *os, int fd, void *buf, size_t size);
ssize_t sim_os_write(struct os *os, int fd, const void *buf, size_t size);
ssize_t sim_os_readv(struct os *os, int fd, const struct iovec *iov, int count);
ssize_t sim_os_writev(struct os *os, int fd, const struct iovec *iov, int count);
ssize_t sim_os_readv2(struct os *os, int fd, const struct iovec *iov, int count,
                      int flags);
ssize_t sim_os_writev2(struct os *os, int fd, const struct iovec *iov, int count,
                       int flags);
int sim_os_open(struct os *os, const char *path, int flags);
int sim_os_mode(struct os *os, int fd, mode_t *mode);
int sim_os_close(struct os *os, int fd);
int sim_os_fcntl(struct os *os, int fd, int command, long argument);
int sim_os_ioctl(struct os *os, int fd, unsigned long request, void *argument);
int sim_os_poll(struct os *os, struct pollfd *fds, nfds_t count, int timeout_ms);
int sim_os_dup(struct os *os, int fd, int onto, int flags);
int sim_os_eventfd(struct os *os, unsigned start, int flags);
int sim_os_pipe(struct os *os, size_t size, int fds[2]);
ssize_t sim_os_splice_in(struct os *os, int fd, int pipe, size_t size);
ssize_t sim_os_splice_out(struct os *os, int pipe, int fd, size_t size);
int sim_os_signalfd(struct os *os, int fd, const sigset_t *set, int flags);
unsigned sim_os_handlers(struct os *os, sigset_t *interrupting);
int sim_os_blocked(struct os *os, sigset_t *mask);

/* ---- sim_socket.c ---- */

/* An address and port, IPv4 ones mapped into IPv6. */
struct sim_addr {
    uint8_t ip[16];
    uint16_t port;
};

struct sim_settings {
    int send_buffer, receive_buffer; /* as the kernel has them: twice what was set */
    int low_water;
    int linger, linger_s;
    int reuse_address, reuse_port, only_ipv6;
    int keepalive, idle_s, interval_s, probes;
    int user_timeout_ms;
    int no_delay, cork, quick_ack, defer_accept_s, syn_retries;
    int urgent_inline;
    int stamping;
    int priority, mark, traffic_class, ttl, receive_error, not_sent_low_water;
    int64_t receive_timeout, send_timeout; /* ns; 0: none */
};

struct sim_socket {
    struct sim_file file;
    struct link in_sim;
    int domain;
    int error, soft_error; /* errno, positive */
    uint8_t shut;          /* SIM_SHUT_... */
    bool open;             /* a program has it, or a listener for one */
    bool no_space;         /* somebody wants to hear of room to send */
    struct sim_settings settings;
    struct sim_bytes in;
};

#define SIM_SHUT_READ  1U
#define SIM_SHUT_WRITE 2U
#define SIM_SHUT_BOTH  3U

static inline struct sim_socket *sim_socket_of(struct sim_file *file)
{
    return CONTAINER(file, struct sim_socket, file);
}

/* sim_socket_error -- take the pending error: -errno, or 0. */
int sim_socket_error(struct sim_socket *socket);
void sim_socket_init(struct sim *sim, struct sim_socket *socket, int domain,
                     const struct sim_file_calls *calls, int flags);

void sim_socket_release(struct sim *sim, struct sim_socket *socket);
bool sim_socket_listens(struct sim_socket *socket);

/* sim_addr.c */
bool sim_addr_any(const struct sim_addr *addr);         /* 0.0.0.0 or :: */
bool sim_addr_any_of_both(const struct sim_addr *addr); /* :: */
bool sim_addr_ipv4(const struct sim_addr *addr);
/* sim_addr_local -- whether ADDR is one that a socket here can have. */
bool sim_addr_local(const struct sim_addr *addr);
bool sim_addr_same_ip(const struct sim_addr *one, const struct sim_addr *other);
/* sim_addr_from -- 0, -EINVAL or -EAFNOSUPPORT; for a socket of DOMAIN. */
int sim_addr_from(struct sim_addr *addr, int domain, const struct sockaddr *from,
                  socklen_t size);
void sim_addr_to(const struct sim_addr *addr, int domain, struct sockaddr *to,
                 socklen_t *size);

int sim_os_socket(struct os *os, int domain, int type, int protocol);
int sim_os_socketpair(struct os *os, int domain, int type, int protocol, int fds[2]);
int sim_os_bind(struct os *os, int fd, const struct sockaddr *addr, socklen_t size);
int sim_os_listen(struct os *os, int fd, int backlog);
int sim_os_accept(struct os *os, int fd, struct sockaddr *addr, socklen_t *size,
                  int flags);
int sim_os_connect(struct os *os, int fd, const struct sockaddr *addr, socklen_t size);
int sim_os_shutdown(struct os *os, int fd, int how);
ssize_t sim_os_recvfrom(struct os *os, int fd, void *buf, size_t size, int flags,
                        struct sockaddr *addr, socklen_t *addr_size);
ssize_t sim_os_sendto(struct os *os, int fd, const void *buf, size_t size, int flags,
                      const struct sockaddr *addr, socklen_t addr_size);
ssize_t sim_os_recvmsg(struct os *os, int fd, struct msghdr *message, int flags);
ssize_t sim_os_sendmsg(struct os *os, int fd, const struct msghdr *message, int flags);
int sim_os_getsockname(struct os *os, int fd, struct sockaddr *addr, socklen_t *size);
int sim_os_getpeername(struct os *os, int fd, struct sockaddr *addr, socklen_t *size);

/* ---- sim_option.c ---- */

void sim_settings_init(struct sim_settings *settings);
int sim_os_getsockopt(struct os *os, int fd, int level, int name, void *value,
                      socklen_t *size);
int sim_os_setsockopt(struct os *os, int fd, int level, int name, const void *value,
                      socklen_t size);

/* ---- sim_unix.c ---- */

extern const struct sim_file_calls sim_unix_calls;
struct sim_unix;
static inline bool sim_is_unix(const struct sim_file *file)
{
    return file->calls == &sim_unix_calls;
}
struct sim_unix *sim_unix_new(struct sim *sim, int flags);
struct sim_file *sim_unix_file(struct sim_unix *unix_socket);
void sim_unix_pair(struct sim_unix *one, struct sim_unix *other);
int sim_unix_bind(struct sim *sim, struct sim_file *file, const struct sockaddr *addr,
                  socklen_t size);
int sim_unix_listen(struct sim *sim, struct sim_file *file, int backlog);
bool sim_unix_listens(const struct sim_file *file);
int sim_unix_accept(struct sim *sim, struct sim_file *file, struct sim_file **child);
int sim_unix_connect(struct sim *sim, struct sim_file *file, const struct sockaddr *addr,
                     socklen_t size);
int sim_unix_shutdown(struct sim *sim, struct sim_file *file, unsigned how);
int sim_unix_name(struct sim_file *file, bool peer, struct sockaddr *addr,
                  socklen_t *size);

/* ---- sim_name.c ---- */

/* sim_name_find -- whose socket is named ADDR: 0, or the -errno of connect(2). */
int sim_name_find(struct sim *sim, const struct sockaddr *addr, socklen_t size,
                  struct sim_file **owner);
/* sim_name_take -- ADDR names OWNER from now on: 0, -EINVAL, -EADDRINUSE, -ENOMEM. */
int sim_name_take(struct sim *sim, const struct sockaddr *addr, socklen_t size,
                  struct sim_file *owner);
/* sim_name_leave -- OWNER closes. */
void sim_name_leave(struct sim *sim, const struct sim_file *owner);
void sim_names_free(struct sim *sim);
int sim_os_stat(struct os *os, const char *path, struct stat *found);
int sim_os_chmod(struct os *os, const char *path, unsigned mode);
int sim_os_unlink(struct os *os, const char *path);

/* ---- sim_driver.c ---- */

/* What a driver has armed on a file. */
struct sim_waiter {
    struct link in_file, in_driver, pending; /* pending: woken, and not looked at yet */
    struct sim_waiter *next_same;            /* in the driver's table */
    struct sim_driver *driver;
    struct sim_file *file; /* NULL once closed under an epoll */
    struct os_event *event;
    struct sim_event later; /* an answer held back */
    uint32_t interest;
    uint32_t key; /* what woke it, as the kernel's wake functions tell */
    bool look;    /* that does not tell enough: look at the file */
};

/* sim_wake -- something happened to FILE; KEY tells what (poll bits), 0: look yourself. */
void sim_wake(struct sim *sim, struct sim_file *file, uint32_t key);
/* sim_waiters_forget -- FILE goes away. */
void sim_waiters_forget(struct sim *sim, struct sim_file *file);
int sim_driver_open(struct os *os, const char *name,
                    const struct os_driver_options *options, struct os_driver **driver);

/* ---- sim_feed.c ---- */

enum sim_feed_step { SIM_FEED_NOTHING, SIM_FEED_BYTES, SIM_FEED_ENDED };

/* sim_feed_take -- receive into FEED what has come; at its end, say there which. */
enum sim_feed_step sim_feed_take(struct sim *sim, struct sim_file *file,
                                 struct os_feed *feed);
void sim_feed_give(struct sim *sim, struct os_segment *segment);

/* sim_accept_take -- accept all that FILE, a listener, has, for ACCEPT: sim_socket.c. */
enum sim_feed_step sim_accept_take(struct sim *sim, struct sim_file *file,
                                   struct os_accept *accept);
/* sim_take_ahead -- whichever of the two EVENT is for. */
enum sim_feed_step sim_take_ahead(struct sim *sim, struct sim_file *file,
                                  struct os_event *event);

/* Keys of the kernel's wake functions (net/core/sock.c, net/core/stream.c). */
#define SIM_KEY_IN  (POLLIN | POLLPRI | POLLRDNORM | POLLRDBAND)
#define SIM_KEY_OUT (POLLOUT | POLLWRNORM | POLLWRBAND)
#define SIM_KEY_ERR ((uint32_t)POLLERR)

#endif
