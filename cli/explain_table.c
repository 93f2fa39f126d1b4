/* SPDX-License-Identifier: MIT */
/*
 * explain_table.c -- the table of explain_table.h, put together from the .def files.
 *
 * Each .def file is read once for each array it feeds, with the rows of the other arrays
 * defined away; so an errno and its reasons stand together in the text.
 */
#define _GNU_SOURCE 1 /* O_NONBLOCK, struct iovec limits and POLLRDHUP with -std=c11 */

#include "explain_table.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* clang-format off */
#define T(en, zh) { { en, zh } }
#define NONE { { NULL, NULL } }

/* Who receives and who sends: the rows of the table name them by the group. */
#define READS  "read readv"
#define RECVS  "recv recvfrom recvmsg"
#define WRITES "write writev"
#define SENDS  "send sendto sendmsg"
#define IN     READS " " RECVS
#define OUT    WRITES " " SENDS

#define BYTES_NONE T("None moved.", "一个字节也没有动。")
#define BYTES_SENT \
    T("None of this call's. On a connection: what was sent before and not acknowledged is in doubt.", \
      "这次调用的一个也没有动。已有连接时：以前发出而没被确认的说不准。")

#define ERRNO(name, title, bytes, advice, belief, see) \
    { EXPLAIN_ERRNO, #name, name, NULL, title, NONE, NONE, bytes, advice, belief, see },
#define CALL(name, signature, title, about, parks, bytes, belief, see) \
    { EXPLAIN_CALL, #name, 0, signature, title, about, parks, bytes, NONE, belief, see },
#define FLAG(name, title, about, belief, see) \
    { EXPLAIN_FLAG, #name, (long)name, NULL, title, about, NONE, NONE, NONE, belief, see },
#define WORD(name, title, about, belief, see) \
    { EXPLAIN_WORD, #name, 0, NULL, title, about, NONE, NONE, NONE, belief, see },
#define WHEN(name, calls, text)

const struct explain_entry explain_entries[] = {
#include "explain_calls.def"
#include "explain_errno.def"
#include "explain_names.def"
};

#undef ERRNO
#undef WHEN
#define ERRNO(name, title, bytes, advice, belief, see)
#define WHEN(name, calls, text) { name, calls, text },

const struct explain_when explain_whens[] = {
#include "explain_errno.def"
};

const struct explain_alias explain_aliases[] = {
    /* as old notes and man pages misspell them */
    { "EAGIN", "EAGAIN", true },
    { "SHUT_RE", "SHUT_RD", true },
    { "MSG_WERRQUEUE", "MSG_ERRQUEUE", true },
    { "sendv", "writev", true },
    { "error", "errno", true },
    { "EAFNOTSUPPORT", "EAFNOSUPPORT", true },
    /* second names that are right */
    { "EWOULDBLOCK", "EAGAIN", false },
    { "ENOTSUP", "EOPNOTSUPP", false },
    { "EDEADLOCK", "EDEADLK", false },
    { "accept4", "accept", false },
    { "ppoll", "poll", false },
    { "perror", "errno", false },
    { "strerror", "errno", false },
    { "O_NDELAY", "O_NONBLOCK", false },
    { "PF_INET", "AF_INET", false },
    { "PF_INET6", "AF_INET6", false },
    { "AF_LOCAL", "AF_UNIX", false },
    { "PF_UNIX", "AF_UNIX", false },
    { "TIOCOUTQ", "SIOCOUTQ", false },
    { "SIOCINQ", "FIONREAD", false },
    { "UIO_MAXIOV", "IOV_MAX", false },
    { "in6addr_any", "INADDR_ANY", false },
};
/* clang-format on */

const size_t explain_entry_count = sizeof(explain_entries) / sizeof(explain_entries[0]);
const size_t explain_when_count = sizeof(explain_whens) / sizeof(explain_whens[0]);
const size_t explain_alias_count = sizeof(explain_aliases) / sizeof(explain_aliases[0]);

bool explain_list_has(const char *list, const char *word)
{
    size_t length = strlen(word);

    while (*list != '\0') {
        size_t here = strcspn(list, " ");
        if (here == length && memcmp(list, word, length) == 0)
            return true;
        list += here;
        list += strspn(list, " ");
    }
    return false;
}

bool explain_call_gives(const char *call, int number)
{
    for (size_t i = 0; i < explain_when_count; i++)
        if (explain_whens[i].number == number &&
            explain_list_has(explain_whens[i].calls, call))
            return true;
    return false;
}

const struct explain_entry *explain_exact(const char *name)
{
    for (size_t i = 0; i < explain_entry_count; i++)
        if (strcmp(explain_entries[i].name, name) == 0)
            return &explain_entries[i];
    return NULL;
}

const struct explain_entry *explain_number(long number)
{
    for (size_t i = 0; i < explain_entry_count; i++)
        if (explain_entries[i].kind == EXPLAIN_ERRNO &&
            explain_entries[i].number == number)
            return &explain_entries[i];
    return NULL;
}
