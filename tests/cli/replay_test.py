#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tenon relay --record and tenon replay: the same bytes again, and whether the answer is the same."""
import contextlib
import json
import os
import socket
import tempfile
import threading
import time

from relay_rig import Relay, Target, forgiving
from rig import Server, ends_in_reset, expect, pattern, read_all, run, tenon, test, wait_for
from schema import check


def lines(conn):
    """Answer each line with its length; end after the client's end."""
    with conn.makefile("rb") as file:
        for line in file:
            conn.sendall(b"%d\n" % len(line))


@contextlib.contextmanager
def recorded(script, talk, clients=1):
    """A file with what CLIENTS said, by TALK(conn, number), to a target of SCRIPT."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "recording")
        with Target(forgiving(script)) as target, Relay(target, options=("--record", path)) as relay:
            def one(number):
                with relay.connect() as conn:
                    talk(conn, number)
            threads = [threading.Thread(target=one, args=(i,)) for i in range(clients)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            wait_for(lambda: len(relay.closes()) == clients, "the closes")
            assert relay.stop().code == 0
        yield path


def ask_and_answer(conn, number):
    for i in range(3):
        conn.sendall(b"x" * (number + i) + b"\n")
        assert conn.recv(100) == b"%d\n" % (number + i + 1)
    conn.shutdown(socket.SHUT_WR)
    assert read_all(conn) == b""


@test
def a_conversation_is_had_again_and_compared():
    with recorded(lines, ask_and_answer, clients=5) as path:
        with Target(lines) as again:
            result = tenon("replay", path, again.where, "--diff")
            assert result.code == 0 and "5 clients replayed" in result.err and \
                "all answers as recorded" in result.err, result
            assert again.served == 5


@test
def a_different_answer_is_told_with_its_place():
    def other(conn):
        with conn.makefile("rb") as file:
            for i, line in enumerate(file):
                conn.sendall(b"%d\n" % (len(line) + (i == 1)))

    with recorded(lines, lambda conn, _: ask_and_answer(conn, 1)) as path, Target(other) as target:
        result = tenon("replay", "--json", path, target.where, "--diff")
        error, event = [check(json.loads(line)) for line in result.lines()]
        assert result.code == 1 and error["ev"] == "error"
        assert (event["ok"], event["differs_at"], event["id"]) == (False, 2, 1), event
        assert expect(tenon("replay", path, target.where, "--silent"), 0)  # nobody asked
    with recorded(lines, lambda conn, _: ask_and_answer(conn, 1)) as path, \
            Target(lambda conn: conn.makefile("rb").readline() and conn.sendall(b"2\n")) as target:
        assert tenon("replay", path, target.where, "--diff").code != 0  # it ends too early


@test
def a_stream_comes_whole():
    def talk(conn, _):
        writer = threading.Thread(target=lambda: (conn.sendall(pattern(3_000_000)),
                                                  conn.shutdown(socket.SHUT_WR)))
        writer.start()
        assert read_all(conn) == pattern(3_000_000)
        writer.join()

    with recorded(Target.late_echo, talk) as path:
        with Server("serve", "echo", "127.0.0.1:0") as echo:
            result = tenon("replay", path, echo.addr, "--diff")
            assert result.code == 0, result


@test
def time_between_requests_is_kept():
    def talk(conn, _):
        for _ in range(3):
            conn.sendall(b"tick\n")
            conn.recv(10)
            time.sleep(0.15)
        conn.shutdown(socket.SHUT_WR)
        read_all(conn)

    with recorded(lines, talk) as path, Target(lines) as target:
        result = tenon("replay", path, target.where)
        assert result.code == 0 and result.took >= 0.4, result


@test
def a_client_that_was_reset_is_reset_again():
    def wait_for_it(conn):
        got.append(ends_in_reset(conn))

    def talk(conn, _):
        conn.sendall(b"half")
        wait_for(lambda: len(seen) >= 4, "the bytes")
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def see(conn):
        with contextlib.suppress(ConnectionResetError):
            while piece := conn.recv(100):
                seen.extend(piece)

    got, seen = [], []
    with recorded(see, talk) as path, Target(wait_for_it) as target:
        assert tenon("replay", path, target.where, "--silent").code == 0
        wait_for(lambda: got, "the target to see it")
        assert got == [(b"half", True)], got


@test
def what_is_no_recording_is_refused():
    with tempfile.NamedTemporaryFile("w") as file:
        def refused(text, why, code=1):
            file.seek(0)
            file.truncate()
            file.write(text)
            file.flush()
            expect(tenon("replay", file.name, "127.0.0.1:9"), code, why)

        refused("", "it is no recording")
        refused("hello\n", "it is no recording")
        refused("tenon-recording 2 now\n", "a version")
        for line in ("nonsense", "1.000000000 1 dance", "1.0 1 up 5", "1.000000000 0 up 5",
                     "1.000000000 1 up", "1.000000000 1 up -1", "99999999999999.000000000 1 open"):
            refused(f"tenon-recording 1 now\n{line}\n", "line 2")
    expect(tenon("replay"), 2, "which file")
    expect(tenon("replay", "/nowhere", "127.0.0.1:9"), 8, "open /nowhere: No such file")
    expect(tenon("replay", "/", "127.0.0.1:9"), 8, "read /: Is a directory")


@test
def a_recording_that_was_cut_short_is_good_up_to_there():
    with recorded(lines, ask_and_answer, clients=2) as path:
        with open(path, "rb") as file:
            text = file.read()
        with tempfile.NamedTemporaryFile() as part, Target(forgiving(lines)) as target:
            part.write(text[:text.rindex(b" up ") + 7])
            part.flush()
            result = tenon("replay", part.name, target.where)
            assert result.code == 0 and "was cut short" in result.err, result
            result = tenon("replay", part.name, target.where, "--diff")
            assert result.code == 1 and "what was cut off is not compared" in result.err, result
            assert "as recorded" not in result.err, result


@test
def a_recording_without_a_client_compares_nothing():
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("tenon-recording 1 now\n")
        file.flush()
        assert tenon("replay", file.name, "127.0.0.1:9").code == 0
        result = tenon("replay", file.name, "127.0.0.1:9", "--diff", "--silent")
        expect(result, 1, f"compare {file.name}: no client is recorded in it")
        file.write("0.8")
        file.flush()
        result = tenon("replay", file.name, "127.0.0.1:9", "--diff", "--silent")
        expect(result, 1, f"compare {file.name}: what was cut off is not compared")


run()
