# SPDX-License-Identifier: MIT
"""peers.py -- what the endings are made of: scripted peers, and programs that have a limit.

Everything is on loopback.  Whoever is not over after LIMIT_S hangs.  Programs get a process
group of their own, and what is left of it in the end is killed.
"""
import contextlib
import itertools
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

LIMIT_S = float(os.environ.get("CLOSING_LIMIT_S") or 8)
HANGS = "hangs"
SMALL = 1 << 16  # a receive buffer, where a reader is to be slow

# Below those that the system gives to whoever connects.
_ports = itertools.count(20_000 + os.getpid() * 97 % 10_000)


def read_all(conn):
    total = 0
    while piece := conn.recv(1 << 16):
        total += len(piece)
    return total


def read_slowly(conn):
    """100 KB each 10 ms."""
    total = 0
    while piece := conn.recv(100_000):
        total += len(piece)
        time.sleep(0.01)
    return total


def read_exactly(conn, size):
    while size > 0:
        piece = conn.recv(min(size, 1 << 16))
        if not piece:
            raise EOFError
        size -= len(piece)


def reset(conn):
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


def end(conn):
    """End our side; on a connection that is gone already this is an error like any other."""
    try:
        conn.shutdown(socket.SHUT_WR)
    except OSError as error:
        raise ConnectionResetError from error


def how_it_ends(conn):
    """Read CONN to its end: how many bytes came, and "an end", "reset" or HANGS."""
    total = 0
    try:
        while piece := conn.recv(1 << 16):
            total += len(piece)
        return total, "an end"
    except TimeoutError:
        return total, HANGS
    except OSError:
        return total, "reset"


class Peer:
    """A server; SCRIPT(conn) serves its one client in a thread.  Without: it never accepts."""

    def __init__(self, script=None, receive_buffer=0):
        self.script, self.value, self.ending = script, None, None
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(8)
        self.socket.settimeout(LIMIT_S)
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        if script:
            self.thread.start()

    def _serve(self):
        try:
            conn, _ = self.socket.accept()
            with conn:
                conn.settimeout(LIMIT_S)
                self.value = self.script(conn)
                self.ending = "over"
        except TimeoutError:
            self.ending = HANGS
        except ConnectionResetError:
            self.ending = "reset"
        except (BrokenPipeError, EOFError):  # a reset after an end is EPIPE
            self.ending = "an end"

    def result(self):
        """What the script gave; None if the connection did not let it finish."""
        self.thread.join(LIMIT_S)
        return self.value


@contextlib.contextmanager
def killable():
    """A server that is a process, and its port; it says a line when it has read a byte."""
    code = ("import socket\ns = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\n"
            "print(s.getsockname()[1], flush=True)\n"
            "c, _ = s.accept(); c.recv(1); print('read', flush=True); input()\n")
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def nobody():
    """A port on which nobody listens, and a socket that keeps it so."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    return taken.getsockname()[1], taken


def run(command, data, stdout=subprocess.PIPE):
    """How many bytes COMMAND printed, and its exit code, or HANGS."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=stdout,
                          stderr=subprocess.DEVNULL) as process:
        try:
            out, _ = process.communicate(data, timeout=LIMIT_S)
            return len(out or b""), process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            out, _ = process.communicate()
            return len(out or b""), HANGS


def wait_code(process):
    try:
        return process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        return HANGS


def wait_until(fact):
    """Look until FACT() is true; after LIMIT_S, go on without."""
    end = time.monotonic() + LIMIT_S
    while not fact() and time.monotonic() < end:
        time.sleep(0.005)


def listens(port):
    with open("/proc/net/tcp", encoding="ascii") as file:
        next(file)
        for line in file:
            words = line.split()
            if words[3] != "0A":
                break  # they come first; a hundred thousand others may follow, in TIME-WAIT
            if words[1].endswith(f":{port:04X}"):
                return True
    return False


def free_port():
    while True:
        port = next(_ports)
        with socket.socket() as trial, contextlib.suppress(OSError):
            trial.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def listening(command_of, **options):
    """The process of COMMAND_OF(port), once it listens there, and that port."""
    for name in ("stdin", "stdout", "stderr"):
        options.setdefault(name, subprocess.DEVNULL)
    for _ in range(5):  # somebody else may have taken the port
        port = free_port()
        process = subprocess.Popen(command_of(port), start_new_session=True, **options)
        wait_until(lambda: listens(port) or process.poll() is not None)
        if process.poll() is None:
            break
    else:
        raise RuntimeError(f"{process.args} does not listen")
    try:
        yield process, port
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        if process.stdin:
            process.stdin.close()
        process.wait()


def status(code):
    return code if code == HANGS else f"exit {code}"


def failed(code):
    """Whether CODE tells of a failure; hanging does not."""
    return code not in (0, HANGS)


def numbers(count, of, code):
    return f"{'all' if count == of else f'{count or 0:,} B'}, {status(code)}"
