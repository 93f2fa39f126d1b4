# SPDX-License-Identifier: MIT
"""What the tests of those who watch share (ctl, top, the dashboard): a registry of their own."""
import contextlib
import http.client
import json
import os
import resource
import tempfile

from relay_rig import Relay
from rig import LIMIT_S, Server, Skip, collect, expect, read_all, start, tenon, wait_for
from schema import check


def hold(conn):
    """A target that says nothing."""
    read_all(conn)


def echo(conn):
    while piece := conn.recv(1 << 16):
        conn.sendall(piece)


class Folder:
    """A registry of the test's own."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        os.environ["XDG_RUNTIME_DIR"] = self.folder.name
        self.path = os.path.join(self.folder.name, "tenon")
        return self

    def __exit__(self, *_):
        self.folder.cleanup()


def ask(*words):
    """The objects of an answer of `tenon ctl` that says it is done."""
    result = expect(tenon("ctl", "--json", "--max-time", f"{LIMIT_S}s", *words), 0)
    events = [check(json.loads(line)) for line in result.out.decode().splitlines()]
    assert events[-1]["ev"] == "done" and events[-1]["ok"], events
    return events[:-1]


@contextlib.contextmanager
def crowd(count, options=()):
    """A relay called `edge` with COUNT clients, a few of which say something at a time."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < 2 * count + 1600:  # a relay keeps some for itself
        raise Skip(f"a process may open no more than {most} files here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with Server("serve", "echo", "127.0.0.1:0") as target, \
            Shown(target.addr, options=("--name", "edge", *options)) as relay:
        clients = start("bench", "load", relay.addr, "-c", count, "--rate", 200, "--send",
                        100 * "x" + r"\n", "--expect", "x", "--duration", "10m")
        try:
            wait_for(lambda: ask("edge", "status", "brief")[0]["connected"] == count,
                     "all clients", clients)
            yield relay
        finally:
            clients.kill()
            collect(clients)


class Shown(Relay):
    """A relay with --dash on a port of its own."""

    def __init__(self, *targets, options=()):
        super().__init__(*targets, options=("--dash", "0", *options))

    def __enter__(self):
        super().__enter__()
        addr = wait_for(lambda: self.events("dashboard"), "the dashboard")[0]["addr"]
        assert addr.startswith("127.0.0.1:"), addr
        self.dash_port = int(addr.rsplit(":", 1)[1])
        return self

    def get(self, path):
        conn = http.client.HTTPConnection("127.0.0.1", self.dash_port, timeout=LIMIT_S)
        conn.request("GET", path)
        answer = conn.getresponse()
        body = answer.read()
        conn.close()
        return answer, body
