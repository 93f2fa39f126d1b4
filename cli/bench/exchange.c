/* SPDX-License-Identifier: MIT */
/*
 * exchange.c -- preparing questions, checking answers.
 *
 * Almost every answer comes in one piece, is lent by the library (tn_read_lease) and
 * compared where it lies.  What comes in pieces goes through the same check piece by
 * piece; of the piece before only as many bytes are kept as --until is long.
 */
#include "exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

/* ---- preparing ---- */

static int hex_digit(char digit)
{
    const char *digits = "0123456789abcdef";
    const char *found = digit ? strchr(digits, digit | 0x20) : NULL;

    return found ? (int)(found - digits) : -1;
}

/* The byte that the escape at *TEXT, behind its backslash, stands for; -1: none. */
static int read_escape(const char **text)
{
    static const char letters[] = "rnt0\\", bytes[] = "\r\n\t\0\\";
    char letter = *(*text)++;
    const char *known = letter ? strchr(letters, letter) : NULL;

    if (known)
        return bytes[known - letters];
    if (letter == 'x' && hex_digit((*text)[0]) >= 0 && hex_digit((*text)[1]) >= 0) {
        *text += 2;
        return hex_digit((*text)[-2]) * 16 + hex_digit((*text)[-1]);
    }
    return -1;
}

/* TEXT with its escapes replaced, into BYTES, which has room for it, and *SIZE. */
static bool unescape(const char *text, char *bytes, size_t *size)
{
    *size = 0;
    while (*text) {
        int byte = (unsigned char)*text++;

        if (byte == '\\')
            byte = *text ? read_escape(&text) : -1;
        if (byte < 0)
            return false;
        bytes[(*size)++] = (char)byte;
    }
    return true;
}

/* The value of OPTION in memory of its own. */
static int read_text(const char *option, const char *text, char **bytes, size_t *size)
{
    *bytes = malloc(strlen(text) + 1);
    if (!*bytes)
        return report_error(EXIT_OTHER, "bench", "", "out of memory");
    if (!unescape(text, *bytes, size))
        return report_error(EXIT_USAGE, "option", option,
                            "in '%s' an escape is none of \\r \\n \\t \\0 \\\\ \\xHH",
                            text);
    return *size > 0 ? 0 : report_error(EXIT_USAGE, "option", option, "is empty");
}

/* Bytes to be sent back: in which a shift or a loss shows. */
static int make_pattern(struct exchange *exchange, size_t size)
{
    uint32_t state = 1;

    exchange->request = malloc(size);
    if (!exchange->request)
        return report_error(EXIT_OTHER, "bench", "", "out of memory");
    for (size_t i = 0; i < size; i++) {
        state = state * 1664525 + 1013904223; /* Numerical Recipes' generator */
        exchange->request[i] = (char)(state >> 24);
    }
    exchange->request_size = size;
    return 0;
}

/* Without --expect the answer is the question. */
static int expect_echo(struct exchange *exchange)
{
    exchange->expect = malloc(exchange->request_size + 1);
    if (!exchange->expect)
        return report_error(EXIT_OTHER, "bench", "", "out of memory");
    memcpy(exchange->expect, exchange->request, exchange->request_size);
    exchange->expect_size = exchange->request_size;
    return 0;
}

/* Where the answer ends: as told, or at the end of the line that --expect is in. */
static int choose_end(struct exchange *exchange, const struct settings *settings)
{
    if (settings->until && settings->answer)
        return report_error(EXIT_USAGE, "option", "--answer",
                            "--until says already where an answer ends");
    if (settings->answer) {
        exchange->end = END_SIZE;
        exchange->size = (size_t)settings->answer;
        return exchange->size >= exchange->expect_size
                   ? 0
                   : report_error(EXIT_USAGE, "option", "--answer",
                                  "--expect is longer than that");
    }
    if (settings->until) {
        if (strlen(settings->until) >= UNTIL_MOST)
            return report_error(EXIT_USAGE, "option", "--until",
                                "is longer than %d bytes", UNTIL_MOST - 1);
        exchange->end = END_UNTIL;
        if (!unescape(settings->until, exchange->until, &exchange->until_size) ||
            exchange->until_size == 0)
            return report_error(
                EXIT_USAGE, "option", "--until",
                "is empty, or an escape is none of \\r \\n \\t \\0 \\\\ \\xHH");
    } else if (exchange->expect_size > 0 && settings->expect &&
               exchange->expect[exchange->expect_size - 1] != '\n') {
        exchange->end = END_UNTIL;
        exchange->until[0] = '\n';
        exchange->until_size = 1;
    }
    return 0;
}

int exchange_prepare(struct exchange *exchange, const struct settings *settings,
                     size_t size)
{
    int code;

    memset(exchange, 0, sizeof(*exchange));
    if (settings->send)
        code = read_text("--send", settings->send, &exchange->request,
                         &exchange->request_size);
    else
        code = make_pattern(exchange, size);
    if (!code && settings->expect)
        code = read_text("--expect", settings->expect, &exchange->expect,
                         &exchange->expect_size);
    else if (!code && !settings->until && !settings->answer)
        code = expect_echo(exchange);
    return code ? code : choose_end(exchange, settings);
}

void exchange_release(struct exchange *exchange)
{
    free(exchange->request);
    free(exchange->expect);
    exchange->request = NULL;
    exchange->expect = NULL;
}

/* ---- checking ---- */

enum verdict { VERDICT_MORE, VERDICT_RIGHT, VERDICT_WRONG };

/* DATA of SIZE bytes at AT are wrong: keep them for the complaint. */
static enum verdict wrong_at(struct answer *answer, size_t at, const char *data,
                             size_t size)
{
    answer->wrong = true;
    answer->wrong_at = at;
    answer->got_size = size < GOT_MOST ? size : GOT_MOST;
    memcpy(answer->got, data, answer->got_size);
    return VERDICT_WRONG;
}

/* The part of EXPECT that DATA covers. */
static bool begins_right(const struct exchange *exchange, struct answer *answer,
                         const char *data, size_t size)
{
    size_t left =
        exchange->expect_size > answer->seen ? exchange->expect_size - answer->seen : 0;
    size_t part = left < size ? left : size;
    const char *expected;
    size_t same = 0;

    if (part == 0)
        return true;
    expected = exchange->expect + answer->seen;
    if (memcmp(data, expected, part) == 0)
        return true;
    while (data[same] == expected[same])
        same++;
    (void)wrong_at(answer, answer->seen + same, data + same, size - same);
    return false;
}

/* An answer of a known length. */
static enum verdict check_length(struct answer *answer, size_t length, const char *data,
                                 size_t size)
{
    if (answer->seen + size > length)
        return wrong_at(answer, length, data + (length - answer->seen),
                        answer->seen + size - length);
    return answer->seen + size == length ? VERDICT_RIGHT : VERDICT_MORE;
}

/* Remember the last bytes of DATA, as many as the end could begin in. */
static void keep_tail(struct answer *answer, size_t room, const char *data, size_t size)
{
    if (size < room) {
        size_t old = answer->tail_size + size > room ? room - size : answer->tail_size;

        memmove(answer->tail, answer->tail + answer->tail_size - old, old);
        memcpy(answer->tail + old, data, size);
        answer->tail_size = old + size;
    } else {
        memcpy(answer->tail, data + size - room, room);
        answer->tail_size = room;
    }
}

/* Does --until end at DATA[AT], counting in what came before it? */
static bool ends_at(const struct exchange *exchange, const struct answer *answer,
                    const char *data, size_t at)
{
    size_t here = at + 1 < exchange->until_size ? at + 1 : exchange->until_size;
    size_t before = exchange->until_size - here;

    return before <= answer->tail_size &&
           memcmp(answer->tail + answer->tail_size - before, exchange->until, before) ==
               0 &&
           memcmp(data + at + 1 - here, exchange->until + before, here) == 0;
}

static enum verdict check_until(const struct exchange *exchange, struct answer *answer,
                                const char *data, size_t size)
{
    char last = exchange->until[exchange->until_size - 1];
    size_t least = exchange->expect_size > answer->seen + 1
                       ? exchange->expect_size - answer->seen - 1
                       : 0;

    for (size_t at = least; at < size; at++) {
        const char *found = memchr(data + at, last, size - at);

        if (!found)
            break;
        at = (size_t)(found - data);
        if (!ends_at(exchange, answer, data, at))
            continue;
        return at + 1 == size ? VERDICT_RIGHT
                              : wrong_at(answer, answer->seen + at + 1, data + at + 1,
                                         size - at - 1);
    }
    keep_tail(answer, exchange->until_size - 1, data, size);
    return VERDICT_MORE;
}

static enum verdict check_piece(const struct exchange *exchange, struct answer *answer,
                                const char *data, size_t size)
{
    enum verdict verdict;

    if (!begins_right(exchange, answer, data, size))
        return VERDICT_WRONG;
    if (exchange->end == END_UNTIL)
        verdict = check_until(exchange, answer, data, size);
    else
        verdict = check_length(
            answer, exchange->end == END_SIZE ? exchange->size : exchange->expect_size,
            data, size);
    answer->seen += size;
    return verdict;
}

tn_err exchange_answer(const struct exchange *exchange, struct tn_conn *conn,
                       struct answer *answer, tn_deadline deadline)
{
    enum verdict verdict = VERDICT_MORE;
    const void *data;
    size_t size;

    answer->seen = 0;
    answer->wrong = false;
    answer->tail_size = 0;
    while (verdict == VERDICT_MORE) {
        tn_err err = tn_read_lease(conn, &data, &size, deadline);

        if (tn_failed(err))
            return err;
        verdict = check_piece(exchange, answer, data, size);
        tn_return(conn);
    }
    return verdict == VERDICT_RIGHT ? tn_ok() : tn_err_user(TN_PROTOCOL, 0);
}

const char *exchange_show(const char *data, size_t size, char *buf, size_t room)
{
    size_t used = 0;

    buf[used++] = '"';
    for (size_t i = 0; i < size && used + 6 < room; i++) {
        unsigned char byte = (unsigned char)data[i];

        if (byte == '\r' || byte == '\n')
            used += (size_t)snprintf(buf + used, room - used, "\\%c",
                                     byte == '\r' ? 'r' : 'n');
        else if (byte < ' ' || byte > '~' || byte == '"' || byte == '\\')
            used += (size_t)snprintf(buf + used, room - used, "\\x%02x", byte);
        else
            buf[used++] = (char)byte;
    }
    buf[used++] = '"';
    buf[used] = 0;
    return buf;
}
