/* SPDX-License-Identifier: MIT */
/*
 * net_rig.h -- what the tests of connections share: a connection of the library's with a
 * raw socket at its other end, which the test scripts by plain system calls.
 *
 * On loopback what a plain call does has happened when it returns, so most scripts need
 * no waiting: the peer acts, then the library is looked at.  Where something takes time,
 * WAIT_UNTIL(fact) waits for the fact and ends the test when it does not come true.
 *
 * Bytes are a pattern by their place in the stream, so that a lost, doubled or displaced
 * one shows wherever it happens.
 */
#ifndef NET_RIG_H
#define NET_RIG_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "harness/harness.h"

#define RIG_PATIENCE (5 * TN_SECOND)

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* In a task: look, let others run, look again. */
#define WAIT_UNTIL(fact)                                                                 \
    do {                                                                                 \
        int64_t rig_end = tn_now() + RIG_PATIENCE * (int64_t)test_scale();               \
        while (!(fact)) {                                                                \
            if (tn_now() > rig_end)                                                      \
                fail_test("never came true: %s", #fact);                                 \
            assert_ok(tn_sleep(tn_in(TN_MS / 4)));                                       \
        }                                                                                \
    } while (0)

/* A deadline that no correct run meets. */
static inline tn_deadline rig_patience(void)
{
    return tn_in(RIG_PATIENCE * (int64_t)test_scale());
}

/* TENON_TEST_ROUNDS multiplies the repetitions of the long tests; 1 is the normal run. */
static inline unsigned rig_rounds(unsigned normal)
{
    const char *text = getenv("TENON_TEST_ROUNDS");
    unsigned long times = text != NULL ? strtoul(text, NULL, 10) : 1;

    return normal * (unsigned)(times > 0 && times < 10000 ? times : 1);
}

/* ---- numbers by seed ---- */

static inline uint64_t rig_random(uint64_t *seed)
{
    *seed ^= *seed << 13; /* xorshift64 */
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static inline size_t rig_up_to(uint64_t *seed, size_t most)
{
    return (size_t)(rig_random(seed) >> 11) % most + 1;
}

/* ---- bytes by their place ---- */

static inline char pattern_at(uint64_t place)
{
    return (char)((place * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

static inline void pattern_fill(void *buf, uint64_t place, size_t size)
{
    char *at = buf;

    for (size_t i = 0; i < size; i++)
        at[i] = pattern_at(place + i);
}

#define assert_pattern(buf, place, size)                                                 \
    pattern_check((buf), (place), (size), __FILE__, __LINE__)

static inline void pattern_check(const void *buf, uint64_t place, size_t size,
                                 const char *file, int line)
{
    const char *at = buf;

    for (size_t i = 0; i < size; i++)
        if (at[i] != pattern_at(place + i))
            test_failed(file, line, "byte %" PRIu64 " of the stream is wrong", place + i);
}

/* ---- raw sockets ---- */

static inline void raw_set(int fd, int level, int name, int value)
{
    assert_int_equal(setsockopt(fd, level, name, &value, sizeof(value)), 0);
}

static inline int raw_number(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);

    assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

static inline void raw_nonblocking(int fd)
{
    assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

/* raw_listen -- a listening socket of FAMILY, and where it is; BUFFER: of receiving. */
static inline int raw_listen_small(sa_family_t family, int backlog, int buffer,
                                   tn_addr *addr)
{
    struct sockaddr_storage at = { .ss_family = family };
    socklen_t size = sizeof(at);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    if (buffer > 0)
        raw_set(fd, SOL_SOCKET, SO_RCVBUF, buffer);
    if (family == AF_INET)
        ((struct sockaddr_in *)&at)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else if (family == AF_INET6)
        ((struct sockaddr_in6 *)&at)->sin6_addr = in6addr_loopback;
    else
        size = sizeof(sa_family_t); /* a name of the kernel's choice (unix(7)) */
    if (family == AF_INET)
        size = sizeof(struct sockaddr_in);
    else if (family == AF_INET6)
        size = sizeof(struct sockaddr_in6);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
    assert_int_equal(listen(fd, backlog), 0);
    size = sizeof(at);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    *addr = tn_addr_from((struct sockaddr *)&at, size);
    return fd;
}

static inline int raw_listen(sa_family_t family, tn_addr *addr)
{
    return raw_listen_small(family, 64, 0, addr);
}

static inline int raw_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    assert_true(fd >= 0);
    return fd;
}

/* connect(2), which no signal breaks off (tests/torture/alarms). */
static inline void rig_connect(int fd, const tn_addr *addr)
{
    sigset_t all, before;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    assert_int_equal(connect(fd, (const struct sockaddr *)addr->as.bytes, addr->size), 0);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static inline int raw_connect(const tn_addr *addr)
{
    int fd = socket(addr->as.family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    rig_connect(fd, addr);
    raw_nonblocking(fd);
    return fd;
}

static inline void raw_send(int fd, const void *data, size_t size)
{
    assert_int_equal(send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT), size);
}

/* raw_fill -- send until the buffers take no more; how much they took. */
static inline size_t raw_fill(int fd)
{
    static char nothing[65536];
    size_t sent = 0;
    ssize_t took;

    while ((took = send(fd, nothing, sizeof(nothing), MSG_NOSIGNAL | MSG_DONTWAIT)) > 0)
        sent += (size_t)took;
    assert_true(took < 0 && errno == EAGAIN);
    return sent;
}

/*
 * raw_drain -- read all that has come, into nothing; how much it was.  *END (unless NULL)
 * is then 0 if more may come, 1 at the end, or -errno.
 */
static inline size_t raw_drain(int fd, int *end)
{
    static char sink[65536];
    size_t drained = 0;
    ssize_t got;

    while ((got = recv(fd, sink, sizeof(sink), MSG_DONTWAIT)) > 0)
        drained += (size_t)got;
    if (end != NULL)
        *end = got == 0 ? 1 : errno == EAGAIN ? 0 : -errno;
    return drained;
}

/* raw_reset -- close FD by a reset. */
static inline void raw_reset(int fd)
{
    struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    assert_int_equal(close(fd), 0);
}

/*
 * raw_deaf -- from now on the host of FD hears nothing and answers nothing: a filter on
 * the socket drops all that arrives.  raw_hearing ends that.  For TCP.
 */
static inline void raw_deaf(int fd)
{
    struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog filter = { .len = 1, .filter = &drop };

    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) == 0)
        return;
    /* Linux 6.18: filters that are gone go on counting, and only root may have more. */
    if (errno == EPERM && geteuid() != 0)
        skip_test("no filter on a socket: net.core.bpf_jit_limit is used up");
    fail_test("no filter on a socket: %s", strerror(errno));
}

static inline void raw_hearing(int fd)
{
    int unused = 0;

    assert_int_equal(
        setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused)), 0);
}

/* An address of this host where nobody listens: of IPv4 one at which no test does. */
static inline tn_addr nobody(sa_family_t family)
{
    struct sockaddr_in in;
    tn_addr addr;
    int fd = raw_listen(family, &addr);

    close(fd);
    if (family != AF_INET)
        return addr;
    memcpy(&in, addr.as.bytes, sizeof(in));
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (66U << 16)); /* 127.66.0.1 */
    return tn_addr_from((struct sockaddr *)&in, sizeof(in));
}

/* A listener whose queue is full: what dials it now is not answered. */
struct deaf {
    int listener, fds[4];
    tn_addr addr;
};

static inline void deaf_open_at(struct deaf *deaf, sa_family_t family)
{
    deaf->listener = raw_listen_small(family, 1, 0, &deaf->addr);
    for (int i = 0; i < 4; i++) {
        deaf->fds[i] = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(deaf->fds[i], (const struct sockaddr *)deaf->addr.as.bytes,
                      deaf->addr.size);
    }
}

static inline void deaf_close(struct deaf *deaf)
{
    for (int i = 0; i < 4; i++)
        close(deaf->fds[i]);
    close(deaf->listener);
}

/* ---- a network of one's own ---- */

static inline void rig_map_root(const char *file, unsigned id)
{
    char line[32];
    int fd = open(file, O_WRONLY | O_CLOEXEC);
    int size = snprintf(line, sizeof(line), "0 %u 1", id);

    if (fd < 0 || write(fd, line, (size_t)size) != size)
        skip_test("no user namespace of one's own (%s)", strerror(errno));
    close(fd);
}

/*
 * rig_own_network -- move this process into an empty network where it is root, with the
 * loopback up; where that is not allowed, the test is skipped.
 */
static inline void rig_own_network(void)
{
    struct ifreq loopback = { .ifr_name = "lo", .ifr_flags = IFF_UP };
    unsigned uid = getuid(), gid = getgid();
    int fd;

    if (unshare(CLONE_NEWNET) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
            skip_test("no network namespace of one's own (%s)", strerror(errno));
        fd = open("/proc/self/setgroups", O_WRONLY | O_CLOEXEC);
        if (fd >= 0) {
            (void)!write(fd, "deny", 4);
            close(fd);
        }
        rig_map_root("/proc/self/uid_map", uid);
        rig_map_root("/proc/self/gid_map", gid);
    }
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &loopback) != 0)
        skip_test("no loopback in a network of one's own (%s)", strerror(errno));
    close(fd);
}

/* ---- a connection and its raw peer ---- */

struct wire {
    struct tn_conn *conn;
    int peer;             /* non-blocking */
    uint64_t sent, taken; /* by the peer; by the connection: places in the pattern */
};

static inline struct wire wire_open_small(sa_family_t family, int peer_buffer,
                                          const struct tn_conn_options *options)
{
    struct wire wire = { .peer = -1 };
    tn_addr addr;
    int listener = raw_listen_small(family, 8, peer_buffer, &addr);

    assert_ok(tn_dial_addr(&wire.conn, &addr, options, rig_patience()));
    wire.peer = raw_accept(listener);
    if (family != AF_UNIX) /* or a small send would wait for an acknowledgement */
        raw_set(wire.peer, IPPROTO_TCP, TCP_NODELAY, 1);
    close(listener);
    return wire;
}

static inline struct wire wire_open_with(sa_family_t family,
                                         const struct tn_conn_options *options)
{
    return wire_open_small(family, 0, options);
}

static inline struct wire wire_open(sa_family_t family)
{
    return wire_open_with(family, NULL);
}

/* wire_send -- the peer sends SIZE bytes more of the pattern. */
static inline void wire_send(struct wire *wire, size_t size)
{
    static char bytes[1 << 20];

    assert_true(size <= sizeof(bytes));
    pattern_fill(bytes, wire->sent, size);
    raw_send(wire->peer, bytes, size);
    wire->sent += size;
}

/* wire_take -- read exactly SIZE bytes and see that they are those that come next. */
static inline void wire_take(struct wire *wire, size_t size)
{
    static char bytes[1 << 20];
    size_t done = 0;

    assert_true(size <= sizeof(bytes));
    assert_ok(tn_read_all(wire->conn, bytes, size, &done, rig_patience()));
    assert_int_equal(done, size);
    assert_pattern(bytes, wire->taken, size);
    wire->taken += size;
}

/* What a connection has gone through decides how it receives: see net/conn.h. */
enum wire_state {
    WIRE_FRESH,  /* nothing has been read yet */
    WIRE_WAITED, /* a read has waited: where it can, the driver receives ahead */
    WIRE_LARGE,  /* large reads have settled it on direct receives */
    WIRE_STATES
};

static inline struct wire wire_in_state(sa_family_t family, enum wire_state state)
{
    struct wire wire = wire_open(family);

    if (state == WIRE_WAITED) {
        size_t got;
        char byte;

        assert_kind(tn_read(wire.conn, &byte, 1, &got, tn_in(TN_MS)), TN_DEADLINE);
    }
    for (int i = 0; state == WIRE_LARGE && i < 6; i++) {
        wire_send(&wire, 8192);
        wire_take(&wire, 8192);
    }
    return wire;
}

/* FOR_EACH_WIRE -- a body for TCP and Unix, in each state. */
#define FOR_EACH_WIRE(family, state)                                                     \
    for (int rig_f = 0, family = AF_INET; rig_f < 2; rig_f++, family = AF_UNIX)          \
        for (enum wire_state state = WIRE_FRESH; state < WIRE_STATES; state++)

/* wire_drop -- both ends go, however they stand. */
static inline void wire_drop(struct wire *wire)
{
    tn_abort(&wire->conn);
    if (wire->peer >= 0)
        close(wire->peer);
    wire->peer = -1;
}

/* How often a task has run again since BEFORE, when no other task runs. */
static inline uint64_t rig_wakes(void)
{
    struct tn_loop_facts facts;

    tn_loop_facts(NULL, &facts);
    return facts.switches / 2; /* away from it, and back */
}

/* Give the loop some turns, so that what the kernel has for it arrives. */
static inline void rig_turns(void)
{
    struct tn_loop_facts facts;
    uint64_t start;

    tn_loop_facts(NULL, &facts);
    start = facts.turns;
    while (facts.turns < start + 4) {
        assert_ok(tn_sleep(tn_in(1)));
        tn_loop_facts(NULL, &facts);
    }
}

#endif
