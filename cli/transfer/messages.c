/* SPDX-License-Identifier: MIT */
/*
 * messages.c -- the bodies of the messages: bytes here, structs elsewhere.
 */
#include "wire.h"

#include <string.h>

#define OFFER_FIXED 23 /* bytes before the name */

tn_err wire_send_offer(struct wire *wire, const struct offer *offer)
{
    unsigned char body[OFFER_FIXED];
    unsigned char head[HEAD_SIZE] = { MESSAGE_OFFER };
    size_t size = strlen(offer->name);
    struct iovec pieces[3] = { { head, sizeof(head) },
                               { body, OFFER_FIXED },
                               { (void *)(uintptr_t)offer->name, size } };

    wire_put(head + 1, 4, OFFER_FIXED + size);
    body[0] = (unsigned char)offer->kind;
    wire_put(body + 1, 2, offer->mode);
    wire_put(body + 3, 8, (uint64_t)offer->seconds);
    wire_put(body + 11, 4, offer->nanoseconds);
    wire_put(body + 15, 8, offer->size);
    return wire_write(wire, pieces, 3);
}

tn_err wire_read_offer(struct wire *wire, struct head head, struct offer *offer)
{
    unsigned char body[OFFER_FIXED];
    size_t size = head.size - OFFER_FIXED;
    tn_err err = wire_body(wire, body, sizeof(body));

    if (!tn_failed(err))
        err = wire_body(wire, offer->name, size);
    if (tn_failed(err))
        return err;
    offer->name[size] = 0;
    offer->kind = (enum kind)body[0];
    offer->mode = (uint16_t)(wire_get(body + 1, 2) & 0777);
    offer->seconds = (int64_t)wire_get(body + 3, 8);
    offer->nanoseconds = (uint32_t)wire_get(body + 11, 4);
    offer->size = wire_get(body + 15, 8);
    if (strlen(offer->name) != size)
        return wire_refuse(wire, REFUSED_NAME, "a name with a zero byte");
    if (offer->nanoseconds > 999999999)
        return wire_refuse(wire, REFUSED_PROTOCOL, "a second has fewer nanoseconds");
    if (offer->size > INT64_MAX && offer->size != SIZE_UNKNOWN)
        return wire_refuse(wire, REFUSED_PROTOCOL, "no file has that size");
    if (offer->kind != KIND_FILE && offer->kind != KIND_FOLDER &&
        offer->kind != KIND_FOLDER_END)
        return wire_refuse(wire, REFUSED_PROTOCOL, "there is no offer of kind %d",
                           (int)body[0]);
    return tn_ok();
}

tn_err wire_send_at(struct wire *wire, const struct at *at)
{
    unsigned char body[9 + DIGEST_SIZE] = { at->whole ? 'h' : 'n' };

    wire_put(body + 1, 8, at->offset);
    memcpy(body + 9, at->digest, DIGEST_SIZE);
    return wire_send(wire, MESSAGE_AT, body, sizeof(body));
}

tn_err wire_read_at(struct wire *wire, struct at *at)
{
    unsigned char body[9 + DIGEST_SIZE];
    tn_err err = wire_expect(wire, MESSAGE_AT, body, sizeof(body));

    if (tn_failed(err))
        return err;
    if (body[0] != 'h' && body[0] != 'n')
        return wire_refuse(wire, REFUSED_PROTOCOL, "neither whole nor a part");
    at->whole = body[0] == 'h';
    at->offset = wire_get(body + 1, 8);
    memcpy(at->digest, body + 9, DIGEST_SIZE);
    return tn_ok();
}

tn_err wire_send_go(struct wire *wire, uint64_t offset)
{
    unsigned char body[8];

    wire_put(body, 8, offset);
    return wire_send(wire, MESSAGE_GO, body, sizeof(body));
}

tn_err wire_read_go(struct wire *wire, uint64_t *offset)
{
    unsigned char body[8];
    tn_err err = wire_expect(wire, MESSAGE_GO, body, sizeof(body));

    if (!tn_failed(err))
        *offset = wire_get(body, 8);
    return err;
}

tn_err wire_send_sum(struct wire *wire, enum message type, const struct sum *sum)
{
    unsigned char body[8 + DIGEST_SIZE];

    wire_put(body, 8, sum->size);
    memcpy(body + 8, sum->digest, DIGEST_SIZE);
    return wire_send(wire, type, body, sizeof(body));
}

tn_err wire_take_sum(struct wire *wire, struct head head, struct sum *sum)
{
    unsigned char body[8 + DIGEST_SIZE];
    tn_err err = wire_body(wire, body, head.size);

    if (tn_failed(err))
        return err;
    sum->size = wire_get(body, 8);
    memcpy(sum->digest, body + 8, DIGEST_SIZE);
    return tn_ok();
}

tn_err wire_read_sum(struct wire *wire, enum message type, struct sum *sum)
{
    struct head head;
    tn_err err = wire_head(wire, &head);

    if (tn_failed(err))
        return err;
    if (head.type != type)
        return wire_refuse(wire, REFUSED_PROTOCOL, "message %c where %c belongs",
                           (int)head.type, (int)type);
    return wire_take_sum(wire, head, sum);
}

tn_err wire_send_finish(struct wire *wire, uint64_t files, uint64_t bytes)
{
    unsigned char body[16];

    wire_put(body, 8, files);
    wire_put(body + 8, 8, bytes);
    return wire_send(wire, MESSAGE_FINISH, body, sizeof(body));
}

tn_err wire_take_finish(struct wire *wire, struct head head, uint64_t *files,
                        uint64_t *bytes)
{
    unsigned char body[16];
    tn_err err = wire_body(wire, body, head.size);

    if (tn_failed(err))
        return err;
    *files = wire_get(body, 8);
    *bytes = wire_get(body + 8, 8);
    return tn_ok();
}

tn_err wire_read_finish(struct wire *wire, uint64_t *files, uint64_t *bytes)
{
    struct head head;
    tn_err err = wire_head(wire, &head);

    if (tn_failed(err))
        return err;
    if (head.type != MESSAGE_FINISH)
        return wire_refuse(wire, REFUSED_PROTOCOL, "message %c where %c belongs",
                           (int)head.type, (int)MESSAGE_FINISH);
    return wire_take_finish(wire, head, files, bytes);
}
