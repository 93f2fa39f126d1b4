#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every failure the command knows: its exit code, one line for people, JSON for programs.

A failure is a way to call the command so that it fails.  Each is run twice: once as people
run it, and once with --json, when standard error has to be objects of the schema and
nothing else, and the last word has to be the exit code.
"""
import collections
import contextlib
import json
import os
import random
import select
import socket
import tempfile

from rig import (LIMIT_S, Peer, expect, knows_that_it_ended, pattern, queued, read_all, reset, run,
                 start, tenon, test, wait_for)
from schema import check

MANY = 30_000_000  # more than any socket buffers


# ---------------------------------------------------------------- ways to fail

@contextlib.contextmanager
def nothing():
    yield ()


def served_by(script):
    """A peer that does SCRIPT; what becomes of it is its own business."""
    def careful(conn):
        with contextlib.suppress(OSError):
            script(conn)

    @contextlib.contextmanager
    def served():
        with Peer(careful) as peer:
            yield peer.words
    return served


@contextlib.contextmanager
def never_accepted():
    with Peer() as peer:
        yield peer.words


@contextlib.contextmanager
def nobody():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # taken, and nobody listens
        yield unused.getsockname()


def has_its_fill(conn):
    """All there is, acknowledged, or more than can be."""
    return knows_that_it_ended(conn) or queued(conn) > 60_000


def reads_nothing_and_resets(conn):
    wait_for(lambda: has_its_fill(conn), "all of it")
    reset(conn)


def reads_nothing_and_closes(conn):
    wait_for(lambda: has_its_fill(conn), "all of it")
    conn.close()


def resets_in_its_answer(conn):
    conn.sendall(b"half an answer")
    read_all(conn)
    reset(conn)


def answers(conn):
    conn.sendall(pattern(100_000))
    read_all(conn)


FOLDER = os.open("/", os.O_RDONLY)
FULL = os.open("/dev/full", os.O_WRONLY)

# exit code, what the line says, the words (the peer's behind them), and the peer
FAILURES = [
    (2, "1 to 65535", ("127.0.0.1", "99999"), nothing),
    (2, "port is missing", ("127.0.0.1",), nothing),
    (2, "no --nope", ("--nope",), nobody),
    (2, "'soon' is no length of time", ("--max-time", "soon"), nobody),
    (2, "'x' is no number", ("-p", "x", "--nope"), nobody),
    (2, "connect does not take it", ("-k",), nobody),
    (2, "datagrams are not supported", ("-u",), nobody),
    (2, "connect does not take it", ("127.0.0.1:1?keep-open",), nothing),
    (2, "not in an address", ("127.0.0.1:1?json=x",), nothing),
    (2, "'localhost' is no numeric address", ("-s", "localhost"), nobody),
    (4, "-s 192.0.2.1: Cannot assign requested address", ("-s", "192.0.2.1"), nobody),
    (2, "-s ::1 is an address of another family", ("-s", "::1"), nobody),
    (2, "no such service", ("serve", "tea", ":1"), nothing),
    (2, "'10.0.0.0/33' is no network", ("serve", "echo", "127.0.0.1:0", "--allow",
                                        "10.0.0.0/33"), nothing),
    (2, "would run the program for anybody", ("listen", ":0", "--exec", "--", "true"), nothing),
    (3, "look up tcp no-such-host.invalid:80", ("no-such-host.invalid", "80"), nothing),
    (3, "with -n none is looked up", ("-n", "localhost", "80"), nothing),
    (3, "no service has that name", ("127.0.0.1", "no-such-service"), nothing),
    (3, "no such address", ("-4", "::1", "80"), nothing),
    (4, "connection refused (", (), nobody),
    (4, "no such socket", ("unix:/no/such/socket",), nothing),
    (4, "connection refused", ("-z",), nobody),
    (4, "Cannot assign requested address", ("-l", "192.0.2.1:0"), nothing),
    (4, "Address already in use", ("-l",), never_accepted),
    (5, "deadline passed after 800.0 ms (sent 5 bytes, all acknowledged; received 0; the peer "
        "has not ended)", ("--max-time", "800ms"), never_accepted, {"stdin": b"hello"}),
    (5, "nothing moved for 200.0 ms", ("--idle-timeout=200ms",), never_accepted,
     {"stdin": b"hello"}),
    (5, "nobody came", ("-l", "--silent", "127.0.0.1:0", "--max-time", "100ms"), nothing),
    (7, "reset by peer after 60000 bytes; its host took them all", (),
     served_by(reads_nothing_and_resets), {"stdin": pattern(60_000)}),
    (7, "reset by peer after 1 byte; its host took them all", (),
     served_by(reads_nothing_and_closes), {"stdin": b"1"}),
    (7, "reset by peer before our input ended (sent ", (), served_by(reads_nothing_and_closes),
     {"stdin": pattern(MANY)}),
    (7, "reset by peer; what it sent may be cut short (sent 1 byte, all acknowledged; received "
        "14)", (), served_by(resets_in_its_answer), {"stdin": b"1"}),
    (8, "write standard output: No space left on device", (), served_by(answers), {"stdout": FULL}),
    (8, "write /dev/full: No space left on device", ("-o", "/dev/full"), served_by(answers)),
    (8, "open /no/such/folder/file: No such file", ("-o", "/no/such/folder/file"),
     served_by(answers)),
    (9, "deadline passed after 800.0 ms (sent ", ("--max-time", "800ms"), never_accepted,
     {"stdin": pattern(MANY)}),
    (8, "read standard input: Is a directory", (), served_by(read_all), {"stdin": FOLDER}),
]


def fail(failure, *more):
    """Run the command so that it fails, with the words MORE before the others.

    A deadline that is over before it has sent anything, because it was held up for so long,
    is another failure: once more then.
    """
    code, said, words, peer, *options = failure
    for _ in range(5):
        with peer() as where:
            result = tenon(*more, *words, *where, **(options[0] if options else {}))
        if "deadline passed" not in said or (result.code == code and said in result.err):
            break
    return result


@test
def each_failure_has_its_code_and_one_line_that_says_why():
    for failure in FAILURES:
        expect(fail(failure), *failure[:2])


@test
def each_failure_is_valid_json_and_nothing_else():
    for failure in FAILURES:
        result = fail(failure, "--json")
        events = list(map(check, result.objects()))
        errors = [event for event in events if event["ev"] == "error"]
        assert result.code == failure[0], (failure, result)
        assert len(errors) == 1 and failure[1] in ": ".join(
            [f"{errors[0]['what']} {errors[0]['where']}".strip(), errors[0]["why"]]), result
        last = events[-1]
        assert (last["ok"], last["exit"]) == (False, failure[0]), (failure, result)


@test
def json_may_stand_behind_the_mistake():
    for words in (("--nope", "--json", "h", "1"), ("--max-time", "soon", "h", "1", "--json"),
                  ("h", "1", "-p", "70000", "--nope", "--json")):
        event, = map(check, tenon(*words).objects())
        assert (event["ok"], event["exit"]) == (False, 2), event
    with tempfile.NamedTemporaryFile() as file:
        expect(tenon("--nope", "h", "1", f"--json={file.name}"), 2, "there is no --nope")
        assert check(json.loads(file.read()))["why"] == "there is no --nope"


@test
def the_first_mistake_is_told_and_its_hint():
    result = tenon("--max-time", "soon", "--nope", "h", "1")
    assert len(result.lines()) == 1 and "'soon'" in result.err, result
    result = tenon("--nope", "--max-time", "soon", "h", "1")
    assert [line.split(":")[0] for line in result.lines()] == ["tenon", "hint"], result
    assert len(tenon("--nope", "h", "1", "--silent").lines()) == 1


# ---------------------------------------------------------------- what is asked for in part

@test
def q_that_is_over_before_our_output_has_taken_all_is_no_success():
    def floods(conn):
        with contextlib.suppress(OSError):
            while True:
                conn.sendall(pattern(100_000))

    read_end, write_end = os.pipe()  # its output, which nobody reads
    with Peer(floods) as peer, start(*peer.words, "-q", "200ms", stdout=write_end) as process:
        wait_for(lambda: not select.select([], [write_end], [], 0)[1], "a full pipe", process)
        process.stdin.close()  # from now on
        code = process.wait(LIMIT_S)
        said = process.stderr.read().decode()
        assert code == 5 and "bytes not yet put out" in said, (code, said)
    os.close(read_end)
    os.close(write_end)


@test
def the_longest_limits_are_none():
    with Peer(read_all) as peer:
        expect(tenon(*peer.words, "--idle-timeout", "106751d", "--max-time", "106751d",
                     "--connect-timeout", "106751d", stdin=b"x"), 0)


@test
def options_in_an_address_are_those_of_the_verb_and_work():
    def stays(conn):
        conn.recv(100)
        conn.recv(1)

    with Peer(stays) as peer:
        expect(tenon(f"127.0.0.1:{peer.port}?no-wait", stdin=b"x"), 0)
    result = tenon("-l", "127.0.0.1:0?connect-timeout=1s")
    assert result.code == 2 and "listen does not take it" in result.err, result


# ---------------------------------------------------------------- addresses

def malformed(number):
    """An address with a few characters exchanged, taken out or put in, by NUMBER."""
    chance = random.Random(number)
    text = list(chance.choice(["127.0.0.1:0", "[::1]:0", ":0", "localhost:0", "tcp://127.0.0.1:0",
                               "unix:/no/such/path", "unix:@tenon-test", "127.0.0.1:0?max-time=1s"]))
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(text) + 1)
        new = chance.choice(["", ":", "[", "]", "/", "@", "?", "&", "=", "%", "-", ".", "9", "99999",
                             " ", "\n", "\t", "\x7f", "\x1b[31m", "é", "\udcff", "x" * 300])
        text[place:place + chance.randint(0, 1)] = new
    return "".join(text)


@test
def malformed_addresses_are_told_in_one_line_and_hang_nothing():
    codes = collections.Counter()
    for number in range(200):
        text = malformed(number)
        result = tenon("-l", "-n", "--max-time", "1ms", "--", text, limit=10)
        codes[result.code] += 1
        said = [line for line in result.lines()
                if not line.startswith(("hint:", "tenon: listening"))]
        assert result.code in (0, 2, 3, 4, 5, 7, 9), (text, result)
        assert (len(said) == 1 and said[0].startswith("tenon: ")) == (result.code != 0), (text, result)
        assert result.out == b"" and not any(c < " " for line in said for c in line), (text, result)
    assert codes[2] > 50 and codes[5] > 10, codes


run()
