#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What standard output, standard error and the file of --json do not take."""
import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import tempfile
import time

from bench_rig import SHORT, peer
from relay_rig import Relay
from rig import (LIMIT_S, SCALE, Peer, Server, ends_in_reset, expect, listens, read_all, run, start, tenon,
                 test, wait_for)
from watching import Folder

FULL = "/dev/full"
NO_ROOM = "No space left on device"


def closed_pipe():
    """The writing end of a pipe that nobody reads."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    return os.fdopen(write_end, "wb")


def lost(words):
    """The command of WORDS on a full disk is exit 8, with one line; on a closed pipe, a quiet 0."""
    with open(FULL, "wb") as full:
        result = tenon(*words, stdout=full)
        assert result.code == 8 and len(result.lines()) == 1, (words, result)
        assert "standard output" in result.err and NO_ROOM in result.err, (words, result)
    with closed_pipe() as pipe:
        expect(tenon(*words, stdout=pipe), 0)


@test
def a_result_that_standard_output_does_not_take_is_exit_8_and_a_line():
    for words in (["--help"], ["--man"], ["--version"], ["scan", "--help"], ["doctor"],
                  ["doctor", "--json"], ["--completion", "bash"], ["explain", "127.0.0.1:80"],
                  ["explain", "--json", "127.0.0.1:80"], ["explain", "--from-socat", "- TCP:h:80"]):
        lost(words)
    with Folder(), peer() as server:
        for words in (["scan", "127.0.0.1", server.port], ["ctl"],
                      ["scan", "--json", "127.0.0.1", server.port],
                      ["wait", "--silent", "--json", server.addr],
                      ["bench", "rr", server.addr, *SHORT],
                      ["bench", "rr", "--json", server.addr, *SHORT]):
            lost(words)
        for words in (["ctl", "--json"], ["top", "--once"], ["top", "--json"]):
            lost([*words, f"serve-{server.port}"])


@test
def a_comparison_that_standard_output_does_not_take_is_exit_8_and_a_line():
    with peer() as server, tempfile.NamedTemporaryFile() as file:
        assert tenon("bench", "rr", f"--json={file.name}", server.addr, *SHORT).code == 0
        lost(["compare", file.name, file.name])
        lost(["compare", "--json", file.name, file.name])


@test
def json_that_its_file_does_not_take_is_exit_8_and_a_line():
    why = f"write {FULL}: {NO_ROOM}"
    with peer() as server:
        expect(tenon("bench", "rr", f"--json={FULL}", server.addr, *SHORT), 8, why)
    with Peer(read_all) as there:
        expect(tenon(f"--json={FULL}", *there.words, stdin=b"all of it"), 8, why)
    with Peer(read_all) as there, open(FULL, "wb") as full:
        assert tenon("--json", *there.words, stderr=full).code == 8


@contextlib.contextmanager
def small_pipe():
    """Both ends of a pipe that holds a page, the reading one not blocking."""
    read_end, write_end = os.pipe()
    fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(read_end, False)
    with open(read_end, "rb", buffering=0) as reader, os.fdopen(write_end, "wb") as writer:
        yield reader, writer


def all_from(reader):
    """What READER still gives, when nobody writes to it any more, or will."""
    os.set_blocking(reader.fileno(), True)
    return reader.read().decode()


def come_and_go(server, count):
    for _ in range(count):
        with server.connect() as conn:
            conn.shutdown(socket.SHUT_WR)
            assert conn.recv(1) == b""


def stands_still(*options):
    """A relay whose standard error is a full pipe serves on, and hears both its signals."""
    with small_pipe() as (_, writer), Server("serve", "echo", "127.0.0.1:0") as target, \
            Relay(target.addr, options=options, stderr=writer) as relay, relay.connect() as conn:
        conn.sendall(b"x")
        assert conn.recv(1) == b"x"
        come_and_go(relay, 100)
        relay.process.send_signal(signal.SIGTERM)
        wait_for(lambda: not listens(relay.port), "the first signal")
        relay.process.send_signal(signal.SIGTERM)
        assert ends_in_reset(conn) == (b"", True)
        return relay.wait().code


@test
def who_reads_no_standard_error_does_not_hold_a_relay_nor_its_end():
    assert stands_still("-v") == 0


@test
def objects_that_nobody_reads_do_not_hold_it_either_and_are_exit_8():
    with small_pipe() as (reader, writer), Server("serve", "echo", "127.0.0.1:0") as target, \
            start("relay", "127.0.0.1:0", target.addr, "--json", stderr=writer) as relay:
        listening = json.loads(wait_for(lambda: reader.read(4096), "its address", relay))
        port = int(listening["addr"].rsplit(":", 1)[1])
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as conn:
                conn.shutdown(socket.SHUT_WR)
                assert conn.recv(1) == b""
        begin = time.monotonic()
        relay.send_signal(signal.SIGTERM)
        assert relay.wait(LIMIT_S) == 8
        assert time.monotonic() - begin < 9 * SCALE  # 3 s, once


@test
def a_slow_reader_of_standard_error_gets_every_line_in_order():
    with small_pipe() as (reader, writer), Server("serve", "echo", "127.0.0.1:0") as target, \
            Relay(target.addr, options=("-v",), stderr=writer) as relay:
        writer.close()
        come_and_go(relay, 100)
        relay.process.send_signal(signal.SIGTERM)
        said = all_from(reader)
        assert relay.wait().code == 0
    numbers = [int(number) for number in re.findall(r"^tenon: client (\d+) tcp \S+$", said, re.M)]
    assert numbers == list(range(1, 101)), numbers
    assert said.count("tenon: client ") == 200 and said.count("tenon: 100 clients") == 1


def closes_of(server):
    with open(server.log.name, "rb") as file:
        return file.read().count(b'"ev":"close"')


@test
def lines_that_are_too_many_for_a_slow_reader_are_counted_where_they_are_missing():
    with Folder() as folder, small_pipe() as (reader, writer), \
            Server("serve", "discard", f"unix:{folder.folder.name}/{80 * 'x'}") as target, \
            Server("relay", "127.0.0.1:0", target.addr, "-v", stderr=writer) as relay:
        writer.close()
        lines = 2 * len("tenon: client 1000 tcp 127.0.0.1:10000") + len(f"to {target.addr}: eof, ")
        count = 2 * (1 << 20) // lines + 1000
        with start("bench", "cps", relay.addr, "--duration", "10m", "--silent") as crowd:
            wait_for(lambda: closes_of(relay) > count, "the clients", crowd)
            crowd.kill()
        relay.process.send_signal(signal.SIGTERM)
        said = all_from(reader)
        assert relay.wait().code == 0
        closes = closes_of(relay)
    told = len(re.findall(r"^tenon: client \d+ ", said, re.M))
    missing = sum(map(int, re.findall(r"^tenon: (\d+) lines are missing here", said, re.M)))
    totals = 1 if f"{closes} clients" in said else 0
    assert missing > 0 and told + missing == 2 * closes + 1 - totals, \
        (told, missing, closes, totals)


run()
