/* SPDX-License-Identifier: MIT */
/*
 * http.h -- a very small HTTP server for monitoring and the dashboard: GET and HEAD of a few
 * pages, made on the spot (RFC 9110, RFC 9112), and streams that go on.
 *
 * One request a connection, then the end.  Strict limits: HTTP_HEAD bytes of request, ten
 * seconds for it and its answer, `most` clients at once, and further ones are reset; no body
 * is taken, nothing of the request but its first line is looked at.
 */
#ifndef TENON_CLI_HTTP_H
#define TENON_CLI_HTTP_H

#include <tenon.h>

#include "control/control.h"
#include "options.h"

#define HTTP_HEAD    8192
#define HTTP_CLIENTS 16 /* unless `most` says otherwise */

/*
 * A page: `make` puts its text into ANSWER for ARG and returns its media type; it may not
 * park.  Or `stream` is given the connection CONN, which it neither closes nor aborts, and
 * the QUERY behind the path's question mark, or ""; it sends its own head, and when it
 * returns the connection ends.
 */
struct http_page {
    const char *path; /* "/metrics" */
    const char *(*make)(void *arg, struct control_answer *answer);
    tn_err (*stream)(void *arg, struct tn_conn *conn, const char *query);
};

struct http {
    const struct http_page *pages;
    size_t page_count;
    void *arg;
    const char *name; /* "metrics": of its event, and in what people are told */
    unsigned most;    /* clients at once; 0: HTTP_CLIENTS */
    struct tn_listener *listener;
    struct tn_group *group;
    unsigned clients;
};

/*
 * http_open -- answer at WHERE_TO until http_close; a mere port is one of loopback.  Returns 0
 * or an exit code after a complaint.
 */
int http_open(struct http *http, struct settings *settings, const char *where_to);
void http_close(struct http *http);

#endif
