/* SPDX-License-Identifier: MIT */
/*
 * dash.h -- the dashboard of a running server: one page, kept up to date by server-sent
 * events (HTML, 9.2), at the address of --dash.
 *
 *      /                           the page; all it needs is in it
 *      /events?sort=age&first=50   every second a frame: what view.h gives for that
 *
 * It shows and changes nothing.  The server it shows never waits for it: a reader gets the
 * newest frame once it has taken the last one, misses what was between, and is let go if it
 * takes nothing for five seconds.
 */
#ifndef TENON_CLI_DASH_H
#define TENON_CLI_DASH_H

#include "http/http.h"
#include "view/view.h"

/* Readers and visitors at once. */
#define DASH_READERS 256
/* Different views (orders, filters, pages) at once; who asks for one more gets a 503. */
#define DASH_VIEWS 8
/* Rows of a frame. */
#define DASH_ROWS 50

/* What the readers of one view share. */
struct channel {
    struct view_request request;
    unsigned readers;            /* 0: free */
    struct control_answer frame; /* the newest; no text: none yet */
    int64_t made_at;
};

struct dash {
    struct http http;
    struct view *view;
    struct channel channels[DASH_VIEWS];
};

/*
 * dash_open -- show VIEW at WHERE_TO, if that is not NULL, until dash_close; a mere port is
 * one of loopback.  Returns 0 or an exit code after a complaint.
 */
int dash_open(struct dash *dash, struct view *view, struct settings *settings,
              const char *where_to);

/* dash_close -- let all readers go; one not opened is fine.  Parks. */
void dash_close(struct dash *dash);

/* ---- page.c ---- */

/* dash_page -- the page, as http_page wants it. */
const char *dash_page(void *arg, struct control_answer *answer);

/* ---- query.c ---- */

/* dash_query -- QUERY of /events in *REQUEST; false if it makes no sense. */
bool dash_query(struct view_request *request, const char *query);

#endif
