# SPDX-License-Identifier: MIT
"""clients.py -- tools that carry standard input and output, connecting and listening."""
import contextlib
import os
import socket
import subprocess
import tempfile
import threading
import time

from peers import (LIMIT_S, HANGS, Peer, end, failed, how_it_ends, killable, listening, nobody,
                   numbers, read_all, read_exactly, read_slowly, reset, run, status, wait_code,
                   wait_until)
from table import TENON, Column, Table


class Client(Column):
    """CONNECT and LISTEN are its words for both, LIMIT those for 2 s of silence."""

    def __init__(self, title, program, connect, listen, limit, version=("--version",)):
        super().__init__(title, program, version)
        self.connect_words, self.listen_words, self.limit = connect, listen, limit

    def command(self, port, limited=False):
        limit = self.limit if limited else ""
        return [self.program, *limit.split(), *self.connect_words.format(port=port).split()]

    def listening(self, **options):
        words = self.listen_words
        return listening(lambda port: [self.program, *words.format(port=port).split()], **options)


CLIENTS = [
    Client("tenon", TENON, "127.0.0.1 {port}", "-l 127.0.0.1 {port}", "--max-time 2s"),
    Client("nc.openbsd -N", "nc.openbsd", "-N 127.0.0.1 {port}", "-N -l 127.0.0.1 {port}", "-w 2",
           ("-h",)),
    Client("nc.openbsd", "nc.openbsd", "127.0.0.1 {port}", "-l 127.0.0.1 {port}", "-w 2", ("-h",)),
    Client("nc.traditional", "nc.traditional", "127.0.0.1 {port}", "-l -s 127.0.0.1 -p {port}",
           "-w 2", ("-h",)),
    Client("ncat", "ncat", "127.0.0.1 {port}", "-l 127.0.0.1 {port}", "-i 2s"),
    Client("socat", "socat", "- TCP:127.0.0.1:{port}", "- TCP-LISTEN:{port},bind=127.0.0.1",
           "-T 2", ("-V",)),
]


def late_reply(tool):
    """the answer comes 1.5 s after our end: all 100,000 bytes, exit 0"""
    def script(conn):
        read_all(conn)
        time.sleep(1.5)
        conn.sendall(bytes(100_000))

    count, code = run(tool.command(Peer(script).port), b"hello\n")
    return numbers(count, 100_000, code), (count, code) == (100_000, 0)


def ends_first(tool):
    """the peer ends first, while we send 5 MB: all arrive, exit 0"""
    def script(conn):
        end(conn)
        return how_it_ends(conn)[0]

    peer = Peer(script)
    _, code = run(tool.command(peer.port), bytes(5_000_000))
    return numbers(peer.result(), 5_000_000, code), (peer.value, code) == (5_000_000, 0)


def slow_reader(tool):
    """the peer reads 5 MB slowly: all arrive, exit 0"""
    peer = Peer(read_slowly)
    _, code = run(tool.command(peer.port), bytes(5_000_000))
    return numbers(peer.result(), 5_000_000, code), (peer.value, code) == (5_000_000, 0)


def resets_unread(tool):
    """the peer resets, our 60 KB unread: not 0"""
    def script(conn):
        conn.recv(1, socket.MSG_PEEK)
        time.sleep(0.3)
        reset(conn)

    _, code = run(tool.command(Peer(script).port), bytes(60_000))
    return status(code), failed(code)


def closes_unread(tool):
    """the peer closes, our 60 KB unread: not 0"""
    def script(conn):
        conn.recv(1, socket.MSG_PEEK)
        time.sleep(0.3)

    _, code = run(tool.command(Peer(script).port), bytes(60_000))
    return status(code), failed(code)


def never_accepts(tool):
    """the peer never accepts our 60 KB; 2 s: not 0"""
    peer = Peer()
    _, code = run(tool.command(peer.port, limited=True), bytes(60_000))
    return status(code), failed(code)


def killed(tool):
    """the peer is killed while we send 20 MB: not 0"""
    with killable() as (peer, port):
        threading.Thread(target=lambda: (peer.stdout.readline(), peer.kill()), daemon=True).start()
        _, code = run(tool.command(port), bytes(20_000_000))
    return status(code), failed(code)


def reset_in_answer(tool):
    """a reset in mid-answer: 50,000 bytes printed, not 0"""
    def script(conn):
        conn.sendall(bytes(50_000))
        time.sleep(0.3)
        reset(conn)

    count, code = run(tool.command(Peer(script).port), b"question")
    return numbers(count, 50_000, code), count == 50_000 and failed(code)


def disk_full(tool):
    """our output's disk is full: not 0"""
    def script(conn):
        conn.sendall(bytes(100_000))
        end(conn)
        read_all(conn)

    with open("/dev/full", "wb") as full:
        _, code = run(tool.command(Peer(script).port), b"question", full)
    return status(code), failed(code)


def unread_by_us(tool):
    """our output fails: the peer sees a reset, not an end"""
    def script(conn):
        conn.sendall(bytes(100_000))
        conn.recv(8)
        time.sleep(0.5)
        conn.sendall(b"more")
        time.sleep(0.2)
        conn.sendall(b"more")  # a reset shows here at the latest
        return read_all(conn)

    peer = Peer(script)
    with open("/dev/full", "wb") as full, subprocess.Popen(
            tool.command(peer.port), stdin=subprocess.PIPE, stdout=full,
            stderr=subprocess.DEVNULL) as process:
        with contextlib.suppress(BrokenPipeError):  # it has failed already
            os.write(process.stdin.fileno(), b"question")
        if wait_code(process) == HANGS:
            process.kill()
    peer.result()
    return "reset" if peer.ending == "reset" else "an end", peer.ending == "reset"


def told_to_stop(tool):
    """we are told to stop (TERM) in mid-sending: the peer sees a reset, not an end"""
    under_way = threading.Event()

    def script(conn):
        read_exactly(conn, 1_000_000)
        under_way.set()
        return how_it_ends(conn)[1]

    peer = Peer(script)
    with open("/dev/zero", "rb") as zeros, subprocess.Popen(
            tool.command(peer.port), stdin=zeros, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL) as process:
        under_way.wait(LIMIT_S)
        process.terminate()
        ending = peer.result()
        process.kill()
    return ending or HANGS, ending == "reset"


def refused(tool):
    """nobody listens: not 0, and a line that says so"""
    port, taken = nobody()
    with taken:
        seen = subprocess.run(tool.command(port), capture_output=True, text=True,
                              check=False, stdin=subprocess.DEVNULL, timeout=LIMIT_S)
    said = "refused" in seen.stderr
    return (f"exit {seen.returncode}, {'says so' if said else 'silent'}",
            seen.returncode != 0 and said)


def listen_reset(tool):
    """listening, a reset after 50,000 bytes: all printed, not 0"""
    with tempfile.TemporaryFile() as out, tool.listening(
            stdin=subprocess.PIPE, stdout=out) as (process, port):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(bytes(50_000))
        wait_until(lambda: out.seek(0, 2) == 50_000)
        reset(client)
        code, count = wait_code(process), out.seek(0, 2)
    return numbers(count, 50_000, code), count == 50_000 and failed(code)


def listen_disk_full(tool):
    """listening, our disk is full: not 0, and the peer sees a reset"""
    with open("/dev/full", "wb") as full, tool.listening(
            stdin=subprocess.PIPE, stdout=full) as (process, port):
        with socket.create_connection(("127.0.0.1", port), LIMIT_S) as client:
            client.sendall(bytes(100_000))
            _, ending = how_it_ends(client)
        code = wait_code(process)
    text = HANGS if code == ending == HANGS else f"{status(code)}, {ending}"
    return text, failed(code) and ending == "reset"


def listen_unread(tool):
    """listening, the peer closes, our 60 KB unread: not 0"""
    with tempfile.TemporaryFile() as data:
        data.write(bytes(60_000))
        data.seek(0)
        with tool.listening(stdin=data) as (process, port):
            with socket.create_connection(("127.0.0.1", port), LIMIT_S) as client:
                client.recv(1, socket.MSG_PEEK)
                time.sleep(0.3)
            code = wait_code(process)
    return status(code), failed(code)


TABLE = Table(
    "Connecting and listening",
    "Data comes from standard input or goes to standard output; listening is `-l`, socat's "
    "`TCP-LISTEN`. The limit of 2 s is `--max-time 2s`, `-w 2`, `-i 2s`, `-T 2`.",
    CLIENTS,
    [late_reply, ends_first, slow_reader, resets_unread, closes_unread, never_accepts, killed,
     reset_in_answer, disk_full, unread_by_us, told_to_stop, refused, listen_reset,
     listen_disk_full, listen_unread])
