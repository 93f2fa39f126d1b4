/* SPDX-License-Identifier: MIT */
/*
 * session.c -- tokens from the command line, and failures in words and numbers.
 */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dialing.h"

/* The first line of the file NAME. */
static int read_token_file(const char *name, char *text)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, TOKEN_MOST);
    int error = errno;

    if (fd >= 0)
        (void)close(fd);
    if (size < 0)
        return report_error(EXIT_OUTPUT, "read", name, "%s", strerror(error));
    text[size] = 0;
    text[strcspn(text, "\r\n")] = 0;
    return 0;
}

int session_token(const struct settings *settings, char *text)
{
    const char *token = settings->token;
    int code = 0;

    text[0] = 0;
    if (!token)
        return 0;
    if (token[0] == '@')
        code = read_token_file(token + 1, text);
    else
        (void)snprintf(text, TOKEN_MOST + 1, "%s", token);
    if (code)
        return code;
    if (strlen(text) < TOKEN_LEAST || (token[0] != '@' && strlen(token) > TOKEN_MOST)) {
        code = report_error(EXIT_USAGE, "option", "--token", "not %d to %d bytes long",
                            TOKEN_LEAST, TOKEN_MOST);
        report_hint("openssl rand -hex 16 makes a good one");
    }
    return code;
}

const char *session_why(const struct wire *wire, tn_err err, const char *peer, char *buf,
                        size_t size)
{
    char text[120];

    if (wire->refusal != REFUSED_NOT && wire->theirs)
        (void)snprintf(buf, size, "the %s says: %s", peer, wire->why);
    else if (wire->refusal != REFUSED_NOT)
        (void)snprintf(buf, size, "%s", wire->why);
    else if (err.kind == TN_UNSUPPORTED)
        (void)snprintf(buf, size, "not a %s of tenon", peer);
    else if (err.kind == TN_EOF)
        (void)snprintf(buf, size, "the %s ended before it was done", peer);
    else
        (void)snprintf(buf, size, "%s", tn_err_text(err, text, sizeof(text)));
    return buf;
}

enum exit_code session_code(const struct wire *wire, tn_err err)
{
    bool local = wire->refusal == REFUSED_SPACE || wire->refusal == REFUSED_DENIED ||
                 wire->refusal == REFUSED_FILE || wire->refusal == REFUSED_EXISTS;

    if (wire->refusal == REFUSED_STOPPED)
        return EXIT_CUT;
    if (wire->refusal != REFUSED_NOT)
        return local && !wire->theirs ? EXIT_OUTPUT : EXIT_OTHER;
    if (err.kind == TN_EOF)
        return EXIT_CUT;
    return (enum exit_code)network_code(err);
}

bool session_may_return(const struct wire *wire, tn_err err)
{
    switch (wire->refusal) {
    case REFUSED_NOT:
        break;
    case REFUSED_BUSY:
    case REFUSED_DIGEST:
    case REFUSED_STOPPED:
        return true;
    default:
        return false;
    }
    return err.kind == TN_EOF || err.kind == TN_RESET || err.kind == TN_TIMEDOUT ||
           err.kind == TN_UNREACHABLE || err.kind == TN_REFUSED ||
           err.kind == TN_DEADLINE || err.kind == TN_LIMIT;
}

void session_file_told(const char *where, const char *name, const struct sum *sum,
                       uint64_t moved)
{
    char text[DIGEST_TEXT];
    struct json json;

    report_detail("%s: %llu bytes, sha256 %s", name, (unsigned long long)sum->size,
                  digest_text(sum->digest, text));
    if (!report_wants_json())
        return;
    json_event(&json, "file");
    json_bool(&json, "ok", true);
    json_text(&json, "where", where);
    json_text(&json, "name", name);
    json_number(&json, "size", sum->size);
    json_number(&json, "moved", moved);
    json_text(&json, "sha256", digest_text(sum->digest, text));
    json_send(&json);
}
