/* SPDX-License-Identifier: MIT */
/*
 * dash.c -- see dash.h.
 *
 * A task for each reader.  A frame is made when a reader wants one and the newest is old;
 * all readers of that view get copies of it.  So a hundred dashboards cost one frame a
 * second, and what a slow reader holds is one copy of its own.
 *
 * Always true: a channel without readers has no frame.
 */
#include "dash/dash.h"

#include <stdlib.h>
#include <string.h>

#include "report.h"

#define FRAME_EVERY TN_SECOND
/* A frame is old after this; readers do not wake in step. */
#define FRAME_OLD (900 * TN_MS)
/* A reader that takes nothing for this long is let go. */
#define READER_PATIENCE (5 * TN_SECOND)

static void frame_release(struct channel *channel)
{
    free(channel->frame.text);
    channel->frame = (struct control_answer){ 0 };
}

static bool is_new(const struct channel *channel)
{
    return channel->frame.text && tn_now() - channel->made_at < FRAME_OLD;
}

/* Make CHANNEL's frame anew if it is old: "data: [...]\n\n". */
static void frame_renew(const struct dash *dash, struct channel *channel)
{
    struct control_answer *frame = &channel->frame;

    if (!is_new(channel))
        view_look(dash->view); /* others run: one of them may make it */
    if (is_new(channel))
        return;
    frame_release(channel);
    channel->made_at = tn_now();
    control_add_text(frame, "data: [", 7);
    if (view_answer(dash->view, &channel->request, frame))
        frame->out_of_memory = true; /* all there is that could go wrong */
    control_end_array(frame);
    control_add_text(frame, "\n", 1);
    if (frame->out_of_memory)
        frame_release(channel); /* perhaps in a second */
}

/* ---- readers ---- */

static bool same(const struct view_request *one, const struct view_request *other)
{
    return one->order == other->order && one->first == other->first &&
           one->count == other->count && strcmp(one->filter, other->filter) == 0;
}

/* The channel for REQUEST, with one reader more; NULL: there are too many. */
static struct channel *channel_join(struct dash *dash, const struct view_request *request)
{
    struct channel *unused = NULL;

    for (struct channel *channel = dash->channels; channel < dash->channels + DASH_VIEWS;
         channel++) {
        if (channel->readers && same(&channel->request, request)) {
            channel->readers++;
            return channel;
        }
        if (!channel->readers)
            unused = channel;
    }
    if (unused)
        *unused = (struct channel){ .request = *request, .readers = 1 };
    return unused;
}

static void channel_leave(struct channel *channel)
{
    if (--channel->readers == 0)
        frame_release(channel);
}

/* A copy is sent: while this reader takes its time, the others go on. */
static tn_err send_frame(const struct dash *dash, struct channel *channel,
                         struct tn_conn *conn)
{
    size_t size;
    char *copy;
    tn_err err;

    frame_renew(dash, channel);
    size = channel->frame.size;
    copy = size ? malloc(size) : NULL;
    if (!copy)
        return tn_ok(); /* no memory now: this frame is missed */
    memcpy(copy, channel->frame.text, size);
    err = tn_write(conn, copy, size, NULL, tn_in(READER_PATIENCE));
    free(copy);
    return err;
}

static tn_err send_text(struct tn_conn *conn, const char *text)
{
    return tn_write(conn, text, strlen(text), NULL, tn_in(READER_PATIENCE));
}

/* Frames for one reader, until it goes, is too slow, or we end. */
static tn_err stream(void *arg, struct tn_conn *conn, const char *query)
{
    struct dash *dash = arg;
    struct view_request request;
    struct channel *channel;
    tn_err err;

    if (!dash_query(&request, query))
        return send_text(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n"
                               "Connection: close\r\n\r\n");
    channel = channel_join(dash, &request);
    if (!channel)
        return send_text(conn, "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n"
                               "Content-Length: 0\r\nConnection: close\r\n\r\n");
    err = send_text(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                          "Cache-Control: no-store\r\nConnection: close\r\n\r\n");
    while (!tn_failed(err)) {
        err = send_frame(dash, channel, conn);
        if (!tn_failed(err))
            err = tn_sleep(tn_in(FRAME_EVERY));
    }
    channel_leave(channel);
    return err;
}

/* ---- the whole ---- */

static const struct http_page pages[] = {
    { "/", dash_page, NULL },
    { "/events", NULL, stream },
};

int dash_open(struct dash *dash, struct view *view, struct settings *settings,
              const char *where_to)
{
    dash->view = view;
    dash->http = (struct http){
        .pages = pages,
        .page_count = sizeof(pages) / sizeof(pages[0]),
        .arg = dash,
        .name = "dashboard",
        .most = DASH_READERS,
    };
    return where_to ? http_open(&dash->http, settings, where_to) : 0;
}

void dash_close(struct dash *dash)
{
    http_close(&dash->http);
}
