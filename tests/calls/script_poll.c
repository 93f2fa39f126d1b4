/* SPDX-License-Identifier: MIT */
/*
 * script_poll.c -- poll: several descriptors, time limits, odd entries.
 */
#include "calls.h"
#include "unit/sanitized.h"

#include <string.h>
#include <sys/resource.h>

enum { MANY = 60 };

struct several {
    struct pollfd entries[MANY + 4];
    nfds_t count;
    int timeout_ms;
};

static void poller(struct actor *me, void *arg)
{
    struct several *several = arg;

    (void)do_poll(me, several->entries, several->count, several->timeout_ms);
    for (nfds_t i = 8; i < several->count; i++) {
        if (several->entries[i].revents != 0)
            note(me, "entry %d: %x", (int)i, (unsigned)several->entries[i].revents);
    }
}

static void one_of_many(struct actor *me)
{
    struct several several = { .count = MANY, .timeout_ms = -1 };
    struct actor *other;
    int ends[MANY][2];

    for (int i = 0; i < MANY; i++) {
        (void)expect(me, pipe(ends[i]) == 0, "pipe");
        several.entries[i] = (struct pollfd){ .fd = ends[i][0], .events = POLLIN };
    }
    several.entries[3].fd = -1;
    other = start(me, "poller", poller, &several);
    (void)watch(me, other);
    (void)expect(me, write(ends[41][1], "x", 1) == 1, "write");
    join(me, other);
    for (int i = 0; i < MANY; i++) {
        (void)close(ends[i][0]);
        (void)close(ends[i][1]);
    }
}

static void of_all_kinds(struct actor *me)
{
    struct several several = { .count = KINDS, .timeout_ms = -1 };
    struct pair pairs[KINDS];

    for (int kind = 0; kind < KINDS; kind++) {
        if (!pair_open(me, (enum kind)kind, false, &pairs[kind]))
            return;
        several.entries[kind] =
            (struct pollfd){ .fd = pairs[kind].near, .events = POLLIN };
        label(me, pairs[kind].near, kind_name((enum kind)kind));
    }
    /* the regular file is ready at once; without it they all wait */
    poller(me, &several);
    several.entries[KIND_FILE].fd = -1;
    for (int kind = 0; kind < KINDS; kind++) {
        struct actor *other;

        if (kind == KIND_FILE || me->run->record->actors >= ACTORS_MAX)
            continue;
        other = start(me, "poller", poller, &several);
        (void)watch(me, other);
        (void)far_puts(&pairs[kind], "x", 1);
        join(me, other);
        several.entries[kind].fd = -1;
    }
    for (int kind = 0; kind < KINDS; kind++)
        pair_close(me, &pairs[kind]);
}

static void time_limits(struct actor *me)
{
    struct pollfd entry = { .events = POLLIN };
    struct pair pair;

    if (!pair_open(me, KIND_TCP, false, &pair))
        return;
    entry.fd = pair.near;
    (void)do_poll(me, &entry, 1, 30);
    note_waited(me, 30 * MS);
    (void)do_poll(me, NULL, 0, 20);
    note_waited(me, 20 * MS);
    (void)do_poll(me, &(struct pollfd){ .fd = -5, .events = POLLIN }, 1, 20);
    note_waited(me, 20 * MS);
    (void)do_poll(me, &entry, 1, 0);
    (void)do_poll(me, NULL, 0, 0);
    (void)far_puts(&pair, "x", 1);
    (void)await_events(me, pair.near, POLLIN);
    (void)do_poll(me, &entry, 1, 1000);
    (void)do_poll(me, &entry, 1, -100);
    pair_close(me, &pair);
}

static void odd_entries(struct actor *me)
{
    struct rlimit before, low;
    struct several several = { .count = 4, .timeout_ms = -1 };
    struct pair pair;

    if (SANITIZED) {
        skip(me, "a sanitizer reads all entries before the kernel refuses so many");
        return;
    }
    if (!pair_open(me, KIND_UNIX, false, &pair))
        return;
    several.entries[0] = (struct pollfd){ .fd = pair.near, .events = 0 };
    several.entries[1] = (struct pollfd){ .fd = 900, .events = POLLIN };
    several.entries[2] = (struct pollfd){ .fd = -1, .events = POLLIN, .revents = 77 };
    several.entries[3] = (struct pollfd){ .fd = pair.near, .events = (short)0x7fff };
    poller(me, &several);
    several.timeout_ms = 0;
    several.entries[1].fd = -1;
    poller(me, &several);
    (void)getrlimit(RLIMIT_NOFILE, &before);
    low = before;
    low.rlim_cur = 30;
    (void)setrlimit(RLIMIT_NOFILE, &low);
    several.count = 31;
    (void)do_poll(me, several.entries, 31, 0);
    (void)do_poll(me, several.entries, 31, -1);
    (void)do_poll(me, several.entries, (nfds_t)-1, -1);
    (void)setrlimit(RLIMIT_NOFILE, &before);
    pair_close(me, &pair);
}

/* Hang-ups and errors are told to those who did not ask. */
static void unasked(struct actor *me, enum kind kind, enum state state)
{
    struct several several = { .count = 1, .timeout_ms = -1 };
    struct actor *other;
    struct pair pair;

    if (!pair_open(me, kind, false, &pair))
        return;
    several.entries[0] = (struct pollfd){ .fd = pair.near, .events = 0 };
    other = start(me, "poller", poller, &several);
    (void)watch(me, other);
    (void)pair_bring(me, &pair, state, false);
    join(me, other);
    pair_close(me, &pair);
}

static void unasked_reset(struct actor *me)
{
    unasked(me, KIND_TCP, STATE_RESET);
}

static void unasked_hang_up(struct actor *me)
{
    unasked(me, KIND_UNIX, STATE_CLOSED);
}

static void unasked_end_of_a_pipe(struct actor *me)
{
    unasked(me, KIND_PIPE, STATE_CLOSED);
}

static void same_one_twice(struct actor *me)
{
    struct several several = { .count = 3, .timeout_ms = -1 };
    struct actor *other;
    struct pair pair;
    int copy;

    if (!pair_make(me, KIND_UNIX, STATE_FULL, true, &pair))
        return;
    copy = dup(pair.near);
    label(me, copy, "copy");
    several.entries[0] = (struct pollfd){ .fd = pair.near, .events = POLLIN };
    several.entries[1] = (struct pollfd){ .fd = pair.near, .events = POLLOUT };
    several.entries[2] = (struct pollfd){ .fd = copy, .events = POLLIN };
    other = start(me, "poller", poller, &several);
    (void)watch(me, other);
    (void)far_puts(&pair, "x", 1);
    join(me, other);
    (void)close(copy);
    pair_close(me, &pair);
}

static void writable_again(struct actor *me)
{
    struct action action = { .row = ROW_POLL, .flags = POLLOUT, .timeout_ms = -1 };
    static char buf[100 * 1000];
    struct actor *other;
    struct pair pair;

    if (!pair_make(me, KIND_UNIX, STATE_FULL, true, &pair))
        return;
    action.fd = pair.near;
    other = start(me, "poller", act, &action);
    (void)watch(me, other);
    set_nonblock(pair.far, true);
    while (read(pair.far, buf, sizeof(buf)) > 0)
        ;
    join(me, other);
    pair_close(me, &pair);
}

static void a_connection_waits(struct actor *me)
{
    struct sockaddr_storage address;
    socklen_t size;
    struct action action = { .row = ROW_POLL, .timeout_ms = 15000 };
    int client = socket(AF_INET, SOCK_STREAM, 0);
    struct actor *other;

    action.fd = listener_open(me, KIND_TCP, 3, &address, &size);
    label(me, action.fd, "listener");
    other = start(me, "poller", act, &action);
    (void)watch(me, other);
    (void)reach(client, &address, size);
    join(me, other);
    (void)close(client);
    (void)close(action.fd);
}

void add_poll_scripts(struct script_list *list)
{
    static const struct script scripts[] = {
        SCRIPT(POLL, OTHER, one_of_many),
        SCRIPT(POLL, OTHER, of_all_kinds),
        CALM(POLL, TIMEOUT, time_limits),
        SCRIPT(POLL, OTHER, odd_entries),
        SCRIPT(POLL, RESET, unasked_reset),
        SCRIPT(POLL, CLOSED, unasked_hang_up),
        SCRIPT(POLL, CLOSED, unasked_end_of_a_pipe),
        SCRIPT(POLL, DUP, same_one_twice),
        SCRIPT(POLL, FULL, writable_again),
        SCRIPT(POLL, OTHER, a_connection_waits),
    };

    list_add_all(list, scripts, sizeof(scripts) / sizeof(scripts[0]));
}
