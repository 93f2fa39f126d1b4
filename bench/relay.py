#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a relay's work costs: tenon relay beside the hand-written ones of bench/peers.

    unshare -n sh -c 'ip link set lo up; sysctl -wq net.ipv4.tcp_congestion_control=reno
        TENON=build/tenon bench/relay.py [--reps 7] [--write docs/measuring.md]'

Processor time of the relay alone, kernel work included (/proc/PID/task/*/schedstat), for a
gigabyte one way, for a round trip of 64 bytes, and for a connection that is opened, used for
one round trip and closed.  Source, sink and relay share one core, so that no wake-up of
another core is in the figure.  Each repetition runs all relays in one order and then in the
opposite one; ratios are taken within it, and the median is shown with the range.  With --only
the rows of other works in FILE stay.
"""
import argparse
import datetime
import os
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers"))
import run as peers  # noqa: E402  pylint: disable=wrong-import-position

BEGIN, END = "<!-- relays: begin -->", "<!-- relays: end -->"
TENON = os.path.abspath(os.environ.get("TENON", "build/tenon"))
WORKS = {
    "bulk": ("processor seconds for a GB", "splice-1m"),
    "ping": ("us for a round trip of 64 B", "rw-64k"),
    "conn": ("us for a connection", "rw-64k"),
}
FORKS = ("socat", "socat-64k")  # a process a client: `load` does not count those


def relays(others):
    found = {name: peers.RELAYS[name] for name in ("rw-64k", "splice-1m", *others)}
    for driver in ("uring", "epoll"):
        found[f"tenon-{driver}"] = lambda p, q, driver=driver: (
            f"taskset -c 0 env TENON_DRIVER={driver} {TENON} relay 127.0.0.1:{p} 127.0.0.1:{q} --silent")
    return found


def start_relay(command):
    """As peers.start, which would take our verb for the program `relay` of the peers."""
    if TENON not in command:
        return peers.start(command)
    return subprocess.Popen(command.split(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def bulk(start, seconds):
    p, q = peers.port(), peers.port()
    sink = peers.start(f"bulk -r sink -p {q} -c 0 -m trunc -b 1048576")
    time.sleep(0.1)
    relay = start(p, q)
    time.sleep(0.3)
    row = peers.pump(["-r", "src", "-p", p, "-c", 0, "-m", "sendfile", "-b", 262144, "-d", seconds,
                      "-P", sink.pid, "-K", relay.pid])
    peers.relay_stop(relay)
    peers.stop(sink)
    return row.get("kids_s_per_GB")


def loaded(start, seconds, mode, clients):
    p, q = peers.port(), peers.port()
    server = peers.start(f"echo_epoll -p {q} -c 0")
    time.sleep(0.1)
    relay = start(p, q)
    time.sleep(0.3)
    row = peers.load(["-m", mode, "-p", p, "-N", clients, "-S", 64, "-D", 1, "-d", seconds, "-w", 0.2,
                      "-c", 0, "-P", relay.pid], 60)
    peers.relay_stop(relay)
    peers.stop(server)
    return row.get("srv_us_per_rt" if mode == "echo" else "srv_us_per_conn")


def measure(work, start, seconds):
    if work == "bulk":
        return bulk(start, seconds)
    return loaded(start, seconds, "echo" if work == "ping" else "conn", 1 if work == "ping" else 16)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.4)
    parser.add_argument("--also", default="", help="other relays of bench/peers/run.py: haproxy,socat")
    parser.add_argument("--only", default="bulk,ping,conn")
    parser.add_argument("--write", metavar="FILE")
    args = parser.parse_args()
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        os.nice(-10)
    except PermissionError:
        pass
    names = relays([name for name in args.also.split(",") if name])
    found = {work: {name: [] for name in names if work == "bulk" or name not in FORKS}
             for work in args.only.split(",")}
    for turn in range(args.reps):
        for work, rows in found.items():
            for name in list(rows)[::1 if turn % 2 == 0 else -1]:
                rows[name].append(measure(work, lambda p, q, name=name: start_relay(
                    names[name](p, q)), args.seconds))
    lines = []
    for work, rows in found.items():
        unit, reference = WORKS[work]
        for name, values in rows.items():
            pairs = [(value, base) for value, base in zip(values, rows[reference]) if value and base]
            ratios = sorted(value / base for value, base in pairs)
            if not ratios:
                lines.append(f"| {unit} | {name} | failed | |")
                continue
            lines.append(f"| {unit} | {name} | {min(value for value, _ in pairs):.3g} | "
                         f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) of {reference} |")
            print(lines[-1], flush=True)
    if args.write:
        write_table(args, lines)


def write_table(args, lines):
    """Put LINES into the table of the file, in the place of those of the same works."""
    with open(args.write, encoding="utf-8") as file:
        before, _, rest = file.read().partition(BEGIN)
    old, _, after = rest.partition(END)
    units = [unit for unit, _ in WORKS.values()]
    measured = {line.split(" | ")[0] for line in lines}
    kept = [line for line in old.splitlines()
            if line.split(" | ")[0][2:] in units and line.split(" | ")[0] not in measured]
    rows = sorted(lines + kept, key=lambda line: units.index(line.split(" | ")[0][2:]))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True,
                            check=False).stdout.strip()
    table = "\n".join([f"{datetime.date.today()}, {commit}, Linux {os.uname().release.split('-')[0]}, {os.cpu_count()} cores, "
                       f"reno: `bench/relay.py --reps {args.reps} --seconds {args.seconds:g}"
                       f"{' --also ' + args.also if args.also else ''}`", "",
                       "| work | relay | least | median of the ratios |", "|---|---|---|---|", *rows])
    with open(args.write, "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}\n{table}\n{END}{after}")


if __name__ == "__main__":
    main()
