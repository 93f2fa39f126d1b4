#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a server with a loop for each core costs, in three forms: one loop, a listener for
each loop (SO_REUSEPORT), and accepted connections handed to the loops.

    make bench-cores              all of it, as Markdown
    bench/cores.py --reps 9 --only echo,connect,shares,held,closed
"""
import argparse
import ctypes
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys

B = os.environ.get("B", "build")
FORMS = {
    "one loop": [f"{B}/examples/echo"],
    "a listener each": [f"{B}/bench/echo_ports"],
    "handed": [f"{B}/examples/echo_cores"],
}
WORKS = {
    "echo 64 B, 64 connections": ["-m", "echo", "-N", "64"],
    "echo 64 B, 512 connections": ["-m", "echo", "-N", "512"],
    "connect, echo 64 B, close": ["-m", "conn", "-N", "32"],
}


class Server:
    """One of the forms, listening on a free port."""

    def __init__(self, form, loops):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        loops = [] if form == "one loop" else [str(loops)]
        self.process = subprocess.Popen(
            FORMS[form] + [f"127.0.0.1:{self.port}"] + loops, stderr=subprocess.PIPE, text=True
        )
        while True:  # a listener for each loop is there when the last has been opened
            with open("/proc/net/tcp", encoding="ascii") as table:
                there = table.read().count(f"0100007F:{self.port:04X} 00000000:0000 0A")
            if there == (int(loops[0]) if form == "a listener each" else 1):
                return

    def threads(self):
        """Those of the loops, in the order of their counts."""
        return sorted(map(int, os.listdir(f"/proc/{self.process.pid}/task")))[1:]

    def stop(self):
        """How many connections each loop had."""
        self.process.send_signal(signal.SIGTERM)
        text = self.process.communicate()[1]
        return [int(count) for count in re.findall(r"loop \d+: (\d+)", text)]

    def connect(self, limit=10.0):
        return socket.create_connection(("127.0.0.1", self.port), limit)


def answered(sock):
    sock.sendall(b"x" * 64)
    try:
        return len(sock.recv(64)) == 64
    except (socket.timeout, ConnectionError):
        return False


def accepting_us(seconds):
    """Of a connection that is handed over, the part of the thread that accepts."""
    server = Server("handed", 2)
    command = [f"{B}/peers/load", *WORKS["connect, echo 64 B, close"], "-S", "64", "-w", "0"]
    subprocess.run(command + ["-p", str(server.port), "-d", str(seconds)],
                   stdout=subprocess.DEVNULL, check=True)
    with open(f"/proc/{server.process.pid}/task/{server.process.pid}/schedstat",
              encoding="ascii") as file:
        took_ns = int(file.read().split()[0])
    return took_ns / 1000 / sum(server.stop())


def load(form, work, cores, seconds):
    """One run: operations a second, and CPU of the server for each."""
    server = Server(form, 2)
    if cores == "one core":
        for thread in [server.process.pid] + server.threads():
            os.sched_setaffinity(thread, {0})
    command = [f"{B}/peers/load", *WORKS[work], "-p", str(server.port), "-S", "64"]
    command += ["-d", str(seconds), "-w", "0.3", "-P", str(server.process.pid)]
    out = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    server.stop()
    each = out.get("srv_us_per_rt", out.get("srv_us_per_conn"))
    return out.get("rps", out.get("cps")), each


def middle(values):
    return f"{statistics.median(values):,.3g} ({min(values):,.3g} to {max(values):,.3g})"


def works(names, reps, seconds):
    print("| work | server's cores | form | µs of CPU for each | to one loop | a second |")
    print("|---|---|---|---|---|---|")
    for work in names:
        for cores in "one core", "both cores":
            runs = {form: [] for form in FORMS}
            for rep in range(reps):
                for form in list(FORMS)[:: 1 if rep % 2 == 0 else -1]:
                    runs[form].append(load(form, work, cores, seconds))
            for form, got in runs.items():
                ratio = [own[1] / one[1] for own, one in zip(got, runs["one loop"])]
                rate = statistics.median(run[0] for run in got)
                print(
                    f"| {work} | {cores} | {form} | {middle([run[1] for run in got])} "
                    f"| {middle(ratio)} | {rate:,.0f} |",
                    flush=True,
                )


def accepting(reps, seconds):
    took = middle([accepting_us(seconds) for _ in range(reps)])
    print(f"The thread that accepts and hands over takes {took} µs for a connection.")


def shares(reps):
    print("| connections, loops | form | most on one loop: median (range) | an even share |")
    print("|---|---|---|---|")
    for count, loops in (8, 2), (8, 4), (64, 4), (512, 4):
        for form in "a listener each", "handed":
            most = []
            for _ in range(reps):
                server = Server(form, loops)
                socks = [server.connect() for _ in range(count)]
                assert all(map(answered, socks))
                for sock in socks:
                    sock.close()
                most.append(max(server.stop()))
            print(
                f"| {count}, {loops} | {form} | {statistics.median(most):.0f} "
                f"({min(most)} to {max(most)}) | {count // loops} |"
            )


def ptrace(request, thread):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(request, thread, None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def held(count):
    """One of two loops is stopped, as if it computed: which new clients get an answer?"""
    print("| clients, each for one message while one of two loops stands still | answered |")
    print("|---|---|")
    for form in "a listener each", "handed":
        server = Server(form, 2)
        thread = server.threads()[0]
        ptrace(0x4206, thread)  # PTRACE_SEIZE
        ptrace(0x4207, thread)  # PTRACE_INTERRUPT
        os.waitpid(thread, 0x40000000)  # __WALL
        good = 0
        for _ in range(count):
            with server.connect(limit=0.1) as sock:
                good += answered(sock)
        ptrace(17, thread)  # PTRACE_DETACH
        server.stop()
        print(f"| {count}, {form} | {good} |")


def closed(count):
    """The kernel alone: two listeners of a port, one of which closes with a queue."""
    one, other = (socket.socket() for _ in range(2))
    for sock in one, other:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.1", 0) if sock is one else one.getsockname())
        sock.listen(count)
    clients = [socket.create_connection(one.getsockname()) for _ in range(count)]
    one.close()
    lost = 0
    for sock in clients:
        sock.setblocking(False)
        try:
            sock.recv(1)
        except BlockingIOError:
            pass  # still in the other's queue
        except ConnectionError:
            lost += 1
    with open("/proc/sys/net/ipv4/tcp_migrate_req", encoding="ascii") as setting:
        migrate = setting.read().strip()
    print(f"{lost} of {count} connections are reset when one of two listeners of a port")
    print(f"closes before it has accepted (net.ipv4.tcp_migrate_req = {migrate}).")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--reps", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--only", default="echo,connect,shares,held,closed")
    args = parser.parse_args()
    only = args.only.split(",")
    names = [work for work in WORKS if any(work.startswith(word) for word in only)]
    if names:
        works(names, args.reps, args.seconds)
    if "connect" in only:
        print()
        accepting(args.reps, args.seconds)
    for name, part, count in (("shares", shares, args.reps), ("held", held, 100),
                              ("closed", closed, 100)):
        if name in only:
            print()
            part(count)
    return 0


if __name__ == "__main__":
    sys.exit(main())
