# SPDX-License-Identifier: MIT
"""The transfer format, spoken by hand from docs/transfer.md; and things to be in its way.

Speaker is either side of a session; Gatekeeper stands between the two commands, counts
messages and bytes, and holds or resets the connection where it is told to.
"""
import contextlib
import hashlib
import hmac
import os
import socket
import struct
import subprocess
import threading

from rig import LIMIT_S, Skip, read_all, reset, stop_accepting

HELLO, HEAD = 48, 5
MAGIC = {"sender": b"tenon-s\n", "receiver": b"tenon-r\n"}
(VERSION, TOKEN, PROTOCOL, EXISTS, NAME, SPACE, DENIED, BUSY, DIGEST, FILE,
 STOPPED) = range(1, 12)


class Refused(Exception):
    """The other side sent an error message."""

    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


def sha(data):
    return hashlib.sha256(data).digest()


class Speaker:
    """One side of a session on the socket CONN."""

    def __init__(self, conn, role="sender"):
        self.conn, self.role = conn, role
        self.other = "receiver" if role == "sender" else "sender"
        conn.settimeout(LIMIT_S)

    def take(self, size):
        data = b""
        while len(data) < size:
            piece = self.conn.recv(size - len(data))
            if not piece:
                raise EOFError(f"ended after {len(data)} of {size} bytes")
            data += piece
        return data

    def greet(self, token=None, version=1, magic=None, flags=None, proof=None):
        """Exchange hellos, and proofs if there is a TOKEN."""
        flags = (1 if token else 0) if flags is None else flags
        ours = (magic or MAGIC[self.role]) + struct.pack(">HHI", version, flags, 0) + os.urandom(32)
        if self.role == "sender":
            self.conn.sendall(ours)
            theirs = self.take(HELLO)
            hellos = ours + theirs
        else:
            theirs = self.take(HELLO)
            self.conn.sendall(ours)
            hellos = theirs + ours
        assert theirs[:8] == MAGIC[self.other], theirs
        assert struct.unpack(">H", theirs[8:10]) == (1,), theirs
        if token:
            prove = lambda side: hmac.new(token.encode(), side + hellos, "sha256").digest()
            mine, other = (b"s", b"r") if self.role == "sender" else (b"r", b"s")
            if self.role == "sender":
                self.send("P", proof or prove(mine))
                assert self.expect("P") == prove(other)
            else:
                assert self.expect("P") == prove(other)
                self.send("P", proof or prove(mine))
        return self

    def send(self, kind, body=b""):
        self.conn.sendall(kind.encode() + struct.pack(">I", len(body)) + body)

    def read(self):
        head = self.take(HEAD)
        body = self.take(struct.unpack(">I", head[1:])[0])
        if head[:1] == b"X":
            raise Refused(struct.unpack(">H", body[:2])[0], body[2:].decode())
        return head[:1].decode(), body

    def expect(self, kind):
        got, body = self.read()
        assert got == kind, f"{got} where {kind} belongs"
        return body

    def offer(self, name, size, mode=0o644, mtime=(1, 2), kind="f"):
        self.send("O", kind.encode() + struct.pack(">HqIQ", mode, *mtime, size) + name)

    def at(self):
        """The receiver's answer: whole or not, offset, digest."""
        body = self.expect("A")
        return body[:1] == b"h", struct.unpack(">Q", body[1:9])[0], body[9:]

    def go(self, offset):
        self.send("G", struct.pack(">Q", offset))

    def end(self, data):
        self.send("E", struct.pack(">Q", len(data)) + sha(data))

    def receipt(self):
        body = self.expect("R")
        return struct.unpack(">Q", body[:8])[0], body[8:]

    def give(self, name, data, **how):
        """All of one file, and its receipt."""
        self.offer(name, len(data), **how)
        assert self.at() == (False, 0, sha(b""))
        self.go(0)
        for at in range(0, len(data), 100_000):
            self.send("D", data[at:at + 100_000])
        self.end(data)
        assert self.receipt() == (len(data), sha(data))

    def finish(self, files, size):
        self.send("Z", struct.pack(">QQ", files, size))
        assert self.expect("Z") == struct.pack(">QQ", files, size)
        self.conn.shutdown(socket.SHUT_WR)
        assert read_all(self.conn) == b""


def refusal(act):
    """The code with which ACT is refused, and what is said."""
    try:
        act()
    except Refused as why:
        return why.code, why.text
    raise AssertionError("it was not refused")


class Pair:
    """A connection of the Gatekeeper on both its sides, NEAR and FAR, for two threads.

    It is closed by the thread that ends last: the number of a socket that is closed while
    somebody waits for it may be another's by the time that he looks again.
    """

    def __init__(self, near, far, limited):
        self.near, self.far, self.limited = near, far, limited
        self.threads, self.broken = 2, False

    def tear(self):
        """Its end will be a reset; who waits for what comes in is woken."""
        self.broken = True
        for conn in (self.near, self.far):
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):  # the other side was first
                conn.shutdown(socket.SHUT_RD)

    def leave(self):
        self.threads -= 1
        if self.threads == 0:
            self.near.close()
            self.far.close()


class Gatekeeper:
    """A relay from PORT to TARGET; it looks at the messages.

    The first connection is reset, on both sides, after MESSAGES of them in both directions
    together, hellos counting as one each; and no data passes ALLOWANCE bytes until there is
    another one.
    """

    def __init__(self, target, messages=None, allowance=None):
        self.target, self.messages, self.allowance = target, messages, allowance
        self.connections, self.passed, self.seen = 0, 0, 0
        self.pairs = []
        self.lock = threading.Condition()
        self.socket = socket.create_server(("127.0.0.1", 0))
        # Small, so that what is held is held at the sender's.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.port = self.socket.getsockname()[1]
        self.over = False
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over = True
        self.allow(None)
        stop_accepting(self.socket, self.thread)

    def allow(self, allowance):
        with self.lock:
            self.allowance = allowance
            self.lock.notify_all()

    def turn_to(self, target, more):
        """Lead to TARGET, and let MORE bytes pass; what is under way to the old one is lost."""
        with self.lock:
            for pair in self.pairs:
                pair.tear()
            self.target = target
            self.allowance = None if more is None else self.passed + more
            self.lock.notify_all()

    def _accept(self):
        while not self.over:
            try:
                near, _ = self.socket.accept()
            except OSError:
                return
            with self.lock:
                try:
                    far = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    reset(near)
                    continue
                self.connections += 1
                pair = Pair(near, far, self.connections == 1 and self.messages is not None)
                self.pairs.append(pair)
            for ends in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(pair, *ends), daemon=True).start()

    def _pass(self, pair, source, sink):
        try:
            self._pass_messages(pair, Speaker(source), sink)
        except EOFError:
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            with self.lock:
                pair.tear()
                self.lock.notify_all()
        with self.lock:
            pair.leave()
            if pair.threads == 0:
                self.pairs.remove(pair)

    def _pass_messages(self, pair, speaker, sink):
        first = True
        while True:
            if first:
                message = speaker.take(HELLO)
            else:
                head = speaker.take(HEAD)
                message = head + speaker.take(struct.unpack(">I", head[1:])[0])
            first = False
            with self.lock:
                self._wait_for_allowance(pair)
                if pair.limited and self.seen >= self.messages:
                    raise ConnectionResetError
                self.seen += 1
                self.passed += len(message)
            sink.sendall(message)
            if pair.limited and self.seen >= self.messages:
                raise ConnectionResetError

    def _wait_for_allowance(self, pair):
        while not pair.broken and self.allowance is not None and self.passed > self.allowance:
            if not self.lock.wait(LIMIT_S):
                raise ConnectionResetError
        if pair.broken:
            raise ConnectionResetError


def strace(*options):
    """What to put before the command, and its environment; skips where there is no tracing."""
    try:
        traced = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True,
                                check=False).returncode == 0
    except FileNotFoundError:
        traced = False
    if not traced:
        raise Skip("strace cannot trace here")
    env = {**os.environ, "TENON_DRIVER": "epoll",  # which sends by plain calls
           "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
    return {"prefix": ["strace", "-f", *options], "env": env}


def make_tree(folder, sizes, data):
    """Files of SIZES from DATA below FOLDER, in folders, with modes and times of their own."""
    for number, size in enumerate(sizes):
        where = os.path.join(folder, f"part{number % 3}", "deep" if number % 2 else "")
        os.makedirs(where, exist_ok=True)
        path = os.path.join(where, f"file {number}")
        with open(path, "wb") as file:
            file.write(data[number:number + size])
        os.chmod(path, (0o600, 0o644, 0o755, 0o444)[number % 4])
        os.utime(path, ns=(0, 1_000_000_007 * (number + 1)))


def listing(folder):
    """Every name below FOLDER with its mode, time and content's digest."""
    found = {}
    for where, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(where, name)
            status = os.lstat(path)
            digest = ""
            if name in files:
                with open(path, "rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[os.path.relpath(path, folder)] = (status.st_mode, status.st_mtime_ns, digest)
    return found


def parts(folder):
    """The temporary files below FOLDER, with their sizes."""
    return {os.path.join(where, name): os.stat(os.path.join(where, name)).st_size
            for where, _, files in os.walk(folder) for name in files
            if name.startswith(".tenon-")}


def arrived(folder):
    """The bytes of all files below FOLDER, whole or not."""
    total = 0
    for where, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.stat(os.path.join(where, name)).st_size
            except FileNotFoundError:
                pass  # it has just got its name
    return total
