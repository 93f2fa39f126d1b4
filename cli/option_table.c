/* SPDX-License-Identifier: MIT */
/*
 * option_table.c -- every option, once: the parser, --help and tenon(1) all read this.
 *
 * The order is that of --help.  nc's letters keep nc's meaning and curl's long names keep
 * curl's; where the two disagree (-k, -s) nc's letter wins and curl's has a long name.
 */
#include "options.h"

#define FIELD(name) offsetof(struct settings, name)
#define TALK        (VERB_CONNECT | VERB_LISTEN)
#define FILES       (VERB_SEND | VERB_RECV)
#define TALK_OR_TIME                                                                     \
    (VERB_CONNECT | VERB_LISTEN | VERB_SERVE | VERB_RELAY | VERB_REPLAY | FILES)
#define DIALS   (VERB_CONNECT | VERB_SEND | VERB_RELAY | VERB_REPLAY | VERB_BENCH | KNOCKS)
#define KNOCKS  (VERB_WAIT | VERB_SCAN)
#define NETWORK (TALK_OR_TIME | VERB_BENCH)
#define SERVERS (VERB_LISTEN | VERB_SERVE | VERB_RELAY | VERB_RECV)

/* clang-format off */
const struct option option_table[] = {
    { 'l', "listen", NULL, OPTION_FLAG, TALK, FIELD(listen), 0,
      "listen instead: see tenon listen --help", NULL },
    { 'k', "keep-open", NULL, OPTION_FLAG, VERB_LISTEN | VERB_RECV, FIELD(keep), 0,
      "go on after the first client, until Ctrl-C",
      "With -o or --exec all clients are served at once, otherwise one at a time; standard "
      "input goes to whoever is connected." },
    { 0, "exec", NULL, OPTION_FLAG, VERB_LISTEN, FIELD(exec), 0,
      "run the program after -- for each client",
      "The socket itself is the program's standard input and output; REMOTE_ADDR and "
      "REMOTE_PORT name the client. Refuses to listen on anything but loopback or a Unix "
      "socket, unless --allow says who may connect. Without -k the program's exit code is "
      "ours (126, 127: it could not be started)." },
    { 0, "token", "TOKEN", OPTION_TEXT, FILES, FIELD(token), 0,
      "both sides know it; @FILE: it stands there",
      "8 to 256 bytes. Each side proves that it knows it (HMAC-SHA-256 of random numbers); it "
      "is never sent. Other users of this host can see it on the command line, but not with "
      "@FILE." },
    { 0, "force", NULL, OPTION_FLAG, VERB_RECV, FIELD(force), 0,
      "replace files that exist and differ", NULL },
    { 0, "as", "NAME", OPTION_TEXT, VERB_SEND, FIELD(as_name), 0,
      "what standard input is to be called (stdin)", NULL },
    { 0, "retries", "N", OPTION_COUNT, VERB_SEND, FIELD(retries), 1000000,
      "connect again so often in a row (20); 0: never",
      "Attempts that bring bytes forward do not count. The first connection of all is only "
      "tried again if this is given." },
    { 0, "any", NULL, OPTION_FLAG, VERB_WAIT, FIELD(any), 0,
      "one of the addresses is enough", NULL },
    { 0, "expect", "TEXT", OPTION_TEXT, VERB_WAIT | VERB_BENCH, FIELD(expect), 0,
      "TEXT has to come; bench: the answer begins so",
      "wait: in the first 64 KiB. bench: without it the answer is what --send sent; with it, the "
      "answer ends with the line that TEXT is in, unless --until or --answer says otherwise. An "
      "answer that is wrong, or longer, ends the run with exit 10." },
    { 0, "from-socat", "LINE", OPTION_TEXT, VERB_EXPLAIN, FIELD(from_socat), 0,
      "print what LINE, for socat, would be here", NULL },
    { 0, "allow", "NET", OPTION_WORDS, SERVERS, FIELD(allow), 0,
      "only these: 10.0.0.0/8, ::1, all; repeatable",
      "Others are reset at once." },
    { 0, "deny", "NET", OPTION_WORDS, SERVERS, FIELD(deny), 0,
      "not these, even if allowed; repeatable", NULL },
    { 0, "max-per-source", "N", OPTION_NUMBER, SERVERS, FIELD(max_per_source), 1000000,
      "at most N clients from one address at once",
      "One more is reset at once." },
    { 0, "max-conns", "N", OPTION_NUMBER, SERVERS | VERB_SCAN, FIELD(max_conns),
      1000000, "at most N clients at once; further ones wait",
      "The default is 100 with --exec, otherwise what the limit of open files allows." },
    { 'o', "output", "FILE", OPTION_TEXT, TALK, FIELD(output), 0,
      "receive into FILE; %n is the client's number",
      "The file is created once a connection stands, and truncated. With -k and %n each "
      "client gets a file of its own." },
    { 0, "name", "NAME", OPTION_TEXT, VERB_RELAY | VERB_SERVE, FIELD(name), 0,
      "how tenon ctl finds it (relay-PORT, serve-PORT)",
      "Its socket is $XDG_RUNTIME_DIR/tenon/NAME; without that variable in /run/tenon for "
      "root, else in tenon-UID below $TMPDIR or /tmp. The folder must be the user's alone." },
    { 0, "balance", "HOW", OPTION_TEXT, VERB_RELAY, FIELD(balance), 0,
      "roundrobin, leastconn, or hash of the source",
      "hash sends an address always to the same target, and moves few clients when a target "
      "comes or goes (rendezvous hashing)." },
    { 0, "targets", "FILE", OPTION_TEXT, VERB_RELAY, FIELD(targets_file), 0,
      "targets, one a line; read again on SIGHUP",
      "Lines may have comments after a #. Connections to a target that is not there any more "
      "go on. A file that cannot be read changes nothing. At the start it may be a pipe, on "
      "SIGHUP only a regular file." },
    { 0, "check", "HOW", OPTION_TEXT, VERB_RELAY, FIELD(check), 0,
      "tcp: see whether targets accept; skip those down",
      "A target is up at the beginning. When all are down, all are tried." },
    { 0, "check-interval", "TIME", OPTION_DURATION, VERB_RELAY, FIELD(check_interval), 0,
      "between two checks of a target (2s)", "At least 100ms." },
    { 0, "rise", "N", OPTION_NUMBER, VERB_RELAY, FIELD(rise), 1000,
      "checks in a row that make a target up (2)", NULL },
    { 0, "fall", "N", OPTION_NUMBER, VERB_RELAY, FIELD(fall), 1000,
      "failures in a row that make it down (3)",
      "Failed connects for clients count as well." },
    { 0, "fin-timeout", "TIME", OPTION_DURATION, VERB_RELAY, FIELD(fin_timeout), 0,
      "the idle timeout once one side has ended", NULL },
    { 0, "fault", "FAULT", OPTION_WORDS, VERB_RELAY, FIELD(fault), 0,
      "a bad network: see the man page; repeatable",
      "[up:|down:]latency=200ms+-50ms, rate=64k, slice=100@5ms, reset@5%, blackhole or "
      "halfopen; up is what clients send, and without a direction it is both. tenon ctl NAME "
      "fault FAULT... changes them while the relay runs, fault off ends them, for those "
      "connected as well. slice=100@5ms passes 100 bytes every 5 ms. reset@5% resets 5 of 100 "
      "clients, somewhere in their first 64 KiB. blackhole takes all and passes nothing, "
      "halfopen takes nothing either." },
    { 0, "hex", NULL, OPTION_FLAG, VERB_RELAY, FIELD(hex), 0,
      "show what passes on standard output", NULL },
    { 0, "record", "FILE", OPTION_TEXT, VERB_RELAY, FIELD(record), 0,
      "what passes, with times, for tenon replay",
      "FILE must not be there yet. docs/recording.md describes it." },
    { 0, "metrics", "ADDR", OPTION_TEXT, VERB_RELAY, FIELD(metrics), 0,
      "Prometheus's /metrics there, and /stats.json",
      "A mere port is one of 127.0.0.1. There is no access control beside the address." },
    { 0, "dash", "ADDR", OPTION_TEXT, VERB_RELAY | VERB_SERVE, FIELD(dash), 0,
      "a live page for browsers there, e.g. 9090",
      "As tenon top shows it: clients with their rates and what limits them, targets, totals. A "
      "mere port is one of 127.0.0.1. It changes nothing, but whoever reaches the address can "
      "look. 256 readers at once; slow ones miss frames, and hold up nothing." },
    { 0, "once", NULL, OPTION_FLAG, VERB_TOP, FIELD(once), 0,
      "print what there is now, as text, and end",
      "So it is too if standard output is no terminal." },
    { 0, "diff", NULL, OPTION_FLAG, VERB_REPLAY, FIELD(diff), 0,
      "compare the answers with those recorded",
      "A difference is told with its place, and the exit code is 1; so it is for a recording that "
      "was cut short, or has no client." },
    { '4', "ipv4", NULL, OPTION_FLAG, NETWORK | KNOCKS | VERB_EXPLAIN, FIELD(ipv4), 0,
      "only IPv4 addresses", NULL },
    { '6', "ipv6", NULL, OPTION_FLAG, NETWORK | KNOCKS | VERB_EXPLAIN, FIELD(ipv6), 0,
      "only IPv6 addresses", NULL },
    { 'U', "unix", NULL, OPTION_FLAG, NETWORK | VERB_WAIT | VERB_EXPLAIN, FIELD(unix_path), 0,
      "the address is a Unix socket's path, or @name", NULL },
    { 'n', "numeric", NULL, OPTION_FLAG, NETWORK | KNOCKS | VERB_EXPLAIN, FIELD(numeric), 0,
      "numbers only: no name is looked up", NULL },
    { 's', "source", "ADDR", OPTION_TEXT, DIALS, FIELD(source), 0,
      "connect from this local address",
      "Of a name's addresses only those of its family are tried." },
    { 'p', "port", "PORT", OPTION_COUNT, TALK, FIELD(port), 65535,
      "the local port, to connect from or listen on", "0 is one that the system chooses." },
    { 'z', "zero-io", NULL, OPTION_FLAG, VERB_CONNECT, FIELD(zero_io), 0,
      "only see whether PORT, or FIRST-LAST, accepts",
      "Exit 0 if at least one port does. -v prints a line for each." },
    { 'C', "crlf", NULL, OPTION_FLAG, TALK, FIELD(crlf), 0,
      "send each newline as CR LF", NULL },
    { 'q', "after-end", "TIME", OPTION_WAIT, TALK, FIELD(after_end), 0,
      "after input ends wait so long for the peer's end",
      "The default, and any negative number, is forever. 0 does not wait for the peer's end, only for its "
      "host's acknowledgement." },
    { 0, "no-wait", NULL, OPTION_FLAG, TALK, FIELD(no_wait), 0,
      "as -q 0: the acknowledgement is enough", NULL },
    { 'N', "shutdown", NULL, OPTION_FLAG, TALK, FIELD(end_at_eof), 0,
      "taken for nc's sake: it is always so",
      "The end of input is always passed on as the end of our side." },
    { 0, "max-time", "TIME", OPTION_DURATION,
      TALK_OR_TIME | KNOCKS | VERB_EXPLAIN | VERB_DEMO | VERB_CTL, FIELD(max_time), 0,
      "stop after 2s, 500ms, 1m: exit 5, 9 or 11",
      "Exit 5, or 9 if not all bytes were acknowledged by then; wait: 11. A server drains "
      "then, as after Ctrl-C. ctl waits for each answer so long, 10 seconds unless told "
      "otherwise." },
    { 0, "connect-timeout", "TIME", OPTION_DURATION, DIALS, FIELD(connect_timeout),
      0, "give up connecting after this time (10s)", NULL },
    { 0, "idle-timeout", "TIME", OPTION_DURATION,
      VERB_CONNECT | SERVERS | VERB_SEND | VERB_BENCH, FIELD(idle_timeout), 0,
      "give up when nothing moves for this time",
      "bench: how long open questions may stay unanswered after the end (5s)." },
    { 'w', NULL, "SECS", OPTION_DURATION, TALK, FIELD(wait), 0,
      "both timeouts, in seconds, as nc's -w", NULL },
    { 'O', "send-buffer", "SIZE", OPTION_SIZE, NETWORK, FIELD(send_buffer), 0,
      "the socket's (64k, 1m); default: the system's", NULL },
    { 'I', "receive-buffer", "SIZE", OPTION_SIZE, NETWORK, FIELD(receive_buffer), 0,
      "the socket's, likewise", NULL },
    { 'c', "connections", "N", OPTION_NUMBER, VERB_BENCH, FIELD(connections), 1000000,
      "so many at once (rr, tput: 1; load, cps: 16)", NULL },
    { 'P', "parallel", "N", OPTION_NUMBER, VERB_BENCH, FIELD(connections), 1000000,
      "the same, as iperf3 calls it", NULL },
    { 0, "rate", "RATE", OPTION_RATE, VERB_BENCH | VERB_RELAY, FIELD(rate), 0,
      "bench: in all, a second; relay: bytes, each way",
      "relay: so many bytes a second at most for each client, each way. bench load, "
      "cps: so many in all, by a schedule, whether or not the server keeps up; latency counts from the moment at "
      "which a question should have been sent." },
    { 0, "duration", "TIME", OPTION_DURATION, VERB_BENCH, FIELD(duration), 0,
      "measure for so long (10s)", NULL },
    { 0, "warmup", "TIME", OPTION_DURATION, VERB_BENCH, FIELD(warmup), 0,
      "and before that, without counting (1s)", NULL },
    { 0, "interval", "TIME", OPTION_DURATION, VERB_BENCH, FIELD(interval), 0,
      "tell figures so often (1s)", NULL },
    { 0, "threads", "N", OPTION_NUMBER, VERB_BENCH, FIELD(threads), 64,
      "spread the connections over N threads (1)", NULL },
    { 0, "size", "SIZE", OPTION_SIZE, VERB_BENCH, FIELD(size), 0,
      "bytes asked and echoed (64); tput: a write (128k)", NULL },
    { 0, "send", "TEXT", OPTION_TEXT, VERB_BENCH, FIELD(send), 0,
      "ask this instead: 'PING\\r\\n'",
      "\\r \\n \\t \\0 \\\\ and \\xHH are replaced. For any service that answers." },
    { 0, "until", "TEXT", OPTION_TEXT, VERB_BENCH, FIELD(until), 0,
      "the answer ends with TEXT", NULL },
    { 0, "answer", "SIZE", OPTION_SIZE, VERB_BENCH, FIELD(answer), 0,
      "the answer has SIZE bytes", NULL },
    { 0, "plain", NULL, OPTION_FLAG, VERB_BENCH, FIELD(plain), 0,
      "the peer is an echo or discard service",
      "Without it, and without --send, the peer has to be a tenon serve bench." },
    { 'R', "reverse", NULL, OPTION_FLAG, VERB_BENCH, FIELD(reverse), 0,
      "tput: the peer sends", NULL },
    { 0, "both", NULL, OPTION_FLAG, VERB_BENCH, FIELD(both), 0,
      "tput: both ways at once", NULL },
    { 0, "reset", NULL, OPTION_FLAG, VERB_BENCH, FIELD(reset), 0,
      "cps: reset instead of closing in order",
      "That leaves no port in TIME_WAIT; the server sees a reset each time." },
    { 0, "find-max", "COND", OPTION_TEXT, VERB_BENCH, FIELD(find_max), 0,
      "load: find the highest rate with 'p99<5ms'",
      "--rate is where the search begins (1k); each attempt takes --warmup and --duration. "
      "The rate has to be kept, too." },
    { 0, "fail-if", "COND", OPTION_TEXT, VERB_BENCH | VERB_COMPARE, FIELD(fail_if), 0,
      "exit 10 if 'p99>5ms'; compare: 'p99>+10%'",
      "Of p50, p90, p99, p99.9, p99.99, max, mean, the same after uncorrected-, rate, in, out "
      "(bytes a second) and cpu (a request, or a MiB). Several with commas between." },
    { 0, "hlog", "FILE", OPTION_TEXT, VERB_BENCH, FIELD(hlog), 0,
      "write HdrHistogram's interval log",
      "Version 1.3, a line an interval: corrected ones without a tag, as measured under "
      "Tag=uncorrected. Its tools merge the logs of many machines." },
    { 0, "html", "FILE", OPTION_TEXT, VERB_BENCH, FIELD(html), 0,
      "write a report to look at: one page", NULL },
    { 'u', "udp", NULL, OPTION_FLAG, VERB_ANY, FIELD(udp), 0, NULL, NULL },
    { 'v', "verbose", NULL, OPTION_COUNTER, TALK_OR_TIME | KNOCKS, FIELD(verbose), 0,
      "say to whom it connects and how it ended", NULL },
    { 0, "silent", NULL, OPTION_FLAG, NETWORK | KNOCKS | VERB_COMPARE, FIELD(silent), 0,
      "no notes, hints and progress; errors still show", NULL },
    { 0, "json", "FILE", OPTION_JSON,
      NETWORK | KNOCKS | VERB_EXPLAIN | VERB_DOCTOR | VERB_DEMO | VERB_COMPARE | VERB_CTL | VERB_TOP,
      FIELD(json), 0,
      "events as JSON lines, on standard error or in FILE",
      "docs/json-schema.json describes the objects. FILE follows an equals sign: "
      "--json=FILE. scan, wait, explain, bench and compare write to standard output, doctor one object." },
    { 'h', "help", NULL, OPTION_FLAG, VERB_ANY, FIELD(help), 0, "this page", NULL },
    { 'V', "version", NULL, OPTION_FLAG, VERB_ANY, FIELD(version), 0,
      "the version", NULL },
    { 0, "man", NULL, OPTION_FLAG, VERB_ANY, FIELD(man), 0, NULL, NULL },
    { 0, "completion", "SHELL", OPTION_TEXT, VERB_ANY, FIELD(completion), 0, NULL, NULL },
};
/* clang-format on */

const size_t option_count = sizeof(option_table) / sizeof(option_table[0]);

_Static_assert(sizeof(option_table) / sizeof(option_table[0]) <= OPTIONS_MAX,
               "settings.given has a place for each row");
