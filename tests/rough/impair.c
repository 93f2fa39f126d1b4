/* SPDX-License-Identifier: MIT */
/*
 * impair.c -- the ways in which a network gets bad, as one table.
 *
 * Some work from the start: the connection must carry on as if nothing were.  Others
 * strike in the middle of a transfer, when the near program says so; a few heal again, and
 * the rest break the connection, each in its own way, and the table says in which.
 *
 * Packets are lost, dropped and rejected by nftables, slowed by tc, and delayed, reordered,
 * doubled and changed by our own program behind an NFQUEUE, which chooses by seed.
 */
#include "rough/rough.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rough/dice.h"
#include "rough/stage.h"

#define HOW(name)  (1U << (TN_##name))
#define KIND(name) (1U << (TN_##name))

/* Nothing answers any more: TCP gives up, or we do. */
#define SILENCE                                                                          \
    .dials = KIND(DEADLINE) | KIND(TIMEDOUT),                                            \
    .hows = HOW(ENDED_TIMEDOUT) | HOW(ENDED_DEADLINE) | HOW(ACKED) | HOW(UNREAD),        \
    .errors = KIND(TIMEDOUT) | KIND(DEADLINE)
/* The next packet, or none at all, ends it; who only waits for a peer is told nothing. */
#define RESETS                                                                           \
    .hows = HOW(ENDED_RESET) | HOW(UNREAD), .errors = KIND(RESET) | KIND(DEADLINE)

/* clang-format off */
const struct impairment impairments[] = {
    { .name = "none" },
    { .name = "loss", .rule = "numgen random mod 1000 < 40 counter drop", .overtakes = true },
    { .name = "outage", .strike_rule = "counter drop", .heal_ms = 300, .overtakes = true },
    { .name = "rate", .rate = "20mbit" },
    { .name = "delay", .verdicts = "delay=15" },
    { .name = "jitter", .verdicts = "delay=1,jitter=12" },
    { .name = "reorder", .verdicts = "reorder=150,hold=6", .overtakes = true },
    { .name = "duplicate", .verdicts = "duplicate=200" },
    { .name = "corrupt", .verdicts = "corrupt=30", .overtakes = true },
    { .name = "clear-urg", .verdicts = "clear-urg", .urgent_cleared = true },
    { .name = "syn-loss", .verdicts = "syn-loss=500" },
    { .name = "ack-loss", .verdicts = "ack-loss=300" },
    { .name = "weather",
      .verdicts = "delay=2,jitter=6,reorder=50,hold=8,duplicate=50,lose=15", .overtakes = true },
    { .name = "tiny", .tiny = true },
    { .name = "pause", .stops_far = true, .heal_ms = 250 },
    { .name = "hole", .strike_rule = "counter drop", SILENCE },
    { .name = "hole-out", .strike_rule = "iifname near counter drop", SILENCE,
      .acks_return = true },
    { .name = "hole-in", .strike_rule = "iifname far counter drop", SILENCE },
    { .name = "reject-rst",
      .strike_rule = "meta l4proto tcp counter reject with tcp reset", RESETS,
      .dials = KIND(REFUSED) | KIND(DEADLINE) },
    { .name = "reject-icmp",
      .strike_rule = "counter reject with icmp type host-unreachable",
      .hows = HOW(ENDED_TIMEDOUT) | HOW(ENDED_DEADLINE) | HOW(ACKED) | HOW(UNREAD),
      .errors = KIND(TIMEDOUT) | KIND(DEADLINE) | KIND(UNREACHABLE),
      .dials = KIND(UNREACHABLE) | KIND(DEADLINE) },
    { .name = "kill-near", .kills_near = true, RESETS, .dials = KIND(RESET) },
    { .name = "kill-far", .kills_far = true, RESETS, .dials = KIND(RESET) },
    { .name = "freeze", .stops_far = true, SILENCE, .acks_return = true },
    { .name = NULL },
};
/* clang-format on */

bool impairment_strikes(const struct impairment *impairment)
{
    return impairment->strike_rule != NULL || impairment->kills_near ||
           impairment->kills_far || impairment->stops_far;
}

bool impairment_breaks(const struct impairment *impairment)
{
    return impairment_strikes(impairment) && impairment->heal_ms == 0;
}

/* Hand nftables a table with RULE: COMMAND says whether to use it or only to check it. */
static bool nft_rule(struct lane *lane, const char *command, const char *rule)
{
    char table[512];

    snprintf(table, sizeof(table),
             "table ip rough {\nchain through {\n"
             "type filter hook forward priority 0; policy accept;\n%s\n}\n}\n",
             rule);
    return lane_run(lane, ROUTER, command, table, NULL, 0);
}

static bool add_rule(struct lane *lane, const char *rule)
{
    lane->ruled = nft_rule(lane, "nft -f -", rule);
    return lane->ruled;
}

static bool add_rate(struct lane *lane, const char *device, const char *rate)
{
    char command[256];

    snprintf(command, sizeof(command),
             "tc qdisc add dev %s root tbf rate %s burst 16kb latency 50ms", device,
             rate);
    return lane_run(lane, ROUTER, command, NULL, NULL, 0);
}

/* ---- the program that decides packets ---- */

/* It stands beside this one; it prints a line when its queue is open, and one at its end. */
_Noreturn static void verdicts_child(const struct lane *lane, const char *what,
                                     uint64_t seed, int into)
{
    char program[512], number[32];
    ssize_t size = readlink("/proc/self/exe", program, sizeof(program) - 16);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    lane_enter(lane, ROUTER);
    program[size > 0 ? size : 0] = '\0';
    snprintf(strrchr(program, '/') + 1, 16, "verdict");
    snprintf(number, sizeof(number), "%" PRIu64, seed);
    dup2(into, STDOUT_FILENO);
    dup2(into, STDERR_FILENO);
    execl(program, "verdict", number, what, NULL);
    dprintf(STDERR_FILENO, "%s: %s\n", program, strerror(errno));
    _exit(127);
}

/* A line of what it says, waited for. */
static void verdicts_line(const struct lane *lane, char *line, size_t size)
{
    size_t got = 0;

    while (got + 1 < size && read(lane->verdicts_say, line + got, 1) == 1 &&
           line[got] != '\n')
        got++;
    line[got] = '\0';
}

static bool start_verdicts(struct lane *lane, const char *what, uint64_t seed)
{
    char line[128];
    int pipe_fds[2];

    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return false;
    lane->verdicts = fork();
    if (lane->verdicts == 0)
        verdicts_child(lane, what, seed, pipe_fds[1]);
    close(pipe_fds[1]);
    lane->verdicts_say = pipe_fds[0];
    verdicts_line(lane, line, sizeof(line));
    if (strcmp(line, "open") != 0) {
        snprintf(lane->trouble, sizeof(lane->trouble), "verdict: %.120s", line);
        return false;
    }
    return lane_run(lane, ROUTER,
                    "iptables -w -I FORWARD -p tcp -j NFQUEUE --queue-num 0", NULL, NULL,
                    0);
}

/* End it; what it has decided must be what the seed says, packet by packet. */
static bool end_verdicts(struct lane *lane, const char *what, uint64_t seed)
{
    struct dice dice;
    struct tally tally = { 0 };
    char line[256];

    kill(lane->verdicts, SIGTERM);
    verdicts_line(lane, line, sizeof(line));
    waitpid(lane->verdicts, NULL, 0);
    lane->verdicts = 0;
    close(lane->verdicts_say);
    lane->verdicts_say = -1;
    if (!dice_parse(&dice, what, seed) || !tally_parse(&tally, line)) {
        snprintf(lane->trouble, sizeof(lane->trouble), "verdict said: %.120s", line);
        return false;
    }
    lane->evidence += tally.changed;
    for (int way = 0; way < 2; way++) {
        if (tally.hash[way] != dice_hash(&dice, way, tally.drawn[way])) {
            snprintf(lane->trouble, sizeof(lane->trouble),
                     "%" PRIu64 " verdicts are not those of the seed", tally.drawn[way]);
            return false;
        }
    }
    return lane_run(lane, ROUTER, "iptables -w -F FORWARD", NULL, NULL, 0);
}

/* ---- start, strike, heal, end ---- */

static unsigned lines_of(const char *text)
{
    unsigned count = 0;

    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

static bool kill_connections(struct lane *lane, enum host host)
{
    char said[4096];

    if (!lane_run(lane, host, "ss -KtnH", NULL, said, sizeof(said)))
        return false;
    lane->evidence += lines_of(said);
    return true;
}

/* Whether ss(8) can do it here: on a connection of the router's with itself. */
static bool probe_killing(struct lane *lane)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t size = sizeof(at);
    uint64_t before = lane->evidence;
    bool good, killed;
    int listener, fd;

    lane_enter(lane, ROUTER);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    good =
        bind(listener, (struct sockaddr *)&at, size) == 0 && listen(listener, 1) == 0 &&
        getsockname(listener, (struct sockaddr *)&at, &size) == 0 &&
        connect(fd, (struct sockaddr *)&at, size) == 0 && kill_connections(lane, ROUTER);
    close(fd);
    close(listener);
    killed = lane->evidence > before;
    lane->evidence = before;
    if (good && !killed)
        snprintf(lane->trouble, sizeof(lane->trouble), "ss -K closes nothing here");
    return good && killed;
}

bool impair_start(struct lane *lane, const struct impairment *impairment, uint64_t seed)
{
    lane->evidence = 0;
    if (impairment->strike_rule != NULL &&
        !nft_rule(lane, "nft -c -f -", impairment->strike_rule))
        return false;
    if ((impairment->kills_near || impairment->kills_far) && !probe_killing(lane))
        return false;
    if (impairment->rule != NULL && !add_rule(lane, impairment->rule))
        return false;
    if (impairment->rate != NULL && (!add_rate(lane, "near", impairment->rate) ||
                                     !add_rate(lane, "far", impairment->rate)))
        return false;
    return impairment->verdicts == NULL ||
           start_verdicts(lane, impairment->verdicts, seed);
}

bool impair_strike(struct lane *lane, const struct impairment *impairment)
{
    if (impairment->stops_far) {
        kill(-lane->far, SIGSTOP);
        lane->evidence++;
    }
    return (impairment->strike_rule == NULL || add_rule(lane, impairment->strike_rule)) &&
           (!impairment->kills_near || kill_connections(lane, NEAR)) &&
           (!impairment->kills_far || kill_connections(lane, FAR));
}

/* Sum of the numbers behind each WORD in what COMMAND says. */
static bool count_evidence(struct lane *lane, const char *command, const char *word)
{
    char said[4096];

    if (!lane_run(lane, ROUTER, command, NULL, said, sizeof(said)))
        return false;
    for (const char *at = said; (at = strstr(at, word)) != NULL;) {
        at += strlen(word);
        lane->evidence += strtoull(at, NULL, 10);
    }
    return true;
}

static bool end_rule(struct lane *lane)
{
    lane->ruled = false;
    return count_evidence(lane, "nft list table ip rough", "packets ") &&
           lane_run(lane, ROUTER, "nft delete table ip rough", NULL, NULL, 0);
}

bool impair_heal(struct lane *lane, const struct impairment *impairment)
{
    if (impairment->stops_far)
        kill(-lane->far, SIGCONT);
    return !lane->ruled || end_rule(lane);
}

bool impair_end(struct lane *lane, const struct impairment *impairment, uint64_t seed)
{
    bool good = true;

    if (lane->ruled)
        good = end_rule(lane);
    if (impairment->rate != NULL)
        good = count_evidence(lane, "tc -s qdisc show", "overlimits ") &&
               lane_run(lane, ROUTER, "tc qdisc del dev near root", NULL, NULL, 0) &&
               lane_run(lane, ROUTER, "tc qdisc del dev far root", NULL, NULL, 0);
    if (lane->verdicts > 0)
        good = end_verdicts(lane, impairment->verdicts, seed);
    if (impairment->tiny)
        lane->evidence++;
    return good;
}
