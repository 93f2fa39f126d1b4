#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tenon connect: what it delivers, how it ends, and what its exit code means."""
import fcntl
import os
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import threading
import time

from rig import (LIMIT_S, SCALE, Peer, cpu_seconds, ends_in_reset, expect, knows_that_it_ended, listeners,
                 pattern, queued, read_all, reset, run, stand_still, start, tenon, test, wait_for)


# ---------------------------------------------------------------- all is delivered

@test
def a_late_reply_is_printed_in_full_with_exit_0():
    reply = pattern(100_000)

    def script(conn):
        request = read_all(conn)
        time.sleep(1.5)  # the server thinks: the point of the test
        conn.sendall(reply)
        return request

    with Peer(script) as peer:
        result = expect(tenon(*peer.words, stdin=b"hello\n"), 0)
        assert result.out == reply
        assert result.took >= 1.5
    assert peer.result == b"hello\n"


@test
def nothing_both_ways_is_a_success():
    with Peer(read_all) as peer:
        assert expect(tenon(*peer.words), 0).out == b""
    assert peer.result == b""


@test
def a_peer_that_ends_first_still_gets_all_5_MB():
    sent = pattern(5_000_000)

    def script(conn):
        conn.sendall(b"done already")
        conn.shutdown(socket.SHUT_WR)
        return read_all(conn)

    with Peer(script) as peer:
        assert expect(tenon(*peer.words, stdin=sent), 0).out == b"done already"
    assert peer.result == sent


@test
def waiting_for_a_peer_that_has_ended_and_reads_nothing_costs_nothing():
    full, done = threading.Event(), threading.Event()

    def script(conn):
        conn.shutdown(socket.SHUT_WR)
        before = 0
        while queued(conn) == 0 or queued(conn) != before:
            before = queued(conn)
            time.sleep(0.1)
        full.set()
        done.wait(LIMIT_S)

    with Peer(script) as peer, open("/dev/zero", "rb") as endless, start(
            *peer.words, stdin=endless) as process:
        full.wait(LIMIT_S)
        before = cpu_seconds(process)
        time.sleep(1)  # the time over which it must not spin
        used = cpu_seconds(process) - before
        process.kill()
        done.set()
    assert used < 0.02 * SCALE, f"{used:.4f} s of processor time in 1 s"


@test
def bytes_go_both_ways_at_once():
    sent, reply = pattern(20_000_000), pattern(20_000_000, seed=7777)

    def script(conn):
        writer = threading.Thread(target=lambda: (conn.sendall(reply),
                                                  conn.shutdown(socket.SHUT_WR)))
        writer.start()
        got = read_all(conn)
        writer.join()
        return got

    with Peer(script) as peer:
        assert expect(tenon(*peer.words, stdin=sent), 0).out == reply
    assert peer.result == sent


@test
def a_slow_reader_gets_everything():
    sent = pattern(3_000_000)

    def script(conn):
        pieces = []
        while piece := conn.recv(50_000):
            pieces.append(piece)
            time.sleep(0.01)  # slow: the point of the test
        return b"".join(pieces)

    with Peer(script) as peer:
        expect(tenon(*peer.words, stdin=sent), 0)
    assert peer.result == sent


@test
def a_slow_reader_of_our_output_gets_everything():
    reply = pattern(3_000_000)

    def script(conn):
        conn.sendall(reply)
        conn.shutdown(socket.SHUT_WR)
        return read_all(conn)

    with Peer(script) as peer, start(*peer.words, stdin=subprocess.DEVNULL) as process:
        got = b""
        while piece := process.stdout.read1(40_000):
            got += piece
            time.sleep(0.005)
        assert process.wait(LIMIT_S) == 0
    assert got == reply


@test
def being_stopped_and_continued_loses_nothing():
    sent, last = pattern(8_000_000), b"and this when it has been stopped often enough"
    half = threading.Event()

    def script(conn):
        got = conn.recv(1 << 16)
        half.set()
        return got + read_all(conn)

    with Peer(script) as peer, start(*peer.words) as process:
        writer = threading.Thread(target=process.stdin.write, args=(sent,))
        writer.start()
        half.wait(LIMIT_S)
        for _ in range(5):
            stand_still(process)
            process.send_signal(signal.SIGCONT)
        writer.join()
        process.stdin.write(last)
        process.stdin.close()
        assert process.wait(LIMIT_S) == 0, process.stderr.read()
    assert peer.result == sent + last


@test
def nul_bytes_and_a_line_of_100_MB_go_through():
    sent = b"\0" * 1000 + b"x" * 100_000_000 + b"\0\n"

    def script(conn):
        total = 0
        while piece := conn.recv(1 << 20):
            total += len(piece)
        return total

    with Peer(script) as peer:
        expect(tenon(*peer.words, stdin=sent), 0)
    assert peer.result == len(sent)


@test
def a_file_is_sent_and_o_receives_one():
    sent, reply = pattern(1_000_000), pattern(2_000_000, seed=99)

    def script(conn):
        got = read_all(conn)
        conn.sendall(reply)
        return got

    with tempfile.TemporaryDirectory() as folder, Peer(script) as peer:
        name = os.path.join(folder, "in")
        with open(name, "wb") as file:
            file.write(sent)
        with open(name, "rb") as file:
            assert expect(tenon(*peer.words, "-o", f"{folder}/out", stdin=file), 0).out == b""
        with open(f"{folder}/out", "rb") as file:
            assert file.read() == reply
    assert peer.result == sent


@test
def a_unix_socket_works_like_a_port():
    with tempfile.TemporaryDirectory() as folder:
        def script(conn):
            got = read_all(conn)
            conn.sendall(got.upper())
            return got

        path = f"{folder}/socket"
        for words in (("-U", path), (f"unix:{path}",), (path,)):
            with Peer(script, path=path) as peer:
                assert expect(tenon(*words, stdin=b"over unix"), 0).out == b"OVER UNIX"
            os.unlink(path)
            assert peer.result == b"over unix"


@test
def ipv6_works_with_and_without_brackets():
    for form in ("host port", "brackets", "brackets port", "url"):
        with Peer(read_all, family=socket.AF_INET6) as peer:
            words = {"host port": ("::1", peer.port), "brackets": (f"[::1]:{peer.port}",),
                     "brackets port": ("[::1]", peer.port), "url": (f"tcp://[::1]:{peer.port}",)}
            expect(tenon(*words[form], stdin=b"six"), 0)
        assert peer.result == b"six"


# ---------------------------------------------------------------- the peer cuts

@test
def a_port_without_a_host_is_this_hosts_by_either_family():
    for family in (socket.AF_INET, socket.AF_INET6):
        with Peer(lambda conn: conn.sendall(b"here"), family) as peer:
            assert expect(tenon(f":{peer.port}"), 0).out == b"here"
        with Peer(family=family) as peer:
            expect(tenon("wait", "--silent", f"tcp://:{peer.port}"), 0)


@test
def a_peer_that_resets_without_reading_is_exit_7_with_counts():
    def script(conn):
        wait_for(lambda: knows_that_it_ended(conn), "all of it")
        reset(conn)

    with Peer(script) as peer:
        expect(tenon(*peer.words, stdin=pattern(60_000)), 7,
               ["send tcp 127.0.0.1", "reset by peer after 60000 bytes", "its host took them all"])


@test
def a_peer_that_closes_without_reading_is_exit_7_with_counts():
    def script(conn):
        wait_for(lambda: knows_that_it_ended(conn), "all of it")
        conn.close()

    with Peer(script) as peer:
        expect(tenon(*peer.words, stdin=pattern(60_000)), 7, "reset by peer after 60000 bytes")


@test
def a_peer_that_closes_with_most_still_to_come_is_exit_7_with_counts():
    def script(conn):
        wait_for(lambda: queued(conn) > 60_000, "more than can be acknowledged")
        conn.close()

    with Peer(script) as peer:
        expect(tenon(*peer.words, stdin=pattern(20_000_000)), 7,
               ["reset by peer before our input ended (sent ", "; received 0)"])


@test
def a_killed_peer_is_exit_7():
    code = ("import socket,sys\n"
            "s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\n"
            "print(s.getsockname()[1], flush=True)\n"
            "c, _ = s.accept(); c.recv(1); print('read', flush=True); sys.stdin.read()\n")
    with subprocess.Popen(["python3", "-c", code], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as peer:
        port = int(peer.stdout.readline())
        with start("127.0.0.1", port) as process:
            process.stdin.write(b"x" * 10_000)
            process.stdin.flush()
            assert peer.stdout.readline() == b"read\n"
            peer.kill()
            assert process.wait(LIMIT_S) == 7
            assert b"reset by peer" in process.stderr.read()


@test
def a_reset_in_mid_stream_prints_what_came_and_is_exit_7():
    reply = pattern(50_000)

    def script(conn):
        conn.sendall(reply)
        # all of it has arrived before the reset: the other side has acknowledged it
        wait_for(lambda: unacknowledged(conn) == 0, "the acknowledgement")
        conn.recv(1)
        reset(conn)

    with Peer(script) as peer, start(*peer.words) as process:
        process.stdin.write(b"ab")
        process.stdin.flush()
        got = process.stdout.read()
        assert process.wait(LIMIT_S) == 7
        assert got == reply
        assert b"received 50000" in process.stderr.read()


def unacknowledged(conn):
    return struct.unpack("i", fcntl.ioctl(conn, termios.TIOCOUTQ, bytes(4)))[0]  # SIOCOUTQ


# ---------------------------------------------------------------- limits of ours

def until_it_could_say(said, words, stdin):
    """A run that --max-time ends, in seconds long enough that it could SAY what it had done."""
    with Peer() as peer:
        for limit in (1, 4, 16):
            result = tenon(*words(peer, limit), stdin=stdin)
            if said in result.err:
                break
    assert result.took >= limit
    return result, limit


@test
def a_peer_that_never_accepts_is_exit_5_when_all_is_acknowledged():
    result, limit = until_it_could_say(
        "sent 6 bytes", lambda peer, limit: (*peer.words, "--max-time", f"{limit}s"), b"hello\n")
    expect(result, 5, [f"deadline passed after {limit}.0", "sent 6 bytes, all acknowledged",
                       "the peer has not ended"])


@test
def a_peer_that_never_accepts_is_exit_9_when_bytes_are_not_acknowledged():
    result, limit = until_it_could_say(
        "not acknowledged", lambda peer, limit: (*peer.words, f"--max-time={limit}s"),
        pattern(30_000_000))
    expect(result, 9, [f"deadline passed after {limit}.0", "not acknowledged"])


@test
def an_idle_connection_is_given_up_after_the_idle_timeout():
    def script(conn):
        return ends_in_reset(conn)

    with Peer(script) as peer, open("/dev/zero", "rb"), start(
            *peer.words, "--idle-timeout", "300ms") as process:
        assert process.wait(LIMIT_S) == 5  # its standard input is still open
        assert b"nothing moved for 300" in process.stderr.read()
    assert peer.result == (b"", True)


@test
def what_came_while_we_stood_still_counts():
    stood, shown = threading.Event(), threading.Event()

    def script(conn):
        conn.sendall(b"tick")
        stood.wait(LIMIT_S)
        conn.sendall(b"tock")
        process.send_signal(signal.SIGCONT)
        shown.wait(LIMIT_S)
        conn.shutdown(socket.SHUT_WR)
        return read_all(conn)

    with Peer(script) as peer, start(*peer.words, "--idle-timeout=1s") as process:
        process.stdin.close()
        assert process.stdout.read(4) == b"tick"
        stand_still(process)
        time.sleep(1.5)  # longer than may pass without a byte
        stood.set()
        assert process.stdout.read(4) == b"tock"
        shown.set()
        assert process.wait(LIMIT_S) == 0, process.stderr.read()


@test
def a_busy_connection_is_not_idle():
    def script(conn):
        for _ in range(24):
            conn.sendall(b"tick")
            time.sleep(0.1)
        conn.shutdown(socket.SHUT_WR)
        return read_all(conn)

    with Peer(script) as peer:
        assert expect(tenon(*peer.words, "--idle-timeout=2s"), 0).out == b"tick" * 24


@test
def connecting_gives_up_after_the_connect_timeout():
    with Peer(backlog=0) as peer:
        fillers = [socket.socket() for _ in range(4)]  # no place in the queue is left
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", peer.port))
        wait_for(lambda: any(listeners(peer.port)), "a full queue")
        result = tenon(*peer.words, "--connect-timeout", "0.3")
        expect(result, 5, ["connect tcp", "no answer within"])
        assert result.took < 5
        for filler in fillers:
            filler.close()


@test
def q_0_does_not_wait_for_the_peers_end():
    stay = threading.Event()

    def script(conn):
        got = conn.recv(100)
        stay.wait(LIMIT_S)
        return got

    for option in ("-q0", "--no-wait", "-q 200ms".split()):
        stay.clear()
        with Peer(script) as peer:
            words = [option] if isinstance(option, str) else option
            result = tenon(*peer.words, *words, stdin=b"bye")
            stay.set()
            expect(result, 0)
        assert peer.result == b"bye"


@test
def options_may_stand_in_the_address():
    result, _ = until_it_could_say(
        "sent 3 bytes", lambda peer, limit: (f"127.0.0.1:{peer.port}?max-time={limit}s&crlf",), b"a\n")
    expect(result, 5, "sent 3 bytes")


run()
