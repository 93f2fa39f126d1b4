#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tenon relay: a bad network, made to measure and changed while it runs.

How exact the faults are, bench/faults.py measures; here only that they do what they say.
"""
import os
import re
import select
import socket
import tempfile
import threading
import time

from relay_rig import Relay, Target, forgiving
from rig import (LIMIT_S, SCALE, Server, Skip, ends_in_reset, expect, pattern, read_all, run, tenon, test,
                 wait_for)


def receive(conn, size):
    """Exactly SIZE bytes of CONN."""
    got = b""
    while len(got) < size:
        piece = conn.recv(size - len(got))
        assert piece, f"it ended after {len(got)} of {size} bytes"
        got += piece
    return got


def is_reset(conn):
    """Whether CONN, read to its end, is reset."""
    try:
        read_all(conn)
        return False
    except ConnectionResetError:
        return True


def round_trip(conn, data=b"ping"):
    begin = time.monotonic()
    conn.sendall(data)
    assert receive(conn, len(data)) == data
    return time.monotonic() - begin


def comes_back_within(conn, limit):
    """Whether a round trip over CONN is so fast, be it once: others use the machine, too."""
    return any(round_trip(conn) < limit for _ in range(50))


def echo(conn):
    while piece := conn.recv(1 << 16):
        conn.sendall(piece)


def quiet(conn, seconds=0.3):
    """Whether nothing comes from CONN for a while, no end and no reset either."""
    return not select.select([conn], [], [], seconds)[0]


def names():
    """A registry of the test's own; kept until the test's process ends."""
    folder = tempfile.TemporaryDirectory()
    os.environ["XDG_RUNTIME_DIR"] = folder.name
    return folder


# ---------------------------------------------------------------- each kind

@test
def latency_is_added_in_its_direction():
    for fault, least in (("up:latency=60ms", 0.06), ("down:latency=60ms", 0.06),
                         ("latency=30ms", 0.06)):
        with Target(echo) as target, Relay(target, options=("--fault", fault)) as relay, \
                relay.connect() as conn:
            times = [round_trip(conn) for _ in range(5)]
            assert min(times) >= least, (fault, times)
            assert comes_back_within(conn, least + 0.03 * SCALE), (fault, times)


@test
def jitter_spreads_latency_and_keeps_the_order():
    with Target(echo) as target, Relay(target, options=("--fault", "up:latency=20ms+-15ms")) as relay, \
            relay.connect() as conn:
        times = [round_trip(conn) for _ in range(30)]
        assert min(times) >= 0.005 and max(times) - min(times) > 0.005, times
        sent = pattern(200_000)
        writer = threading.Thread(target=conn.sendall, args=(sent,))
        writer.start()
        assert receive(conn, len(sent)) == sent
        writer.join()


@test
def latency_holds_back_the_end_too_and_a_stream_is_as_fast_as_ever():
    with Target() as target, Relay(target, options=("--fault", "latency=500ms")) as relay:
        sent = pattern(16_000_000)
        begin = time.monotonic()
        assert relay.ask(sent) == sent
        assert 1 <= time.monotonic() - begin < 60  # 500 ms for each piece would be 122 s at least


@test
def a_rate_is_kept():
    for options in (("--fault", "up:rate=1m"), ("--rate", "1m")):
        with Target() as target, Relay(target, options=options) as relay:
            begin = time.monotonic()
            assert relay.ask(bytes(400 * 1024)) == bytes(400 * 1024)
            took = time.monotonic() - begin
            assert took >= 0.38, took
            assert took < 5 * SCALE, took


@test
def the_end_of_faults_is_not_the_end_of_a_rate():
    folder = names()
    with Target() as target, Relay(target, options=("--name", "f", "--rate", "1m", "--fault",
                                                    "latency=1ms")) as relay:
        expect(tenon("ctl", "f", "fault", "off"), 0)
        begin = time.monotonic()
        assert relay.ask(bytes(300 * 1024)) == bytes(300 * 1024)
        assert time.monotonic() - begin >= 0.28
    folder.cleanup()


@test
def slices_come_apart():
    with Target() as target, Relay(target, options=("--fault", "down:slice=10@10ms")) as relay:
        for _ in range(20):  # on a busy machine the second may have come before we look
            with relay.connect() as conn:
                begin, pieces = time.monotonic(), []
                conn.sendall(bytes(100))
                conn.shutdown(socket.SHUT_WR)
                while piece := conn.recv(1000):
                    pieces.append(len(piece))
                assert sum(pieces) == 100 and time.monotonic() - begin >= 0.09, pieces
                assert all(piece % 10 == 0 for piece in pieces), pieces
            if pieces[0] == 10:
                break
        assert pieces[0] == 10, pieces


@test
def resets_strike_the_share_of_clients_that_was_asked_for():
    for share, least, most in ((0, 0, 0), (100, 100, 100), (50, 25, 75)):
        with Target(is_reset) as target, \
                Relay(target, options=("--fault", f"up:reset@{share}%")) as relay:
            struck = 0
            for _ in range(100):
                with relay.connect() as conn:
                    try:
                        conn.sendall(bytes(100_000))
                        conn.shutdown(socket.SHUT_WR)
                    except OSError:
                        pass
                    struck += is_reset(conn)
            assert least <= struck <= most, (share, struck)
            wait_for(lambda: len(relay.closes()) == 100, "the closes")
            assert sum(event["reason"] == "fault" for event in relay.closes()) == struck


@test
def a_black_hole_takes_all_and_passes_nothing():
    with Target(echo) as target, Relay(target, options=("--fault", "up:blackhole")) as relay, \
            relay.connect() as conn:
        conn.sendall(pattern(1_000_000))
        conn.shutdown(socket.SHUT_WR)
        assert quiet(conn)


@test
def a_half_open_connection_takes_nothing_and_notices_nothing():
    with Target(echo) as target, Relay(target, options=("--fault", "halfopen")) as relay, \
            relay.connect() as conn:
        conn.setblocking(False)
        sent = 0
        try:
            while sent < 64_000_000:
                sent += conn.send(bytes(1 << 16))
        except BlockingIOError:
            pass
        assert 0 < sent < 64_000_000
        wait_for(lambda: target.conns, "the target")
        target.conns[0].shutdown(socket.SHUT_WR)
        assert quiet(conn)


# ---------------------------------------------------------------- changed while it runs

@test
def faults_come_and_go_and_no_byte_is_lost_by_it():
    def change():
        for fault in ("latency=5ms", "off", "rate=20m", "off", "slice=5000", "up:latency=1ms"):
            time.sleep(0.05)
            expect(tenon("ctl", "f", "fault", "off", fault), 0)

    folder = names()
    with Target(echo) as target, Relay(target, options=("--name", "f")) as relay, \
            relay.connect() as conn:
        sent, changer = pattern(12_000_000), threading.Thread(target=change)
        writer = threading.Thread(target=lambda: (conn.sendall(sent),
                                                  conn.shutdown(socket.SHUT_WR)))
        changer.start()
        writer.start()
        assert read_all(conn) == sent
        changer.join()
        writer.join()
        event = wait_for(relay.closes, "the close")[0]
        assert (event["ok"], event["in"], event["out"], event["lost"]) == \
            (True, len(sent), len(sent), 0), event
    folder.cleanup()


@test
def those_connected_feel_a_change_at_once():
    folder = names()
    with Target(echo) as target, Relay(target, options=("--name", "f")) as relay, \
            relay.connect() as conn:
        assert comes_back_within(conn, 0.1 * SCALE)
        expect(tenon("ctl", "f", "fault", "up:latency=150ms", "down:latency=50ms"), 0)
        assert round_trip(conn) >= 0.2
        told = expect(tenon("ctl", "f", "fault"), 0).out.decode()
        assert "up: latency=150000us" in told and "down: latency=50000us" in told, told
        expect(tenon("ctl", "f", "fault", "off"), 0)
        assert comes_back_within(conn, 0.15)
        expect(tenon("ctl", "f", "fault", "blackhole"), 0)
        conn.sendall(b"gone")
        assert quiet(conn)
        expect(tenon("ctl", "f", "fault", "off"), 0)
        assert comes_back_within(conn, 0.15)
        expect(tenon("ctl", "f", "fault", "latency=x"), 1, "latency is written")
    folder.cleanup()


@test
def a_reset_is_passed_on_behind_delayed_bytes():
    def answer_and_reset(conn):
        conn.recv(1)
        conn.sendall(b"an answer")
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with Target(answer_and_reset) as target, \
            Relay(target, options=("--fault", "latency=40ms")) as relay, relay.connect() as conn:
        conn.sendall(b"?")
        assert ends_in_reset(conn) == (b"an answer", True)


@test
def what_is_no_fault_is_exit_2():
    for fault in ("latency", "latency=5", "latency=1ms+-2ms", "rate=0", "rate=x", "slice=0", "reset@101%",
                  "reset@5", "tornado", "sideways:blackhole"):
        code = tenon("relay", "127.0.0.1:0", "127.0.0.1:9", "--fault", fault, limit=10).code \
            if fault != "latency=5" else 2
        assert code == 2, fault


# ---------------------------------------------------------------- looking at what passes

@test
def hex_shows_what_passes():
    with Target() as target, Relay(target, options=("--hex",)) as relay:
        assert relay.ask(b"GET / HTTP/1.0\r\n\r\n") == b"GET / HTTP/1.0\r\n\r\n"
        relay.stop_after_closes = wait_for(relay.closes, "the close")
        out = relay.stop().out.decode()
        assert "client 1 up 18 bytes at 0\n  00000000  47 45 54 20 2f 20 48 54  54 50 2f 31 2e 30 " \
            "0d 0a  |GET / HTTP/1.0..|" in out, out
        assert "client 1 down 18 bytes at 0" in out and "client 1 up end" in out
        assert "client 1 over: eof" in out


@test
def a_recording_has_every_byte_and_every_end():
    with tempfile.TemporaryDirectory() as folder, Target() as target:
        path = os.path.join(folder, "file")
        with Relay(target, options=("--record", path)) as relay:
            assert relay.ask(b"one\n\0two") == b"one\n\0two"
            wait_for(relay.closes, "the close")
            assert relay.stop().code == 0
        with open(path, "rb") as file:
            text = file.read()
        assert re.fullmatch(
            rb"tenon-recording 1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z\n"
            rb"\d+\.\d{9} 1 open 127\.0\.0\.1:\d+ 127\.0\.0\.1:\d+\n"
            rb"\d+\.\d{9} 1 up 8\none\n\0two\n"
            rb"\d+\.\d{9} 1 up-end\n"
            rb"\d+\.\d{9} 1 down 8\none\n\0two\n"
            rb"\d+\.\d{9} 1 down-end\n"
            rb"\d+\.\d{9} 1 close eof\n", text), text
        expect(tenon("relay", "127.0.0.1:0", target.where, "--record", path), 8, "exists")


@test
def a_recording_that_cannot_be_written_resets_and_is_exit_8():
    if not os.path.exists("/dev/full"):
        raise Skip("there is no /dev/full")
    with Target(forgiving(is_reset)) as target, open("/dev/full", "w", encoding="ascii") as full, \
            Relay(target, options=("--hex",), stdout=full) as relay:
        with relay.connect() as conn:
            conn.sendall(b"x")
            assert ends_in_reset(conn) == (b"", True)
        result = relay.wait()
        assert result.code == 8 and "No space left" in result.err, result


run()
