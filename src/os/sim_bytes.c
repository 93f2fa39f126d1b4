/* SPDX-License-Identifier: MIT */
/*
 * sim_bytes.c -- a queue of bytes in a ring that grows.
 *
 * Always true: room is 0 or a power of two, and size <= room.
 */
#include <string.h>

#include "os/sim_inside.h"

bool sim_bytes_room(struct sim_bytes *bytes, size_t more)
{
    size_t room = bytes->room > 0 ? bytes->room : 1024;
    char *bigger;

    if (bytes->room - bytes->size >= more && bytes->room > 0)
        return true;
    while (room < bytes->size + more)
        room *= 2;
    bigger = sim_new(room);
    if (bigger == NULL)
        return false;
    sim_bytes_copy(bytes, 0, bigger, bytes->size);
    sim_free(bytes->data);
    bytes->data = bigger;
    bytes->room = room;
    bytes->start = 0;
    return true;
}

void sim_bytes_put(struct sim_bytes *bytes, const char *data, size_t size)
{
    size_t at = (bytes->start + bytes->size) & (bytes->room - 1);
    size_t first = bytes->room - at;

    CHECK(bytes->room - bytes->size >= size);
    if (size == 0)
        return;
    if (first > size)
        first = size;
    memcpy(bytes->data + at, data, first);
    memcpy(bytes->data, data + first, size - first);
    bytes->size += size;
}

void sim_bytes_copy(const struct sim_bytes *bytes, size_t at, char *data, size_t size)
{
    size_t from, first;

    CHECK(at + size <= bytes->size);
    if (size == 0)
        return;
    from = (bytes->start + at) & (bytes->room - 1);
    first = bytes->room - from;
    if (first > size)
        first = size;
    memcpy(data, bytes->data + from, first);
    memcpy(data + first, bytes->data, size - first);
}

void sim_bytes_drop(struct sim_bytes *bytes, size_t size)
{
    CHECK(size <= bytes->size);
    if (size == 0)
        return;
    bytes->start = (bytes->start + size) & (bytes->room - 1);
    bytes->size -= size;
}

void sim_bytes_release(struct sim_bytes *bytes)
{
    sim_free(bytes->data);
    *bytes = (struct sim_bytes){ NULL, 0, 0, 0 };
}

uint64_t sim_digest(uint64_t digest, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        digest = (digest ^ (unsigned char)data[i]) * UINT64_C(0x100000001b3);
    return digest;
}
