/* SPDX-License-Identifier: MIT */
/*
 * hlog.c -- writing the log and the V2 form of a histogram (HdrHistogram 2.1.x,
 * AbstractHistogram.encodeIntoByteBuffer and HistogramLogWriter).
 *
 * V2 is a header and the counts from the first bucket to the last one used, as zigzag
 * LEB128, where a negative number stands for that many empty buckets.  "Compressed" means
 * a zlib stream around it (RFC 1950).  Ours has stored blocks (RFC 1951, 3.2.4), which
 * every reader takes: the runs of empty buckets are packed already, and so the command
 * needs no compression library.
 */
#include "hlog.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COOKIE_V2            0x1c849313u /* V2 with words of 64 bits */
#define COOKIE_V2_COMPRESSED 0x1c849314u
#define V2_HEAD              40
#define WORD_MOST            9     /* bytes of one LEB128 number */
#define STORED_MOST          65535 /* bytes in a stored block */

/* Bytes being put together; room is made before. */
struct bytes {
    unsigned char *data;
    size_t size;
};

static void put_byte(struct bytes *bytes, unsigned value)
{
    bytes->data[bytes->size++] = (unsigned char)value;
}

/* The lowest COUNT bytes of VALUE, the highest of them first. */
static void put_big_endian(struct bytes *bytes, uint64_t value, unsigned count)
{
    while (count-- > 0)
        put_byte(bytes, (unsigned)(value >> (8 * count)) & 0xff);
}

/* Zigzag LEB128 in at most 9 bytes, the last of which has all 8 bits. */
static void put_word(struct bytes *bytes, int64_t number)
{
    uint64_t value = ((uint64_t)number << 1) ^ (number < 0 ? UINT64_MAX : 0);

    for (unsigned i = 0; i < WORD_MOST - 1 && value >= 0x80; i++, value >>= 7)
        put_byte(bytes, (unsigned)(value & 0x7f) | 0x80);
    put_byte(bytes, (unsigned)(value & 0xff));
}

static void put_counts(struct bytes *bytes, const struct histogram *histogram)
{
    uint32_t empty = 0;

    for (uint32_t i = 0; i < histogram->end; i++) {
        if (histogram->counts[i] == 0) {
            empty++;
            continue;
        }
        if (empty > 0)
            put_word(bytes, empty == 1 ? 0 : -(int64_t)empty);
        empty = 0;
        put_word(bytes, (int64_t)histogram->counts[i]);
    }
}

static bool make_v2(struct bytes *bytes, const struct histogram *histogram)
{
    static const double ratio = 1.0;
    uint64_t ratio_bits;
    struct bytes counts = { 0 };

    /* Each used bucket costs its number and at most one for the empty ones before. */
    bytes->data = malloc(V2_HEAD + 2 * (size_t)WORD_MOST * histogram->end + 1);
    if (!bytes->data)
        return false;
    bytes->size = V2_HEAD;
    put_counts(bytes, histogram);
    counts.data = bytes->data;
    memcpy(&ratio_bits, &ratio, sizeof(ratio));
    put_big_endian(&counts, COOKIE_V2, 4);
    put_big_endian(&counts, bytes->size - V2_HEAD, 4);
    put_big_endian(&counts, 0, 4); /* normalizing index offset */
    put_big_endian(&counts, 3, 4); /* significant digits */
    put_big_endian(&counts, 1, 8); /* the lowest and the highest value */
    put_big_endian(&counts, (uint64_t)HISTOGRAM_MOST, 8);
    put_big_endian(&counts, ratio_bits, 8);
    return true;
}

static uint32_t adler32(const struct bytes *bytes)
{
    uint32_t low = 1, high = 0;

    for (size_t i = 0; i < bytes->size; i++) {
        low = (low + bytes->data[i]) % 65521;
        high = (high + low) % 65521;
    }
    return high << 16 | low;
}

static void put_stored(struct bytes *bytes, const struct bytes *plain)
{
    size_t at = 0;

    do {
        size_t part = plain->size - at < STORED_MOST ? plain->size - at : STORED_MOST;

        put_byte(bytes, at + part == plain->size); /* the last block? */
        for (unsigned i = 0; i < 2; i++) {
            uint32_t length = (uint32_t)(i == 0 ? part : ~part & 0xffff);
            put_byte(bytes, length & 0xff);
            put_byte(bytes, length >> 8);
        }
        memcpy(bytes->data + bytes->size, plain->data + at, part);
        bytes->size += part;
        at += part;
    } while (at < plain->size);
}

static bool make_compressed(struct bytes *bytes, const struct bytes *plain)
{
    struct bytes head = { 0 };

    bytes->data = malloc(8 + 2 + plain->size + 5 * (plain->size / STORED_MOST + 1) + 4);
    if (!bytes->data)
        return false;
    head.data = bytes->data;
    bytes->size = 8;
    put_big_endian(bytes, 0x7801, 2); /* deflate, 32 KiB, no dictionary */
    put_stored(bytes, plain);
    put_big_endian(bytes, adler32(plain), 4);
    put_big_endian(&head, COOKIE_V2_COMPRESSED, 4);
    put_big_endian(&head, bytes->size - 8, 4);
    return true;
}

static char *make_base64(const struct bytes *bytes)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    char *text = malloc((bytes->size + 2) / 3 * 4 + 1), *at = text;

    for (size_t i = 0; text && i < bytes->size; i += 3) {
        size_t left = bytes->size - i;
        uint32_t group = (uint32_t)bytes->data[i] << 16 |
                         (left > 1 ? (uint32_t)bytes->data[i + 1] << 8 : 0) |
                         (left > 2 ? (uint32_t)bytes->data[i + 2] : 0);

        *at++ = digits[group >> 18];
        *at++ = digits[group >> 12 & 63];
        *at++ = digits[left > 1 ? group >> 6 & 63 : 64];
        *at++ = digits[left > 2 ? group & 63 : 64];
    }
    if (text)
        *at = 0;
    return text;
}

char *hlog_encode(const struct histogram *histogram)
{
    struct bytes plain = { 0 }, compressed = { 0 };
    char *text = NULL;

    if (make_v2(&plain, histogram) && make_compressed(&compressed, &plain))
        text = make_base64(&compressed);
    free(plain.data);
    free(compressed.data);
    return text;
}

/* NANOSECONDS as seconds with three digits behind the point. */
static const char *seconds_text(int64_t nanoseconds, char *buf, size_t size)
{
    (void)snprintf(buf, size, "%" PRId64 ".%03d", nanoseconds / 1000000000,
                   (int)(nanoseconds / 1000000 % 1000));
    return buf;
}

void hlog_begin(FILE *file, int64_t started)
{
    time_t seconds = (time_t)(started / 1000000000);
    struct tm parts;
    char day[64], text[32];

    (void)gmtime_r(&seconds, &parts);
    (void)strftime(day, sizeof(day), "%a %b %d %H:%M:%S UTC %Y", &parts);
    (void)fprintf(file,
                  "#[Logged with tenon " TENON_VERSION "; untagged: corrected for "
                  "coordinated omission]\n"
                  "#[Histogram log format version 1.3]\n"
                  "#[StartTime: %s (seconds since epoch), %s]\n"
                  "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\","
                  "\"Interval_Compressed_Histogram\"\n",
                  seconds_text(started, text, sizeof(text)), day);
}

bool hlog_write(FILE *file, const char *tag, int64_t from, int64_t to,
                const struct histogram *histogram)
{
    char start[32], length[32], *text = hlog_encode(histogram);

    if (!text)
        return false;
    (void)fprintf(file, "%s%s%s%s,%s,%.3f,%s\n", tag ? "Tag=" : "", tag ? tag : "",
                  tag ? "," : "", seconds_text(from, start, sizeof(start)),
                  seconds_text(to - from, length, sizeof(length)),
                  (double)histogram->most / 1e6, text);
    free(text);
    return true;
}
