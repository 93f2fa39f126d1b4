/* SPDX-License-Identifier: MIT */
/*
 * calls.h -- what a conformance script sees.
 *
 * A script is a C function, written once, and run three ways: with plain system calls (an
 * actor is a thread), and with the tn_fd calls on each driver (an actor is a task).  What it
 * does through do_...() is recorded: call, result, errno, bytes, addresses, flags, control
 * data, SIGPIPE.  A run's record is its trace; the traces of the three ways must be equal but
 * for the differences that differences.c names.
 *
 * Whether a call had to wait is seen from outside: one actor starts another and watches it
 * until it has returned or is blocked.  Nothing here sleeps to be sure; waiting is bounded and
 * for something.  Set-up uses plain calls that cannot block, and expect()s them to succeed.
 *
 * Always true: a trace holds nothing that may differ between two runs of one way: no
 * descriptor or port numbers, no times, no buffer sizes of the kernel's choice.
 */
#ifndef CALLS_H
#define CALLS_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    ACTORS_MAX = 6,         /* in one script */
    TRACE_SIZE = 16 * 1024, /* one actor's record */
    NAME_SIZE = 96,
    LABELS_MAX = 512,
    MS = 1000 * 1000, /* nanoseconds */
    PATIENT = 1000,   /* rounds of a wait after which pauses are long */
    LIMIT_MS = 20000  /* how long a bounded wait may take before the run has failed */
};

/* The calls of one way: plain, or tn_fd. */
struct calls {
    int (*socket)(int, int, int);
    int (*socketpair)(int, int, int, int[2]);
    int (*bind)(int, const struct sockaddr *, socklen_t);
    int (*listen)(int, int);
    int (*accept)(int, struct sockaddr *, socklen_t *);
    int (*accept4)(int, struct sockaddr *, socklen_t *, int);
    int (*connect)(int, const struct sockaddr *, socklen_t);
    int (*shutdown)(int, int);
    int (*close)(int);
    int (*dup2)(int, int);
    int (*dup3)(int, int, int);
    ssize_t (*read)(int, void *, size_t);
    ssize_t (*readv)(int, const struct iovec *, int);
    ssize_t (*write)(int, const void *, size_t);
    ssize_t (*writev)(int, const struct iovec *, int);
    ssize_t (*recv)(int, void *, size_t, int);
    ssize_t (*recvfrom)(int, void *, size_t, int, struct sockaddr *, socklen_t *);
    ssize_t (*recvmsg)(int, struct msghdr *, int);
    ssize_t (*send)(int, const void *, size_t, int);
    ssize_t (*sendto)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
    ssize_t (*sendmsg)(int, const struct msghdr *, int);
    int (*fcntl)(int, int, ...);
    int (*ioctl)(int, unsigned long, ...);
    int (*setsockopt)(int, int, int, const void *, socklen_t);
    int (*getsockopt)(int, int, int, void *, socklen_t *);
    int (*poll)(struct pollfd *, nfds_t, int);
};

/* What one actor recorded.  In memory that the parent shares, so that it outlives a crash. */
struct trace {
    char name[16];
    size_t used;
    char text[TRACE_SIZE];
};

struct actor;
typedef void body_fn(struct actor *me, void *arg);

struct actor {
    const char *name;
    struct run *run;
    struct trace *trace;
    body_fn *body;
    void *arg;
    void *handle; /* the way's: thread or task */
    _Atomic pid_t tid;
    const char *_Atomic call;  /* the one it is in, or the last one */
    _Atomic unsigned entered;  /* calls begun */
    _Atomic unsigned returned; /* calls ended: in a call while they differ */
    _Atomic bool at_gate;
    _Atomic bool finished;
    int64_t elapsed_ns;      /* of the last recorded call, by the clock that says more */
    int error;               /* errno of the last recorded call */
    int silent;              /* calls are made, and not recorded */
    _Atomic unsigned alarms; /* a storm's, of the thread that it began */
    _Atomic unsigned interruptions; /* EINTRs of calls that were then made again */
};

/* How the actors of a script are run. */
struct way {
    const char *name;
    const struct calls *calls;
    /* Runs FIRST's body, and whatever it starts, to the end; false when it cannot. */
    bool (*run)(struct actor *first);
    bool (*start)(struct actor *actor);
    void (*join)(struct actor *actor); /* after `finished` */
    void (*pause)(unsigned round);     /* let the others run for a moment */
    bool (*is_blocked)(struct actor *other);
    void (*interrupt)(struct actor *other, int signal_number);
};

extern const struct way way_plain, way_epoll, way_uring;

/* One run of one script one way: what is in the shared memory, and what is not. */
struct record {
    struct trace traces[ACTORS_MAX];
    int actors;
    int interruptions; /* EINTR seen, and tried again, under a storm */
    bool failed;       /* a set-up step failed */
    bool skipped;
    bool done;
    char why[160];
};

/* SIGALRM, 1000 times a second, for each thread; its handler with SA_RESTART or without. */
enum storm { STORM_NONE, STORM_RESTART, STORM_NO_RESTART };

struct run {
    const struct way *way;
    const struct script *script;
    struct record *record;
    struct actor actors[ACTORS_MAX];
    enum storm storm; /* signals rain: see watch() */
    bool retries;     /* try again after EINTR, and do not record it */
    const char *labels[LABELS_MAX];
    struct {
        in_port_t port;
        const char *name;
    } ports[16];
    int port_count;
};

/* ---- where a script stands in the matrix, and what it needs ---------------------------- */

enum row {
    ROW_SOCKET,
    ROW_SOCKETPAIR,
    ROW_BIND,
    ROW_LISTEN,
    ROW_ACCEPT,
    ROW_ACCEPT4,
    ROW_CONNECT,
    ROW_SHUTDOWN,
    ROW_CLOSE,
    ROW_DUP2,
    ROW_READ,
    ROW_READV,
    ROW_RECV,
    ROW_RECVFROM,
    ROW_RECVMSG,
    ROW_WRITE,
    ROW_WRITEV,
    ROW_SEND,
    ROW_SENDTO,
    ROW_SENDMSG,
    ROW_FCNTL,
    ROW_IOCTL,
    ROW_SETSOCKOPT,
    ROW_GETSOCKOPT,
    ROW_POLL,
    ROWS
};

enum state {
    STATE_FRESH,    /* connected, nothing sent yet; a listener nobody has called */
    STATE_DATA,     /* something is waiting to be read; a connection is waiting */
    STATE_PEER_END, /* the peer has shut down its writing side */
    STATE_OUR_END,  /* we have shut down ours */
    STATE_DEAF,     /* we have shut down our reading side */
    STATE_RESET,    /* the peer has reset the connection; a datagram met a closed port */
    STATE_CLOSED,   /* the peer has closed, in order */
    STATE_FULL,     /* the way to the peer is full; the backlog is full */
    STATE_NONBLOCK, /* O_NONBLOCK, and the call would have to wait */
    STATE_TIMEOUT,  /* SO_RCVTIMEO, SO_SNDTIMEO, and the call would have to wait */
    STATE_DUP,      /* through a duplicate, with something waiting */
    STATE_FORKED,   /* made by plain calls, and held by another process too */
    STATE_OTHER,    /* scripts about something else */
    STATES
};

enum kind {
    KIND_TCP,
    KIND_TCP6,
    KIND_UNIX,     /* SOCK_STREAM */
    KIND_UNIX_SEQ, /* SOCK_SEQPACKET */
    KIND_UNIX_DGRAM,
    KIND_UDP,
    KIND_PIPE,
    KIND_TTY,
    KIND_EVENTFD,
    KIND_FILE,
    KINDS
};

enum need {
    NEED_CALM = 1, /* a storm of signals would change it even between two plain runs */
    NEED_ONCE = 2  /* in a storm, calls that are interrupted are not made again */
};

struct script {
    char name[NAME_SIZE];
    enum row row;
    enum state state;
    void (*play)(struct actor *me);
    unsigned needs;
    /* for the generated ones */
    enum kind kind;
    int flags;
};

/* An entry of a table of scripts; its name is that of the function. */
#define SCRIPT(row_, state_, function)                                                   \
    {                                                                                    \
        .name = #function, .row = ROW_##row_, .state = STATE_##state_, .play = function  \
    }
#define ONCE(row_, state_, function)                                                     \
    {                                                                                    \
        .name = #function, .row = ROW_##row_, .state = STATE_##state_, .play = function, \
        .needs = NEED_ONCE                                                               \
    }
#define CALM(row_, state_, function)                                                     \
    {                                                                                    \
        .name = #function, .row = ROW_##row_, .state = STATE_##state_, .play = function, \
        .needs = NEED_CALM                                                               \
    }

struct script_list {
    struct script *items;
    size_t count;
    size_t room;
};

void list_add(struct script_list *list, const struct script *script);
void list_add_all(struct script_list *list, const struct script *scripts, size_t count);

void add_receive_cells(struct script_list *list);
void add_send_cells(struct script_list *list);
void add_listen_cells(struct script_list *list);
void add_control_cells(struct script_list *list);
void add_pointer_scripts(struct script_list *list);
void add_mode_scripts(struct script_list *list);
void add_close_scripts(struct script_list *list);
void add_signal_scripts(struct script_list *list);
void add_stream_scripts(struct script_list *list);
void add_gather_scripts(struct script_list *list);
void add_urgent_scripts(struct script_list *list);
void add_message_scripts(struct script_list *list);
void add_stamp_scripts(struct script_list *list);
void add_datagram_scripts(struct script_list *list);
void add_connect_scripts(struct script_list *list);
void add_other_kinds_scripts(struct script_list *list);
void add_poll_scripts(struct script_list *list);
void add_network_scripts(struct script_list *list);

/* ---- the stage ------------------------------------------------------------------------- */

/* Starts another actor; it runs as soon as this one waits for something. */
struct actor *start(struct actor *me, const char *name, body_fn *body, void *arg);
/* Waits until OTHER has ended. */
void join(struct actor *me, struct actor *other);
/* Waits until OTHER is blocked in a call (true), or is at a gate or has ended (false); records
 * which.  In a storm a blocked one is left to it until signals have had their effect, or have
 * had none for long enough; that is recorded, too. */
bool watch(struct actor *me, struct actor *other);
/* The same, unrecorded. */
bool watch_quietly(struct actor *me, struct actor *other);
/* Lets OTHER take a signal while it is blocked; returns when the handler has run. */
void interrupt(struct actor *me, struct actor *other, int signal_number);

struct gate {
    _Atomic bool open;
};
void gate_open(struct gate *gate);
void gate_wait(struct actor *me, struct gate *gate);

/* A process beside the script, for what only a process can do.  Returns in both; 0 in the
 * child, which uses plain calls and ends with _exit. */
pid_t helper_fork(struct actor *me);
void helper_end(struct actor *me, pid_t pid); /* kills it, and waits */
int helper_wait(struct actor *me, pid_t pid); /* its exit status */

/* Adds a line to the trace.  `expect` records a failed step of the set-up and fails the run. */
void note(struct actor *me, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool expect(struct actor *me, bool ok, const char *what);
void skip(struct actor *me, const char *why);

void label(struct actor *me, int fd, const char *name);
void label_port(struct actor *me, in_port_t port, const char *name);

/* Records whether the last call took at least AT_LEAST_NS, but for a tick, and not 10 s more. */
void note_waited(struct actor *me, int64_t at_least_ns);
/* Records BUF, escaped: of more than 40 bytes a sum. */
void note_bytes(struct actor *me, const char *what, const void *buf, size_t size);

int64_t clock_ns(void);
/*
 * By the clock of sockets' time-outs, which is behind when ticks come late: a call of the
 * kernel's with a time-out of 60 ms may be back after 57, and these are 60 of its own.
 */
int64_t tick_ns(void);
unsigned signals_taken(int signal_number); /* by this process, since it started */

/* Bounded waits for a state of the kernel, by plain calls; an expect() fails at the limit. */
bool await_events(struct actor *me, int fd, short events);
bool await_input(struct actor *me, int fd, int bytes); /* FIONREAD is at least BYTES */
bool await_tcp_state(struct actor *me, int fd, int state);

/* ---- descriptors to play with ---------------------------------------------------------- */

struct pair {
    enum kind kind;
    int near;     /* under test; for a pipe see `writes` */
    int far;      /* its peer, driven by plain calls */
    int other;    /* the original, when near is a duplicate; else -1 */
    pid_t holder; /* the process that shares near, or 0 */
};

bool pair_open(struct actor *me, enum kind kind, bool writes, struct pair *pair);
/* The same, made by plain calls. */
bool pair_open_plain(struct actor *me, enum kind kind, bool writes, struct pair *pair);
void pair_close(struct actor *me, struct pair *pair);
/* What FAR can give NEAR at once; on failure errno says why. */
ssize_t far_puts(const struct pair *pair, const void *buf, size_t size);
bool kind_is_socket(enum kind kind);
bool kind_is_stream(enum kind kind);
bool kind_is_unix(enum kind kind);
bool kind_has_records(enum kind kind);

const char *kind_name(enum kind kind);
const char *state_name(enum state state);
const char *row_name(enum row row);

/* Brings a pair into STATE; WRITES says from which side it is looked at. */
bool pair_bring(struct actor *me, struct pair *pair, enum state state, bool writes);
/* Why a pair of KIND cannot be in STATE; NULL when it can. */
const char *state_is_impossible(enum kind kind, enum state state, bool writes);
/* Opens and brings. */
bool pair_make(struct actor *me, enum kind kind, enum state state, bool writes,
               struct pair *pair);

/* A plain connect(2) that a storm's signals do not break off; 0 or -1. */
int reach(int fd, const struct sockaddr_storage *address, socklen_t size);

/* A plain listener on the loopback, or in the file system; ADDRESS is where to connect. */
int listener_open(struct actor *me, enum kind kind, int backlog,
                  struct sockaddr_storage *address, socklen_t *size);
/* A plain socket of KIND, bound there. */
int bound_socket(struct actor *me, enum kind kind, struct sockaddr_storage *address,
                 socklen_t *size);
void set_nonblock(int fd, bool on);
bool reset_by(struct actor *me, int fd);        /* closes fd with a reset */
bool fill(struct actor *me, struct pair *pair); /* near to far, until nothing more goes */
/* Reads at far until near's writer, WRITER, has returned and all is read, and records the
 * tail (not in a storm, which decides how much goes).  Returns how much it was. */
size_t drain_for(struct actor *me, struct pair *pair, struct actor *writer);
/* Records what FD has received, by plain calls, once at least EXPECTED bytes are there. */
void note_received(struct actor *me, int fd, ssize_t expected);

/* ---- actions: one recorded call, as the body of an actor -------------------------------- */

struct action {
    enum row row; /* accept, connect, read, write, recv, send, poll, close, ... */
    int fd;
    size_t size; /* of a buffer that act() makes; sent bytes are "abc...zabc..." */
    int flags;
    const void *address; /* for connect and sendto */
    socklen_t address_size;
    int timeout_ms;    /* for poll, of POLLIN unless flags name events */
    int64_t waited_ns; /* record that the call took so long */
    bool
        quiet_count; /* a count that depends on buffer sizes: record only that it is a part */
    ssize_t result;
    int error;
};

void act(struct actor *me, void *arg); /* a struct action */

/* Puts a handler without SA_RESTART on SIGUSR1, and takes those of other signals away. */
void handle_interrupting(void);

/* ---- the recorded calls ---------------------------------------------------------------- */

int do_socket(struct actor *me, int domain, int type, int protocol);
int do_socketpair(struct actor *me, int domain, int type, int protocol, int pair[2]);
int do_bind(struct actor *me, int fd, const void *address, socklen_t size);
int do_listen(struct actor *me, int fd, int backlog);
int do_accept(struct actor *me, int fd, void *address, socklen_t *size);
int do_accept4(struct actor *me, int fd, void *address, socklen_t *size, int flags);
int do_connect(struct actor *me, int fd, const void *address, socklen_t size);
int do_shutdown(struct actor *me, int fd, int how);
int do_close(struct actor *me, int fd);
int do_dup2(struct actor *me, int old_fd, int new_fd);
int do_dup3(struct actor *me, int old_fd, int new_fd, int flags);
ssize_t do_read(struct actor *me, int fd, void *buf, size_t size);
ssize_t do_readv(struct actor *me, int fd, const struct iovec *pieces, int count);
ssize_t do_write(struct actor *me, int fd, const void *buf, size_t size);
ssize_t do_writev(struct actor *me, int fd, const struct iovec *pieces, int count);
ssize_t do_recv(struct actor *me, int fd, void *buf, size_t size, int flags);
ssize_t do_recvfrom(struct actor *me, int fd, void *buf, size_t size, int flags,
                    void *address, socklen_t *address_size);
ssize_t do_recvmsg(struct actor *me, int fd, struct msghdr *message, int flags);
ssize_t do_send(struct actor *me, int fd, const void *buf, size_t size, int flags);
ssize_t do_sendto(struct actor *me, int fd, const void *buf, size_t size, int flags,
                  const void *address, socklen_t address_size);
ssize_t do_sendmsg(struct actor *me, int fd, const struct msghdr *message, int flags);
int do_fcntl(struct actor *me, int fd, int command, long value);
int do_ioctl(struct actor *me, int fd, unsigned long request, int *value);
int do_setsockopt(struct actor *me, int fd, int level, int name, const void *value,
                  socklen_t size);
int do_getsockopt(struct actor *me, int fd, int level, int name, void *value,
                  socklen_t *size);
int do_poll(struct actor *me, struct pollfd *entries, nfds_t count, int timeout_ms);

/* Short forms that many scripts use. */
ssize_t do_recv_now(struct actor *me, int fd); /* up to 32 bytes, MSG_DONTWAIT */
short do_look(struct actor *me, int fd);       /* poll for everything, not waiting */
int do_so_error(struct actor *me, int fd);
void set_timeout(struct actor *me, int fd, int name, int64_t ns);
void set_int(struct actor *me, int fd, int level, int name, int value);

#endif /* CALLS_H */
