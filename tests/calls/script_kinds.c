/* SPDX-License-Identifier: MIT */
/*
 * script_kinds.c -- what is not a socket: pipes, named pipes, terminals, eventfds, timers, files.
 */
#include "calls.h"

#include <pty.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <termios.h>

/* ---- pipes ----------------------------------------------------------------------------------- */

static void pipe_ends(struct actor *me)
{
    char buf[8];
    struct pair pair;

    if (!pair_open(me, KIND_PIPE, false, &pair))
        return;
    (void)far_puts(&pair, "abc", 3);
    (void)close(pair.far);
    pair.far = -1;
    (void)do_read(me, pair.near, buf, sizeof(buf));
    (void)do_read(me, pair.near, buf, sizeof(buf));
    (void)do_write(me, pair.near, buf, 1);
    (void)do_recv(me, pair.near, buf, 1, 0);
    (void)do_shutdown(me, pair.near, SHUT_RD);
    pair_close(me, &pair);
}

/* A write of up to PIPE_BUF bytes is whole or not at all, also when it had to wait. */
static void pipe_writes_are_whole(struct actor *me)
{
    struct action action = { .row = ROW_WRITE, .size = 4096 };
    static char buf[70000];
    struct actor *other;
    struct pair pair;
    ssize_t got;

    if (!pair_make(me, KIND_PIPE, STATE_FULL, true, &pair))
        return;
    action.fd = pair.near;
    other = start(me, "writer", act, &action);
    (void)watch(me, other);
    (void)read(pair.far, buf, 100); /* not a whole page: no room yet */
    (void)watch(me, other);
    (void)read(pair.far, buf, 4096);
    join(me, other);
    set_nonblock(pair.far, true);
    while ((got = read(pair.far, buf, sizeof(buf))) > 0)
        note(me, "tail: %.3s", buf + got - 3);
    pair_close(me, &pair);
}

/* ---- named pipes --------------------------------------------------------------------------------- */

static bool fifo_open(struct actor *me, bool writes, struct pair *pair)
{
    int both;

    *pair = (struct pair){ .kind = KIND_PIPE, .other = -1 };
    (void)expect(me, mkfifo("fifo", 0600) == 0, "mkfifo");
    both = open("fifo", O_RDWR);
    pair->near = open("fifo", writes ? O_WRONLY : O_RDONLY);
    pair->far = open("fifo", writes ? O_RDONLY : O_WRONLY);
    (void)close(both);
    label(me, pair->near, "near");
    return expect(me, pair->near >= 0 && pair->far >= 0, "open");
}

static void fifo_read(struct actor *me)
{
    struct action action = { .row = ROW_READ, .size = 8 };
    struct actor *other;
    struct pair pair;

    if (!fifo_open(me, false, &pair))
        return;
    action.fd = pair.near;
    other = start(me, "reader", act, &action);
    (void)watch(me, other);
    (void)do_fcntl(me, pair.near, F_GETFL, 0);
    (void)far_puts(&pair, "abc", 3);
    join(me, other);
    other = start(me, "reader 2", act, &action);
    (void)watch(me, other);
    (void)close(pair.far);
    pair.far = -1;
    join(me, other);
    (void)do_fcntl(me, pair.near, F_GETFL, 0);
    (void)do_fcntl(me, pair.near, F_SETFL, O_NONBLOCK);
    (void)do_read(me, pair.near, (char[8]){ 0 }, 8);
    pair_close(me, &pair);
}

static void fifo_write(struct actor *me)
{
    struct action action = { .row = ROW_WRITEV, .size = 200 * 1000 };
    struct actor *other;
    struct pair pair;

    if (!fifo_open(me, true, &pair))
        return;
    action.fd = pair.near;
    other = start(me, "writer", act, &action);
    (void)watch(me, other);
    (void)do_fcntl(me, pair.near, F_GETFL, 0);
    drain_for(me, &pair, other);
    join(me, other);
    (void)close(pair.far);
    pair.far = -1;
    (void)do_write(me, pair.near, "x", 1);
    pair_close(me, &pair);
}

static void fifo_close_while_waiting(struct actor *me)
{
    struct action action = { .row = ROW_WRITE, .size = 200 * 1000, .quiet_count = true };
    struct actor *other;
    struct pair pair;

    if (!fifo_open(me, true, &pair))
        return;
    action.fd = pair.near;
    other = start(me, "writer", act, &action);
    (void)watch(me, other);
    (void)close(pair.far);
    pair.far = -1;
    join(me, other);
    (void)do_write(me, pair.near, "x", 1);
    pair_close(me, &pair);
}

/* ---- terminals ---------------------------------------------------------------------------------------- */

/* In the terminal's own mode a line is the unit. */
static void terminal_lines(struct actor *me)
{
    struct action action = { .row = ROW_READ, .size = 16 };
    struct actor *other;
    struct pair pair = { .kind = KIND_TTY, .other = -1 };
    char buf[16];

    if (!expect(me, openpty(&pair.far, &pair.near, NULL, NULL, NULL) == 0, "openpty"))
        return;
    label(me, pair.near, "near");
    action.fd = pair.near;
    other = start(me, "reader", act, &action);
    (void)watch(me, other);
    (void)far_puts(&pair, "half a ", 7);
    (void)watch(me, other);
    (void)far_puts(&pair, "line\nnext\n", 10);
    join(me, other);
    (void)do_read(me, pair.near, buf, 2);
    (void)do_read(me, pair.near, buf, sizeof(buf));
    (void)far_puts(&pair, "\004", 1); /* end of file */
    (void)do_read(me, pair.near, buf, sizeof(buf));
    (void)do_write(me, pair.near, "one\ntwo\n", 8);
    (void)await_events(me, pair.far, POLLIN);
    (void)do_fcntl(me, pair.near, F_GETFL, 0);
    (void)do_recv(me, pair.near, buf, 1, 0);
    pair_close(me, &pair);
}

/*
 * Whom the hang-up finds in read(2), it gives EIO; who comes back after it, as from a signal's
 * handler, gets 0 (n_tty_read, hung_up_tty_read; Linux 6.18).  So in a storm both are right.
 */
static void read_until_it_hangs_up(struct actor *me, void *arg)
{
    const struct action *action = arg;
    bool storm = me->run->storm != STORM_NONE;
    char buf[8];
    ssize_t got;

    me->silent += storm;
    got = do_read(me, action->fd, buf, sizeof(buf));
    me->silent -= storm;
    if (storm)
        note(me, "%s", got == 0 || (got < 0 && me->error == EIO) ? "hung up" : "not so");
}

static void terminal_hangs_up(struct actor *me)
{
    struct action action = { .row = ROW_READ, .size = 8 };
    struct actor *other;
    struct pair pair;

    if (!pair_open(me, KIND_TTY, false, &pair))
        return;
    action.fd = pair.near;
    other = start(me, "reader", read_until_it_hangs_up, &action);
    (void)watch(me, other);
    (void)close(pair.far);
    pair.far = -1;
    join(me, other);
    (void)do_read(me, pair.near, (char[8]){ 0 }, 8);
    (void)do_write(me, pair.near, "x", 1);
    (void)do_look(me, pair.near);
    pair_close(me, &pair);
}

/* From the master's side, as a terminal emulator has it. */
static void terminal_master(struct actor *me)
{
    struct action action = { .row = ROW_READ, .size = 8 };
    struct actor *other;
    struct pair pair;
    int master;

    if (!pair_open(me, KIND_TTY, false, &pair))
        return;
    master = pair.far;
    pair.far = pair.near;
    pair.near = master;
    label(me, master, "master");
    action.fd = master;
    other = start(me, "reader", act, &action);
    (void)watch(me, other);
    (void)far_puts(&pair, "output", 6);
    join(me, other);
    (void)do_write(me, master, "input", 5);
    note_received(me, pair.far, 5);
    other = start(me, "reader 2", act, &action);
    (void)watch(me, other);
    (void)close(pair.far);
    pair.far = -1;
    join(me, other);
    (void)do_fcntl(me, master, F_GETFL, 0);
    pair_close(me, &pair);
}

static void terminal_minimum(struct actor *me)
{
    struct action action = { .row = ROW_READ, .size = 16 };
    struct termios modes;
    struct actor *other;
    struct pair pair;

    if (!pair_open(me, KIND_TTY, false, &pair))
        return;
    (void)tcgetattr(pair.near, &modes);
    modes.c_cc[VMIN] = 5;
    (void)tcsetattr(pair.near, TCSANOW, &modes);
    action.fd = pair.near;
    other = start(me, "reader", act, &action);
    (void)watch(me, other);
    (void)far_puts(&pair, "abc", 3);
    (void)watch(me, other);
    (void)far_puts(&pair, "defg", 4);
    join(me, other);
    (void)far_puts(&pair, "xy", 2);
    (void)do_fcntl(me, pair.near, F_SETFL, O_RDWR | O_NONBLOCK);
    (void)do_read(me, pair.near, (char[8]){ 0 }, 8);
    (void)do_read(me, pair.near, (char[8]){ 0 }, 8);
    pair_close(me, &pair);
}

/* ---- counters, timers -------------------------------------------------------------------------------------- */

static void eventfd_counts(struct actor *me)
{
    struct action action = { .row = ROW_READ, .size = 8 };
    struct actor *other;
    uint64_t value;
    int fd = eventfd(0, 0);

    label(me, fd, "event");
    action.fd = fd;
    other = start(me, "reader", act, &action);
    (void)watch(me, other);
    (void)do_fcntl(me, fd, F_GETFL, 0);
    value = 3;
    (void)do_write(me, fd, &value, sizeof(value));
    join(me, other);
    (void)do_write(me, fd, &value, sizeof(value));
    (void)do_write(me, fd, &value, sizeof(value));
    (void)do_read(me, fd, &value, sizeof(value));
    (void)do_read(me, fd, &value, 4);
    (void)do_write(me, fd, &value, 4);
    value = UINT64_MAX;
    (void)do_write(me, fd, &value, sizeof(value));
    (void)close(fd);
}

/* Poll says that 1 could be added; 5 cannot. */
static void eventfd_too_full_for_this(struct actor *me)
{
    static uint64_t nearly = UINT64_MAX - 3;
    struct actor *other;
    uint64_t value;
    int fd = eventfd(0, 0);
    struct action action = { .row = ROW_WRITE, .fd = fd, .size = 8 };

    label(me, fd, "event");
    (void)expect(me, write(fd, &nearly, sizeof(nearly)) == 8, "fill");
    (void)do_look(me, fd);
    other = start(me, "writer", act, &action); /* "abcdefgh" is a large number */
    (void)watch(me, other);
    (void)do_fcntl(me, fd, F_GETFL, 0);
    (void)expect(me, read(fd, &value, sizeof(value)) == 8, "empty");
    join(me, other);
    (void)do_read(me, fd, &value, sizeof(value));
    (void)close(fd);
}

static void eventfd_as_semaphore(struct actor *me)
{
    int fd = eventfd(3, EFD_SEMAPHORE);
    uint64_t value;

    label(me, fd, "event");
    for (int i = 0; i < 3; i++)
        (void)do_read(me, fd, &value, sizeof(value));
    (void)do_fcntl(me, fd, F_SETFL, O_NONBLOCK);
    (void)do_read(me, fd, &value, sizeof(value));
    (void)close(fd);
}

static void timer_expires(struct actor *me)
{
    struct itimerspec soon = { .it_value.tv_nsec = 30 * MS };
    struct action action = { .row = ROW_READ, .size = 8 };
    struct actor *other;

    action.fd = timerfd_create(CLOCK_MONOTONIC, 0);
    label(me, action.fd, "timer");
    other = start(me, "reader", act, &action);
    (void)watch(me, other);
    (void)timerfd_settime(action.fd, 0, &soon, NULL);
    join(me, other);
    (void)close(action.fd);
}

/* ---- files ---------------------------------------------------------------------------------------------------- */

static void regular_file(struct actor *me)
{
    static char buf[300 * 1000];
    struct iovec pieces[] = { { buf, 100 * 1000 },
                              { buf, 0 },
                              { buf + 100 * 1000, 150000 } };
    int fd = open("regular", O_RDWR | O_CREAT | O_APPEND, 0600);

    label(me, fd, "file");
    memset(buf, 'r', sizeof(buf));
    (void)do_write(me, fd, buf, sizeof(buf));
    (void)do_writev(me, fd, pieces, 3);
    (void)lseek(fd, 0, SEEK_SET);
    (void)do_read(me, fd, buf, 10);
    (void)do_readv(me, fd, pieces, 3);
    (void)do_read(me, fd, buf, sizeof(buf));
    (void)do_read(me, fd, buf, sizeof(buf));
    (void)do_read(me, fd, buf, sizeof(buf));
    (void)do_look(me, fd);
    (void)do_send(me, fd, "x", 1, 0);
    (void)do_accept(me, fd, NULL, NULL);
    (void)do_fcntl(me, fd, F_GETFL, 0);
    (void)do_close(me, fd);
}

static void other_files(struct actor *me)
{
    static const char *const paths[] = { ".", "/dev/null", "/dev/zero",
                                         "/proc/self/comm" };
    char buf[4];

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        int fd = open(paths[i], O_RDONLY);

        label(me, fd, paths[i]);
        (void)do_read(me, fd, buf, sizeof(buf));
        (void)do_write(me, fd, buf, sizeof(buf));
        (void)do_recv(me, fd, buf, 1, 0);
        (void)do_close(me, fd);
    }
}

static void write_only_and_read_only(struct actor *me)
{
    char buf[4];
    int ends[2];

    (void)expect(me, pipe(ends) == 0, "pipe");
    label(me, ends[0], "out");
    label(me, ends[1], "in");
    (void)do_write(me, ends[0], "x", 1);
    (void)do_read(me, ends[1], buf, 1);
    (void)do_readv(me, ends[1], &(struct iovec){ buf, 1 }, 1);
    (void)do_write(me, ends[1], "", 0);
    (void)do_read(me, ends[0], buf, 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void socket_calls_on_others(struct actor *me)
{
    char buf[4];
    int fd = eventfd(0, 0);

    label(me, fd, "event");
    (void)do_recv(me, fd, buf, 4, 0);
    (void)do_recv(me, fd, buf, 4, MSG_WAITALL);
    (void)do_recvmsg(me, fd, &(struct msghdr){ .msg_iovlen = 0 }, 0);
    (void)do_send(me, fd, buf, 4, 0);
    (void)do_sendmsg(me, fd, &(struct msghdr){ .msg_iovlen = 0 }, 0);
    (void)do_connect(me, fd, &(struct sockaddr){ .sa_family = AF_INET }, 16);
    (void)do_accept(me, fd, NULL, NULL);
    (void)do_listen(me, fd, 1);
    (void)do_shutdown(me, fd, SHUT_WR);
    (void)do_so_error(me, fd);
    (void)close(fd);
}

void add_other_kinds_scripts(struct script_list *list)
{
    static const struct script scripts[] = {
        SCRIPT(READ, PEER_END, pipe_ends),
        SCRIPT(WRITE, FULL, pipe_writes_are_whole),
        SCRIPT(READ, OTHER, fifo_read),
        SCRIPT(WRITEV, FULL, fifo_write),
        SCRIPT(WRITE, FULL, fifo_close_while_waiting),
        SCRIPT(READ, OTHER, terminal_lines),
        SCRIPT(READ, CLOSED, terminal_hangs_up),
        SCRIPT(READ, OTHER, terminal_master),
        SCRIPT(READ, OTHER, terminal_minimum),
        SCRIPT(READ, OTHER, eventfd_counts),
        SCRIPT(WRITE, FULL, eventfd_too_full_for_this),
        SCRIPT(READ, NONBLOCK, eventfd_as_semaphore),
        SCRIPT(READ, OTHER, timer_expires),
        SCRIPT(READV, OTHER, regular_file),
        SCRIPT(READ, OTHER, other_files),
        SCRIPT(READ, OTHER, write_only_and_read_only),
        SCRIPT(RECV, OTHER, socket_calls_on_others),
    };

    list_add_all(list, scripts, sizeof(scripts) / sizeof(scripts[0]));
}
