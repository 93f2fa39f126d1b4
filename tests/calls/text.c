/* SPDX-License-Identifier: MIT */
/*
 * text.c -- names for numbers; nothing that differs between two runs.
 *
 * Descriptors show as their labels, ports as theirs, process numbers as "self" or "other",
 * times as "set".
 */
#include "text.h"

#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct name {
    int value;
    const char *name;
};

void text_add(struct text *text, const char *format, ...)
{
    size_t room = sizeof(text->bytes) - text->used;
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(text->bytes + text->used, room, format, args);
    va_end(args);
    if (length > 0)
        text->used += (size_t)length < room ? (size_t)length : room - 1;
}

/* At most the first 40 bytes as they are; of more also a sum over all of them. */
void text_add_bytes(struct text *text, const void *buf, size_t size)
{
    const unsigned char *bytes = buf;
    size_t shown = size < 40 ? size : 40;
    uint32_t sum = 2166136261u; /* FNV-1a */

    text_add(text, "\"");
    for (size_t i = 0; i < shown; i++) {
        if (bytes[i] >= ' ' && bytes[i] < 127 && bytes[i] != '"' && bytes[i] != '\\')
            text_add(text, "%c", bytes[i]);
        else
            text_add(text, "\\x%02x", bytes[i]);
    }
    text_add(text, "\"");
    if (size == shown)
        return;
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ bytes[i]) * 16777619u;
    text_add(text, "... sum %08x", sum);
}

void text_add_fd(struct text *text, const struct run *run, int fd)
{
    if (fd < 0)
        text_add(text, "%d", fd);
    else if (fd < LABELS_MAX && run->labels[fd] != NULL)
        text_add(text, "%s", run->labels[fd]);
    else
        text_add(text, "fd");
}

static void add_port(struct text *text, const struct run *run, in_port_t port)
{
    for (int i = 0; i < run->port_count; i++) {
        if (run->ports[i].port == port) {
            text_add(text, ":%s", run->ports[i].name);
            return;
        }
    }
    text_add(text, port != 0 ? ":port" : ":0");
}

static void add_unix(struct text *text, const struct sockaddr_un *address, socklen_t size)
{
    size_t length = (size_t)size - offsetof(struct sockaddr_un, sun_path);

    text_add(text, "unix ");
    if (size <= offsetof(struct sockaddr_un, sun_path))
        text_add(text, "unnamed");
    else if (address->sun_path[0] == '\0' && length == 6)
        text_add(text, "autobound");
    else
        text_add_bytes(text, address->sun_path, length);
}

void text_add_address(struct text *text, const struct run *run, const void *address,
                      socklen_t size)
{
    const struct sockaddr_in *in = address;
    const struct sockaddr_in6 *in6 = address;
    sa_family_t family = AF_UNSPEC;
    char host[INET6_ADDRSTRLEN] = "?";

    if (size >= sizeof(family))
        memcpy(&family, address, sizeof(family));
    if (family == AF_INET && size >= sizeof(*in)) {
        (void)inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        text_add(text, "inet %s", host);
        add_port(text, run, in->sin_port);
    } else if (family == AF_INET6 && size >= sizeof(*in6)) {
        (void)inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
        text_add(text, "inet6 %s", host);
        add_port(text, run, in6->sin6_port);
    } else if (family == AF_UNIX) {
        add_unix(text, address, size);
    } else {
        text_add(text, "family %d", family);
    }
    text_add(text, " (%u)", size);
}

static void add_names(struct text *text, int value, const struct name *names,
                      size_t count)
{
    const char *between = "";

    for (size_t i = 0; i < count; i++) {
        if ((value & names[i].value) == 0)
            continue;
        text_add(text, "%s%s", between, names[i].name);
        between = "|";
        value &= ~names[i].value;
    }
    if (value != 0)
        text_add(text, "%s%#x", between, (unsigned)value);
    else if (between[0] == '\0')
        text_add(text, "0");
}

void text_add_message_flags(struct text *text, int flags)
{
    static const struct name names[] = {
        { MSG_OOB, "OOB" },
        { MSG_PEEK, "PEEK" },
        { MSG_DONTROUTE, "DONTROUTE" },
        { MSG_CTRUNC, "CTRUNC" },
        { MSG_TRUNC, "TRUNC" },
        { MSG_DONTWAIT, "DONTWAIT" },
        { MSG_EOR, "EOR" },
        { MSG_WAITALL, "WAITALL" },
        { MSG_CONFIRM, "CONFIRM" },
        { MSG_ERRQUEUE, "ERRQUEUE" },
        { MSG_NOSIGNAL, "NOSIGNAL" },
        { MSG_MORE, "MORE" },
        { MSG_CMSG_CLOEXEC, "CMSG_CLOEXEC" },
    };

    add_names(text, flags, names, sizeof(names) / sizeof(names[0]));
}

void text_add_events(struct text *text, short events)
{
    static const struct name names[] = {
        { POLLIN, "IN" },         { POLLPRI, "PRI" },       { POLLOUT, "OUT" },
        { POLLERR, "ERR" },       { POLLHUP, "HUP" },       { POLLNVAL, "NVAL" },
        { POLLRDNORM, "RDNORM" }, { POLLRDBAND, "RDBAND" }, { POLLWRNORM, "WRNORM" },
        { POLLWRBAND, "WRBAND" }, { POLLRDHUP, "RDHUP" },
    };

    add_names(text, events & 0xffff, names, sizeof(names) / sizeof(names[0]));
}

/* ---- control data ---------------------------------------------------------------------- */

static void add_rights(struct text *text, const struct cmsghdr *part)
{
    size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    struct stat file;
    int fd;

    text_add(text, "rights");
    for (size_t i = 0; i < count; i++) {
        memcpy(&fd, CMSG_DATA(part) + i * sizeof(fd), sizeof(fd));
        if (fstat(fd, &file) != 0)
            text_add(text, " closed");
        else
            text_add(text, " %06o%s", file.st_mode & S_IFMT,
                     (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0 ? "+cloexec" : "");
    }
}

static void add_credentials(struct text *text, const struct cmsghdr *part)
{
    struct ucred sender;

    memcpy(&sender, CMSG_DATA(part), sizeof(sender));
    text_add(text, "credentials %s %s",
             sender.pid == getpid() ? "self"
             : sender.pid == 0      ? "0"
                                    : "other",
             sender.uid == getuid() ? "uid" : "other-uid");
}

static void add_queued_error(struct text *text, const struct run *run,
                             const struct cmsghdr *part)
{
    struct sock_extended_err error;
    const struct sockaddr *offender;

    memcpy(&error, CMSG_DATA(part), sizeof(error));
    text_add(text, "error %s origin %u type %u code %u info %u",
             error.ee_errno != 0 ? strerrorname_np((int)error.ee_errno) : "0",
             error.ee_origin, error.ee_type, error.ee_code,
             error.ee_origin == SO_EE_ORIGIN_ICMP ? 0 : error.ee_info);
    offender = (const void *)(CMSG_DATA(part) + sizeof(error));
    if (part->cmsg_len >= CMSG_LEN(sizeof(error) + sizeof(struct sockaddr_in)) &&
        offender->sa_family == AF_INET) {
        text_add(text, " from ");
        text_add_address(text, run, offender, sizeof(struct sockaddr_in));
    }
}

static void add_part(struct text *text, const struct run *run, const struct cmsghdr *part)
{
    int level = part->cmsg_level, type = part->cmsg_type;

    if (level == SOL_SOCKET && type == SCM_RIGHTS)
        add_rights(text, part);
    else if (level == SOL_SOCKET && type == SCM_CREDENTIALS)
        add_credentials(text, part);
    else if (level == SOL_SOCKET &&
             (type == SO_TIMESTAMP || type == SO_TIMESTAMPNS || type == SO_TIMESTAMPING))
        text_add(text, "stamp %d set", type);
    else if (level == IPPROTO_IP && type == IP_RECVERR)
        add_queued_error(text, run, part);
    else
        text_add(text, "level %d type %d", level, type);
    text_add(text, " (%zu)", (size_t)part->cmsg_len);
}

void text_add_control(struct text *text, const struct run *run, struct msghdr *message)
{
    const char *between = "";

    text_add(text, " control %zu [", (size_t)message->msg_controllen);
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
         part = CMSG_NXTHDR(message, part)) {
        text_add(text, "%s", between);
        add_part(text, run, part);
        between = ", ";
    }
    text_add(text, "]");
}
