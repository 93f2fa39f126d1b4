/* SPDX-License-Identifier: MIT */
/*
 * explain_wrap.c -- put UTF-8 text on lines of at most WRAP_COLUMNS columns.
 *
 * A line may break at a space and beside a wide (Chinese) character, but never so that
 * closing punctuation begins a line or opening punctuation ends one.  The text is our
 * own table: valid UTF-8, no control characters.
 */
#include "explain_wrap.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* One character: its code point and its bytes; LENGTH 0 at the end of the text. */
struct glyph {
    uint32_t code;
    size_t length;
};

static struct glyph glyph_at(const char *text)
{
    const unsigned char *byte = (const unsigned char *)text;
    struct glyph glyph = { byte[0], byte[0] != 0 };
    size_t more = 0;

    if (byte[0] >= 0xf0)
        more = 3;
    else if (byte[0] >= 0xe0)
        more = 2;
    else if (byte[0] >= 0xc0)
        more = 1;
    if (more > 0)
        glyph.code = byte[0] & (0x3fu >> more);
    for (size_t i = 1; i <= more && byte[i] != 0; i++) {
        glyph.code = (glyph.code << 6) | (byte[i] & 0x3fu);
        glyph.length++;
    }
    return glyph;
}

/* The East Asian wide and fullwidth blocks of Unicode that text can hold. */
static bool is_wide(uint32_t code)
{
    return (code >= 0x1100 && code <= 0x115f) || (code >= 0x2e80 && code <= 0xa4cf) ||
           (code >= 0xac00 && code <= 0xd7a3) || (code >= 0xf900 && code <= 0xfaff) ||
           (code >= 0xfe30 && code <= 0xfe6f) || (code >= 0xff01 && code <= 0xff60) ||
           (code >= 0xffe0 && code <= 0xffe6) || (code >= 0x20000 && code <= 0x3fffd);
}

static bool is_closing(uint32_t code)
{
    static const uint32_t closing[] = { 0x3001, 0x3002, 0x300d, 0x300f, 0x300b, 0xff09,
                                        0xff0c, 0xff1a, 0xff1b, 0xff01, 0xff1f, ')',
                                        ',',    '.',    ':',    ';' };

    for (size_t i = 0; i < sizeof(closing) / sizeof(closing[0]); i++)
        if (code == closing[i])
            return true;
    return false;
}

static bool is_opening(uint32_t code)
{
    return code == 0xff08 || code == 0x300c || code == 0x300e || code == 0x300a ||
           code == '(';
}

static bool can_break(uint32_t left, uint32_t right)
{
    return (is_wide(left) || is_wide(right)) && !is_opening(left) && !is_closing(right);
}

size_t wrap_width(const char *text)
{
    size_t width = 0;

    for (struct glyph g = glyph_at(text); g.length > 0; g = glyph_at(text)) {
        width += is_wide(g.code) ? 2 : 1;
        text += g.length;
    }
    return width;
}

/* The bytes of the piece at TEXT that must stay on one line; its columns in *WIDTH. */
static size_t unbreakable(const char *text, size_t *width)
{
    size_t length = 0;
    uint32_t last = 0;

    *width = 0;
    for (;;) {
        struct glyph glyph = glyph_at(text + length);
        if (glyph.length == 0 || glyph.code == ' ' ||
            (length > 0 && can_break(last, glyph.code)))
            return length;
        length += glyph.length;
        *width += is_wide(glyph.code) ? 2 : 1;
        last = glyph.code;
    }
}

void wrap_spaces(size_t n)
{
    while (n-- > 0)
        putchar(' ');
}

void wrap_print(const char *text, size_t column, size_t indent)
{
    bool fresh = true; /* nothing of ours stands on this line yet */

    while (*text != '\0') {
        size_t spaces = strspn(text, " ");
        size_t width;

        text += spaces;
        size_t length = unbreakable(text, &width);
        if (!fresh && column + spaces + width > WRAP_COLUMNS) {
            putchar('\n');
            wrap_spaces(indent);
            column = indent;
            fresh = true;
        }
        if (!fresh) {
            wrap_spaces(spaces);
            column += spaces;
        }
        fwrite(text, 1, length, stdout);
        column += width;
        text += length;
        fresh = false;
    }
    putchar('\n');
}
