#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tenon bench beside redis-benchmark, wrk and iperf3: do the figures agree, and what does
asking cost?

    bench/verb.py [--reps N] [--seconds S] [--only redis,nginx,iperf3] [--write docs/measuring.md]

Each repetition runs the two clients one after the other against the same server, in one
order and then in the opposite one; shown are medians, and the median of the ratios with
the least and the most of them.  Server and client have a core each (taskset), and CPU is
what the kernel says of the whole client process at its end (wait4), start included.
"""
import argparse
import contextlib
import dataclasses
import json
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get("B") or "build"
TENON = os.path.abspath(os.path.join(BUILD, "tenon"))
SERVER_CORE, CLIENT_CORE = "0", "1"
BEGIN, END = "<!-- bench-peers: begin -->", "<!-- bench-peers: end -->"


@dataclasses.dataclass
class Run:
    """One run of one client: what it did a second, its CPU for each, its percentiles."""
    rate: float
    cpu: float
    p50_us: float = 0
    p99_us: float = 0


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


@contextlib.contextmanager
def server(port, *command):
    """COMMAND on the server's core, until the block is over."""
    process = subprocess.Popen(["taskset", "-c", SERVER_CORE, *map(str, command)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 10
        while not answers(port):
            if process.poll() is not None or time.monotonic() > end:
                sys.exit(f"bench/verb.py: {command[0]} does not answer")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def client(*command):
    """What COMMAND printed, and its processor time in seconds."""
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(["taskset", "-c", CLIENT_CORE, *map(str, command)], stdout=out,
                                   stderr=subprocess.PIPE)
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{' '.join(map(str, command))}: exit {process.returncode}\n{errors.decode()}")
        out.seek(0)
        return out.read().decode(), usage.ru_utime + usage.ru_stime


def tenon(*args):
    """The result of tenon bench, as JSON, and its processor time."""
    text, cpu = client(TENON, "bench", *args, "--warmup", "0", "--json")
    return json.loads(text.splitlines()[-1]), cpu


def tenon_asks(port, seconds, connections, *question):
    result, cpu = tenon("rr", f"127.0.0.1:{port}", "-c", connections, "--duration", f"{seconds}s",
                        *question)
    return Run(result["rate"], cpu / result["count"] * 1e6, result["uncorrected_p50_us"],
               result["uncorrected_p99_us"])


# ---------------------------------------------------------------- the three works

def redis(seconds, connections):
    """redis-benchmark does a number of requests, not a length of time: as many as fit."""
    port = free_port()

    def peer():
        text, cpu = client("redis-benchmark", "-p", port, "-c", connections, "-n", peer.count, "-t",
                           "ping_mbulk", "--csv")
        fields = [field.strip('"') for field in text.splitlines()[-1].split(",")]
        run = Run(float(fields[1]), cpu / peer.count * 1e6, float(fields[4]) * 1e3,
                  float(fields[6]) * 1e3)
        peer.count = int(run.rate * seconds) + 1
        return run

    def ours():
        return tenon_asks(port, seconds, connections, "--send", r"*1\r\n$4\r\nPING\r\n", "--expect",
                          r"+PONG\r\n")

    peer.count = 100_000
    return port, ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly",
                  "no"], peer, ours


NGINX = """daemon off; worker_processes 1; pid {folder}/pid; error_log /dev/null;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {folder};
  proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 "a small page\\n"; }} }} }}
"""


def nginx(seconds, connections, folder):
    port = free_port()
    config = os.path.join(folder, "nginx.conf")
    with open(config, "w", encoding="ascii") as file:
        file.write(NGINX.format(folder=folder, port=port))

    def peer():
        text, cpu = client("wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency",
                           f"http://127.0.0.1:{port}/")
        if "Non-2xx" in text or "Socket errors" in text:
            sys.exit(text)
        count = int(re.search(r"(\d+) requests in", text)[1])
        if count == 0:  # on a crowded machine it may not have had its turn
            return peer()
        times = dict(re.findall(r"(\d+)%\s+([\d.]+[um]?s)", text))
        factor = {"us": 1, "ms": 1e3, "s": 1e6}
        p50, p99 = (float(re.sub("[a-z]+", "", times[share])) * factor[re.sub(r"[\d.]+", "", times[share])]
                    for share in ("50", "99"))
        return Run(float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]), cpu / count * 1e6, p50, p99)

    def ours():
        return tenon_asks(port, seconds, connections, "--send",
                          rf"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", "--expect",
                          "HTTP/1.1 200 OK", "--until", r"a small page\n")

    return port, ["nginx", "-e", "/dev/null", "-p", folder, "-c", config], peer, ours


def bulk_peer(port, seconds, streams):
    text, cpu = client("iperf3", "-c", "127.0.0.1", "-p", port, "-t", max(1, round(seconds)), "-P",
                       streams, "--json")
    end = json.loads(text)["end"]["sum_received"]
    return Run(end["bits_per_second"] / 8, cpu / (end["bytes"] / (1 << 30)) * 1e3)


def bulk_ours(port, seconds, streams):
    result, cpu = tenon("tput", f"127.0.0.1:{port}", "-P", streams, "--duration",
                        f"{max(1, round(seconds))}s")
    return Run(result["out_rate"], cpu / (result["out"] / (1 << 30)) * 1e3)


# ---------------------------------------------------------------- repeating

def alternate(peer, ours, reps):
    """REPS runs of each, in changing order, after one that does not count."""
    peer(), ours()
    pairs = []
    for number in range(reps):
        first, second = (peer, ours) if number % 2 == 0 else (ours, peer)
        one, other = first(), second()
        pairs.append((one, other) if number % 2 == 0 else (other, one))
        print(".", end="", file=sys.stderr, flush=True)
    return pairs


def median(pairs, which, field):
    return statistics.median(getattr(pair[which], field) for pair in pairs)


def ratio(pairs, field):
    ratios = [getattr(ours, field) / getattr(peer, field) for peer, ours in pairs]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def ask_rows(title, name, pairs):
    for which, who in ((0, name), (1, "tenon bench rr")):
        yield (f"| {title if which == 0 else ''} | {who} | {median(pairs, which, 'rate') / 1000:.1f}k/s "
               f"| {median(pairs, which, 'p50_us'):.0f} µs | {median(pairs, which, 'p99_us'):.0f} µs "
               f"| {median(pairs, which, 'cpu'):.2f} µs | {ratio(pairs, 'cpu') if which else ''} |")


def bulk_rows(title, pairs):
    for which, who in ((0, "iperf3"), (1, "tenon bench tput")):
        yield (f"| {title if which == 0 else ''} | {who} | {median(pairs, which, 'rate') / (1 << 30):.2f} GiB/s "
               f"| | | {median(pairs, which, 'cpu'):.0f} ms a GiB | {ratio(pairs, 'cpu') if which else ''} |")


def versions():
    def line(*command):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return re.search(r"\d+\.\d+(\.\d+)?", done.stdout + done.stderr)[0]
    driver = subprocess.run([TENON, "doctor", "--json"], capture_output=True, text=True, check=True)
    return (f"redis {line('redis-server', '--version')}, wrk {line('wrk', '-v')}, nginx "
            f"{line('nginx', '-v')}, iperf3 {line('iperf3', '--version')}; tenon on "
            f"{json.loads(driver.stdout)['driver.chosen'].split(':')[0]}")


def machine():
    with open("/proc/cpuinfo", encoding="ascii") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    return f"Linux {platform.release()}, {model[1] if model else platform.machine()}, {os.cpu_count()} cores"


def measure(args):
    rows = []
    for connections in (1, 50):
        if "redis" in args.only:
            port, command, peer, ours = redis(args.seconds, connections)
            with server(port, *command):
                rows += ask_rows(f"PING, redis-server, {connections} at once", "redis-benchmark",
                                 alternate(peer, ours, args.reps))
        if "nginx" in args.only:
            with tempfile.TemporaryDirectory() as folder:
                port, command, peer, ours = nginx(args.seconds, connections, folder)
                with server(port, *command):
                    rows += ask_rows(f"GET, nginx, {connections} at once", "wrk",
                                     alternate(peer, ours, args.reps))
    for streams in (1, 4):
        if "iperf3" not in args.only:
            break
        theirs, port = free_port(), free_port()
        with server(theirs, "iperf3", "-s", "-p", theirs), \
                server(port, TENON, "serve", "bench", f"127.0.0.1:{port}"):
            pairs = alternate(lambda: bulk_peer(theirs, args.seconds, streams),
                              lambda: bulk_ours(port, args.seconds, streams), args.reps)
        rows += bulk_rows(f"bulk, {streams} stream{'s' if streams > 1 else ''}", pairs)
    print(file=sys.stderr)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--reps", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--only", default="redis,nginx,iperf3")
    parser.add_argument("--write", metavar="FILE")
    parser.add_argument("--command", default="bench/verb.py")
    args = parser.parse_args()
    for program in ("redis-server", "redis-benchmark", "nginx", "wrk", "iperf3", "taskset"):
        if not shutil.which(program):
            sys.exit(f"bench/verb.py: there is no {program}: tools/deps bench-peers")
    load = os.getloadavg()[0]
    rows = measure(args)
    text = "\n".join([
        f"`{args.command}`, {time.strftime('%Y-%m-%d')}, {machine()}, load {load:.1f} at the start; "
        f"{versions()}; {args.reps} repetitions of {args.seconds:g} s.", "",
        "| work | client | throughput | p50 | p99 | client's CPU for each | ours to theirs |",
        "|---|---|---|---|---|---|---|", *rows])
    print(text)
    if args.write:
        with open(args.write, encoding="utf-8") as file:
            before, rest = file.read().split(BEGIN)
        with open(args.write, "w", encoding="utf-8") as file:
            file.write(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
