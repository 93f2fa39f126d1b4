/* SPDX-License-Identifier: MIT */
/*
 * view.c -- see view.h.
 */
#include "view/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Shorter looks would only show how a second's bytes are spread. */
#define LOOK_LEAST (900 * TN_MS)
/* Clients looked at before the loop turns: some 100 us, as their memory is in no cache. */
#define LOOK_SLICE 256
/* After this the trend is not one any more. */
#define LOOK_MOST (5 * TN_SECOND)

static const char *const order_names[VIEW_ORDERS] = { "rate", "in", "out", "age", "new" };

const char *view_order_name(enum view_order order)
{
    return order_names[order];
}

/* ---- what is asked for ---- */

/* Take the next word of *REST into WORD; false if there is none, or it is too long. */
static bool take_word(const char **rest, char *word, size_t size)
{
    size_t length = strcspn(*rest, " ");

    if (length == 0 || length >= size)
        return false;
    memcpy(word, *rest, length);
    word[length] = 0;
    *rest += length + strspn(*rest + length, " ");
    return true;
}

static bool read_order(const char *word, enum view_order *order)
{
    for (int i = 0; i < VIEW_ORDERS; i++) {
        if (strcmp(word, order_names[i]) == 0) {
            *order = (enum view_order)i;
            return true;
        }
    }
    return false;
}

const char *view_read(struct view_request *request, const char *words)
{
    char word[24];

    *request = (struct view_request){ .count = VIEW_ROWS_MOST };
    if (*words &&
        (!take_word(&words, word, sizeof(word)) || !read_order(word, &request->order)))
        return "sorted by rate, in, out, age or new?";
    if (*words && (!take_word(&words, word, sizeof(word)) ||
                   !value_number(word, 0, INT32_MAX, &request->first)))
        return "from which row on?";
    if (*words && (!take_word(&words, word, sizeof(word)) ||
                   !value_number(word, 0, VIEW_ROWS_MOST, &request->count)))
        return "how many rows? 200 at most";
    if (strlen(words) >= sizeof(request->filter))
        return "the filter is too long";
    (void)snprintf(request->filter, sizeof(request->filter), "%s", words);
    return NULL;
}

/* ---- rates ---- */

static void look_at(const struct view *view, struct client *client, int64_t now)
{
    int64_t since = client->looked_at ? client->looked_at : client->came;
    uint64_t in, out;

    if (now - client->looked_at > LOOK_MOST)
        pace_forget(&client->pace);
    view->kind->moved(client, &in, &out);
    pace_look(&client->pace, in, out, now > since ? now - since : 1);
    client->looked_at = now;
}

/* Let the loop turn, for whoever has become ready.  A yield is for those ready already. */
static void pause_a_turn(void)
{
    tn_ignore(tn_sleep(tn_shielded(1))); /* shielded: it cannot fail */
}

/* Each of the clients, some at a time. */
static void look_at_all(struct view *view)
{
    struct gate_walk walk;
    struct client *client;
    unsigned count = 0;

    gate_walk_begin(view->gate, &walk);
    while ((client = gate_walk_next(&walk)) != NULL) {
        look_at(view, client, tn_now());
        if (++count % LOOK_SLICE == 0)
            pause_a_turn();
    }
    gate_walk_end(view->gate, &walk);
}

void view_look(struct view *view)
{
    while (view->looking) /* another one is about to be ready with it */
        pause_a_turn();
    if (view->looked_at && tn_now() - view->looked_at < LOOK_LEAST)
        return;
    view->looking = true;
    look_at_all(view);
    view->looking = false;
    view->looked_at = tn_now();
}

/* The same for all together, who have moved IN and OUT bytes. */
static void look_at_sum(struct view *view, uint64_t in, uint64_t out)
{
    int64_t now = tn_now(), length = view->paced_at ? now - view->paced_at : TN_SECOND;

    if (length < LOOK_LEAST)
        return;
    if (!view->paced_at || length > LOOK_MOST) /* no rate to tell yet */
        view->pace = (struct pace){ .in = in, .out = out };
    pace_look(&view->pace, in, out, length);
    view->paced_at = now;
}

/* ---- rows ---- */

void view_row(const struct view *view, struct client *client,
              struct control_answer *answer)
{
    char name[CLIENT_NAME], trend[PACE_LOOKS + 1];
    struct json json;

    json_event(&json, "client");
    json_bool(&json, "ok", true);
    json_number(&json, "id", client->id);
    json_text(&json, "where", client_name(client, name, sizeof(name)));
    json_ms(&json, "ms", tn_now() - client->came);
    json_number(&json, "in_rate", client->pace.in_rate);
    json_number(&json, "out_rate", client->pace.out_rate);
    json_text(&json, "trend", pace_text(&client->pace, trend));
    view->kind->tell(client, &json);
    control_add(answer, &json);
}

/* What decides a client's place.  In an array: those of thousands fit a cache. */
struct place {
    uint64_t weight, id;
    struct client *client;
};

static uint64_t weight(const struct client *client, enum view_order order)
{
    switch (order) {
    case VIEW_RATE:
        return client->pace.in_rate + client->pace.out_rate;
    case VIEW_IN:
        return client->pace.in;
    case VIEW_OUT:
        return client->pace.out;
    case VIEW_NEW:
        return client->id;
    default:
        return 0;
    }
}

/* What weighs more comes first; of equals who came first.  No two are the same. */
static bool before(const struct place *one, const struct place *other)
{
    return one->weight != other->weight ? one->weight > other->weight
                                        : one->id < other->id;
}

static int compare(const void *one, const void *other)
{
    return before(one, other) ? -1 : 1;
}

/* Bring the first WANTED of COUNT PLACES to the front, in any order (Hoare's FIND). */
static void select_first(struct place *places, size_t count, size_t wanted)
{
    while (wanted > 0 && wanted < count) {
        struct place middle = places[count / 2];
        size_t low = 0, high = count - 1;

        for (;;) {
            while (before(&places[low], &middle))
                low++;
            while (before(&middle, &places[high]))
                high--;
            if (low >= high)
                break;
            struct place swapped = places[low];
            places[low++] = places[high];
            places[high--] = swapped;
        }
        /* In front of `low` nobody comes after the middle, from it on nobody before. */
        if (wanted <= low) {
            count = low;
        } else {
            places += low;
            count -= low;
            wanted -= low;
        }
    }
}

static bool matches(const struct view *view, const struct client *client,
                    const char *filter)
{
    char name[CLIENT_NAME];

    return !*filter || strstr(client_name(client, name, sizeof(name)), filter) ||
           strstr(view->kind->target(client), filter);
}

static void add_summary(const struct view *view, const struct view_request *request,
                        uint64_t matched, struct control_answer *answer)
{
    struct json json;

    json_event(&json, "view");
    json_bool(&json, "ok", true);
    json_number(&json, "matched", matched);
    json_number(&json, "first", (uint64_t)request->first);
    json_text(&json, "order", order_names[request->order]);
    json_number(&json, "in_rate", view->pace.in_rate);
    json_number(&json, "out_rate", view->pace.out_rate);
    control_add(answer, &json);
}

const char *view_answer(struct view *view, const struct view_request *request,
                        struct control_answer *answer)
{
    size_t matched = 0, first = (size_t)request->first, count;
    struct place *places;
    uint64_t in, out;

    view_look(view);
    places = malloc((view->gate->inside + 1) * sizeof(*places));
    if (!places)
        return "out of memory";
    for (struct client *client = view->gate->first; client; client = client->next) {
        if (matches(view, client, request->filter))
            places[matched++] =
                (struct place){ weight(client, request->order), client->id, client };
    }
    first = first < matched ? first : matched;
    count = matched - first;
    if (count > (size_t)request->count)
        count = (size_t)request->count;
    select_first(places, matched, first);
    select_first(places + first, matched - first, count);
    qsort(places + first, count, sizeof(*places), compare);
    view->kind->head(view->arg, answer, &in, &out);
    look_at_sum(view, in, out);
    add_summary(view, request, matched, answer);
    for (size_t i = 0; i < count; i++)
        view_row(view, places[first + i].client, answer);
    free(places);
    return NULL;
}

const char *view_command(struct view *view, const char *rest,
                         struct control_answer *answer)
{
    struct view_request request;
    const char *why = view_read(&request, rest);

    return why ? why : view_answer(view, &request, answer);
}
