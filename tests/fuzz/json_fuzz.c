/* SPDX-License-Identifier: MIT */
/*
 * json_fuzz.c -- any text in an object of --json: it stays one object, on one line, in
 * UTF-8, and a reader that knows only the grammar (RFC 8259) finds its way through.
 *
 * Words of the input, ended by newlines, are in turn names and values.
 */
#include "fuzz.h"

#include "report.h"

/* Steps over one UTF-8 character other than ASCII. */
static const unsigned char *skip_wide(const unsigned char *at)
{
    unsigned more = *at >= 0xf0 ? 3 : *at >= 0xe0 ? 2 : 1;

    fuzz_must(*at >= 0xc2 && *at <= 0xf4);
    for (at++; more > 0; more--, at++)
        fuzz_must((*at & 0xc0) == 0x80);
    return at;
}

static const unsigned char *skip_string(const unsigned char *at)
{
    fuzz_must(*at++ == '"');
    while (*at != '"') {
        if (*at >= 0x80) {
            at = skip_wide(at);
            continue;
        }
        fuzz_must(*at >= ' ');
        if (*at++ != '\\')
            continue;
        fuzz_must(*at == 'u');
        for (int i = 1; i <= 4; i++)
            fuzz_must(strchr("0123456789abcdef", at[i]) != NULL && at[i] != '\0');
        at += 5;
    }
    return at + 1;
}

static const unsigned char *skip_value(const unsigned char *at)
{
    size_t size;

    if (*at == '"')
        return skip_string(at);
    size = strspn((const char *)at, "0123456789.-truefalse");
    fuzz_must(size > 0);
    return at + size;
}

static void check_object(const struct json *json)
{
    char *text = fuzz_text((const uint8_t *)json->text, json->size);
    const unsigned char *at = (const unsigned char *)text;

    fuzz_must(json->size + 2 <= sizeof(json->text));
    fuzz_must(strlen(text) == json->size);
    fuzz_must(*at++ == '{');
    for (;;) {
        at = skip_string(at);
        fuzz_must(*at == ':');
        at = skip_value(at + 1);
        if (*at == '\0')
            break;
        fuzz_must(*at++ == ',');
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size), *rest = text, *name, *value;
    struct json json;

    memset(&json, 0xff, sizeof(json));
    json_event(&json, "fuzz");
    while ((name = strsep(&rest, "\n")) != NULL) {
        value = rest != NULL ? strsep(&rest, "\n") : NULL;
        if (value != NULL)
            json_text(&json, name, value);
        else
            json_number(&json, name, size);
        check_object(&json);
    }
    free(text);
    return 0;
}
