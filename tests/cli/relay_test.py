#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tenon relay: every byte, every ending, and what is told of them."""
import signal
import socket
import tempfile
import threading

from relay_rig import Relay, Target
from relay_storm import storm
from rig import (LIMIT_S, Peer, Server, ends_in_reset, expect, listens, pattern, read_all, reset, run, tenon,
                 test, wait_for)


def closed(relay, count=1):
    """The first COUNT `close` events."""
    return wait_for(lambda: len(relay.closes()) >= count and relay.closes(), "the close")[:count]


# ---------------------------------------------------------------- both ways, to the last byte

@test
def a_target_without_a_host_is_this_host():
    with Target() as target, Relay(f":{target.port}") as relay:
        assert relay.ask(b"hello") == b"hello"


@test
def a_late_reply_comes_whole_after_the_clients_end():
    with Target() as target, Relay(target) as relay:
        assert relay.ask(pattern(3_000_000)) == pattern(3_000_000)
        event = closed(relay)[0]
        assert (event["ok"], event["reason"], event["how"]) == (True, "eof", "clean"), event
        assert [event[name] for name in ("in", "target_out", "target_in", "out", "lost")] == \
            [3_000_000] * 4 + [0]


@test
def a_late_request_goes_whole_after_the_targets_end():
    def end_first(conn):
        conn.sendall(b"greeting")
        conn.shutdown(socket.SHUT_WR)
        got.append(read_all(conn))

    got = []
    with Target(end_first) as target, Relay(target) as relay, relay.connect() as conn:
        assert read_all(conn) == b"greeting"
        conn.sendall(pattern(2_000_000))
        conn.shutdown(socket.SHUT_WR)
        assert closed(relay)[0]["ok"]
        wait_for(lambda: got, "the target to have read it")
        assert got == [pattern(2_000_000)]


def has_keepalive(port, target_port):
    """Whether the connection from PORT to TARGET_PORT has a timer for it (proc_net_tcp.txt)."""
    for line in open("/proc/net/tcp", encoding="ascii").readlines()[1:]:
        words = line.split()
        if [int(word.split(":")[1], 16) for word in words[1:3]] == [port, target_port]:
            return words[5].startswith("02:")
    raise AssertionError("no such connection")


@test
def a_connection_that_lasts_gets_keepalive_at_the_target_too():
    with Target(read_all) as target, Relay(target) as relay, relay.connect() as one:
        one.sendall(b"x")
        wait_for(lambda: target.conns, "the target")
        ports = target.conns[0].getpeername()[1], target.port
        assert not has_keepalive(*ports)
        relay.process.send_signal(signal.SIGALRM)  # the alarm that it has set, a little early
        wait_for(lambda: has_keepalive(*ports), "keepalive")
        with relay.connect() as other:  # for whom another one is set
            other.sendall(b"x")
            wait_for(lambda: len(target.conns) == 2, "the target")
            relay.process.send_signal(signal.SIGALRM)
            wait_for(lambda: has_keepalive(target.conns[1].getpeername()[1], target.port), "keepalive")


@test
def many_clients_at_once_each_get_their_own_bytes():
    def talk(number):
        if relay.ask(pattern(400_000, seed=number)) != pattern(400_000, seed=number):
            wrong.append(number)

    wrong = []
    with Target() as target, Relay(target) as relay:
        threads = [threading.Thread(target=talk, args=(i,)) for i in range(60)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong, wrong
        result = relay.stop()
        assert result.code == 0 and "60 clients, 22.9 MiB up, 22.9 MiB down, 60 ended clean, " \
            "0 otherwise" in result.err, result


@test
def a_client_that_does_not_read_holds_up_nobody():
    with Server("serve", "chargen", "127.0.0.1:0") as source, Target() as target, \
            Relay(source.addr) as deaf, Relay(target) as relay:
        conns = [deaf.connect() for _ in range(20)]
        assert relay.ask(pattern(1_000_000)) == pattern(1_000_000)
        with deaf.connect() as conn:
            assert len(conn.recv(1 << 16)) > 0
        for conn in conns:
            conn.close()


@test
def unix_sockets_are_relayed_too():
    with tempfile.TemporaryDirectory() as folder:
        with Peer(lambda conn: conn.sendall(read_all(conn)), path=f"{folder}/target"), \
                Server("relay", f"unix:{folder}/front", f"unix:{folder}/target"):
            result = tenon(f"unix:{folder}/front", stdin=pattern(500_000))
            assert expect(result, 0).out == pattern(500_000)


# ---------------------------------------------------------------- resets

@test
def a_targets_reset_reaches_the_client_as_a_reset_after_the_last_byte():
    def answer_and_reset(conn):
        assert conn.recv(7) == b"request"
        conn.sendall(b"an answer")
        wait_for(lambda: got, "the answer to arrive")
        reset(conn)

    got = []
    with Target(answer_and_reset) as target, Relay(target) as relay, relay.connect() as conn:
        conn.sendall(b"request")
        assert conn.recv(9, socket.MSG_WAITALL) == b"an answer"
        got.append(True)
        assert ends_in_reset(conn) == (b"", True)
        event = closed(relay)[0]
        assert (event["ok"], event["reason"], event["by"]) == (False, "reset", "target"), event
        assert event["how"] != "clean"


@test
def what_a_target_sent_right_before_its_reset_still_arrives():
    def answer_and_reset(conn):
        conn.recv(1)
        conn.sendall(pattern(20_000))  # in one piece into the relay's socket
        reset(conn)

    with Target(answer_and_reset) as target, Relay(target) as relay:
        for _ in range(20):
            with relay.connect() as conn:
                conn.sendall(b"request that is not read to the end")
                data, was_reset = ends_in_reset(conn)
                assert was_reset and pattern(20_000).startswith(data)
        for event in closed(relay, 20):
            assert event["target_in"] == event["out"] and event["unacked"] == 0, event


@test
def a_clients_reset_reaches_the_target_as_a_reset():
    def wait_for_it(conn):
        got.append(conn.recv(100))  # in one piece: it is written in one
        got.append(ends_in_reset(conn))

    got = []
    with Target(wait_for_it) as target, Relay(target) as relay:
        conn = relay.connect()
        conn.sendall(b"half a request")
        wait_for(lambda: got, "the target to read it")
        reset(conn)
        event = closed(relay)[0]
        assert (event["reason"], event["by"]) == ("reset", "client"), event
        wait_for(lambda: len(got) == 2, "the target to see it")
        assert got == [b"half a request", (b"", True)], got


@test
def a_reset_after_an_end_is_still_a_reset():
    def end_and_reset(conn):
        conn.sendall(b"all there is")
        conn.shutdown(socket.SHUT_WR)
        wait_for(lambda: got, "the client to read it")
        reset(conn)

    got = []
    with Target(end_and_reset) as target, Relay(target) as relay, relay.connect() as conn:
        assert read_all(conn) == b"all there is"
        got.append(True)
        assert ends_in_reset(conn) == (b"", True)
        assert closed(relay)[0]["by"] == "target"


@test
def a_target_that_closes_with_bytes_unread_is_a_reset_for_the_client():
    def close_unread(conn):
        wait_for(lambda: sent, "all to be sent")
        wait_for(lambda: conn.recv(1 << 20, socket.MSG_PEEK), "bytes")

    sent = []
    with Target(close_unread) as target, Relay(target) as relay, relay.connect() as conn:
        conn.sendall(pattern(100_000))
        conn.shutdown(socket.SHUT_WR)
        sent.append(True)
        assert ends_in_reset(conn)[1]
        assert closed(relay)[0]["ok"] is False


@test
def when_the_relay_is_killed_by_the_second_signal_both_sides_are_reset():
    def wait_for_it(conn):
        got.append(ends_in_reset(conn))

    got = []
    with Target(wait_for_it) as target, Relay(target) as relay, relay.connect() as conn:
        conn.sendall(b"x")
        wait_for(lambda: target.served, "the target's client")
        relay.process.send_signal(signal.SIGTERM)
        wait_for(lambda: not listens(relay.port), "the listener to be closed")
        relay.process.send_signal(signal.SIGTERM)
        assert ends_in_reset(conn) == (b"", True)
        assert relay.wait().code == 0
        wait_for(lambda: got, "the target to see it")
        assert got[0][1] is True, got
        assert relay.closes()[0]["reason"] == "killed"


# ---------------------------------------------------------------- a storm

@test
def a_storm_of_clients_loses_nothing_though_one_in_ten_is_killed():
    print(storm(200, 300_000, seed=7, limit_s=LIMIT_S))  # make relay-storm: 4,500 of 1 MB


# ---------------------------------------------------------------- draining and totals

@test
def the_first_signal_lets_clients_finish_and_prints_totals():
    for number in (signal.SIGINT, signal.SIGTERM):
        with Target() as target, Relay(target) as relay, relay.connect() as conn:
            conn.sendall(b"still ")
            wait_for(lambda: target.served, "the target's client")
            relay.process.send_signal(number)
            wait_for(lambda: not listens(relay.port), "the listener to be closed")
            conn.sendall(b"served")
            conn.shutdown(socket.SHUT_WR)
            assert read_all(conn) == b"still served"
            result = relay.wait()
            assert result.code == 0 and "draining 1 client;" in result.err, result
            summary = relay.events("summary")[0]
            assert (summary["clients"], summary["in"], summary["out"], summary["clean"],
                    summary["lost"]) == (1, 12, 12, 1, 0), summary


@test
def usr1_prints_statistics_and_it_goes_on():
    with Target() as target, Relay(target) as relay:
        assert relay.ask(b"one") == b"one"
        with relay.connect() as conn:
            conn.sendall(b"held")
            wait_for(lambda: target.served == 2, "the second client")
            relay.process.send_signal(signal.SIGUSR1)
            stats = wait_for(lambda: relay.events("stats"), "statistics")[0]
            assert (stats["clients"], stats["connected"], stats["clean"]) == (2, 1, 1), stats
            conn.shutdown(socket.SHUT_WR)
            assert read_all(conn) == b"held"


@test
def what_it_cannot_relay_is_exit_2():
    expect(tenon("relay"), 2, "from where")
    expect(tenon("relay", "127.0.0.1:0"), 2, "to where?")
    expect(tenon("relay", "127.0.0.1:0", "--targets", "/no/such/file"), 8, "open /no/such/file: No such")
    expect(tenon("relay", "127.0.0.1:0", "nowhere"), 2, "address")
    expect(tenon("relay", "127.0.0.1:0", "127.0.0.1:9?crlf"), 2, "options are the relay's")
    expect(tenon("relay", "127.0.0.1:0", "127.0.0.1:9", "--balance", "luck"), 2, "roundrobin")
    expect(tenon("relay", "127.0.0.1:0", "127.0.0.1:9", "--check", "http"), 2, "is not tcp")
    expect(tenon("relay", "127.0.0.1:0", "127.0.0.1:9", "--crlf"), 2, "does not take it")


run()
