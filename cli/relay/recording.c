/* SPDX-License-Identifier: MIT */
/*
 * recording.c -- reading a recording; see recording.h.
 */
#include "relay/recording.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "report.h"

/* More does not belong into memory. */
#define FILE_MOST ((size_t)1 << 30)

static const struct {
    const char *name;
    enum recorded what;
} names[] = {
    { "up", RECORDED_UP },         { "down", RECORDED_DOWN },
    { "up-end", RECORDED_UP_END }, { "down-end", RECORDED_DOWN_END },
    { "open", RECORDED_OPEN },     { "close", RECORDED_CLOSE },
};

/* Where the reader stands. */
struct reader {
    struct recording *recording;
    const char *path;
    char *at, *end;
    unsigned long line;
};

/* All of FILE, with a NUL behind it. */
static char *read_all(FILE *file, size_t *size)
{
    size_t room = 1 << 16;
    char *text = malloc(room);

    *size = 0;
    while (text) {
        size_t got = fread(text + *size, 1, room - *size - 1, file);
        char *more;

        *size += got;
        if (got == 0)
            break;
        if (*size + 1 < room)
            continue;
        more = room < FILE_MOST ? realloc(text, room * 2) : NULL;
        if (!more) {
            free(text);
            errno = room < FILE_MOST ? ENOMEM : EFBIG;
            return NULL;
        }
        text = more;
        room *= 2;
    }
    if (text)
        text[*size] = 0;
    return text;
}

static int complain(const struct reader *reader, const char *why)
{
    return report_error(EXIT_OTHER, "read", reader->path, "line %lu: %s", reader->line,
                        why);
}

static struct recorded_client *client_of(struct recording *recording, uint64_t id)
{
    struct recorded_client *clients;

    for (size_t i = recording->count; i > 0; i--) { /* mostly one of the last */
        if (recording->clients[i - 1].id == id)
            return &recording->clients[i - 1];
    }
    if (recording->count == recording->room) {
        size_t room = recording->room ? recording->room * 2 : 16;
        clients = realloc(recording->clients, room * sizeof(*clients));
        if (!clients)
            return NULL;
        recording->clients = clients;
        recording->room = room;
    }
    clients = &recording->clients[recording->count++];
    *clients = (struct recorded_client){ .id = id };
    return clients;
}

static bool add_event(struct recording *recording, uint64_t id,
                      const struct recorded_event *event)
{
    struct recorded_client *client = client_of(recording, id);

    if (client && client->count == client->room) {
        size_t room = client->room ? client->room * 2 : 16;
        struct recorded_event *events = realloc(client->events, room * sizeof(*events));
        if (!events)
            return false;
        client->events = events;
        client->room = room;
    }
    if (!client)
        return false;
    client->events[client->count++] = *event;
    if (event->what == RECORDED_DOWN)
        client->answer += event->size;
    return true;
}

/* The next word of the line, or NULL. */
static char *next_word(char **line)
{
    char *word = *line;

    if (!word || !*word)
        return NULL;
    *line = strchr(word, ' ');
    if (*line)
        *(*line)++ = 0;
    return word;
}

/* "12.000000001" in nanoseconds. */
static bool read_time(const char *word, int64_t *at)
{
    const char *point = strchr(word, '.');
    char seconds[24] = "";
    int64_t whole, part;

    if (!point || strlen(point + 1) != 9 || (size_t)(point - word) >= sizeof(seconds))
        return false;
    memcpy(seconds, word, (size_t)(point - word));
    if (!value_number(seconds, 0, INT64_MAX / 1000000001, &whole) ||
        !value_number(point + 1, 0, 999999999, &part))
        return false;
    *at = whole * 1000000000 + part;
    return true;
}

/* The bytes behind an event's line.  False if the file ends within them. */
static bool take_bytes(struct reader *reader, struct recorded_event *event)
{
    if ((size_t)(reader->end - reader->at) < event->size + 1 ||
        reader->at[event->size] != '\n')
        return false;
    event->data = reader->at;
    reader->at += event->size + 1;
    return true;
}

/* The event in LINE: 0, or an exit code after a complaint. */
static int read_event(struct reader *reader, char *line)
{
    struct recorded_event event = { 0 };
    char *at = next_word(&line), *id = next_word(&line), *name = next_word(&line);
    bool known = false;
    int64_t number, size = 0;

    for (size_t i = 0; name && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i].name, name) == 0) {
            event.what = names[i].what;
            known = true;
        }
    }
    if (!known || !read_time(at, &event.at) || !value_number(id, 1, INT64_MAX, &number))
        return complain(reader, "this is no event");
    event.data = line ? line : "";
    if (event.what == RECORDED_UP || event.what == RECORDED_DOWN) {
        if (!line || !value_number(line, 0, (int64_t)FILE_MOST, &size))
            return complain(reader, "an event without its size");
        event.size = (size_t)size;
        if (!take_bytes(reader, &event)) {
            reader->recording->cut_short = true;
            reader->at = reader->end;
            return 0;
        }
    }
    return add_event(reader->recording, (uint64_t)number, &event)
               ? 0
               : complain(reader, "out of memory");
}

static char *next_line(struct reader *reader)
{
    char *line = reader->at, *end = memchr(line, '\n', (size_t)(reader->end - line));

    reader->line++;
    if (!end) {
        reader->recording->cut_short |= line < reader->end;
        return NULL;
    }
    *end = 0;
    reader->at = end + 1;
    return line;
}

static int read_events(struct reader *reader)
{
    char *line = next_line(reader);
    int code = 0;

    if (!line || strncmp(line, "tenon-recording ", 16) != 0)
        return report_error(EXIT_OTHER, "read", reader->path, "it is no recording");
    if (strncmp(line + 16, "1 ", 2) != 0)
        return report_error(EXIT_OTHER, "read", reader->path,
                            "a version of the format that we do not know");
    while (!code && (line = next_line(reader)) != NULL)
        code = read_event(reader, line);
    return code;
}

int recording_read(struct recording *recording, const char *path)
{
    struct reader reader = { .recording = recording, .path = path };
    FILE *file = fopen(path, "re");
    size_t size = 0;

    if (file)
        recording->text = read_all(file, &size);
    if (!file || !recording->text || ferror(file)) {
        int code = report_error(EXIT_OUTPUT, file ? "read" : "open", path, "%s",
                                strerror(errno));
        if (file)
            (void)fclose(file);
        return code;
    }
    (void)fclose(file);
    reader.at = recording->text;
    reader.end = recording->text + size;
    return read_events(&reader);
}

void recording_release(struct recording *recording)
{
    for (size_t i = 0; i < recording->count; i++)
        free(recording->clients[i].events);
    free(recording->clients);
    free(recording->text);
}
