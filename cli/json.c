/* SPDX-License-Identifier: MIT */
/*
 * json.c -- building one JSON object on one line.
 *
 * Text may be anything: what is no UTF-8 becomes U+FFFD, so that the object is valid
 * whatever a file, a host or a peer is called.
 *
 * Always true: json->text[0 .. size) is an object without its closing brace, and there
 * is room for that and a newline.
 */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Append TEXT of SIZE bytes, if it fits. */
static bool put(struct json *json, const char *text, size_t size)
{
    if (size > sizeof(json->text) - 2 - json->size)
        return false;
    memcpy(json->text + json->size, text, size);
    json->size += size;
    return true;
}

/* How many bytes the UTF-8 character at TEXT has; 0 if it is none (RFC 3629). */
static size_t utf8_size(const unsigned char *text)
{
    size_t size = text[0] < 0x80   ? 1
                  : text[0] < 0xc2 ? 0
                  : text[0] < 0xe0 ? 2
                  : text[0] < 0xf0 ? 3
                  : text[0] < 0xf5 ? 4
                                   : 0;

    for (size_t i = 1; i < size; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
        (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
        return 0;
    return size;
}

static bool put_escaped(struct json *json, const char *value)
{
    bool fits = put(json, "\"", 1);

    while (fits && *value) {
        const unsigned char *byte = (const unsigned char *)value;
        size_t size = utf8_size(byte);
        char code[8];

        if (size == 0) {
            fits = put(json, "\\ufffd", 6);
            size = 1;
        } else if (*byte < ' ' || *byte == '"' || *byte == '\\' || *byte == 0x7f) {
            (void)snprintf(code, sizeof(code), "\\u%04x", *byte);
            fits = put(json, code, 6);
        } else {
            fits = put(json, value, size);
        }
        value += size;
    }
    return fits && put(json, "\"", 1);
}

/* Append ,"NAME": */
static bool put_name(struct json *json, const char *name)
{
    return (json->size == 1 || put(json, ",", 1)) && put_escaped(json, name) &&
           put(json, ":", 1);
}

static void put_plain(struct json *json, const char *name, const char *value)
{
    size_t before = json->size;

    if (!put_name(json, name) || !put(json, value, strlen(value)))
        json->size = before;
}

void json_text(struct json *json, const char *name, const char *value)
{
    size_t before = json->size;

    if (!put_name(json, name) || !put_escaped(json, value))
        json->size = before;
}

void json_number(struct json *json, const char *name, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    put_plain(json, name, text);
}

void json_real(struct json *json, const char *name, double value)
{
    char text[40];

    (void)snprintf(text, sizeof(text), "%.3f", value);
    put_plain(json, name, text);
}

void json_ms(struct json *json, const char *name, int64_t nanoseconds)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%" PRId64 ".%03" PRId64, nanoseconds / TN_MS,
                   nanoseconds % TN_MS / TN_US);
    put_plain(json, name, text);
}

void json_bool(struct json *json, const char *name, bool value)
{
    put_plain(json, name, value ? "true" : "false");
}

void json_end(struct json *json)
{
    json->text[json->size++] = '}';
    json->text[json->size++] = '\n';
}

void json_event(struct json *json, const char *event)
{
    struct timespec now = { 0, 0 };
    struct tm parts;
    char day[32], text[48];

    json->text[0] = '{';
    json->size = 1;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &parts);
    (void)strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(text, sizeof(text), "%s.%03ldZ", day, now.tv_nsec / 1000000);
    json_number(json, "v", 1);
    json_text(json, "t", text);
    json_text(json, "ev", event);
}
