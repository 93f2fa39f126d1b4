#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""wait and scan: who accepts, since when, and in which order that is told."""
import json
import re
import resource
import signal
import socket
import subprocess
import tempfile
import threading
import time

from rig import (LIMIT_S, TENON, Peer, collect, expect, free_port, listeners, run, start, tenon,
                 test, wait_for)


def accepted(*_):
    """A script for a Peer whom it is enough to have been connected to."""


# ---------------------------------------------------------------- wait

@test
def an_address_that_accepts_is_not_waited_for():
    with Peer(accepted) as peer:
        result = expect(tenon("wait", f"127.0.0.1:{peer.port}"), 0, "is there, after")
        assert result.took < 5 and result.out == b""
    with Peer(accepted) as peer:
        result = tenon("wait", f"127.0.0.1:{peer.port}", "--json")
        assert json.loads(result.out)["attempts"] == 1, result
    with tempfile.TemporaryDirectory() as folder:
        with Peer(accepted, path=f"{folder}/socket") as peer:
            expect(tenon("wait", "--silent", *peer.words), 0)
            expect(tenon("wait", "--silent", "-U", f"{folder}/socket"), 0)


@test
def all_addresses_are_waited_for_and_with_any_one_is_enough():
    with Peer() as peer:
        conn, port = free_port()
        here, later = f"127.0.0.1:{peer.port}", f"127.0.0.1:{port}"
        for limit, said, most in (("900ms", "900.0 ms", 9),
                                  ("9s", "9.00 s", 19)):  # if it is held up for so long
            result = tenon("wait", here, later, "--max-time", limit)
            assert result.code == 11, result
            found = re.search(rf"wait tcp {later}: not there within {said}: connection refused "
                              r"\((\d+) attempts?\)", result.err)
            assert found and int(found[1]) <= most, result
            if int(found[1]) > 1:
                break
        assert int(found[1]) > 1, result
        result = tenon("wait", here, later, "--any", "--max-time", "20s")
        assert result.code == 0 and result.took < 10, result
        with start("wait", here, later, "--silent") as waiting:
            time.sleep(0.15)  # it is not there for at least so long
            assert waiting.poll() is None
            conn.listen()
            assert collect(waiting, LIMIT_S) == (b"", b"") and waiting.returncode == 0
        conn.close()


@test
def expect_waits_for_the_text():
    def greet(words):
        with socket.create_server(("127.0.0.1", 0)) as server:
            def serve():
                for word in words:
                    with server.accept()[0] as conn:
                        for byte in word:
                            conn.sendall(bytes([byte]))
            thread = threading.Thread(target=serve)
            thread.start()
            result = tenon("wait", f"127.0.0.1:{server.getsockname()[1]}", "--expect", "220 ready",
                           "--max-time", f"{LIMIT_S}s", "--json")
            thread.join()
            return result

    for count in (1, 2, 3):
        result = greet([b"421 starting\r\n"] * (count - 1) + [b"..220 ready for it\r\n"])
        assert result.code == 0, result
        assert json.loads(result.out)["attempts"] == count
    with Peer(lambda conn: conn.sendall(b"421 no\r\n")) as peer:
        expect(tenon("wait", f"127.0.0.1:{peer.port}", "--expect", "220", "--max-time", "50ms"), 11,
               "not there within 50.0 ms")


def few_files():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@test
def a_program_runs_afterwards_and_only_if_it_is_there():
    with Peer() as peer:
        where = f"127.0.0.1:{peer.port}"
        result = tenon("wait", where, "--silent", "--", "sh", "-c", 'echo "$1"; exit 3', "-", "--any")
        assert (result.code, result.out, result.err) == (3, b"--any\n", ""), result
        result = tenon("wait", where, "--silent", "--", "sh", "-c", "kill -PIPE $$")
        assert result.code == -13, result  # not ignored any more
        result = tenon("wait", where, "--silent", "--", "sh", "-c", "ulimit -n; kill -XFSZ $$",
                       preexec_fn=few_files)
        assert (result.code, result.out) == (-signal.SIGXFSZ, b"64\n"), result
        words = f"exec {TENON} wait {where} --silent -- ls -l /proc/self/fd <&- 2>&-"
        listed = subprocess.run(["sh", "-c", words], stdout=subprocess.PIPE, timeout=LIMIT_S,
                                check=False).stdout
        assert b" 1 -> " in listed and b"/dev/null" not in listed, listed
        expect(tenon("wait", where, "--silent", "--", "/no/such/program"), 127, "No such file")
        expect(tenon("wait", where, "--silent", "--", "/etc"), 126, "Permission denied")
        expect(tenon("wait", where, "--"), 2, "no program")
    _conn, port = free_port()
    result = tenon("wait", f"127.0.0.1:{port}", "--max-time", "50ms", "--", "echo", "run")
    assert result.code == 11 and result.out == b""
    expect(tenon("wait"), 2, "none given")
    for limit in "50ms", "500ms", "5s":  # how long a look-up takes is the resolver's affair
        result = tenon("wait", "--max-time", limit, "no-such-host.invalid:1")
        assert result.code == 11, result
        if "no answer" not in result.err:
            break
    assert "not known" in result.err, result


# ---------------------------------------------------------------- scan

@test
def open_ports_are_listed_in_order_whatever_answers_first():
    with Peer() as one, Peer() as other:
        _conn, closed = free_port()
        ports = sorted([one.port, other.port, closed])
        words = ",".join(map(str, reversed(ports)))
        result = expect(tenon("scan", "127.0.0.1", words), 0)
        lines = result.out.decode().splitlines()
        wanted = [f"tcp 127.0.0.1:{port} open" for port in ports if port != closed]
        assert [line.rsplit(" (", 1)[0] for line in lines] == wanted, lines
        result = expect(tenon("scan", "-v", "127.0.0.1", *map(str, ports)), 0)
        assert [line.split()[1:3] for line in result.out.decode().splitlines()] == [
            [f"127.0.0.1:{port}", "closed" if port == closed else "open"] for port in ports]


@test
def a_range_is_scanned_with_many_connections_at_once():
    with Peer() as peer:
        result = tenon("scan", "--json", "localhost", "-4", f"1-10000,{peer.port}")
        assert result.code == 0, result.err
        events = [json.loads(line) for line in result.out.splitlines()]
        ports = [int(event["where"].rsplit(":", 1)[1]) for event in events[:-1]]
        assert ports == [*range(1, 10001), peer.port]
        assert events[10000]["state"] == "open"
        assert events[-1]["open"] + events[-1]["closed"] == 10001, events[-1]


@test
def a_host_that_does_not_answer_is_silent():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = []
        for _ in range(3):  # until the queue is full, and a further SYN is dropped
            conn = socket.socket()
            conn.setblocking(False)
            conn.connect_ex(("127.0.0.1", port))
            waiting.append(conn)
        wait_for(lambda: any(listeners(port)), "a full queue")
        result = tenon("scan", "-v", "127.0.0.1", port, "--connect-timeout", "200ms")
        assert result.code == 4 and b"silent (no answer, " in result.out, result
        result = tenon("scan", "127.0.0.1", port, "--max-time", "100ms")
        expect(result, 5, "deadline passed")


@test
def ports_may_be_named_as_services():
    result = tenon("scan", "--json", "127.0.0.1", "http,21-22", "ssh,https")
    events = [json.loads(line) for line in result.out.splitlines()]
    assert [event["where"].split(":")[1] for event in events if event["ev"] == "port"] == \
        ["21", "22", "80", "443"], result.out


@test
def what_is_no_host_or_port_is_said():
    expect(tenon("scan", "127.0.0.1"), 2, "a host and its ports")
    for ports in ("0", "65536", "5-3", "1,,2", "", "no-such", "1-2-3", "-1", "1,http-"):
        expect(tenon("scan", "--", "127.0.0.1", ports), 2, "none such as 22")
    expect(tenon("scan", "no-such-host.invalid", "1"), 3, "look up no-such-host.invalid")
    expect(tenon("scan", "-n", "127.0.0.1", "http"), 2, "none such as 22")
    expect(tenon("scan", "-n", "localhost", "1"), 3, "with -n none is looked up")
    with open("/dev/full", "wb") as full, Peer() as peer:
        assert tenon("scan", *peer.words, stdout=full).code == 8
    with Peer(family=socket.AF_INET6) as peer:
        assert b"tcp [::1]:" in expect(tenon("scan", "::1", peer.port), 0).out


run()
