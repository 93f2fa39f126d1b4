/* SPDX-License-Identifier: MIT */
/*
 * tenon/err.h -- what can go wrong, as a value.
 *
 * Every call that can fail returns a tn_err, eight bytes, zero for success.  Its KIND
 * is what a program acts on; OP says which call failed; DOMAIN and CODE carry the raw
 * number for a person.  The compiler refuses a tn_err that nobody looks at; to drop
 * one on purpose, write tn_ignore(err) and the reason.
 *
 *      tn_err err = tn_write(conn, buf, size, &done, deadline);
 *      if (tn_failed(err))
 *          goto out;
 *
 * An error never needs freeing and may be copied, stored and compared by its kind.
 */
#ifndef TENON_ERR_H
#define TENON_ERR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TN_API  __attribute__((visibility("default")))
#define TN_MUST __attribute__((warn_unused_result))

/* clang-format off */
/*
 * The kinds.  New ones are added at the end and numbers never change.
 * DEADLINE is the caller's own limit: what it was used on is still good.  TIMEDOUT is
 * the network's: the connection is dead.  SYSTEM can come from any call, unnamed: the system
 * has answered what its manual does not list, and CODE has it.
 */
#define TN_ERR_KINDS(X)                                                                   \
    X(OK,          0, "success")                                                          \
    X(EOF,         1, "the peer has ended its side")                                      \
    X(DEADLINE,    2, "deadline passed")                                                  \
    X(CANCELED,    3, "canceled")                                                         \
    X(TIMEDOUT,    4, "connection timed out")                                             \
    X(REFUSED,     5, "connection refused")                                               \
    X(RESET,       6, "reset by peer")                                                    \
    X(UNREACHABLE, 7, "unreachable")                                                      \
    X(IN_USE,      8, "in use")                                                           \
    X(DENIED,      9, "permission denied")                                                \
    X(NOT_FOUND,  10, "not found")                                                        \
    X(LIMIT,      11, "limit reached")                                                    \
    X(PROTOCOL,   12, "protocol error")                                                   \
    X(INVALID,    13, "invalid argument")                                                 \
    X(UNSUPPORTED,14, "not supported")                                                    \
    X(CLOSED,     15, "closed on this side")                                              \
    X(DEADLOCK,   16, "deadlock")                                                         \
    X(SYSTEM,     17, "system error")
/* clang-format on */

#define TN_ERR_KIND_ENUM(name, number, text) TN_##name = number,
enum tn_kind { TN_ERR_KINDS(TN_ERR_KIND_ENUM) TN_KIND_COUNT };
#undef TN_ERR_KIND_ENUM

/* Whose number CODE is. */
enum tn_domain {
    TN_DOMAIN_NONE,  /* CODE is 0 or means nothing outside the library */
    TN_DOMAIN_ERRNO, /* errno(3) */
    TN_DOMAIN_GAI,   /* getaddrinfo(3), EAI_... */
    TN_DOMAIN_USER   /* the program's own, from tn_err_user */
};

typedef struct tn_err {
    uint8_t kind;   /* enum tn_kind */
    uint8_t domain; /* enum tn_domain */
    uint16_t op;    /* which call: see tn_err_op */
    int32_t code;
} tn_err;

/* tn_failed -- whether ERR is anything but success. */
static inline bool tn_failed(tn_err err)
{
    return err.kind != TN_OK;
}

/* tn_ignore -- drop ERR on purpose; say why beside the call. */
static inline void tn_ignore(tn_err err)
{
    (void)err;
}

/* tn_ok -- success. */
static inline tn_err tn_ok(void)
{
    tn_err err = { TN_OK, TN_DOMAIN_NONE, 0, 0 };
    return err;
}

/*
 * tn_err_errno -- the error that stands for the errno value NUMBER (positive), so that
 * a program's own system calls can fail in the same currency.  0 gives success.
 */
TN_API tn_err tn_err_errno(int number);

/* tn_err_user -- an error of KIND with a CODE of the program's own. */
TN_API tn_err tn_err_user(enum tn_kind kind, int32_t code);

/*
 * tn_err_text -- write "operation: what happened (detail)" for ERR into BUF of SIZE
 * bytes, cut to fit and always ended by a NUL.  Returns BUF.  The text is for people;
 * programs look at ERR.kind.
 */
TN_API const char *tn_err_text(tn_err err, char *buf, size_t size);

/* tn_err_kind_name -- "RESET" and so on; "?" for a number that is no kind. */
TN_API const char *tn_err_kind_name(unsigned kind);

/* tn_err_op -- the name of the call that failed, such as "dial"; "" when unknown. */
TN_API const char *tn_err_op(tn_err err);

#ifdef __cplusplus
}
#endif

#endif
