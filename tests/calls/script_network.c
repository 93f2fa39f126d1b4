/* SPDX-License-Identifier: MIT */
/*
 * script_network.c -- listening on every interface, and on one of two.
 *
 * Each script runs in a network namespace of its own, and beside it a process in another one;
 * two pairs of virtual cables join them, so the peer's calls arrive over two interfaces.
 */
#include "calls.h"

#include <arpa/inet.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum { WORDS_MAX = 16, CALLS = 2 };

/* What the peer is to call. */
struct errand {
    in_port_t port; /* of network order */
    int type;
    const char *addresses[CALLS];
};

struct far_side {
    pid_t pid;
    int errand; /* where to write it */
};

/* Runs ip(8) with the words of LINE. */
static bool run_ip(const char *line)
{
    char text[128], *words[WORDS_MAX + 1] = { NULL }, *rest = NULL;
    size_t count = 0;
    int status = -1;
    pid_t pid, ended;

    (void)snprintf(text, sizeof(text), "ip %s", line);
    for (char *word = strtok_r(text, " ", &rest); word != NULL && count < WORDS_MAX;
         word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    if (posix_spawnp(&pid, "ip", NULL, NULL, words, environ) != 0)
        return false;
    do
        ended = waitpid(pid, &status, 0);
    while (ended < 0 && errno == EINTR);
    return ended == pid && status == 0;
}

/* Both ends of cable NUMBER have address NUMBER.SIDE of it. */
static bool plug_in(int number, int side)
{
    const char letter = side == 1 ? 'a' : 'b';
    char lines[3][80];

    (void)snprintf(lines[0], sizeof(lines[0]), "addr add 10.99.%d.%d/24 dev %c%d", number,
                   side, letter, number);
    (void)snprintf(lines[1], sizeof(lines[1]), "addr add fd99:%d::%d/64 dev %c%d nodad",
                   number, side, letter, number);
    (void)snprintf(lines[2], sizeof(lines[2]), "link set %c%d up", letter, number);
    return run_ip(lines[0]) && run_ip(lines[1]) && run_ip(lines[2]);
}

static bool lay_cables(pid_t far)
{
    char line[96];

    for (int number = 1; number <= 2; number++) {
        (void)snprintf(line, sizeof(line),
                       "link add a%d type veth peer name b%d netns %d", number, number,
                       (int)far);
        if (!run_ip(line) || !plug_in(number, 1))
            return false;
    }
    return true;
}

/* ---- the peer, a process with plain calls -------------------------------------------------- */

static socklen_t address_make(const char *text, in_port_t port,
                              struct sockaddr_storage *address)
{
    struct sockaddr_in *in = (void *)address;
    struct sockaddr_in6 *in6 = (void *)address;

    memset(address, 0, sizeof(*address));
    if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = port;
        return sizeof(*in);
    }
    if (inet_pton(AF_INET6, text, &in6->sin6_addr) != 1)
        return 0;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = port;
    return sizeof(*in6);
}

/* 0, or the errno. */
static int call_up(const struct errand *errand, const char *text)
{
    struct sockaddr_storage address;
    socklen_t size = address_make(text, errand->port, &address);
    int fd = socket(address.ss_family, errand->type, 0);
    int error;
    char answer;
    bool ok;

    ok = reach(fd, &address, size) == 0 && send(fd, text, strlen(text), 0) > 0;
    if (ok && errand->type == SOCK_DGRAM) /* one datagram must not overtake the other */
        ok = recv(fd, &answer, 1, 0) == 1;
    error = ok ? 0 : errno;
    (void)close(fd);
    return error;
}

static void far_main(int ready, int errands)
{
    struct errand errand;
    int refused = 0;

    if (unshare(CLONE_NEWNET) != 0 || write(ready, "r", 1) != 1 ||
        read(errands, &errand, sizeof(errand)) != (ssize_t)sizeof(errand) ||
        !plug_in(1, 2) || !plug_in(2, 2))
        _exit(99);
    for (int i = 0; i < CALLS; i++) {
        int error = call_up(&errand, errand.addresses[i]);

        if (error == ECONNREFUSED)
            refused |= 1 << i;
        else if (error != 0)
            _exit(98);
    }
    _exit(refused);
}

/* False, and the script is skipped, where that is not possible. */
static bool far_begin(struct actor *me, struct far_side *far)
{
    int ready[2] = { -1, -1 }, errands[2] = { -1, -1 };
    char byte;
    ssize_t got;

    if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0 || !run_ip("link set lo up")) {
        skip(me, "network namespaces need root, and ip(8)");
        return false;
    }
    if (!expect(me, pipe2(ready, O_CLOEXEC) == 0 && pipe2(errands, O_CLOEXEC) == 0,
                "pipe"))
        return false;
    far->pid = helper_fork(me);
    if (far->pid == 0)
        far_main(ready[1], errands[0]);
    (void)close(ready[1]);
    (void)close(errands[0]);
    far->errand = errands[1];
    do
        got = read(ready[0], &byte, 1);
    while (got < 0 && errno == EINTR);
    (void)close(ready[0]);
    return expect(me, got == 1 && lay_cables(far->pid), "two cables");
}

/* ---- the scripts ---------------------------------------------------------------------------- */

struct plan {
    const char *bound;
    int type;
    bool both_families;
    const char *addresses[CALLS];
    int answers; /* how many come through */
};

static void note_where(struct actor *me, int fd)
{
    struct sockaddr_storage own = { .ss_family = AF_UNSPEC };
    socklen_t size = sizeof(own);
    char host[INET6_ADDRSTRLEN] = "?";
    const void *place = &((struct sockaddr_in6 *)(void *)&own)->sin6_addr;

    if (!expect(me, getsockname(fd, (void *)&own, &size) == 0, "getsockname"))
        return;
    if (own.ss_family == AF_INET)
        place = &((struct sockaddr_in *)(void *)&own)->sin_addr;
    (void)inet_ntop(own.ss_family, place, host, sizeof(host));
    note(me, "called at %s", host);
}

struct serving {
    int fd;
    const struct plan *plan;
};

static void server(struct actor *me, void *arg)
{
    const struct serving *serving = arg;
    struct sockaddr_storage peer;
    char buf[32];

    for (int i = 0; i < serving->plan->answers; i++) {
        socklen_t size = sizeof(peer);
        int fd;

        if (serving->plan->type == SOCK_DGRAM) {
            (void)do_recvfrom(me, serving->fd, buf, sizeof(buf), 0, &peer, &size);
            (void)do_sendto(me, serving->fd, "a", 1, 0, &peer, size);
            continue;
        }
        fd = do_accept(me, serving->fd, &peer, &size);
        label(me, fd, "served");
        (void)do_recv(me, fd, buf, sizeof(buf), MSG_WAITALL);
        note_where(me, fd);
        (void)do_close(me, fd);
    }
}

static int bind_as(struct actor *me, const struct plan *plan, struct errand *errand)
{
    struct sockaddr_storage address;
    socklen_t size = address_make(plan->bound, 0, &address);
    int fd = do_socket(me, address.ss_family, plan->type, 0);

    label(me, fd, "listener");
    if (address.ss_family == AF_INET6)
        set_int(me, fd, IPPROTO_IPV6, IPV6_V6ONLY, plan->both_families ? 0 : 1);
    (void)do_bind(me, fd, &address, size);
    if (plan->type == SOCK_STREAM)
        (void)do_listen(me, fd, 2);
    (void)expect(me, getsockname(fd, (void *)&address, &size) == 0, "getsockname");
    errand->port =
        ((struct sockaddr_in *)(void *)&address)->sin_port; /* v6: same place */
    errand->type = plan->type;
    memcpy(errand->addresses, plan->addresses, sizeof(errand->addresses));
    return fd;
}

static void play(struct actor *me, const struct plan *plan)
{
    struct far_side far;
    struct errand errand;
    struct serving serving = { .plan = plan };
    struct actor *other;

    if (!far_begin(me, &far))
        return;
    serving.fd = bind_as(me, plan, &errand);
    other = start(me, "server", server, &serving);
    (void)watch(me, other);
    (void)expect(me,
                 write(far.errand, &errand, sizeof(errand)) == (ssize_t)sizeof(errand),
                 "send the errand");
    join(me, other);
    note(me, "refused: %d", helper_wait(me, far.pid));
    (void)close(far.errand);
    (void)close(serving.fd);
}

#define OVER(name, ...)                                                                  \
    static void name(struct actor *me)                                                   \
    {                                                                                    \
        static const struct plan plan = { __VA_ARGS__ };                                 \
                                                                                         \
        play(me, &plan);                                                                 \
    }

OVER(any_address_tcp, "0.0.0.0", SOCK_STREAM, false, { "10.99.1.1", "10.99.2.1" }, 2)
OVER(any_address_tcp6, "::", SOCK_STREAM, false, { "fd99:1::1", "fd99:2::1" }, 2)
OVER(any_address_of_both_families, "::", SOCK_STREAM, true, { "10.99.1.1", "fd99:2::1" },
     2)
OVER(any_address_udp, "0.0.0.0", SOCK_DGRAM, false, { "10.99.1.1", "10.99.2.1" }, 2)
OVER(one_address_of_two, "10.99.1.1", SOCK_STREAM, false, { "10.99.1.1", "10.99.2.1" }, 1)

void add_network_scripts(struct script_list *list)
{
    static const struct script scripts[] = {
        SCRIPT(ACCEPT, OTHER, any_address_tcp),
        SCRIPT(ACCEPT, OTHER, any_address_tcp6),
        SCRIPT(ACCEPT, OTHER, any_address_of_both_families),
        SCRIPT(RECVFROM, OTHER, any_address_udp),
        SCRIPT(BIND, OTHER, one_address_of_two),
    };

    list_add_all(list, scripts, sizeof(scripts) / sizeof(scripts[0]));
}
