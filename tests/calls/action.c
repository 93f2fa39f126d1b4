/* SPDX-License-Identifier: MIT */
/*
 * action.c -- one recorded call, as the body of an actor.
 */
#include "calls.h"

#include <stdlib.h>
#include <string.h>

static char *pattern(size_t size)
{
    char *bytes = malloc(size + 1);

    for (size_t i = 0; bytes != NULL && i < size; i++)
        bytes[i] = (char)('a' + i % 26);
    return bytes;
}

static char *dots(size_t size)
{
    char *bytes = malloc(size + 1);

    return bytes != NULL ? memset(bytes, '.', size + 1) : NULL;
}

/* Splits a buffer in three, one of them empty. */
static void split(struct iovec pieces[3], void *buf, size_t size)
{
    pieces[0] = (struct iovec){ buf, size / 3 };
    pieces[1] = (struct iovec){ NULL, 0 };
    pieces[2] = (struct iovec){ (char *)buf + size / 3, size - size / 3 };
}

static ssize_t receive(struct actor *me, const struct action *action, char *buf)
{
    struct sockaddr_storage sender;
    socklen_t sender_size = sizeof(sender);
    struct iovec pieces[3];
    struct msghdr message = { .msg_iov = pieces, .msg_iovlen = 3 };

    split(pieces, buf, action->size);
    switch (action->row) {
    case ROW_READ:
        return do_read(me, action->fd, buf, action->size);
    case ROW_READV:
        return do_readv(me, action->fd, pieces, 3);
    case ROW_RECV:
        return do_recv(me, action->fd, buf, action->size, action->flags);
    case ROW_RECVFROM:
        return do_recvfrom(me, action->fd, buf, action->size, action->flags, &sender,
                           &sender_size);
    default:
        return do_recvmsg(me, action->fd, &message, action->flags);
    }
}

static ssize_t put(struct actor *me, const struct action *action, char *buf)
{
    struct iovec pieces[3];
    struct msghdr message = { .msg_iov = pieces, .msg_iovlen = 3 };

    split(pieces, buf, action->size);
    switch (action->row) {
    case ROW_WRITE:
        return do_write(me, action->fd, buf, action->size);
    case ROW_WRITEV:
        return do_writev(me, action->fd, pieces, 3);
    case ROW_SEND:
        return do_send(me, action->fd, buf, action->size, action->flags);
    case ROW_SENDTO:
        return do_sendto(me, action->fd, buf, action->size, action->flags,
                         action->address, action->address_size);
    default:
        return do_sendmsg(me, action->fd, &message, action->flags);
    }
}

static ssize_t other_call(struct actor *me, const struct action *action)
{
    struct pollfd entry = { .fd = action->fd,
                            .events =
                                (short)(action->flags != 0 ? action->flags : POLLIN) };
    struct sockaddr_storage peer;
    socklen_t size = sizeof(peer);

    switch (action->row) {
    case ROW_ACCEPT:
        return do_accept(me, action->fd, &peer, &size);
    case ROW_ACCEPT4:
        return do_accept4(me, action->fd, &peer, &size, action->flags);
    case ROW_CONNECT:
        return do_connect(me, action->fd, action->address, action->address_size);
    case ROW_POLL:
        return do_poll(me, &entry, 1, action->timeout_ms);
    case ROW_CLOSE:
        return do_close(me, action->fd);
    default:
        (void)expect(me, false, "an action that there is");
        return -1;
    }
}

static void note_count(struct actor *me, const struct action *action)
{
    const char *name = row_name(action->row);

    if (action->result < 0)
        note(me, "%s = %s", name, strerrorname_np(action->error));
    else if ((size_t)action->result == action->size)
        note(me, "%s = all", name);
    else
        note(me, "%s = %s", name, action->result == 0 ? "0" : "a part");
}

void act(struct actor *me, void *arg)
{
    struct action *action = arg;
    bool receives = action->row >= ROW_READ && action->row <= ROW_RECVMSG;
    bool sends = action->row >= ROW_WRITE && action->row <= ROW_SENDMSG;
    char *buf = receives ? dots(action->size) : sends ? pattern(action->size) : NULL;

    if ((receives || sends) && buf == NULL) {
        (void)expect(me, false, "memory");
        return;
    }
    me->silent += action->quiet_count ? 1 : 0;
    if (receives)
        action->result = receive(me, action, buf);
    else if (sends)
        action->result = put(me, action, buf);
    else
        action->result = other_call(me, action);
    action->error = me->error;
    me->silent -= action->quiet_count ? 1 : 0;
    if (action->quiet_count)
        note_count(me, action);
    if (action->waited_ns > 0)
        note_waited(me, action->waited_ns);
    free(buf);
}
