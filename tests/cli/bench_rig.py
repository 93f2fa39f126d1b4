# SPDX-License-Identifier: MIT
"""What the tests of tenon bench share: running it, and services to be measured."""
import contextlib
import json
import socket
import threading

from rig import Server, expect, stop_accepting, tenon, wait_for
from schema import check

HELLO = b"tenon-bench/1 "
SHORT = ("--warmup", "0", "--duration", "300ms", "--interval", "100ms")
PING = ("--send", r"PING\r\n", "--expect", "+PONG")


def bench(*args, code=0, err=None, times=SHORT):
    """Run the bench with JSON on standard output: its objects, all of which fit the schema."""
    result = expect(tenon("bench", *args, *times, "--json"), code, err)
    return [check(json.loads(line)) for line in result.out.splitlines()]


def result_of(events):
    found = [event for event in events if event["ev"] == "result"]
    assert len(found) == 1 and events[-1] is found[0], events
    return found[0]


def warnings_of(events):
    return " / ".join(event["text"] for event in events if event["ev"] == "warning")


@contextlib.contextmanager
def peer():
    with Server("serve", "bench", "127.0.0.1:0") as server:
        yield server
        if server.process.poll() is None:
            assert server.stop().code == 0


def closes(server, count):
    """The close events of COUNT clients."""
    return wait_for(lambda: len(server.events("close")) >= count and server.events("close"),
                    "the clients' ends", server.process)


class Service:
    """A server for any number of clients: SCRIPT(conn, number) for each, in threads."""

    def __init__(self, script):
        self.script, self.count = script, 0
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.where = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                conn, _ = self.socket.accept()
                conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.count += 1
                threading.Thread(target=self._serve, args=(conn, self.count), daemon=True).start()

    def _serve(self, conn, number):
        with conn, contextlib.suppress(OSError):
            self.script(conn, number)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop_accepting(self.socket, self.thread)


def answer_with(make, good=0):
    """A script: GOOD right answers to PING, then make(conn)."""
    def script(conn, _):
        for _ in range(good):
            if not conn.recv(100):
                return
            conn.sendall(b"+PONG\r\n")
        conn.recv(100)
        make(conn)
    return script
