/* SPDX-License-Identifier: MIT */
/*
 * exec.c -- running a program with a connection as its standard input and output.
 *
 * The program gets the socket itself, so not a byte of its passes through us.  We keep
 * the socket too: when the program has ended we take it back and close it by the rule
 * (what the program wrote arrives; if it left something unread the client sees a reset).
 * A program that was killed ends in a reset as well: half an answer is none.
 *
 * posix_spawn(3) needs no fork of this process, however large it is, and a pidfd tells
 * when the program has ended, as any other descriptor does.
 */
#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/fd.h>

#include "dialing.h"
#include "local.h"
#include "progress.h"
#include "report.h"

/* A client that does not end its side after the program's is let go after this. */
#define CLOSE_LIMIT (30 * TN_SECOND)

struct program {
    struct client *client;
    const struct settings *settings;
    int fd; /* the socket while it is not a connection; -1 */
    pid_t pid;
    int status;
    tn_ending ending;
};

/* The environment with REMOTE_ADDR and REMOTE_PORT, as CGI and systemd name them. */
static char **make_environment(const struct client *client, char *addr, char *port,
                               size_t size)
{
    size_t count = 0, kept = 0;
    char text[TN_ADDR_TEXT];
    char **copy;
    char *colon;

    while (environ[count])
        count++;
    copy = calloc(count + 3, sizeof(*copy));
    if (!copy)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(environ[i], "REMOTE_ADDR=", 12) != 0 &&
            strncmp(environ[i], "REMOTE_PORT=", 12) != 0)
            copy[kept++] = environ[i];
    }
    (void)snprintf(addr, size, "REMOTE_ADDR=%s",
                   tn_addr_text(&client->addr, text, sizeof(text)));
    (void)snprintf(port, size, "REMOTE_PORT=%u", tn_addr_port(&client->addr));
    colon = strrchr(addr, ':');
    if (colon && tn_addr_port(&client->addr))
        *colon = 0;
    copy[kept++] = addr;
    copy[kept] = port;
    return copy;
}

/* Signals as they were before we took them: the program is not to inherit that. */
static int set_signals(posix_spawnattr_t *attributes)
{
    sigset_t none, usual;

    (void)sigemptyset(&none);
    (void)sigemptyset(&usual);
    (void)sigaddset(&usual, SIGPIPE);
    (void)sigaddset(&usual, SIGXFSZ);
    if (posix_spawnattr_setsigmask(attributes, &none) ||
        posix_spawnattr_setsigdefault(attributes, &usual))
        return ENOMEM;
    return posix_spawnattr_setflags(attributes,
                                    POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

/* Start it.  0 or an errno. */
static int spawn(struct program *program)
{
    char addr[TN_ADDR_TEXT + 16], port[TN_ADDR_TEXT + 16];
    char **environment = make_environment(program->client, addr, port, sizeof(addr));
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char **command = program->settings->command;
    int error = environment ? posix_spawnattr_init(&attributes) : ENOMEM;

    if (!error) {
        error = posix_spawn_file_actions_init(&actions);
        if (!error)
            error = posix_spawn_file_actions_adddup2(&actions, program->fd, STDIN_FILENO);
        if (!error)
            error =
                posix_spawn_file_actions_adddup2(&actions, program->fd, STDOUT_FILENO);
        if (!error)
            error = set_signals(&attributes);
        local_lower_files();
        if (!error)
            error = posix_spawnp(&program->pid, command[0], &actions, &attributes,
                                 command, environment);
        local_raise_files();
        (void)posix_spawn_file_actions_destroy(&actions);
        (void)posix_spawnattr_destroy(&attributes);
    }
    free(environment);
    return error;
}

/* Take the connection's socket into ordinary, blocking mode, for the program. */
static tn_err lend_socket(struct program *program)
{
    tn_err err = tn_release(&program->client->conn, &program->fd, TN_NEVER);
    int flags;

    if (tn_failed(err))
        return err;
    flags = fcntl(program->fd, F_GETFL);
    if (flags < 0 || fcntl(program->fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
        return tn_err_errno(errno);
    return tn_ok();
}

/* Nothing that failed may look to the client like an end. */
static void reset_fd(int fd)
{
    struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    (void)close(fd);
}

/* Take the program's status.  FORCE: make it end, at first politely. */
static void end_program(struct program *program, bool force)
{
    pid_t ended = 0;

    if (force)
        (void)kill(program->pid, SIGTERM);
    for (int i = 0; force && ended == 0 && i < 20; i++) {
        ended = waitpid(program->pid, &program->status, WNOHANG);
        if (ended == 0)
            tn_ignore(tn_sleep(tn_shielded(50 * TN_MS))); /* it ends in its own time */
    }
    if (ended != 0)
        return; /* and its number may be somebody else's by now */
    if (force)
        (void)kill(program->pid, SIGKILL);
    while (waitpid(program->pid, &program->status, 0) < 0 && errno == EINTR)
        ;
}

/*
 * Wait until the program has ended.  If we are told to end first, or --max-time is over,
 * it is asked to (SIGTERM), and made to a second later.
 */
static tn_err wait_for_program(struct program *program)
{
    const struct gate *gate = program->client->gate;
    int time_ms = program->settings->keep ? -1 : local_poll_time(gate->deadline);
    int fd = (int)syscall(SYS_pidfd_open, program->pid, 0);
    struct pollfd entry = { .fd = fd, .events = POLLIN };
    tn_err err = tn_ok();
    int count;

    if (fd < 0)
        err = tn_err_errno(errno);
    while (!tn_failed(err) && (count = tn_fd_poll(&entry, 1, time_ms)) <= 0) {
        if (count == 0)
            err = tn_err_user(TN_DEADLINE, 0);
        else if (errno != EINTR)
            err = tn_err_errno(errno);
    }
    end_program(program, tn_failed(err));
    if (fd >= 0)
        (void)close(fd);
    return err;
}

/* The client has gone already: how many bytes of the program's it never had. */
static tn_err end_dead(struct program *program, tn_err err)
{
    int missing = 0;

    if (err.kind == TN_INVALID) { /* not connected any more */
        program->ending.how = TN_ENDED_RESET;
        err.kind = TN_RESET;
        if (ioctl(program->fd, SIOCOUTQ, &missing) == 0 && missing > 0)
            program->ending.unacked = (uint64_t)missing;
    } else { /* no memory: it has to learn that something is wrong */
        program->ending.how = TN_ENDED_DEADLINE;
    }
    reset_fd(program->fd);
    return err;
}

/* The program has ended: end its connection as it deserves. */
static tn_err end_connection(struct program *program, tn_err waited)
{
    struct tn_conn *conn = NULL;
    tn_err err = tn_adopt(&conn, program->fd, NULL);

    if (tn_failed(err))
        return end_dead(program, err);
    if (!tn_failed(waited) && WIFEXITED(program->status)) {
        err = tn_close(&conn, &program->ending, tn_in(CLOSE_LIMIT));
        return program->ending.how == TN_ACKED ? tn_ok() : err;
    }
    program->ending.how = TN_ENDED_DEADLINE;
    tn_ignore(tn_confirm(conn, &program->ending.unacked, tn_shielded(TN_SECOND)));
    tn_abort(&conn); /* half an answer must not look whole */
    return tn_failed(waited) ? waited : tn_err_errno(ECANCELED);
}

static void tell(const struct program *program, int code, int64_t length)
{
    const struct client *client = program->client;
    char name[CLIENT_NAME], text[24];
    struct json json;

    if (!report_wants_detail() && !report_wants_json())
        return;
    (void)client_name(client, name, sizeof(name));
    report_detail("client %" PRIu64 " %s: program ended with %d, %s, %s", client->id,
                  name, code, tn_how_text(program->ending.how),
                  time_text(length, text, sizeof(text)));
    if (!report_wants_json())
        return;
    json_event(&json, "close");
    json_bool(&json, "ok", code == 0 && program->ending.how == TN_CLEAN);
    json_number(&json, "id", client->id);
    json_number(&json, "exit", (uint64_t)code);
    json_text(&json, "where", name);
    json_ms(&json, "ms", length);
    json_text(&json, "reason", "program");
    json_text(&json, "how", tn_how_text(program->ending.how));
    json_number(&json, "unacked", program->ending.unacked);
    json_number(&json, "unread", program->ending.unread);
    json_send(&json);
}

/* What to exit with: the program's own code, unless that was 0 and its answer got lost. */
static int code_of(const struct program *program, tn_err closed)
{
    char name[CLIENT_NAME], missing[32];

    if (WIFSIGNALED(program->status))
        return 128 + WTERMSIG(program->status);
    if (WEXITSTATUS(program->status))
        return WEXITSTATUS(program->status);
    if (!tn_failed(closed) || program->ending.how == TN_UNREAD)
        return EXIT_DELIVERED; /* what it did not want to read is its own business */
    return report_error(
        EXIT_CUT, "send", client_name(program->client, name, sizeof(name)),
        "%s (%s of the program's not acknowledged)", tn_how_text(program->ending.how),
        bytes_text(program->ending.unacked, missing, sizeof(missing)));
}

/* It could not even be started: CODE says why, and has been told. */
static int give_up(struct program *program, enum tn_how how, int code, int64_t started)
{
    tn_abort(&program->client->conn);
    if (program->fd >= 0)
        reset_fd(program->fd);
    program->ending.how = how;
    tell(program, code, tn_now() - started);
    return code;
}

int program_run(struct client *client, const struct settings *settings)
{
    struct program program = { .client = client, .settings = settings, .fd = -1 };
    int64_t started = tn_now();
    tn_err err = lend_socket(&program);
    char text[120], name[CLIENT_NAME];
    int code, error;

    if (tn_failed(err)) {
        code = err.kind == TN_CANCELED
                   ? EXIT_OTHER
                   : report_error((enum exit_code)network_code(err), "accept",
                                  client_name(client, name, sizeof(name)), "%s",
                                  tn_err_text(err, text, sizeof(text)));
        return give_up(&program,
                       err.kind == TN_RESET ? TN_ENDED_RESET : TN_ENDED_DEADLINE, code,
                       started);
    }
    error = spawn(&program);
    if (error) {
        code = report_error(error == ENOENT ? EXIT_NO_PROGRAM : EXIT_NOT_RUNNABLE, "run",
                            settings->command[0], "%s", strerror(error));
        return give_up(&program, TN_ENDED_DEADLINE, code, started);
    }
    err = wait_for_program(&program);
    err = end_connection(&program, err);
    code = code_of(&program, err);
    tell(&program, code, tn_now() - started);
    return code;
}
