/* SPDX-License-Identifier: MIT */
/*
 * main.c -- the command: which verb, and off to it.
 *
 *      tenon [VERB] [OPTION]... [OPERAND]...
 *
 * Without a verb it connects, and with -l it listens, so that the habits of nc work.
 */
#include <stdio.h>
#include <string.h>

#include "completion/completion.h"
#include "explain.h"
#include "explain/explain_more.h"
#include "local.h"
#include "options.h"
#include "report.h"
#include "verbs.h"

/* clang-format off */
const struct verb verb_table[] = { /* the first two are what no verb means */
    { "connect", VERB_CONNECT, connect_main,
      "connect, and carry standard input and output",
      { "[connect] [OPTION]... HOST PORT | ADDRESS", NULL },
      { "tenon example.org 80", "talk to a port",
        "printf 'hello\\n' | tenon host 9000", "ask, and wait for the late answer",
        "tenon host 9000 < file", "send a file: 0 means delivered",
        "tenon -z -v host 20-25", "see which ports accept", NULL },
      "Both directions are carried at once. The end of input is passed on as the end of our "
      "side, and the peer's answer is read to its own end, however late it comes. When the "
      "peer ends first, sending goes on until input ends, unless input is a terminal." },
    { "listen", VERB_LISTEN, listen_main,
      "accept, and carry standard input and output, or a program's",
      { "listen [OPTION]... [HOST:]PORT | unix:PATH", "-l [OPTION]... [HOST] PORT",
        "listen [OPTION]... ADDRESS --exec -- PROGRAM [ARG]...", NULL },
      { "tenon -l 8080", "one client, on this terminal",
        "tenon -l 8080 > file", "receive a file",
        "tenon -l -k 9000 -o 'conn-%n.bin'", "many clients, a file each",
        "tenon listen -k 7000 --exec -- ./service", "a program for each client", NULL },
      "Listens on all interfaces, and says where; with --exec, or -o and -k, a mere port "
      "means loopback. Without -k the listener is closed once a client has come: a second "
      "one is refused, rather than accepted and forgotten. Ctrl-C or SIGTERM resets the client; "
      "with -k the first stops accepting and lets the clients finish, the second resets them." },
    { "serve", VERB_SERVE, serve_main,
      "serve many clients at once: echo, discard, time, bench",
      { "serve [OPTION]... KIND [HOST:]PORT | unix:PATH", NULL },
      { "tenon serve echo 127.0.0.1:7000", "send back what comes",
        "tenon serve discard :9", "read all, answer nothing",
        "tenon serve chargen :19", "lines without end (RFC 864)", NULL },
      "echo (RFC 862), discard (863), chargen (864), daytime (867) and time (868: seconds "
      "since 1900, in four bytes); bench is the other end of tenon bench. The first Ctrl-C or "
      "SIGTERM stops accepting and lets the clients finish, the second resets them; then totals "
      "are printed." },
    { "send", VERB_SEND, send_main,
      "deliver files and folders to a tenon recv, for certain",
      { "send [OPTION]... ADDRESS [FILE]...", NULL },
      { "tenon send host:9000 photo.jpg docs/", "files, and folders with all in them",
        "tar c . | tenon send host:9000 --as a.tar", "standard input, under a name",
        "tenon send --token @key host:9000 big.iso", "over a network: both know a token",
        NULL },
      "Exit 0 means that the receiver has each file whole, has compared its SHA-256 and has "
      "it on the disk (fsync) or, with recv -, standard output has taken it. Names, "
      "permissions and times are kept. When the connection breaks it is made again, and "
      "sending goes on where the receiver's part ends. Files that the receiver has already are not sent again. Without a FILE, or for -, standard "
      "input is sent; from a pipe it cannot be resumed. Links within folders are left out, "
      "and then the exit code is 1. The format is described in docs/transfer.md." },
    { "recv", VERB_RECV, recv_main,
      "receive files from a tenon send into a folder",
      { "recv [OPTION]... [HOST:]PORT | unix:PATH [FOLDER | -]", NULL },
      { "tenon recv 9000", "from this host, into this folder",
        "tenon recv --token @key 9000 inbox", "from anybody who knows the token",
        "tenon recv -k --token @key 9000 inbox", "from many senders, until Ctrl-C",
        "tenon recv 9000 - | tar x", "one file, to standard output", NULL },
      "A file gets its name only when it is whole, its SHA-256 is right and it is on the "
      "disk; until then it is called .tenon-...part, which a later session of the sender "
      "continues. Nothing is overwritten without --force, and no name leads out of the "
      "folder. A mere port means loopback, unless --token is set: then it is every "
      "interface. The token is proved, not sent; what is in the files is not encrypted. "
      "Without -k it is over after one sender's session, and one whose connection broke is "
      "waited for, 60 seconds or --idle-timeout; with -k it goes on until Ctrl-C. With - one "
      "file goes to standard output as it comes, before its SHA-256 is known: exit 0 says that "
      "it was right, and that standard output has taken all of it (if that is a file, it is on "
      "the disk). A sender whose connection broke goes on behind what is written." },
    { "wait", VERB_WAIT, wait_main,
      "until addresses accept; then run a program",
      { "wait [OPTION]... ADDRESS... [-- PROGRAM [ARG]...]", NULL },
      { "tenon wait db:5432 cache:6379", "both, within 15 seconds",
        "tenon wait db:5432 --max-time 1m -- ./app", "then become ./app",
        "tenon wait mail:25 --expect '220 '", "and it greets", NULL },
      "Exit 0 when all addresses have accepted a connection (with --any, one of them), 11 "
      "if they have not within --max-time, which is 15 seconds; then the program is not "
      "run. Tries again after 100 ms, and less often up to once a second; a name that is "
      "not there yet is looked up again." },
    { "scan", VERB_SCAN, scan_main,
      "see which ports of a host accept",
      { "scan [OPTION]... HOST PORTS...", NULL },
      { "tenon scan host 22,80,8000-8100", "a line for each that is open",
        "tenon scan -v host ssh,80-88", "and for each that is not",
        "tenon scan --json host 1-1024", "the same for programs", NULL },
      "Connects to each port, 256 at once (--max-conns), and waits 2 seconds for each "
      "(--connect-timeout). Lines come in the order of the ports: open, closed (refused or "
      "reset), silent (no answer, or unreachable) or failed (for a reason of ours). Exit 0 "
      "if at least one is open." },
    { "bench", VERB_BENCH, bench_main,
      "measure: latency, load, throughput, connections",
      { "bench rr|load|tput|cps [OPTION]... ADDRESS", NULL },
      { "tenon bench rr host:5201", "round trips, with tenon serve bench",
        "tenon bench load host:6379 --rate 20k --send 'PING\\r\\n' --expect '+PONG'",
        "any service, by a schedule",
        "tenon bench tput host:5201 -P 8", "bulk",
        "tenon bench cps host:80", "connections a second", NULL },
      "rr asks again when the answer has come; load asks by a schedule and counts from the "
      "intended moment, so that a server that stalls cannot hide it; tput moves bytes, counted "
      "when acknowledged; cps connects and closes. The corrected line is what clients see who "
      "do not wait for each other, the uncorrected one what this client saw. Whatever limited "
      "the measurement on our side is told as a warning. Wrong answers end it with exit 10, "
      "lost connections with 7." },
    { "compare", VERB_COMPARE, compare_main,
      "two results of bench: better, worse, or just noise",
      { "compare [OPTION]... BEFORE AFTER", NULL },
      { "tenon compare old.json new.json --fail-if 'p99>+10%'", "for scripts: exit 10", NULL },
      "BEFORE and AFTER are what bench --json=FILE wrote. A difference counts if it is larger "
      "than the spread of the intervals in both runs explains; see docs/bench.md." },
    { "relay", VERB_RELAY, relay_main,
      "pass connections on to targets; half-close and resets too",
      { "relay [OPTION]... LISTEN TARGET...", NULL },
      { "tenon relay :8080 10.0.0.1:80", "forward a port",
        "tenon relay 5432 a:5432 b:5432 --check tcp", "balance, with health checks",
        "tenon relay :80 --targets FILE", "targets from a file; HUP reads it again", NULL },
      "Every client gets a connection to one of the targets, the next one if that cannot be "
      "reached; the first failure of a target is an error line, and so is the first after it "
      "has been reached again. The end of either side is passed on as an end, and the "
      "other direction goes on. A reset of either side, and any failure of ours, reaches the other side as a "
      "reset, never as an end, after all that came before is acknowledged. The first Ctrl-C "
      "or SIGTERM stops accepting and lets the clients finish, the second resets them; then "
      "totals are printed. SIGUSR1 prints them without stopping." },
    { "replay", VERB_REPLAY, replay_main,
      "send again what relay --record has recorded",
      { "replay [OPTION]... FILE HOST PORT | ADDRESS", NULL },
      { "tenon replay FILE new:80 --diff", "does the new one answer as the old one?",
        NULL },
      "Each recorded client gets a connection of its own, at its time, and sends what it "
      "sent, when it sent it, once as much has been answered as had been then." },
    { "ctl", VERB_CTL, ctl_main,
      "ask and steer running relays and servers",
      { "ctl", "ctl [--json] NAME [COMMAND [WORD]...]", NULL },
      { "tenon ctl", "which are running",
        "tenon ctl relay-8080", "its targets and clients",
        "tenon ctl relay-8080 kill 17", "reset client 17, on both sides",
        "tenon ctl relay-8080 drain", "as the first Ctrl-C", NULL },
      "Commands: status (also without one), drain, kill ID, and for a relay reload and fault. "
      "Without a NAME all are asked at once. See --name for where it looks. With --json the "
      "answer is printed as it comes." },
    { "top", VERB_TOP, top_main,
      "watch running relays and servers, and what holds them up",
      { "top [--once | --json] [NAME]", NULL },
      { "tenon top", "all that run, the arrows choose",
        "tenon top relay-8080 --once", "once, as text", NULL },
      "For each client its address, age, bytes a second in and out and how they went, round "
      "trip, retransmissions, bytes not acknowledged, and in words what holds it up. Keys: "
      "arrows, s sort, f filter, k kill, d drain, x fault, q quit. With --once, of who does not "
      "answer within 2 seconds that is told, and the exit code is 5. docs/watching.md explains "
      "the columns." },
    { "doctor", VERB_DOCTOR, doctor_main,
      "what this system offers: driver and why, limits, features",
      { "doctor [--json]", NULL },
      { "tenon doctor", "look", "tenon doctor --json", "the same for programs", NULL },
      "Exit 0 if tenon works here, with whatever driver; what is worth changing is marked." },
    { "explain", VERB_EXPLAIN, explain_more_main,
      "what an errno, a call, an address or a socat line means",
      { "explain [--json] [NAME]...", "explain [OPTION]... ADDRESS...",
        "explain --from-socat LINE", NULL },
      { "tenon explain EPIPE", "an errno", "tenon explain shutdown", "a call",
        "tenon explain example.org:80", "what would be connected to",
        "tenon explain --from-socat '- TCP:h:80'", "what that would be here", NULL },
      "Without a NAME it lists those that it knows. Of an ADDRESS it says how it is read, to "
      "what it is looked up, and in which order that would be tried; nothing is connected "
      "to. A LINE for socat becomes one for tenon, on standard output; what has no "
      "counterpart is named on standard error, and the exit code is 1 then." },
    { "demo", VERB_DEMO, demo_main, NULL, { "demo ADDRESS", NULL }, { NULL }, NULL },
};
/* clang-format on */

const int verb_count = (int)(sizeof(verb_table) / sizeof(verb_table[0]));

static const struct verb *find_verb(const char *name)
{
    for (int i = 0; i < verb_count; i++) {
        if (strcmp(verb_table[i].name, name) == 0)
            return &verb_table[i];
    }
    return NULL;
}

/* The verb that the first operand names, which is taken; or what -l or nothing means. */
static const struct verb *choose_verb(struct settings *settings)
{
    const struct verb *verb = NULL;

    if (settings->operand_count > 0 && !settings->listen)
        verb = find_verb(settings->operands[0]);
    if (verb) {
        settings->operand_count--;
        memmove(settings->operands, settings->operands + 1,
                (size_t)settings->operand_count * sizeof(settings->operands[0]));
        return verb;
    }
    return &verb_table[settings->listen ? 1 : 0];
}

/* --help, --version, --man: true if one of them was asked for. */
static bool answer_questions(const struct settings *settings, const struct verb *verb,
                             bool named)
{
    if (settings->man)
        help_man();
    else if (settings->version)
        (void)printf("tenon %s\n", TENON_VERSION);
    else if (settings->help && (named || settings->listen))
        help_verb(verb);
    else if (settings->help)
        help_all();
    else
        return false;
    return true;
}

/* What the ARGC words at ARGV say, which SETTINGS are to hold. */
static int run(struct settings *settings, int argc, char **argv)
{
    const struct verb *verb;
    int code = options_read(settings, argc, argv), words;

    words = settings->operand_count;
    verb = choose_verb(settings);
    settings->verb = verb->bit;
    settings->verb_name = verb->name;
    if (code)
        return report_open(settings); /* which says what is wrong */
    if (settings->completion) {
        code = completion_print(settings->completion);
        return code ? report_open(settings) : EXIT_DELIVERED;
    }
    if (answer_questions(settings, verb, settings->operand_count < words))
        return EXIT_DELIVERED;
    code = report_open(settings);
    if (code)
        return code;
    if (settings->udp) {
        code =
            report_error(EXIT_USAGE, "option", "-u", "datagrams are not supported yet");
        report_hint("nc -u, or socat with UDP:, does that");
        return code;
    }
    code = options_suit(settings);
    if (code)
        return code;
    if (argc < 1) {
        help_all();
        return EXIT_USAGE;
    }
    options_settle(settings);
    return verb->run(settings);
}

int main(int argc, char **argv)
{
    struct settings settings;
    int code;

    local_prepare();
    if (argc > 1 && strcmp(argv[1], "explain") == 0 &&
        !explain_is_more(argc - 2, argv + 2))
        return explain_main(argc - 1, argv + 1);
    options_defaults(&settings);
    code = report_close(run(&settings, argc - 1, argv + 1));
    options_release(&settings);
    return code;
}
