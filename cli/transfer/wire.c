/* SPDX-License-Identifier: MIT */
/*
 * wire.c -- reading and writing messages, and the end of a session.
 *
 * A side that refuses says why, ends its own direction and reads on for a while without
 * looking: closed at once, what the peer still sends would bring a reset that could
 * overtake the message.
 */
#include "wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "options.h"

#define END_TIME  (5 * TN_SECOND) /* for a peer to take our last message */
#define STOP_TIME TN_SECOND       /* the same, when somebody waits for us to be gone */

/* What a message may have at most, and has at least; false if there is no such one. */
static bool bounds(int type, uint32_t *least, uint32_t *most)
{
    static const struct {
        enum message type;
        uint32_t least, most;
    } table[] = {
        { MESSAGE_PROOF, DIGEST_SIZE, DIGEST_SIZE },
        { MESSAGE_OFFER, 24, 23 + NAME_MOST },
        { MESSAGE_AT, 9 + DIGEST_SIZE, 9 + DIGEST_SIZE },
        { MESSAGE_GO, 8, 8 },
        { MESSAGE_DATA, 1, DATA_MOST },
        { MESSAGE_END, 8 + DIGEST_SIZE, 8 + DIGEST_SIZE },
        { MESSAGE_RECEIPT, 8 + DIGEST_SIZE, 8 + DIGEST_SIZE },
        { MESSAGE_FINISH, 16, 16 },
        { MESSAGE_ERROR, 2, 2 + WHY_MOST },
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if ((int)table[i].type == type) {
            *least = table[i].least;
            *most = table[i].most;
            return true;
        }
    }
    return false;
}

void wire_put(unsigned char *bytes, size_t size, uint64_t number)
{
    while (size-- > 0) {
        bytes[size] = (unsigned char)number;
        number >>= 8;
    }
}

uint64_t wire_get(const unsigned char *bytes, size_t size)
{
    uint64_t number = 0;

    for (size_t i = 0; i < size; i++)
        number = number << 8 | bytes[i];
    return number;
}

static tn_deadline limit_of(const struct wire *wire)
{
    return wire->idle == UNLIMITED ? wire->deadline
                                   : tn_sooner(wire->deadline, tn_in(wire->idle));
}

tn_err wire_refuse(struct wire *wire, enum refusal refusal, const char *why, ...)
{
    va_list arguments;

    va_start(arguments, why);
    (void)vsnprintf(wire->why, sizeof(wire->why), why, arguments);
    va_end(arguments);
    wire->refusal = refusal;
    wire->theirs = false;
    return tn_err_user(TN_PROTOCOL, (int)refusal);
}

tn_err wire_body(struct wire *wire, void *buf, size_t size)
{
    return tn_read_all(wire->conn, buf, size, NULL, limit_of(wire));
}

/* The peer's last words. */
static tn_err take_error(struct wire *wire, uint32_t size)
{
    unsigned char body[2 + WHY_MOST];
    tn_err err = wire_body(wire, body, size);

    if (tn_failed(err))
        return err;
    memcpy(wire->why, body + 2, size - 2);
    wire->why[size - 2] = 0;
    wire->refusal = (enum refusal)wire_get(body, 2);
    wire->theirs = true;
    return tn_err_user(TN_DENIED, (int)wire->refusal);
}

tn_err wire_head(struct wire *wire, struct head *head)
{
    unsigned char bytes[HEAD_SIZE];
    uint32_t least, most;
    tn_err err = wire_body(wire, bytes, sizeof(bytes));

    if (tn_failed(err))
        return err;
    head->type = (enum message)bytes[0];
    head->size = (uint32_t)wire_get(bytes + 1, 4);
    if (!bounds(bytes[0], &least, &most))
        return wire_refuse(wire, REFUSED_PROTOCOL, "there is no message of type %d",
                           bytes[0]);
    if (head->size < least || head->size > most)
        return wire_refuse(wire, REFUSED_PROTOCOL, "a message of type %c with %u bytes",
                           bytes[0], (unsigned)head->size);
    return head->type == MESSAGE_ERROR ? take_error(wire, head->size) : tn_ok();
}

tn_err wire_expect(struct wire *wire, enum message type, void *buf, size_t size)
{
    struct head head;
    tn_err err = wire_head(wire, &head);

    if (tn_failed(err))
        return err;
    if (head.type != type)
        return wire_refuse(wire, REFUSED_PROTOCOL, "message %c where %c belongs",
                           (int)head.type, (int)type);
    return wire_body(wire, buf, size);
}

/* Whoever resets us may have said why before: it was not our turn to listen. */
static tn_err last_words(struct wire *wire, tn_err err)
{
    struct head head;
    tn_err said;

    wire->deadline = TN_NOW;
    said = wire_head(wire, &head);
    return said.kind == TN_DENIED ? said : err;
}

tn_err wire_write(struct wire *wire, const struct iovec *pieces, size_t count)
{
    size_t done;
    tn_err err = tn_writev(wire->conn, pieces, count, &done, limit_of(wire));

    wire->torn |= tn_failed(err) && done > 0;
    return err.kind == TN_RESET ? last_words(wire, err) : err;
}

tn_err wire_send(struct wire *wire, enum message type, const void *body, size_t size)
{
    unsigned char head[HEAD_SIZE] = { (unsigned char)type };
    struct iovec pieces[2] = { { head, sizeof(head) },
                               { (void *)(uintptr_t)body, size } };

    wire_put(head + 1, 4, size);
    return wire_write(wire, pieces, 2);
}

tn_err wire_pending(struct wire *wire, bool *pending)
{
    char byte;
    size_t got;
    tn_err err = tn_peek(wire->conn, &byte, 1, &got, TN_NOW);

    *pending = !tn_failed(err);
    return err.kind == TN_DEADLINE ? tn_ok() : err;
}

/* What we refuse, to the peer, within DEADLINE. */
static void tell(struct wire *wire, tn_deadline deadline)
{
    unsigned char body[2 + WHY_MOST];
    size_t size = strlen(wire->why);

    wire_put(body, 2, (uint64_t)wire->refusal);
    memcpy(body + 2, wire->why, size);
    wire->idle = UNLIMITED;
    wire->deadline = deadline;
    tn_ignore(wire_send(wire, MESSAGE_ERROR, body, 2 + size)); /* it may be gone */
}

void wire_end(struct wire *wire, tn_err err)
{
    bool canceled = err.kind == TN_CANCELED;
    tn_deadline deadline = tn_shielded(canceled ? STOP_TIME : END_TIME);

    if (!wire->conn)
        return;
    if (canceled) {
        wire->refusal = REFUSED_STOPPED;
        wire->theirs = false;
        (void)snprintf(wire->why, sizeof(wire->why), "stopped by a signal");
    }
    if (wire->refusal != REFUSED_NOT && !wire->theirs && !wire->torn)
        tell(wire, deadline);
    else if (tn_failed(err) && !wire->theirs)
        tn_abort(&wire->conn);
    /* What it comes to is said by messages: the receipt, the finish, the error. */
    tn_ignore(tn_close_discard(&wire->conn, NULL, deadline));
}
