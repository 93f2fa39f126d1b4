/* SPDX-License-Identifier: MIT */
/*
 * base/err.h -- making a tn_err inside the library.
 *
 * Below the public calls everything returns -errno; a public call turns that into a
 * tn_err once, with its own name: `return err_from(ERR_DIAL, -ECONNREFUSED)`.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <tenon/err.h>

/* clang-format off */
#define ERR_OPS(X)                                                                        \
    X(NONE, "")            X(RUN, "run")           X(GO, "go")           X(JOIN, "join")  \
    X(GROUP, "group")      X(SLEEP, "sleep")       X(LOCK, "lock")       X(WAIT, "wait")  \
    X(SEND, "send")        X(RECEIVE, "receive")   X(SELECT, "select")   X(CHAN, "channel") \
    X(OFFLOAD, "offload")  X(SIGNAL, "signal")     X(LOOP, "loop")       X(POST, "post")  \
    X(RESOLVE, "resolve")  X(ADDRESS, "address")   X(DIAL, "connect")    X(LISTEN, "listen") \
    X(ACCEPT, "accept")    X(READ, "read")         X(WRITE, "write")     X(END, "end")    \
    X(CONFIRM, "confirm")  X(CLOSE, "close")       X(ABORT, "abort")     X(ADOPT, "adopt") \
    X(OPTION, "option")    X(URGENT, "urgent")     X(PUMP, "pump")       X(SIM, "simulate")
/* clang-format on */

#define ERR_OP_ENUM(name, text) ERR_##name,
enum err_op { ERR_OPS(ERR_OP_ENUM) ERR_OP_COUNT };
#undef ERR_OP_ENUM

/* err_from -- the error for RESULT, a -errno; success for 0 and above. */
tn_err err_from(enum err_op op, int result);

/* err_make -- an error of a KIND that has no errno of its own. */
tn_err err_make(enum err_op op, enum tn_kind kind);

/* err_gai -- the error for a getaddrinfo(3) result CODE, which is not 0. */
tn_err err_gai(int code);

#endif
