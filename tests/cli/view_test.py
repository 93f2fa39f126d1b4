#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tenon ctl NAME view: the rows of clients that top and the dashboard show."""
import contextlib
import signal
import socket
import threading
import time

from relay_rig import Relay, Target, forgiving
from rig import LIMIT_S, Server, expect, run, tenon, test, wait_for
from watching import Folder, ask, echo, hold


def of(events, name):
    return [event for event in events if event["ev"] == name]


def ids(name, *words):
    return [client["id"] for client in of(ask(name, "view", *words), "client")]


@test
def rows_come_in_order_from_the_first_to_the_last_asked_for():
    with Folder(), contextlib.ExitStack() as stack, Target(forgiving(echo)) as target, \
            Relay(target, options=("--name", "r")) as relay:
        conns = [stack.enter_context(relay.connect()) for _ in range(5)]
        wait_for(lambda: target.served == 5, "all")
        for conn, size in zip(conns, (30, 10, 50, 0, 20)):
            conn.sendall(b"x" * size)
            got = 0
            while got < size:
                got += len(conn.recv(size))
        port = [conn.getsockname()[1] for conn in conns]
        by_port = {int(client["where"].rsplit(":", 1)[1]): client["id"]
                   for client in of(ask("r", "view"), "client")}
        one, two, three, four, five = (by_port[number] for number in port)
        by_size = [three, one, five, two, four]
        wait_for(lambda: ids("r", "in") == by_size, "the order by bytes in")
        assert ids("r", "out") == by_size
        oldest_first = sorted(by_port.values())
        assert ids("r", "age") == oldest_first
        assert ids("r", "new") == oldest_first[::-1]
        assert ids("r", "in", "1", "3") == by_size[1:4]
        assert ids("r", "in", "4", "200") == by_size[4:] and ids("r", "in", "5", "9") == []
        assert ids("r", "age", "0", "0") == []
        view, = of(ask("r", "view", "in", "1", "2"), "view")
        assert (view["matched"], view["first"], view["order"]) == (5, 1, "in")


@test
def pages_of_many_clients_hold_each_of_them_once_in_order():
    with Folder(), contextlib.ExitStack() as stack, Target(forgiving(hold)) as target, \
            Relay(target, options=("--name", "r")) as relay:
        conns = [stack.enter_context(relay.connect()) for _ in range(600)]
        for number, conn in enumerate(conns):
            conn.sendall(bytes(number * 7919 % 101))
        wait_for(lambda: of(ask("r", "view"), "process")[0]["in"] ==
                 sum(number * 7919 % 101 for number in range(600)), "all bytes")
        time.sleep(1)  # until there may be a new look
        whole = {}
        for first in range(0, 600, 200):
            for client in of(ask("r", "view", "in", first, "200"), "client"):
                whole[client["id"]] = client["in"]
        assert len(whole) == 600
        ordered = sorted(whole, key=lambda number: (-whole[number], number))
        for order, wanted in (("in", ordered), ("age", sorted(whole)),
                              ("new", sorted(whole, reverse=True))):
            for first, count in ((0, 200), (0, 1), (1, 3), (37, 101), (299, 2), (599, 9), (590, 200)):
                assert ids("r", order, first, count) == wanted[first:first + count], (order, first)


@test
def clients_may_leave_and_come_while_they_are_looked_at():
    with Folder(), Server("serve", "discard", "127.0.0.1:0", "--name", "s") as server, \
            contextlib.ExitStack() as stack:
        for _ in range(600):  # more than are looked at in one go
            stack.enter_context(server.connect())
        over = threading.Event()

        def churn():
            while not over.is_set():
                server.connect().close()
        thread = threading.Thread(target=churn)
        thread.start()
        try:
            begin = time.monotonic()
            while time.monotonic() - begin < 2.5:  # some looks
                assert len(ids("s", "age", "0", "200")) == 200
        finally:
            over.set()
            thread.join()
        wait_for(lambda: of(ask("s", "view"), "view")[0]["matched"] == 600, "the others to go")
    assert server.process.returncode == -signal.SIGKILL  # as all servers of tests, not before


@test
def a_filter_finds_clients_and_targets():
    with Folder(), Target(hold) as target, Relay(target, options=("--name", "r")) as relay, \
            relay.connect() as one, relay.connect():
        wait_for(lambda: target.served == 2, "both")
        wait_for(lambda: all("target" in client for client in of(ask("r", "view"), "client")),
                 "both passed on")
        mine = f"1:{one.getsockname()[1]}"
        client, = of(ask("r", "view", "age", "0", "9", mine), "client")
        assert client["where"].endswith(mine)
        assert len(ids("r", "age", "0", "9", target.where)) == 2
        assert of(ask("r", "view", "age", "0", "9", "nowhere"), "view")[0]["matched"] == 0


@test
def what_makes_no_sense_is_refused():
    with Folder(), Server("serve", "echo", "127.0.0.1:0", "--name", "s"):
        for words, why in ((("size",), "sorted by"), (("rate", "x"), "from which row"),
                           (("rate", "0", "201"), "200 at most"),
                           (("rate", "0", "9", "x" * 64), "too long")):
            expect(tenon("ctl", "s", "view", *words), 1, why)


@test
def rates_are_those_between_two_looks():
    with Folder(), Target(forgiving(echo)) as target, \
            Relay(target, options=("--name", "r")) as relay, relay.connect() as conn:
        conn.sendall(b"x")
        assert conn.recv(1) == b"x"
        begin = time.monotonic()
        ask("r", "view")  # the first look
        conn.sendall(b"y" * 30000)
        got = 0
        while got < 30000:
            got += len(conn.recv(30000))

        def rates():
            events = ask("r", "view")
            return events if of(events, "view")[0]["in_rate"] else None

        events = wait_for(rates, "a second look")
        least = 30000 / (time.monotonic() - begin)
        (view,), (client,) = of(events, "view"), of(events, "client")
        for event in (view, client):
            assert least * 0.9 <= event["in_rate"] <= 34000, (least, event)
            assert least * 0.9 <= event["out_rate"] <= 34000, (least, event)
        assert client["trend"].endswith("7") and client["trend"].startswith("0"), client


def limited(name, words):
    """Whether NAME's one client is said to be held up by WORDS."""
    client, = of(ask(name, "view"), "client")
    return client["limited"] == words and client


@test
def a_client_that_does_not_read_is_what_holds_it_up():
    with Folder(), Server("serve", "chargen", "127.0.0.1:0", "--name", "s") as server, \
            Relay(server.addr, options=("--name", "r")) as relay:
        with socket.socket() as conn:
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            conn.connect(("127.0.0.1", relay.port))
            client = wait_for(lambda: limited("r", "client's window"), "the window")
            assert client["limited_percent"] > 25 and client["unacked"] > 0, client


@test
def silence_is_idle_and_a_fault_is_ours():
    with Folder(), Target(hold) as target, Relay(target, options=("--name", "r")) as relay, \
            relay.connect() as conn:
        wait_for(lambda: limited("r", "idle"), "silence")
        ask("r", "fault", "halfopen")
        conn.sendall(b"stuck")
        wait_for(lambda: limited("r", "us: fault"), "the fault")


@test
def many_clients_are_seen_a_page_at_a_time():
    with Folder(), contextlib.ExitStack() as stack, \
            Server("serve", "echo", "127.0.0.1:0", "--name", "s") as server:
        for _ in range(300):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port),
                                                         timeout=LIMIT_S))
        wait_for(lambda: of(ask("s", "view", "age", "0", "0"), "view")[0]["matched"] == 300, "all")
        assert ids("s", "age") == list(range(1, 201))
        assert ids("s", "age", "200", "200") == list(range(201, 301))


run()
