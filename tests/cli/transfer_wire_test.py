#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The transfer format by hand: it can be spoken from its page, and lies are not believed."""
import contextlib
import hmac
import os
import socket
import struct
import tempfile
import time

from rig import (LIMIT_S, Peer, Server, ends_in_reset, expect, pattern, queued, read_all, reset, run,
                 tenon, test, wait_for)
from transfer_peer import (BUSY, DIGEST, EXISTS, FILE, NAME, PROTOCOL, SPACE, TOKEN, VERSION, Refused,
                           Speaker, parts, refusal, sha)

DATA = pattern(700_000)
SECRET = "correct horse battery"


@contextlib.contextmanager
def receiver(*options):
    """A folder, and a receiver of the command's that puts files there."""
    with tempfile.TemporaryDirectory(prefix="tenon-") as top:
        inbox = os.path.join(top, "inbox")
        os.mkdir(inbox)
        with Server("recv", "-k", *options, "127.0.0.1:0", inbox) as server:
            yield inbox, server


def session(server, **how):
    return Speaker(server.connect()).greet(**how)


def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


# ---------------------------------------------------------------- as the sender

@test
def a_sender_written_from_the_page_is_understood():
    with receiver("--token", SECRET) as (inbox, server):
        speaker = session(server, token=SECRET)
        speaker.offer(b"tree", 0, kind="d")
        assert speaker.receipt() == (0, sha(b""))
        speaker.give(b"tree/file", DATA, mode=0o640, mtime=(1_000_000_000, 123_456_789))
        speaker.offer(b"tree/endless", 2**64 - 1)
        assert speaker.at() == (False, 0, sha(b""))
        speaker.go(0)
        speaker.send("D", b"some")
        speaker.send("D", b"thing")
        speaker.end(b"something")
        assert speaker.receipt() == (9, sha(b"something"))
        speaker.offer(b"tree", 0, kind="t", mode=0o711, mtime=(5, 6))
        speaker.receipt()
        speaker.finish(2, len(DATA) + 9)
        assert read(inbox, "tree/file") == DATA and read(inbox, "tree/endless") == b"something"
        status = os.stat(os.path.join(inbox, "tree/file"))
        assert (status.st_mode & 0o7777, status.st_mtime_ns) == (0o640, 1_000_000_000_123_456_789)
        status = os.stat(os.path.join(inbox, "tree"))
        assert (status.st_mode & 0o7777, status.st_mtime_ns) == (0o711, 5_000_000_006)
        assert server.stop().code == 0


@test
def a_part_is_continued_if_its_digest_is_right_and_begun_anew_if_not():
    with receiver() as (inbox, server):
        speaker = session(server)
        speaker.offer(b"file", len(DATA))
        speaker.at()
        speaker.go(0)
        speaker.send("D", DATA[:400_000])
        speaker.send("D", DATA[400_000:500_000])
        wait_for(lambda: list(parts(inbox).values()) == [500_000], "all of it")
        part, = parts(inbox)
        reset(speaker.conn)
        for good in (False, True):
            speaker = session(server)
            data = DATA if good else bytes(len(DATA))
            while True:  # until the first session has let go of it
                try:
                    speaker.offer(b"file", len(data))
                    whole, offset, digest = speaker.at()
                    break
                except Refused as why:
                    assert why.code == BUSY
                    speaker = session(server)
            assert not whole and offset == 500_000
            if good:
                assert digest == sha(b"tail" + bytes(offset - 4)), offset
                speaker.go(0)
                speaker.send("D", DATA[:offset])
            else:
                assert digest == sha(DATA[:offset])
                speaker.go(0)
                speaker.send("D", b"tail" + bytes(offset - 4))
                wait_for(lambda: read(part) == b"tail" + bytes(500_000 - 4), "the new part")
                reset(speaker.conn)
                continue
            speaker.send("D", data[offset:])
            speaker.end(data)
            assert speaker.receipt() == (len(data), sha(data))
            speaker.finish(1, len(data))
        assert read(inbox, "file") == DATA and not parts(inbox)


@test
def a_name_that_leads_elsewhere_is_refused():
    with receiver("--force") as (inbox, server), tempfile.TemporaryDirectory() as other:
        os.symlink(other, os.path.join(inbox, "link"))
        os.symlink(os.path.join(other, "target"), os.path.join(inbox, "filelink"))
        os.mkdir(os.path.join(inbox, "real"))
        with open(os.path.join(inbox, "plain"), "wb"):
            pass
        for name in (b"..", b"../x", b"real/../../x", b"/etc/x", b"/", b"real//x", b"real/", b".",
                     b"./x", b"link/x", b"plain/x", b"a" * 256, b"real/" + b"b" * 256,
                     b"x/" * 200 + b"x", b"a\0b", b".tenon-0123456789abcdef0123.part"):
            for kind in "fdt":
                speaker = session(server)
                speaker.offer(name, 3, kind=kind)
                code, text = refusal(speaker.at)
                assert code == (FILE if name.startswith(b"x/") else NAME), (name, kind, text)
        speaker = session(server)  # the link itself is replaced, not what it leads to
        speaker.give(b"filelink", b"new")
        speaker.finish(1, 3)
        assert not os.path.islink(os.path.join(inbox, "filelink"))
        assert os.listdir(other) == [] and not parts(inbox)
        assert sorted(os.listdir(inbox)) == ["filelink", "link", "plain", "real"]


@test
def a_planted_part_is_not_written_to():
    with receiver() as (inbox, server):
        speaker = session(server)
        speaker.offer(b"file", 10)
        speaker.at()
        speaker.go(0)
        speaker.send("D", b"12345")
        part, = os.listdir(inbox)
        reset(speaker.conn)
    with receiver() as (inbox, server), tempfile.TemporaryDirectory() as other:
        victim = os.path.join(other, "victim")
        for plant in (os.symlink, os.link, lambda _, path: os.mkfifo(path),
                      lambda _, path: os.mkdir(path)):
            with open(victim, "wb") as file:
                file.write(b"untouched")
            path = os.path.join(inbox, part)
            plant(victim, path)
            speaker = session(server)
            speaker.offer(b"file", 20)
            code, text = refusal(speaker.at)
            assert code in (NAME, EXISTS), (plant, code, text)
            assert read(victim) == b"untouched"
            assert os.path.lexists(path)
            os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
        assert "file" not in os.listdir(inbox)


@test
def what_breaks_a_rule_is_refused_and_leaves_no_file():
    def after(*steps):
        def act(speaker):
            for step in steps:
                step(speaker)
        return act

    def raw(kind, size, body=b""):
        return lambda speaker: speaker.conn.sendall(kind + struct.pack(">I", size) + body)

    begin = after(lambda speaker: speaker.offer(b"file", 10), Speaker.at)
    going = after(begin, lambda speaker: speaker.go(0))
    data = lambda body: lambda speaker: speaker.send("D", body)
    cases = [
        ("no such message", raw(b"?", 4, b"1234"), PROTOCOL),
        ("a huge offer", raw(b"O", 2**32 - 1), PROTOCOL),
        ("an offer without a name", raw(b"O", 23, bytes(23)), PROTOCOL),
        ("a huge data message", after(going, raw(b"D", 2**31)), PROTOCOL),
        ("an empty data message", after(going, raw(b"D", 0)), PROTOCOL),
        ("data without an offer", data(b"x"), PROTOCOL),
        ("go without an offer", lambda speaker: speaker.go(0), PROTOCOL),
        ("a receipt of the sender's", raw(b"R", 40, bytes(40)), PROTOCOL),
        ("no such kind", lambda speaker: speaker.offer(b"file", 1, kind="l"), PROTOCOL),
        ("a second too long", lambda speaker: speaker.offer(b"f", 1, mtime=(1, 10**9)), PROTOCOL),
        ("a size that no file has", lambda speaker: speaker.offer(b"f", 2**63), PROTOCOL),
        ("a size that no disk has", lambda speaker: speaker.offer(b"f", 2**62), SPACE),
        ("an offset that was not offered", after(begin, lambda speaker: speaker.go(3)), PROTOCOL),
        ("more than was offered", after(going, data(b"12345"), data(b"678901")), PROTOCOL),
        ("less than was offered", after(going, data(b"12345"),
                                        lambda speaker: speaker.end(b"12345")), PROTOCOL),
        ("a wrong digest", after(going, data(b"1234567890"),
                                 lambda speaker: speaker.end(b"1234567891")), DIGEST),
        ("an offer among the data", after(going, lambda speaker: speaker.offer(b"g", 1)), PROTOCOL),
        ("a wrong count", lambda speaker: speaker.send("Z", struct.pack(">QQ", 1, 0)), PROTOCOL),
    ]
    with receiver() as (inbox, server):
        for name, act, wanted in cases:
            speaker = session(server)
            act(speaker)
            code, text = refusal(speaker.read)
            assert code == wanted, (name, code, text)
            assert "file" not in os.listdir(inbox), name
        for part in parts(inbox):
            assert os.stat(part).st_size == 5  # of what was cut, and may be continued
        assert server.process.poll() is None


@test
def a_stranger_is_reset_and_does_not_count():
    with tempfile.TemporaryDirectory() as inbox:
        with Server("recv", "--token", SECRET, "127.0.0.1:0", inbox) as server:
            for hello in (b"GET / HTTP/1.1\r\n".ljust(48), bytes(48), b"tenon-r\n".ljust(48)):
                with server.connect() as conn:
                    conn.sendall(hello)
                    assert ends_in_reset(conn) == (b"", True)
            with server.connect() as conn:
                conn.sendall(b"tenon-s\n")  # and no more
            for how, wanted in (({"version": 0, "flags": 1}, VERSION), ({"flags": 0}, TOKEN)):
                speaker = session(server, **how)
                assert refusal(speaker.read)[0] == wanted, how
            speaker = Speaker(server.connect())
            assert refusal(lambda: speaker.greet(token="wrong token"))[0] == TOKEN
            speaker = Speaker(server.connect())
            assert refusal(lambda: speaker.greet(token=SECRET, proof=bytes(32)))[0] == TOKEN
            speaker = session(server, token=SECRET, version=7)  # a later one that knows ours too
            speaker.give(b"file", b"x")
            speaker.finish(1, 1)
            assert server.wait().code == 0
            assert os.listdir(inbox) == ["file"]


@test
def a_proof_cannot_be_replayed_or_turned_round():
    with tempfile.TemporaryDirectory() as inbox, \
            Server("recv", "-k", "--token", SECRET, "127.0.0.1:0", inbox) as server:
        one, other = (Speaker(server.connect()) for _ in range(2))
        hello = b"tenon-s\n" + struct.pack(">HHI", 1, 1, 0) + bytes(32)
        one.conn.sendall(hello)
        other.conn.sendall(hello)
        hellos = hello + one.take(48)
        assert other.take(48) != hellos[48:]
        proof = hmac.new(SECRET.encode(), b"s" + hellos, "sha256").digest()
        other.send("P", proof)  # good for the other connection
        assert refusal(other.read)[0] == TOKEN
        one.send("P", hmac.new(SECRET.encode(), b"r" + hellos, "sha256").digest())
        assert refusal(one.read)[0] == TOKEN


@test
def clients_at_once_are_limited():
    with receiver("--max-conns", "2") as (_, server):
        first, second = session(server), session(server)
        third = Speaker(server.connect())
        third.conn.sendall(b"tenon-s\n" + struct.pack(">HHI", 1, 0, 0) + bytes(32))
        third.conn.settimeout(0.2)
        try:
            third.take(48)
            raise AssertionError("a third one is served")
        except TimeoutError:
            pass
        third.conn.settimeout(LIMIT_S)
        first.finish(0, 0)
        assert third.take(48)[:8] == b"tenon-r\n"
        second.finish(0, 0)


# ---------------------------------------------------------------- as the receiver

def deliver_to(script, *options, data=b"content", token=None, greet=True):
    """What comes of sending a file to a receiver that follows SCRIPT(speaker)."""
    def serve(conn):
        speaker = Speaker(conn, "receiver")
        if greet:
            speaker.greet(token=token)
        return script(speaker)

    with Peer(serve) as peer, tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "file")
        with open(name, "wb") as file:
            file.write(data)
        os.chmod(name, 0o640)
        os.utime(name, ns=(0, 1_234_567_890))
        result = tenon("send", f"127.0.0.1:{peer.port}", name, "--retries", "0", *options)
    return result, peer.result


def answer_at(speaker, offset=0, digest=sha(b""), state=b"n"):
    speaker.send("A", state + struct.pack(">Q", offset) + digest)


def take_file(speaker):
    """The data up to the end message, and that."""
    data = b""
    while True:
        kind, body = speaker.read()
        if kind == "E":
            return data, body
        assert kind == "D", kind
        data += body


@test
def a_receiver_written_from_the_page_is_understood():
    def script(speaker):
        offer = speaker.expect("O")
        answer_at(speaker)
        assert speaker.expect("G") == bytes(8)
        data, end = take_file(speaker)
        speaker.send("R", end)
        finish = speaker.expect("Z")
        speaker.send("Z", finish)
        return offer, data, end, finish

    result, (offer, data, end, finish) = deliver_to(script, "--token", SECRET, data=DATA,
                                                    token=SECRET)
    expect(result, 0, "1 file, 683.6 KiB")
    assert offer == b"f" + struct.pack(">HqIQ", 0o640, 1, 234_567_890, len(DATA)) + b"file"
    assert data == DATA and end == struct.pack(">Q", len(DATA)) + sha(DATA)
    assert finish == struct.pack(">QQ", 1, len(DATA))


@test
def a_sender_goes_on_where_the_receiver_is_only_if_that_is_the_same():
    def script(offset, digest, state, expected):
        def act(speaker):
            speaker.expect("O")
            answer_at(speaker, offset, digest, state)
            assert struct.unpack(">Q", speaker.expect("G")) == (expected,)
            if state == b"h" and expected == offset:
                speaker.send("R", struct.pack(">Q", len(DATA)) + sha(DATA))
                data = DATA[offset:]
            else:
                data, end = take_file(speaker)
                speaker.send("R", end)
            speaker.send("Z", speaker.expect("Z"))
            return data
        return act

    for offset, digest, state, expected in (
            (300_000, sha(DATA[:300_000]), b"n", 300_000), (300_000, sha(b"?"), b"n", 0),
            (len(DATA), sha(DATA), b"n", len(DATA)), (len(DATA), sha(DATA), b"h", len(DATA)),
            (len(DATA), sha(b"?"), b"h", 0)):
        result, data = deliver_to(script(offset, digest, state, expected), data=DATA)
        assert result.code == 0, result
        assert data == DATA[expected:], (offset, state, len(data))


@test
def a_receiver_that_lies_is_not_believed():
    def begin(speaker):
        speaker.expect("O")
        answer_at(speaker)
        speaker.expect("G")
        return take_file(speaker)[1]

    def receipt(change):
        def act(speaker):
            speaker.send("R", change(begin(speaker)))
            return refusal(speaker.read)
        return act

    def early(speaker):
        speaker.expect("O")
        speaker.send("R", struct.pack(">Q", 7) + sha(b"content"))
        return refusal(speaker.read)

    def too_much(speaker):
        speaker.expect("O")
        answer_at(speaker, 8)
        return refusal(speaker.read)

    def no_state(speaker):
        speaker.expect("O")
        answer_at(speaker, state=b"?")
        return refusal(speaker.read)

    def huge(speaker):
        speaker.expect("O")
        speaker.conn.sendall(b"A" + b"\xff" * 4)
        return refusal(speaker.read)

    for script in (receipt(lambda end: end[:8] + sha(b"?")),
                   receipt(lambda end: struct.pack(">Q", 6) + end[8:]), early, too_much, no_state,
                   huge):
        result, (code, _) = deliver_to(script)
        assert result.code == 1 and code == PROTOCOL, result


@test
def a_receiver_that_goes_away_before_the_receipt_is_exit_7():
    def before_receipt(ending):
        def act(speaker):
            speaker.expect("O")
            answer_at(speaker)
            speaker.expect("G")
            take_file(speaker)
            ending(speaker.conn)
        return act

    for ending, said in ((reset, "reset by peer"), (lambda conn: None, "ended before it was done")):
        result, _ = deliver_to(before_receipt(ending))
        expect(result, 7, said)
    for words in (b"HTTP/1.1 400 Bad Request\r\n\r\n".ljust(48), b"tenon-s\n".ljust(48)):
        result, _ = deliver_to(lambda speaker, words=words: speaker.conn.sendall(words), greet=False)
        expect(result, 1, "not a receiver of tenon")
    result, _ = deliver_to(lambda speaker: None, greet=False)
    assert result.code == 7, result


@test
def a_receiver_that_refuses_in_the_middle_is_heard():
    def script(speaker):
        speaker.expect("O")
        answer_at(speaker)
        speaker.expect("G")
        speaker.expect("D")
        speaker.send("X", struct.pack(">H", SPACE) + b"no room \x1b[31m here")
        speaker.conn.shutdown(socket.SHUT_WR)
        return len(read_all(speaker.conn))

    result, more = deliver_to(script, data=pattern(60_000_000))
    expect(result, 1, "the receiver says: no room ?[31m here")
    assert more < 40_000_000, more  # it was heard before all was sent


@test
def the_last_words_of_a_receiver_that_resets_are_heard():
    def script(speaker):
        speaker.expect("O")
        answer_at(speaker)
        speaker.expect("G")
        waiting = 0  # until the sender's write is held up, and so is not listening
        while (now := queued(speaker.conn)) != waiting or now == 0:
            waiting = now
            time.sleep(0.2)
        speaker.send("X", struct.pack(">H", SPACE) + b"no room")
        reset(speaker.conn)

    result, _ = deliver_to(script, "-O", "64k", data=pattern(60_000_000))
    expect(result, 1, "the receiver says: no room")


@test
def a_receiver_without_the_token_gets_nothing():
    def script(speaker):
        hello = speaker.take(48)
        speaker.conn.sendall(b"tenon-r\n" + struct.pack(">HHI", 1, 1, 0) + bytes(32))
        speaker.expect("P")
        speaker.send("P", bytes(32))
        return hello, refusal(speaker.read)

    result, (_, (code, _)) = deliver_to(script, "--token", SECRET, greet=False)
    expect(result, 1, "the tokens differ")
    assert code == TOKEN


run()
