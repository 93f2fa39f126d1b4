/* SPDX-License-Identifier: MIT */
/*
 * gate.c -- accepting clients for `listen` and `serve`.
 *
 * One task accepts and starts a task for each client, all in one group.  Shutting the
 * gate cancels the accepting only; whoever is inside finishes.
 *
 * Always true: `inside` is the number of clients that have not called gate_leave.
 */
#include "gate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "dialing.h"
#include "report.h"

/* With --exec, as ncat: a program for everybody who comes would be an invitation. */
#define PROGRAMS_MOST 100

/*
 * A process that is killed leaves its listening socket to the kernel's clean-up of its
 * ring, which comes after the process is gone: 0 to 24 ms after waitpid(2) on a busy
 * machine (Linux 6.18), where epoll has none of it.  Who is started again at once waits.
 */
#define IN_USE_PATIENCE (500 * TN_MS)

static int read_networks(struct network *networks, const struct words *words,
                         const char *option)
{
    for (int i = 0; i < words->count; i++) {
        if (!allow_read(words->list[i], &networks[i]))
            return report_error(EXIT_USAGE, "option", option,
                                "'%s' is no network such as 10.0.0.0/8, ::1 or all",
                                words->list[i]);
    }
    return 0;
}

/* A mere port: on which interface?  Programs and files are for this host. */
static void choose_interface(struct gate *gate)
{
    const struct settings *settings = gate->settings;
    bool careful = settings->exec || (settings->output && settings->keep);
    char text[sizeof(gate->where.text)];
    const char *host = careful && !settings->allow.count
                           ? (settings->ipv6 ? "[::1]" : "127.0.0.1")
                       : settings->ipv4 ? "0.0.0.0"
                                        : "";

    if (gate->where.is_bare && *host) {
        (void)snprintf(text, sizeof(text), "%s%.300s", host, gate->where.text);
        where_set(&gate->where, text);
    }
}

int gate_prepare(struct gate *gate, struct settings *settings, const char *const *words,
                 int count)
{
    int code;

    gate->settings = settings;
    code = where_read(&gate->where, settings, words, count);
    if (!code)
        code = read_networks(gate->networks, &settings->allow, "--allow");
    if (!code)
        code = settings->allow.count + settings->deny.count > WORDS_MAX
                   ? report_error(EXIT_USAGE, "option", "--deny",
                                  "more than %d networks with --allow", WORDS_MAX)
                   : read_networks(gate->networks + settings->allow.count,
                                   &settings->deny, "--deny");
    if (code)
        return code;
    gate->allowed_count = settings->allow.count;
    gate->denied_count = settings->deny.count;
    gate->most_a_source = (unsigned)settings->max_per_source;
    choose_interface(gate);
    gate->most = settings->max_conns ? (unsigned)settings->max_conns
                 : settings->exec    ? PROGRAMS_MOST
                                     : 0;
    return 0;
}

/* With --exec nobody else may reach us unasked.  Returns 0 or an exit code. */
static int check_exposure(const struct gate *gate, const tn_addr *addr)
{
    int code;

    if (!gate->settings->exec || gate->settings->allow.count || allow_is_local(addr))
        return 0;
    code = report_error(EXIT_USAGE, "listen", gate->where.name,
                        "--exec would run the program for anybody on the network");
    report_hint(
        "127.0.0.1 serves this host only; --allow 10.0.0.0/8 (or all) says who may "
        "come");
    return code;
}

static void tell_listening(const struct gate *gate)
{
    char text[TN_ADDR_TEXT];
    struct json json;

    (void)tn_addr_text(&gate->addr, text, sizeof(text));
    report_note("listening on %s", text);
    if (!report_wants_json())
        return;
    json_event(&json, "listening");
    json_bool(&json, "ok", true);
    json_text(&json, "where", gate->where.name);
    json_text(&json, "addr", text);
    json_send(&json);
}

static tn_err listen_patiently(struct gate *gate, const struct tn_listen_options *options)
{
    /* To try a Unix socket that exists is to be a client of whoever listens: once more only. */
    int64_t pause = gate->where.is_unix ? IN_USE_PATIENCE : 10 * TN_MS;
    tn_deadline limit = tn_in(IN_USE_PATIENCE);
    tn_err err = tn_listen(&gate->listener, gate->where.text, options);

    while (err.kind == TN_IN_USE && tn_left(limit) > 0 &&
           !tn_failed(tn_sleep(tn_in(pause))))
        err = tn_listen(&gate->listener, gate->where.text, options);
    return err;
}

int gate_open(struct gate *gate)
{
    const struct settings *settings = gate->settings;
    struct tn_listen_options options = { 0 };
    char why[160];
    tn_addr addr;
    tn_err err;
    int code;

    options.conn = conn_options(settings, NULL, 0);
    options.family = options.conn.family;
    options.no_ahead = gate->no_ahead;
    options.only_ipv6 = options.family == TN_IPV6;
    /* Told before anybody could connect: a program for everybody is never there. */
    if (!tn_failed(tn_addr_parse(gate->where.text, &addr))) {
        code = check_exposure(gate, &addr);
        if (code)
            return code;
    }
    err = listen_patiently(gate, &options);
    if (tn_failed(err)) {
        code = dialing_code(err, NULL, &gate->where, why, sizeof(why));
        (void)report_error((enum exit_code)code, "listen", gate->where.name, "%s", why);
        if (err.kind == TN_IN_USE && gate->where.is_unix)
            report_hint("somebody listens there, or what is there is no socket");
        if (err.kind == TN_DENIED && !gate->where.is_unix)
            report_hint("ports below 1024 need root, or the capability net_bind_service");
        return code;
    }
    gate->addr = addr = tn_listener_addr(gate->listener);
    code = check_exposure(gate, &addr); /* a name may mean anything */
    if (!code && tn_failed(tn_group_open(&gate->clients, TN_GROUP_EACH_ALONE)))
        code = report_error(EXIT_OTHER, "listen", gate->where.name, "out of memory");
    if (code) {
        tn_listener_close(&gate->listener);
        return code;
    }
    return 0;
}

const char *client_name(const struct client *client, char *buf, size_t size)
{
    char text[TN_ADDR_TEXT];

    if (client->gate->where.is_unix) /* the other end has no address there */
        (void)snprintf(buf, size, "%s", client->gate->where.name);
    else
        (void)snprintf(buf, size, "tcp %s",
                       tn_addr_text(&client->addr, text, sizeof(text)));
    return buf;
}

static void tell_accepted(const struct client *client)
{
    char name[CLIENT_NAME], peer[TN_ADDR_TEXT];
    struct json json;

    if (!report_wants_detail() && !report_wants_json())
        return;
    (void)client_name(client, name, sizeof(name));
    report_detail("client %llu %s", (unsigned long long)client->id, name);
    json_event(&json, "accept");
    json_bool(&json, "ok", true);
    json_number(&json, "id", client->id);
    json_text(&json, "where", name);
    json_text(&json, "peer", tn_addr_text(&client->addr, peer, sizeof(peer)));
    json_send(&json);
}

unsigned gate_from(const struct gate *gate, const tn_addr *addr)
{
    unsigned count = 0;

    for (const struct client *client = gate->first; client; client = client->next)
        count += allow_same_host(&client->addr, addr);
    return count;
}

void *gate_served(const struct gate *gate, const char *number, const char **why)
{
    int64_t id;

    *why = "kill which client? Its number, as status tells it";
    if (!value_number(number, 1, INT64_MAX, &id))
        return NULL;
    *why = "there is no such client";
    for (const struct client *client = gate->first; client; client = client->next) {
        if (client->id == (uint64_t)id && client->served)
            return client->served;
    }
    return NULL;
}

static bool may_enter(const struct gate *gate, const tn_addr *addr)
{
    if (gate->allowed_count && !allow_has(gate->networks, gate->allowed_count, addr))
        return false;
    if (gate->denied_count && addr->as.family != AF_UNIX &&
        allow_has(gate->networks + gate->allowed_count, gate->denied_count, addr))
        return false;
    return !gate->most_a_source || gate_from(gate, addr) < gate->most_a_source;
}

static void enlist(struct gate *gate, struct client *client)
{
    client->next = gate->first;
    client->self = &gate->first;
    if (client->next)
        client->next->self = &client->next;
    gate->first = client;
    gate->inside++;
}

static void delist(struct client *client)
{
    for (struct gate_walk *walk = client->gate->walks; walk; walk = walk->other) {
        if (walk->next == client)
            walk->next = client->next;
    }
    *client->self = client->next;
    if (client->next)
        client->next->self = client->self;
    client->gate->inside--;
    free(client);
}

void gate_walk_begin(struct gate *gate, struct gate_walk *walk)
{
    *walk = (struct gate_walk){ gate->first, gate->walks };
    gate->walks = walk;
}

struct client *gate_walk_next(struct gate_walk *walk)
{
    struct client *client = walk->next;

    if (client)
        walk->next = client->next;
    return client;
}

void gate_walk_end(struct gate *gate, struct gate_walk *walk)
{
    struct gate_walk **place = &gate->walks;

    while (*place != walk)
        place = &(*place)->other;
    *place = walk->other;
}

/* Let CONN in, if it may: start its task. */
static void admit(struct gate *gate, struct tn_conn *conn)
{
    struct tn_task_options options = { .name = "client" };
    struct client *client;
    tn_addr addr = tn_peer(conn);

    if (!may_enter(gate, &addr)) {
        gate->turned_away++;
        tn_abort(&conn);
        return;
    }
    client = calloc(1, sizeof(*client));
    if (client) {
        client->gate = gate;
        client->conn = conn;
        client->addr = addr;
        client->came = tn_now();
        client->id = ++gate->accepted;
        tell_accepted(client);
        enlist(gate, client);
        if (!tn_failed(tn_go(gate->clients, gate->serve, client, &options, NULL)))
            return;
        gate->accepted--; /* nor has it been served: with a limit, the next one is */
        delist(client);
    }
    (void)report_error(EXIT_OTHER, "accept", gate->where.name, "out of memory");
    tn_abort(&conn);
}

/* Wait until there is room for one more.  False when canceled. */
static bool wait_for_room(struct gate *gate)
{
    bool room = !gate->most || gate->inside < gate->most;

    if (room || tn_failed(tn_mutex_lock(&gate->mutex, TN_NEVER)))
        return room;
    while (gate->inside >= gate->most &&
           !tn_failed(tn_cond_wait(&gate->left, &gate->mutex, TN_NEVER)))
        ;
    tn_mutex_unlock(&gate->mutex);
    return gate->inside < gate->most;
}

static tn_err accept_task(void *arg)
{
    struct gate *gate = arg;

    while ((!gate->limit || gate->accepted < gate->limit) && wait_for_room(gate)) {
        struct tn_conn *conn = NULL;
        tn_err err = tn_accept(gate->listener, &conn, TN_NEVER);

        if (tn_failed(err))
            return err.kind == TN_CANCELED ? tn_ok() : err;
        admit(gate, conn);
    }
    return tn_ok();
}

void gate_shut(struct gate *gate)
{
    gate->shut = true;
    if (gate->acceptor)
        tn_cancel(gate->acceptor);
}

/* Wait for the accepting to end, and end it when --max-time is over. */
static int wait_for_acceptor(struct gate *gate)
{
    tn_err result = tn_ok(), err;
    char text[120];

    err = tn_join(&gate->acceptor, &result, gate->deadline);
    if (err.kind == TN_DEADLINE) {
        gate_shut(gate);
        tn_ignore(tn_join(&gate->acceptor, &result, TN_NEVER)); /* it is canceled */
        if (gate->limit && gate->accepted < gate->limit)
            return report_error(EXIT_LATE, "listen", gate->where.name,
                                "deadline passed, nobody came");
    }
    if (tn_failed(result))
        return report_error(EXIT_OTHER, "accept", gate->where.name, "%s",
                            tn_err_text(result, text, sizeof(text)));
    return 0;
}

int gate_run(struct gate *gate, tn_task_fn *serve, unsigned limit)
{
    struct tn_task_options options = { .name = "accept" };
    int code;

    gate->serve = serve;
    gate->limit = limit;
    gate->deadline = gate->settings->max_time == UNLIMITED
                         ? TN_NEVER
                         : tn_in(gate->settings->max_time);
    if (gate->shut)
        return 0;
    tell_listening(gate);
    if (tn_failed(tn_go(NULL, accept_task, gate, &options, &gate->acceptor)))
        return report_error(EXIT_OTHER, "accept", gate->where.name, "out of memory");
    code = wait_for_acceptor(gate);
    gate->pauses = tn_accept_pauses(gate->listener);
    tn_listener_close(&gate->listener); /* others are refused now, not forgotten */
    tn_ignore(tn_group_wait(gate->clients, TN_NEVER)); /* clients report for themselves */
    return code;
}

void gate_leave(struct client *client)
{
    struct gate *gate = client->gate;

    delist(client);
    tn_cond_signal(&gate->left);
}

void gate_close(struct gate *gate)
{
    tn_listener_close(&gate->listener);
    tn_group_close(&gate->clients);
}
