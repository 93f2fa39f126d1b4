/* SPDX-License-Identifier: MIT */
/*
 * play.c -- one combination: an impairment, a scenario, a driver.
 *
 * The lane's process is the router's keeper: it starts both ends, breaks the network when
 * the near program asks for that, and heals it when that is due.  Once the near program is
 * through, the witness gets a moment to take in what its host has received.
 *
 * Always true: when play() returns, no process of the combination is left, and the lane's
 * network is as it was.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rough/rough.h"
#include "rough/stage.h"

#define LIMIT_S     60
#define SIZE_LEAST  (96 << 10)
#define SIZE_SPREAD (160 << 10)
#define TINY_BUFFER 4096

struct game {
    struct lane *lane;
    const struct impairment *impairment;
    uint64_t seed; /* of this combination */
    int listener;  /* of the witness */
    int asking;    /* the near program asks for the strike here */
    int64_t end, heal_at;
};

/* WHAT may be the lane's trouble itself. */
static enum outcome told(struct game *game, enum outcome outcome, const char *what)
{
    if (what != game->lane->trouble)
        snprintf(game->lane->trouble, sizeof(game->lane->trouble), "%s", what);
    return outcome;
}

/* ---- the two ends ---- */

static bool listen_far(struct game *game)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t size = sizeof(at);
    int buffer = TINY_BUFFER;

    lane_enter(game->lane, FAR);
    inet_pton(AF_INET, FAR_HOST, &at.sin_addr);
    game->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (stage->tiny) {
        setsockopt(game->listener, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
        setsockopt(game->listener, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
    }
    if (bind(game->listener, (struct sockaddr *)&at, size) != 0 ||
        listen(game->listener, 2 * WIRES_MAX) != 0 ||
        getsockname(game->listener, (struct sockaddr *)&at, &size) != 0)
        return false;
    stage->far_port = ntohs(at.sin_port);
    return true;
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        abort();
    close(fd);
}

/* A name of several addresses, for this process only: an /etc of its own. */
static void make_hosts(void)
{
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", "/etc", "tmpfs", 0, NULL) != 0)
        abort();
    write_file("/etc/nsswitch.conf", "hosts: files\n");
    write_file("/etc/host.conf", "multi on\n");
    write_file("/etc/hosts", FAR_ABSENT " " MANY_NAME "\n" FAR_NOBODY " " MANY_NAME
                                        "\n" FAR_HOST " " MANY_NAME "\n");
}

_Noreturn static void near_main(const struct game *game)
{
    struct tn_loop_options options = { .driver = stage->driver };

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(game->listener); /* or the witness could not end it */
    close(game->asking);
    lane_enter(game->lane, NEAR);
    if (scenario->in_hosts)
        make_hosts();
    stage->run = tn_run(scenario->run, NULL, &options);
    _exit(0);
}

static bool start_both(struct game *game)
{
    int pair[2];

    fflush(stdout);
    game->lane->far = fork();
    if (game->lane->far == 0) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        peer_main(game->listener);
    }
    setpgid(game->lane->far, game->lane->far);
    /* After the fork: a witness that is stopped must not keep it open. */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    game->asking = pair[0];
    stage->to_router = pair[1];
    game->lane->near = fork();
    if (game->lane->near == 0)
        near_main(game);
    setpgid(game->lane->near, game->lane->near);
    close(pair[1]);
    close(game->listener);
    return game->lane->near > 0 && game->lane->far > 0;
}

/* ---- the game ---- */

static int ms_until(int64_t point)
{
    int64_t left = point - tn_now();

    return left > 0 ? (int)(left / TN_MS + 1) : 0;
}

static bool strike_now(struct game *game)
{
    char byte = 's';

    if (!impair_strike(game->lane, game->impairment))
        return false;
    atomic_store(&stage->struck, true);
    if (game->impairment->heal_ms > 0)
        game->heal_at = tn_now() + game->impairment->heal_ms * TN_MS;
    return send(game->asking, &byte, 1, MSG_NOSIGNAL) == 1;
}

static bool heal_now(struct game *game)
{
    game->heal_at = INT64_MAX;
    return impair_heal(game->lane, game->impairment);
}

/* Until the near program has ended: NULL, or what went wrong with the game itself. */
static const char *referee(struct game *game)
{
    struct pollfd entry = { .fd = game->asking, .events = POLLIN };

    for (;;) {
        int64_t next = game->heal_at < game->end ? game->heal_at : game->end;
        int ready = poll(&entry, 1, ms_until(next));
        char byte;

        if (ready > 0) {
            if (read(game->asking, &byte, 1) <= 0)
                break; /* it has ended, or died */
            if (!strike_now(game))
                return game->lane->trouble;
        } else if (tn_now() >= game->end) {
            return "not over after a minute";
        } else if (tn_now() >= game->heal_at && !heal_now(game)) {
            return game->lane->trouble;
        }
    }
    if (game->heal_at != INT64_MAX && !heal_now(game))
        return game->lane->trouble;
    return NULL;
}

/* Wait for PID until the game must be over: its status, or -1. */
static int status_of(struct game *game, pid_t pid)
{
    struct pollfd entry = { .events = POLLIN };
    int status = -1, ready;

    entry.fd = (int)syscall(SYS_pidfd_open, pid, 0);
    ready = poll(&entry, 1, ms_until(game->end));
    close(entry.fd);
    return ready > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

static const char *wait_both(struct game *game)
{
    static char died[64];
    int near = status_of(game, game->lane->near), far;

    atomic_store(&stage->near_done, true);
    kill(-game->lane->far, SIGCONT);
    if (near != 0) {
        snprintf(died, sizeof(died), "the near program died (status %#x)",
                 (unsigned)near);
        return died;
    }
    game->lane->near = 0;
    far = status_of(game, game->lane->far);
    if (far != 0)
        return "the witness failed";
    game->lane->far = 0;
    return NULL;
}

/* Whatever became of it: no process is left, and the network is whole. */
static const char *clean_up(struct game *game)
{
    struct lane *lane = game->lane;
    const pid_t pids[] = { lane->near, lane->far };

    for (int i = 0; i < 2; i++) {
        if (pids[i] > 0) {
            kill(-pids[i], SIGKILL);
            waitpid(pids[i], NULL, 0);
        }
    }
    lane->near = lane->far = 0;
    if (game->asking >= 0)
        close(game->asking);
    return impair_end(lane, game->impairment, game->seed) ? NULL : lane->trouble;
}

static void set_stage(struct game *game, const struct combination *combination)
{
    uint64_t random = game->seed;
    const struct impairment *impairment = game->impairment;

    memset(stage, 0, sizeof(*stage));
    scenario = combination->scenario;
    stage->seed = game->seed;
    stage->driver = combination->driver;
    stage->tiny = impairment->tiny;
    stage->urgent_cleared = impairment->urgent_cleared;
    stage->patient = !impairment_breaks(impairment);
    random = mix(random, 1);
    stage->size = SIZE_LEAST + random % SIZE_SPREAD;
    if (scenario->share > 0)
        stage->size /= scenario->share;
    if (stage->tiny)
        stage->size /= 8;
    random = mix(random, 2);
    stage->strike_at = impairment_strikes(impairment) ? random % stage->size : NOWHERE;
    /* Now and then before there is a connection, if that is not what it needs. */
    random = mix(random, 3);
    stage->early = impairment->strike_rule != NULL && random % 4 == 0;
    if (stage->early)
        stage->strike_at = 0;
    else if (stage->strike_at == 0)
        stage->strike_at = 1;
}

/* Play it from beginning to end: NULL, or what must not be. */
static const char *play_through(struct game *game)
{
    const char *wrong;

    if (!listen_far(game) || !start_both(game))
        return strerror(errno);
    wrong = referee(game);
    return wrong != NULL ? wrong : wait_both(game);
}

enum outcome play(struct lane *lane, const struct combination *combination)
{
    struct game game = { .lane = lane,
                         .impairment = combination->impairment,
                         .asking = -1,
                         .heal_at = INT64_MAX,
                         .end = tn_now() + LIMIT_S * TN_SECOND };
    char lacking[sizeof(lane->trouble)];
    const char *wrong;

    game.seed = name_seed(combination->seed, combination->impairment->name);
    game.seed = name_seed(game.seed, combination->scenario->name);
    set_stage(&game, combination);
    if (!impair_start(lane, game.impairment, game.seed)) {
        snprintf(lacking, sizeof(lacking), "%s", lane->trouble);
        (void)clean_up(&game);
        return told(&game, SKIPPED, lacking);
    }
    wrong = play_through(&game);
    if (wrong == NULL && stage->run.kind == TN_UNSUPPORTED) {
        (void)clean_up(&game);
        return told(&game, SKIPPED, "this place lacks the driver");
    }
    if (wrong == NULL)
        wrong = judge(game.impairment);
    if (wrong != NULL) {
        (void)clean_up(&game);
        return told(&game, FAILED, wrong);
    }
    return clean_up(&game) == NULL ? PASSED : FAILED;
}
