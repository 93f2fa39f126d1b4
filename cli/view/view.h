/* SPDX-License-Identifier: MIT */
/*
 * view.h -- what can be seen of a running server: what `tenon top` and the dashboard show.
 *
 * Of thousands of clients nobody sees more than some rows.  So the server sorts and
 * filters, and gives only the rows that are asked for; what costs a system call for each
 * client, such as its round-trip time, is found out for these alone.
 *
 * Rates are measured between looks.  Nothing is done for them while nobody looks: the
 * first one who does, a second or more after the last, sets them for all.  With thousands
 * of clients that takes milliseconds, so others run in between.
 */
#ifndef TENON_CLI_VIEW_H
#define TENON_CLI_VIEW_H

#include <tenon.h>

#include "control/control.h"
#include "gate.h"

/* Rows that one answer gives at most. */
#define VIEW_ROWS_MOST 200

enum view_order { VIEW_RATE, VIEW_IN, VIEW_OUT, VIEW_AGE, VIEW_NEW, VIEW_ORDERS };

/* Which rows. */
struct view_request {
    enum view_order order;
    int64_t first, count;
    char filter[64]; /* part of the client's address or its target's; "": all */
};

/* A kind of server: how it is looked at, for the ARG of the view. */
struct view_kind {
    /* The objects in front of the clients': the process, its targets.  Gives the bytes from
     * and to clients, those that are gone included. */
    void (*head)(void *arg, struct control_answer *answer, uint64_t *in, uint64_t *out);
    /* The bytes from and to one. */
    void (*moved)(const struct client *client, uint64_t *in, uint64_t *out);
    /* The name of CLIENT's target, or "". */
    const char *(*target)(const struct client *client);
    /* Add to ROW, which has the client's number, address, age and rates, what else is known. */
    void (*tell)(struct client *client, struct json *row);
};

struct view {
    const struct view_kind *kind;
    struct gate *gate;
    void *arg;
    struct pace pace;  /* of all together */
    int64_t paced_at;  /* when that was; 0: never */
    int64_t looked_at; /* the same of the clients */
    bool looking;      /* somebody is at it */
};

/*
 * view_read -- WORDS ("ORDER FIRST COUNT FILTER", from the left, all optional) in *REQUEST.
 * NULL, or what is wrong with them.
 */
const char *view_read(struct view_request *request, const char *words);

/* view_order_name -- "rate" and so on. */
const char *view_order_name(enum view_order order);

/* view_look -- measure the rates, if that was not done just now.  Others may run meanwhile. */
void view_look(struct view *view);

/* view_answer -- look, and put what REQUEST asks for into ANSWER, all of it as it is at one
 * moment then.  NULL, or why not. */
const char *view_answer(struct view *view, const struct view_request *request,
                        struct control_answer *answer);

/* view_row -- the object of CLIENT, complete, into ANSWER. */
void view_row(const struct view *view, struct client *client,
              struct control_answer *answer);

/* view_command -- what a server answers to "view", given its view: as control_command. */
const char *view_command(struct view *view, const char *rest,
                         struct control_answer *answer);

#endif
