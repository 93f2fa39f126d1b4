/* SPDX-License-Identifier: MIT */
/*
 * peer.c -- the far end: a witness of plain system calls, so that nothing of the library
 * is believed by the library.
 *
 * Each connection is served by a process of its own, which reads all that its kernel has,
 * also when the connection is dead already.  So when it is through, what it has counted is
 * what the far host received, to the byte, and whatever the near end believes to be
 * acknowledged must be among it.
 *
 * Always true: it ends soon after the near program has, whatever the network does.
 */
#include "rough/stage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS  20  /* between looks at whether the near program is through */
#define GRACE_MS 400 /* and after that, without a sign of it */
#define THINK_MS 60  /* before a late reply */
#define CHUNK    8192

struct talk {
    int fd;
    struct far_view *far;
    struct view *view;
    const struct script *script;
    uint64_t to_write; /* in all, so far as is known */
    bool said_end, may_write;
};

static void note(struct talk *talk, int error)
{
    if (talk->far->error == 0)
        talk->far->error = error;
}

/* What the next send may take: not beyond the urgent byte, and that one by itself. */
static size_t next_piece(const struct talk *talk, int *flags)
{
    const struct tape *tape = &talk->view->wrote;
    uint64_t left = talk->to_write - tape->count;
    uint64_t before =
        tape->urgent_at > tape->count ? tape->urgent_at - tape->count : left;

    *flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    if (tape->urgent_at == tape->count) {
        *flags |= MSG_OOB;
        return 1;
    }
    if (left > before)
        left = before;
    return left < CHUNK ? (size_t)left : CHUNK;
}

static void write_some(struct talk *talk)
{
    char bytes[CHUNK];

    while (talk->may_write && talk->view->wrote.count < talk->to_write) {
        int flags;
        size_t size = next_piece(talk, &flags);
        ssize_t sent;

        tape_fill(&talk->view->wrote, bytes, size);
        sent = send(talk->fd, bytes, size, flags);
        if (sent < 0 && errno != EAGAIN) {
            note(talk, errno);
            talk->to_write = talk->view->wrote.count; /* but what has come is read yet */
        }
        if (sent <= 0)
            return;
        tape_wrote(&talk->view->wrote, (size_t)sent);
    }
}

/* A readable byte brings its mark along, so the mark is looked for after poll(2) woke. */
static void look_for_mark(struct talk *talk)
{
    int at_mark = 0;

    if (talk->script->urgent && talk->view->marked == NOWHERE &&
        ioctl(talk->fd, SIOCATMARK, &at_mark) == 0 && at_mark)
        talk->view->marked = talk->view->got.count;
}

/* Read what is there, once: whether that was something. */
static bool read_some(struct talk *talk)
{
    char bytes[CHUNK];
    ssize_t got;

    look_for_mark(talk);
    got = recv(talk->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (got > 0) {
        tape_got(&talk->view->got, bytes, (size_t)got);
        if (talk->script->echo)
            talk->to_write = talk->view->got.count;
    } else if (got == 0 && talk->far->error == 0) {
        talk->view->saw_end = true;
    } else if (got == 0 || errno != EAGAIN) {
        note(talk, errno); /* a dead one whose error was told already reads as ended */
        talk->far->finished = true; /* and all that came before it has been read */
    }
    return got > 0;
}

static void end_if_all_is_written(struct talk *talk)
{
    bool more_may_come = talk->script->echo && !talk->view->saw_end;

    /* Who only reads ends when the near end has: a close from here first would be news. */
    if (talk->script->source == 0 && !talk->view->saw_end)
        more_may_come = true;
    if (talk->said_end || !talk->may_write || more_may_come || talk->far->error != 0 ||
        talk->view->wrote.count < talk->to_write)
        return;
    talk->said_end = true;
    if (shutdown(talk->fd, SHUT_WR) == 0)
        talk->view->ended = true;
    else
        note(talk, errno);
}

/* Park the process until something can be done; false: nothing more will come. */
static bool wait_for_it(struct talk *talk)
{
    int silent = 0;

    for (;;) {
        struct pollfd entry = { .fd = talk->fd };
        int ready;

        if (!talk->view->saw_end)
            entry.events |= POLLIN;
        if (talk->may_write && talk->view->wrote.count < talk->to_write)
            entry.events |= POLLOUT;
        ready = poll(&entry, 1, LOOK_MS);
        if (ready > 0)
            return true;
        silent = atomic_load(&stage->near_done) ? silent + LOOK_MS : 0;
        if (silent > GRACE_MS)
            return false;
    }
}

/* Play the script on a connected socket. */
static void talk(struct talk *talk)
{
    while (!talk->far->finished && !(talk->view->saw_end && talk->said_end)) {
        if (!wait_for_it(talk)) {
            talk->far->gave_up = true;
            break;
        }
        if (!talk->view->saw_end)
            read_some(talk);
        if (talk->view->saw_end && !talk->may_write) {
            poll(NULL, 0, THINK_MS);
            talk->may_write = true;
        }
        write_some(talk);
        end_if_all_is_written(talk);
        if (talk->view->saw_end && talk->far->error != 0)
            break; /* it cannot be ended in order any more */
    }
    talk->far->finished = true;
}

static void serve(int fd, uint16_t port, bool near_dialled)
{
    unsigned place = atomic_fetch_add(&stage->far_count, 1);
    struct talk with = { .fd = fd, .script = &scenario->far };
    int one = 1;

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* the runner's end is the end of us all */
    if (place >= WIRES_MAX)
        _exit(1);
    with.far = &stage->far[place];
    with.view = &with.far->view;
    view_open(with.view, port, near_dialled, true);
    with.to_write = stage->size * with.script->source / 100;
    with.may_write = !with.script->after_end;
    if (with.script->urgent &&
        setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one)) != 0)
        note(&with, errno);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    talk(&with);
    close(fd);
    _exit(0);
}

/* Connect to the near program as soon as it listens. */
static void dial_and_serve(void)
{
    struct sockaddr_in there = { .sin_family = AF_INET }, here = { 0 };
    socklen_t size = sizeof(here);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct pollfd entry = { .fd = fd, .events = POLLOUT };

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (atomic_load(&stage->near_port) == 0) {
        if (atomic_load(&stage->near_done))
            _exit(0);
        poll(NULL, 0, 1);
    }
    there.sin_port = htons(atomic_load(&stage->near_port));
    inet_pton(AF_INET, NEAR_HOST, &there.sin_addr);
    if (connect(fd, (struct sockaddr *)&there, sizeof(there)) != 0 &&
        errno != EINPROGRESS)
        _exit(0);
    while (poll(&entry, 1, LOOK_MS) == 0)
        if (atomic_load(&stage->near_done))
            _exit(0);
    if (getpeername(fd, (struct sockaddr *)&there, &size) != 0)
        _exit(0); /* refused, or lost on the way: the near end never had it either */
    size = sizeof(here);
    if (getsockname(fd, (struct sockaddr *)&here, &size) != 0)
        _exit(1);
    serve(fd, ntohs(here.sin_port), false);
}

_Noreturn void peer_main(int listener)
{
    struct pollfd entry = { .fd = listener, .events = POLLIN };

    if (scenario->far.dials && fork() == 0)
        dial_and_serve();
    for (;;) {
        struct sockaddr_in from = { 0 };
        socklen_t size = sizeof(from);
        bool last = atomic_load(&stage->near_done);
        int fd;

        if (poll(&entry, 1, LOOK_MS) <= 0 && last)
            break; /* what was queued to the end has been received, too */
        fd = accept4(listener, (struct sockaddr *)&from, &size,
                     SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            continue;
        if (fork() == 0)
            serve(fd, ntohs(from.sin_port), true);
        close(fd);
    }
    close(listener);
    while (wait(NULL) > 0)
        ;
    _exit(0);
}
