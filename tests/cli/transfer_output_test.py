#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""recv to standard output: one file, as it comes, and what cannot be taken back."""
import contextlib
import os
import signal
import subprocess
import tempfile
import time

from rig import LIMIT_S, SCALE, Server, collect, expect, pattern, run, start, tenon, test
from transfer_peer import Gatekeeper, Speaker, refusal, sha, strace

DATA = pattern(3_000_000)
NO_SIZE = (1 << 64) - 1


def receiver(*options, **more):
    return Server("recv", *options, "127.0.0.1:0", "-", **more)


@contextlib.contextmanager
def file_of(data, name="file"):
    with tempfile.TemporaryDirectory(prefix="tenon-") as folder:
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
        yield file.name


def speaker(server):
    """Somebody who speaks the format by hand, greeted."""
    one = Speaker(server.connect())
    one.greet()
    return one


def begun(server, size, data):
    """A speaker that has sent DATA of the file that it offers, which has SIZE."""
    one = speaker(server)
    one.offer(b"file", size)
    assert one.at() == (False, 0, sha(b""))
    one.go(0)
    one.send("D", data)
    return one


@test
def a_file_and_standard_input_go_to_standard_output():
    for size in (0, 1, 262_144, len(DATA)):
        with file_of(DATA[:size]) as name, receiver() as server:
            with start("send", f"127.0.0.1:{server.port}", name) as sender:
                result = server.wait()
                assert result.code == 0 and result.out == DATA[:size], (size, result)
                collect(sender)
                assert sender.returncode == 0
    with receiver() as server:
        with start("send", f"127.0.0.1:{server.port}", stdin=subprocess.PIPE) as sender:
            sender.stdin.write(DATA[:50_000])  # fits into both pipes
            sender.stdin.close()
            result = server.wait()
            assert result.code == 0 and result.out == DATA[:50_000], result
            collect(sender)
            assert sender.returncode == 0


@test
def a_regular_file_as_standard_output_is_written_behind_what_is_there():
    with file_of(DATA) as name, tempfile.TemporaryFile() as out:
        out.write(b"before")
        out.flush()
        with receiver(stdout=out) as server:
            expect(tenon("send", f"127.0.0.1:{server.port}", name), 0, "1 file")
            assert server.wait().code == 0
        out.seek(0)
        assert out.read() == b"before" + DATA


@test
def a_sender_that_returns_goes_on_behind_what_is_written():
    with file_of(DATA) as name:
        for count in range(3, 18, 2):
            with receiver() as server, Gatekeeper(server.port, messages=count) as way:
                with start("send", f"127.0.0.1:{way.port}", name, "--json") as sender:
                    result = server.wait()
                    assert result.out == DATA, (count, len(result.out), result)
                    assert result.code in (0, 7)  # 7: it did not hear the last word
                    _, err = collect(sender, LIMIT_S)
                    assert sender.returncode == 0, err
                    assert way.connections == 2, way.connections


@test
def a_receipt_that_was_lost_is_given_again():
    with receiver() as server:
        one = speaker(server)
        one.give(b"file", DATA[:1000])
        one.conn.close()
        two = speaker(server)
        two.offer(b"file", 1000)
        assert two.at() == (True, 1000, sha(DATA[:1000]))
        two.go(1000)
        assert two.receipt() == (1000, sha(DATA[:1000]))
        two.finish(1, 0)
        result = server.wait()
        assert result.code == 0 and result.out == DATA[:1000], result


@test
def what_cannot_follow_is_refused_and_nothing_of_it_is_written():
    beginning = DATA[:1000]

    def another(one):
        one.offer(b"other", 2000)
        one.at()

    def of_another_size(one):
        one.offer(b"file", 2001)
        one.at()

    def without_a_size(one):
        one.offer(b"file", NO_SIZE)
        one.at()

    def from_the_beginning(one):
        one.offer(b"file", 2000)
        assert one.at() == (False, 1000, sha(beginning))
        one.go(0)
        one.receipt()

    def folder(one):
        one.offer(b"folder", 0, kind="d")
        one.receipt()

    for size, act, code, why in (
            (2000, another, 4, "has another file already"),
            (2000, of_another_size, 4, "has another file already"),
            (2000, without_a_size, 4, "has another file already"),
            (NO_SIZE, without_a_size, 4, "has a part already, and this cannot go on"),
            (2000, from_the_beginning, 4, "has something else already"),
            (2000, folder, 5, "takes one file, no folder")):
        with receiver() as server:
            one = begun(server, size, beginning)
            assert server.process.stdout.read(1000) == beginning
            one.conn.close()
            two = speaker(server)
            assert refusal(lambda: act(two)) == (code, f"standard output: {why}"), act
            two.conn.close()
            result = server.wait()
            assert result.out == b"" and result.code in (1, 8), result


@test
def two_at_once_do_not_mix():
    with receiver() as server:
        one = begun(server, 2000, DATA[:1000])
        two = speaker(server)
        two.offer(b"file", 2000)
        assert refusal(two.at)[0] == 8
        two.conn.close()
        one.send("D", DATA[1000:2000])
        one.end(DATA[:2000])
        one.receipt()
        one.finish(1, 2000)
        result = server.wait()
        assert result.code == 0 and result.out == DATA[:2000], result


@test
def a_wrong_digest_is_never_exit_0():
    with receiver() as server:
        one = begun(server, 1000, DATA[:1000])
        one.end(DATA[1:1001])
        assert refusal(one.receipt)[0] == 9
        one.conn.close()
        two = speaker(server)
        two.offer(b"file", 1000)
        assert two.at() == (False, 1000, sha(DATA[:1000]))
        two.go(0)
        assert refusal(two.receipt)[0] == 4
        two.conn.close()
        assert server.wait().code == 8


@test
def an_output_that_takes_no_more_is_exit_8_and_said_to_both():
    with file_of(DATA) as name:
        with open("/dev/full", "wb") as full, receiver(stdout=full) as server:
            expect(tenon("send", f"127.0.0.1:{server.port}", name), 1,
                   "the receiver says: standard output: No space left on device")
            result = server.wait()
            assert result.code == 8 and "standard output: No space left" in result.err, result
        with receiver() as server:
            server.process.stdout.close()
            server.process.stdout = None
            expect(tenon("send", f"127.0.0.1:{server.port}", name), 1,
                   "the receiver says: standard output: Broken pipe")
            assert server.wait().code == 8


@test
def who_reads_slowly_holds_the_sender_and_ctrl_c_ends_it():
    with file_of(DATA) as name, receiver() as server:
        with start("send", "--retries", "0", f"127.0.0.1:{server.port}", name) as sender:
            assert os.read(server.process.stdout.fileno(), 1) == DATA[:1]
            server.process.send_signal(signal.SIGINT)
            server.process.wait(LIMIT_S)  # nobody reads meanwhile
            result = server.wait()
            assert result.code == -signal.SIGINT, result
            assert DATA[1:].startswith(result.out) and len(result.out) < len(DATA) - 1
            _, err = collect(sender)
            assert sender.returncode == 7, err


@test
def limits_of_time_hold_while_nobody_reads_the_output():
    for option, code, why in ((("--max-time", f"{SCALE}s"), 5, "deadline passed"),
                              (("--idle-timeout", f"{2 * SCALE}s"), 8,
                               "standard output: takes nothing any more")):
        with file_of(DATA) as name, receiver(*option) as server:
            with start("send", "--retries", "0", f"127.0.0.1:{server.port}", name) as sender:
                assert server.process.wait(LIMIT_S) == code, option
                result = server.wait()
                assert why in result.err and DATA.startswith(result.out), (option, result)
                _, err = collect(sender, LIMIT_S)
                assert sender.returncode != 0, err


@test
def a_slow_reader_of_the_output_is_not_idle():
    with file_of(DATA[:400_000]) as name, \
            receiver("--idle-timeout", f"{2 * SCALE}s") as server, \
            start("send", f"127.0.0.1:{server.port}", name) as sender:
        got, out = b"", server.process.stdout.fileno()
        while piece := os.read(out, 10_000):  # a block takes 3 s, longer than the time-out
            got += piece
            time.sleep(0.15 * SCALE)
        assert got == DATA[:400_000] and server.wait().code == 0
        collect(sender, LIMIT_S)
        assert sender.returncode == 0


@test
def a_file_as_standard_output_that_cannot_be_synced_has_no_receipt():
    tracing = strace("-o", "/dev/null", "-e", "inject=fsync:error=EIO")
    with file_of(DATA) as name, tempfile.TemporaryFile() as out, \
            receiver(stdout=out, **tracing) as server:
        expect(tenon("send", f"127.0.0.1:{server.port}", name), 1,
               "the receiver says: standard output: Input/output error")
        assert server.wait().code == 8


@test
def many_senders_and_standard_output_are_refused_at_the_beginning():
    expect(tenon("recv", "-k", "0", "-"), 2, "standard output takes the file of one sender")
    expect(tenon("recv", "--force", "0", "-"), 2, "nothing is overwritten at standard output")


run()
