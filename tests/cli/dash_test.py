#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""--dash: the page and its events, and readers that are slow, dead or too many."""
import contextlib
import json
import re
import select
import socket
import time

from relay_rig import Target, forgiving
from rig import LIMIT_S, Server, ends_in_reset, expect, read_all, run, tenon, test, wait_for
from schema import check
from watching import Folder, Shown, echo, hold


class Reader:
    """Somebody who looks at the dashboard; FRAMES come one by one."""

    def __init__(self, port, query="", buffer=0):
        self.conn = socket.socket()
        if buffer:
            self.conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.conn.settimeout(LIMIT_S)
        self.conn.connect(("127.0.0.1", port))
        self.conn.sendall(f"GET /events?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self.file = self.conn.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.conn.close()

    def head(self):
        """The status, once all of the head is read."""
        status = int(self.file.readline().split()[1])
        while self.file.readline().strip():
            pass
        return status

    def frame(self):
        line = self.file.readline()
        assert line.startswith(b"data: ["), line[:80]
        assert self.file.readline() == b"\n"
        return [check(event) for event in json.loads(line[6:])]


def kinds(frame):
    return [event["ev"] for event in frame]


@test
def the_page_is_whole_and_asks_nobody_else():
    with Target() as target, Shown(target) as relay:
        answer, body = relay.get("/")
        page = body.decode()
        assert answer.status == 200 and answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert page.startswith("<!doctype html>") and page.endswith("</html>\n")
        assert "Copyright (c) 2022 Leon Sorokin" in page  # uPlot's licence goes with it
        assert "default-src 'none'" in page
        assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", page)
        assert relay.get("/other")[0].status == 404


@test
def frames_come_and_tell_what_there_is():
    with Target(forgiving(echo)) as target, Shown(target) as relay, relay.connect() as conn, \
            Reader(relay.dash_port) as reader:
        assert reader.head() == 200
        frame = reader.frame()
        while "target" not in frame[-1]:  # not passed on yet
            frame = reader.frame()
        assert kinds(frame) == ["process", "target", "fault", "fault", "view", "client"], frame
        assert frame[0]["connected"] == 1 and frame[1]["up"] is True
        assert frame[-1]["where"].endswith(f":{conn.getsockname()[1]}")
        conn.sendall(b"x" * 5000)
        while not reader.frame()[-1]["in_rate"]:
            pass
    with Server("serve", "echo", "127.0.0.1:0", "--dash", "0") as server:
        addr = wait_for(lambda: server.events("dashboard"), "the dashboard")[0]["addr"]
        with Reader(int(addr.rsplit(":", 1)[1])) as reader:
            assert reader.head() == 200 and kinds(reader.frame()) == ["process", "view"]


@test
def a_reader_chooses_order_page_and_filter():
    with Target(forgiving(hold)) as target, contextlib.ExitStack() as stack, \
            Shown(target) as relay:
        conns = [stack.enter_context(relay.connect()) for _ in range(60)]
        wait_for(lambda: target.served == 60, "all")
        mine = conns[7].getsockname()[1]
        for query, shown in (("sort=age", list(range(1, 51))),
                             ("sort=age&first=50", list(range(51, 61))),
                             ("sort=new&first=55", [5, 4, 3, 2, 1])):
            with Reader(relay.dash_port, query) as reader:
                assert reader.head() == 200
                assert [event["id"] for event in reader.frame() if event["ev"] == "client"] == shown
        with Reader(relay.dash_port, f"filter=%3A{mine}&sort=rate") as reader:
            assert reader.head() == 200
            only, = [event for event in reader.frame() if event["ev"] == "client"]
            assert only["where"].endswith(f":{mine}")
        for query in ("sort=size", "first=-1", "first=x", "filter=%4", "filter=%zz", "filter=%00",
                      "filter=" + "x" * 70, "sort=" + "x" * 40):
            with Reader(relay.dash_port, query) as reader:
                assert reader.head() == 400, query


@test
def there_are_eight_views_at_most_and_a_place_is_free_again():
    with Target() as target, Shown(target) as relay, contextlib.ExitStack() as stack:
        readers = [stack.enter_context(Reader(relay.dash_port, f"first={i}")) for i in range(8)]
        assert [reader.head() for reader in readers] == [200] * 8
        with Reader(relay.dash_port, "first=3") as another, \
                Reader(relay.dash_port, "first=8") as too_many:
            assert another.head() == 200 and too_many.head() == 503
        readers[0].__exit__()

        def free():
            with Reader(relay.dash_port, "first=8") as reader:
                return reader.head() == 200
        wait_for(free, "a free place")


@test
def a_hundred_dashboards_and_a_killed_one_do_not_hold_up_the_relay():
    with Target(forgiving(echo)) as target, Shown(target) as relay, \
            contextlib.ExitStack() as stack, relay.connect() as conn:
        readers = [stack.enter_context(Reader(relay.dash_port)) for _ in range(100)]
        assert [reader.head() for reader in readers] == [200] * 100
        conn.sendall(b"x")
        assert conn.recv(1) == b"x"
        for reader in readers[:50]:
            assert kinds(reader.frame())[0] == "process"
        for reader in readers[50:]:  # gone without a word
            reader.__exit__()
        for _ in range(100):
            conn.sendall(b"y")
            assert conn.recv(1) == b"y"
        for reader in readers[:50]:
            assert kinds(reader.frame())[0] == "process"
        assert relay.get("/")[0].status == 200


@test
def a_reader_that_reads_nothing_is_let_go_and_others_get_theirs():
    with Target(forgiving(hold)) as target, contextlib.ExitStack() as stack, \
            Shown(target) as relay:
        for _ in range(50):
            stack.enter_context(relay.connect())
        with Reader(relay.dash_port, buffer=2048) as dead, Reader(relay.dash_port) as alive:
            assert alive.head() == 200
            frames, begin = 0, time.monotonic()
            # Frames pile up in its buffers; once they are full, its patience ends.
            while not was_let_go(dead.conn) and time.monotonic() - begin < LIMIT_S:
                alive.frame()
                frames += 1
            assert was_let_go(dead.conn) and frames >= 5, frames
            data, was_reset = ends_in_reset(dead.conn)
            assert was_reset and len(data) < 400000, len(data)  # bounded: not all frames


def was_let_go(conn):
    """Whether CONN has been reset, behind what it has not read."""
    poll = select.poll()
    poll.register(conn, 0)
    events = poll.poll(0)
    return bool(events and events[0][1] & select.POLLERR)


@test
def the_relay_ends_although_somebody_looks():
    with Target() as target, Shown(target) as relay, Reader(relay.dash_port) as reader:
        assert reader.head() == 200
        reader.frame()
        assert relay.stop().code == 0
        with contextlib.suppress(ConnectionResetError):
            read_all(reader.conn)


@test
def more_than_256_are_reset():
    with Target() as target, Shown(target) as relay, contextlib.ExitStack() as stack:
        readers = [stack.enter_context(Reader(relay.dash_port)) for _ in range(256)]
        assert [reader.head() for reader in readers] == [200] * 256
        with contextlib.suppress(ConnectionResetError), \
                socket.create_connection(("127.0.0.1", relay.dash_port), timeout=LIMIT_S) as conn:
            conn.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert ends_in_reset(conn)[0] == b""  # not the page
        assert relay.ask(b"still there") == b"still there"


@test
def an_address_that_is_taken_is_an_error_at_the_beginning():
    with Folder(), Server("serve", "echo", "127.0.0.1:0") as other:
        for words in (("relay", "127.0.0.1:0", "127.0.0.1:9"), ("serve", "echo", "127.0.0.1:0")):
            result = tenon(*words, "--dash", other.addr)
            assert result.code == 4 and "Address already in use" in result.err, result
    expect(tenon("doctor", "--dash", "0"), 2, "does not take it")


run()
