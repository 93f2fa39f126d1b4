/* SPDX-License-Identifier: MIT */
/*
 * http.c -- see http.h.
 */
#include "http/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dialing.h"
#include "where.h"

#define TIME_MOST (10 * TN_SECOND)

/* For each client.  More would only hold frames of the dashboard that have grown old. */
#define SEND_BUFFER (64 << 10)

struct visit {
    struct http *http;
    struct tn_conn *conn;
    char head[HTTP_HEAD];
};

/* Read the request up to the empty line.  Its first line is in visit->head then. */
static tn_err read_head(struct visit *visit, tn_deadline deadline)
{
    size_t line = 0, used = 0;
    tn_err err;

    do {
        char *at = visit->head + used;
        err = tn_read_until(visit->conn, at, sizeof(visit->head) - 1 - used, '\n', &line,
                            deadline);
        if (tn_failed(err))
            return err;
        at[line] = 0;
        used += line;
    } while (strcmp(visit->head + used - line, "\r\n") != 0 &&
             strcmp(visit->head + used - line, "\n") != 0);
    return tn_ok();
}

static tn_err send_answer(struct visit *visit, const char *status, const char *type,
                          const char *body, size_t size, bool with_body,
                          tn_deadline deadline)
{
    char head[256];
    struct iovec pieces[2] = { { head, 0 },
                               { (char *)(uintptr_t)body, with_body ? size : 0 } };

    pieces[0].iov_len = (size_t)snprintf(
        head, sizeof(head),
        "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
        status, type, size, strncmp(status, "405", 3) ? "" : "Allow: GET, HEAD\r\n");
    return tn_writev(visit->conn, pieces, 2, NULL, deadline);
}

static tn_err send_error(struct visit *visit, const char *status, tn_deadline deadline)
{
    char body[64];
    int size = snprintf(body, sizeof(body), "%s\n", status);

    return send_answer(visit, status, "text/plain", body, (size_t)size, true, deadline);
}

static const struct http_page *find_page(const struct http *http, const char *path)
{
    for (size_t i = 0; i < http->page_count; i++) {
        if (strcmp(http->pages[i].path, path) == 0)
            return &http->pages[i];
    }
    return NULL;
}

/* The answer to the request line LINE. */
static tn_err answer_line(struct visit *visit, char *line, tn_deadline deadline)
{
    char *path = strchr(line, ' '), *version = path ? strchr(path + 1, ' ') : NULL;
    struct control_answer answer = { 0 };
    const struct http_page *page;
    const char *type;
    char *query;
    bool head;
    tn_err err;

    if (!version || strncmp(version + 1, "HTTP/1.", 7) != 0)
        return send_error(visit, "400 Bad Request", deadline);
    *path++ = 0;
    *version = 0;
    query = path + strcspn(path, "?");
    if (*query)
        *query++ = 0;
    head = strcmp(line, "HEAD") == 0;
    if (!head && strcmp(line, "GET") != 0)
        return send_error(visit, "405 Method Not Allowed", deadline);
    page = find_page(visit->http, path);
    if (!page)
        return send_error(visit, "404 Not Found", deadline);
    if (page->stream && !head)
        return page->stream(visit->http->arg, visit->conn, query);
    if (page->stream)
        return send_answer(visit, "200 OK", "text/event-stream", "", 0, false, deadline);
    type = page->make(visit->http->arg, &answer);
    err = answer.out_of_memory ? send_error(visit, "503 Service Unavailable", deadline)
                               : send_answer(visit, "200 OK", type, answer.text,
                                             answer.size, !head, deadline);
    free(answer.text);
    return err;
}

static tn_err visit_task(void *arg)
{
    struct visit *visit = arg;
    tn_deadline deadline = tn_in(TIME_MOST);
    tn_err err = read_head(visit, deadline);

    if (!tn_failed(err))
        err = answer_line(visit, visit->head, deadline);
    else if (err.kind == TN_LIMIT)
        err = send_error(visit, "431 Request Header Fields Too Large", deadline);
    if (!tn_failed(err))
        tn_ignore(
            tn_close_discard(&visit->conn, NULL, tn_in(TIME_MOST))); /* its matter */
    tn_abort(&visit->conn);
    visit->http->clients--;
    free(visit);
    return tn_ok();
}

static void admit(struct http *http, struct tn_conn *conn)
{
    struct tn_task_options options = { .name = "http" };
    unsigned most = http->most ? http->most : HTTP_CLIENTS;
    struct visit *visit = http->clients < most ? malloc(sizeof(*visit)) : NULL;

    if (visit) {
        visit->http = http;
        visit->conn = conn;
        http->clients++;
        if (!tn_failed(tn_go(http->group, visit_task, visit, &options, NULL)))
            return;
        http->clients--;
        free(visit);
    }
    tn_abort(&conn);
}

static tn_err accept_task(void *arg)
{
    struct http *http = arg;
    struct tn_conn *conn = NULL;

    while (!tn_failed(tn_accept(http->listener, &conn, TN_NEVER)))
        admit(http, conn);
    return tn_ok();
}

static void tell_listening(const struct http *http, const struct where *where)
{
    tn_addr addr = tn_listener_addr(http->listener);
    char text[TN_ADDR_TEXT];
    struct json json;

    (void)tn_addr_text(&addr, text, sizeof(text));
    report_note("%s at http://%s%s", http->name, text, http->pages[0].path);
    if (!report_wants_json())
        return;
    json_event(&json, http->name);
    json_bool(&json, "ok", true);
    json_text(&json, "where", where->name);
    json_text(&json, "addr", text);
    json_send(&json);
}

int http_open(struct http *http, struct settings *settings, const char *where_to)
{
    struct where where;
    char text[sizeof(where.text) + 16], why[160];
    int code = where_read(&where, settings, &where_to, 1);
    struct tn_listen_options options = { .conn.send_buffer = SEND_BUFFER };
    tn_err err;

    if (code)
        return code;
    if (where.is_bare) {
        (void)snprintf(text, sizeof(text), "127.0.0.1%.300s", where.text);
        where_set(&where, text);
    }
    err = tn_listen(&http->listener, where.text, &options);
    if (tn_failed(err)) {
        code = dialing_code(err, NULL, &where, why, sizeof(why));
        return report_error((enum exit_code)code, "listen", where.name, "%s", why);
    }
    err = tn_group_open(&http->group, TN_GROUP_EACH_ALONE);
    if (!tn_failed(err))
        err = tn_go(http->group, accept_task, http, NULL, NULL);
    if (tn_failed(err)) {
        http_close(http);
        return report_error(EXIT_OTHER, "listen", where.name, "out of memory");
    }
    tell_listening(http, &where);
    return 0;
}

void http_close(struct http *http)
{
    tn_group_close(&http->group);
    tn_listener_close(&http->listener);
}
