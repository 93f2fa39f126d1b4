/* SPDX-License-Identifier: MIT */
/*
 * sim_script.h -- scripts of plain calls that run twice, on the real kernel over loopback
 * and on the simulator, and note every answer: the notes must be equal.
 *
 * Where answers depend on the size of buffers, only what follows from it is noted.
 */
#ifndef SIM_SCRIPT_H
#define SIM_SCRIPT_H

#include "harness/harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "os/os.h"
#include "os/sim.h"

struct script {
    struct os *os;
    char notes[8192];
    size_t used;
};

__attribute__((format(printf, 2, 3))) static inline void note(struct script *script,
                                                              const char *format, ...)
{
    va_list list;
    int wrote;

    va_start(list, format);
    wrote = vsnprintf(script->notes + script->used, sizeof(script->notes) - script->used,
                      format, list);
    va_end(list);
    assert_true(wrote >= 0 && (size_t)wrote < sizeof(script->notes) - script->used);
    script->used += (size_t)wrote;
}

/* An answer: a count, or the name of an error. */
static inline void answer(struct script *script, const char *what, long result)
{
    if (result < 0)
        note(script, "%s: %s\n", what, strerrorname_np((int)-result));
    else
        note(script, "%s: %ld\n", what, result);
}

static inline void differ_not(void (*run)(struct script *))
{
    static struct script real, simulated;
    struct sim *sim;

    memset(&real, 0, sizeof(real));
    memset(&simulated, 0, sizeof(simulated));
    real.os = &os_linux;
    run(&real);
    assert_errno(sim_open(&sim, NULL), 0);
    simulated.os = sim_os(sim);
    run(&simulated);
    sim_close(sim);
    assert_string_equal(simulated.notes, real.notes);
    assert_true(real.used > 0);
}

/* ---- what scripts are made of ---- */

#define PATIENCE_MS 5000

/* Wait for what is on its way to FD: until it polls as one of EVENTS. */
static inline void await(struct script *script, int fd, short events)
{
    struct pollfd one = { .fd = fd, .events = events };

    assert_int_equal(os_poll(script->os, &one, 1, PATIENCE_MS), 1);
}

static inline struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port) };

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return addr;
}

static inline uint16_t port_of(struct script *script, int fd)
{
    struct sockaddr_in addr;
    socklen_t size = sizeof(addr);

    assert_errno(os_getsockname(script->os, fd, (struct sockaddr *)&addr, &size), 0);
    return ntohs(addr.sin_port);
}

static inline int tcp(struct script *script, int flags)
{
    int fd = os_socket(script->os, AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

    assert_true(fd >= 0);
    return fd;
}

static inline int bind_at(struct script *script, int fd, uint16_t port)
{
    struct sockaddr_in addr = loopback(port);

    return os_bind(script->os, fd, (struct sockaddr *)&addr, sizeof(addr));
}

static inline int connect_to(struct script *script, int fd, uint16_t port)
{
    struct sockaddr_in addr = loopback(port);

    return os_connect(script->os, fd, (struct sockaddr *)&addr, sizeof(addr));
}

static inline int listener(struct script *script, int backlog)
{
    int fd = tcp(script, 0);

    assert_errno(bind_at(script, fd, 0), 0);
    assert_errno(os_listen(script->os, fd, backlog), 0);
    return fd;
}

/* A connection: FDS[0] dialled, FDS[1] accepted. */
static inline void pair(struct script *script, int fds[2])
{
    int listening = listener(script, 8);

    fds[0] = tcp(script, 0);
    assert_errno(connect_to(script, fds[0], port_of(script, listening)), 0);
    fds[1] = os_accept(script->os, listening, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fds[1] >= 0);
    os_close(script->os, listening);
}

static inline long send_n(struct script *script, int fd, size_t size, int flags)
{
    static const char zeros[100000];

    return os_sendto(script->os, fd, zeros, size, MSG_NOSIGNAL | flags, NULL, 0);
}

static inline long send_text(struct script *script, int fd, const char *text, int flags)
{
    return os_sendto(script->os, fd, text, strlen(text), MSG_NOSIGNAL | flags, NULL, 0);
}

static inline long take(struct script *script, int fd, size_t size, int flags)
{
    static char buf[200000];

    return os_recvfrom(script->os, fd, buf, size, flags, NULL, NULL);
}

/* What comes as text, without waiting. */
static inline void take_text(struct script *script, int fd, size_t size, int flags)
{
    char buf[100] = "";
    long got = os_recvfrom(script->os, fd, buf, size, MSG_DONTWAIT | flags, NULL, NULL);

    if (got < 0)
        answer(script, "recv", got);
    else
        note(script, "recv '%.*s'\n", (int)got, buf);
}

static inline void note_poll(struct script *script, int fd)
{
    struct pollfd one = { .fd = fd, .events = 0x3fff };

    answer(script, "poll", os_poll(script->os, &one, 1, 0));
    note(script, "bits%s%s%s%s%s%s\n", (one.revents & POLLIN) != 0 ? " in" : "",
         (one.revents & POLLOUT) != 0 ? " out" : "",
         (one.revents & POLLPRI) != 0 ? " pri" : "",
         (one.revents & POLLERR) != 0 ? " err" : "",
         (one.revents & POLLHUP) != 0 ? " hup" : "",
         (one.revents & POLLRDHUP) != 0 ? " rdhup" : "");
}

static inline void note_ioctl(struct script *script, const char *what, int fd,
                              unsigned long request)
{
    int value = -1;
    int result = os_ioctl(script->os, fd, request, &value);

    answer(script, what, result < 0 ? result : value);
}

static inline int outq(struct script *script, int fd)
{
    int value = -1;

    assert_errno(os_ioctl(script->os, fd, SIOCOUTQ, &value), 0);
    return value;
}

/* Wait until all that FD sent is acknowledged: Linux takes up to 40 ms for that. */
static inline void await_acks(struct script *script, int fd)
{
    for (int i = 0; i < PATIENCE_MS && outq(script, fd) > 0; i++)
        (void)os_poll(script->os, NULL, 0, 1);
    assert_int_equal(outq(script, fd), 0);
}

/* Wait until SIZE bytes have come to FD. */
static inline void await_bytes(struct script *script, int fd, int size)
{
    int value = 0;

    for (int i = 0; i < PATIENCE_MS && value < size; i++) {
        assert_errno(os_ioctl(script->os, fd, SIOCINQ, &value), 0);
        if (value < size)
            (void)os_poll(script->os, NULL, 0, 1);
    }
    assert_true(value >= size);
}

static inline void note_error(struct script *script, int fd)
{
    int error = -1;
    socklen_t size = sizeof(error);

    answer(script, "getsockopt",
           os_getsockopt(script->os, fd, SOL_SOCKET, SO_ERROR, &error, &size));
    answer(script, "SO_ERROR", -error);
}

static inline void note_state(struct script *script, int fd)
{
    struct tcp_info info;
    socklen_t size = sizeof(info);

    memset(&info, 0, sizeof(info));
    assert_errno(os_getsockopt(script->os, fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
    note(script, "state: %d\n", info.tcpi_state);
}

static inline void note_all(struct script *script, int fd)
{
    note_poll(script, fd);
    note_state(script, fd);
    note_ioctl(script, "inq", fd, SIOCINQ);
    note_ioctl(script, "outq", fd, SIOCOUTQ);
}

static inline void close_all(struct script *script, int *fds, int count)
{
    for (int i = 0; i < count; i++)
        answer(script, "close", os_close(script->os, fds[i]));
}

static inline void reset_at_close(struct script *script, int fd)
{
    struct linger linger = { 1, 0 };

    assert_errno(
        os_setsockopt(script->os, fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
}

#endif
