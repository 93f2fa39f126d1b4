#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How many system calls the command makes: no needless one for a read or a write."""
import collections
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading

from rig import LIMIT_S, TENON, Peer, Server, Skip, pattern, read_all, run, start, test

SENDS, RECEIVES = ("sendto", "sendmsg"), ("recvfrom", "recvmsg")


class Trace:
    """The system calls of a program that ran under strace, counted by name and by error."""

    def __init__(self, *options):
        if not shutil.which("strace"):
            raise Skip("strace is not installed")
        self.file = tempfile.NamedTemporaryFile(prefix="tenon-trace-")
        self.prefix = ["strace", "-f", "-qq", *options, "-o", self.file.name]
        tried = subprocess.run([*self.prefix, "true"], capture_output=True, check=False)
        if tried.returncode:
            raise Skip("strace is not permitted here")

    def counts(self):
        self.file.seek(0)
        calls, errors = collections.Counter(), collections.Counter()
        for line in self.file.read().decode(errors="replace").splitlines():
            match = re.match(r"\d+ +(\w+)\((\d*).*?(?:= -1 (E\w+).*)?$", line)
            if match:
                name, descriptor, error = match.groups()
                calls[name] += 1
                calls[name, descriptor] += 1
                errors[name, error] += error is not None
        return calls, errors


def of(counter, names):
    return sum(counter[name] for name in names)


def all_of(counter):
    return sum(count for name, count in counter.items() if isinstance(name, str))


@test
def a_small_round_trip_costs_the_server_one_send_and_at_most_one_receive():
    rounds, trace = 500, Trace()
    with Server("serve", "echo", "127.0.0.1:0", prefix=trace.prefix) as server:
        with server.connect() as conn:
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(rounds):
                conn.sendall(b"x" * 64)
                assert conn.recv(64, socket.MSG_WAITALL) == b"x" * 64
            conn.shutdown(socket.SHUT_WR)
            assert conn.recv(1) == b""
        server.stop_child()
    calls, errors = trace.counts()
    assert rounds <= of(calls, SENDS) <= rounds + 5, calls
    assert of(calls, RECEIVES) <= rounds + 10, calls
    assert errors["recvfrom", "EAGAIN"] + errors["sendto", "EAGAIN"] <= 10, errors
    waits = of(calls, ("epoll_wait", "epoll_pwait2", "io_uring_enter"))
    assert waits <= rounds + 50, calls


@test
def a_large_file_is_moved_in_large_pieces_with_few_failing_calls():
    size, trace = 8 << 20, Trace()

    def script(conn):
        got = []
        reader = threading.Thread(target=lambda: got.append(read_all(conn)))
        reader.start()
        conn.sendall(pattern(size))
        conn.shutdown(socket.SHUT_WR)
        reader.join()
        return len(got[0])

    with tempfile.TemporaryFile() as file, Peer(script) as peer:
        file.write(pattern(size))
        file.seek(0)
        subprocess.run([*trace.prefix, TENON, "127.0.0.1", str(peer.port)], stdin=file,
                       stdout=subprocess.DEVNULL, timeout=LIMIT_S, check=True)
    assert peer.result == size
    calls, errors = trace.counts()
    per_mib = (of(calls, SENDS) + of(calls, RECEIVES)) / (2 * size / (1 << 20))
    assert per_mib <= 64, f"{per_mib:.0f} calls per MiB: {calls}"
    failing = sum(count for (name, error), count in errors.items()
                  if name in SENDS + RECEIVES and error)
    assert failing <= 0.25 * (of(calls, SENDS) + of(calls, RECEIVES)), errors
    assert errors["recvfrom", "ENOTSOCK"] == errors["sendto", "ENOTSOCK"] == 0, errors
    assert 0 < calls["read", "0"] <= size / (128 << 10) + 2, calls


@test
def a_pipe_costs_one_call_a_read_and_one_a_write():
    size, trace = 4 << 20, Trace()
    with Peer(read_all) as peer:
        subprocess.run([*trace.prefix, TENON, "127.0.0.1", str(peer.port)], input=pattern(size),
                       timeout=LIMIT_S, check=True)
    calls, errors = trace.counts()
    network = of(calls, SENDS) + of(calls, RECEIVES)
    assert errors["recvfrom", "ENOTSOCK"] == 0, errors
    assert calls["preadv2"] - errors["preadv2", "EAGAIN"] <= size / 4096 + 5, calls
    assert network <= calls["preadv2"] + 200, calls


# What a connection costs whatever goes through it: socket, options, names, its end, and on
# a ring the three sends of the self-test.
FIXED = 24


def two_processes(pieces):
    """Carry PIECES from one of the command to another: the network calls of each."""
    traces = Trace("-e", "trace=network"), Trace("-e", "trace=network")
    with Server("-l", "127.0.0.1:0", prefix=traces[0].prefix, stdin=subprocess.DEVNULL) as server:
        with start("127.0.0.1", server.port, prefix=traces[1].prefix, bufsize=0) as client:
            for piece in pieces:
                writer = threading.Thread(target=lambda piece=piece: client.stdin.write(piece))
                writer.start()
                left = len(piece)
                while left:
                    left -= len(os.read(server.process.stdout.fileno(), 1 << 20))
                writer.join()
            client.stdin.close()
            assert client.wait(LIMIT_S) == 0, client.stderr.read()
        assert server.wait().code == 0
    return [trace.counts() for trace in traces]


@test
def two_processes_make_one_call_for_a_write_and_at_most_one_for_a_read():
    lines = 200
    (listener, refused), (client, failed) = two_processes([b"a line\n"] * lines)
    assert lines <= of(client, SENDS) <= lines + 3, client
    assert of(listener, RECEIVES) <= lines + 1, listener
    assert all_of(client) <= lines + FIXED, client
    assert all_of(listener) <= lines + FIXED, listener
    assert sum(failed.values()) <= 1 and sum(refused.values()) <= 1, (failed, refused)


@test
def two_processes_move_a_lot_in_large_pieces():
    size = 8 << 20
    (listener, refused), (client, failed) = two_processes([pattern(size)])
    assert of(client, SENDS) <= size / 65536 * 2 + 10, client
    assert all_of(client) - of(client, SENDS) <= FIXED, client
    assert refused["recvfrom", "EAGAIN"] <= of(listener, RECEIVES) / 2, (listener, refused)
    assert of(listener, RECEIVES) <= size / 65536 * 4, listener
    assert all_of(listener) - of(listener, RECEIVES) <= FIXED, listener
    assert failed["sendto", "EAGAIN"] <= of(client, SENDS) / 4, failed


# LeakSanitizer cannot work beside strace.
os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
run()
