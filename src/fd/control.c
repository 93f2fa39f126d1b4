/* SPDX-License-Identifier: MIT */
/*
 * control.c -- control data: a bounded buffer that owns what it has received.
 *
 * Messages are walked by offset, and every length is checked against what is there before
 * anything is read; contents are copied, never pointed at, so alignment does not matter.
 *
 * Always true: `used` <= sizeof(space); `owns_rights` means that descriptors in it are to be closed.
 */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include <linux/errqueue.h> /* needs <time.h> */

#include <tenon/control.h>
#include <tenon/fd.h>
#include <tenon/time.h>

#include "base/check.h"
#include "fd/fd.h"

#define HEADER CMSG_LEN(0)

/* One message: what it is, and where its contents lie. */
struct part {
    int level, type;
    const unsigned char *data;
    size_t size;
};

/* The message at *OFFSET, which is moved on; false at the end, or where lengths make no sense. */
static bool part_next(const struct tn_control *control, size_t *offset, struct part *part)
{
    struct cmsghdr header;
    size_t left = control->used - *offset;

    if (*offset > control->used || left < HEADER)
        return false;
    memcpy(&header, control->space.bytes + *offset, HEADER);
    if (header.cmsg_len < HEADER || header.cmsg_len > left)
        return false;
    part->level = header.cmsg_level;
    part->type = header.cmsg_type;
    part->data = control->space.bytes + *offset + HEADER;
    part->size = header.cmsg_len - HEADER;
    *offset += CMSG_ALIGN(header.cmsg_len);
    return true;
}

void tn_control_init(struct tn_control *control)
{
    control->used = 0;
    control->received = control->owns_rights = false;
    control->truncated = false;
    control->space.align = 0;
}

/* Goes through the descriptors: stores them in FDS, unless NULL; closes them, if asked to.
 * Returns how many there are. */
static size_t rights_each(const struct tn_control *control, int *fds, bool close_them)
{
    size_t offset = 0, count = 0;
    struct part part;
    int fd;

    while (part_next(control, &offset, &part)) {
        if (part.level != SOL_SOCKET || part.type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; at + sizeof(fd) <= part.size; at += sizeof(fd)) {
            memcpy(&fd, part.data + at, sizeof(fd));
            if (fds != NULL)
                fds[count] = fd;
            if (close_them)
                (void)fd_close(fd);
            count++;
        }
    }
    return count;
}

void tn_control_release(struct tn_control *control)
{
    int saved = errno;

    if (control->owns_rights)
        (void)rights_each(control, NULL, true);
    tn_control_init(control);
    errno = saved;
}

/* ---- sending ---------------------------------------------------------------------------- */

static int refuse(int error)
{
    errno = error;
    return -1;
}

static int part_add(struct tn_control *control, int type, const void *data, size_t size)
{
    struct cmsghdr header;

    if (control->received)
        return refuse(EINVAL);
    if (CMSG_SPACE(size) > sizeof(control->space) - control->used)
        return refuse(ENOBUFS);
    memset(&header, 0, sizeof(header));
    header.cmsg_len = CMSG_LEN(size);
    header.cmsg_level = SOL_SOCKET;
    header.cmsg_type = type;
    memset(control->space.bytes + control->used, 0, CMSG_SPACE(size));
    memcpy(control->space.bytes + control->used, &header, HEADER);
    memcpy(control->space.bytes + control->used + HEADER, data, size);
    control->used += CMSG_SPACE(size);
    return 0;
}

int tn_control_add_rights(struct tn_control *control, const int *fds, size_t count)
{
    if (count == 0 || count > TN_CONTROL_RIGHTS_MAX)
        return refuse(EINVAL);
    for (size_t i = 0; i < count; i++) {
        if (fds[i] < 0)
            return refuse(EINVAL);
    }
    return part_add(control, SCM_RIGHTS, fds, count * sizeof(fds[0]));
}

int tn_control_add_credentials(struct tn_control *control,
                               const struct tn_credentials *credentials)
{
    const struct ucred sender = { credentials->pid, credentials->uid, credentials->gid };

    return part_add(control, SCM_CREDENTIALS, &sender, sizeof(sender));
}

void tn_control_attach(struct tn_control *control, struct msghdr *message)
{
    message->msg_control = control->used > 0 ? control->space.bytes : NULL;
    message->msg_controllen = control->used;
}

/* ---- receiving -------------------------------------------------------------------------- */

ssize_t tn_control_receive(int fd, struct msghdr *message, struct tn_control *control,
                           int flags)
{
    ssize_t got;

    tn_control_release(control);
    message->msg_control = control->space.bytes;
    message->msg_controllen = sizeof(control->space);
    got = tn_fd_recvmsg(fd, message, flags | MSG_CMSG_CLOEXEC);
    if (got < 0)
        return got;
    CHECK(message->msg_controllen <= sizeof(control->space));
    control->used = message->msg_controllen;
    control->received = control->owns_rights = true;
    control->truncated = (message->msg_flags & MSG_CTRUNC) != 0;
    return got;
}

bool tn_control_truncated(const struct tn_control *control)
{
    return control->truncated;
}

int tn_control_take_rights(struct tn_control *control, int *fds, size_t room)
{
    size_t count = control->owns_rights ? rights_each(control, NULL, false) : 0;

    if (control->truncated)
        return refuse(EBADMSG);
    if (count > room)
        return refuse(EMSGSIZE);
    if (count == 0)
        return 0;
    CHECK(count <= INT_MAX);
    (void)rights_each(control, fds, false);
    control->owns_rights = false; /* they are the caller's; the rest can still be read */
    return (int)count;
}

/* Finds a message of LEVEL and TYPE with SIZE bytes at least. */
static int part_find(const struct tn_control *control, int level, int type, size_t size,
                     struct part *part)
{
    size_t offset = 0;

    while (control->received && part_next(control, &offset, part)) {
        if (part->level == level && part->type == type && part->size >= size)
            return 0;
    }
    return refuse(control->truncated ? EBADMSG : ENOMSG);
}

int tn_control_credentials(const struct tn_control *control,
                           struct tn_credentials *credentials)
{
    struct ucred sender;
    struct part part;

    if (part_find(control, SOL_SOCKET, SCM_CREDENTIALS, sizeof(sender), &part) != 0)
        return -1;
    memcpy(&sender, part.data, sizeof(sender));
    credentials->pid = sender.pid;
    credentials->uid = sender.uid;
    credentials->gid = sender.gid;
    return 0;
}

/* The same stamps, asked for by their newer numbers; on 64-bit systems the contents are equal.
 * The headers of Debian 12 have them in <asm/socket.h> only. */
#define STAMP_NEW        63 /* SO_TIMESTAMP_NEW */
#define STAMP_NANO_NEW   64 /* SO_TIMESTAMPNS_NEW */
#define STAMP_DETAIL_NEW 65 /* SO_TIMESTAMPING_NEW */

/* PAIR, seconds and UNIT-sized parts of one; false where that is no time. */
static bool time_of(const int64_t *pair, int64_t unit_ns, struct timespec *time)
{
    if (pair[1] < 0 || pair[1] >= TN_SECOND / unit_ns)
        return false;
    time->tv_sec = (time_t)pair[0];
    time->tv_nsec = (long)(pair[1] * unit_ns);
    return true;
}

/* Whether PART is a stamp, which then is in *FOUND. */
static bool stamp_of(const struct part *part, struct tn_timestamp *found)
{
    int64_t words[6] = { 0 };

    if (part->level != SOL_SOCKET || part->size < 2 * sizeof(words[0]))
        return false;
    memcpy(words, part->data, part->size < sizeof(words) ? part->size : sizeof(words));
    switch (part->type) {
    case SCM_TIMESTAMP:
    case STAMP_NEW:
        return time_of(words, TN_US, &found->software);
    case SCM_TIMESTAMPNS:
    case STAMP_NANO_NEW:
        return time_of(words, 1, &found->software);
    case SCM_TIMESTAMPING:
    case STAMP_DETAIL_NEW: /* the second of the three is not used any more */
        return part->size >= sizeof(words) && time_of(words, 1, &found->software) &&
               time_of(words + 4, 1, &found->hardware);
    default:
        return false;
    }
}

int tn_control_timestamp(const struct tn_control *control, struct tn_timestamp *timestamp)
{
    struct tn_timestamp found = { { 0, 0 }, { 0, 0 } };
    bool any = false;
    size_t offset = 0;
    struct part part;

    while (control->received && part_next(control, &offset, &part))
        any |= stamp_of(&part, &found);
    if (!any)
        return refuse(control->truncated ? EBADMSG : ENOMSG);
    *timestamp = found;
    return 0;
}

int tn_control_error(const struct tn_control *control, struct tn_queued_error *error)
{
    struct sock_extended_err kernel;
    struct tn_queued_error found;
    struct part part;
    size_t rest;

    if (part_find(control, IPPROTO_IP, IP_RECVERR, sizeof(kernel), &part) != 0 &&
        part_find(control, IPPROTO_IPV6, IPV6_RECVERR, sizeof(kernel), &part) != 0)
        return -1;
    memset(&found, 0, sizeof(found));
    memcpy(&kernel, part.data, sizeof(kernel));
    found.error = (int)kernel.ee_errno;
    found.origin = kernel.ee_origin;
    found.type = kernel.ee_type;
    found.code = kernel.ee_code;
    found.info = kernel.ee_info;
    found.data = kernel.ee_data;
    rest = part.size - sizeof(kernel);
    if (rest > sizeof(found.offender))
        rest = sizeof(found.offender);
    memcpy(&found.offender, part.data + sizeof(kernel), rest);
    *error = found;
    return 0;
}
