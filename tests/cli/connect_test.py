#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tenon connect: what it delivers, how it ends, and what its exit code means."""
import contextlib
import fcntl
import os
import pty
import resource
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import threading
import time

from rig import (LIMIT_S, SCALE, TENON, Peer, cpu_seconds, ends_in_reset, expect,
                 knows_that_it_ended, listeners, pattern, queued, read_all, reset, run, stand_still,
                 start, tenon, test, wait_for)


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


# ---------------------------------------------------------------- what cannot work

@test
def a_refused_connection_is_exit_4():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # taken, and nobody listens
        expect(tenon("127.0.0.1", unused.getsockname()[1]), 4,
               ["connect tcp 127.0.0.1", "connection refused ("])
    with tempfile.TemporaryDirectory() as folder:
        expect(tenon(f"unix:{folder}/none"), 4, ["connect unix", "no such socket"])


@test
def an_unknown_name_is_exit_3():
    expect(tenon("no-such-host.invalid", 80), 3, "look up tcp no-such-host.invalid:80")
    expect(tenon("-n", "localhost", 80), 3, "with -n none is looked up")


@test
def a_wrong_command_line_is_exit_2():
    for words, why in [
            (("127.0.0.1", "99999"), "1 to 65535"),
            (("127.0.0.1:99999",), "1 to 65535"),
            (("127.0.0.1", "-1"), "-1"),
            (("host",), "port is missing"),
            (("::1:80",), "brackets"),
            (("[::1", "80"), "']'"),
            (("udp://h:1",), "only tcp:// and unix: are known"),
            (("a", "b", "c"), "too many"),
            (("--no-such-option", "h", "1"), "no --no-such-option"),
            (("-k", "h", "1"), "-k"),
            (("-u", "h", "1"), "datagrams"),
            (("--max-time", "soon", "h", "1"), "no length of time"),
            (("--max-time",), "needs a value"),
            (("-O", "12q", "h", "1"), "no size"),
            (("-p", "70000", "h", "1"), "1 to 65535"),
            (("h:1?no-such=1",), "no-such"),
            (("x" * 5000, "80"), "too long"),
            (("\n", "80"), ""),
    ]:
        result = tenon(*words)
        assert result.code == 2 or (words[0] == "\n" and result.code == 3), (words, result)
        said = [line for line in result.lines() if not line.startswith("hint:")]
        assert len(said) == 1 and why in said[0], (words, result.err)


@test
def a_full_disk_is_exit_8_and_the_peer_sees_a_reset():
    def script(conn):
        conn.sendall(b"something to write\n")
        return ends_in_reset(conn)

    for as_file in (False, True):
        with Peer(script) as peer, open("/dev/full", "wb") as full:
            result = tenon(*peer.words, *(["-o", "/dev/full"] if as_file else []), stdin=b"request",
                           stdout=full)
            expect(result, 8, "No space left on device")
        assert peer.result[1], peer.result


@test
def a_file_size_limit_is_exit_8_and_the_peer_sees_a_reset():
    def script(conn):
        conn.sendall(pattern(100_000))
        return ends_in_reset(conn)

    def small():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    with Peer(script) as peer, tempfile.TemporaryFile() as file:
        result = tenon(*peer.words, stdin=b"request", stdout=file, preexec_fn=small)
        expect(result, 8, "write standard output: File too large")
    assert peer.result[1], peer.result


@test
def a_reader_of_our_output_that_has_enough_is_a_quiet_0():
    def script(conn):
        read_all(conn)
        try:
            while True:
                conn.sendall(b"line after line\n" * 1000)
        except OSError as error:
            return type(error)

    with Peer(script) as peer:
        process = subprocess.run(
            ["bash", "-c", f"set -o pipefail; echo ask | {TENON} 127.0.0.1 {peer.port} | head -1"],
            capture_output=True, timeout=LIMIT_S, check=False)
        assert process.stdout == b"line after line\n"
        assert (process.returncode, process.stderr) == (0, b"")
    assert peer.result in (ConnectionResetError, BrokenPipeError)


@test
def it_ends_with_the_reader_of_its_output_even_if_the_peer_says_no_more():
    def script(conn):
        conn.sendall(b"one line\n")
        return ends_in_reset(conn)

    with Peer(script) as peer:
        process = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {TENON} 127.0.0.1 {peer.port} </dev/null | head -1"],
            capture_output=True, timeout=LIMIT_S, check=False)
        assert process.stdout == b"one line\n"
        assert (process.returncode, process.stderr) == (0, b"")
    assert peer.result == (b"", True)


@test
def a_closed_standard_input_is_an_empty_one():
    with Peer(read_all) as peer:
        result = subprocess.run(["sh", "-c", f"exec {TENON} 127.0.0.1 {peer.port} <&-"],
                                capture_output=True, timeout=LIMIT_S, check=False)
        assert (result.returncode, result.stderr) == (0, b"")
    assert peer.result == b""


@test
def a_closed_standard_output_is_exit_8_once_there_is_something_to_write():
    def talk(conn):
        conn.sendall(b"for nobody")
        return ends_in_reset(conn)

    with Peer(read_all) as peer:
        result = subprocess.run(["sh", "-c", f"exec {TENON} 127.0.0.1 {peer.port} >&-"],
                                input=b"x", stderr=subprocess.PIPE, timeout=LIMIT_S, check=False)
        assert (result.returncode, result.stderr) == (0, b""), result
    with Peer(talk) as peer:
        result = subprocess.run(["sh", "-c", f"exec {TENON} 127.0.0.1 {peer.port} >&-"],
                                input=b"x", stderr=subprocess.PIPE, timeout=LIMIT_S, check=False)
        assert result.returncode == 8 and b"standard output: closed" in result.stderr, result
    assert peer.result[1], "the peer took our failure for an end"


@test
def an_input_that_cannot_be_read_is_exit_1_and_no_end_for_the_peer():
    folder = os.open("/", os.O_RDONLY)
    with Peer(ends_in_reset) as peer:
        expect(tenon(*peer.words, stdin=folder), 1, ["standard input", "Is a directory"])
    os.close(folder)
    assert peer.result == (b"", True)


# ---------------------------------------------------------------- signals, terminals

@test
def an_interrupt_while_sending_is_no_end_for_the_peer():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # SIGQUIT would leave one
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        began = threading.Event()

        def script(conn, began=began):
            got = conn.recv(10)
            began.set()
            rest, cut = ends_in_reset(conn)
            return got + rest, cut

        with Peer(script) as peer, start(*peer.words) as process:
            process.stdin.write(b"half a fil")
            process.stdin.flush()
            began.wait(LIMIT_S)
            process.send_signal(number)
            assert process.wait(LIMIT_S) == -number
        assert peer.result == (b"half a fil", True)


@test
def on_a_terminal_the_peers_end_is_the_end():
    def script(conn):
        conn.sendall(b"good bye\r\n")
        conn.shutdown(socket.SHUT_WR)
        return read_all(conn)

    master, slave = pty.openpty()
    with Peer(script) as peer:
        result = tenon(*peer.words, stdin=slave)  # nobody types anything
        expect(result, 0)
        assert result.out == b"good bye\r\n"
    assert peer.result == b""
    os.close(master)
    os.close(slave)


@test
def input_that_goes_on_after_the_peers_end_is_still_sent():
    ended = threading.Event()

    def script(conn):
        conn.shutdown(socket.SHUT_WR)
        ended.set()
        return read_all(conn)

    with Peer(script) as peer, start(*peer.words) as process:
        process.stdin.write(b"before, ")
        process.stdin.flush()
        ended.wait(LIMIT_S)
        process.stdin.write(b"after")
        process.stdin.close()
        assert process.wait(LIMIT_S) == 0
    assert peer.result == b"before, after"


# ---------------------------------------------------------------- options

@test
def C_sends_crlf_for_each_newline_and_leaves_others_alone():
    with Peer(read_all) as peer:
        expect(tenon("-C", *peer.words, stdin=b"a\nb\r\n\nc\r\rd\n"), 0)
    assert peer.result == b"a\r\nb\r\n\r\nc\r\rd\r\n"
    with Peer(read_all) as peer, start("-C", *peer.words) as process:
        for piece in (b"x\r", b"\ny", b"\n"):  # a pair in two reads
            process.stdin.write(piece)
            process.stdin.flush()
            time.sleep(0.05)
        process.stdin.close()
        assert process.wait(LIMIT_S) == 0
    assert peer.result == b"x\r\ny\r\n"


@test
def s_and_p_choose_the_local_address():
    def script(conn):
        read_all(conn)
        return conn.getpeername()

    with socket.socket() as taken, Peer(script) as peer:  # so that nobody else takes that port
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        expect(tenon(*peer.words, "-s", "127.0.0.2", "-p", port), 0)
    assert peer.result == ("127.0.0.2", port)


@test
def v_says_to_whom_and_how_it_ended_and_silent_says_nothing():
    with Peer(read_all) as peer:
        result = tenon("-v", *peer.words, stdin=b"seven b")
        assert result.code == 0
        assert f"connected to tcp 127.0.0.1:{peer.port}" in result.lines()[0]
        assert "clean" in result.lines()[1] and "sent 7 bytes" in result.lines()[1]
    with Peer(read_all) as peer:
        expect(tenon("-v", "--silent", *peer.words, stdin=b"seven b"), 0)


@test
def options_may_stand_in_the_address():
    result, _ = until_it_could_say(
        "sent 3 bytes", lambda peer, limit: (f"127.0.0.1:{peer.port}?max-time={limit}s&crlf",), b"a\n")
    expect(result, 5, "sent 3 bytes")


@test
def z_tells_which_ports_accept():
    with contextlib.ExitStack() as stack:
        low, middle, _ = three_in_a_row(stack)  # a knock at others' ports would be their client
        port = low.getsockname()[1] + 1
        expect(tenon("-z", "127.0.0.1", port), 4, "connection refused")
        middle.listen()
        expect(tenon("-z", "127.0.0.1", port), 0)
        result = tenon("-zv", "127.0.0.1", f"{port - 1}-{port + 1}")
        assert result.code == 0
        assert f"tcp 127.0.0.1:{port}: open" in result.err


def three_in_a_row(stack):
    """Sockets bound to three ports that follow each other; STACK closes them."""
    while True:
        socks = [stack.enter_context(socket.socket()) for _ in range(3)]
        socks[0].bind(("127.0.0.1", 0))
        try:
            for i in (1, 2):
                socks[i].bind(("127.0.0.1", socks[0].getsockname()[1] + i))
            return socks
        except (OSError, OverflowError):  # one of them is taken
            pass


@test
def nc_flags_are_taken():
    with Peer(read_all) as peer:
        expect(tenon("-4nN", "-w5", *peer.words, stdin=b"nc"), 0)
    assert peer.result == b"nc"


run()
