/* SPDX-License-Identifier: MIT */
/*
 * echo_cores.c -- an echo server with a loop for each core: `echo_cores 127.0.0.1:7000`
 *
 * One task accepts and hands every connection to the loop that has the fewest: its
 * descriptor is released here, and adopted there by a posted task.  TERM or INT end it:
 * nobody more is accepted, who is connected has ten seconds to end, and then is reset.  A
 * second one ends the program at once.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <tenon.h>
#include <unistd.h>

#define CORES_MAX 256

struct core {
    struct tn_loop *loop;
    int64_t grace;            /* nanoseconds for clients to end when told to stop */
    struct tn_group *clients; /* used by the loop's own tasks only */
    atomic_uint present;      /* handed over, and not gone yet */
    unsigned handed;          /* ever; used by the accepting task only */
};

struct server {
    const char *where;
    int64_t grace;
    struct tn_listener *listener;
    struct tn_signals *signals;
    struct tn_group *group;
    unsigned count;
    struct core cores[CORES_MAX];
};

static _Thread_local struct core *here; /* a task stays in its thread, so it may use it */

/* ---- what the loops do ---- */

static tn_err serve(void *arg)
{
    struct tn_conn *conn = arg;
    char buf[1024];
    size_t got;
    tn_err err;

    do {
        err = tn_read(conn, buf, sizeof(buf), &got, tn_in(TN_MINUTE));
        if (!tn_failed(err))
            err = tn_write(conn, buf, got, NULL, tn_in(TN_MINUTE));
    } while (!tn_failed(err));
    if (err.kind == TN_EOF)
        err = tn_close(&conn, NULL, tn_in(TN_MINUTE));
    tn_abort(&conn);
    here->present--;
    return err;
}

/* A client that cannot be served reads a reset, and does not take it for an end. */
static void refuse(struct core *core, int fd)
{
    struct linger reset = { .l_onoff = 1 };

    if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) != 0)
        perror("SO_LINGER");
    close(fd);
    core->present--;
}

/* Posted with a descriptor: take it in, and serve it. */
static tn_err welcome(void *arg)
{
    int fd = (int)(intptr_t)arg;
    struct tn_conn *conn = NULL;
    tn_err err = tn_adopt(&conn, fd, NULL);

    if (tn_failed(err)) {
        refuse(here, fd);
        return err;
    }
    err = tn_go(here->clients, serve, conn, NULL, NULL);
    if (tn_failed(err)) {
        tn_abort(&conn);
        here->present--;
    }
    return err;
}

/* The first task of a loop. */
static tn_err begin(void *arg)
{
    here = arg;
    return tn_group_open(&here->clients, TN_GROUP_EACH_ALONE);
}

/* The last one: who has not gone when the grace is over is canceled, and so reset. */
static tn_err drain(void *arg)
{
    struct core *core = arg;
    tn_err err = tn_ok();

    if (core->clients != NULL)
        err = tn_group_wait(core->clients, tn_in(core->grace));
    tn_group_close(&core->clients);
    return err;
}

/* ---- who accepts ---- */

static struct core *least_busy(struct server *server)
{
    struct core *least = &server->cores[0];

    for (unsigned i = 1; i < server->count; i++)
        if (server->cores[i].present < least->present)
            least = &server->cores[i];
    return least;
}

static void hand(struct core *core, struct tn_conn *conn)
{
    int fd;

    if (tn_failed(tn_release(&conn, &fd, TN_NEVER))) {
        tn_abort(&conn); /* reset by its client meanwhile, say */
        return;
    }
    core->present++;
    core->handed++;
    if (tn_failed(tn_post(core->loop, welcome, (void *)(intptr_t)fd, NULL)))
        refuse(core, fd);
}

static tn_err accept_all(void *arg)
{
    struct server *server = arg;
    struct tn_conn *conn = NULL;
    tn_err err;

    do {
        err = tn_accept(server->listener, &conn, TN_NEVER);
        if (!tn_failed(err))
            hand(least_busy(server), conn);
    } while (!tn_failed(err));
    return err;
}

/* ---- the program ---- */

static tn_err stop_when_told(void *arg)
{
    struct server *server = arg;
    int number;
    tn_err err = tn_signals_wait(server->signals, &number, TN_NEVER);

    if (!tn_failed(err))
        tn_group_cancel(server->group);
    return err;
}

static tn_err open_cores(struct server *server)
{
    tn_err err = tn_ok();

    for (unsigned i = 0; i < server->count && !tn_failed(err); i++) {
        struct core *core = &server->cores[i];
        core->grace = server->grace;
        err = tn_thread_open(&core->loop, NULL);
        if (!tn_failed(err))
            err = tn_post(core->loop, begin, core, NULL);
    }
    return err;
}

static tn_err program(void *arg)
{
    static const int told[] = { SIGTERM, SIGINT };
    struct server *server = arg;
    /* Before there are threads: they inherit that these signals are blocked. */
    tn_err err = tn_signals_open(&server->signals, told, 2);

    if (!tn_failed(err))
        err = open_cores(server);
    if (!tn_failed(err))
        err = tn_listen(&server->listener, server->where, NULL);
    if (!tn_failed(err))
        err = tn_group_open(&server->group, TN_GROUP_ALL_OR_NONE);
    if (!tn_failed(err))
        err = tn_go(server->group, accept_all, server, NULL, NULL);
    if (!tn_failed(err))
        err = tn_go(server->group, stop_when_told, server, NULL, NULL);
    if (!tn_failed(err)) {
        char text[TN_ADDR_TEXT];
        tn_addr addr = tn_listener_addr(server->listener);
        fprintf(stderr, "listening on %s\n", tn_addr_text(&addr, text, sizeof(text)));
        err = tn_group_wait(server->group, TN_NEVER);
    }
    tn_group_close(&server->group);
    tn_listener_close(&server->listener);
    tn_signals_close(&server->signals);
    return err;
}

/* All loops drain at the same time. */
static void close_cores(struct server *server)
{
    bool cannot_drain[CORES_MAX] = { false };

    for (unsigned i = 0; i < server->count; i++)
        if (server->cores[i].loop != NULL)
            cannot_drain[i] =
                tn_failed(tn_post(server->cores[i].loop, drain, &server->cores[i], NULL));
    for (unsigned i = 0; i < server->count; i++) {
        tn_thread_close(&server->cores[i].loop, cannot_drain[i]);
        fprintf(stderr, "loop %u: %u clients\n", i, server->cores[i].handed);
    }
}

int main(int argc, char **argv)
{
    static struct server server;
    char text[128];
    long count = argc > 2 ? strtol(argv[2], NULL, 10) : sysconf(_SC_NPROCESSORS_ONLN);
    long seconds = argc > 3 ? strtol(argv[3], NULL, 10) : 10;
    tn_err err;

    if (argc < 2 || argc > 4 || count < 1 || count > CORES_MAX || seconds < 0) {
        fprintf(stderr, "echo_cores ADDRESS [LOOPS [SECONDS]]\n");
        return 2;
    }
    server.where = argv[1];
    server.grace = seconds * TN_SECOND;
    server.count = (unsigned)count;
    err = tn_run(program, &server, NULL);
    close_cores(&server);
    if (tn_failed(err))
        fprintf(stderr, "echo_cores: %s\n", tn_err_text(err, text, sizeof(text)));
    return tn_failed(err);
}
