# SPDX-License-Identifier: MIT
"""files.py -- a file from one host to another: a sender and a receiver of the same tool.

Both are started as their manuals show it.  BIG files have no blocks on the disk, and are so
big that nobody is done with them when he is stopped or killed.
"""
import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time

from peers import (LIMIT_S, HANGS, Peer, failed, listening, nobody, status, wait_code, wait_until)
from table import TENON, Column, Table

BIG = 8 << 30

# The disk is full after 1 MB: of that kind a process can have one of its own.
FULL_DISK = ["sh", "-c", 'trap "" XFSZ; ulimit -f 2000; exec "$@"', "sh"]


class Pair(Column):
    """Words to SEND the FILE or standard input to PORT and to RECEIVE, and 2 s for silence."""

    def __init__(self, title, program, send, receive, limit, version=("--version",)):
        super().__init__(title, program, version)
        self.send_words, self.receive_words, self.limit = send, receive, limit

    def sending(self, file, port, limited=False):
        """The sender of FILE, running."""
        words = self.send_words.replace("PORT", str(port)).split()
        words = [word.replace("FILE", file) for word in words]
        limit = self.limit.split() if limited else []
        with open(file, "rb") as data:
            return subprocess.Popen([self.program, *limit, *words], stdin=data,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    @contextlib.contextmanager
    def receiving(self, folder, prefix=(), limited=False):
        """A receiver into FOLDER/received, running behind PREFIX."""
        def command(port):
            words = self.receive_words.replace("PORT", str(port)).replace("FOLDER", folder)
            limit = self.limit.split() if limited else []
            return [*prefix, self.program, *limit, *words.split()]

        with contextlib.ExitStack() as stack:
            out = subprocess.DEVNULL
            if "FOLDER" not in self.receive_words:
                out = stack.enter_context(open(f"{folder}/received", "wb"))
            yield stack.enter_context(listening(command, stdout=out))


PAIRS = [
    Pair("tenon send", TENON, "send --retries 0 127.0.0.1:PORT FILE", "recv 127.0.0.1:PORT FOLDER",
         "--max-time 2s"),
    Pair("nc.openbsd -N", "nc.openbsd", "-N 127.0.0.1 PORT", "-l 127.0.0.1 PORT", "-w 2", ("-h",)),
    Pair("nc.traditional -q 1", "nc.traditional", "-q 1 127.0.0.1 PORT",
         "-l -s 127.0.0.1 -p PORT", "-w 2", ("-h",)),
    Pair("ncat --send-only", "ncat", "--send-only 127.0.0.1 PORT",
         "-l --recv-only 127.0.0.1 PORT", "-i 2s"),
    Pair("socat -u", "socat", "-u - TCP:127.0.0.1:PORT", "-u TCP-LISTEN:PORT,bind=127.0.0.1 -",
         "-T 2", ("-V",)),
]


@contextlib.contextmanager
def file_of(size):
    """A file called `received` of SIZE bytes, and a folder for the receiver's."""
    with tempfile.TemporaryDirectory(prefix="closing-") as top:
        for name in ("from", "to"):
            os.mkdir(f"{top}/{name}")
        with open(f"{top}/from/received", "wb") as file:
            file.write(os.urandom(min(size, 5_000_000)))
            file.truncate(size)
        yield f"{top}/from/received", f"{top}/to"


def arrived(folder):
    """Bytes in all files of FOLDER, those under other names for the time being, too."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.path.getsize(os.path.join(path, name))
    return total


def ending_of(process):
    """The exit code of a sender, or HANGS, in which case it is killed."""
    code = wait_code(process)
    process.kill()
    process.communicate()
    return code


def arrives(pair):
    """5 MB arrive as they were: both exit 0"""
    with file_of(5_000_000) as (file, folder), pair.receiving(folder) as (receiver, port):
        codes = ending_of(pair.sending(file, port)), wait_code(receiver)
        with open(file, "rb") as one, open(f"{folder}/received", "rb") as other:
            same = one.read() == other.read()
    return (f"{'all' if same else 'not all'}, " + " / ".join(map(str, codes)),
            same and codes == (0, 0))


def receiver_killed(pair):
    """the receiver is killed half-way: not 0"""
    with file_of(BIG) as (file, folder), pair.receiving(folder) as (receiver, port):
        sender = pair.sending(file, port)
        wait_until(lambda: arrived(folder) > 0)
        receiver.kill()
        receiver.wait()
        code = ending_of(sender)
    return status(code), failed(code)


def receiver_stops(pair):
    """the receiver stops half-way and takes no more; 2 s: not 0"""
    with file_of(BIG) as (file, folder), pair.receiving(folder) as (receiver, port):
        sender = pair.sending(file, port, limited=True)
        wait_until(lambda: arrived(folder) > 0)
        receiver.send_signal(signal.SIGSTOP)
        code = ending_of(sender)
    return status(code), failed(code)


def receiver_has_no_room(pair):
    """the receiver's disk is full after 1 of 20 MB: not 0, on both sides"""
    with file_of(20_000_000) as (file, folder), \
            pair.receiving(folder, FULL_DISK) as (receiver, port):
        codes = ending_of(pair.sending(file, port)), wait_code(receiver)
    return "exit " + " / ".join(map(str, codes)), all(map(failed, codes))


def sender_killed(pair):
    """the sender is killed half-way, receiver with 2 s: not 0, and no half file"""
    with file_of(BIG) as (file, folder), \
            pair.receiving(folder, limited=True) as (receiver, port):
        sender = pair.sending(file, port)
        wait_until(lambda: arrived(folder) > 0)
        sender.kill()
        sender.communicate()
        code, half = wait_code(receiver), os.path.exists(f"{folder}/received")
    return f"{status(code)}, {'half a file' if half else 'none'}", failed(code) and not half


def closes_unread(pair):
    """a peer that closes, 60 KB unread: not 0"""
    def script(conn):
        conn.recv(1, socket.MSG_PEEK)
        time.sleep(0.3)

    with file_of(60_000) as (file, _):
        code = ending_of(pair.sending(file, Peer(script).port, limited=True))
    return status(code), failed(code)


def never_accepts(pair):
    """a peer that never accepts; 2 s: not 0"""
    peer = Peer()
    with file_of(60_000) as (file, _):
        code = ending_of(pair.sending(file, peer.port, limited=True))
    return status(code), failed(code)


def refused(pair):
    """nobody listens: not 0, and a line that says so"""
    port, taken = nobody()
    with taken, file_of(60_000) as (file, _):
        sender = pair.sending(file, port)
        try:
            _, err = sender.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            sender.kill()
            sender.communicate()
            return HANGS, False
    said = b"refused" in err
    return (f"exit {sender.returncode}, {'says so' if said else 'silent'}",
            sender.returncode != 0 and said)


TABLE = Table(
    "Files",
    "A sender and a receiver of the same tool; `tenon send --retries 0`, as by itself it waits for "
    "the receiver to come back, and `tenon recv`, the others into `> file`.",
    PAIRS,
    [arrives, receiver_killed, receiver_stops, receiver_has_no_room, sender_killed, closes_unread,
     never_accepts, refused],
    "To tell a sender's death from its end takes a receipt: plain `tenon` cannot do it, either. ")
