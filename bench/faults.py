#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How exact `tenon relay --fault` is: each kind, measured against what was asked for.

    TENON=build/tenon bench/faults.py [--seconds 1] [--write docs/measuring.md]

The latency of a message is the time from before its send to after its receive, less the same
through the relay without a fault.  A rate is taken over the whole of a transfer, from the
first byte to the last.  Judged by: the median latency within 1 ms (the slowest ones show who else
uses the machine), rate within 2 %, slices and the gaps
between them within 1 ms, the share of resets within what chance allows (3 sigma).
"""
import argparse
import datetime
import math
import os
import select
import socket
import statistics
import subprocess
import sys
import threading
import time

TENON = os.environ.get("TENON", "build/tenon")
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"


class Relay:
    """A relay with FAULTS, to a server that SCRIPT serves each client with."""

    def __init__(self, script, *faults):
        self.server = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.script, self.faults = script, faults
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                conn, _ = self.server.accept()
            except OSError:
                return
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        try:
            with conn:
                self.script(conn)
        except OSError:
            pass  # of a fault

    def __enter__(self):
        words = [word for fault in self.faults for word in ("--fault", fault)]
        self.process = subprocess.Popen(
            [TENON, "relay", "127.0.0.1:0", f"127.0.0.1:{self.server.getsockname()[1]}", *words],
            stderr=subprocess.PIPE, text=True)
        self.port = int(self.process.stderr.readline().rsplit(":", 1)[1])
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.server.close()

    def connect(self):
        conn = socket.create_connection(("127.0.0.1", self.port))
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return conn


def echo(conn):
    while data := conn.recv(1 << 16):
        conn.sendall(data)


def drain(conn):
    while conn.recv(1 << 20):
        pass


def trips(seconds, *faults):
    """Round trips in milliseconds."""
    with Relay(echo, *faults) as relay, relay.connect() as conn:
        found, end = [], time.perf_counter() + seconds
        while time.perf_counter() < end or len(found) < 10:
            begin = time.perf_counter()
            conn.sendall(b"x")
            conn.recv(1)
            found.append((time.perf_counter() - begin) * 1e3)
            time.sleep(0.001)
        return found


def latency(seconds, asked_ms, jitter_ms=0):
    base = statistics.median(trips(seconds, ))
    fault = f"up:latency={asked_ms}ms" + (f"+-{jitter_ms}ms" if jitter_ms else "")
    found = sorted(trip - base for trip in trips(seconds * (3 if jitter_ms else 1), fault))
    low, high = found[len(found) // 20], found[-1 - len(found) // 20]
    middle = statistics.median(found)
    good = abs(middle - asked_ms) <= (1 if not jitter_ms else 1 + jitter_ms / 3)
    good = good and low >= asked_ms - jitter_ms - 1
    return (fault, f"{middle:.2f} ms ({low:.2f} to {high:.2f} in 90 of 100), {len(found)} messages",
            good)


def rate(seconds, asked, text, direction):
    size = int(asked * seconds)

    def send(conn):
        conn.sendall(bytes(size))
        conn.shutdown(socket.SHUT_WR)

    def receive(conn):
        begin = first = time.perf_counter()
        got = 0
        while data := conn.recv(1 << 20):
            if not got:
                first = time.perf_counter()
                lead = len(data)
            got += len(data)
        times.append((got - lead) / (time.perf_counter() - first))
        assert got == size, (got, size, begin)

    times = []
    fault = f"{direction}:rate={text}"
    with Relay(receive if direction == "up" else send, fault) as relay, relay.connect() as conn:
        if direction == "up":
            send(conn)
            drain(conn)
        else:
            receive(conn)
    off = times[0] / asked - 1
    return fault, f"{times[0]:,.0f} bytes/s asked {asked:,}: {100 * off:+.2f} %", abs(off) <= 0.02


def slices(count=100):
    def send(conn):
        conn.sendall(bytes(50 * count))
        conn.shutdown(socket.SHUT_WR)

    found, sizes, last = [], [], None
    with Relay(send, "down:slice=50@10ms") as relay, relay.connect() as conn:
        while data := conn.recv(4096):
            now = time.perf_counter()
            sizes.append(len(data))
            if last:
                found.append((now - last) * 1e3)
            last = now
    middle = statistics.median(found)
    right = sizes.count(50) / len(sizes)
    return ("down:slice=50@10ms", f"{middle:.2f} ms apart, {100 * right:.0f} % of {len(sizes)} pieces "
            "are of 50 bytes", abs(middle - 10) <= 1 and right > 0.95)


def resets(share, count):
    struck = 0
    with Relay(drain, f"reset@{share}%") as relay:
        for _ in range(count):
            with relay.connect() as conn:
                try:
                    conn.sendall(bytes(20000))
                    conn.shutdown(socket.SHUT_WR)
                    while conn.recv(100):
                        pass
                except OSError:
                    struck += 1
    wanted = share / 100
    sigma = math.sqrt(wanted * (1 - wanted) / count)
    return (f"reset@{share}%", f"{100 * struck / count:.1f} % of {count} clients, {100 * wanted:.1f} % "
            "asked", abs(struck / count - wanted) <= 3 * sigma)


def silence(kind):
    with Relay(echo, f"up:{kind}") as relay, relay.connect() as conn:
        conn.setblocking(False)
        taken = 0
        try:
            while taken < 64 << 20:
                taken += conn.send(bytes(1 << 16))
                time.sleep(0.0002)
        except BlockingIOError:
            pass
        came = bool(select.select([conn], [], [], 0.5)[0])
    swallows = taken >= 64 << 20
    return (f"up:{kind}", f"{taken >> 20} MiB taken{'' if swallows else ', then the window is closed'}; "
            f"{'something' if came else 'nothing'} came back",
            not came and swallows == (kind == "blackhole"))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--write", metavar="FILE")
    args = parser.parse_args()
    seconds, rows = args.seconds, []
    try:
        os.nice(-10)
    except PermissionError:
        pass  # then it is as others let it be
    for measure in (
            lambda: latency(seconds, 1), lambda: latency(seconds, 5), lambda: latency(seconds, 50),
            lambda: latency(seconds, 200), lambda: latency(seconds, 1500),
            lambda: latency(seconds, 50, 20),
            lambda: rate(seconds * 2, 10 << 10, "10k", "up"), lambda: rate(seconds * 2, 1 << 20, "1m", "up"),
            lambda: rate(seconds * 2, 1 << 20, "1m", "down"), lambda: rate(seconds * 4, 50 << 20, "50m", "down"),
            slices, lambda: resets(10, 1000), lambda: silence("blackhole"), lambda: silence("halfopen")):
        asked, found, good = measure()
        rows.append(f"| `{asked}` | {found} | {'yes' if good else '**no**'} |")
        print(rows[-1], flush=True)
    if args.write:
        with open(args.write, encoding="utf-8") as file:
            before, _, after = file.read().partition(BEGIN)
        table = "\n".join([f"{datetime.date.today()}, Linux {os.uname().release}, "
                           f"{os.cpu_count()} cores: `bench/faults.py --seconds {seconds:g}`", "",
                           "| asked for | found | kept |", "|---|---|---|", *rows])
        with open(args.write, "w", encoding="utf-8") as file:
            file.write(f"{before}{BEGIN}\n{table}\n{END}{after.partition(END)[2]}")
    sys.exit(any("**no**" in row for row in rows))


if __name__ == "__main__":
    main()
