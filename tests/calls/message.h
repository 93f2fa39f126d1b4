/* SPDX-License-Identifier: MIT */
/*
 * message.h -- an actor that receives messages with control data.
 */
#ifndef CALLS_MESSAGE_H
#define CALLS_MESSAGE_H

#include "calls.h"

union room {
    size_t align;
    unsigned char bytes[1100];
};

struct receiver {
    int fd, flags;
    size_t size, room; /* of the buffer, and for control data */
    int times;
};

/* Receives as ARG, a struct receiver, says; descriptors that come are closed. */
void receiver(struct actor *me, void *arg);

#endif /* CALLS_MESSAGE_H */
