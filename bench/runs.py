# SPDX-License-Identifier: MIT
"""One run of one work by one server: start it, load it, stop it, say what it cost.

Every function takes (work, server) and gives a dict whose `value` is in the work's unit,
or one with `error`.  Servers listen on 127.0.0.1, each run on a port of its own; they are
ended by their own pid.  Server and client share core 0 under SCHED_BATCH except where
the work is about waking another core: ping-pong and one way have the client on core 1.
"""
import contextlib
import ctypes
import json
import os
import resource
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "peers"))
import run as peers  # noqa: E402  the peers' own driver knows how to start and load them
import rows  # noqa: E402

B = rows.B
CLONE_NEWNET = 0x40000000


def build_of_peers(folder):
    peers.B = folder


def command(server, size, port):
    small = size <= 4096
    ring = (2048, 512) if size <= 2048 else (16384, 64) if size <= 16384 else (65536, 32)
    return rows.SERVERS[server].format(p=port, ub=ring[0], un=ring[1],
                                       nb=4096 if small else 65536)


@contextlib.contextmanager
def running(line):
    """The program of LINE while it is wanted."""
    words = [os.path.join(peers.B, word) if os.path.exists(os.path.join(peers.B, word)) else word
             for word in line.split()]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        peers.stop(process)


def wait_for(process, port):
    """Until somebody listens on PORT; the load generators try again on their own."""
    end = time.monotonic() + 5
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.01)
    return False


def cpu_seconds(pid):
    return peers.cpu_of([pid])


def loaded(work, server, arguments, client_core, connections=None):
    """Run the load generator with ARGUMENTS against SERVER."""
    port = peers.port()
    with running(command(server, work.size, port)) as process:
        if not wait_for(process, port):
            return {"error": "the server does not listen"}
        row = peers.load(["-p", port, "-N", connections or work.connections, "-S", work.size,
                          "-D", work.depth, "-P", process.pid, "-c", client_core,
                          *arguments], 60)
        if "error" not in row and process.poll() is not None:
            row["error"] = "the server ended"
    return row


def echo(work, server, seconds, connections=None):
    row = loaded(work, server, ["-m", "echo", "-d", seconds, "-w", 0.2], 0, connections)
    if "error" not in row:
        row["value"] = row["srv_us_per_rt"]
    return row


def growth(work, server, seconds):
    """From few connections to many: the cost at the most over the cost at the fewest."""
    row = {}
    for number in (50, 500, 5000):
        part = echo(work, server, seconds, number)
        if "error" in part:
            return part
        row[f"us_{number}"] = part["value"]
    row["value"] = row["us_5000"]
    row["growth"] = row["us_5000"] / row["us_50"]
    return row


def connect(work, server, seconds):
    row = loaded(work, server, ["-m", "conn", "-d", seconds, "-w", 0.2], 0)
    if "error" not in row:
        row["value"] = row["srv_us_per_conn"]
    return row


def ping(work, server, seconds):
    spin = 1 if server.endswith("both spin") else 0  # the client; the server has its own
    row = loaded(work, server, ["-m", "echo", "-d", seconds, "-w", 0.1, "-s", spin], 1)
    if "error" not in row:
        row["value"] = row["p50_us"]
    return row


# ---------------------------------------------------------------- one way

@contextlib.contextmanager
def private_network():
    """A network of our own with reno instead of the host's congestion control.

    BBR paces, which on loopback costs bulk transfers a factor of two to four and hides
    what the programs cost.  Without the right to make one, the host's network serves.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    old = os.open("/proc/self/ns/net", os.O_RDONLY)
    private = libc.unshare(CLONE_NEWNET) == 0
    try:
        if private:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            subprocess.run(["sysctl", "-wq", "net.ipv4.tcp_congestion_control=reno"], check=True)
        with open("/proc/sys/net/ipv4/tcp_congestion_control", encoding="ascii") as file:
            yield file.read().strip()
    finally:
        if private:
            libc.setns(old, CLONE_NEWNET)
        os.close(old)


BULK = {
    "raw io_uring": ("bulk -m uring", "bulk -m uring", 65536),
    "read/write": ("bulk -m rw", "bulk -m rw", 0),
    "tenon": (f"{B}/bench/bulk_tenon", f"{B}/bench/bulk_tenon", 0),
}


def iperf3(work, seconds, port):
    with running(f"iperf3 -s -p {port} -A 0") as process:
        if not wait_for(process, port):
            return {"error": "iperf3 does not listen"}
        done = subprocess.run(
            ["iperf3", "-c", "127.0.0.1", "-p", str(port), "-A", "1", "-J", "-O", "0",
             "-t", str(max(1, round(seconds))), "-l", str(work.size)],
            capture_output=True, text=True, timeout=60, check=False)
    try:
        rate = json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"]
    except (ValueError, KeyError):
        return {"error": (done.stderr or done.stdout)[-200:]}
    return {"value": rate / 8e9}


def bulk(work, server, seconds):
    port = peers.port()
    with private_network() as control:
        if server == "iperf3":
            return {**iperf3(work, seconds, port), "congestion_control": control}
        sink, source, sink_size = BULK[server]
        with running(f"{sink} -r sink -p {port} -c 0 -b {sink_size or work.size}") as process:
            time.sleep(0.1)
            words = source.split()
            words[0] = words[0] if "/" in words[0] else os.path.join(peers.B, words[0])
            done = subprocess.run(
                words + ["-r", "src", "-p", str(port), "-c", "1", "-b", str(work.size),
                         "-d", str(seconds), "-P", str(process.pid)],
                capture_output=True, text=True, timeout=60, check=False)
    try:
        row = json.loads(done.stdout)
    except ValueError:
        return {"error": done.stderr[-200:] or "no output"}
    return {**row, "value": row["GBps"], "congestion_control": control}


# ---------------------------------------------------------------- tasks

TASKS = {"switch, pair": "pair", "switch, 1,000 tasks": "many",
         "task made and ended, pooled": "pooled", "task made and ended, cold": "cold"}


def tasks(work, server, seconds):
    if server == "ucontext, pair":
        line = [os.path.join(peers.B, "switch"), "-x", "ucontext"]
    else:
        line = ["taskset", "-c", "0", f"{B}/bench/tasks", TASKS[server]]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    try:
        return {"value": float(done.stdout.split()[-2])}  # "... 4.30 ns"
    except (ValueError, IndexError):
        return {"error": done.stderr[-200:] or "no output"}


# ---------------------------------------------------------------- idle connections

def user_memory(pid):
    """Bytes of the process's own: resident pages and the page tables that map them."""
    total = 0
    for name, key in (("smaps_rollup", "Rss:"), ("status", "VmPTE:")):
        with open(f"/proc/{pid}/{name}", encoding="ascii") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith(key))
    return total * 1024


def connect_many(port, number, open_sockets):
    for _ in range(number):
        one = socket.create_connection(("127.0.0.1", port), 10)
        open_sockets.append(one)
        one.sendall(b"x")
        if one.recv(1) != b"x":
            return False
    return True


def idle(work, server, seconds):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    port, clients = peers.port(), []
    try:
        with running(command(server, 64, port)) as process:
            if not wait_for(process, port) or not connect_many(port, 1, clients):
                return {"error": "the server does not answer"}
            before = user_memory(process.pid)
            if not connect_many(port, work.connections, clients):
                return {"error": "a connection was not answered"}
            held = user_memory(process.pid) - before
            used = cpu_seconds(process.pid)
            time.sleep(0.5)
            used = cpu_seconds(process.pid) - used
            return {"value": held / work.connections, "idle_cpu": used / 0.5}
    finally:
        for one in clients:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def held(work, server, seconds):
    """Many processes, each with its port, since the descriptors of one are limited."""
    number = -(-work.connections // 18000)
    ports = peers.port(number)
    with contextlib.ExitStack() as stack:
        pids = []
        for i in range(number):
            line = command(server, 64, ports + i).replace("-c 0", f"-c {i % 2}")
            process = stack.enter_context(running(line))
            if not wait_for(process, ports + i):
                return {"error": "a server does not listen"}
            pids.append(process.pid)
        row = peers.load(["-m", "idle", "-p", ports, "-W", number, "-N", work.connections,
                          "-d", 2, "-c", -1, "-P", ",".join(map(str, pids))],
                         120 + work.connections // 5000)
    peers.port(number)
    if "error" not in row:
        row["value"] = row["conns"] / row["connect_s"]
        if row["answered"] != work.connections:
            row["error"] = f"{row['answered']} of {work.connections} were answered"
    return row


KINDS = {"echo": echo, "growth": growth, "connect": connect, "ping": ping, "bulk": bulk, "tasks": tasks, "idle": idle, "held": held}
