/* SPDX-License-Identifier: MIT */
/*
 * err.c -- error values: from errno and getaddrinfo numbers to kinds, and to text.
 *
 * The one table below says what a program can do about each errno.  What it does not
 * name is SYSTEM: the number is kept, and the text names it.
 */
#include "base/err.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct {
    int number;
    enum tn_kind kind;
} kinds_of_errno[] = {
    { ECANCELED, TN_CANCELED },
    { ETIME, TN_DEADLINE }, /* ours: no socket call gives it */
    { ETIMEDOUT, TN_TIMEDOUT },
    { ECONNREFUSED, TN_REFUSED },
    { ECONNRESET, TN_RESET },
    { EPIPE, TN_RESET },
    { ECONNABORTED, TN_RESET },
    { ENETUNREACH, TN_UNREACHABLE },
    { EHOSTUNREACH, TN_UNREACHABLE },
    { ENETDOWN, TN_UNREACHABLE },
    { EHOSTDOWN, TN_UNREACHABLE },
    { EADDRNOTAVAIL, TN_UNREACHABLE },
    { EADDRINUSE, TN_IN_USE },
    { EBUSY, TN_IN_USE },
    { EACCES, TN_DENIED },
    { EPERM, TN_DENIED },
    { ENOENT, TN_NOT_FOUND },
    { ENOTDIR, TN_NOT_FOUND },
    { ENOMEM, TN_LIMIT },
    { ENOBUFS, TN_LIMIT },
    { EMFILE, TN_LIMIT },
    { ENFILE, TN_LIMIT },
    { EAGAIN, TN_LIMIT },
    { EMSGSIZE, TN_LIMIT },
    { ENOSPC, TN_LIMIT },
    { EPROTO, TN_PROTOCOL },
    { EINVAL, TN_INVALID },
    { EBADF, TN_INVALID },
    { EFAULT, TN_INVALID },
    { ENOTSOCK, TN_INVALID },
    { ENAMETOOLONG, TN_INVALID },
    { EOPNOTSUPP, TN_UNSUPPORTED },
    { ENOSYS, TN_UNSUPPORTED },
    { EAFNOSUPPORT, TN_UNSUPPORTED },
    { EPROTONOSUPPORT, TN_UNSUPPORTED },
    { ENOTCONN, TN_CLOSED },
    { ESHUTDOWN, TN_CLOSED },
    { EDEADLK, TN_DEADLOCK },
};

static enum tn_kind kind_of_errno(int number)
{
    for (size_t i = 0; i < sizeof(kinds_of_errno) / sizeof(kinds_of_errno[0]); i++) {
        if (kinds_of_errno[i].number == number)
            return kinds_of_errno[i].kind;
    }
    return TN_SYSTEM;
}

static enum tn_kind kind_of_gai(int code)
{
    switch (code) {
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
    case EAI_SERVICE:
        return TN_NOT_FOUND;
    case EAI_AGAIN:
    case EAI_FAIL:
        return TN_UNREACHABLE;
    case EAI_MEMORY:
        return TN_LIMIT;
    default:
        return TN_SYSTEM;
    }
}

tn_err err_from(enum err_op op, int result)
{
    tn_err err = { TN_OK, TN_DOMAIN_NONE, 0, 0 };

    if (result >= 0)
        return err;
    err.kind = (uint8_t)kind_of_errno(-result);
    err.domain = TN_DOMAIN_ERRNO;
    err.op = (uint16_t)op;
    err.code = -result;
    return err;
}

tn_err err_make(enum err_op op, enum tn_kind kind)
{
    tn_err err = { (uint8_t)kind, TN_DOMAIN_NONE, (uint16_t)op, 0 };
    return err;
}

tn_err err_gai(int code)
{
    tn_err err = { (uint8_t)kind_of_gai(code), TN_DOMAIN_GAI, ERR_RESOLVE, code };
    return err;
}

tn_err tn_err_errno(int number)
{
    return err_from(ERR_NONE, number > 0 ? -number : number);
}

tn_err tn_err_user(enum tn_kind kind, int32_t code)
{
    tn_err err = { (uint8_t)kind, TN_DOMAIN_USER, ERR_NONE, code };
    return err;
}

#define KIND_NAME(name, number, text) [number] = { #name, text },

static const struct {
    const char *name, *text;
} kinds[] = { TN_ERR_KINDS(KIND_NAME) };

#define OP_NAME(name, text) [ERR_##name] = text,

static const char *const ops[] = { ERR_OPS(OP_NAME) };

const char *tn_err_kind_name(unsigned kind)
{
    return kind < TN_KIND_COUNT ? kinds[kind].name : "?";
}

const char *tn_err_op(tn_err err)
{
    return err.op < ERR_OP_COUNT ? ops[err.op] : "";
}

const char *tn_err_text(tn_err err, char *buf, size_t size)
{
    const char *op = tn_err_op(err);
    const char *colon = op[0] != '\0' ? ": " : "";
    const char *kind = err.kind < TN_KIND_COUNT ? kinds[err.kind].text : "unknown error";
    char detail[128];
    const char *system;

    if (size == 0)
        return buf;
    switch (err.domain) {
    case TN_DOMAIN_ERRNO:
        /* The GNU strerror_r: thread-safe, and never fails. */
        system = strerror_r(err.code, detail, sizeof(detail));
        if (strcasecmp(kind, system) == 0) /* it would be said twice */
            snprintf(buf, size, "%s%s%s", op, colon, kind);
        else
            snprintf(buf, size, "%s%s%s (%s)", op, colon, kind, system);
        break;
    case TN_DOMAIN_GAI:
        snprintf(buf, size, "%s%s%s", op, colon, gai_strerror(err.code));
        break;
    case TN_DOMAIN_USER:
        snprintf(buf, size, "%s%s%s (code %d)", op, colon, kind, (int)err.code);
        break;
    default:
        snprintf(buf, size, "%s%s%s", op, colon, kind);
        break;
    }
    return buf;
}
