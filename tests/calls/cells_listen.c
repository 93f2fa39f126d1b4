/* SPDX-License-Identifier: MIT */
/*
 * cells_listen.c -- accept, accept4 and connect, in every state of the other side.
 *
 * For accept the state is the listener's and that of the connection in its queue; for connect
 * it is that of the socket, which is connected already in all states but four, and of the
 * listener's backlog.
 */
#include "calls.h"

#include <stdio.h>
#include <string.h>

enum { WAITED = 40 * MS };

struct scene {
    const struct script *script;
    struct sockaddr_storage address; /* the listener's */
    socklen_t size;
    int listener; /* for accept: under test */
    int other;    /* its original, or -1 */
    int client;   /* for accept: a plain client; for connect: under test */
    int fillers[3];
    struct pair pair;
};

static void scene_open(struct scene *scene, const struct script *script)
{
    memset(scene, 0, sizeof(*scene));
    scene->script = script;
    scene->listener = scene->other = scene->client = -1;
    scene->pair.near = scene->pair.far = scene->pair.other = -1;
    for (int i = 0; i < 3; i++)
        scene->fillers[i] = -1;
}

static void scene_close(struct actor *me, struct scene *scene)
{
    int fds[] = { scene->listener,   scene->other,      scene->client,
                  scene->fillers[0], scene->fillers[1], scene->fillers[2] };

    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0)
            (void)close(fds[i]);
    }
    pair_close(me, &scene->pair);
}

static int kind_socket(enum kind kind)
{
    int type = kind == KIND_UNIX_SEQ ? SOCK_SEQPACKET : SOCK_STREAM;

    return socket(kind_is_unix(kind)  ? AF_UNIX
                  : kind == KIND_TCP6 ? AF_INET6
                                      : AF_INET,
                  type | SOCK_CLOEXEC, 0);
}

/* A plain client that is connected, or on its way if the backlog is full. */
static int client_open(struct actor *me, const struct scene *scene)
{
    int fd = kind_socket(scene->script->kind);

    if (!expect(me, fd >= 0, "socket"))
        return -1;
    set_nonblock(fd, true);
    if (connect(fd, (const void *)&scene->address, scene->size) != 0)
        (void)expect(me, errno == EINPROGRESS || errno == EAGAIN, "connect a client");
    set_nonblock(fd, false);
    return fd;
}

/* ---- accept ------------------------------------------------------------------------------- */

static bool listener_make(struct actor *me, struct scene *scene)
{
    const struct calls *calls =
        scene->script->state == STATE_FORKED ? way_plain.calls : me->run->way->calls;
    int plain = listener_open(me, scene->script->kind, 1, &scene->address, &scene->size);

    /* the same address, by the calls under test: the plain one only found it */
    (void)close(plain);
    if (kind_is_unix(scene->script->kind))
        (void)unlink(((struct sockaddr_un *)(void *)&scene->address)->sun_path);
    else /* but for the port, which may be another's now; it is where IPv6 has it, too */
        ((struct sockaddr_in *)(void *)&scene->address)->sin_port = 0;
    scene->listener = calls->socket(
        scene->address.ss_family,
        scene->script->kind == KIND_UNIX_SEQ ? SOCK_SEQPACKET : SOCK_STREAM, 0);
    label(me, scene->listener, "listener");
    return expect(
        me,
        calls->bind(scene->listener, (void *)&scene->address, scene->size) == 0 &&
            calls->listen(scene->listener, 1) == 0 &&
            getsockname(scene->listener, (void *)&scene->address, &scene->size) == 0,
        "listen");
}

static bool queue_client(struct actor *me, struct scene *scene)
{
    scene->client = client_open(me, scene);
    return scene->client >= 0 && await_events(me, scene->listener, POLLIN);
}

static bool client_resets(struct actor *me, struct scene *scene)
{
    int client = scene->client;

    scene->client = -1;
    return reset_by(me, client);
}

static bool fill_backlog(struct actor *me, struct scene *scene)
{
    for (int i = 0; i < 3; i++)
        scene->fillers[i] = client_open(me, scene);
    return await_events(me, scene->listener, POLLIN);
}

static bool share_listener(struct actor *me, struct scene *scene)
{
    scene->pair.holder = helper_fork(me);
    if (scene->pair.holder == 0) {
        for (;;)
            (void)pause();
    }
    return queue_client(me, scene);
}

static bool listener_bring(struct actor *me, struct scene *scene)
{
    const struct calls *calls = me->run->way->calls;

    switch (scene->script->state) {
    case STATE_DATA:
        return queue_client(me, scene);
    case STATE_PEER_END:
        return queue_client(me, scene) &&
               expect(me, send(scene->client, "abc", 3, MSG_DONTWAIT) == 3, "send") &&
               expect(me, shutdown(scene->client, SHUT_WR) == 0, "shutdown");
    case STATE_OUR_END:
        return expect(me, calls->shutdown(scene->listener, SHUT_WR) == 0, "shutdown");
    case STATE_DEAF:
        return queue_client(me, scene) &&
               expect(me, calls->shutdown(scene->listener, SHUT_RD) == 0, "shutdown");
    case STATE_RESET:
        return queue_client(me, scene) && client_resets(me, scene);
    case STATE_CLOSED:
        if (!queue_client(me, scene) || !expect(me, close(scene->client) == 0, "close"))
            return false;
        scene->client = -1;
        return true;
    case STATE_FULL:
        return fill_backlog(me, scene);
    case STATE_NONBLOCK:
        return expect(me,
                      calls->fcntl(scene->listener, F_SETFL, O_RDWR | O_NONBLOCK) == 0,
                      "O_NONBLOCK");
    case STATE_TIMEOUT:
        set_timeout(me, scene->listener, SO_RCVTIMEO, WAITED);
        return true;
    case STATE_DUP:
        scene->other = scene->listener;
        scene->listener = dup(scene->other);
        label(me, scene->listener, "listener");
        return queue_client(me, scene);
    case STATE_FORKED:
        return share_listener(me, scene);
    default:
        return true;
    }
}

static void accepter(struct actor *me, void *arg)
{
    const struct scene *scene = arg;
    const struct script *script = scene->script;
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    int fd;

    if (script->row == ROW_ACCEPT)
        fd = do_accept(me, scene->listener, &address, &size);
    else
        fd = do_accept4(me, scene->listener, &address, &size, script->flags);
    if (script->state == STATE_TIMEOUT)
        note_waited(me, WAITED);
    if (fd < 0)
        return;
    label(me, fd, "accepted");
    if (script->state == STATE_PEER_END)
        (void)await_events(me, fd, POLLRDHUP);
    if (script->state == STATE_CLOSED)
        (void)await_events(me, fd, POLLIN);
    (void)do_recv_now(me, fd);
    (void)do_recv_now(me, fd);
    (void)do_look(me, fd);
    (void)close(fd);
}

static void name_client(struct actor *me, int client)
{
    struct sockaddr_in address = { .sin_family = AF_UNSPEC };
    socklen_t size = sizeof(address);

    if (client >= 0 && getsockname(client, (void *)&address, &size) == 0 &&
        (address.sin_family == AF_INET || address.sin_family == AF_INET6))
        label_port(me, address.sin_port, "client");
}

static void play_accept(struct actor *me)
{
    struct actor *other;
    struct scene scene;

    scene_open(&scene, me->run->script);
    if (listener_make(me, &scene) && listener_bring(me, &scene)) {
        name_client(me, scene.client);
        other = start(me, "accepter", accepter, &scene);
        if (scene.script->state != STATE_TIMEOUT && watch(me, other)) {
            scene.client = client_open(me, &scene);
            note(me, "a client comes");
        }
        join(me, other);
        (void)do_look(me, scene.listener);
    }
    scene_close(me, &scene);
}

/* ---- connect -------------------------------------------------------------------------------- */

static bool client_make(struct actor *me, struct scene *scene)
{
    enum kind kind = scene->script->kind;
    enum state state = scene->script->state;
    const struct calls *calls =
        state == STATE_FORKED ? way_plain.calls : me->run->way->calls;

    if (kind == KIND_UDP || kind == KIND_UNIX_DGRAM) {
        scene->size = sizeof(scene->address);
        if (!pair_open_plain(me, kind, false, &scene->pair))
            return false;
        (void)getsockname(scene->pair.far, (void *)&scene->address, &scene->size);
    } else {
        scene->listener = listener_open(me, kind, 1, &scene->address, &scene->size);
    }
    scene->client = calls->socket(scene->address.ss_family,
                                  kind == KIND_UNIX_SEQ  ? SOCK_SEQPACKET
                                  : kind_is_stream(kind) ? SOCK_STREAM
                                                         : SOCK_DGRAM,
                                  0);
    label(me, scene->client, "client");
    return expect(me, scene->client >= 0, "socket");
}

/* A connected pair in the script's state, and a listener to connect to once more. */
static bool connected_make(struct actor *me, struct scene *scene)
{
    enum kind kind = scene->script->kind;

    if (kind_is_stream(kind) || kind == KIND_UNIX_SEQ)
        scene->listener = listener_open(me, kind, 1, &scene->address, &scene->size);
    if (!pair_make(me, kind, scene->script->state, false, &scene->pair))
        return false;
    if (scene->listener < 0) {
        scene->size = sizeof(scene->address);
        if (getsockname(scene->pair.far, (void *)&scene->address, &scene->size) != 0)
            (void)getsockname(scene->pair.near, (void *)&scene->address, &scene->size);
    }
    scene->client = scene->pair.near;
    scene->pair.near = -1;
    return true;
}

static bool client_bring(struct actor *me, struct scene *scene)
{
    const struct calls *calls = me->run->way->calls;

    switch (scene->script->state) {
    case STATE_FRESH:
        return client_make(me, scene);
    case STATE_FULL:
        return client_make(me, scene) && (scene->listener < 0 || fill_backlog(me, scene));
    case STATE_NONBLOCK:
        return client_make(me, scene) &&
               expect(me, calls->fcntl(scene->client, F_SETFL, O_RDWR | O_NONBLOCK) == 0,
                      "O_NONBLOCK");
    case STATE_TIMEOUT:
        if (!client_make(me, scene))
            return false;
        set_timeout(me, scene->client, SO_SNDTIMEO, WAITED);
        return scene->listener < 0 || fill_backlog(me, scene);
    default:
        return connected_make(me, scene);
    }
}

static void connecter(struct actor *me, void *arg)
{
    const struct scene *scene = arg;
    int result = do_connect(me, scene->client, &scene->address, scene->size);

    if (scene->script->state == STATE_TIMEOUT && result < 0)
        note_waited(me, WAITED);
    if (scene->script->state == STATE_NONBLOCK && result < 0)
        (void)await_events(me, scene->client, POLLOUT);
    if (scene->script->state == STATE_TIMEOUT)
        return;
    (void)do_so_error(me, scene->client);
    (void)do_connect(me, scene->client, &scene->address, scene->size);
    (void)do_connect(me, scene->client, &scene->address, scene->size);
}

/* Makes room in the backlog of 1 by accepting the two that fill it, and not who comes then. */
static void accept_waiting(struct actor *me, struct scene *scene)
{
    int fd;

    set_nonblock(scene->listener, true);
    for (int i = 0; i < 2; i++) {
        fd = accept(scene->listener, NULL, NULL);
        (void)expect(me, fd >= 0, "accept who fills the backlog");
        (void)close(fd);
    }
    note(me, "the listener accepts");
}

static void play_connect(struct actor *me)
{
    struct actor *other;
    struct scene scene;

    scene_open(&scene, me->run->script);
    if (client_bring(me, &scene)) {
        other = start(me, "connecter", connecter, &scene);
        if (scene.script->state != STATE_TIMEOUT && watch(me, other) &&
            scene.listener >= 0)
            accept_waiting(me, &scene);
        join(me, other);
        if (scene.script->state != STATE_TIMEOUT)
            (void)do_look(me, scene.client);
    }
    scene_close(me, &scene);
}

/* ---- the list ------------------------------------------------------------------------------- */

static void add(struct script_list *list, enum row row, const char *flag_name, int flags,
                enum kind kind, void (*play)(struct actor *me))
{
    for (int state = 0; state < STATE_OTHER; state++) {
        struct script script = {
            .row = row,
            .state = (enum state)state,
            .play = play,
            .kind = kind,
            .flags = flags,
            .needs = state == STATE_TIMEOUT ? NEED_ONCE : 0,
        };

        if (row == ROW_CONNECT && state == STATE_TIMEOUT &&
            (kind == KIND_UDP || kind == KIND_UNIX_DGRAM))
            continue; /* naming a peer never waits */
        (void)snprintf(script.name, sizeof(script.name), "%s%s%s/%s/%s", row_name(row),
                       flag_name[0] != '\0' ? "+" : "", flag_name,
                       state_name((enum state)state), kind_name(kind));
        list_add(list, &script);
    }
}

void add_listen_cells(struct script_list *list)
{
    static const enum kind listeners[] = { KIND_TCP, KIND_TCP6, KIND_UNIX,
                                           KIND_UNIX_SEQ };
    static const enum kind clients[] = { KIND_TCP,      KIND_TCP6, KIND_UNIX,
                                         KIND_UNIX_SEQ, KIND_UDP,  KIND_UNIX_DGRAM };

    for (size_t i = 0; i < sizeof(listeners) / sizeof(listeners[0]); i++) {
        add(list, ROW_ACCEPT, "", 0, listeners[i], play_accept);
        add(list, ROW_ACCEPT4, "", 0, listeners[i], play_accept);
    }
    add(list, ROW_ACCEPT4, "NONBLOCK", SOCK_NONBLOCK, KIND_TCP, play_accept);
    add(list, ROW_ACCEPT4, "CLOEXEC", SOCK_CLOEXEC, KIND_TCP, play_accept);
    add(list, ROW_ACCEPT4, "NONBLOCK|CLOEXEC", SOCK_NONBLOCK | SOCK_CLOEXEC, KIND_UNIX,
        play_accept);
    for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++)
        add(list, ROW_CONNECT, "", 0, clients[i], play_connect);
}
