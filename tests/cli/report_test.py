#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the command says: JSON that its schema describes, help, the man page, doctor."""
import json
import os
import pty
import re
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from rig import (LIMIT_S, TENON, Peer, Server, Skip, expect, free_port, pattern, read_all, reset, run,
                 start, tenon, test)
from schema import check

def read_and_reset(conn):
    conn.recv(1)
    reset(conn)


# ---------------------------------------------------------------- JSON

@test
def a_success_is_told_in_json_that_the_schema_describes():
    def script(conn):
        conn.sendall(b"answer")
        return read_all(conn)

    with Peer(script) as peer:
        result = tenon("--json", *peer.words, stdin=b"question")
        assert result.code == 0
        connect, close = map(check, result.objects())
        assert (connect["ev"], connect["ok"], connect["peer"]) == ("connect", True,
                                                                   f"127.0.0.1:{peer.port}")
        assert (close["ev"], close["ok"], close["exit"]) == ("close", True, 0)
        assert (close["in"], close["out"], close["reason"], close["how"]) == (6, 8, "eof", "clean")
        assert (close["unacked"], close["unread"], close["half_close"]) == (0, 0, True)
        assert 0 <= close["acked_ms"] <= close["ms"]


@test
def a_failure_is_told_in_json_too_and_in_nothing_else():
    with Peer(read_and_reset) as peer:
        result = tenon("--json", *peer.words, stdin=pattern(100_000))
        assert result.code == 7
        events = list(map(check, result.objects()))
        assert [event["ev"] for event in events] == ["connect", "error", "close"]
        assert (events[2]["ok"], events[2]["exit"], events[2]["reason"]) == (False, 7, "reset")
    for words, code in ((("--json", "127.0.0.1", "99999"), 2), (("--json", "a.invalid", "1"), 3),
                        (("--json", "-k", "h", "1"), 2), (("--json", "serve", "tea", ":1"), 2)):
        result = tenon(*words)
        event, = map(check, result.objects())
        assert (event["ok"], event["exit"], result.code) == (False, code, code), event


@test
def json_goes_to_a_file_beside_the_lines_for_people():
    with tempfile.NamedTemporaryFile() as file, Peer(read_and_reset) as peer:
        expect(tenon(f"--json={file.name}", *peer.words, stdin=pattern(100_000)), 7, "reset by peer")
        events = [check(json.loads(line)) for line in file]
        assert [event["ev"] for event in events] == ["connect", "error", "close"]
    result = tenon("--json=/no/such/folder/file", "127.0.0.1", "1")
    assert result.code == 8 and "No such file" in result.err


@test
def servers_tell_of_each_client_and_of_all():
    with Server("serve", "echo", "127.0.0.1:0") as server:
        for _ in range(3):
            expect(tenon("127.0.0.1", server.port, stdin=b"x"), 0)
        server.stop()
        names = [check(event)["ev"] for event in server.events()]
        assert sorted(names) == sorted(["listening", *["accept", "close"] * 3, "summary"])
    with Server("-l", "127.0.0.1:0", command=["true"]) as server:
        with server.connect() as conn:
            read_all(conn)
        server.wait()
        assert [check(event)["ev"] for event in server.events()] == ["listening", "accept", "close"]


@test
def a_transfer_is_told_on_both_sides():
    with tempfile.TemporaryDirectory() as folder, \
            Server("recv", "127.0.0.1:0", folder) as server:
        result = tenon("send", "--json", f"127.0.0.1:{server.port}", "docs/design.md")
        assert result.code == 0, result
        assert [check(event)["ev"] for event in result.objects()] == ["file", "transfer"]
        assert server.wait().code == 0
        events = [check(event) for event in server.events()]
        assert [event["ev"] for event in events] == ["listening", "accept", "file", "transfer"]
        size = os.path.getsize("docs/design.md")
        assert events[2]["size"] == events[2]["moved"] == events[3]["bytes"] == size
    nobody, port = free_port()
    result = tenon("send", "--json", "--retries", "1", f"127.0.0.1:{port}", "docs/design.md")
    nobody.close()
    assert [check(event)["ev"] for event in result.objects()] == ["retry", "error", "transfer"]
    assert not any(event["ok"] for event in result.objects()) and result.code == 4


@test
def scan_wait_and_explain_tell_on_standard_output():
    with Peer() as peer:
        for words, names, code in ((("scan", *peer.words), ["port", "scan"], 0),
                                   (("scan", peer.words[0], "1-2"), ["port"] * 2 + ["error", "scan"], 4),
                                   (("wait", f"127.0.0.1:{peer.port}"), ["wait"], 0),
                                   (("wait", "--max-time", "50ms", "127.0.0.1:1"), ["error"], 11),
                                   (("wait", "nonsense"), ["error"], 2),
                                   (("scan", "127.0.0.1", "no-such"), ["error"], 2),
                                   (("explain", "127.0.0.1:80", "unix:/x"), ["address"] * 2, 0),
                                   (("explain", "no-such-host.invalid:1"), ["error"], 3),
                                   (("explain", "--from-socat", "- TCP:h:1"), ["socat"], 0),
                                   (("explain", "--from-socat", "-,su=x TCP:h:1"), ["error", "socat"], 1),
                                   (("explain", "--from-socat", "- TUN"), ["error"], 1)):
            result = tenon(words[0], "--json", *words[1:])
            events = [check(json.loads(line)) for line in result.out.splitlines()]
            assert [event["ev"] for event in events] == names, events
            assert result.code == code and events[-1]["ok"] == (code == 0), events


@test
def json_is_valid_whatever_a_name_contains():
    for name in (b"\xff\xfe\x80", b"a\"b\\c\n\t\x01\x7f", "höst☃".encode(), b"\xed\xa0\x80"):
        result = tenon("--json", os.fsdecode(b"/nowhere/" + name))
        event, = map(check, result.objects())
        assert event["what"] == "connect", event


# ---------------------------------------------------------------- for people

@test
def help_fits_a_screen_with_examples_first():
    for words in (["--help"], ["connect", "--help"], ["-l", "--help"], ["serve", "--help"],
                  ["send", "--help"], ["recv", "--help"], ["wait", "--help"], ["scan", "--help"],
                  ["explain", "--help"], ["doctor", "-h"]):
        result = expect(tenon(*words), 0)
        lines = result.out.decode().splitlines()
        assert len(lines) <= 40, f"{words}: {len(lines)} lines"
        assert max(map(len, lines)) <= 80, max(lines, key=len)
        assert any("tenon" in line for line in lines[2:4]), lines[:5]
    assert expect(tenon("--version"), 0).out.startswith(b"tenon ")
    assert tenon().code == 2


@test
def the_man_page_is_made_from_the_tables_and_reads_without_a_complaint():
    made = expect(tenon("--man"), 0).out
    with open("docs/tenon.1", "rb") as file:
        assert file.read() == made, "docs/tenon.1 is old: make man"
    for option in (b"\\-\\-max\\-time", b"\\-\\-exec", b"\\-\\-json", b"\\-\\-idle\\-timeout"):
        assert option in made
    reader = shutil.which("mandoc")
    if not reader:
        raise Skip("mandoc is not installed")
    seen = subprocess.run([reader, "-Tlint", "-Wwarning", "docs/tenon.1"], capture_output=True,
                          check=False)
    complaints = [line for line in seen.stdout.decode().splitlines() if "missing date" not in line]
    assert not complaints, complaints


@test
def every_option_that_help_shows_is_accepted():
    shown = set()
    for verb in ("connect", "listen", "serve", "send", "recv", "wait", "scan", "doctor"):
        text = expect(tenon(verb, "--help"), 0).out.decode()
        shown |= set(re.findall(r"(?<![\w-])(--[a-z0-9-]+)", text.split("usage:")[1]))
    assert {"--max-time", "--json", "--silent", "--exec"} <= shown
    for option in shown - {"--listen"}:
        result = tenon(option, stdin=b"")
        assert "there is no" not in result.err, result


@test
def an_error_is_one_line_and_coloured_only_on_a_terminal_that_wants_it():
    result = tenon("127.0.0.1", "99999\nx")
    assert result.err.count("\n") == result.err.count("tenon:") + result.err.count("hint:")
    for environment, coloured in (({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False),
                                  ({"TERM": "dumb"}, False)):
        seen = on_terminal(["127.0.0.1", "99999"], environment)
        assert (b"\033[" in seen) == coloured, (environment, seen)


def on_terminal(words, environment, look=lambda seen: None):
    """What the command writes to standard error, a terminal; LOOK sees it as it grows."""
    master, slave = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
    with subprocess.Popen([TENON, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=slave, env={**clean, **environment}) as process:
        os.close(slave)
        seen, end = b"", time.monotonic() + LIMIT_S
        while select.select([master], [], [], max(0, end - time.monotonic()))[0]:
            try:
                piece = os.read(master, 4096)
            except OSError:
                break  # the other side is closed
            seen += piece
            look(seen)
        process.wait(LIMIT_S)
    os.close(master)
    return seen


@test
def a_meter_shows_when_it_takes_longer_than_a_second():
    shown = threading.Event()

    def look(seen):
        if re.search(rb"received [\d.]+ [KM]iB  [\d.]+ [KM]iB/s", seen):
            shown.set()

    def slow(conn):
        for i in range(5 * LIMIT_S):
            conn.sendall(bytes(300_000))
            time.sleep(0.2)
            if i > 10 and shown.is_set():
                break
        conn.shutdown(socket.SHUT_WR)
        return read_all(conn)

    with Peer(slow) as peer:
        seen = on_terminal(["127.0.0.1", str(peer.port)], {"TERM": "xterm"}, look)
        assert shown.is_set(), seen
        assert seen.endswith(b"\r\033[K"), seen  # nothing of it is left
    with Peer(slow) as peer:
        assert on_terminal(["--silent", "127.0.0.1", str(peer.port)], {"TERM": "xterm"}) == b""
    for _ in range(5):
        begin = time.monotonic()
        with Peer(read_all) as peer:
            seen = on_terminal(["127.0.0.1", str(peer.port)], {"TERM": "xterm"})
        if seen == b"" or time.monotonic() - begin < 1:  # or it took so long: it was held up
            break
    assert seen == b"", seen


@test
def doctor_says_which_driver_and_why():
    text = expect(tenon("doctor"), 0).out.decode()
    driver = os.environ.get("TENON_DRIVER")
    assert re.search(rf"chosen +{driver or '(uring|epoll)'}: \w.*[\w)]$", text, re.M), text
    for name in ("open files", "locked memory", "somaxconn", "local ports", "io_uring_disabled"):
        assert name in text, text
    event = check(json.loads(expect(tenon("doctor", "--json"), 0).out))
    assert event["ok"] and event["driver.chosen"].split(":")[0] in ("uring", "epoll")
    with open("/dev/full", "wb") as full:
        assert tenon("doctor", stdout=full).code == 8


@test
def a_driver_that_does_not_exist_is_an_error_and_not_another_driver():
    env = {**os.environ, "TENON_DRIVER": "nosuch"}
    result = tenon("127.0.0.1", "1", env=env)
    assert result.code == 1 and "start" in result.err, result
    assert b"none:" in tenon("doctor", env=env).out


run()
