#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What it costs a relay to be watched: nobody, one dashboard, a hundred, slow ones, a killed browser.

    TENON=build/tenon bench/watched.py [--rounds 5] [--idle 8900]

A relay with IDLE clients that do nothing has 50 more: at 5,000 exchanges a second (processor
time of the relay, latency), then as fast as they can (exchanges a second).  The relay has core
0; clients, target and dashboards share core 1.  Each round does all ways of watching, in an
order that turns; what is shown is the median, and the range.  At the end all clients must still
be there.

TENON_DRIVER chooses the driver of all.  The browser is a Chromium that shows the page and is
killed in mid-measurement; it is left out where there is none.
"""
import argparse
import contextlib
import json
import os
import re
import resource
import selectors
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TENON = os.path.abspath(os.environ.get("TENON", "build/tenon"))
BUSY, RATE = 50, 5000
LIMIT_S = 30


class Server:
    """`tenon WORDS` on CORE; ADDRS are what it says it listens on, by the event's name."""

    def __init__(self, core, *words):
        self.process = subprocess.Popen(
            ["taskset", "-c", str(core), TENON, *words, "--json"], stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True)
        self.addrs = {}

    def addr(self, name):
        while name not in self.addrs:
            event = json.loads(self.process.stderr.readline())
            self.addrs[event["ev"]] = event.get("addr")
        return self.addrs[name]

    def drain(self):
        """What it says from now on does not matter."""
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def cpu_s(self):
        folder, total = f"/proc/{self.process.pid}/task", 0
        for thread in os.listdir(folder):
            with open(f"{folder}/{thread}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
        return total / 1e9

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Dashboards:
    """COUNT readers of the page's events, in one thread, and SLOW more that never read."""

    def __init__(self, port, count, slow=0):
        self.port, self.slow, self.over, self.frames = port, [], False, 0
        self.selector = selectors.DefaultSelector()
        for _ in range(count):
            self.selector.register(self._dial(), selectors.EVENT_READ)
        for _ in range(slow):
            self.slow.append(self._dial(4096))
        self.thread = threading.Thread(target=self._read)

    def _dial(self, buffer=0):
        conn = socket.socket()
        if buffer:
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        conn.connect(("127.0.0.1", self.port))
        conn.sendall(b"GET /events?sort=rate HTTP/1.1\r\nHost: x\r\n\r\n")
        return conn

    def _read(self):
        while not self.over:
            for key, _ in self.selector.select(0.1):
                self.frames += key.fileobj.recv(1 << 16).count(b"data: [")

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        for conn in self.slow:
            conn.close()


@contextlib.contextmanager
def killed_browser(port):
    """A Chromium that shows the page, and is killed half a second from now on."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            ["taskset", "-c", "1", "chromium", "--headless", "--no-sandbox", "--disable-gpu",
             f"--user-data-dir={folder}", "--remote-debugging-port=0", f"http://127.0.0.1:{port}/"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
        end = time.monotonic() + LIMIT_S
        while readers(port) == 0:
            if time.monotonic() > end:
                raise SystemExit("the browser does not open the page")
            time.sleep(0.05)
        time.sleep(1)  # it has the first frames, and is done with starting
        timer = threading.Timer(0.8, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        yield
        timer.join()
        process.wait()


def readers(port):
    """The dashboard's connections, as the kernel tells."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        return len(re.findall(f" 0100007F:{port:04X} [0-9A-F]+:[0-9A-F]+ 01 ", file.read()))


def bench(relay, mode, seconds, *words):
    """The result of tenon bench, and the relay's processor time by the second of all of it."""
    begin, used = time.monotonic(), relay.cpu_s()
    said = subprocess.run(
        ["taskset", "-c", "1", TENON, "bench", mode, relay.addr("listening"), "-c", str(BUSY),
         "--send", 63 * "x" + "\\n", "--expect", "x", "--warmup", "300ms", "--duration",
         f"{seconds}s", *words, "--json"], capture_output=True, text=True, check=True).stdout
    cpu = (relay.cpu_s() - used) / (time.monotonic() - begin)
    result = next(event for event in map(json.loads, said.splitlines()) if event["ev"] == "result")
    return {**result, "cpu": 100 * cpu}


def measure(relay, watching):
    """A row's figures; WATCHING() is who watches meanwhile."""
    with watching():
        paced = bench(relay, "load", 1.5, "--rate", str(RATE))
    with watching():
        free = bench(relay, "rr", 1)
    return {"cpu": paced["cpu"], "p50": paced["p50_us"], "p99": paced["p99_us"],
            "p99.9": paced["p99.9_us"], "rate": free["rate"], "free p99": free["p99_us"]}


def gone(clients):
    """How many of CLIENTS are not connected any more.  Each sends a byte and wants it back: a
    client whose reset was lost on the way does not know otherwise."""
    missing = 0
    for client in clients:
        client.settimeout(LIMIT_S)
        try:
            client.sendall(b"x")
            missing += client.recv(1) != b"x"
        except OSError:
            missing += 1
    return missing


def table(rows):
    print("| who watches | the relay's core | median | p99 | p99.9 | as fast as they can | its p99 |")
    print("|---|---|---|---|---|---|---|")
    for name, figures in rows.items():
        cells = []
        for key, unit in (("cpu", "%"), ("p50", "us"), ("p99", "us"), ("p99.9", "us"),
                          ("rate", "/s"), ("free p99", "us")):
            values = [figure[key] for figure in figures]
            digits = 1 if key == "cpu" else 0
            cells.append(f"{statistics.median(values):,.{digits}f} {unit} "
                         f"({min(values):,.{digits}f} to {max(values):,.{digits}f})")
        print(f"| {name} | {' | '.join(cells)} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", type=int, default=8900)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.sched_setaffinity(0, {1})
    with Server(1, "serve", "echo", "127.0.0.1:0") as target, \
            Server(0, "relay", "127.0.0.1:0", target.addr("listening"), "--dash", "0") as relay:
        port = int(relay.addr("dashboard").rsplit(":", 1)[1])
        target.drain()
        relay.addr("listening")
        relay.drain()
        where = relay.addr("listening").rsplit(":", 1)
        idle = [socket.create_connection((where[0], int(where[1]))) for _ in range(options.idle)]
        ways = {
            "nobody": contextlib.nullcontext,
            "1 dashboard": lambda: Dashboards(port, 1),
            "100 dashboards": lambda: Dashboards(port, 100),
            "80, and 20 that never read": lambda: Dashboards(port, 80, 20),
        }
        if shutil.which("chromium"):
            ways["a browser that is killed"] = lambda: killed_browser(port)
        rows = {name: [] for name in ways}
        order = list(ways)
        for number in range(options.rounds):
            for name in order[number % len(order):] + order[:number % len(order)]:
                rows[name].append(measure(relay, ways[name]))
        missing = gone(idle)
        if missing:
            raise SystemExit(f"{missing} of {len(idle)} idle clients have lost their connection")
    table(rows)


if __name__ == "__main__":
    sys.exit(main())
