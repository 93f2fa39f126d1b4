# SPDX-License-Identifier: MIT
"""The works that `make bench` measures, the programs that do them, and the goals.

A work is run by each of its servers in turn, many times over.  A goal compares two of
them: most("tenon", "raw epoll", 1.03) says that tenon costs at most 1.03 times as much;
least("tenon", "libuv", 1.15) that libuv costs at least 1.15 times as much as tenon, or
where more is better that tenon does at least that much more.  Of several others the one
with the better median counts.  With no others the bound is in the work's unit.
"""
import os
from dataclasses import dataclass, field

B = os.environ.get("B") or "build"
ECHO, LEASE, OWN = f"{B}/examples/echo", f"{B}/examples/echo_lease", f"{B}/bench/echo_own"
LATE = f"{B}/examples/echo_late"

# {p} is the port, {ub} and {un} size and number of the raw ring's buffers, {nb} the size
# of a buffer that belongs to a connection: what the peers' own best was (peers/run.py).
SERVERS = {
    "tenon": f"taskset -c 0 {ECHO} 127.0.0.1:{{p}}",
    "tenon lease": f"taskset -c 0 {LEASE} 127.0.0.1:{{p}}",
    "tenon late": f"taskset -c 0 {LATE} 127.0.0.1:{{p}}",
    "tenon epoll late": f"env TENON_DRIVER=epoll taskset -c 0 {LATE} 127.0.0.1:{{p}}",
    "tenon own": f"taskset -c 0 {OWN} 127.0.0.1:{{p}} {{nb}}",
    "tenon epoll": f"env TENON_DRIVER=epoll taskset -c 0 {ECHO} 127.0.0.1:{{p}}",
    "tenon epoll lease": f"env TENON_DRIVER=epoll taskset -c 0 {LEASE} 127.0.0.1:{{p}}",
    "raw io_uring": "echo_uring -p {p} -c 0 -b {ub} -n {un}",
    "raw io_uring inc": "echo_uring -p {p} -c 0 -b 131072 -n 8 -x inc",
    "tenon, server spins": f"taskset -c 0 {OWN} 127.0.0.1:{{p}} {{nb}} 100",
    "tenon, both spin": f"taskset -c 0 {OWN} 127.0.0.1:{{p}} {{nb}} 100",
    "raw, server spins": "echo_uring -p {p} -c 0 -b {ub} -n {un} -x spin",
    "raw, both spin": "echo_uring -p {p} -c 0 -b {ub} -n {un} -x spin",
    "raw epoll": "echo_epoll -p {p} -c 0 -b {nb}",
    "Tokio": "echo_tokio -p {p} -c 0 -b {nb}",
    "libuv": "echo_libuv -p {p} -c 0 -b {nb}",
    "State Threads": "echo_st -p {p} -c 0 -b {nb}",
    "Asio": "echo_asio -p {p} -c 0 -b {nb}",
    "Go": "taskset -c 0 echo_go -p {p} -c 0 -t 1 -b {nb}",
    "libevent": "echo_libevent -p {p} -c 0",
    "threads": "echo_threads -p {p} -c 0 -b {nb}",
}
RING = ("raw io_uring", "raw io_uring inc")


@dataclass
class Goal:
    ours: str
    others: tuple
    bound: float
    at_most: bool = True


@dataclass
class Work:
    name: str      # for --only and the JSON
    title: str     # for people
    kind: str      # which function of bench.py runs it
    unit: str
    servers: list
    goals: list = field(default_factory=list)
    connections: int = 64
    size: int = 64
    depth: int = 1
    more_is_better: bool = False
    reps_most: int = 1000  # enough, where the figure hardly moves
    chart: tuple = ()  # the programs that README's chart shows


def most(ours, others, bound):
    return Goal(ours, (others,) if isinstance(others, str) else others, bound, True)


def least(ours, others, bound):
    return Goal(ours, (others,) if isinstance(others, str) else others, bound, False)


SMALL_SERVERS = ["raw io_uring", "tenon", "raw io_uring inc", "tenon lease", "raw epoll",
                 "tenon epoll", "libuv", "Tokio", "State Threads", "Asio", "Go", "libevent"]
SMALL_GOALS = [
    most("tenon", RING, 1.03), most("tenon lease", RING, 1.00),
    most("tenon epoll", "raw epoll", 1.06), least("tenon epoll", "libuv", 1.00),
    least("tenon", "Tokio", 1.15), least("tenon", "libuv", 1.15),
    least("tenon", "State Threads", 1.35), least("tenon", "Asio", 1.45),
    least("tenon", "Go", 1.70), least("tenon", "libevent", 1.90),
]
LARGE_SERVERS = ["raw epoll", "tenon lease", "tenon own", "tenon", "raw io_uring", "Tokio",
                 "Go", "libuv", "tenon epoll lease"]
LARGE_GOALS = [
    most("tenon lease", "raw epoll", 1.00), most("tenon own", "raw epoll", 1.18),
    least("tenon lease", "Tokio", 1.20), least("tenon lease", "Go", 1.40),
]
US = "µs of server CPU a round trip"


def echo(name, title, servers, goals, **more):
    return Work(name, title, "echo", US, servers, goals, **more)


WORKS = [
    echo("echo-64", "echo 64 B, 64 connections", SMALL_SERVERS, SMALL_GOALS,
         chart=("tenon", "tenon lease", "raw io_uring", "raw epoll", "libuv", "Tokio",
                "State Threads", "Asio", "Go", "libevent")),
    echo("echo-512", "echo 64 B, 512 connections", SMALL_SERVERS, SMALL_GOALS,
         connections=512),
    echo("echo-deep", "echo 64 B, 64 connections, 16 deep",
         ["raw io_uring", "tenon", "raw io_uring inc", "tenon lease", "raw epoll",
          "tenon epoll", "libuv", "Tokio"],
         [most("tenon", RING, 1.05), least("tenon", "Tokio", 1.10),
          least("tenon", "libuv", 1.10)], depth=16),
    echo("echo-16k", "echo 16 KiB, 64 connections", LARGE_SERVERS, LARGE_GOALS,
         size=16384, chart=("tenon lease", "raw epoll", "raw io_uring", "Tokio", "Go", "libuv")),
    echo("echo-64k", "echo 64 KiB, 64 connections", LARGE_SERVERS, LARGE_GOALS, size=65536),
    Work("growth", "echo 64 B, from 50 to 500 and 5,000 connections", "growth", US,
         ["raw io_uring inc", "tenon"], [most("tenon", "raw io_uring inc", 1.00)]),
    Work("connect", "connect, echo 64 B, close", "connect", "µs of server CPU a connection",
         ["raw io_uring", "tenon", "raw epoll", "tenon epoll", "libuv", "Tokio", "Go",
          "State Threads", "Asio"],
         [most("tenon", RING[:1], 1.05), least("tenon", "libuv", 1.10),
          least("tenon", "Go", 1.50)],
         chart=("tenon", "raw io_uring", "raw epoll", "libuv", "Tokio", "Go", "Asio")),
    Work("ping-pong", "ping-pong 64 B over two cores", "ping", "µs, p50",
         ["raw io_uring", "tenon", "raw epoll", "tenon epoll", "Tokio", "Go", "libuv",
          "raw, server spins", "tenon, server spins", "raw, both spin", "tenon, both spin"],
         [most("tenon", ("raw io_uring", "raw epoll"), 1.05),
          most("tenon, server spins", "raw, server spins", 1.05),
          least("tenon, server spins", "tenon", 2.8),
          most("tenon, both spin", "raw, both spin", 1.05),
          least("tenon, both spin", "tenon", 9)], connections=1),
    Work("bulk-64k", "one way, writes of 64 KiB", "bulk", "GB/s",
         ["raw io_uring", "tenon", "read/write"],
         [least("tenon", "raw io_uring", 0.95)], size=65536, more_is_better=True),
    Work("bulk-256k", "one way, writes of 256 KiB", "bulk", "GB/s",
         ["raw io_uring", "tenon", "read/write", "iperf3"],
         [least("tenon", "raw io_uring", 0.95), least("tenon", "iperf3", 1.00)],
         size=262144, more_is_better=True),
    Work("bulk-1m", "one way, writes of 1 MiB", "bulk", "GB/s",
         ["raw io_uring", "tenon", "read/write"],
         [least("tenon", "raw io_uring", 0.95)], size=1 << 20, more_is_better=True),
    Work("tasks", "switching and making tasks", "tasks", "ns",
         ["switch, pair", "switch, 1,000 tasks", "task made and ended, pooled",
          "task made and ended, cold", "ucontext, pair"],
         [most("switch, pair", (), 5), most("switch, 1,000 tasks", (), 11),
          most("task made and ended, pooled", (), 100),
          most("task made and ended, cold", (), 2500),
          least("switch, pair", "ucontext, pair", 40)]),
    Work("idle", "memory of the program for an idle connection", "idle", "bytes",
         ["tenon", "tenon lease", "tenon epoll lease", "tenon late", "tenon epoll late",
          "raw io_uring", "raw epoll", "Tokio", "Asio", "Go", "libuv", "libevent"],
         [most("tenon lease", (), 4608), most("tenon late", (), 512),
          most("tenon epoll late", (), 512), least("tenon lease", "Go", 1.00),
          least("tenon lease", "Asio", 1.00), least("tenon lease", "Tokio", 1.00)],
         connections=5000, reps_most=5, chart=("tenon", "tenon late", "Tokio", "Asio", "Go")),
    Work("held", "connections held at once, then each answered once", "held",
         "connects a second", ["tenon lease", "tenon late"],
         [least("tenon lease", (), 25000), least("tenon late", (), 25000)], connections=100000, more_is_better=True, reps_most=1),
]
