/* SPDX-License-Identifier: MIT */
/*
 * recording.h -- a file of --record in memory, by client; docs/recording.md.
 */
#ifndef TENON_CLI_RECORDING_H
#define TENON_CLI_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum recorded {
    RECORDED_UP,
    RECORDED_DOWN,
    RECORDED_UP_END,
    RECORDED_DOWN_END,
    RECORDED_OPEN,
    RECORDED_CLOSE
};

struct recorded_event {
    enum recorded what;
    int64_t at;       /* nanoseconds since the beginning */
    const char *data; /* of up and down; of close: the reason */
    size_t size;
};

struct recorded_client {
    uint64_t id;
    struct recorded_event *events;
    size_t count, room;
    size_t answer; /* bytes that came down in all */
};

struct recording {
    char *text;
    struct recorded_client *clients; /* by the order of their first events */
    size_t count, room;
    bool cut_short; /* the file ends within an event */
};

/* recording_read -- the file PATH.  Returns 0, or an exit code after a complaint. */
int recording_read(struct recording *recording, const char *path);
void recording_release(struct recording *recording);

#endif
