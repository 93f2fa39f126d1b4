#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tenon bench and tenon serve bench: counts that both ends agree on, stalls that show, and
limits of ours that are told."""
import fcntl
import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import threading
import time

from bench_rig import HELLO, PING, SHORT, Service, answer_with, bench, closes, peer, result_of, warnings_of
from rig import LIMIT_S, SCALE, TENON, Server, Skip, collect, read_all, run, start, tenon, test, wait_for
from schema import check


# ---------------------------------------------------------------- right figures

@test
def rr_counts_exactly_what_the_server_has_echoed():
    with peer() as server:
        result = result_of(bench("rr", server.addr, "-c", "3", "--size", "100"))
        assert result["count"] > 0 and result["out"] == result["in"] == 100 * result["count"]
        ends = closes(server, 3)
        assert sum(end["in"] for end in ends) == result["out"] + 3 * len(HELLO + b"echo\n"), ends
        assert all(end["how"] == "clean" for end in ends), ends
        assert 0 < result["uncorrected_p50_us"] <= result["uncorrected_max_us"] <= result["max_us"] * 1.01


@test
def threads_share_the_connections_and_lose_no_count():
    with peer() as server:
        result = result_of(bench("rr", server.addr, "-c", "5", "--threads", "2"))
        ends = closes(server, 5)
        assert sum(end["in"] for end in ends) == result["out"] + 5 * len(HELLO + b"echo\n"), ends
        assert all(end["in"] > 50 for end in ends), "a connection stood idle"


@test
def load_asks_by_its_schedule_and_no_faster():
    with peer() as server:
        result = result_of(bench("load", server.addr, "-c", "4", "--rate", "500",
                                 times=("--warmup", "0", "--duration", "1s")))
        assert 4 <= result["count"] <= 504, result
        assert result["p50_us"] >= result["uncorrected_p50_us"] * 0.99, result


@test
def intervals_add_up_to_the_result():
    with peer() as server:
        events = bench("rr", server.addr, times=("--warmup", "100ms", "--duration", "600ms",
                                                 "--interval", "200ms"))
        parts = [event for event in events if event["ev"] == "interval"]
        result = result_of(events)
        assert len(parts) == result["intervals"] == 3, events
        assert parts[0]["from_ms"] == 0 and parts[1]["from_ms"] == parts[0]["to_ms"]
        sums = sum(part["rate"] * (part["to_ms"] - part["from_ms"]) / 1000 for part in parts)
        assert abs(sums - result["count"]) < 0.01 * result["count"] + 2, (sums, result)


@test
def a_run_may_be_shorter_than_its_interval():
    with peer() as server:
        result = result_of(bench("rr", server.addr, times=("--warmup", "0", "--duration", "150ms",
                                                           "--interval", "1m")))
        assert result["count"] > 0 and result["intervals"] == 1 and 100 <= result["ms"] < 20_000


@test
def tput_counts_what_is_acknowledged_both_ways_and_each_way():
    with peer() as server:
        out = result_of(bench("tput", server.addr, "-P", "2"))
        assert out["out"] > 0 and out["in"] == 0
        ends = closes(server, 2)
        assert sum(end["in"] for end in ends) >= out["out"], (ends, out)
        back = result_of(bench("tput", server.addr, "-R"))
        assert back["in"] > 0 and back["out"] == 0
        assert closes(server, 3)[2]["out"] >= back["in"]
        both = result_of(bench("tput", server.addr, "--both"))
        assert both["in"] > 0 and both["out"] > 0


@test
def tput_counts_nothing_that_still_waits_to_be_acknowledged():
    def lazy(conn, _):
        conn.recv(100)
        conns.append(conn)
        conn.sendall(b"tenon-bench/1 ok\n")
        go_on.wait(LIMIT_S)
        conn.sendall(b"tenon-bench/1 got %d\n" % len(read_all(conn)))

    conns, go_on = [], threading.Event()
    with Service(lazy) as service:
        process = start("bench", "tput", service.where, *SHORT, "--json", bufsize=0)
        parts = [json.loads(process.stdout.readline()) for _ in range(2)]
        counted = sum(part["out_rate"] * (part["to_ms"] - part["from_ms"]) / 1000 for part in parts)
        held = struct.unpack("i", fcntl.ioctl(conns[0], termios.FIONREAD, bytes(4)))[0]
        assert 0 < counted <= held + 100, (counted, held)  # 100: rounding
        go_on.set()
        out, err = collect(process, LIMIT_S)
        assert process.returncode == 0 and json.loads(out.splitlines()[-1])["ev"] == "result", err


def until(what, *args):
    """The result of a bench that is stopped once an interval tells of WHAT, however late."""
    process = start("bench", *args, "--warmup", "0", "--duration", f"{LIMIT_S}s",
                    "--interval", "100ms", "--json", bufsize=0)
    while not json.loads(process.stdout.readline())[what]:
        pass
    process.send_signal(signal.SIGINT)
    out, err = collect(process, LIMIT_S)
    assert process.returncode == 1 and b"stopped before its time" in err, err
    return check(json.loads(out.splitlines()[-1]))


@test
def tput_needs_no_tenon_at_the_other_end():
    with Server("serve", "discard", "127.0.0.1:0") as server:
        result = result_of(bench("tput", server.addr, "--plain"))
        assert closes(server, 1)[0]["in"] >= result["out"] > 0
    with Server("serve", "chargen", "127.0.0.1:0") as server:
        assert until("in_rate", "tput", server.addr, "--plain", "-R")["in"] > 0
    with Server("serve", "echo", "127.0.0.1:0") as server:
        assert result_of(bench("rr", server.addr, "--plain"))["count"] > 0


@test
def cps_counts_exactly_the_connections_that_the_server_has_had():
    for more in [(), ("--reset",), ("--rate", "200")]:
        with Server("serve", "discard", "127.0.0.1:0") as server:
            events = bench("cps", server.addr, "-c", "4", *more)
            result = result_of(events)
            assert result["count"] > 0
            wait_for(lambda: len(server.events("close")) >= result["count"], "all closes")
            assert len(server.events("accept")) == result["count"], (more, result)


@test
def cps_asks_once_on_each_connection_where_there_is_a_question():
    with Service(answer_with(lambda conn: (conn.sendall(b"+PONG\r\n"), conn.recv(1)))) as service:
        result = result_of(bench("cps", service.where, "-c", "2", *PING))
        assert result["in"] == 7 * result["count"] and service.count == result["count"]


@test
def unix_sockets_and_names_work_too():
    with tempfile.TemporaryDirectory() as folder, \
            Server("serve", "bench", f"unix:{folder}/s") as server:
        assert result_of(bench("rr", f"unix:{folder}/s"))["count"] > 0
        assert server.stop().code == 0
    with peer() as server:
        assert result_of(bench("rr", "localhost", server.port, "-4"))["count"] > 0


@test
def one_port_serves_several_benches_at_once():
    with peer() as server:
        processes = [start("bench", kind, server.addr, *SHORT, "--json")
                     for kind in ("rr", "tput", "rr")]
        for process in processes:
            out, err = collect(process, LIMIT_S)
            assert process.returncode == 0, err
            assert json.loads(out.splitlines()[-1])["ev"] == "result"


@test
def nine_thousand_connections_are_all_asked():
    wanted = 9000 if SCALE == 1 else 1500
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < wanted + 100:
        raise Skip(f"no {wanted} open files here")
    with peer() as server:
        result = result_of(bench("rr", server.addr, "-c", wanted, "--idle-timeout", "20s"))
        assert result["connections"] == wanted and result["count"] >= wanted, result
        ends = closes(server, wanted)
        assert min(end["in"] for end in ends) >= 64, "somebody was never asked"


# ---------------------------------------------------------------- stalls

def stalled(*args):
    """The result of a run in whose middle the server stops for a second."""
    with peer() as server:
        process = start("bench", *args, server.addr, "--warmup", "0", "--duration", "3500ms",
                        "--interval", "500ms", "--json", bufsize=0)
        assert b'"interval"' in process.stdout.readline()
        os.kill(server.process.pid, signal.SIGSTOP)
        time.sleep(1)  # this is the stall that has to be seen
        os.kill(server.process.pid, signal.SIGCONT)
        out, err = collect(process, LIMIT_S)
        assert process.returncode == 0, err
        return check(json.loads(out.splitlines()[-1]))


@test
def a_stall_shows_in_the_corrected_line_of_load():
    result = stalled("load", "-c", "4", "--rate", "2000")
    assert result["p99.9_us"] > 800_000 and result["p90_us"] > 300_000, result
    assert result["uncorrected_p90_us"] < result["p90_us"] / 2, result


@test
def a_stall_shows_in_the_corrected_line_of_rr():
    result = stalled("rr", "-c", "1")
    assert result["p99.9_us"] > 800_000, result
    if result["count"] > 10_000:  # then one answer in a thousand cannot show it
        assert result["uncorrected_p99.9_us"] < 500_000, result


# ---------------------------------------------------------------- answers

@test
def answers_may_come_in_pieces_and_end_as_told():
    page = b"HTTP/1.1 200 OK\r\nDate: %d\r\n\r\n<html>a</html>\n"

    def in_pieces(conn, _):
        while conn.recv(100):
            for byte in page % 12345:
                conn.sendall(bytes([byte]))

    for more in [("--until", r"</html>\n"), ("--answer", len(page % 12345)),
                 ("--until", r"\x3e\n")]:
        with Service(in_pieces) as service:
            result = result_of(bench("rr", service.where, "--send", r"GET\r\n\r\n",
                                     "--expect", "HTTP/1.1 200", *more))
            assert result["in"] == result["count"] * len(page % 12345) > 0


# ---------------------------------------------------------------- limits of ours

@test
def local_ports_that_run_out_are_told_and_are_in_no_latency():
    if os.geteuid() != 0 or not shutil.which("unshare"):
        raise Skip("needs a network namespace")
    script = ("ip link set lo up && echo 32000 32031 >/proc/sys/net/ipv4/ip_local_port_range && "
              "echo 0 >/proc/sys/net/ipv4/tcp_tw_reuse && "
              "{ \"$0\" serve discard 127.0.0.1:9 2>/dev/null & pid=$!; "
              "until \"$0\" -z 127.0.0.1 9 2>/dev/null; do :; done; "
              "\"$0\" bench cps 127.0.0.1:9 -c 40 --warmup 0 --duration 500ms --json; code=$?; "
              "kill $pid; exit $code; }")
    done = subprocess.run(["unshare", "-n", "sh", "-c", script, os.path.abspath(TENON)],
                          capture_output=True, timeout=LIMIT_S, check=False)
    if b"unshare" in done.stderr:
        raise Skip(done.stderr.decode().strip())
    assert done.returncode == 0, done
    events = [check(json.loads(line)) for line in done.stdout.splitlines()]
    assert result_of(events)["port_waits"] > 0, events
    assert "our local ports ran out" in warnings_of(events), events


@test
def too_few_descriptors_are_told():
    with peer() as server:
        result = tenon("bench", "rr", server.addr, "-c", "200", *SHORT,
                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
        assert result.code == 1 and "of 200)" in result.err and "ulimit" in result.err, result


@test
def too_slow_a_server_and_too_few_intervals_are_told():
    def slow(conn, _):
        while conn.recv(100):
            time.sleep(0.02)
            conn.sendall(b"+PONG\r\n")

    with Service(slow) as service:
        while True:  # of few, from a service that was held up, the means say nothing
            events = bench("load", service.where, "-c", "1", "--rate", "1k", *PING)
            if result_of(events)["count"] >= 5:
                break
        assert "the rate was not kept" in warnings_of(events), events
        assert "too few for tenon compare" in warnings_of(events), events
        assert result_of(events)["mean_us"] > 2 * result_of(events)["uncorrected_mean_us"], events


@test
def an_interrupt_gives_the_figures_so_far_and_is_no_success():
    with peer() as server:
        process = start("bench", "rr", server.addr, "--warmup", "0", "--interval", "100ms", "--json",
                        "--fail-if", "p50>1ns", bufsize=0)  # no part of a second line is kept from `collect`
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = collect(process, LIMIT_S)
        events = [check(json.loads(line)) for line in out.splitlines()]
        assert process.returncode == 1 and b"stopped before its time, after " in err, err
        assert result_of(events)["ok"] is False
        assert result_of(events)["count"] > 0 and result_of(events)["ms"] < 9000
        assert "stopped before its time" in warnings_of(events)


run()
