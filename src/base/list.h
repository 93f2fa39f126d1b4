/* SPDX-License-Identifier: MIT */
/*
 * list.h -- a ring of links inside the things it lists.
 *
 * A list is a link that stands for the head; an empty one points to itself, and so
 * does a link that is in no list.  Nothing is allocated; every step is O(1).
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>

#include "base/check.h"

struct link {
    struct link *next, *prev;
};

static inline void list_init(struct link *link)
{
    link->next = link->prev = link;
}

static inline bool list_empty(const struct link *head)
{
    return head->next == head;
}

/* list_append -- put LINK, which is in no list, last. */
static inline void list_append(struct link *head, struct link *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

/* list_remove -- take LINK out of the list it is in, if it is in one. */
static inline void list_remove(struct link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

/* list_first -- the first link, or NULL. */
static inline struct link *list_first(struct link *head)
{
    return list_empty(head) ? NULL : head->next;
}

#endif
