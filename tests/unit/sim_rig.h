/* SPDX-License-Identifier: MIT */
/*
 * sim_rig.h -- what the tests of the simulator share: a connection between two of its
 * hosts, used by plain calls, in virtual time.
 */
#ifndef SIM_RIG_H
#define SIM_RIG_H

#include "harness/harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>

#include "os/driver.h"
#include "os/os.h"
#include "os/sim.h"

#define MS TN_MS
#define S  TN_SECOND

/* 30 ms there, 70 ms back. */
static const struct sim_route sim_rig_slow = {
    .there = { .delay_min = 30 * MS, .delay_max = 30 * MS },
    .back = { .delay_min = 70 * MS, .delay_max = 70 * MS },
};

/* A connection between two of the simulated hosts. */
struct rig {
    struct sim *sim;
    struct os *os;
    int near, far; /* dialled, accepted */
    struct sim_wire *wire;
};

static inline struct sockaddr_in address(const char *text, uint16_t port)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port) };

    assert_int_equal(inet_pton(AF_INET, text, &addr.sin_addr), 1);
    return addr;
}

static inline void open_empty(struct rig *rig, const struct sim_options *options)
{
    memset(rig, 0, sizeof(*rig));
    assert_errno(sim_open(&rig->sim, options), 0);
    rig->os = sim_os(rig->sim);
}

static inline int dial(struct rig *rig, const char *host)
{
    struct sockaddr_in addr = address(host, 80);
    int result;

    rig->near = os_socket(rig->os, AF_INET, SOCK_STREAM, 0);
    assert_true(rig->near >= 0);
    result = os_connect(rig->os, rig->near, (struct sockaddr *)&addr, sizeof(addr));
    return result;
}

static inline void open_pair(struct rig *rig, const struct sim_options *options)
{
    struct sockaddr_in addr = address("10.0.0.2", 80);
    int listening, side = -1;

    open_empty(rig, options);
    listening = os_socket(rig->os, AF_INET, SOCK_STREAM, 0);
    assert_errno(os_bind(rig->os, listening, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_errno(os_listen(rig->os, listening, 5), 0);
    assert_errno(dial(rig, "10.0.0.2"), 0);
    rig->far = os_accept(rig->os, listening, NULL, NULL, 0);
    assert_true(rig->far >= 0);
    os_close(rig->os, listening);
    rig->wire = sim_wire_of(rig->sim, rig->near, &side);
    assert_non_null(rig->wire);
    assert_int_equal(side, 0);
    assert_ptr_equal(sim_wire_of(rig->sim, rig->far, &side), rig->wire);
    assert_int_equal(side, 1);
}

static inline long put(struct rig *rig, int fd, size_t size, int flags)
{
    static const char zeros[300000];

    return os_sendto(rig->os, fd, zeros, size, MSG_NOSIGNAL | flags, NULL, 0);
}

static inline long take(struct rig *rig, int fd, size_t size, int flags)
{
    static char buf[300000];

    return os_recvfrom(rig->os, fd, buf, size, flags, NULL, NULL);
}

static inline int outq(struct rig *rig, int fd)
{
    int value = -1;

    assert_errno(os_ioctl(rig->os, fd, SIOCOUTQ, &value), 0);
    return value;
}

static inline void set(struct rig *rig, int fd, int level, int name, int value)
{
    assert_errno(os_setsockopt(rig->os, fd, level, name, &value, sizeof(value)), 0);
}

static inline void pass(struct rig *rig, int64_t ns)
{
    (void)os_poll(rig->os, NULL, 0, (int)(ns / MS));
}

static inline void assert_between(int64_t value, int64_t least, int64_t most)
{
    if (value < least || value > most)
        fail_test("%lld is not between %lld and %lld", (long long)value, (long long)least,
                  (long long)most);
}

/* How long until FD fails, and how. */
static inline int64_t fails_after(struct rig *rig, int fd, int expected)
{
    int64_t start = sim_now(rig->sim);
    struct pollfd one = { .fd = fd };
    int error = 0;
    socklen_t size = sizeof(error);

    assert_int_equal(os_poll(rig->os, &one, 1, -1), 1);
    assert_errno(os_getsockopt(rig->os, fd, SOL_SOCKET, SO_ERROR, &error, &size), 0);
    assert_int_equal(error, expected);
    return sim_now(rig->sim) - start;
}

static inline uint64_t counted(struct rig *rig, enum sim_fault fault)
{
    struct sim_facts facts;

    sim_facts(rig->sim, &facts);
    return facts.faults[fault];
}

#endif
