/* SPDX-License-Identifier: MIT */
/*
 * gate.h -- where clients come in: listening, who may enter, how many at once, and
 * closing time.
 *
 *      prepare (checks the command line), then in a task: open, run, close
 */
#ifndef TENON_CLI_GATE_H
#define TENON_CLI_GATE_H

#include <tenon.h>

#include "options.h"
#include "view/pace.h"
#include "where.h"

/* A network that may enter, or may not. */
struct network {
    unsigned char bytes[16]; /* IPv4 ones as IPv6 ones, ::ffff:0:0/96 */
    unsigned bits;
};

struct gate {
    const struct settings *settings;
    struct where where;
    struct network networks[WORDS_MAX]; /* those allowed, then those denied */
    int allowed_count;                  /* 0: everybody */
    int denied_count;
    unsigned most_a_source;  /* inside at once from one address; 0: any number */
    struct client *first;    /* of those inside */
    struct gate_walk *walks; /* under way */
    unsigned most;           /* inside at once; 0: any number */
    unsigned limit;          /* to accept in all; 0: any number */
    bool no_ahead;           /* those who wait are to have no descriptor */
    void *arg;               /* the owner's */

    struct tn_listener *listener;
    tn_addr addr; /* where it listens, once it does */
    struct tn_task *acceptor;
    struct tn_group *clients;
    tn_task_fn *serve;
    struct tn_mutex mutex; /* of `inside`, for the condition */
    struct tn_cond left;
    tn_deadline deadline; /* --max-time, once it runs */
    unsigned inside;
    uint64_t accepted, turned_away, pauses;
    bool shut;
};

/*
 * A walk over those inside during which others may run: clients may leave then, who comes is
 * not met.
 *
 *      gate_walk_begin(gate, &walk);
 *      while ((client = gate_walk_next(&walk)) != NULL)
 *          ...
 *      gate_walk_end(gate, &walk);
 */
struct gate_walk {
    struct client *next;
    struct gate_walk *other;
};

/* One client; its task gets it as the argument and hands it to gate_leave at the end. */
struct client {
    struct gate *gate;
    struct tn_conn *conn;
    uint64_t id;                 /* from 1 */
    void *served;                /* the server's: what it knows of it; or NULL */
    struct client *next, **self; /* in the gate's list */
    int64_t came;                /* when */
    int64_t looked_at;           /* by a view; 0: never */
    struct pace pace;            /* as that found it */
    tn_addr addr;
};

/* client_name -- CLIENT for people, "tcp 127.0.0.1:4242", in BUF of SIZE; returns BUF. */
const char *client_name(const struct client *client, char *buf, size_t size);

/* Enough for any. */
#define CLIENT_NAME 440

/*
 * gate_prepare -- take the address from COUNT words at WORDS.  Returns 0 or an exit code
 * after a complaint: programs and files want loopback, or to be told who may come.
 */
int gate_prepare(struct gate *gate, struct settings *settings, const char *const *words,
                 int count);

/* gate_from -- how many of those inside have come from ADDR, whatever the port. */
unsigned gate_from(const struct gate *gate, const tn_addr *addr);

/*
 * gate_served -- what is known of the client whose number is in NUMBER, or NULL; then *WHY
 * says what is wrong.
 */
void *gate_served(const struct gate *gate, const char *number, const char **why);

void gate_walk_begin(struct gate *gate, struct gate_walk *walk);
/* The next one, or NULL; it may leave as soon as the caller lets others run. */
struct client *gate_walk_next(struct gate_walk *walk);
void gate_walk_end(struct gate *gate, struct gate_walk *walk);

/* gate_open -- listen.  Returns 0 or an exit code after a complaint. */
int gate_open(struct gate *gate);

/*
 * gate_run -- say where it listens, and start SERVE for each client, until the gate is shut, LIMIT of them have
 * come (0: any number) or --max-time is over; then wait until the last has left.  Parks.
 * Returns 0, or an exit code after a complaint.
 */
int gate_run(struct gate *gate, tn_task_fn *serve, unsigned limit);

/* gate_shut -- let nobody in any more.  Does not park. */
void gate_shut(struct gate *gate);

/* gate_leave -- CLIENT is served and gone: free it. */
void gate_leave(struct client *client);

/* gate_close -- stop listening, cancel whoever is inside, and free.  Parks. */
void gate_close(struct gate *gate);

/* ---- allow.c ---- */

/* allow_read -- TEXT, such as 10.0.0.0/8, ::1 or all, into *NETWORK; false if it is none. */
bool allow_read(const char *text, struct network *network);

/* allow_has -- whether ADDR is in one of COUNT NETWORKS.  Unix sockets always are. */
bool allow_has(const struct network *networks, int count, const tn_addr *addr);

/* allow_same_host -- whether both are addresses of one host, ports aside. */
bool allow_same_host(const tn_addr *one, const tn_addr *other);

/* allow_is_local -- whether only this host can reach ADDR. */
bool allow_is_local(const tn_addr *addr);

#endif
