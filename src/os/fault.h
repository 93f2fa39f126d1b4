/* SPDX-License-Identifier: MIT */
/*
 * fault.h -- any struct os, with chosen calls failing.
 *
 * A struct fault stands before another system, real or simulated, counts the calls that
 * can fail, and makes some of them fail without their being made:
 *
 *      struct fault fault;
 *      fault_init(&fault, &os_linux);
 *      fault_nth(&fault, 7, 0);                    the seventh call from now, or
 *      fault_name(&fault, FAULT_SENDTO, 2, 1, ECONNRESET);      the second sendto, or
 *      fault_seed(&fault, seed, 20000, 0);         2 in 100, by seed
 *      run_on(&fault.os, ...);
 *
 * Error 0 stands for one that is typical of the call (FAULT_CALLS).  Memory is among the
 * calls, and so are the driver's opening, its arming of polls, watches, feeds and accepts, and its
 * wait, which always fails with EINTR.  A call that fails is not made, but for those whose
 * error says that something goes on or is over: close, and a connect with EINPROGRESS or
 * EINTR.
 *
 * It is for one thread at a time, and must outlive the drivers opened through it.
 */
#ifndef OS_FAULT_H
#define OS_FAULT_H

#include <errno.h>

#include "os/driver.h"
#include "os/os.h"

/* The calls that can fail, and an error that is typical of each. */
#define FAULT_CALLS(X)                                                                   \
    X(READ, "read", EIO)                                                                 \
    X(WRITE, "write", ENOSPC)                                                            \
    X(READV, "readv", EIO)                                                               \
    X(WRITEV, "writev", ENOSPC)                                                          \
    X(READV2, "readv2", EIO)                                                             \
    X(WRITEV2, "writev2", ENOSPC)                                                        \
    X(OPEN, "open", EMFILE)                                                              \
    X(MODE, "mode", EOVERFLOW)                                                           \
    X(CLOSE, "close", EIO)                                                               \
    X(FCNTL, "fcntl", EINVAL)                                                            \
    X(IOCTL, "ioctl", ENOTTY)                                                            \
    X(POLL, "poll", ENOMEM)                                                              \
    X(DUP, "dup", EMFILE)                                                                \
    X(EVENTFD, "eventfd", EMFILE)                                                        \
    X(PIPE, "pipe", EMFILE)                                                              \
    X(SPLICE_IN, "splice_in", ENOMEM)                                                    \
    X(SPLICE_OUT, "splice_out", ENOMEM)                                                  \
    X(SIGNALFD, "signalfd", EMFILE)                                                      \
    X(SOCKET, "socket", EMFILE)                                                          \
    X(SOCKETPAIR, "socketpair", EMFILE)                                                  \
    X(BIND, "bind", EADDRINUSE)                                                          \
    X(LISTEN, "listen", EADDRINUSE)                                                      \
    X(ACCEPT, "accept", EMFILE)                                                          \
    X(CONNECT, "connect", ENETUNREACH)                                                   \
    X(SHUTDOWN, "shutdown", ENOTCONN)                                                    \
    X(RECVFROM, "recvfrom", ENOMEM)                                                      \
    X(SENDTO, "sendto", ENOBUFS)                                                         \
    X(RECVMSG, "recvmsg", ENOMEM)                                                        \
    X(SENDMSG, "sendmsg", ENOBUFS)                                                       \
    X(GETSOCKNAME, "getsockname", ENOBUFS)                                               \
    X(GETPEERNAME, "getpeername", ENOTCONN)                                              \
    X(GETSOCKOPT, "getsockopt", ENOPROTOOPT)                                             \
    X(SETSOCKOPT, "setsockopt", ENOPROTOOPT)                                             \
    X(STAT, "stat", EACCES)                                                              \
    X(CHMOD, "chmod", EPERM)                                                             \
    X(UNLINK, "unlink", EACCES)                                                          \
    X(ALLOCATE, "allocate", ENOMEM)                                                      \
    X(MAP, "map", ENOMEM)                                                                \
    X(GUARD, "guard", ENOMEM)                                                            \
    X(DRIVER_OPEN, "driver_open", ENOMEM)                                                \
    X(ARM, "arm", ENOMEM)                                                                \
    X(WAIT, "wait", EINTR)

#define FAULT_CALL_ENUM(name, text, error) FAULT_##name,
enum fault_call { FAULT_CALLS(FAULT_CALL_ENUM) FAULT_CALL_COUNT };
#undef FAULT_CALL_ENUM

struct fault {
    struct os os; /* what to run on */
    struct os *inner;
    const struct os_driver_calls *driver_calls; /* of the inner drivers, all one kind */
    unsigned drivers;                           /* open */

    uint64_t calls;                       /* that could fail, made so far */
    uint64_t calls_of[FAULT_CALL_COUNT];  /* the same, of each name */
    uint64_t failed;                      /* made to fail */
    uint64_t failed_of[FAULT_CALL_COUNT]; /* the same, of each name */
    enum fault_call last;                 /* the latest that was made to fail */
    int last_error;                       /* with this, positive */

    uint64_t spared; /* bits, 1 << FAULT_...: calls that never fail, and do not count */
    uint64_t nth;    /* counted down by each call; fails at 1; 0: none */
    int nth_error;
    enum fault_call name;
    uint64_t name_from, name_times; /* counted down by each call of that name */
    int name_error;
    uint64_t seed; /* the state of the generator */
    uint32_t chance;
    int seed_error;
};

/* fault_init -- stand before INNER, with nothing failing. */
void fault_init(struct fault *fault, struct os *inner);

/* fault_nth -- call number NTH from now (1 is the next one) fails with ERROR. */
void fault_nth(struct fault *fault, uint64_t nth, int error);

/* fault_name -- calls of NAME from the FROMth on, TIMES of them, fail with ERROR. */
void fault_name(struct fault *fault, enum fault_call name, uint64_t from, uint64_t times,
                int error);

/* fault_seed -- CHANCE of a million calls, chosen by SEED, fail with ERROR. */
void fault_seed(struct fault *fault, uint64_t seed, uint32_t chance, int error);

/* fault_off -- nothing fails any more; the counts stay. */
void fault_off(struct fault *fault);

/* fault_text -- the name of CALL. */
const char *fault_text(enum fault_call call);

/* For the files of this module: 0, or the negative error that this CALL shall fail with. */
int fault_hit(struct os *os, enum fault_call call);

/* fault_driver.c: struct os_calls' driver_open. */
int fault_driver_open(struct os *os, const char *name,
                      const struct os_driver_options *options, struct os_driver **driver);

#endif
