/* SPDX-License-Identifier: MIT */
/*
 * ahead_rig.h -- what the tests of accepting ahead share: listeners, names, and tasks that wait.
 */
#ifndef AHEAD_RIG_H
#define AHEAD_RIG_H

#include <dirent.h>

#include "net/net_rig.h"

static inline struct tn_listener *listening(const char *where, tn_addr *addr)
{
    struct tn_listener *listener = NULL;

    assert_ok(tn_listen(&listener, where, NULL));
    *addr = tn_listener_addr(listener);
    return listener;
}

static inline tn_addr name_of(int fd)
{
    struct sockaddr_storage name;
    socklen_t size = sizeof(name);

    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &size), 0);
    return tn_addr_from((struct sockaddr *)&name, size);
}

static inline void assert_peer(const struct tn_conn *conn, const tn_addr *wanted)
{
    tn_addr found = tn_peer(conn);

    assert_true(tn_addr_same(&found, wanted));
}

static inline int descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

/* On a ring of odd completions (tests/tools/odd_ring.sh): the loop cannot act before it knows. */
static inline bool answers_are_late(void)
{
    return getenv("TENON_RING_FAULTS") != NULL;
}

/* One of those who wait: it takes COUNT connections and is done. */
struct taker {
    struct tn_listener *listener;
    int count;
    struct tn_conn **conns;
    struct tn_task *task;
};

static inline tn_err take(void *arg)
{
    struct taker *self = arg;
    tn_err err = tn_ok();

    for (int i = 0; i < self->count && !tn_failed(err); i++)
        err = tn_accept(self->listener, &self->conns[i], TN_NEVER);
    return err;
}

static inline void taker_start(struct taker *self, struct tn_listener *listener,
                               int count, struct tn_conn **conns)
{
    *self = (struct taker){ .listener = listener, .count = count, .conns = conns };
    assert_ok(tn_go(NULL, take, self, NULL, &self->task));
    rig_turns(); /* it waits */
}

static inline tn_err taker_end(struct taker *self)
{
    tn_err result;

    assert_ok(tn_join(&self->task, &result, rig_patience()));
    return result;
}

#endif
